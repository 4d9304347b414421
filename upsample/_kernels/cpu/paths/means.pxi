"""Means of whole planes: adaptive pooling to one sample."""

cdef path *MEANS


cdef bint means_fit(const job *j) noexcept:
    return not j.copies and j.form == FORM_BOX and j.acc <= ACC_F64 and j.load == NULL and j.inner == 1 and (
        j.d.n == j.d.m == j.h.m == j.w.m == 1 and not j.d.has_pass and j.w.n <= 64 and j.w.n * j.h.n <= MEAN_SAMPLES) and (
        j.h.has_pass and j.h.weight_size == 0 or j.h.n == 1)


cdef int prepare_means(Prepared p) except -1:
    p.j.units = p.j.parts = p.j.outer
    return 1


cdef void run_means(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                    int64_t unit_lo, int64_t unit_hi) noexcept nogil:
    cdef int64_t o
    ran(MEANS, unit_hi - unit_lo)
    for o in range(unit_lo, unit_hi):
        j.level.mean[j.acc](out + o * so.outer, x + o * sx.outer, sx.h, j.h.n, j.w.n)


MEANS = add_path(b"means of planes", means_fit, prepare_means, run_means)
