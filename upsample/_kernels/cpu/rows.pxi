"""Output rows by way of a ring: what every path that makes rows is built from, and the walk over the units of a job.

An input row is loaded (converted), resampled along W into a ring of processed rows, rows of the ring are summed along H,
those sums along D, and the result is stored.  A ring slot is tagged with the input row that it holds, so rows are made
when first needed and kept while they may be needed again.  A unit is one output row of one tile of W; units are numbered
tile, outer, band of H, D, H.
"""

cdef inline char *take(uintptr_t *arena, int64_t bytes_) noexcept nogil:
    cdef uintptr_t at = arena[0]
    arena[0] += align64(bytes_)
    return <char *>at


cdef int64_t lay_out(const job *j, run_state *s, char *scratch) noexcept nogil:
    """Give every use of scratch its place: how many bytes there are in all."""
    cdef uintptr_t start = <uintptr_t>scratch, arena = start
    cdef int64_t sums = j.row_bytes // j.stored * j.sum_size
    cdef bint tables = j.long_taps or j.tile_taps == NULL
    s.ring = take(&arena, 0 if j.no_ring else j.ring_d * j.ring_h * j.row_bytes)
    s.tags = <int64_t *>take(&arena, 8 * j.ring_d * j.ring_h)
    s.line = take(&arena, j.line_bytes * (j.group_rows if j.group != NULL else 1))
    s.group = take(&arena, j.group_bytes)
    s.h_sums = take(&arena, min64(j.d.recipe.taps_max, ROW_GROUP) * j.row_bytes if (
        j.d.has_pass and j.h.has_pass and not j.no_ring) else 0)
    s.sum = take(&arena, sums if j.h.recipe.taps_max > ROW_GROUP and not j.no_ring else 0)
    s.plane_sum = take(&arena, sums if j.d.recipe.taps_max > ROW_GROUP and not j.no_ring else 0)
    s.long_sum = take(&arena, j.inner * j.sum_size if j.long_taps else 0)
    s.finished = take(&arena, j.row_bytes if j.store != NULL else 0)
    s.spare_room = take(&arena, 2 * align64(j.tile * j.inner * j.sample) + 64 if j.streams else 0)
    s.d_table = s.h_table = s.w_table = NULL
    if has_no_table(&j.d):
        s.d_table = take(&arena, axis_table_bytes(&j.d, j.d.block))
        tables = True
    if has_no_table(&j.h):
        s.h_table = take(&arena, axis_table_bytes(&j.h, j.h.block))
        tables = True
    if j.long_taps:
        s.w_table = take(&arena, PART_SAMPLES * 8)
    elif j.tile_taps == NULL:
        s.w_table = take(&arena, row_table_bytes(j, j.tile))
    s.build = <double *>take(&arena, j.build_bytes if tables else 0)
    return arena - start


cdef void may_stream(job *j) noexcept:
    """Make room for rows that are finished aside."""
    cdef run_state s
    if j.tiles and not j.streams:       # else no rows were prepared
        j.streams = True
        j.scratch_bytes = max64(j.scratch_bytes, lay_out(j, &s, NULL))


cdef inline int64_t table_of(const job *j, int64_t tile) noexcept nogil:
    """The number of a tile's table among those that are kept."""
    if j.repeat == 0 or tile < j.repeat_lo:
        return tile
    return j.repeat_lo if tile < j.repeat_hi else tile - (j.repeat_hi - 1 - j.repeat_lo)


cdef inline const char *w_row(const job *j, run_state *s, int64_t z, int64_t y) noexcept nogil:
    """The row (z, y) resampled along W: from the ring, or made now."""
    cdef int64_t slot = (z & (j.ring_d - 1)) * j.ring_h + (y & (j.ring_h - 1))
    if s.tags[slot] != z * j.h.n + y:
        make_ring_row(j, s, z, y)
    return s.ring + slot * j.row_bytes


cdef inline void make_ring_row(const job *j, run_state *s, int64_t z, int64_t y) noexcept nogil:
    cdef int64_t slot = (z & (j.ring_d - 1)) * j.ring_h + (y & (j.ring_h - 1))
    if s.tile.grouped:
        make_group(j, s, z, y)
        return
    make_row(j, s, s.ring + slot * j.row_bytes, z, y)
    s.tags[slot] = z * j.h.n + y


cdef void make_group(const job *j, run_state *s, int64_t z, int64_t y) noexcept nogil:
    """Rows from (z, y) on: those that come next will be wanted next."""
    cdef void *made[ROW_GROUP]
    cdef const void *source[ROW_GROUP]
    cdef int64_t base = (z & (j.ring_d - 1)) * j.ring_h, slot, k, at
    for k in range(j.group_rows):
        at = min64(y + k, j.h.n - 1)        # past the last row the last one again
        slot = base + (at & (j.ring_h - 1))
        made[k] = s.ring + slot * j.row_bytes
        source[k] = source_row(j, s, z, at)
        if j.load != NULL:
            j.load(s.line + k * j.line_bytes, source[k], s.tile.n * j.inner)
            source[k] = s.line + k * j.line_bytes
        s.tags[slot] = z * j.h.n + at
    j.group(made, source, s.tile, s.group)


cdef inline const char *source_row(const job *j, run_state *s, int64_t z, int64_t y) noexcept nogil:
    return s.x + z * s.sx.d + y * s.sx.h + s.tile.src * j.inner * j.sample


cdef inline void make_row(const job *j, run_state *s, char *row, int64_t z, int64_t y) noexcept nogil:
    cdef const row_taps *t = s.tile
    if j.long_taps:
        make_long_row(j, s, row, z, y)
        return
    cdef const char *src = source_row(j, s, z, y)
    if not j.w.has_pass:
        if j.load != NULL:
            j.load(row, src, t.n * j.inner)
        else:
            memcpy(row, src, t.n * j.inner * j.sample)
        return
    if j.load != NULL:
        j.load(s.line, src, t.n * j.inner)
        src = s.line
    if t.window != NULL:
        t.window(row, src, t)
    else:
        j.level.h[j.acc][FORM_DOUBLED if t.doubled_hi > t.doubled_lo else j.form](row, src, t)


cdef void make_long_row(const job *j, run_state *s, char *row, int64_t z, int64_t y) noexcept nogil:
    """One output along W from very many taps: neither its weights nor its samples are ever held whole."""
    cdef double *build = s.build
    cdef antialias_output p = long_output(&j.w.recipe, s.tile.src, build)       # the tile is one output; src is its number
    cdef int64_t first = p.lo - j.w.recipe.in_start, step = max64(1, PART_SAMPLES // j.inner), k = 0, stop
    cdef const char *line = s.x + z * s.sx.d + y * s.sx.h
    cdef const char *part
    cdef char *weights = s.w_table
    cdef char *total = s.long_sum
    if p.count == 0:
        memset(total, 0, j.inner * j.sum_size)
    while k < p.count:
        stop = min64(k + max64(step, 2), p.count)
        part = line + (first + k) * j.inner * j.sample
        if j.load != NULL:
            j.load(s.line, part, (stop - k) * j.inner)
            part = s.line
        long_weights(&j.w.recipe, &p, k, stop, weights, build)
        j.level.part[j.acc](total, part, weights if j.w.weight_size else NULL, stop - k, j.inner, k == 0)
        k = stop
    j.level.part_end[j.acc][0 if j.w.weight_size else 1](
        row, total, j.inner, j.w.recipe.shift if j.w.weight_size else p.count)


cdef void sum_h(const job *j, run_state *s, int64_t z, int64_t y, char *dst, int64_t n, bint stream) noexcept nogil:
    """The H pass: output row y of input plane z."""
    cdef const void *rows[ROW_GROUP]
    cdef const axis_taps *t = &s.th
    cdef int64_t at = y - t.lo, first = t.first[at], k
    cdef int32_t count = t.count[at], divide = count if j.h.weight_size == 0 else j.h.recipe.shift, done, step
    cdef const char *w = t.weights + at * j.h.recipe.taps_max * j.h.weight_size
    cdef char *total
    if count <= ROW_GROUP:
        for k in range(count):
            rows[k] = w_row(j, s, z, clip(first + k, j.h.n))
        (j.level.stream[j.acc] if stream else j.h.ops.whole)(dst, rows, w, n, count, divide)
        return
    total = s.sum
    done = 0
    while done < count:
        step = min(count - done, ROW_GROUP)
        for k in range(step):
            rows[k] = w_row(j, s, z, clip(first + done + k, j.h.n))
        (j.h.ops.begin if done == 0 else j.h.ops.more)(total, rows, w + done * j.h.weight_size, n, step, divide)
        done += step
    j.h.ops.end(dst, total, n, divide)


cdef inline void finish_row(const job *j, run_state *s, char *row, char *target, int64_t n) noexcept nogil:
    """A row of sums, stored in its dtype, and streamed where it is streamed."""
    if j.store != NULL:
        j.store(s.spare if s.spare != NULL else row, target, n)
    if s.spare != NULL:
        j.level.stream_row(row, s.spare, n * j.sample)


cdef inline bint same_rows(const axis_taps *t, int64_t y, int64_t stop) noexcept nogil:
    """Whether output row y + 1 is made now as well, and of the input rows that y is made of."""
    return y + 1 < stop and t.first[y + 1 - t.lo] == t.first[y - t.lo]


cdef void sum_d(const job *j, run_state *s, int64_t d, int64_t y, char *dst, int64_t n, bint stream) noexcept nogil:
    """The D pass: output row (d, y), from rows that went through the H pass where there is one."""
    cdef const void *rows[ROW_GROUP]
    cdef const axis_taps *t = &s.td
    cdef int64_t at = d - t.lo, first = t.first[at], k
    cdef int32_t count = t.count[at], divide = count if j.d.weight_size == 0 else j.d.recipe.shift, done = 0, step
    cdef const char *w = t.weights + at * j.d.recipe.taps_max * j.d.weight_size
    cdef char *total = s.plane_sum
    cdef char *row
    while done < count or done == 0:
        step = min(count - done, ROW_GROUP)
        for k in range(step):
            if j.h.has_pass:
                row = s.h_sums + k * j.row_bytes
                sum_h(j, s, clip(first + done + k, j.d.n), y, row, n, False)
                rows[k] = row
            else:
                rows[k] = w_row(j, s, clip(first + done + k, j.d.n), y)
        if count <= ROW_GROUP:
            (j.level.stream[j.acc] if stream else j.d.ops.whole)(dst, rows, w, n, count, divide)
            return
        (j.d.ops.begin if done == 0 else j.d.ops.more)(total, rows, w + done * j.d.weight_size, n, step, divide)
        done += step
    j.d.ops.end(dst, total, n, divide)


cdef inline void sum_row(const job *j, run_state *s, int64_t d, int64_t y, char *dst, int64_t n) noexcept nogil:
    """Output row (d, y), by the passes that there are, not yet stored."""
    if j.d.has_pass:
        sum_d(j, s, d, y, dst, n, s.direct)
    elif j.h.has_pass:
        sum_h(j, s, d, y, dst, n, s.direct)
    else:
        make_row(j, s, dst, d, y)


cdef inline bint planes_dense(const job *j, const strides3 *sx, const strides3 *so) noexcept nogil:
    """Whether rows of a plane follow each other, in the input and in the output."""
    cdef int64_t pixel = j.inner * j.sample
    return (j.h.n == 1 or sx.h == j.w.n * pixel) and (j.h.m == 1 or so.h == j.w.m * pixel)


cdef inline bint whole_lines(const job *j, const char *out, const strides3 *so) noexcept nogil:
    """Whether every row of every tile is whole lines of the cache."""
    cdef int64_t pixel = j.inner * j.sample, lines = <int64_t>out | so.outer | so.d | so.h | j.w.m * pixel
    if j.tiles > 1:
        lines |= j.tile * pixel
    return lines & 63 == 0


cdef void begin_tile(const job *j, run_state *s, row_taps *own, int64_t tile) noexcept nogil:
    """Find or make the tile's table, and who makes its rows."""
    if j.long_taps:
        own.m, own.src = 1, tile
        s.tile = own
    elif j.tile_taps == NULL:
        fill_row(j, own, tile * j.tile, min64((tile + 1) * j.tile, j.w.m), s.w_table, s.build)
        s.tile = own
    else:
        s.tile = &j.tile_taps[table_of(j, tile)]
        if j.repeat and j.repeat_lo < tile < j.repeat_hi:
            own[0] = s.tile[0]
            own.src += (tile - j.repeat_lo) * j.repeat
            s.tile = own
    if j.takes == NULL or j.takes(s.tile):
        s.make, s.pair = j.make_rows, j.pair
    else:
        s.make, s.pair = j.other_rows, NULL


cdef void run_rows(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                   int64_t unit_lo, int64_t unit_hi) noexcept nogil:
    cdef int64_t per_tile = j.d.m * j.h.m, unit = unit_lo, slots = j.ring_d * j.ring_h
    cdef int64_t tile = unit // (j.outer * per_tile), o = unit // per_tile % j.outer, rest = unit % per_tile
    cdef int64_t filled = -1
    cdef int64_t band = rest // (j.d.m * j.band), y0 = band * j.band, y1 = min64(y0 + j.band, j.h.m)
    cdef int64_t d, y, k, made
    rest -= y0 * j.d.m
    d = rest // (y1 - y0)
    y = y0 + rest % (y1 - y0)
    cdef run_state s
    cdef row_taps own
    cdef char *row
    lay_out(j, &s, scratch)
    memset(&own, 0, sizeof(own))
    if j.build_zero:
        memset(s.build, 0, j.build_bytes)
    s.sx, s.so, s.td, s.th = sx, so, j.d.whole, j.h.whole
    s.direct = so.stream and j.direct
    s.lines = so.stream and whole_lines(j, out, so)
    s.spare = s.spare_room if so.stream and not s.direct else NULL
    while unit < unit_hi:
        # a new (tile, outer): the ring holds nothing of it
        s.x = x + o * sx.outer
        if filled != tile:
            filled = tile
            begin_tile(j, &s, &own, tile)
        for k in range(slots):
            s.tags[k] = -1
        s.copied = -1
        while unit < unit_hi:
            row = out + o * so.outer + d * so.d + y * so.h + tile * j.tile * j.inner * j.sample
            if j.d.has_pass:
                seek(j, &j.d, &s.td, d, s.d_table, s.build)
            if j.h.has_pass:
                seek(j, &j.h, &s.th, y, s.h_table, s.build)
            made = s.make(j, &s, d, y, min64(min64(y1, y + unit_hi - unit), s.th.hi if j.h.has_pass else y1), row)
            unit += made
            y += made
            if y == y1:
                d += 1
                y = y0
                if d == j.d.m:
                    d = 0
                    if y1 == j.h.m:
                        y0 = 0
                        y1 = min64(j.band, j.h.m)
                        y = 0
                        break
                    y0, y1 = y1, min64(y1 + j.band, j.h.m)
                    y = y0
        o += 1
        if o == j.outer:
            o = 0
            tile += 1
    if so.stream:
        j.level.stream_end()


cdef void run_rows_of_planes(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                             int64_t plane_lo, int64_t plane_hi) noexcept nogil:
    """Planes [plane_lo, plane_hi) of all D planes, row by row: units of rows are numbered tile by tile."""
    cdef int64_t rows = j.outer * j.d.m * j.h.m, tile
    for tile in range(j.tiles):
        run_rows(j, x, sx, out, so, scratch, tile * rows + plane_lo * j.h.m, tile * rows + plane_hi * j.h.m)
