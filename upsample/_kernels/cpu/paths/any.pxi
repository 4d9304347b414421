"""What every job can be made by: rows of the ring, summed along H and then D."""

cdef path *ROWS
cdef path *ANY


cdef bint rows_fit(const job *j) noexcept:
    return j.plain_h


cdef int prepare_sums(Prepared p) except -1:
    p.j.make_rows = sum_rows if p.j.plain_h else make_any
    prepare_rows(&p.j)
    return 1


cdef int64_t sum_rows(const job *j, run_state *s, int64_t d, int64_t y, int64_t stop, char *row) noexcept nogil:
    """Output rows y to stop, with nothing decided per row, two of them at once where the tile has a primitive for that."""
    cdef const void *rows[ROW_GROUP]
    cdef int64_t K = j.h.recipe.taps_max, size = K * j.h.weight_size, last = j.h.n - 1, first, at, slot, k, o = y - s.th.lo
    cdef int64_t mask = j.ring_h - 1, base = d * j.h.n, end = stop - s.th.lo, newest, step = s.so.h, n = s.tile.m * j.inner, paired = 0
    cdef const axis_taps *t = &s.th
    cdef v_fn add = j.level.stream[j.acc] if s.direct else j.h.ops.whole
    cdef pair_fn pair = s.pair
    cdef int64_t paired_lo = j.paired_lo - s.th.lo, paired_hi = min64(end, j.paired_hi - s.th.lo) - 1
    cdef int32_t shift = j.h.recipe.shift, count
    cdef char *target
    cdef char *spare = s.spare_room if s.so.stream else NULL
    while o < end:
        first = t.first[o]
        newest = first + K - 1
        count = at = t.count[o]
        # a newest row 0 would be the row that lower taps are clipped to: in use while it is made
        if pair != NULL and paired_lo <= o < paired_hi and t.first[o + 1] == first and 0 < newest <= last and (
                count == K and t.count[o + 1] == K):
            if s.tags[newest & mask] != base + newest:
                at = K - 1          # the newest row is made on the way
        for k in range(at):
            newest = first + k
            newest = 0 if newest < 0 else last if newest > last else newest
            slot = newest & mask
            rows[k] = s.ring + slot * j.row_bytes
            if s.tags[slot] != base + newest:
                make_ring_row(j, s, d, newest)
        if at < count:
            newest = first + K - 1
            slot = newest & mask
            rows[K - 1] = s.ring + slot * j.row_bytes
            pair(row, row + step, <void *>rows[K - 1], rows, source_row(j, s, d, newest), s.tile, t.weights + o * size,
                 t.weights + (o + 1) * size, spare, s.lines)
            s.tags[slot] = base + newest
            o += 2
            row += 2 * step
            paired += 2
            continue
        target = s.finished if j.store != NULL else s.spare if s.spare != NULL else row
        add(target, rows, t.weights + o * size, n, count, shift)
        finish_row(j, s, row, target, n)
        o += 1
        row += step
    ran(PAIRS, paired)
    ran(ROWS, stop - y - paired)
    return stop - y


cdef bint any_fits(const job *j) noexcept:
    return True


cdef int64_t make_any(const job *j, run_state *s, int64_t d, int64_t y, int64_t stop, char *row) noexcept nogil:
    cdef int64_t n = s.tile.m * j.inner
    cdef char *target = s.finished if j.store != NULL else row if s.spare == NULL else s.spare
    ran(ANY, 1)
    sum_row(j, s, d, y, target, n)
    finish_row(j, s, row, target, n)
    return 1


ROWS = add_path(b"rows", rows_fit, prepare_sums, run_rows, BY_W)
ANY = add_path(b"any", any_fits, prepare_sums, run_rows, BY_W)
