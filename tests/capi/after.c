/* A program whose interpreter ends before its kernels do. */
#include <Python.h>

#include <stdio.h>
#include <string.h>

#include <upsample.h>

int main(void)
{
    static const float in[3] = { 1, 5, 9 };
    float out[6] = { 0 };
    static char scratch[1 << 16];
    char message[200] = "";
    upsample_kernel *kernel, *none;
    upsample_work work = UPSAMPLE_WORK_INIT;
    upsample_info info = UPSAMPLE_INFO_INIT;
    Py_Initialize();
    if (upsample_import() < 0) return PyErr_Print(), 1;
    work.ndim = 1;
    work.shape[0] = 3;
    work.layout[0] = 'W';
    work.mode = UPSAMPLE_LINEAR;
    work.given = UPSAMPLE_SCALE;
    work.scale[0] = 2;
    if (upsample_create(&work, &kernel, message, sizeof message)) return puts(message), 1;
    if (Py_FinalizeEx() < 0) return 1;
    const int32_t late = upsample_create(&work, &none, message, sizeof message);
    upsample_query(kernel, &info);
    if (info.scratch_bytes > (int64_t)sizeof scratch) return 1;
    const int32_t status = upsample_execute(kernel, in, out, scratch, 0, info.units);
    upsample_release(upsample_retain(kernel));
    upsample_release(kernel);
    printf("%d %d %s|%d %g %g %g %g %g %g\n", (int)late, none == NULL, message, (int)status, (double)out[0], (double)out[1],
           (double)out[2], (double)out[3], (double)out[4], (double)out[5]);
    return 0;
}
