"""Two by two pixels of many channels are summed as they lie: rows of so many would leave the cache between two passes."""

cdef enum:
    DIRECT_CHANNELS = 16

cdef path *PIXELS


cdef bint pixels_fit(const job *j) noexcept:
    return (j.form == FORM_FIXED and not j.copies and j.acc <= ACC_F64 and j.load == NULL and not j.d.has_pass
            and j.h.recipe.taps_max == 2 and j.h.weight_size != 0 and j.h.recipe.uniform and j.w.recipe.taps_max == 2
            and j.inner >= DIRECT_CHANNELS)


cdef int prepare_pixels(Prepared p) except -1:
    p.j.make_rows, p.j.no_ring = sum_pixels, True
    prepare_rows(&p.j)
    return 1


cdef int64_t sum_pixels(const job *j, run_state *s, int64_t d, int64_t y, int64_t stop, char *row) noexcept nogil:
    cdef int64_t at = y - s.th.lo, size = 2 * j.h.weight_size
    cdef const char *base = source_row(j, s, d, 0)
    cdef bint both = same_rows(&s.th, y, stop)
    ran(PIXELS, 1 + both)
    j.level.pixels[j.acc](row, row + s.so.h if both else NULL, base + clip(s.th.first[at], j.h.n) * s.sx.h,
                          base + clip(s.th.first[at] + 1, j.h.n) * s.sx.h, s.tile, s.th.weights + at * size,
                          s.th.weights + (at + both) * size, s.spare, s.lines)
    return 1 + both


PIXELS = add_path(b"pixels, two rows at once", pixels_fit, prepare_pixels, run_rows)
