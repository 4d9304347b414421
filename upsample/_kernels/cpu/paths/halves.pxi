"""Means of two by two pixels, and of two by two by two: from two or four input rows at once, and nothing is kept."""

cdef enum:
    HALVES_WIDTH = 6        # outputs along W of many planes at the least: shorter rows are made side by side

cdef path *HALVES


cdef bint halves_fit(const job *j) noexcept:
    return (not j.copies and j.acc in (ACC_F32, ACC_U8) and j.level.halve[j.dtype] != NULL and j.inner <= HALF_CHANNELS
            and (j.w.m >= HALVES_WIDTH or j.outer < PLANES)
            and j.w.structure.halved and j.h.structure.halved and (j.d.structure.halved or not j.d.has_pass)
            and (j.form == FORM_BOX) == (j.h.weight_size == 0)
            and (not j.d.has_pass or (j.form == FORM_BOX) == (j.d.weight_size == 0)))


cdef int prepare_halves(Prepared p) except -1:
    p.j.make_rows, p.j.no_ring = halve_rows, True
    prepare_rows(&p.j)
    return 1


cdef int64_t halve_rows(const job *j, run_state *s, int64_t d, int64_t y, int64_t stop, char *row) noexcept nogil:
    cdef const void *rows[4]
    cdef int64_t o, k, z = 2 * d if j.d.has_pass else d
    cdef int planes = 2 if j.d.has_pass else 1
    # integers whose sums are made in float32 are rounded once, whether by weights or not
    cdef bint box = j.form == FORM_BOX or j.load != NULL
    cdef halve_fn halve = j.level.halve[j.dtype]
    ran(HALVES, stop - y)
    for o in range(y, stop):
        for k in range(planes):
            rows[2 * k] = source_row(j, s, z + k, 2 * o)
            rows[2 * k + 1] = source_row(j, s, z + k, 2 * o + 1)
        if s.spare == NULL or s.lines:
            halve(row, rows, 2 * planes, s.tile, box, s.spare != NULL)
        else:
            halve(s.spare, rows, 2 * planes, s.tile, box, False)
            j.level.stream_row(row, s.spare, s.tile.m * j.inner * j.sample)
        row += s.so.h
    return stop - y


HALVES = add_path(b"means of two by two", halves_fit, prepare_halves, run_rows)
