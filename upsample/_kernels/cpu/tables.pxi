"""The taps of a job: tables along D and H, tables of rows in the form that primitives read, and what repeats itself."""

cdef int64_t weight_bytes(const axis_recipe *a) noexcept nogil:
    return 4 if a.weights == WEIGHTS_F32 else 8 if a.weights == WEIGHTS_F64 else 2 if a.weights == WEIGHTS_I16 else 0


cdef int64_t axis_table_bytes(const axis_job *a, int64_t outputs) noexcept nogil:
    return align64(outputs * 8) + align64(outputs * 4) + align64(outputs * a.recipe.taps_max * a.weight_size)


cdef void fill_axis(const row_table *level, const axis_job *a, axis_taps *t, int64_t lo, int64_t hi, char *memory,
                    double *build) noexcept nogil:
    t.lo, t.hi = lo, hi
    t.first = <int64_t *>memory
    t.count = <int32_t *>(memory + align64((hi - lo) * 8))
    t.weights = memory + align64((hi - lo) * 8) + align64((hi - lo) * 4)
    level.taps(&a.recipe, lo, hi, t.first, t.count, t.weights if a.weight_size else NULL, build)


cdef inline bint has_no_table(const axis_job *a) noexcept nogil:
    """Whether an axis is too long for its table to be kept: it is made block by block in each run."""
    return a.has_pass and a.whole.first == NULL


cdef inline bint keeps_table(const axis_job *a) noexcept:
    """Whether it will have a table, or needs none."""
    return not a.has_pass or a.block >= a.m


cdef inline void seek(const job *j, const axis_job *a, axis_taps *t, int64_t o, char *memory, double *build) noexcept nogil:
    """Make `t` hold output `o`: a kept table does already, a long axis moves on by one block."""
    if t.lo <= o < t.hi:
        return
    cdef int64_t lo = o - o % a.block
    fill_axis(j.level, a, t, lo, min64(lo + a.block, a.m), memory, build)


cdef int64_t row_table_bytes(const job *j, int64_t outputs) noexcept nogil:
    cdef int64_t K = j.w.recipe.taps_max
    cdef int64_t raw = align64(outputs * 8) + align64(outputs * 4) + align64(outputs * K * j.w.weight_size)
    cdef int64_t fixed = align64(outputs * K * 4) + align64(outputs * K * j.w.weight_size)
    return raw + (align64(outputs * 4) if j.form == FORM_WIDE or j.form == FORM_BOX else fixed) + pack_bytes(j, outputs)


cdef inline int64_t pack_bytes(const job *j, int64_t outputs) noexcept nogil:
    if j.copies:
        return align64(j.level.copy_bytes(outputs, j.inner * j.sample))
    if j.inner > PACK_CHANNELS or j.group != NULL or not j.w.has_pass:
        return 0
    return align64(j.level.pack_bytes(j.acc, j.w.recipe.taps_max, outputs * j.inner))


cdef void fill_row(const job *j, row_taps *t, int64_t lo, int64_t hi, char *memory, double *build) noexcept nogil:
    """The tile's taps, in the form that the row primitives of this job read."""
    cdef const axis_recipe *a = &j.w.recipe
    cdef int64_t m = hi - lo, K = a.taps_max, size = j.w.weight_size, o, k, at
    cdef int64_t *first = <int64_t *>memory
    cdef int32_t *count = <int32_t *>(memory + align64(m * 8))
    cdef char *raw = <char *>count + align64(m * 4)
    cdef char *rest = raw + align64(m * K * size)
    cdef int32_t *index = <int32_t *>rest
    cdef char *weights = rest + align64(m * K * 4)
    cdef int64_t last = 0, n = j.w.n
    cdef char *packed = memory + row_table_bytes(j, m) - pack_bytes(j, m)
    memset(t, 0, sizeof(row_taps))
    if not j.w.has_pass:
        t.m = t.n = m
        t.inner, t.src = j.inner, lo
        return
    j.level.taps(a, lo, hi, first, count, raw if size else NULL, build)
    t.m, t.inner, t.taps_max, t.shift = m, j.inner, a.taps_max, a.shift
    t.src = clip(first[0], n)
    t.count = count
    if size:
        t.weights = raw
    if j.form == FORM_WIDE or j.form == FORM_BOX:
        t.first = index
        for o in range(m):
            index[o] = <int32_t>(first[o] - t.src)
            last = max64(last, first[o] + count[o] - 1)
        t.n = max64(last, t.src) - t.src + 1
        t.grouped = j.group != NULL
        if pack_bytes(j, m):
            j.level.pack(t, j.acc, j.form, packed)
        return
    t.index = index
    if size:
        t.weights = weights
    for k in range(K):
        for o in range(m):
            at = clip(first[o] + (k if k < count[o] else count[o] - 1), n)
            last = max64(last, at)
            index[k * m + o] = <int32_t>(at - t.src)
            if size == 4:
                (<float *>weights)[k * m + o] = (<float *>raw)[o * K + k]
            elif size == 8:
                (<double *>weights)[k * m + o] = (<double *>raw)[o * K + k]
            elif size == 2:
                (<short *>weights)[k * m + o] = (<short *>raw)[o * K + k]
    t.n = last - t.src + 1
    # a tile of whole pairs has the part of the axis's inside that it covers; more channels fill vectors without interleaving
    if lo % 2 == m % 2 == 0 and (size == 0 or t.inner <= DOUBLED_CHANNELS):
        at = max64(j.w.structure.doubled_lo - lo // 2, 0)
        last = min64(j.w.structure.doubled_hi - lo // 2, m // 2)
        if last - at >= 2:
            t.doubled_lo, t.doubled_hi, t.doubled_src = at, last, lo // 2 + j.w.structure.doubled_src - t.src
    if j.copies and pack_bytes(j, m) and t.doubled_hi == t.doubled_lo:
        j.level.pack_copy(t, j.inner * j.sample, packed)
    elif not j.copies and pack_bytes(j, m):
        j.level.pack(t, j.acc, FORM_DOUBLED if t.doubled_hi > t.doubled_lo else j.form, packed)


# ---- what is the same all along a map ---------------------------------------

cdef enum:
    FEW = 64                # outputs whose taps are looked at one by one
    RUN_INPUTS = 4          # of an axis, and taps, where runs of equal outputs are looked for


cdef struct few_taps:       # of at most four taps each
    int64_t lo, hi
    int64_t first[FEW]
    int32_t count[FEW]
    char weights[FEW * 4 * 8]


cdef inline void look_at(const row_table *level, const axis_job *a, few_taps *t, int64_t lo, int64_t hi) noexcept:
    cdef double build[4]
    t.lo, t.hi = lo, hi
    level.taps(&a.recipe, lo, hi, t.first, t.count, t.weights if a.weight_size else NULL, build)


cdef inline bint is_pair(const axis_job *a, const few_taps *t, int64_t pair, int64_t src, const char *weights) noexcept:
    """Whether outputs 2 * pair and the next have these two sets of weights and are centred on input pair + src."""
    cdef int64_t K = a.recipe.taps_max, at = 2 * pair - t.lo, size = K * a.weight_size
    return (t.first[at] == pair + src - K // 2 and t.first[at + 1] == t.first[at] + (1 if K > 1 else 0)
            and t.count[at] == K and t.count[at + 1] == K
            and (size == 0 or memcmp(t.weights + at * size, weights, 2 * size) == 0))


cdef void find_doubled(const row_table *level, const axis_job *a, map_structure *s) noexcept:
    """Whole factor 2: where pairs of outputs have the weights of the middle ones, and all of their taps lie within the axis."""
    cdef few_taps t, model
    cdef int64_t K = a.recipe.taps_max, pairs = a.m // 2, middle = pairs // 2, src, least, most, lo, hi
    if pairs < 2 or K not in (1, 2, 4) or a.recipe.transposed or a.m % 2:
        return
    look_at(level, a, &model, 2 * middle, 2 * middle + 2)
    src = model.first[0] + K // 2 - middle
    least, most = max64(0, K // 2 - src), min64(pairs, a.n - K // 2 - src)
    if not (least <= middle < most and is_pair(a, &model, middle, src, model.weights)):
        return
    if a.m <= FEW:
        look_at(level, a, &t, 0, a.m)
        lo, hi = middle, middle + 1
    else:
        # the taps repeat themselves but near the ends
        lo, hi = (s.period.margin + 1) // 2, (a.m - s.period.margin) // 2
        if s.period.outputs != 2 or s.period.inputs != 1 or not lo <= middle < hi or 2 * lo > FEW or a.m - 2 * hi > FEW:
            return
        look_at(level, a, &t, 0, 2 * lo)
    while lo > least and is_pair(a, &t, lo - 1, src, model.weights):
        lo -= 1
    if a.m > FEW:
        look_at(level, a, &t, 2 * hi, a.m)
    while hi < most and is_pair(a, &t, hi, src, model.weights):
        hi += 1
    lo, hi = max64(lo, least), min64(hi, most)
    if hi - lo >= 2:
        s.doubled_lo, s.doubled_hi, s.doubled_src = lo, hi, src


cdef inline bint is_half(const char *w, int64_t size, int32_t shift) noexcept nogil:
    """Whether a weight is 1/2."""
    return (<const float *>w)[0] == 0.5 if size == 4 else size == 2 and shift > 0 and (<const short *>w)[0] == 1 << (shift - 1)


cdef inline bint are_halves(const axis_job *a, const few_taps *t) noexcept:
    """Whether every output is the mean of inputs 2o and 2o + 1."""
    cdef int64_t k, size = a.weight_size
    for k in range(t.hi - t.lo):
        if t.first[k] != 2 * (t.lo + k) or t.count[k] != 2:
            return False
        if size and not (is_half(t.weights + 2 * k * size, size, a.recipe.shift)
                         and is_half(t.weights + (2 * k + 1) * size, size, a.recipe.shift)):
            return False
    return True


cdef bint is_halved(const row_table *level, const axis_job *a, const taps_period *period) noexcept:
    cdef few_taps t
    if a.recipe.taps_max != 2 or a.recipe.transposed or 2 * a.m > a.n:
        return False
    if a.m > FEW:
        if period.outputs != 1 or period.inputs != 2 or period.margin >= FEW:
            return False
        look_at(level, a, &t, a.m - FEW, a.m)
        if not are_halves(a, &t):
            return False
    look_at(level, a, &t, 0, min64(FEW, a.m))
    return are_halves(a, &t)


cdef int find_runs_of(const row_table *level, const axis_job *a, map_structure *s) except -1:
    """Runs of outputs that have the same taps, of an axis with few inputs; none where they are more than outputs repay."""
    cdef few_taps t
    cdef int64_t o, lo, size = a.weight_size, runs = 1, K = a.recipe.taps_max, first = 0
    cdef int32_t count = 0
    cdef char weights[RUN_INPUTS * 8]
    cdef double *build
    if not a.has_pass:
        s.runs, s.one_weight = a.m, a.n == 1
        return 0
    if a.n > RUN_INPUTS or K > RUN_INPUTS or not keeps_table(a) or not (a.recipe.transposed or a.n == 1):
        return 0
    build = <double *>calloc(taps_scratch(&a.recipe) + 1, 8)
    if build == NULL:
        raise MemoryError("no memory for taps")
    for lo in range(0, a.m, FEW):
        t.hi = min64(lo + FEW, a.m)
        level.taps(&a.recipe, lo, t.hi, t.first, t.count, t.weights if size else NULL, build)
        for o in range(t.hi - lo):
            if lo + o and (t.first[o] != first or t.count[o] != count
                           or (size and memcmp(t.weights + o * K * size, weights, count * size))):
                runs += 1
            first, count = t.first[o], t.count[o]
            if size:
                memcpy(weights, t.weights + o * K * size, count * size)
        if runs > RUNS:
            runs = 0
            break
    free(build)
    s.runs, s.one_weight = runs, a.n == 1 and runs == 1 and K == 1 and count == 1 and size > 0
    return 0


cdef int find_structure(const row_table *level, axis_job *a) except -1:
    cdef map_structure *s = &a.structure
    find_runs_of(level, a, s)
    if not a.has_pass:
        return 0
    s.period = find_period(&a.recipe)
    find_doubled(level, a, s)
    s.halved = is_halved(level, a, &s.period)
    return 0


cdef void find_repeat(job *j) noexcept:
    """Make tiles of a long row such that most of them share one table, where its taps repeat themselves."""
    cdef taps_period period = j.w.structure.period
    cdef int64_t tile = min64(j.tile, max64(1, REPEAT_SAMPLES // j.inner)), step = period.outputs, lo, hi
    if step == 0 or step > tile // 2:
        return
    while step % 32 and step <= tile // 4:      # whole cache lines where that can be, and whole pairs
        step *= 2
    if step % 2:
        return
    tile -= tile % step
    lo, hi = (period.margin + tile - 1) // tile, (j.w.m - period.margin) // tile
    if hi - lo > 2:
        j.tile, j.repeat = tile, tile // period.outputs * period.inputs
        j.repeat_lo, j.repeat_hi = lo, hi


cdef bint groups_gain(job *j) except -1:
    """Whether rows along W are best made in groups: many taps, and windows do not hold them or are slower (measured)."""
    cdef int64_t m = min64(j.w.m, 64), K = j.w.recipe.taps_max, lo = (j.w.m - m) // 2, size
    cdef row_taps t
    cdef char *memory
    if (j.form != FORM_WIDE and j.form != FORM_BOX) or not j.h.has_pass or not j.w.has_pass or K < GROUP_TAPS or (
            K * j.inner > 4 * GROUP_SAMPLES or j.inner > PACK_CHANNELS or j.level.group[j.acc] == NULL):
        return False
    if pack_bytes(j, m) == 0 or j.acc == ACC_F32 and j.w.m > j.w.n:
        return True
    size = row_table_bytes(j, m)
    memory = <char *>calloc(size + 8 * taps_scratch(&j.w.recipe) + 64, 1)
    if memory == NULL:
        raise MemoryError(f"no memory for tables of {size} bytes")
    fill_row(j, &t, lo, lo + m, <char *>align64(<int64_t>memory), <double *>(memory + size + 56))
    free(memory)
    return t.window == NULL
