"""Preparing a job: everything that is decided before samples are seen."""

cdef bint may_keep(int64_t bytes_) noexcept:
    """Whether tables of so many bytes are kept; those that are made in no time always are.

    The limit is not exact: threads that ask at once may pass it together.
    """
    return bytes_ < SMALL_TABLE or (bytes_ <= TABLE_BYTES and add_tables(0) + bytes_ <= TABLES_BYTES)


cdef void count_bytes(job *j, int64_t bytes_) noexcept:
    """Put memory on the job's account, which all jobs together have."""
    j.kept_bytes += bytes_
    add_tables(bytes_)


cdef int set_axis(const row_table *level, axis_job *a, AxisMap m, int64_t n) except -1:
    a.has_pass = m is not None
    a.n = a.m = n
    if m is not None:
        a.recipe = m.recipe
        a.n, a.m = m.n, m.m
        a.weight_size = weight_bytes(&a.recipe)
        a.block = max64(1, min64(TABLE_OUTPUTS, TABLE_WEIGHTS // a.recipe.taps_max))
        if a.block < a.m:
            a.block = max64(1, min64(1024, 65536 // a.recipe.taps_max))
    return find_structure(level, a)


cdef object set_sums(job *j, str dtype, maps):
    """What passes work on; or the reason why they cannot."""
    cdef AxisMap m
    cdef const row_table *level = j.level
    present = [m for m in maps if m is not None]
    j.copies = all(m.is_copy for m in present)
    if j.copies:
        j.form = FORM_FIXED
        j.stored = j.sum_size = j.sample
        return None
    accs = {m.acc for m in present}
    if len(accs) != 1 or dtype not in DTYPES:
        return f"its passes sum in different types ({', '.join(sorted(accs))}) or the dtype {dtype} is none it sums"
    acc = accs.pop()
    j.dtype = DTYPES[dtype]
    if acc == "int32":
        if dtype not in ("uint8", "int8"):
            return f"integer weights need uint8 or int8, got {dtype}"
        j.acc = ACC_U8 if dtype == "uint8" else ACC_I8
        j.stored, j.sum_size = 1, 4
    else:
        j.acc = ACC_F32 if acc == "float32" else ACC_F64
        j.stored = j.sum_size = 4 if acc == "float32" else 8
        if dtype != acc:
            if j.dtype == DTYPE_F64:
                return "float64 samples with float32 sums"
            j.load, j.store = level.load[j.dtype][j.acc], level.store[j.dtype][j.acc]
    if not j.w.has_pass:
        j.form = FORM_WIDE      # no row is summed: nothing along W may be recognised
    elif j.w.weight_size == 0:
        j.form = FORM_BOX
    elif j.w.recipe.taps_max in (2, 4) and (j.acc >= ACC_U8 or j.w.recipe.uniform):
        j.form = FORM_FIXED
    else:
        j.form = FORM_WIDE
    j.plain_h = j.h.has_pass and not j.d.has_pass and j.h.weight_size != 0 and j.h.recipe.taps_max <= ROW_GROUP
    j.h.ops = level.v[j.acc][0 if j.h.weight_size else 1]
    j.d.ops = level.v[j.acc][0 if j.d.weight_size else 1]
    return None


cdef int64_t used_inputs(const axis_job *a) noexcept:
    """At most so many inputs of an axis are taps."""
    return min64(a.n, a.m * max64(1, a.recipe.taps_max)) if a.has_pass else a.n


cdef int64_t cost_of(const job *j) noexcept:
    """Measured on AVX-512, within a factor of two: 0.05 ns for a byte of the larger side, and 0.02 for a tap of a pass."""
    cdef int64_t d = used_inputs(&j.d), h = used_inputs(&j.h), made = j.d.m * j.h.m * j.w.m
    cdef int64_t cost = max64(d * h * used_inputs(&j.w), made) * j.sample // 20
    if not j.copies:
        cost += (d * h * j.w.m * j.w.recipe.taps_max + d * j.h.m * j.w.m * j.h.recipe.taps_max + made * j.d.recipe.taps_max) // 50
    return cost * j.outer * j.inner


cdef int set_ring(job *j) except -1:
    """Tiles of W, and a ring of enough rows for the taps, a power of two of them, within the cache where it can be."""
    cdef int64_t outer = j.outer, inner = j.inner, samples = TILE_SAMPLES, at, K = max64(1, j.w.recipe.taps_max)
    cdef bint ring = not j.no_ring
    if not j.copies and groups_gain(j):
        j.group, j.group_rows = j.level.group[j.acc], j.level.group_rows[j.acc]
    cdef int64_t ahead = j.group_rows - 1 if j.group != NULL else 0
    j.ring_h = power_of_two(j.h.recipe.taps_max + ahead) if j.h.has_pass and ring else 1
    j.ring_d = power_of_two(j.d.recipe.taps_max) if j.d.has_pass and ring else 1
    if not j.copies:
        samples = max64(1024, min64(TILE_SAMPLES, 2 * RING_BYTES // (j.ring_h * j.ring_d * j.stored)))
    j.tile = max64(1, min64(j.w.m, samples // inner))
    j.tile = max64(1, min64(j.tile, TABLE_WEIGHTS // K))
    if j.w.n > j.w.m:           # a reduction reads more than it writes: bound the loaded row as well
        j.tile = max64(1, min64(j.tile, <int64_t>((<double>(4 * TILE_SAMPLES) / inner) * j.w.m / j.w.n)))
    if j.pair != NULL and j.acc == ACC_F32 and j.plain_h and inner <= PACK_CHANNELS and (
            j.w.structure.doubled_hi == j.w.structure.doubled_lo):
        # whole cache lines; rows that stay in the cache gain only where they are longer still
        at = (j.w.m * inner + WINDOW_SAMPLES // 2) // WINDOW_SAMPLES
        if at > (2 if j.streams else 3):
            j.tile = min64(j.tile, ((j.w.m + at - 1) // at + 31) & ~31)
    if j.group != NULL:
        j.tile = max64(1, min64(j.tile, <int64_t>((<double>GROUP_SAMPLES / inner) * j.w.m / j.w.n)))
    if j.tile < j.w.m and j.tile > 1:
        j.tile -= j.tile % 2
    if not j.copies and K > LONG_TAPS:
        j.long_taps = True
        j.tile = 1
    if j.w.has_pass and j.w.m * inner > TILE_SAMPLES and not j.long_taps:
        find_repeat(j)
    j.tiles = (j.w.m + j.tile - 1) // j.tile
    j.row_bytes = align64(j.tile * inner * j.stored) + 64
    at = 8 * RING_BYTES
    while j.ring_h > ROW_GROUP and j.ring_h * j.ring_d * j.row_bytes > at:
        j.ring_h //= 2
    while j.ring_d > ROW_GROUP and j.ring_h * j.ring_d * j.row_bytes > at:
        j.ring_d //= 2
    if j.ring_h < j.h.recipe.taps_max + ahead:
        j.group, ahead = NULL, 0
    j.band = j.h.m
    if j.d.has_pass and ring:
        # keep the rows of a whole band of H for the next output plane
        while j.ring_h < j.h.n and 2 * j.ring_h * j.ring_d * j.row_bytes <= RING_BYTES:
            j.ring_h *= 2
        if j.ring_h < j.h.n:
            j.band = max64(1, min64(j.h.m, (j.ring_h - j.h.recipe.taps_max - ahead) * j.h.m // j.h.n if j.h.has_pass
                                    else j.ring_h))
    j.units = outer * j.tiles * j.d.m * j.h.m
    # a part begins with an empty ring: rows of H and planes of D that its first units share with those before
    cdef int64_t anew = 1
    if j.h.has_pass and ring:
        anew = 1 + (j.h.recipe.taps_max + ahead) * j.h.m // j.h.n
    if j.d.has_pass and ring:
        anew += j.d.recipe.taps_max * j.d.m // j.d.n * min64(j.band, j.h.m)
    j.most_parts = max64(1, j.units // (PART_COST * anew))
    return 0


cdef int keep_tables(job *j) except -1:
    """Make the tables that are kept: of D and H where they are short, and of all tiles where they are not too large."""
    cdef axis_job *axes[2]
    cdef int64_t t, k, at, bytes_ = 0, tables = table_of(j, j.tiles - 1) + 1
    cdef int64_t place[2]
    cdef bint keep_w = not j.long_taps and tables < TABLE_BYTES and may_keep(tables * row_table_bytes(j, j.tile))
    axes[0], axes[1] = &j.d, &j.h
    if not keep_w:
        j.repeat = 0
    for k in range(2):
        place[k] = -1
        if axes[k].has_pass and keeps_table(axes[k]):
            place[k] = bytes_
            bytes_ += axis_table_bytes(axes[k], axes[k].m)
    at = bytes_
    if keep_w:
        bytes_ += align64(tables * sizeof(row_taps)) + tables * row_table_bytes(j, j.tile)
    j.build_bytes = align64(8 * max64(taps_scratch(&j.d.recipe), max64(
        taps_scratch(&j.h.recipe), PART_SAMPLES if j.long_taps else taps_scratch(&j.w.recipe))))
    j.tables = <char *>malloc(bytes_ + j.build_bytes + 64)
    if j.tables == NULL:
        raise MemoryError(f"no memory for tables of {bytes_} bytes")
    count_bytes(j, bytes_ + j.build_bytes)
    cdef char *base = <char *>align64(<int64_t>j.tables)
    cdef double *build = <double *>(base + bytes_)
    memset(build, 0, j.build_bytes)
    for k in range(2):
        if place[k] >= 0:
            fill_axis(j.level, axes[k], &axes[k].whole, 0, axes[k].m, base + place[k], build)
    if not keep_w:
        return 0
    j.tile_taps = <row_taps *>(base + at)
    at += align64(tables * sizeof(row_taps))
    for t in range(j.tiles):
        if j.repeat and j.repeat_lo < t < j.repeat_hi:
            continue
        fill_row(j, &j.tile_taps[table_of(j, t)], t * j.tile, min64((t + 1) * j.tile, j.w.m), base + at, build)
        at += row_table_bytes(j, j.tile)
    return 0


cdef int64_t longest_tile(const job *j) noexcept:
    """Inputs of a tile at the most."""
    cdef int64_t longest = 0, t, K = max64(1, j.w.recipe.taps_max)
    if j.tile_taps != NULL:
        for t in range(table_of(j, j.tiles - 1) + 1):
            longest = max64(longest, j.tile_taps[t].n)
        return longest
    longest = min64(j.w.n, <int64_t>(<double>j.tile * j.w.n / j.w.m) + 2 * K + 8)
    if j.w.recipe.scale > 0 and not j.w.recipe.transposed:
        longest = min64(j.w.n, max64(longest, <int64_t>(j.tile / j.w.recipe.scale) + 2 * K + 8))
    return longest


cdef int prepare_rows(job *j) except -1:
    """A job of rows: its ring, tiles, tables and scratch.  No path refuses after that; it may hand the rows on."""
    cdef run_state s
    if j.other_rows == NULL:
        j.other_rows = sum_rows if j.plain_h else make_any
    set_ring(j)
    keep_tables(j)
    if j.load != NULL and j.long_taps:
        j.line_bytes = align64(max64(PART_SAMPLES, 2 * j.inner) * j.stored)
    elif j.load != NULL:
        j.line_bytes = align64(longest_tile(j) * j.inner * j.stored)
    if j.group != NULL:
        j.group_bytes = j.level.group_bytes(j.acc, longest_tile(j) * j.inner)
    # (the passes of a plan are adjoints all or none, and only those know sums)
    j.build_zero = (j.w.recipe.transposed or j.h.recipe.transposed or j.d.recipe.transposed) and (
        j.tile_taps == NULL or has_no_table(&j.d) or has_no_table(&j.h))
    # streamed sums of rows of floats need no row aside
    j.direct = not j.copies and (j.make_rows == sum_rows or j.make_rows == make_any) and (
        j.store == NULL and j.level.stream[j.acc] != NULL) and (
        j.d.weight_size != 0 if j.d.has_pass else j.h.has_pass and j.h.weight_size != 0)
    j.scratch_bytes = lay_out(j, &s, NULL)
    return 0


cdef bint takes_first(const job *j) noexcept:
    """Whether the path takes the first tile; where its table is not kept, each run sees by itself."""
    return j.tile_taps == NULL or j.takes(&j.tile_taps[0])


cdef inline void hand_on(job *j, path *to) noexcept:
    """All rows are those that another path makes of no tile in particular."""
    j.made_by, j.make_rows, j.takes, j.pair = to, j.other_rows, NULL, NULL


cdef job *stage(Prepared p) except NULL:
    """A prepared job as a part of another, which owns it from then on."""
    cdef job *j = <job *>malloc(sizeof(job))
    if j == NULL:
        raise MemoryError("no memory for a job")
    take_job(p, j)
    return j


def prepare(str dtype, int64_t sample, int64_t outer, int64_t inner, sizes, maps):
    """A job on (outer, D, H, W, inner): `sizes` are the input's D, H, W, `maps` their maps or None.

    Copies need a map of W: that of every sample to itself will do.

    Returns a reason instead where the maps cannot be run together.
    """
    cdef Prepared p = Prepared()
    cdef job *j = &p.j
    cdef int at
    j.level, j.outer, j.inner, j.sample = LEVEL, outer, inner, sample
    set_axis(LEVEL, &j.d, maps[0], sizes[0])
    set_axis(LEVEL, &j.h, maps[1], sizes[1])
    set_axis(LEVEL, &j.w, maps[2], sizes[2])
    reason = set_sums(j, dtype, maps)
    if reason is not None:
        return reason
    p.problem = (dtype, sizes, maps)
    j.no_ring = j.copies
    j.cost = cost_of(j)
    j.streams = outer * j.d.m * j.h.m * j.w.m * inner * sample >= STREAM_BYTES
    for at in range(path_count):
        if paths[at].fits(j):
            j.made_by = &paths[at]
            if j.made_by.prepare(p):
                break
            assert j.tables == NULL == j.own and j.stage[0] == NULL and j.kept_bytes == 0, j.made_by.name
    return p
