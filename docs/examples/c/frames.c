/* An extension module that enlarges every frame of its own loop on pthreads, without the GIL.
 *
 * frames.run(height, width, count, threads) draws `count` RGB frames into memory of its own, enlarges each
 * twice with bilinear into a second buffer, and returns the last one as bytes.  Only making the kernel
 * needs the interpreter.  Build it with the Makefile beside this file. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pthread.h>
#include <stdlib.h>

#include <upsample.h>

enum { MOST_THREADS = 64, CHANNELS = 3 };

typedef struct {
    const upsample_kernel *kernel;
    const uint8_t *in;
    uint8_t *out;
    char *scratch;
    int64_t unit_lo, unit_hi;
    int32_t status;
} share;

/* Anything that the loop is really about: here a pattern that moves. */
static void draw(uint8_t *frame, int64_t height, int64_t width, int64_t number)
{
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++)
            for (int64_t c = 0; c < CHANNELS; c++)
                *frame++ = (uint8_t)((x * (c + 1) + y * 7 + number * 13) & 255);
}

static void *work_off(void *argument)
{
    share *s = (share *)argument;
    s->status = upsample_execute(s->kernel, s->in, s->out, s->scratch, s->unit_lo, s->unit_hi);
    return NULL;
}

/* One frame, its units shared among the threads; this one takes the first share. */
static int32_t enlarge(share *shares, int threads)
{
    pthread_t ids[MOST_THREADS];
    int started = 1;
    int32_t status = UPSAMPLE_OK;
    while (started < threads && pthread_create(&ids[started], NULL, work_off, &shares[started]) == 0) started++;
    work_off(&shares[0]);
    for (int t = started; t < threads; t++) work_off(&shares[t]);
    for (int t = 1; t < started; t++) pthread_join(ids[t], NULL);
    for (int t = 0; t < threads; t++)
        if (shares[t].status != UPSAMPLE_OK) status = shares[t].status;
    return status;
}

static upsample_kernel *make_kernel(int64_t height, int64_t width)
{
    upsample_work work = UPSAMPLE_WORK_INIT;
    upsample_kernel *kernel;
    char message[400];
    work.ndim = 3;
    work.dtype = UPSAMPLE_UINT8;
    work.shape[0] = height, work.shape[1] = width, work.shape[2] = CHANNELS;
    work.layout[0] = 'H', work.layout[1] = 'W', work.layout[2] = 'C';
    work.mode = UPSAMPLE_BILINEAR;
    work.given = UPSAMPLE_SCALE;
    work.scale[0] = work.scale[1] = 2;
    if (upsample_create(&work, &kernel, message, sizeof message) != UPSAMPLE_OK)
        PyErr_SetString(PyExc_ValueError, message);
    return kernel;
}

static PyObject *run(PyObject *self, PyObject *args)
{
    long long height, width, count;
    int threads;
    share shares[MOST_THREADS];
    upsample_info info = UPSAMPLE_INFO_INIT;
    int32_t status = UPSAMPLE_ERROR_MEMORY;
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "LLLi", &height, &width, &count, &threads)) return NULL;
    if (threads < 1 || threads > MOST_THREADS) {
        PyErr_Format(PyExc_ValueError, "threads must be from 1 to %d, got %d", (int)MOST_THREADS, threads);
        return NULL;
    }
    if (count < 1) {
        PyErr_Format(PyExc_ValueError, "count must be at least 1, got %lld", count);
        return NULL;
    }
    upsample_kernel *kernel = make_kernel(height, width);
    if (kernel == NULL) return NULL;
    upsample_query(kernel, &info);      /* cannot fail with a kernel and UPSAMPLE_INFO_INIT */

    Py_BEGIN_ALLOW_THREADS
    uint8_t *in = malloc((size_t)info.in_bytes), *out = malloc((size_t)info.out_bytes);
    char *scratch = malloc((size_t)info.scratch_bytes * (size_t)threads);
    if (in != NULL && out != NULL && scratch != NULL) {
        for (int t = 0; t < threads; t++)
            shares[t] = (share){ kernel, in, out, scratch + info.scratch_bytes * t,
                                 upsample_first_unit(info.units, t, threads),
                                 upsample_first_unit(info.units, t + 1, threads), UPSAMPLE_OK };
        status = UPSAMPLE_OK;
        for (int64_t number = 0; number < count && status == UPSAMPLE_OK; number++) {
            draw(in, height, width, number);
            status = enlarge(shares, threads);
        }
    }
    free(scratch);
    free(in);
    Py_BLOCK_THREADS
    if (status == UPSAMPLE_OK)
        result = PyBytes_FromStringAndSize((const char *)out, (Py_ssize_t)info.out_bytes);
    else
        PyErr_SetString(PyExc_RuntimeError, upsample_error_text(status));
    Py_UNBLOCK_THREADS
    free(out);
    Py_END_ALLOW_THREADS

    upsample_release(kernel);
    return result;
}

static PyMethodDef methods[] = {
    { "run", run, METH_VARARGS, "run(height, width, count, threads): the last of `count` enlarged frames, as bytes" },
    { NULL, NULL, 0, NULL },
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "frames", "Frames, enlarged without the GIL.", -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_frames(void)
{
    if (upsample_import() < 0) return NULL;
    return PyModule_Create(&module);
}
