"""Tall narrow planes: a plane is transposed, its few columns are summed as rows along W, then each made along H as a row of
its own, and transposed back.  In memory's order every row of a few samples would cost as much as one of a hundred.
"""

cdef enum:
    COLUMNS_WIDTH = 64      # inputs and outputs along W at the most
    COLUMNS_PAIRED = 28     # outputs, where pairs of rows of floats could be made instead
    COLUMNS_HEIGHT = 64     # along H at the least
    COLUMNS_BYTES = 1 << 20     # of a plane between passes, such that it stays in the second cache

cdef path *COLUMNS


# What a plane takes in memory as it goes through the passes: bytes of a column before and after the H pass, and of all.
cdef struct columns_bytes:
    int64_t before, after, loaded, summed, made, row_group


cdef inline columns_bytes bytes_of_columns(const job *j) noexcept nogil:
    cdef columns_bytes b
    # groups of PLANES rows are transposed whole; an odd number of lines keeps columns apart in the cache
    b.before = (align64((j.h.n + PLANES) * j.stored) | 64)
    b.after = (align64((j.h.m + PLANES) * j.stored) | 64)
    b.loaded, b.summed, b.made = j.w.n * b.before, j.w.m * b.before, j.w.m * b.after
    b.row_group = align64(PLANES * max64(j.w.n, j.w.m) * j.stored)
    return b


cdef bint columns_fit(const job *j) noexcept:
    """Planes side by side are faster where there are enough, but for bytes, which are summed in pairs of neighbours; and rows
    of which the level has no windows are made one by one either way.
    """
    cdef columns_bytes b = bytes_of_columns(j)
    if j.level.pack_bytes(j.acc, j.h.recipe.taps_max, j.h.m) == 0:
        return False
    if j.acc < ACC_U8 and (planes_fit(j) or (pairs_fit(j) and j.w.m > COLUMNS_PAIRED)):
        return False
    return (not j.copies and j.inner == 1 and j.w.has_pass and j.h.has_pass and not j.d.has_pass and j.d.n == 1
            and max64(j.w.n, j.w.m) <= COLUMNS_WIDTH and min64(j.h.n, j.h.m) >= COLUMNS_HEIGHT
            and b.loaded + b.summed + b.made <= COLUMNS_BYTES)


cdef int prepare_columns(Prepared p) except -1:
    cdef job *j = &p.j
    cdef columns_bytes b = bytes_of_columns(j)
    cdef str dtype = p.problem[0] if j.acc >= ACC_U8 else "float32" if j.acc == ACC_F32 else "float64"
    sizes, maps = p.problem[1], p.problem[2]
    if maps[2].is_copy:
        return 0        # rows of copies alone have tables along W
    cdef Prepared along_w = prepare(dtype, j.stored, 1, 1, (1, j.w.n, j.h.n), (None, maps[2], None))
    cdef Prepared along_h = prepare(dtype, j.stored, j.w.m, 1, (1, 1, j.h.n), (None, None, maps[1]))
    j.stage[0] = stage(along_w)
    j.stage[1] = stage(along_h)
    j.units = j.most_parts = j.outer
    j.scratch_bytes = b.loaded + b.summed + b.made + b.row_group + max64(j.stage[0].scratch_bytes, j.stage[1].scratch_bytes)
    return 1


cdef void run_columns(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                      int64_t unit_lo, int64_t unit_hi) noexcept nogil:
    cdef const job *along_w = j.stage[0]
    cdef const job *along_h = j.stage[1]
    cdef columns_bytes b = bytes_of_columns(j)
    cdef char *loaded = scratch
    cdef char *summed = loaded + b.loaded
    cdef char *made = summed + b.summed
    cdef char *rows = made + b.made
    cdef char *rest = rows + b.row_group
    cdef planes_in_fn transpose = j.level.planes_in[size_number(j.stored)]
    cdef planes_out_fn transpose_back = j.level.planes_out[size_number(j.stored)]
    cdef int64_t unit, g, y, k, row = j.w.n * j.stored
    cdef const char *source
    cdef char *target
    cdef int count
    cdef strides3 s_loaded, s_summed, s_made
    s_loaded.d = s_summed.d = s_made.d = s_loaded.outer = s_made.h = 0
    s_loaded.stream = s_summed.stream = s_made.stream = False
    s_loaded.h = s_summed.h = s_summed.outer = b.before
    s_made.outer = b.after
    ran(COLUMNS, unit_hi - unit_lo)
    for unit in range(unit_lo, unit_hi):
        for g in range((j.h.n + PLANES - 1) // PLANES):
            y = g * PLANES
            count = <int>min64(PLANES, j.h.n - y)
            source = x + unit * sx.outer + y * sx.h
            if j.load != NULL:
                if sx.h == j.w.n * j.sample:
                    j.load(rows, source, count * j.w.n)
                else:
                    for k in range(count):
                        j.load(rows + k * row, source + k * sx.h, j.w.n)
                source = rows
            transpose(loaded + y * j.stored, b.before, source, sx.h if j.load == NULL else row, j.w.n, count)
        execute(along_w, loaded, &s_loaded, summed, &s_summed, rest, 0, along_w.units)
        execute(along_h, summed, &s_summed, made, &s_made, rest, 0, along_h.units)
        row = j.w.m * j.stored
        for g in range((j.h.m + PLANES - 1) // PLANES):
            y = g * PLANES
            count = <int>min64(PLANES, j.h.m - y)
            target = out + unit * so.outer + y * so.h
            transpose_back(target if j.store == NULL else rows, so.h if j.store == NULL else row, made + y * j.stored,
                           b.after, j.w.m, count)
            if j.store == NULL:
                continue
            if so.h == j.w.m * j.sample:
                j.store(target, rows, count * j.w.m)
            else:
                for k in range(count):
                    j.store(target + k * so.h, rows + k * row, j.w.m)
        row = j.w.n * j.stored


COLUMNS = add_path(b"columns as rows", columns_fit, prepare_columns, run_columns)
