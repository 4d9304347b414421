/* What only C can check: no import, an exception that is set, a second file of one module. */
#include <Python.h>

#include <upsample.h>

int32_t execute_from_another_file(const upsample_kernel *kernel);

static upsample_kernel *made(char *message, int64_t size, int32_t *status)
{
    upsample_work work = UPSAMPLE_WORK_INIT;
    upsample_kernel *kernel;
    work.ndim = 3;
    work.shape[0] = work.shape[1] = 1, work.shape[2] = 4;
    work.given = UPSAMPLE_SCALE;
    work.scale[0] = 2;
    *status = upsample_create(&work, &kernel, message, size);
    return kernel;
}

/* Everything before upsample_import(): codes, no crash. */
static PyObject *without_import(PyObject *self, PyObject *unused)
{
    char message[8] = "unclear";
    upsample_info info = UPSAMPLE_INFO_INIT;
    int32_t status;
    (void)self, (void)unused;
    const int nothing = made(message, sizeof message, &status) == NULL && message[0] == 0;
    upsample_release(NULL);
    return Py_BuildValue("(iiiiis)", nothing, (int)status, (int)upsample_query(NULL, &info), (int)execute_from_another_file(NULL),
                         upsample_retain(NULL) == NULL, upsample_error_text(0));
}

/* After it: a kernel of this file executed by the other one; the exception that was set is still set. */
static PyObject *with_import(PyObject *self, PyObject *unused)
{
    char message[400];
    int32_t status, other;
    (void)self, (void)unused;
    if (upsample_import() < 0 || upsample_import() < 0) return NULL;
    PyErr_SetString(PyExc_KeyError, "mine");
    upsample_kernel *kernel = made(message, sizeof message, &status);
    const int kept = PyErr_Occurred() != NULL && PyErr_ExceptionMatches(PyExc_KeyError);
    PyErr_Clear();
    other = execute_from_another_file(kernel);
    upsample_release(kernel);
    return Py_BuildValue("(iii)", (int)status, kept, (int)other);
}

/* The library's version and sizes; struct_size after a query, and whether the bytes behind the structure stayed. */
static PyObject *sizes(PyObject *self, PyObject *unused)
{
    struct { upsample_info info; int64_t behind; } room = { UPSAMPLE_INFO_INIT, 77 };
    char message[400];
    int32_t status;
    (void)self, (void)unused;
    if (upsample_import() < 0) return NULL;
    upsample_kernel *kernel = made(message, sizeof message, &status);
    status = upsample_query(kernel, &room.info);
    upsample_release(kernel);
    return Py_BuildValue("(iiiiii)", (int)upsample_api->major, (int)upsample_api->minor, (int)upsample_api->work_size,
                         (int)upsample_api->info_size, (int)room.info.struct_size,
                         status == UPSAMPLE_OK && room.behind == 77 && room.info.ndim == 3);
}

static PyMethodDef methods[] = {
    { "without_import", without_import, METH_NOARGS, NULL },
    { "with_import", with_import, METH_NOARGS, NULL },
    { "sizes", sizes, METH_NOARGS, NULL },
    { NULL, NULL, 0, NULL },
};
static struct PyModuleDef module = { PyModuleDef_HEAD_INIT, "checks", NULL, -1, methods, NULL, NULL, NULL, NULL };

PyMODINIT_FUNC PyInit_checks(void) { return PyModule_Create(&module); }
