"""Nearest: pixels of `sample * inner` bytes are copied."""

cdef path *DOUBLED_COPIES
cdef path *COPIES


cdef bint doubled_copies_fit(const job *j) noexcept:
    return j.copies and j.w.structure.doubled_hi > j.w.structure.doubled_lo


cdef bint is_doubled_copy(const row_taps *t) noexcept nogil:
    return t.doubled_lo == t.doubled_src == 0 and 2 * t.doubled_hi == t.m


cdef int prepare_doubled_copies(Prepared p) except -1:
    cdef job *j = &p.j
    j.make_rows, j.other_rows, j.takes = copy_doubled_rows, copy_rows, is_doubled_copy
    prepare_rows(&p.j)
    if not takes_first(j):
        hand_on(j, COPIES)
    return 1


cdef inline const char *copied_row(const job *j, run_state *s, int64_t d, int64_t y, int64_t *number) noexcept nogil:
    """The input row that output row (d, y) is made of."""
    cdef int64_t z = clip(s.td.first[d - s.td.lo], j.d.n) if j.d.has_pass else d
    cdef int64_t from_ = clip(s.th.first[y - s.th.lo], j.h.n) if j.h.has_pass else y
    number[0] = z * j.h.n + from_
    return source_row(j, s, z, from_)


cdef int64_t copy_doubled_rows(const job *j, run_state *s, int64_t d, int64_t y, int64_t stop, char *row) noexcept nogil:
    cdef int64_t number
    # the next row is of the same input row, more often than not
    cdef bint both = j.h.has_pass and same_rows(&s.th, y, stop)
    ran(DOUBLED_COPIES, 1 + both)
    j.level.copy_doubled(row, row + s.so.h if both else NULL, copied_row(j, s, d, y, &number), s.tile, j.inner * j.sample,
                    s.spare, s.lines)
    return 1 + both


cdef bint copies_fit(const job *j) noexcept:
    return j.copies


cdef int prepare_copies(Prepared p) except -1:
    p.j.make_rows = copy_rows
    prepare_rows(&p.j)
    return 1


cdef int64_t copy_rows(const job *j, run_state *s, int64_t d, int64_t y, int64_t stop, char *row) noexcept nogil:
    cdef int64_t number, size = j.inner * j.sample
    cdef const char *source = copied_row(j, s, d, y, &number)
    cdef char *target = row if s.spare == NULL else s.spare
    ran(COPIES, 1)
    if number != s.copied and s.tile.window != NULL:
        s.tile.window(target, source, s.tile)
    elif number != s.copied:
        j.level.copy(target, source, s.tile, size)
    elif s.spare == NULL:
        memcpy(row, s.previous, s.tile.m * size)
    s.previous, s.copied = row, number
    if s.spare != NULL:
        j.level.stream_row(row, s.spare, s.tile.m * size)
    return 1


DOUBLED_COPIES = add_path(b"doubled copies", doubled_copies_fit, prepare_doubled_copies, run_rows)
COPIES = add_path(b"copied", copies_fit, prepare_copies, run_rows)
