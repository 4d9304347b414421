/* Where the fields of kernel_params are: name, offset and size of each, for the NumPy twin to be compared with. */
#include <device.cuh>
#include "params.cuh"
#include <stddef.h>

#define FIELD(name) { #name, offsetof(kernel_params, name), sizeof(kernel_params::name) }
#define AXIS(name) \
    FIELD(name), { #name ".records", offsetof(kernel_params, name.records), 8 }, \
    { #name ".weights", offsetof(kernel_params, name.weights), 8 }, \
    { #name ".recipe", offsetof(kernel_params, name.recipe), sizeof(axis_recipe) }

extern "C" const struct { const char *name; int64_t offset, size; } layout[] = {
    AXIS(d), AXIS(h), AXIS(w), FIELD(twice_h), FIELD(twice_w),
    FIELD(in_outer), FIELD(in_d), FIELD(in_h), FIELD(out_outer), FIELD(out_d), FIELD(out_h), FIELD(outer), FIELD(z_outer),
    FIELD(z_d), FIELD(in_depth), FIELD(in_height), FIELD(in_width), FIELD(out_depth), FIELD(out_height), FIELD(row),
    FIELD(inner), FIELD(rows), FIELD(align), FIELD(taps_d), FIELD(taps_h), FIELD(taps_w),
    FIELD(shift_d), FIELD(shift_h), FIELD(shift_w), FIELD(own_h), FIELD(own_w),
    { 0, 0, sizeof(kernel_params) },
};
