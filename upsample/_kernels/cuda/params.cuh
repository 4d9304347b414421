/* What a kernel is told besides where to read and write: one struct, passed by value.
 *
 * Sizes are in samples, strides in bytes.  64-bit fields come first, so that there is no padding;
 * its NumPy twin is PARAMS in backends/cuda.py, and tests compare the two field by field.
 */
#pragma once
#include "taps.h"

/* One resampled axis.  `records` has the taps of every output (axis.cuh says in which form); where it
 * is NULL they are evaluated from the recipe. */
struct axis_params {
    uint64_t records, weights;
    axis_recipe recipe;
};

struct kernel_params {
    axis_params d, h, w;
    int64_t in_outer, in_d, in_h, out_outer, out_d, out_h;
    int64_t outer;              /* planes, or volumes */
    int64_t z_outer;            /* how far a step over the grid's z goes: whole volumes ... */
    int32_t z_d;                /* ... and output planes within one */
    int32_t in_depth, in_height, in_width, out_depth, out_height;
    int32_t row;                /* samples of an output row: outputs along W times inner */
    int32_t inner;
    int32_t rows;               /* output rows of one thread */
    int32_t align;              /* every output row starts at a multiple of so many bytes, at most 16 */
    int32_t taps, shift_d, shift_h, shift_w;
};

static_assert(sizeof(axis_recipe) == 80, "axis_recipe");
static_assert(sizeof(axis_params) == 96, "axis_params");
static_assert(sizeof(kernel_params) == 408, "kernel_params");
