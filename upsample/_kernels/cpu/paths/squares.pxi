"""Two float taps along D and along H: four rows are summed at once, to one or two output rows."""

cdef path *SQUARES


cdef bint squares_fit(const job *j) noexcept:
    return (not j.copies and j.acc <= ACC_F64 and j.d.recipe.taps_max == 2 and j.h.recipe.taps_max == 2
            and j.d.weight_size != 0 and j.h.weight_size != 0 and j.d.recipe.uniform and j.h.recipe.uniform)


cdef int prepare_squares(Prepared p) except -1:
    p.j.make_rows = sum_square
    prepare_rows(&p.j)
    return 1


cdef int64_t sum_square(const job *j, run_state *s, int64_t d, int64_t y, int64_t stop, char *row) noexcept nogil:
    cdef const void *rows[4]
    cdef int64_t at = y - s.th.lo, first = s.td.first[d - s.td.lo], size = 2 * j.h.weight_size, n = s.tile.m * j.inner
    cdef int64_t z0 = clip(first, j.d.n), z1 = clip(first + 1, j.d.n)
    cdef int64_t y0 = clip(s.th.first[at], j.h.n), y1 = clip(s.th.first[at] + 1, j.h.n)
    cdef bint both = j.store == NULL and same_rows(&s.th, y, stop)
    cdef char *target = s.finished if j.store != NULL else row
    ran(SQUARES, 1 + both)
    rows[0], rows[1] = w_row(j, s, z0, y0), w_row(j, s, z0, y1)
    rows[2], rows[3] = w_row(j, s, z1, y0), w_row(j, s, z1, y1)
    j.level.square[j.acc](target, row + s.so.h if both else NULL, rows, s.th.weights + at * size,
                          s.th.weights + (at + both) * size, s.td.weights + (d - s.td.lo) * 2 * j.d.weight_size, n,
                          s.spare if j.store == NULL else NULL, s.lines)
    if j.store != NULL:
        finish_row(j, s, row, target, n)
    return 1 + both


SQUARES = add_path(b"four rows at once", squares_fit, prepare_squares, run_rows, AFTER_W)
