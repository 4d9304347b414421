"""Two output rows in one sweep: between two input rows they need the same rows, all but the newest of which are made."""

cdef path *PAIRS
cdef path *STORED_AT_ONCE


cdef pair_fn pair_of(const job *j) noexcept:
    """The level's primitive; a dtype has one for its usual accumulator alone."""
    if j.copies or j.form != FORM_FIXED or j.acc != (
            ACC_F64 if j.dtype == DTYPE_F64 else ACC_U8 if j.dtype == DTYPE_U8 else ACC_F32):
        return NULL
    return j.level.pair[j.dtype][0 if j.w.recipe.taps_max == 2 else 1]


cdef bint pairs_fit(const job *j) noexcept:
    return pair_of(j) != NULL and j.plain_h and j.h.recipe.taps_max == j.w.recipe.taps_max


cdef bint is_paired(const row_taps *t) noexcept nogil:
    return t.pair != PAIR_NONE


cdef bint set_paired_rows(job *j) noexcept:
    """Between which rows pairs are made: bytes are summed by the weights of whole factor 2 alone, which the tile has."""
    cdef const map_structure *h = &j.h.structure
    cdef const row_taps *tile = j.tile_taps
    cdef const short *model
    cdef const short *weights
    cdef int64_t K = j.h.recipe.taps_max, one_w = 1 << j.w.recipe.shift, one_h = 1 << j.h.recipe.shift, i, k, lo
    cdef few_taps t
    j.paired_lo, j.paired_hi = 0, j.h.m
    if j.acc != ACC_U8:
        return True
    if j.tile_taps == NULL or h.doubled_hi == h.doubled_lo:
        return False
    model = <const short *>tile.weights + 2 * tile.doubled_lo
    # between two input rows lies the second row of a pair and the first of the next
    lo = max64(2 * h.doubled_lo - 1, 0)
    look_at(j.level, &j.h, &t, lo, 2 * h.doubled_lo + 2)
    weights = <const short *>t.weights + (2 * h.doubled_lo - lo) * K
    for i in range(2):
        for k in range(K):
            if weights[i * K + k] * one_w != model[k * tile.m + i] * one_h:
                return False
    if t.count[0] != K or memcmp(t.weights, weights + K, 2 * K):
        lo = 2 * h.doubled_lo + 1
    j.paired_lo, j.paired_hi = lo, 2 * h.doubled_hi
    return True


cdef int prepare_pairs(Prepared p) except -1:
    cdef job *j = &p.j
    j.make_rows, j.takes, j.pair = sum_rows, is_paired, pair_of(j)
    prepare_rows(&p.j)
    if not (takes_first(j) and set_paired_rows(j)):
        hand_on(j, ROWS)
    return 1


cdef bint stored_at_once_fits(const job *j) noexcept:
    return (pair_of(j) != NULL and not j.d.has_pass and not j.h.has_pass
            and j.w.structure.doubled_hi > j.w.structure.doubled_lo)


cdef bint is_doubled(const row_taps *t) noexcept nogil:
    return t.pair == PAIR_DOUBLED


cdef int prepare_stored_at_once(Prepared p) except -1:
    cdef job *j = &p.j
    j.make_rows, j.takes, j.pair = store_at_once, is_doubled, pair_of(j)
    prepare_rows(&p.j)
    if not takes_first(j):
        hand_on(j, ANY)
    return 1


cdef int64_t store_at_once(const job *j, run_state *s, int64_t d, int64_t y, int64_t stop, char *row) noexcept nogil:
    ran(STORED_AT_ONCE, 1)
    s.pair(row, NULL, NULL, NULL, source_row(j, s, d, y), s.tile, NULL, NULL, s.spare, s.lines)
    return 1


PAIRS = add_path(b"two rows at once", pairs_fit, prepare_pairs, run_rows, AFTER_W)
STORED_AT_ONCE = add_path(b"stored at once", stored_at_once_fits, prepare_stored_at_once, run_rows, AFTER_W)
