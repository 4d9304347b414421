/* The one entry point.  KERNEL names a kernel template and its arguments, all that differs between programs. */
#include "resample.cuh"
#include "wide.cuh"

extern "C" __global__ void __launch_bounds__(128)
upsample_kernel(const char *__restrict__ in, char *__restrict__ out, const __grid_constant__ kernel_params p)
{
    KERNEL(in, out, p);
}
