/* Times upsample_execute() in a loop of C, for embedding.py: address of the description in, seconds out. */
#include <Python.h>

#include <stdlib.h>
#include <time.h>

#include <upsample.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static PyObject *best(PyObject *self, PyObject *args)
{
    /* best(work, in, out, repeats, rounds): seconds per call, all units by this thread, the least of the rounds */
    unsigned long long work, in, out;
    long repeats, rounds;
    upsample_kernel *kernel;
    upsample_info info = UPSAMPLE_INFO_INIT;
    char message[400];
    (void)self;
    if (!PyArg_ParseTuple(args, "KKKll", &work, &in, &out, &repeats, &rounds)) return NULL;
    if (upsample_create((const upsample_work *)(uintptr_t)work, &kernel, message, sizeof message)) {
        PyErr_SetString(PyExc_ValueError, message);
        return NULL;
    }
    upsample_query(kernel, &info);
    void *scratch = malloc((size_t)info.scratch_bytes);
    double least = 1e9;
    int32_t status = scratch == NULL ? (int32_t)UPSAMPLE_ERROR_MEMORY : (int32_t)UPSAMPLE_OK;
    for (long r = 0; r < rounds && status == UPSAMPLE_OK; r++) {
        const double start = now();
        for (long i = 0; i < repeats && status == UPSAMPLE_OK; i++)
            status = upsample_execute(kernel, (const void *)(uintptr_t)in, (void *)(uintptr_t)out, scratch, 0, info.units);
        const double took = (now() - start) / (double)repeats;
        least = took < least ? took : least;
    }
    free(scratch);
    upsample_release(kernel);
    if (status == UPSAMPLE_OK) return PyFloat_FromDouble(least);
    PyErr_SetString(PyExc_RuntimeError, upsample_error_text(status));
    return NULL;
}

static PyMethodDef methods[] = { { "best", best, METH_VARARGS, NULL }, { NULL, NULL, 0, NULL } };
static struct PyModuleDef module = { PyModuleDef_HEAD_INIT, "embedding_loop", NULL, -1, methods, NULL, NULL, NULL, NULL };

PyMODINIT_FUNC PyInit_embedding_loop(void)
{
    if (upsample_import() < 0) return NULL;
    return PyModule_Create(&module);
}
