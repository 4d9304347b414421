"""Means with few outputs (`area` to 1, 2, 3): means of parts of rows, of these those of planes, and of these the volumes'."""

cdef enum:
    MEANS_AT_ONCE = 4096    # rows whose means are made at once: they stay in the nearest cache
    MEANS_ROWS = 65536      # rows of a volume at the most, for the scratch that their means need
    MEANS_LOADED = 65536    # samples that are converted at once, and of a volume whose samples are
    MEANS_FEW = 4           # outputs along an axis
    MEANS_TAPS = 3          # of an output at the least, where there are several

cdef path *MEANS


# The inputs of each output along D, H and W.
cdef struct means_taps:
    int64_t first[3][MEANS_FEW]
    int32_t count[3][MEANS_FEW]


cdef inline bint is_mean(const axis_job *a) noexcept:
    if not a.has_pass:
        return a.n == 1
    return a.weight_size == 0 and a.m <= MEANS_FEW and (a.m == 1 or a.n >= MEANS_TAPS * a.m) and a.recipe.taps_max <= LONG_TAPS


cdef bint means_fit(const job *j) noexcept:
    return (not j.copies and j.form == FORM_BOX and j.acc <= ACC_F64 and j.inner == 1
            and is_mean(&j.d) and is_mean(&j.h) and is_mean(&j.w) and j.d.n <= MEANS_ROWS and j.d.n * j.h.n <= MEANS_ROWS
            and (j.load == NULL or j.d.n * j.h.n <= MEANS_LOADED // j.w.n))


cdef inline int64_t volumes_at_once(const job *j) noexcept nogil:
    cdef int64_t rows = MEANS_AT_ONCE if j.load == NULL else min64(MEANS_AT_ONCE, MEANS_LOADED // j.w.n)
    return min64(j.outer, max64(1, rows // (j.d.n * j.h.n)))


cdef int prepare_means(Prepared p) except -1:
    cdef job *j = &p.j
    cdef int64_t volumes = volumes_at_once(j), size = j.stored, k
    cdef means_taps *t = <means_taps *>calloc(1, sizeof(means_taps))
    cdef const axis_job *axes[3]
    if t == NULL:
        raise MemoryError("no memory for taps")
    p.j.own = <char *>t
    count_bytes(j, sizeof(means_taps))
    axes[0], axes[1], axes[2] = &j.d, &j.h, &j.w
    for k in range(3):
        t.count[k][0] = 1
        if axes[k].has_pass:
            j.level.taps(&axes[k].recipe, 0, axes[k].m, t.first[k], t.count[k], NULL, NULL)
    j.means = t
    j.units = j.most_parts = j.outer
    j.scratch_bytes = (align64(volumes * j.d.n * j.h.n * j.w.m * size) + align64(volumes * j.d.n * j.h.m * j.w.m * size)
                       + align64(volumes * j.d.m * j.h.m * j.w.m * size))
    if j.load != NULL:
        j.scratch_bytes += align64(volumes * j.d.n * j.h.n * j.w.n * size)
    return 1


cdef inline void means_along(const job *j, int axis, int64_t m, char *dst, const char *src, int64_t step, int64_t rows,
                             int64_t apart) noexcept nogil:
    """Of `rows` rows, the means that are the outputs of an axis; those of an output lie together, `apart` from the next's."""
    cdef const means_taps *t = <const means_taps *>j.means
    cdef int64_t o
    for o in range(m):
        j.level.row_means[j.acc](dst + o * apart, src + t.first[axis][o] * j.stored, step, rows, t.count[axis][o])


cdef void run_means(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                    int64_t unit_lo, int64_t unit_hi) noexcept nogil:
    cdef int64_t size = j.stored, D = j.d.n, H = j.h.n, W = j.w.n, o = unit_lo, most = volumes_at_once(j), volumes, rows, k, i, n
    cdef int64_t step = sx.h if H > 1 else sx.d if D > 1 else sx.outer if j.outer > 1 else W * j.sample, plane = H * step
    cdef int64_t parts = j.d.m * j.h.m * j.w.m, u, v, w
    cdef char *of_rows = scratch
    cdef char *of_planes = of_rows + align64(most * D * H * j.w.m * size)
    cdef char *of_volumes = of_planes + align64(most * D * j.h.m * j.w.m * size)
    cdef char *loaded = of_volumes + align64(most * parts * size)
    cdef const char *source
    cdef char *made
    cdef char *row
    cdef double aligned[MEANS_FEW]
    cdef char *few = <char *>aligned
    cdef bint dense = (D == 1 or sx.d == plane) and (j.outer == 1 or sx.outer == D * plane)    # all rows one step apart
    cdef bint straight = parts == 1 and so.outer == j.sample and j.store == NULL
    ran(MEANS, unit_hi - unit_lo)
    while o < unit_hi:
        volumes = min64(most, unit_hi - o)
        n = volumes * D
        rows = n * H
        source = x + o * sx.outer
        if j.load != NULL:
            if dense and step == W * j.sample:
                j.load(loaded, source, rows * W)
            else:
                for k in range(rows):
                    j.load(loaded + k * W * size, source + k // H // D * sx.outer + k // H % D * sx.d + k % H * sx.h, W)
        # the last stage of a mean of everything writes the output
        made = out + o * so.outer if straight and H == 1 and D == 1 else of_rows
        if j.load != NULL:
            means_along(j, 2, j.w.m, made, loaded, W * size, rows, rows * size)
        elif dense:
            means_along(j, 2, j.w.m, made, source, step, rows, rows * size)
        else:
            for k in range(n):
                means_along(j, 2, j.w.m, made + k * H * size, source + k // D * sx.outer + k % D * sx.d, step, H, rows * size)
        if H > 1:
            made = out + o * so.outer if straight and D == 1 else of_planes
            for i in range(j.w.m):
                means_along(j, 1, j.h.m, made + i * j.h.m * n * size, of_rows + i * rows * size, H * size, n, n * size)
        if D > 1:
            source = made
            made = out + o * so.outer if straight else of_volumes
            for i in range(j.w.m * j.h.m):
                means_along(j, 0, j.d.m, made + i * j.d.m * volumes * size, source + i * n * size, D * size, volumes, volumes * size)
        if parts == 1 and j.store != NULL and so.outer == j.sample:
            j.store(out + o * so.outer, made, volumes)
        elif not straight:
            for k in range(volumes):
                for u in range(j.d.m):
                    for v in range(j.h.m):
                        row = out + (o + k) * so.outer + u * so.d + v * so.h
                        for w in range(j.w.m):
                            memcpy(&few[w * size], made + (((w * j.h.m + v) * j.d.m + u) * volumes + k) * size, size)
                        if j.store != NULL:
                            j.store(row, few, j.w.m)
                        else:
                            memcpy(row, few, j.w.m * size)
        o += volumes


MEANS = add_path(b"means", means_fit, prepare_means, run_means)
