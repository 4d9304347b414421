"""Nearest of small planes, and gradients that only place samples: a plane is one row of all its pixels, copied by vectors that
know nothing of its rows.  Planes of less than a few vectors are copied several at a time.
"""

cdef enum:
    COPIED_ROW = 512        # bytes of an output row at the most: longer ones are worth being made one by one
    COPIED_PLANE = 1 << 15  # of an output plane: its tables are as large
    COPIED_PIXEL = 16
    COPIED_AT_ONCE = 1024   # bytes of output, of several planes

cdef path *COPIED_PLANES


cdef inline bint picks(const axis_job *a) noexcept:
    """Whether an output of an axis is one of its inputs, or none: the gradient of a reduction."""
    return not a.has_pass or a.recipe.transposed and a.recipe.filter <= FILTER_NEAREST_EXACT and a.recipe.taps_max <= 1


cdef bint copied_planes_fit(const job *j) noexcept:
    cdef int64_t pixel = j.inner * j.sample, row = j.w.m * pixel
    return ((j.copies or j.acc <= ACC_F64 and picks(&j.d) and picks(&j.h) and picks(&j.w))
            and (j.copies or j.level.copy_plane != NULL) and j.outer * j.d.m > 1 and pixel <= COPIED_PIXEL
            and (j.h.m > 1 or row < COPIED_AT_ONCE // 4)
            and row <= COPIED_ROW and row * j.h.m <= COPIED_PLANE and j.w.n * pixel <= 2 * COPIED_PLANE
            and j.w.n * pixel * j.h.n <= 64 * COPIED_PLANE and keeps_table(&j.d))


cdef inline int64_t picked(const job *j, const axis_job *a, const axis_taps *t, int64_t o) noexcept nogil:
    """The input of an axis that comes to output o, or -1."""
    if not a.has_pass:
        return o
    return clip(t.first[o], a.n) if j.copies or t.count[o] else -1


cdef char *keep_plane(Prepared p, int64_t inputs, int64_t more, int64_t at_once=1) except NULL:
    """Make room for the table of a plane, or of several as one, of pixels that are copied from so many each; and for so many
    bytes that are returned, zero.
    """
    cdef job *j = &p.j
    cdef int64_t outputs = at_once * j.h.m * j.w.m, pixel = j.inner * j.sample
    cdef int64_t indexes = align64(sizeof(row_taps)) + align64(outputs * sizeof(int32_t))
    cdef int64_t bytes_ = align64(indexes + (
        j.level.plane_bytes(outputs, pixel) if j.level.copy_plane != NULL and pixel <= COPIED_PIXEL else 0))
    cdef row_taps *t
    p.j.own = <char *>calloc(bytes_ + more + 64, 1)
    if p.j.own == NULL:
        raise MemoryError(f"no memory for a plane of {outputs} numbers")
    count_bytes(j, bytes_ + more)
    t = <row_taps *>align64(<int64_t>p.j.own)
    t.m, t.n, t.index = outputs, at_once * inputs, <int32_t *>(<char *>t + align64(sizeof(row_taps)))
    j.plane_row = t
    return <char *>t + bytes_


cdef void forget_plane(Prepared p) noexcept:
    count_bytes(&p.j, -p.j.kept_bytes)
    free(p.j.own)
    p.j.own = NULL
    p.j.plane_row = NULL
    p.j.few = NULL


cdef bint pack_pixels(job *j, const int64_t *rows, const int64_t *columns, int64_t height, int64_t width) noexcept:
    """Fill the table of planes, where output row y comes from row rows[y] (-1: from none) of `height` rows of `width` pixels,
    and columns likewise; whether vectors hold what lies together.
    """
    cdef row_taps *t = <row_taps *>j.plane_row
    cdef int32_t *index = <int32_t *>t.index
    cdef int64_t y, o, first, plane
    for plane in range(t.m // (j.h.m * j.w.m)):
        first = plane * height * width
        for y in range(j.h.m):
            for o in range(j.w.m):
                index[0] = -1 if rows[y] < 0 or columns[o] < 0 else <int32_t>(first + rows[y] * width + columns[o])
                index += 1
    index = <int32_t *>t.index
    return (j.level.copy_plane != NULL and j.inner * j.sample <= COPIED_PIXEL
            and j.level.pack_plane(t, j.inner * j.sample, <char *>(index + ((t.m + 15) & ~15))))


cdef inline void copy_pixels(const job *j, char *target, const char *source, bint lines) noexcept nogil:
    """A plane by its table; what does not lie together, pixel by pixel."""
    if j.plane_row.left != NULL:
        j.level.copy_plane(target, source, j.plane_row, lines)
    else:
        j.level.copy(target, source, j.plane_row, j.inner * j.sample)


cdef int prepare_copied_planes(Prepared p) except -1:
    cdef job *j = &p.j
    cdef const axis_job *axes[2]
    cdef int64_t *taken[2]
    cdef int64_t tables = max64(axis_table_bytes(&j.w, j.w.m), axis_table_bytes(&j.h, j.h.m)), o, k
    cdef int64_t bytes_ = align64(j.w.m * sizeof(int64_t)) + align64(j.h.m * sizeof(int64_t))
    cdef axis_taps t
    cdef int64_t plane = j.h.m * j.w.m * j.inner * j.sample, at_once = 1 if j.d.m > 1 or j.d.n > 1 else max64(
        1, min64(j.outer, COPIED_AT_ONCE // max64(plane, j.h.n * j.w.n * j.inner * j.sample)))
    cdef char *memory = keep_plane(p, j.h.n * j.w.n, bytes_ + tables + 8 * max64(
        taps_scratch(&j.w.recipe), taps_scratch(&j.h.recipe)), at_once)
    axes[0], axes[1] = &j.h, &j.w
    taken[0], taken[1] = <int64_t *>memory, <int64_t *>(memory + align64(j.h.m * sizeof(int64_t)))
    for k in range(2):
        if axes[k].has_pass:
            fill_axis(j.level, axes[k], &t, 0, axes[k].m, memory + bytes_, <double *>(memory + bytes_ + tables))
        for o in range(axes[k].m):
            taken[k][o] = picked(j, axes[k], &t, o)
    if not pack_pixels(j, taken[0], taken[1], j.h.n, j.w.n) and not j.copies:
        forget_plane(p)
        return 0
    j.make_rows = copy_rows if j.copies else sum_rows if j.plain_h else make_any    # where planes are not dense
    prepare_rows(&p.j)
    j.units = j.most_parts = (j.outer * j.d.m + at_once - 1) // at_once
    return 1


cdef void run_copied_planes(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                            int64_t unit_lo, int64_t unit_hi) noexcept nogil:
    cdef int64_t pixel = j.inner * j.sample, D = j.d.m, plane = j.h.m * j.w.m, at_once = j.plane_row.m // plane, d, z
    cdef int64_t first = unit_lo * at_once, stop = min64(unit_hi * at_once, j.outer * D)
    cdef char *target
    cdef bint lines
    if not planes_dense(j, sx, so) or (at_once > 1 and (
            sx.outer != j.h.n * j.w.n * pixel or so.outer != plane * pixel)):
        run_rows_of_planes(j, x, sx, out, so, scratch, first, stop)
        return
    ran(COPIED_PLANES, stop - first)
    lines = so.stream and j.plane_row.left != NULL and (
        <int64_t>out | so.outer * at_once | so.d | j.plane_row.m * pixel) & 63 == 0
    while first + at_once <= stop:
        d = first % D
        z = picked(j, &j.d, &j.d.whole, d)
        target = out + first // D * so.outer + d * so.d
        if z < 0:
            memset(target, 0, j.plane_row.m * pixel)
        else:
            copy_pixels(j, target, x + first // D * sx.outer + z * sx.d, lines)
        first += at_once
    if lines:
        j.level.stream_end()
    if first < stop:
        # fewer planes than the table is for: pixel by pixel, since vectors would read further
        run_rows_of_planes(j, x, sx, out, so, scratch, first, stop)


COPIED_PLANES = add_path(b"copied planes", copied_planes_fit, prepare_copied_planes, run_copied_planes)
