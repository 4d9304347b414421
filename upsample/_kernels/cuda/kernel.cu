/* The one entry point.  KERNEL names a kernel template and its arguments, BLOCKS how many blocks a multiprocessor
 * has to hold, which bounds the registers: all that differs between programs. */
#include "doubled.cuh"
#include "gather.cuh"
#include "resample.cuh"
#include "wide.cuh"
#include "window.cuh"

extern "C" __global__ void __launch_bounds__(128, BLOCKS)
upsample_kernel(const char *__restrict__ in, char *__restrict__ out, const PARAMETER kernel_params p)
{
    KERNEL(in, out, p);
}
