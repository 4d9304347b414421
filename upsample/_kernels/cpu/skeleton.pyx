# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""The one CPU skeleton: every mode, rank and layout as rows of (outer, D, H, W, inner).

In: a plan's axis maps on those five numbers, and memory.  Out: samples written once.
An input row is loaded (converted), resampled along W into a ring of processed rows, rows of the
ring are summed along H, those sums along D, and the result is stored.  A ring slot is tagged with
the input row that it holds, so rows are made when first needed and kept while they may be needed
again.  The ring is a cache and decides no result: any split of the work units has the same bits.

A work unit is one output row of one tile of W; units are numbered tile, outer, band of H, D, H.
Everything that touches samples is a row primitive behind a pointer (``rows.h``).  This file knows
strides, rows and units; it knows no modes, and no dtypes beyond the choice of primitives.
"""
cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_INCREF
from cython.parallel cimport prange
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

import numpy as np

from upsample._axismap cimport AxisMap
from upsample._axismap cimport WEIGHTS_F32, WEIGHTS_F64, WEIGHTS_I16

from upsample._arrays import check_out as _check_out, native as _native, write as _write
from upsample._threads import get_num_threads as _get_num_threads

cnp.import_array()

cdef extern from "runtime.h" nogil:
    ctypedef struct region_counts:
        int64_t regions, crowded, serial, refused
    ctypedef struct region_time:
        pass
    region_counts region_count
    int64_t fetch_increment(int64_t *counter)
    region_time region_arrive()
    int64_t region_lost(region_time arrived, int worked)
    int region_enter(int threads)
    void region_leave(int64_t lost)
    void region_init()
    const char *region_library()
    const row_table *best_level(int cap)

region_init()

cdef extern from "numpy/arrayobject.h":
    object PyArray_Empty(int nd, cnp.npy_intp *dims, cnp.dtype descr, int fortran)
    object PyDataMem_SetHandler(object handler)

cdef extern from "pool.h":
    ctypedef struct PyDataMem_Handler:
        pass
    ctypedef struct pool_state:
        int64_t limit, kept, blocks, hits, misses
    enum:
        POOL_AVAILABLE
        POOL_LEAST
    PyDataMem_Handler pool_handler
    bint pool_last_was_warm
    int64_t pool_default_limit()
    void pool_init()
    void pool_set_limit(int64_t limit)
    pool_state pool_get()

cdef object POOL = PyCapsule_New(&pool_handler, "mem_handler", NULL)
cdef int64_t pool_limit = 0
pool_init()


def set_pool_limit(limit=None):
    """Bytes of freed outputs that are kept for new ones; 0 turns the pool off, None asks for the default."""
    global pool_limit
    pool_limit = pool_default_limit() if limit is None else limit if POOL_AVAILABLE else 0
    pool_set_limit(pool_limit)


def pool_info():
    """The pool's limit, bytes and blocks kept, and how often an output came from it or was mapped anew."""
    return pool_get()


def kept_tables():
    """Bytes of the large tables that kernels keep."""
    return add_tables(0)


def stream_fill(cnp.ndarray out not None, cnp.ndarray block not None):
    """Fill `out` with repeats of `block` past the cache; False where the level has no such stores.

    Nothing that writes a large output is faster: the ceiling that benchmarks compare with.
    """
    cdef char *d = <char *>cnp.PyArray_DATA(out)
    cdef int64_t size = cnp.PyArray_NBYTES(out), step = cnp.PyArray_NBYTES(block), at = 0
    if not (cnp.PyArray_CHKFLAGS(out, cnp.NPY_ARRAY_CARRAY) and cnp.PyArray_CHKFLAGS(block, cnp.NPY_ARRAY_C_CONTIGUOUS)) or (
            step == 0 or out.dtype.hasobject or block.dtype.hasobject):
        raise ValueError("expected a writeable C-contiguous array and a C-contiguous block of at least a byte, without objects")
    if LEVEL.stream_row == NULL:
        return False
    while at < size:
        LEVEL.stream_row(d + at, cnp.PyArray_DATA(block), min64(step, size - at))
        at += step
    LEVEL.stream_end()
    return True


cdef enum:
    MAX_DIMS = 64
    TABLE_OUTPUTS = 65536       # longer maps are tabulated tile by tile
    TABLE_WEIGHTS = 1 << 19     # and so are those with more weights than this
    TABLE_BYTES = 64 << 20      # of a row's tables, where they are kept
    LARGE_TABLE = 1 << 22       # from here on a job's tables count,
    TABLES_BYTES = 256 << 20    # and all jobs together keep no more of such
    REPEAT_SAMPLES = 8192       # of a tile whose table serves others
    TILE_SAMPLES = 65536
    RING_BYTES = 1 << 20
    WINDOW_SAMPLES = 1024       # of a row made by windows: their tables and the ring stay in the nearest cache
    WITH_GIL = 4096             # samples that are made before another Python thread could be let in
    THREAD_COST = 15000         # ns of work that a thread is started for: it wakes up in 6, after a long sleep in 70
    STACK_SCRATCH = 24576
    PARTS = 4                   # of the work for each thread
    PART_COST = 16              # a part is this many times what it makes anew at its start
    LONG_TAPS = 1 << 17         # more taps than this of one output are made and summed in parts
    PART_SAMPLES = 1 << 15      # ... of so many samples
    GROUP_TAPS = 5              # fewer are a short chain
    GROUP_SAMPLES = 1024        # of a group's input rows, to stay in the cache transposed
    DIRECT_CHANNELS = 16        # with so many, two by two pixels are summed without a ring
    PLANES_WIDTH = 30           # outputs along W of planes that are made side by side at the most, and inputs
    PLANES_READ = 40
    PLANES_BYTES = 48 << 10     # of PLANES of them, before and after, such that they stay in the nearest cache ...
    PLANES_COPIED = 24 << 10    # ... where rows are copied, which costs less
    PLANES_NARROW = 12          # rows up to so wide cost much more one by one: the next cache will do
    PLANES_FAR = 512 << 10
    X2_CHANNELS = 8             # more channels fill vectors without interleaving

cdef int64_t least_cost = THREAD_COST
cdef int64_t planes_runs = 0


def runs():
    """How often paths ran, by name (for tests)."""
    return {"planes": planes_runs}


def set_thread_cost(int64_t cost=THREAD_COST):
    """Nanoseconds of work that a thread is started for."""
    global least_cost
    least_cost = cost


cdef dict DTYPES = {
    "float32": DTYPE_F32, "float64": DTYPE_F64, "float16": DTYPE_F16, "bfloat16": DTYPE_BF16,
    "uint8": DTYPE_U8, "int8": DTYPE_I8, "uint16": DTYPE_U16, "int16": DTYPE_I16,
}
cdef tuple FORM_NAMES = ("fixed taps", "wide taps", "box sums", "x2")
cdef const row_table *LEVEL = best_level(2)
if LEVEL == NULL:
    raise ImportError("this build has no SIMD level that this processor can run: build it again without UPSAMPLE_BUILD_LEVELS")


def levels():
    """Names of the SIMD levels that this build and machine have, best first."""
    names = [best_level(cap).name.decode() for cap in (2, 1, 0) if best_level(cap) != NULL]
    return tuple(dict.fromkeys(names))


def level():
    """Name of the SIMD level in use."""
    return LEVEL.name.decode()


def set_level(str name):
    """Cap the SIMD level for kernels made from now on (for tests, and ``UPSAMPLE_SIMD`` at import).

    ``baseline`` and ``neon`` are one table: the name says which machine it was compiled for.
    """
    global LEVEL
    LEVEL = best_level({"baseline": 0, "neon": 0, "avx2": 1, "avx512": 2}[name])


def has_openmp():
    """Whether this build runs in parallel."""
    return bool(OPENMP)


def openmp_library():
    """The file of the OpenMP library in use, or None."""
    cdef const char *name = region_library()
    return None if name == NULL else name.decode()


def regions():
    """Since the start: parallel regions, those in which a thread was long without a CPU, calls that were serial for that
    reason, and regions that the system gave fewer threads than were asked for."""
    return region_count


cdef extern from *:
    """
    #ifdef _OPENMP
    enum { OPENMP = 1 };
    #else
    enum { OPENMP = 0 };
    #endif
    """
    int OPENMP


cdef inline int64_t clip(int64_t v, int64_t n) noexcept nogil:
    return 0 if v < 0 else n - 1 if v >= n else v


cdef inline int64_t min64(int64_t a, int64_t b) noexcept nogil:
    return a if a < b else b


cdef inline int64_t max64(int64_t a, int64_t b) noexcept nogil:
    return a if a > b else b


cdef inline int64_t align64(int64_t v) noexcept nogil:
    return (v + 63) & ~(<int64_t>63)


cdef inline int64_t power_of_two(int64_t at_least) noexcept nogil:
    cdef int64_t p = 1
    while p < at_least:
        p *= 2
    return p


# ---- tables ---------------------------------------------------------------

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


cdef inline void seek(const job *j, const axis_job *a, axis_taps *t, int64_t o, char *scratch, int64_t at) noexcept nogil:
    """Make `t` hold output `o`: a kept table does already, a long axis moves on by one block."""
    if t.lo <= o < t.hi:
        return
    cdef int64_t lo = o - o % a.block
    fill_axis(j.level, a, t, lo, min64(lo + a.block, a.m), scratch + at, <double *>(scratch + j.at_build))


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
        if j.halve != NULL:
            find_halves(t, size)
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
    find_x2(t, first, lo, n, size)
    if j.halve != NULL:
        find_halves(t, size)
    if j.copies and pack_bytes(j, m) and t.inside_hi == t.inside_lo:
        j.level.pack_copy(t, j.inner * j.sample, packed)
    elif not j.copies and pack_bytes(j, m):
        j.level.pack(t, j.acc, FORM_X2 if t.inside_hi > t.inside_lo else j.form, packed)


cdef void find_x2(row_taps *t, const int64_t *first, int64_t lo, int64_t n, int64_t size) noexcept nogil:
    """Recognise whole factor 2 with constant weights: outputs 2j, 2j+1 of input j share two sets of taps."""
    cdef int64_t K = t.taps_max, reach = K // 2, a, b, j, k
    cdef const char *w = <const char *>t.weights
    if lo % 2 or t.m % 2 or (size and t.inner > X2_CHANNELS):
        return
    # pairs are counted from the tile's start; their input is lo/2 + pair
    a = max64(0, reach - lo // 2)
    b = min64(t.m // 2, n - reach - lo // 2)
    if K == 1:
        a, b = 0, t.m // 2
    if b - a < 2:
        return
    for j in range(a, b):
        if first[2 * j] != lo // 2 + j - reach or first[2 * j + 1] != lo // 2 + j - reach + (1 if K > 1 else 0):
            return
        for k in range(K if size else 0):
            if memcmp(w + (k * t.m + 2 * j) * size, w + (k * t.m + 2 * a) * size, 2 * size):
                return
    t.inside_lo, t.inside_hi = a, b
    t.inside_src = lo // 2 - t.src


cdef bint is_x2(const row_table *level, const axis_job *a) noexcept nogil:
    """Whether whole factor 2 shows in the middle of an axis of two or four taps."""
    cdef int64_t first[4]
    cdef int32_t count[4]
    cdef char weights[4 * 4 * 8]
    cdef double build[4]
    cdef int64_t lo = a.m // 4 * 2
    if lo + 4 > a.m or a.recipe.transposed:
        return False
    level.taps(&a.recipe, lo, lo + 4, first, count, weights, build)
    return (first[2] == first[0] + 1 and first[3] == first[1] + 1
            and memcmp(weights, weights + 2 * a.recipe.taps_max * a.weight_size, 2 * a.recipe.taps_max * a.weight_size) == 0)


cdef void find_repeat(job *j) noexcept:
    """Make tiles of a long row such that most of them share one table, where its taps repeat themselves."""
    cdef taps_period period = find_period(&j.w.recipe)
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


cdef bint one_weight(const axis_job *a, const int32_t *count, const char *weights) noexcept nogil:
    """Whether an axis has one sample, and every output of it is that one by the same weight."""
    cdef int64_t o, size = a.weight_size
    if not a.has_pass:
        return a.n == 1
    if a.n != 1 or a.recipe.taps_max != 1 or size == 0 or count == NULL:
        return False
    for o in range(a.m):
        if count[o] != 1 or memcmp(weights + o * size, weights, size):
            return False
    return True


cdef inline bint is_half(const char *w, int64_t size, int32_t shift) noexcept nogil:
    """Whether a weight is 1/2."""
    return (<const float *>w)[0] == 0.5 if size == 4 else size == 2 and shift > 0 and (<const short *>w)[0] == 1 << (shift - 1)


cdef void find_halves(row_taps *t, int64_t size) noexcept nogil:
    """Recognise whole factor 1/2: every output is the mean of inputs 2o and 2o + 1."""
    cdef int64_t o
    cdef const char *w = <const char *>t.weights
    for o in range(t.m):
        if size == 0:
            if t.count[o] != 2 or t.first[o] != 2 * o:
                return
        elif (t.taps_max != 2 or t.index[o] != 2 * o or t.index[t.m + o] != 2 * o + 1
                or not is_half(w + o * size, size, t.shift) or not is_half(w + (t.m + o) * size, size, t.shift)):
            return
    t.halves = 1


# ---- the run --------------------------------------------------------------

cdef struct run_state:
    const char *x           # start of the input of this `outer`
    const strides3 *sx
    char *scratch
    char *ring
    int64_t *tags
    const row_taps *tile
    char *through           # rows are finished here and streamed from here; NULL: they are not


cdef inline int64_t table_of(const job *j, int64_t tile) noexcept nogil:
    """The number of a tile's table among those that are kept."""
    if j.repeat == 0 or tile < j.repeat_lo:
        return tile
    return j.repeat_lo if tile < j.repeat_hi else tile - (j.repeat_hi - 1 - j.repeat_lo)


cdef inline const char *w_row(const job *j, const run_state *s, int64_t z, int64_t y) noexcept nogil:
    """The row (z, y) resampled along W: from the ring, or made now."""
    cdef int64_t slot = (z & (j.ring_d - 1)) * j.ring_h + (y & (j.ring_h - 1))
    if s.tags[slot] != z * j.h.n + y:
        make_ring_row(j, s, z, y)
    return s.ring + slot * j.row_bytes


cdef inline void make_ring_row(const job *j, const run_state *s, int64_t z, int64_t y) noexcept nogil:
    cdef int64_t slot = (z & (j.ring_d - 1)) * j.ring_h + (y & (j.ring_h - 1))
    if s.tile.grouped:
        make_group(j, s, z, y)
        return
    make_row(j, s, s.ring + slot * j.row_bytes, z, y)
    s.tags[slot] = z * j.h.n + y


cdef void make_group(const job *j, const run_state *s, int64_t z, int64_t y) noexcept nogil:
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
            j.load(s.scratch + j.at_line + k * j.line_bytes, source[k], s.tile.n * j.inner)
            source[k] = s.scratch + j.at_line + k * j.line_bytes
        s.tags[slot] = z * j.h.n + at
    j.group(made, source, s.tile, s.scratch + j.at_group)


cdef inline const char *source_row(const job *j, const run_state *s, int64_t z, int64_t y) noexcept nogil:
    return s.x + z * s.sx.d + y * s.sx.h + s.tile.src * j.inner * j.sample


cdef inline void make_row(const job *j, const run_state *s, char *row, int64_t z, int64_t y) noexcept nogil:
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
        j.load(s.scratch + j.at_line, src, t.n * j.inner)
        src = s.scratch + j.at_line
    if t.window != NULL:
        t.window(row, src, t)
    else:
        j.level.h[j.acc][FORM_X2 if t.inside_hi > t.inside_lo else j.form](row, src, t)


cdef void make_long_row(const job *j, const run_state *s, char *row, int64_t z, int64_t y) noexcept nogil:
    """One output along W from very many taps: neither its weights nor its samples are ever held whole."""
    cdef double *build = <double *>(s.scratch + j.at_build)
    cdef antialias_output p = long_output(&j.w.recipe, s.tile.src, build)       # the tile is one output; src is its number
    cdef int64_t first = p.lo - j.w.recipe.in_start, step = max64(1, PART_SAMPLES // j.inner), k = 0, stop
    cdef const char *line = s.x + z * s.sx.d + y * s.sx.h
    cdef const char *part
    cdef char *weights = s.scratch + j.at_w
    cdef char *total = s.scratch + j.at_long
    if p.count == 0:
        memset(total, 0, j.inner * j.sum_size)
    while k < p.count:
        stop = min64(k + max64(step, 2), p.count)
        part = line + (first + k) * j.inner * j.sample
        if j.load != NULL:
            j.load(s.scratch + j.at_line, part, (stop - k) * j.inner)
            part = s.scratch + j.at_line
        long_weights(&j.w.recipe, &p, k, stop, weights, build)
        j.level.part[j.acc](total, part, weights if j.w.weight_size else NULL, stop - k, j.inner, k == 0)
        k = stop
    j.level.part_end[j.acc][0 if j.w.weight_size else 1](
        row, total, j.inner, j.w.recipe.shift if j.w.weight_size else p.count)


cdef void sum_h(const job *j, const run_state *s, const axis_taps *t, int64_t z, int64_t y, char *dst, int64_t n,
                bint stream) noexcept nogil:
    """The H pass: output row y of input plane z."""
    cdef const void *rows[ROW_GROUP]
    cdef int64_t at = y - t.lo, first = t.first[at], k
    cdef int32_t count = t.count[at], last = count if j.h.weight_size == 0 else j.h.recipe.shift, done, step
    cdef const char *w = t.weights + at * j.h.recipe.taps_max * j.h.weight_size
    cdef char *total
    if count <= ROW_GROUP:
        for k in range(count):
            rows[k] = w_row(j, s, z, clip(first + k, j.h.n))
        (j.level.stream[j.acc] if stream else j.h.ops.whole)(dst, rows, w, n, count, last)
        return
    total = s.scratch + j.at_sum
    done = 0
    while done < count:
        step = min(count - done, ROW_GROUP)
        for k in range(step):
            rows[k] = w_row(j, s, z, clip(first + done + k, j.h.n))
        (j.h.ops.begin if done == 0 else j.h.ops.more)(total, rows, w + done * j.h.weight_size, n, step, last)
        done += step
    j.h.ops.end(dst, total, n, last)


cdef inline void finish_row(const job *j, const run_state *s, char *row, char *target, int64_t n) noexcept nogil:
    """A row of sums, stored in its dtype, and streamed where it is streamed."""
    if j.store != NULL:
        j.store(s.through if s.through != NULL else row, target, n)
    if s.through != NULL:
        j.level.stream_row(row, s.through, n * j.sample)


cdef int64_t sum_rows(const job *j, const run_state *s, const axis_taps *t, int64_t z, int64_t y, int64_t stop,
                      char *row, int64_t step, int64_t n, bint stream) noexcept nogil:
    """Output rows y to stop, the plain case of the H pass with nothing decided per row: how many were made."""
    cdef const void *rows[ROW_GROUP]
    cdef int64_t K = j.h.recipe.taps_max, size = K * j.h.weight_size, last = j.h.n - 1, first, at, slot, k, o = y - t.lo
    cdef int64_t mask = j.ring_h - 1, plane = (z & (j.ring_d - 1)) * j.ring_h, base = z * j.h.n, end = stop - t.lo, newest
    cdef v_fn add = j.level.stream[j.acc] if stream else j.h.ops.whole
    cdef pair_fn pair = j.pair if s.tile.pair and j.pair != NULL else NULL
    cdef int32_t shift = j.h.recipe.shift, count
    cdef char *target
    cdef char *spare = s.scratch + j.at_row if stream or s.through != NULL else NULL
    while o < end:
        first = t.first[o]
        newest = first + K - 1
        count = at = t.count[o]
        # a newest row 0 would be the row that lower taps are clipped to: in use while it is made
        if pair != NULL and o + 1 < end and t.first[o + 1] == first and 0 < newest <= last and (
                count == K and t.count[o + 1] == K):
            if s.tags[plane + (newest & mask)] != base + newest:
                at = K - 1          # the newest row is made on the way
        for k in range(at):
            newest = first + k
            newest = 0 if newest < 0 else last if newest > last else newest
            slot = plane + (newest & mask)
            rows[k] = s.ring + slot * j.row_bytes
            if s.tags[slot] != base + newest:
                make_ring_row(j, s, z, newest)
        if at < count:
            newest = first + K - 1
            slot = plane + (newest & mask)
            rows[K - 1] = s.ring + slot * j.row_bytes
            at = pair(row, row + step, <void *>rows[K - 1], rows, source_row(j, s, z, newest), s.tile, t.weights + o * size,
                      t.weights + (o + 1) * size, shift, spare)
            if at:
                s.tags[slot] = base + newest
                o += 2
                row += 2 * step
                continue
            rows[K - 1] = w_row(j, s, z, newest)
        target = s.scratch + j.at_out if j.store != NULL else s.through if s.through != NULL else row
        add(target, rows, t.weights + o * size, n, count, shift)
        finish_row(j, s, row, target, n)
        o += 1
        row += step
    return stop - y


cdef int64_t halve_rows(const job *j, const run_state *s, const axis_taps *t, int64_t z, int64_t y, int64_t stop, char *row,
                        int64_t step, int64_t n, bint streamed) noexcept nogil:
    """Output rows from y on that are means of two by two pixels: how many were made."""
    cdef int64_t o, first, size = j.h.weight_size
    cdef const char *w
    cdef char *target
    cdef char *spare = s.scratch + j.at_row if streamed else NULL
    for o in range(y - t.lo, stop - t.lo):
        first = t.first[o]
        w = t.weights + 2 * o * size
        if t.count[o] != 2 or first < 0 or first + 1 >= j.h.n or size and not (
                is_half(w, size, j.h.recipe.shift) and is_half(w + size, size, j.h.recipe.shift)):
            return o + t.lo - y
        target = row if spare == NULL else spare
        if not j.halve(target, source_row(j, s, z, first), source_row(j, s, z, first + 1), s.tile, size == 0):
            return o + t.lo - y
        if spare != NULL:
            j.level.stream_row(row, spare, n * j.sample)
        row += step
    return stop - y


cdef inline bint same_rows(const axis_taps *t, int64_t y, int64_t stop) noexcept nogil:
    """Whether output row y + 1 is made now as well, and of the input rows that y is made of."""
    return y + 1 < stop and t.first[y + 1 - t.lo] == t.first[y - t.lo]


cdef int64_t sum_pixels(const job *j, const run_state *s, const axis_taps *t, int64_t z, int64_t y, int64_t stop, char *row,
                        int64_t step) noexcept nogil:
    """Output row y, or y and y + 1, straight from two input rows: rows of many channels would leave the cache."""
    cdef int64_t at = y - t.lo, size = 2 * j.h.weight_size
    cdef const char *base = source_row(j, s, z, 0)
    cdef bint both = same_rows(t, y, stop)
    j.level.pixels[j.acc](row, row + step if both else NULL, base + clip(t.first[at], j.h.n) * s.sx.h,
                          base + clip(t.first[at] + 1, j.h.n) * s.sx.h, s.tile, t.weights + at * size,
                          t.weights + (at + both) * size, s.through)
    return 1 + both


cdef int64_t sum_square(const job *j, const run_state *s, const axis_taps *td, const axis_taps *th, int64_t d, int64_t y,
                        int64_t stop, char *row, int64_t step, int64_t n) noexcept nogil:
    """Output row (d, y), or y and y + 1, from four rows."""
    cdef const void *rows[4]
    cdef int64_t at = y - th.lo, first = td.first[d - td.lo], size = 2 * j.h.weight_size
    cdef int64_t z0 = clip(first, j.d.n), z1 = clip(first + 1, j.d.n)
    cdef int64_t y0 = clip(th.first[at], j.h.n), y1 = clip(th.first[at] + 1, j.h.n)
    cdef bint both = j.store == NULL and same_rows(th, y, stop)
    cdef char *target = s.scratch + j.at_out if j.store != NULL else row
    rows[0], rows[1] = w_row(j, s, z0, y0), w_row(j, s, z0, y1)
    rows[2], rows[3] = w_row(j, s, z1, y0), w_row(j, s, z1, y1)
    j.level.square[j.acc](target, row + step if both else NULL, rows, th.weights + at * size, th.weights + (at + both) * size,
                          td.weights + (d - td.lo) * 2 * j.d.weight_size, n, s.through if j.store == NULL else NULL)
    if j.store != NULL:
        finish_row(j, s, row, target, n)
    return 1 + both


cdef void sum_d(const job *j, const run_state *s, const axis_taps *td, const axis_taps *th, int64_t d, int64_t y,
                char *dst, int64_t n, bint stream) noexcept nogil:
    """The D pass: output row (d, y), from rows that went through the H pass where there is one."""
    cdef const void *rows[ROW_GROUP]
    cdef int64_t at = d - td.lo, first = td.first[at], k
    cdef int32_t count = td.count[at], last = count if j.d.weight_size == 0 else j.d.recipe.shift, done = 0, step
    cdef const char *w = td.weights + at * j.d.recipe.taps_max * j.d.weight_size
    cdef char *total = s.scratch + j.at_sum + align64(j.row_bytes // j.stored * j.sum_size)
    cdef char *row
    while done < count or done == 0:
        step = min(count - done, ROW_GROUP)
        for k in range(step):
            if j.h.has_pass:
                row = s.scratch + j.at_planes + k * j.row_bytes
                sum_h(j, s, th, clip(first + done + k, j.d.n), y, row, n, False)
                rows[k] = row
            else:
                rows[k] = w_row(j, s, clip(first + done + k, j.d.n), y)
        if count <= ROW_GROUP:
            (j.level.stream[j.acc] if stream else j.d.ops.whole)(dst, rows, w, n, count, last)
            return
        (j.d.ops.begin if done == 0 else j.d.ops.more)(total, rows, w + done * j.d.weight_size, n, step, last)
        done += step
    j.d.ops.end(dst, total, n, last)


ctypedef fused weighted:
    float
    double


cdef inline void scale_by(weighted *v, const char *w, int64_t n) noexcept nogil:
    cdef weighted by = (<const weighted *>w)[0]
    for i in range(n):
        v[i] *= by


cdef inline void repeat(char *d, const char *value, int64_t size, int64_t n) noexcept nogil:
    """`n` times a value of `size` bytes."""
    cdef int64_t i, done = 1
    if size == 4:
        for i in range(n):
            (<int32_t *>d)[i] = (<const int32_t *>value)[0]
    elif size == 8:
        for i in range(n):
            (<int64_t *>d)[i] = (<const int64_t *>value)[0]
    elif size == 2:
        for i in range(n):
            (<short *>d)[i] = (<const short *>value)[0]
    else:
        memcpy(d, value, size)
        while done < n:
            memcpy(d + done * size, d, min64(done, n - done) * size)
            done *= 2


cdef void spread_rows(const job *j, const run_state *s, char *row, int64_t step, int64_t rows) noexcept nogil:
    """Output rows that are one input pixel throughout."""
    cdef char *value = s.ring
    cdef const axis_job *axes[3]
    cdef int64_t size = j.inner * j.sample, n = s.tile.m, k
    axes[0], axes[1], axes[2] = &j.w, &j.h, &j.d
    if j.load != NULL:
        j.load(value, s.x, j.inner)
    else:
        memcpy(value, s.x, size)
    for k in range(3):
        if not axes[k].has_pass:
            continue
        if j.acc == ACC_F32:
            scale_by[float](<float *>value, <const char *>s.tile.weights if k == 0 else axes[k].whole.weights, j.inner)
        else:
            scale_by[double](<double *>value, <const char *>s.tile.weights if k == 0 else axes[k].whole.weights, j.inner)
    if j.store != NULL:
        j.store(s.scratch + j.at_out, value, j.inner)
        value = s.scratch + j.at_out
    if step == n * size:
        n, rows = n * rows, 1
    for k in range(rows):
        repeat(row + k * step, value, size, n)


cdef inline int size_number(int64_t sample) noexcept nogil:
    """1, 2, 4 and 8 bytes are 0, 1, 2 and 3."""
    return 0 if sample == 1 else 1 if sample == 2 else 2 if sample == 4 else 3


cdef void run_planes(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                    int64_t unit_lo, int64_t unit_hi) noexcept nogil:
    """Groups of PLANES planes: transposed to channels, made like any pixels of so many, and transposed back."""
    cdef const job *k = j.planes
    cdef int64_t pixel = PLANES * j.sample, plane_in = k.d.n * k.h.n * k.w.n, plane_out = k.d.m * k.h.m * k.w.m, unit, z, y
    cdef char *made = scratch + align64(plane_in * pixel)
    cdef char *rest = made + align64(plane_out * pixel)
    cdef planes_in_fn load = j.level.planes_in[size_number(j.sample)]
    cdef planes_out_fn store = j.level.planes_out[size_number(j.sample)]
    cdef strides3 pixels_x, pixels_out
    cdef const char *plane
    cdef char *target
    cdef int count
    cdef bint dense_x = sx.h == k.w.n * j.sample and (k.d.n == 1 or sx.d == k.h.n * sx.h)
    cdef bint dense_out = so.h == k.w.m * j.sample and (k.d.m == 1 or so.d == k.h.m * so.h)
    pixels_x.outer = pixels_out.outer = 0
    pixels_x.stream = pixels_out.stream = False
    pixels_x.h, pixels_out.h = k.w.n * pixel, k.w.m * pixel
    pixels_x.d, pixels_out.d = k.h.n * pixels_x.h, k.h.m * pixels_out.h
    fetch_increment(&planes_runs)
    for unit in range(unit_lo, unit_hi):
        count = <int>min64(PLANES, j.outer - unit * PLANES)
        plane, target = x + unit * PLANES * sx.outer, out + unit * PLANES * so.outer
        if dense_x:
            load(scratch, plane, sx.outer, plane_in, count)
        else:
            for z in range(k.d.n):
                for y in range(k.h.n):
                    load(scratch + z * pixels_x.d + y * pixels_x.h, plane + z * sx.d + y * sx.h, sx.outer, k.w.n, count)
        execute(k, scratch, &pixels_x, made, &pixels_out, rest, 0, k.units)
        if dense_out:
            store(target, so.outer, made, plane_out, count)
        else:
            for z in range(k.d.m):
                for y in range(k.h.m):
                    store(target + z * so.d + y * so.h, so.outer, made + z * pixels_out.d + y * pixels_out.h, k.w.m, count)


cdef void execute(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                  int64_t unit_lo, int64_t unit_hi) noexcept nogil:
    """Units [unit_lo, unit_hi) of a job; any split of all units gives the same bits."""
    cdef int64_t per_tile = j.d.m * j.h.m, unit = unit_lo, slots = j.ring_d * j.ring_h
    cdef int64_t tile = unit // (j.outer * per_tile), o = unit // per_tile % j.outer, rest = unit % per_tile
    cdef int64_t filled = -1
    cdef int64_t band = rest // (j.d.m * j.band), y0 = band * j.band, y1 = min64(y0 + j.band, j.h.m)
    cdef int64_t d, y, n, k, made, stop, source, copied = -1
    cdef bint direct = False        # the last sum streams itself
    if j.planes != NULL:
        run_planes(j, x, sx, out, so, scratch, unit_lo, unit_hi)
        return
    if j.mean:
        for o in range(unit_lo, unit_hi):
            j.level.mean[j.acc](out + o * so.outer, x + o * sx.outer, sx.h, j.h.n, j.w.n)
        return
    if j.spread_planes and so.h == j.w.m * j.sample and not so.stream and unit_lo % j.h.m == unit_hi % j.h.m == 0:
        o = unit_lo // j.h.m
        j.level.spread[j.acc](
            out + o * so.outer, so.outer, x + o * sx.outer, sx.outer, unit_hi // j.h.m - o, j.h.m * j.w.m,
            j.tile_taps[0].weights if j.w.has_pass else NULL, j.h.whole.weights if j.h.has_pass else NULL)
        return
    rest -= y0 * j.d.m
    d = rest // (y1 - y0)
    y = y0 + rest % (y1 - y0)
    cdef run_state s
    cdef row_taps own
    cdef axis_taps td = j.d.whole, th = j.h.whole
    cdef char *row
    cdef char *target
    cdef const char *previous = NULL
    if so.stream:
        direct = not j.copies and j.store == NULL and not j.square and not j.pixels and j.level.stream[j.acc] != NULL and (
            j.d.has_pass and j.d.weight_size != 0 or not j.d.has_pass and j.h.has_pass and j.h.weight_size != 0)
    memset(&own, 0, sizeof(own))
    if j.build_bytes:
        memset(scratch + j.at_build, 0, j.build_bytes)
    s.sx, s.scratch = sx, scratch
    s.ring, s.tags = scratch + j.at_ring, <int64_t *>(scratch + j.at_tags)
    s.tile = NULL
    s.through = scratch + j.at_row if so.stream and not direct else NULL
    while unit < unit_hi:
        # a new (tile, outer): the ring holds nothing of it
        s.x = x + o * sx.outer
        if j.long_taps:
            own.m, own.src = 1, tile
            s.tile = &own
        elif j.tile_taps != NULL:
            s.tile = &j.tile_taps[table_of(j, tile)]
            if j.repeat and j.repeat_lo < tile < j.repeat_hi:
                own = s.tile[0]
                own.src += (tile - j.repeat_lo) * j.repeat
                s.tile = &own
        elif filled != tile:
            filled = tile
            fill_row(j, &own, tile * j.tile, min64((tile + 1) * j.tile, j.w.m), scratch + j.at_w,
                     <double *>(scratch + j.at_build))
            s.tile = &own
        for k in range(slots):
            s.tags[k] = -1
        copied = -1
        n = s.tile.m * j.inner
        while unit < unit_hi:
            row = out + o * so.outer + d * so.d + y * so.h + tile * j.tile * j.inner * j.sample
            if j.d.has_pass:
                seek(j, &j.d, &td, d, scratch, j.at_d)
            if j.h.has_pass:
                seek(j, &j.h, &th, y, scratch, j.at_h)
            made = 1
            stop = min64(min64(y1, y + unit_hi - unit), th.hi if j.h.has_pass else y1)
            if j.spread:
                made = stop - y
                spread_rows(j, &s, row, so.h, made)
            elif j.copies:
                source = clip(td.first[d - td.lo], j.d.n) if j.d.has_pass else d
                source = source * j.h.n + (clip(th.first[y - th.lo], j.h.n) if j.h.has_pass else y)
                if s.tile.inside_hi > s.tile.inside_lo:
                    # the next row is of the same input row, more often than not
                    if j.h.has_pass and same_rows(&th, y, stop):
                        made = 2
                    j.level.copy_x2(row, row + so.h if made == 2 else NULL, source_row(j, &s, source // j.h.n, source % j.h.n),
                                    s.tile, j.inner * j.sample, s.through)
                else:
                    target = row if s.through == NULL else s.through
                    if source != copied and s.tile.window != NULL:
                        s.tile.window(target, source_row(j, &s, source // j.h.n, source % j.h.n), s.tile)
                    elif source != copied:
                        j.level.copy(target, source_row(j, &s, source // j.h.n, source % j.h.n), s.tile, j.inner * j.sample)
                    elif s.through == NULL:
                        memcpy(row, previous, n * j.sample)
                    previous, copied = row, source
                    if s.through != NULL:
                        j.level.stream_row(row, s.through, n * j.sample)
            elif j.halve != NULL and s.tile.halves and (made := halve_rows(j, &s, &th, d, y, stop, row, so.h, n, so.stream)):
                pass
            elif j.plain_h:
                made = sum_rows(j, &s, &th, d, y, stop, row, so.h, n, direct)
            elif j.pixels:
                made = sum_pixels(j, &s, &th, d, y, stop, row, so.h)
            elif j.square:
                made = sum_square(j, &s, &td, &th, d, y, stop, row, so.h, n)
            elif not j.d.has_pass and not j.h.has_pass and j.pair != NULL and s.tile.pair == PAIR_X2:
                j.pair(row, NULL, NULL, NULL, source_row(j, &s, d, y), s.tile, NULL, NULL, 0, s.through)
            else:
                made = 1
                target = scratch + j.at_out if j.store != NULL else row if s.through == NULL else s.through
                if j.d.has_pass:
                    sum_d(j, &s, &td, &th, d, y, target, n, direct)
                elif j.h.has_pass:
                    sum_h(j, &s, &th, d, y, target, n, direct)
                else:
                    make_row(j, &s, target, d, y)
                finish_row(j, &s, row, target, n)
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


# The parts that are a thread's own; a cache line each.
cdef struct part_queue:
    int64_t taken           # by anyone
    int64_t lost            # ns that the thread was without a CPU
    int64_t unused[6]


cdef inline int64_t grains_of(const job *j) noexcept nogil:
    """The least parts that the work can be cut into."""
    return (j.units + j.grain - 1) // j.grain


cdef void take_parts(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                     part_queue *queues, int me, int threads, int64_t per_thread) noexcept nogil:
    """Parts of the work until there are none: the thread's own, whose memory it had in earlier calls, then those of others."""
    cdef int64_t grains = grains_of(j), parts = threads * per_thread, part, taken
    cdef region_time arrived = region_arrive()
    cdef int k, owner
    cdef bint worked = False
    for k in range(threads):
        owner = (me + k) % threads
        taken = fetch_increment(&queues[owner].taken)
        while taken < per_thread:
            worked = True
            part = owner * per_thread + taken
            execute(j, x, sx, out, so, scratch + me * j.scratch_bytes, grains * part // parts * j.grain,
                    min64(grains * (part + 1) // parts * j.grain, j.units))
            taken = fetch_increment(&queues[owner].taken)
    queues[me].lost = region_lost(arrived, worked)


cdef int64_t execute_parallel(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so,
                              char *scratch, part_queue *queues, int threads) noexcept nogil:
    """All units, in parts: a thread that is not running holds one part at the most.

    Returns the most ns that a thread was without a CPU.
    """
    cdef int64_t per_thread = max64(1, min64(PARTS, min64(j.parts, j.cost // least_cost) // threads)), lost = 0
    cdef int me
    for me in range(threads):
        queues[me].taken = queues[me].lost = 0
    for me in prange(threads, num_threads=threads, schedule="static", chunksize=1):
        take_parts(j, x, sx, out, so, scratch, queues, me, threads, per_thread)
    for me in range(threads):
        lost = max64(lost, queues[me].lost)
    return lost


# ---- preparing a job ------------------------------------------------------

cdef extern from *:
    """
    static int64_t kept_tables;
    static int64_t add_tables(int64_t bytes) { return __atomic_add_fetch(&kept_tables, bytes, __ATOMIC_RELAXED); }
    """
    int64_t add_tables(int64_t bytes)


cdef class Prepared:
    """A job and the memory that it owns."""

    def __cinit__(self):
        memset(&self.j, 0, sizeof(job))
        self.tables = NULL
        self.large_tables = 0

    def __dealloc__(self):
        free(self.tables)
        add_tables(-self.large_tables)


cdef bint may_keep(Prepared p, int64_t bytes_) except -1:
    """Whether tables of so many bytes are kept; p has them on its account from then on."""
    if bytes_ < LARGE_TABLE:
        return True
    if bytes_ > TABLE_BYTES:
        return False
    if add_tables(bytes_) > TABLES_BYTES:
        add_tables(-bytes_)
        return False
    p.large_tables = bytes_
    return True


cdef void set_axis(axis_job *a, AxisMap m, int64_t n) except *:
    a.has_pass = m is not None
    a.n = a.m = n
    if m is None:
        return
    a.recipe = m.recipe
    a.n, a.m = m.n, m.m
    a.weight_size = weight_bytes(&a.recipe)
    a.block = max64(1, min64(TABLE_OUTPUTS, TABLE_WEIGHTS // a.recipe.taps_max))
    if a.block < a.m:
        a.block = max64(1, min64(1024, 65536 // a.recipe.taps_max))


cdef int64_t used_inputs(const axis_job *a) noexcept:
    """At most so many inputs of an axis are taps."""
    return min64(a.n, a.m * max64(1, a.recipe.taps_max)) if a.has_pass else a.n


def prepare(str dtype, int64_t sample, int64_t outer, int64_t inner, sizes, maps):
    """A job on (outer, D, H, W, inner): `sizes` are the input's D, H, W, `maps` their maps or None.

    Copies need a map of W: that of every sample to itself will do.

    Returns a reason instead where the maps cannot be run together.
    """
    cdef Prepared p = Prepared()
    cdef job *j = &p.j
    cdef AxisMap m
    cdef const row_table *level = LEVEL
    cdef axis_job *a
    cdef const char *weight
    cdef int64_t k, t, samples, ring, tile_in = 0, at, bytes_, K
    j.level, j.outer, j.inner, j.sample = level, outer, inner, sample
    set_axis(&j.d, maps[0], sizes[0])
    set_axis(&j.h, maps[1], sizes[1])
    set_axis(&j.w, maps[2], sizes[2])
    present = [m for m in maps if m is not None]
    j.copies = all(m.is_copy for m in present)
    if j.copies:
        j.form = FORM_FIXED
        j.stored = j.sum_size = sample
    else:
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
        j.square = j.acc <= ACC_F64 and j.d.recipe.taps_max == 2 and j.h.recipe.taps_max == 2 and (
            j.d.weight_size != 0 and j.h.weight_size != 0 and j.d.recipe.uniform and j.h.recipe.uniform)
        j.pixels = j.form == FORM_FIXED and j.acc <= ACC_F64 and j.load == NULL and not j.d.has_pass and (
            j.h.recipe.taps_max == 2 and j.h.weight_size != 0 and j.h.recipe.uniform and j.w.recipe.taps_max == 2 and inner >= DIRECT_CHANNELS)
        j.plain_h = j.h.has_pass and not j.d.has_pass and not j.pixels and j.h.weight_size != 0 and j.h.recipe.taps_max <= ROW_GROUP
        if j.acc in (ACC_F32, ACC_U8) and j.h.has_pass and not j.d.has_pass and (j.form == FORM_BOX) == (j.h.weight_size == 0) and (
                j.form == FORM_BOX or j.form == FORM_FIXED and j.w.recipe.taps_max == j.h.recipe.taps_max == 2) and (
                j.form == FORM_BOX and j.acc == ACC_F32 or j.load == NULL):
            j.halve = level.halve[j.dtype]
        # a dtype has pairs for its usual accumulator alone
        if j.form == FORM_FIXED and j.acc == (ACC_F64 if j.dtype == DTYPE_F64 else ACC_U8 if j.dtype == DTYPE_U8 else ACC_F32) and (
                not j.h.has_pass or j.h.recipe.taps_max == j.w.recipe.taps_max):
            j.pair = level.pair[j.dtype][0 if j.w.recipe.taps_max == 2 else 1]
        j.h.ops = level.v[j.acc][0 if j.h.weight_size else 1]
        j.d.ops = level.v[j.acc][0 if j.d.weight_size else 1]

    j.mean = not j.copies and j.form == FORM_BOX and j.acc <= ACC_F64 and j.load == NULL and inner == 1 and (
        j.d.n == j.d.m == j.h.m == j.w.m == 1 and not j.d.has_pass and j.w.n <= 64 and j.w.n * j.h.n <= MEAN_SAMPLES) and (
        j.h.has_pass and j.h.weight_size == 0 or j.h.n == 1)
    if groups_gain(j):
        j.group, j.group_rows = level.group[j.acc], level.group_rows[j.acc]
    cdef int64_t ahead = j.group_rows - 1 if j.group != NULL else 0

    # the ring: enough rows for the taps, a power of two of them, within the cache where it can be
    j.ring_h = power_of_two(j.h.recipe.taps_max + ahead) if j.h.has_pass and not j.copies else 1
    j.ring_d = power_of_two(j.d.recipe.taps_max) if j.d.has_pass and not j.copies else 1
    samples = TILE_SAMPLES
    if not j.copies:
        samples = max64(1024, min64(TILE_SAMPLES, 2 * RING_BYTES // (j.ring_h * j.ring_d * j.stored)))
    j.tile = max64(1, min64(j.w.m, samples // inner))
    K = max64(1, j.w.recipe.taps_max)
    j.tile = max64(1, min64(j.tile, TABLE_WEIGHTS // K))
    if j.w.n > j.w.m:           # a reduction reads more than it writes: bound the loaded row as well
        j.tile = max64(1, min64(j.tile, <int64_t>((<double>(4 * TILE_SAMPLES) / inner) * j.w.m / j.w.n)))
    if j.pair != NULL and j.acc == ACC_F32 and j.plain_h and inner <= PACK_CHANNELS and not is_x2(level, &j.w):
        # whole cache lines; rows that stay in the cache gain only where they are longer still
        at = (j.w.m * inner + WINDOW_SAMPLES // 2) // WINDOW_SAMPLES
        if at > (2 if outer * j.d.m * j.h.m * j.w.m * inner * j.sample >= STREAM_BYTES else 3):
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
    ring = 8 * RING_BYTES
    while j.ring_h > ROW_GROUP and j.ring_h * j.ring_d * j.row_bytes > ring:
        j.ring_h //= 2
    while j.ring_d > ROW_GROUP and j.ring_h * j.ring_d * j.row_bytes > ring:
        j.ring_d //= 2
    if j.ring_h < j.h.recipe.taps_max + ahead:
        j.group, ahead = NULL, 0
    j.band = j.h.m
    if j.d.has_pass and not j.copies:
        # keep the rows of a whole band of H for the next output plane
        while j.ring_h < j.h.n and 2 * j.ring_h * j.ring_d * j.row_bytes <= RING_BYTES:
            j.ring_h *= 2
        if j.ring_h < j.h.n:
            j.band = max64(1, min64(j.h.m, (j.ring_h - j.h.recipe.taps_max - ahead) * j.h.m // j.h.n if j.h.has_pass
                                    else j.ring_h))
    j.bands = (j.h.m + j.band - 1) // j.band
    j.units = outer * j.tiles * j.d.m * j.h.m
    # a part begins with an empty ring: rows of H and planes of D that its first units share with those before
    cdef int64_t anew = 1, used_d = used_inputs(&j.d), used_h = used_inputs(&j.h)
    if j.h.has_pass and not j.copies:
        anew = 1 + (j.h.recipe.taps_max + ahead) * j.h.m // j.h.n
    if j.d.has_pass and not j.copies:
        anew += j.d.recipe.taps_max * j.d.m // j.d.n * min64(j.band, j.h.m)
    j.grain, j.parts = 1, max64(1, j.units // (PART_COST * anew))
    # measured on AVX-512, within a factor of two: 0.05 ns for a byte of the larger side, and 0.02 for a tap of a pass
    j.cost = max64(used_d * used_h * used_inputs(&j.w), j.d.m * j.h.m * j.w.m) * sample // 20
    if not j.copies:
        j.cost += (used_d * used_h * j.w.m * j.w.recipe.taps_max + used_d * j.h.m * j.w.m * j.h.recipe.taps_max
                   + j.d.m * j.h.m * j.w.m * j.d.recipe.taps_max) // 50
    j.cost *= outer * inner

    # tables that are kept
    keep = {}
    cdef int64_t tables = table_of(j, j.tiles - 1) + 1
    cdef bint keep_w = not j.long_taps and tables < TABLE_BYTES and may_keep(p, tables * row_table_bytes(j, j.tile))
    if not keep_w:
        j.repeat = 0
    bytes_ = 64
    for name in ("d", "h"):
        a = &j.d if name == "d" else &j.h
        if a.has_pass and a.block >= a.m:
            keep[name] = bytes_
            bytes_ += axis_table_bytes(a, a.m)
    cdef int64_t build = align64(8 * max64(taps_scratch(&j.d.recipe), max64(
        taps_scratch(&j.h.recipe), PART_SAMPLES if j.long_taps else taps_scratch(&j.w.recipe))))
    if keep_w:
        keep["w"] = bytes_
        bytes_ += align64(tables * sizeof(row_taps)) + tables * row_table_bytes(j, j.tile)
    p.tables = <char *>malloc(bytes_ + build + 128 + sizeof(job))
    if p.tables == NULL:
        raise MemoryError(f"no memory for tables of {bytes_} bytes")
    memset(<char *>align64(<int64_t>p.tables) + bytes_ - 64, 0, build)
    cdef char *base = <char *>align64(<int64_t>p.tables)
    p.spare = <job *>(base + align64(bytes_ + build))
    cdef double *scratch = <double *>(base + bytes_ - 64)
    bytes_ = 0
    for name in ("d", "h"):
        a = &j.d if name == "d" else &j.h
        if name in keep:
            fill_axis(level, a, &a.whole, 0, a.m, base + <int64_t>keep[name] - 64, scratch)
    if keep_w:
        at = <int64_t>keep["w"] - 64
        j.tile_taps = <row_taps *>(base + at)
        at += align64(tables * sizeof(row_taps))
        for t in range(j.tiles):
            if j.repeat and j.repeat_lo < t < j.repeat_hi:
                continue
            fill_row(j, &j.tile_taps[table_of(j, t)], t * j.tile, min64((t + 1) * j.tile, j.w.m), base + at, scratch)
            at += row_table_bytes(j, j.tile)

    if not j.copies and j.acc <= ACC_F64 and j.form == FORM_WIDE and j.w.has_pass and keep_w and j.tiles == 1:
        weight = <const char *>j.tile_taps[0].weights
        j.spread = one_weight(&j.w, j.tile_taps[0].count, weight) and (
            one_weight(&j.h, j.h.whole.count, j.h.whole.weights) and one_weight(&j.d, j.d.whole.count, j.d.whole.weights))
        j.spread_planes = j.spread and inner == j.d.m == 1 and not j.d.has_pass and j.load == NULL and j.store == NULL
        if j.spread_planes:
            j.grain, j.parts = j.h.m, outer
    # the longest input row of a tile
    j.line_bytes = 0
    if j.load != NULL and j.long_taps:
        j.line_bytes = align64(max64(PART_SAMPLES, 2 * inner) * j.stored)
    elif j.load != NULL or j.group != NULL:
        if keep_w:
            for t in range(tables):
                tile_in = max64(tile_in, j.tile_taps[t].n)
        else:
            tile_in = min64(j.w.n, <int64_t>(<double>j.tile * j.w.n / j.w.m) + 2 * K + 8)
            if j.w.recipe.scale > 0 and not j.w.recipe.transposed:
                tile_in = min64(j.w.n, max64(tile_in, <int64_t>(j.tile / j.w.recipe.scale) + 2 * K + 8))
        if j.load != NULL:
            j.line_bytes = align64(tile_in * inner * j.stored)
    at = 0
    j.at_ring = at
    at += j.ring_d * j.ring_h * j.row_bytes if not j.copies else 0
    j.at_tags = at
    at += align64(8 * j.ring_d * j.ring_h)
    j.at_line = at
    at += j.line_bytes * (j.group_rows if j.group != NULL else 1)
    j.at_group = at
    if j.group != NULL:
        at += align64(level.group_bytes(j.acc, tile_in * inner))
    j.at_planes = at
    if j.d.has_pass and j.h.has_pass and not j.copies:
        at += min64(j.d.recipe.taps_max, ROW_GROUP) * j.row_bytes
    j.at_sum = at
    if not j.copies:
        for k in range(2):
            if (j.d if k else j.h).recipe.taps_max > ROW_GROUP or (k == 0 and j.d.recipe.taps_max > ROW_GROUP):
                at += align64(j.row_bytes // j.stored * j.sum_size)
    j.at_long = at
    if j.long_taps:
        at += align64(inner * j.sum_size)
    j.at_out = at
    if j.store != NULL:
        at += j.row_bytes
    j.at_row = at
    if outer * j.d.m * j.h.m * j.w.m * inner * sample >= STREAM_BYTES:
        at += 2 * align64(j.tile * inner * sample) + 64
    j.at_d = at
    if j.d.has_pass and "d" not in keep:
        at += axis_table_bytes(&j.d, j.d.block)
    j.at_h = at
    if j.h.has_pass and "h" not in keep:
        at += axis_table_bytes(&j.h, j.h.block)
    j.at_w = at
    if j.long_taps:
        at += align64(PART_SAMPLES * 8)
    elif not keep_w:
        at += row_table_bytes(j, j.tile)
    j.at_build = at
    at += build
    # (the passes of a plan are adjoints all or none, and only those know sums)
    if (j.w.recipe.transposed or j.h.recipe.transposed or j.d.recipe.transposed) and (
            j.long_taps or not keep_w or j.d.has_pass and "d" not in keep or j.h.has_pass and "h" not in keep):
        j.build_bytes = build
    j.scratch_bytes = align64(at)
    if j.w.has_pass and inner == 1 and outer >= PLANES and not j.mean and not j.spread and sample in (1, 2, 4, 8):
        put_side_by_side(p, dtype, sizes, maps)
    return p


cdef int put_side_by_side(Prepared p, str dtype, sizes, maps) except -1:
    """Make a job of small planes one of groups of planes."""
    cdef Prepared pixels
    cdef job *j = &p.j
    cdef int64_t plane_in = j.d.n * j.h.n * j.w.n, plane_out = j.d.m * j.h.m * j.w.m
    cdef int64_t most = PLANES_COPIED if j.copies else PLANES_FAR if max64(j.w.n, j.w.m) <= PLANES_NARROW else PLANES_BYTES
    if j.w.m > PLANES_WIDTH or j.w.n > PLANES_READ or (plane_in + plane_out) * PLANES * j.sample > most:
        return 0
    made = prepare(dtype, j.sample, 1, PLANES, sizes, maps)
    if isinstance(made, str):
        return 0
    pixels = made
    # the memory of its tables is the only one that is needed, and holds the job itself
    free(p.tables)
    p.tables, pixels.tables = pixels.tables, NULL
    pixels.spare[0] = pixels.j
    j.planes = pixels.spare
    j.tile_taps = NULL
    memset(&j.d.whole, 0, sizeof(axis_taps))
    memset(&j.h.whole, 0, sizeof(axis_taps))
    j.units = j.parts = (j.outer + PLANES - 1) // PLANES
    j.grain = 1
    j.scratch_bytes = align64(plane_in * PLANES * j.sample) + align64(plane_out * PLANES * j.sample) + pixels.j.scratch_bytes
    return 0


# ---- arrays ---------------------------------------------------------------

cdef object new_array(int nd, cnp.npy_intp *dims, cnp.dtype dtype, int64_t size):
    """An uninitialised array; a large one in memory of the pool."""
    Py_INCREF(dtype)            # PyArray_Empty steals it
    if size < <int64_t>POOL_LEAST or pool_limit == 0:
        return PyArray_Empty(nd, dims, dtype, 0)
    before = PyDataMem_SetHandler(POOL)
    try:
        return PyArray_Empty(nd, dims, dtype, 0)
    finally:
        PyDataMem_SetHandler(before)


cdef str path_name(const job *j):
    """The fast path that the first tile takes, or the form of its taps."""
    cdef const row_taps *t = j.tile_taps        # NULL where tables are made as they are needed
    if j.planes != NULL:
        return f"{PLANES} planes side by side, {path_name(j.planes)}"
    x2 = t != NULL and t.inside_hi > t.inside_lo
    if j.copies:
        return "x2 copied" if x2 else "copied windows" if t != NULL and t.window != NULL else "copied pixels"
    if j.long_taps:
        return "taps in parts"
    if j.spread:
        return "one weight, planes filled where dense" if j.spread_planes else "one weight"
    if j.mean:
        return "means of planes"
    if j.pixels:
        return "pixels, two rows at once"
    if t != NULL and t.halves and j.halve != NULL and 2 * j.h.m == j.h.n:
        return "means of two by two"
    name = FORM_NAMES[j.form]
    if j.group != NULL:
        return f"{name}, {j.group_rows} rows at once"
    if t != NULL and t.window != NULL:
        name = "halves" if t.half_hi > t.half_lo else "windows"
        if j.pair != NULL and t.pair == PAIR_WINDOWS and j.plain_h:
            return "windows, two rows at once"
    elif x2:
        name = "x2"
        if j.pair != NULL and t.pair and not j.d.has_pass and (j.acc != ACC_U8 or not j.h.has_pass or j.h.m == 2 * j.h.n):
            return "x2, two rows at once" if j.h.has_pass else "x2, stored at once"
    return f"{name}, four rows at once" if j.square else name


cdef class CpuKernel:
    """A job bound to arrays of one shape and dtype: ``kernel(x, out=None)``.

    `groups` tells which array axes make up outer, D, H, W and inner, from outermost to innermost in
    memory; `order` is all of them.
    """
    cdef Prepared p
    cdef int nd
    cdef cnp.npy_intp shape[MAX_DIMS]
    cdef cnp.npy_intp out_shape[MAX_DIMS]
    cdef int order[MAX_DIMS]
    cdef int group_end[5]
    cdef cnp.dtype dtype
    cdef int64_t outputs
    cdef int64_t work       # samples read or written, whichever is more: what threads are judged by
    cdef bint plain         # axes are in memory order
    cdef tuple shapes
    cdef object inverse

    def __init__(self, Prepared p, dtype, tuple shape, tuple out_shape, groups):
        cdef int i, at = 0
        self.p, self.dtype, self.nd = p, dtype, len(shape)
        self.shapes = (shape, out_shape)
        self.outputs = self.work = 1
        for i in range(self.nd):
            self.shape[i], self.out_shape[i] = shape[i], out_shape[i]
            self.outputs *= out_shape[i]
            self.work *= shape[i]
        self.work = max64(self.work, self.outputs)
        for i, group in enumerate(groups):
            for axis in group:
                self.order[at] = axis
                at += 1
            self.group_end[i] = at
        order = [self.order[i] for i in range(self.nd)]
        self.plain = order == list(range(self.nd))
        self.inverse = tuple(np.argsort(order))

    cdef bint bind(self, cnp.ndarray x, const cnp.npy_intp *shape, strides3 *s) noexcept:
        """Strides of outer, D and H of an array, or False where it is not laid out as the job needs."""
        cdef const cnp.npy_intp *st = cnp.PyArray_STRIDES(x)
        cdef int64_t expected = self.p.j.sample
        cdef int64_t group_stride[3]
        cdef int g, i, start, axis
        cdef bint found
        # W and inner are dense
        for i in range(self.nd - 1, self.group_end[2] - 1, -1):
            axis = self.order[i]
            if shape[axis] != 1 and st[axis] != expected:
                return False
            expected *= shape[axis]
        for g in range(3):
            start = self.group_end[g - 1] if g else 0
            found = False
            group_stride[g] = 0
            for i in range(self.group_end[g] - 1, start - 1, -1):
                axis = self.order[i]
                if shape[axis] == 1:
                    continue
                if not found:
                    found = True
                    group_stride[g] = st[axis]
                    expected = st[axis] * shape[axis]
                elif st[axis] != expected:
                    return False
                else:
                    expected *= shape[axis]
        s.outer, s.d, s.h = group_stride[0], group_stride[1], group_stride[2]
        return True

    cdef object new_output(self):
        cdef cnp.npy_intp dims[MAX_DIMS]
        cdef int i
        for i in range(self.nd):
            dims[i] = self.out_shape[self.order[i]]
        made = new_array(self.nd, dims, self.dtype, self.outputs * self.p.j.sample)
        return made if self.plain else made.transpose(self.inverse)

    cdef object ordered_copy(self, cnp.ndarray x):
        """A native, aligned copy whose memory order is the job's."""
        order = [self.order[i] for i in range(self.nd)]
        made = np.empty([x.shape[i] for i in order], self.dtype).transpose(self.inverse)
        made[...] = x
        return made

    cdef bint usable(self, cnp.ndarray x):
        # a structure is flagged as native whatever its fields are
        return cnp.PyArray_ISALIGNED(x) and cnp.PyArray_ISNOTSWAPPED(x) and (
            cnp.PyArray_TYPE(x) != cnp.NPY_VOID or _native(x.descr) is x.descr)

    cdef bint plainly_good(self, cnp.ndarray x, out) noexcept:
        """Whether `out` is a C-contiguous array beside a C-contiguous input: nothing is left to check."""
        cdef cnp.ndarray b
        cdef char *p
        cdef char *q
        if not cnp.PyArray_CheckExact(out):
            return False
        b = out
        if not (cnp.PyArray_CHKFLAGS(b, cnp.NPY_ARRAY_CARRAY) and cnp.PyArray_CHKFLAGS(x, cnp.NPY_ARRAY_C_CONTIGUOUS)
                and b.descr is self.dtype and cnp.PyArray_NDIM(b) == self.nd
                and memcmp(cnp.PyArray_DIMS(b), self.out_shape, self.nd * sizeof(cnp.npy_intp)) == 0):
            return False
        p, q = <char *>cnp.PyArray_DATA(x), <char *>cnp.PyArray_DATA(b)
        return p + cnp.PyArray_NBYTES(x) <= q or q + cnp.PyArray_NBYTES(b) <= p

    def __call__(self, x, out=None):
        cdef strides3 sx, so
        cdef bint warm
        cdef cnp.ndarray a, b
        if not cnp.PyArray_Check(x):
            raise TypeError(f"expected a numpy.ndarray, got {type(x).__name__}")
        a = x
        if (cnp.PyArray_NDIM(a) != self.nd or memcmp(cnp.PyArray_DIMS(a), self.shape, self.nd * sizeof(cnp.npy_intp))
                or (a.descr is not self.dtype and _native(a.dtype) != self.dtype)):
            raise ValueError(f"expected {self.dtype} of shape {self.shapes[0]}, got {x.dtype} of shape {x.shape}")
        if out is None:
            b = self.new_output()
        else:
            if not self.plainly_good(a, out):
                _check_out(out, self.shapes[1], self.dtype, x)
            b = out
        if self.outputs == 0:
            return b
        if not self.usable(a) or not self.bind(a, self.shape, &sx):
            a = self.ordered_copy(a)
            self.bind(a, self.shape, &sx)
        if not self.usable(b) or not self.bind(b, self.out_shape, &so):
            b = self.new_output()
            self.bind(b, self.out_shape, &so)
        # memory that was there before, ours or the caller's
        warm = b is out or (self.outputs * self.p.j.sample >= <int64_t>POOL_LEAST and pool_limit and pool_last_was_warm)
        so.stream = warm and self.outputs * self.p.j.sample >= STREAM_BYTES and self.p.j.level.stream_row != NULL
        self.run(<const char *>cnp.PyArray_DATA(a), &sx, <char *>cnp.PyArray_DATA(b), &so)
        if out is None or b is out:
            return b
        _write(out, b)
        return out

    cdef int run(self, const char *x, const strides3 *sx, char *out, const strides3 *so) except -1:
        cdef const job *j = &self.p.j
        cdef char stack[STACK_SCRATCH + 64]
        cdef char *memory = NULL
        cdef char *scratch
        cdef int threads = 1
        cdef int64_t bytes_ = j.scratch_bytes, lost
        if OPENMP and j.cost >= 2 * least_cost:
            threads = region_enter(min(_get_num_threads(), grains_of(j), j.cost // least_cost))
        if threads == 1:
            scratch = &stack[0]
            if bytes_ > STACK_SCRATCH:
                memory = <char *>malloc(bytes_ + 64)
                if memory == NULL:
                    raise MemoryError(f"no memory for {bytes_} bytes of scratch")
                scratch = memory
            scratch = <char *>align64(<int64_t>scratch)
            if self.work >= WITH_GIL:
                with nogil:
                    execute(j, x, sx, out, so, scratch, 0, j.units)
            else:               # too short to let another thread in
                execute(j, x, sx, out, so, scratch, 0, j.units)
            free(memory)
            return 0
        bytes_ = (bytes_ + sizeof(part_queue)) * threads
        memory = <char *>malloc(bytes_ + 64)
        if memory == NULL:
            region_leave(0)
            raise MemoryError(f"no memory for {bytes_} bytes of scratch")
        scratch = <char *>align64(<int64_t>memory)
        with nogil:
            lost = execute_parallel(j, x, sx, out, so, scratch + threads * sizeof(part_queue), <part_queue *>scratch, threads)
        region_leave(lost)
        free(memory)
        return 0

    def explain(self):
        """The kernel path in words."""
        cdef const job *j = &self.p.j
        text = (f"level {j.level.name.decode()}, outer={j.outer} D={j.d.n}->{j.d.m} H={j.h.n}->{j.h.m} "
                f"W={j.w.n}->{j.w.m} inner={j.inner}, W pass: {path_name(j)}, {j.tiles} tile(s) of {j.tile}")
        if j.repeat:
            text += f" ({j.repeat_hi - j.repeat_lo} with one table)"
        elif j.tile_taps == NULL and j.planes == NULL:
            text += " (tables made at each call)"
        if not j.copies:
            text += f", ring {j.ring_d}x{j.ring_h} rows of {j.row_bytes} bytes"
        text += f", {j.scratch_bytes} bytes of scratch per thread"
        if j.cost < 2 * least_cost:
            text += ", serial (small)"
        return text
