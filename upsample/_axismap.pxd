from libc.stdint cimport int16_t, int32_t, int64_t


cdef extern from "taps.h" nogil:
    ctypedef struct axis_recipe:
        int64_t n, m, out_start, out_stop, in_start, in_stop
        double scale
        int32_t filter, coords, weights, align_corners, shift, taps_max, transposed, forward_taps, forward_weights, uniform
    enum:
        FILTER_NEAREST, FILTER_NEAREST_EXACT, FILTER_LINEAR, FILTER_CUBIC, FILTER_AREA
        FILTER_TRIANGLE_AA, FILTER_CUBIC_AA, FILTER_LANCZOS_AA
        COORDS_DIRECT32, COORDS_TORCH32, COORDS_TORCH64, COORDS_RATIONAL
        WEIGHTS_NONE, WEIGHTS_F32, WEIGHTS_F64, WEIGHTS_I16
    int64_t antialias_taps_max(const axis_recipe *a)
    int32_t integer_shift(const axis_recipe *a)
    void forward_extent(const axis_recipe *f, int64_t i, int64_t *first, int64_t *last)
    void outputs_of(const axis_recipe *a, const axis_recipe *f, int64_t j0, int64_t j1, int64_t *i0, int64_t *i1)
    axis_recipe forward_of(const axis_recipe *a)
    int64_t transposed_limits(axis_recipe *a, double *scratch)
    int64_t taps_scratch(const axis_recipe *a)
    void build_taps(const axis_recipe *a, int64_t lo, int64_t hi, int64_t *first, int32_t *count, void *w,
                    double *scratch)


cdef class AxisMap:
    cdef axis_recipe recipe
    cdef readonly str acc           # of this map's sums
    cdef str forward_acc, adjoint_acc
