"""Means of whole planes and volumes (`area` to one sample): those of rows, of these those of planes, of these the volumes'."""

cdef enum:
    MEANS_AT_ONCE = 4096    # rows whose means are made at once: they stay in the nearest cache
    MEANS_AXIS = 65536      # samples along H and D at the most, for the scratch that their means need

cdef path *MEANS


cdef bint means_fit(const job *j) noexcept:
    return not j.copies and j.form == FORM_BOX and j.acc <= ACC_F64 and j.load == NULL and j.inner == 1 and (
        j.d.m == j.h.m == j.w.m == 1 and j.d.n <= MEANS_AXIS and j.h.n <= MEANS_AXIS and j.w.n <= LONG_TAPS) and (
        j.d.has_pass and j.d.weight_size == 0 or j.d.n == 1) and (j.h.has_pass and j.h.weight_size == 0 or j.h.n == 1)


cdef inline int64_t row_means_bytes(const job *j) noexcept nogil:
    """For the means of rows that are made at once: of some planes, or of a part of all."""
    return align64(max64(j.h.n, min64(MEANS_AT_ONCE, j.outer * j.d.n * j.h.n)) * j.sample)


cdef int prepare_means(Prepared p) except -1:
    cdef job *j = &p.j
    j.units = j.parts = j.outer
    j.scratch_bytes = row_means_bytes(j) + align64(max64(j.d.n, min64(MEANS_AT_ONCE, j.outer * j.d.n)) * j.sample)
    return 1


cdef void run_means(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                    int64_t unit_lo, int64_t unit_hi) noexcept nogil:
    """A plane alone is one of a volume."""
    cdef int64_t size = j.sample, D = j.d.n, H = j.h.n, W = j.w.n, o = unit_lo, volumes, planes, done, k
    cdef int64_t step = sx.h if H > 1 else sx.d if D > 1 else sx.outer, plane = H * step
    cdef char *of_planes = scratch + row_means_bytes(j)
    cdef char *of_rows
    cdef char *target
    cdef bint dense = (D == 1 or sx.d == plane) and (j.outer == 1 or sx.outer == D * plane)    # all rows one step apart
    ran(MEANS, unit_hi - unit_lo)
    while o < unit_hi:
        volumes = min64(max64(1, MEANS_AT_ONCE // D), unit_hi - o)
        target = out + o * so.outer if D == 1 and so.outer == size else of_planes
        done = 0
        while done < volumes * D:
            planes = min64(max64(1, MEANS_AT_ONCE // H), volumes * D - done)
            of_rows = scratch if H > 1 else target + done * size
            if dense:
                j.level.row_means[j.acc](of_rows, x + o * sx.outer + done * plane, step, planes * H, W)
            else:
                for k in range(planes):
                    j.level.row_means[j.acc](of_rows + k * H * size,
                                             x + (o + (done + k) // D) * sx.outer + (done + k) % D * sx.d, step, H, W)
            if H > 1:
                j.level.row_means[j.acc](target + done * size, scratch, H * size, planes, H)
            done += planes
        if D > 1:
            target = out + o * so.outer if so.outer == size else scratch
            j.level.row_means[j.acc](target, of_planes, D * size, volumes, D)
        if so.outer != size:
            for k in range(volumes):
                memcpy(out + (o + k) * so.outer, target + k * size, size)
        o += volumes


MEANS = add_path(b"means", means_fit, prepare_means, run_means)
