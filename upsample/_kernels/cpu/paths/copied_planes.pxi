"""Nearest of small planes, and gradients that only place samples: a plane is one row of all its pixels, copied by vectors that
know nothing of its rows.
"""

cdef enum:
    COPIED_ROW = 512        # bytes of an output row at the most: longer ones are worth being made one by one
    COPIED_PLANE = 1 << 15  # of an output plane: its tables are as large
    COPIED_PIXEL = 16

cdef path *COPIED_PLANES


cdef inline bint picks(const axis_job *a) noexcept:
    """Whether an output of an axis is one of its inputs, or none: the gradient of a reduction."""
    return not a.has_pass or a.recipe.transposed and a.recipe.filter <= FILTER_NEAREST_EXACT and a.recipe.taps_max <= 1


cdef bint copied_planes_fit(const job *j) noexcept:
    cdef int64_t pixel = j.inner * j.sample, row = j.w.m * pixel
    return ((j.copies or j.acc <= ACC_F64 and picks(&j.d) and picks(&j.h) and picks(&j.w))
            and (j.copies or j.level.copy_plane != NULL) and j.h.m > 1 and j.outer * j.d.m > 1 and pixel <= COPIED_PIXEL
            and row <= COPIED_ROW and row * j.h.m <= COPIED_PLANE and j.w.n * pixel * j.h.n <= 64 * COPIED_PLANE)


cdef inline int64_t picked(const job *j, const axis_job *a, const axis_taps *t, int64_t o) noexcept nogil:
    """The input of an axis that comes to output o, or -1."""
    if not a.has_pass:
        return o
    return clip(t.first[o], a.n) if j.copies or t.count[o] else -1


cdef int prepare_copied_planes(Prepared p) except -1:
    cdef job *j = &p.j
    cdef int64_t outputs = j.h.m * j.w.m, pixel = j.inner * j.sample, o, y, at, row
    cdef int64_t indexes = align64(sizeof(row_taps)) + align64(outputs * sizeof(int32_t))
    cdef int64_t bytes_ = indexes + (j.level.plane_bytes(outputs, pixel) if j.level.copy_plane != NULL else 0)
    cdef int32_t *index
    cdef axis_taps along
    cdef char *memory
    cdef row_taps *t
    j.make_rows = copy_rows if j.copies else sum_rows if j.plain_h else make_any    # where planes are not dense
    prepare_rows(p, align64(bytes_ + 64))
    if j.tiles != 1 or j.tile_taps == NULL or has_no_table(&j.h) or has_no_table(&j.d):
        return 0
    t = <row_taps *>align64(<int64_t>p.spare)
    memset(t, 0, sizeof(row_taps))
    memset(&along, 0, sizeof(axis_taps))
    index = <int32_t *>(<char *>t + align64(sizeof(row_taps)))
    memory = <char *>calloc(axis_table_bytes(&j.w, j.w.m) + 8 * taps_scratch(&j.w.recipe), 1)
    if memory == NULL:
        raise MemoryError(f"no memory for a plane of {outputs} numbers")
    if j.w.has_pass:
        fill_axis(j.level, &j.w, &along, 0, j.w.m, memory, <double *>(memory + axis_table_bytes(&j.w, j.w.m)))
    for y in range(j.h.m):
        row = picked(j, &j.h, &j.h.whole, y)
        for o in range(j.w.m):
            at = picked(j, &j.w, &along, o)
            index[y * j.w.m + o] = -1 if row < 0 or at < 0 else <int32_t>(row * j.w.n + at)
    free(memory)
    t.m, t.n, t.index = outputs, j.h.n * j.w.n, index
    # where the samples of a vector lie far apart, pixel by pixel
    if (j.level.copy_plane == NULL or not j.level.pack_plane(t, pixel, <char *>t + indexes)) and not j.copies:
        return 0
    j.plane = t
    j.units = j.parts = j.outer * j.d.m
    return 1


cdef void run_copied_planes(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                            int64_t unit_lo, int64_t unit_hi) noexcept nogil:
    cdef int64_t pixel = j.inner * j.sample, D = j.d.m, unit, d, z
    cdef char *target
    cdef bint lines
    if (j.h.n > 1 and sx.h != j.w.n * pixel) or so.h != j.w.m * pixel:
        run_rows(j, x, sx, out, so, scratch, unit_lo * j.h.m, unit_hi * j.h.m)
        return
    ran(COPIED_PLANES, unit_hi - unit_lo)
    lines = so.stream and (<int64_t>out | so.outer | so.d | j.plane.m * pixel) & 63 == 0
    for unit in range(unit_lo, unit_hi):
        d = unit % D
        z = picked(j, &j.d, &j.d.whole, d)
        target = out + unit // D * so.outer + d * so.d
        if z < 0:
            memset(target, 0, j.plane.m * pixel)
            continue
        if j.plane.left != NULL:
            j.level.copy_plane(target, x + unit // D * sx.outer + z * sx.d, j.plane, lines)
        else:
            j.level.copy(target, x + unit // D * sx.outer + z * sx.d, j.plane, pixel)
    if lines and j.level.stream_end != NULL:
        j.level.stream_end()


COPIED_PLANES = add_path(b"copied planes", copied_planes_fit, prepare_copied_planes, run_copied_planes)
