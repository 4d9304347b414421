/* What a kernel is told besides where to read and write: one struct, passed by value.
 *
 * Sizes are in samples, strides in bytes.  64-bit fields come first, so that there is no padding;
 * its NumPy twin is PARAMS in backends/_cuda.py, and tests compare the two field by field.
 */
#pragma once
#include <device.cuh>
#include "taps.h"

/* One resampled axis.  `records` has the taps of every output (axis.cuh says in which form); where it
 * is NULL they are evaluated from the recipe. */
struct axis_params {
    uint64_t records, weights;
    axis_recipe recipe;
};

/* Whole factor 2: the weights of even and odd outputs, and of output 0, in the low bits of each field. */
struct doubled_params {
    uint64_t even[4], odd[4], begin[2];
};

struct kernel_params {
    axis_params d, h, w;
    doubled_params twice_h, twice_w;
    int64_t in_outer, in_d, in_h, out_outer, out_d, out_h;
    int64_t outer;              /* planes, or volumes */
    int64_t z_outer;            /* how far a step over the grid's z goes: whole volumes ... */
    int32_t z_d;                /* ... and output planes within one */
    int32_t in_depth, in_height, in_width, out_depth, out_height;
    int32_t row;                /* samples of an output row: outputs along W times inner */
    int32_t inner;
    int32_t rows;               /* output rows of one thread */
    int32_t align;              /* every output row starts at a multiple of so many bytes, at most 16 */
    int32_t taps_d, taps_h, taps_w;     /* of an output in a table of any number of taps */
    int32_t shift_d, shift_h, shift_w;
    int32_t own_h, own_w;       /* whole factor 2: output 0 has taps of its own, from input 0 on */
};

static_assert(sizeof(kernel_params) == PARAMS_BYTES, "the NumPy twin has another size");

/* The volumes, or with DEEP the output planes of volumes, that a thread works on: the grid's z, and on by its size. */
template <bool DEEP> struct plane_loop {
    int64_t outer;
    int32_t d;

    DEVICE plane_loop(const kernel_params &p)
    {
        const uint32_t z = blockIdx.z * blockDim.z + threadIdx.z;
        outer = DEEP ? z / (uint32_t)p.out_depth : z;
        d = DEEP ? (int32_t)(z % (uint32_t)p.out_depth) : 0;
    }
    DEVICE bool more(const kernel_params &p) const { return outer < p.outer; }
    DEVICE void next(const kernel_params &p)    /* the step is carried: no division */
    {
        outer += p.z_outer;
        if (!DEEP) return;
        d += p.z_d;
        if (d >= p.out_depth) { d -= p.out_depth; outer++; }
    }
    DEVICE const char *from(const char *in, const kernel_params &p, int32_t plane) const
    {
        return in + outer * p.in_outer + (DEEP ? plane * p.in_d : 0);
    }
    DEVICE char *to(char *out, const kernel_params &p) const { return out + outer * p.out_outer + (DEEP ? d * p.out_d : 0); }
};
