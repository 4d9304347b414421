/* What happens in a subinterpreter and after a second Py_Initialize(): codes and exceptions, no deadlock, no crash.
 * The argument says which. */
#include <Python.h>

#include <stdio.h>
#include <string.h>

#include <upsample.h>

static int32_t make(char *message, int64_t size, upsample_kernel **kernel)
{
    upsample_work work = UPSAMPLE_WORK_INIT;
    work.ndim = 1;
    work.shape[0] = 3;
    work.layout[0] = 'W';
    work.mode = UPSAMPLE_LINEAR;
    work.given = UPSAMPLE_SCALE;
    work.scale[0] = 2;
    return upsample_create(&work, kernel, message, size);
}

int main(int argc, char **argv)
{
    char message[400] = "";
    upsample_kernel *kernel;
    Py_Initialize();
    if (upsample_import() < 0) return PyErr_Print(), 1;
    const int32_t first = make(message, sizeof message, &kernel);
    upsample_release(kernel);
    if (argc > 1 && strcmp(argv[1], "sub") == 0) {
        PyThreadState *main_state = PyThreadState_Get(), *sub = Py_NewInterpreter();
        const int imported = upsample_import();
        const int is_import_error = PyErr_ExceptionMatches(PyExc_ImportError);
        PyErr_Clear();
        Py_EndInterpreter(sub);
        PyThreadState_Swap(main_state);
        const int32_t after = make(message, sizeof message, &kernel);
        upsample_release(kernel);
        printf("%d %d %d %d\n", (int)first, imported, is_import_error, (int)after);
        return Py_FinalizeEx() < 0;
    }
    if (Py_FinalizeEx() < 0) return 1;
    Py_Initialize();
    const int32_t again = make(message, sizeof message, &kernel);
    printf("%d %d %d %s\n", (int)first, (int)again, kernel == NULL, message);
    fflush(stdout);
    return 0;
}
