/* A second file of a module: it does not import, and needs no Python.h. */
#define UPSAMPLE_NO_PYTHON
#include <upsample.h>

#ifdef Py_PYTHON_H
#error "Python.h was included"
#endif

int32_t execute_from_another_file(const upsample_kernel *kernel);

int32_t execute_from_another_file(const upsample_kernel *kernel)
{
    static const float in[4] = { 1, 2, 3, 4 };
    float out[8] = { 0 };
    char scratch[65536];
    upsample_info info = UPSAMPLE_INFO_INIT;
    int32_t status = upsample_query(kernel, &info);
    if (status != UPSAMPLE_OK) return status;
    if (info.scratch_bytes > (int64_t)sizeof scratch || info.out_bytes != (int64_t)sizeof out) return -1;
    status = upsample_execute(kernel, in, out, scratch, 0, info.units);
    for (int i = 0; i < 8; i++)
        if (out[i] < in[i / 2] || out[i] > in[i / 2]) return -2;
    return status;
}
