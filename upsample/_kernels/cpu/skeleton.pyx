# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""The one CPU skeleton: every mode, rank and layout as work on (outer, D, H, W, inner).

In: a plan's axis maps on those five numbers, and memory.  Out: samples written once.
A job is prepared once, by the first path of a table that fits it (`prepare.pxi`, `paths/`), and then run: threads take
parts of its work units, and any split of the units has the same bits.

Everything that touches samples is a primitive behind a pointer (``rows.h``).  This code knows strides, rows and units; it
knows no modes, and no dtypes beyond the choice of primitives.
"""
cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_INCREF
from cython.parallel cimport prange
from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memmove, memset

import numpy as np

from upsample._axismap cimport AxisMap
from upsample._axismap cimport FILTER_NEAREST_EXACT, WEIGHTS_F32, WEIGHTS_F64, WEIGHTS_I16

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
    int64_t fetch_add(int64_t *counter, int64_t by)
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
    bint pool_give_back()
    void pool_tick()
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
    """Bytes of the tables that all kernels keep."""
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
    SMALL_TABLE = 1 << 16       # up to here whatever others keep
    TABLES_BYTES = 256 << 20    # of all jobs together
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
    DOUBLED_CHANNELS = 8             # more channels fill vectors without interleaving

cdef int64_t least_cost = THREAD_COST


# ---- the table of paths -----------------------------------------------------

cdef enum:
    PATHS = 20              # more than there are

cdef path paths[PATHS]
cdef int path_count = 0
cdef bint counting = False


cdef path *add_path(const char *name, bint (*fits)(const job *j) noexcept, int (*prepare)(Prepared p) except -1,
                    void (*run)(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                                int64_t unit_lo, int64_t unit_hi) noexcept nogil, said how=ALONE) except NULL:
    """Another row of the table, tried after those that are there."""
    global path_count
    cdef path *p = &paths[path_count]
    path_count += 1
    p.name, p.fits, p.prepare, p.run, p.how = name, fits, prepare, run, how
    return p


cdef inline void ran(path *p, int64_t units) noexcept nogil:
    if counting:
        fetch_add(&p.made, units)


def count_paths(bint on=True):
    """Count from now on, from zero, what each path makes (for tests)."""
    global counting
    cdef int k
    counting = on
    for k in range(path_count):
        paths[k].made = 0


def made_by_paths():
    """Units or rows that each path made since counting began, by the path's name."""
    cdef int k
    return {paths[k].name.decode(): paths[k].made for k in range(path_count)}


def set_thread_cost(int64_t cost=THREAD_COST):
    """Nanoseconds of work that a thread is started for."""
    global least_cost
    least_cost = cost


cdef dict DTYPES = {
    "float32": DTYPE_F32, "float64": DTYPE_F64, "float16": DTYPE_F16, "bfloat16": DTYPE_BF16,
    "uint8": DTYPE_U8, "int8": DTYPE_I8, "uint16": DTYPE_U16, "int16": DTYPE_I16,
}
cdef tuple FORM_NAMES = ("fixed taps", "wide taps", "box sums", "doubled")
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


include "tables.pxi"
include "rows.pxi"
# the table of paths, most special first; the last fits everything
include "paths/means.pxi"
include "paths/few_inputs.pxi"
include "paths/copied_planes.pxi"
include "paths/halves.pxi"
include "paths/columns.pxi"
include "paths/planes.pxi"
include "paths/copies.pxi"
include "paths/pixels.pxi"
include "paths/pairs.pxi"
include "paths/squares.pxi"
include "paths/any.pxi"


# ---- running a job ----------------------------------------------------------

cdef void execute(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                  int64_t unit_lo, int64_t unit_hi) noexcept nogil:
    """Units [unit_lo, unit_hi) of a job; any split of all units gives the same bits."""
    j.made_by.run(j, x, sx, out, so, scratch, unit_lo, unit_hi)


# The parts that are a thread's own; a cache line each.
cdef struct part_queue:
    int64_t taken           # by anyone
    int64_t lost            # ns that the thread was without a CPU
    int64_t unused[6]


cdef void take_parts(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                     part_queue *queues, int me, int threads, int64_t per_thread) noexcept nogil:
    """Parts of the work until there are none: the thread's own, whose memory it had in earlier calls, then those of others."""
    cdef int64_t parts = threads * per_thread, part, taken
    cdef region_time arrived = region_arrive()
    cdef int k, owner
    cdef bint worked = False
    for k in range(threads):
        owner = (me + k) % threads
        taken = fetch_increment(&queues[owner].taken)
        while taken < per_thread:
            worked = True
            part = owner * per_thread + taken
            execute(j, x, sx, out, so, scratch + me * j.scratch_bytes, j.units * part // parts, j.units * (part + 1) // parts)
            taken = fetch_increment(&queues[owner].taken)
    queues[me].lost = region_lost(arrived, worked)


cdef int64_t execute_parallel(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so,
                              char *scratch, part_queue *queues, int threads) noexcept nogil:
    """All units, in parts: a thread that is not running holds one part at the most.

    Returns the most ns that a thread was without a CPU.
    """
    cdef int64_t per_thread = max64(1, min64(PARTS, min64(j.most_parts, j.cost // least_cost) // threads)), lost = 0
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
    int64_t add_tables(int64_t bytes) nogil


cdef void release(job *j) noexcept nogil:
    """Free what a job owns."""
    cdef int k
    for k in range(2):
        if j.stage[k] != NULL:
            release(j.stage[k])
            free(j.stage[k])
    free(j.tables)
    free(j.own)
    add_tables(-j.kept_bytes)


cdef int64_t bytes_of(const job *j) noexcept:
    """Memory that a job keeps, with the jobs that it is made of."""
    return sizeof(job) + j.kept_bytes + (bytes_of(j.stage[0]) if j.stage[0] != NULL else 0) + (
        bytes_of(j.stage[1]) if j.stage[1] != NULL else 0)


cdef void take_job(Prepared p, job *into) noexcept:
    """Move a job, and what it owns, from its owner."""
    into[0] = p.j
    memset(&p.j, 0, sizeof(job))


cdef class Prepared:
    def __cinit__(self):
        memset(&self.j, 0, sizeof(job))

    def __dealloc__(self):
        release(&self.j)


include "prepare.pxi"


# ---- arrays ---------------------------------------------------------------

include "strided.pxi"


cdef object new_array(int nd, cnp.npy_intp *dims, cnp.dtype dtype, int64_t size):
    """An uninitialised array; a large one in memory of the pool."""
    pool_tick()
    try:
        return empty_array(nd, dims, dtype, size)
    except MemoryError:
        if not pool_give_back():
            raise
    return empty_array(nd, dims, dtype, size)


cdef object empty_array(int nd, cnp.npy_intp *dims, cnp.dtype dtype, int64_t size):
    Py_INCREF(dtype)            # PyArray_Empty steals it
    if size < <int64_t>POOL_LEAST or pool_limit == 0:
        return PyArray_Empty(nd, dims, dtype, 0)
    before = PyDataMem_SetHandler(POOL)
    try:
        return PyArray_Empty(nd, dims, dtype, 0)
    finally:
        PyDataMem_SetHandler(before)


cdef int fill_array(const row_table *level, cnp.ndarray to, cnp.ndarray x, const int *order) except -1:
    """Fill an array with another of its shape; `order` is that of its axes in memory, outermost first."""
    cdef strided_axes a
    cdef int64_t size = cnp.PyArray_ITEMSIZE(to)
    cdef int i
    a.nd = 0
    for i in range(cnp.PyArray_NDIM(to)):
        add_axis(&a, cnp.PyArray_DIMS(to)[order[i]], cnp.PyArray_STRIDES(x)[order[i]], cnp.PyArray_STRIDES(to)[order[i]])
    if (a.nd and a.out[a.nd - 1] != size) or to.dtype != x.dtype or not copy_strided(
            level, &a, <char *>cnp.PyArray_DATA(to), <const char *>cnp.PyArray_DATA(x), size):
        to[...] = x
    return 0


def write(out, x):
    """Fill an array with one of its shape and dtype that lies in another order."""
    cdef int order[MAX_DIMS]
    to = out.view(np.ndarray)
    for i, axis in enumerate(sorted(range(to.ndim), key=lambda k: -abs(to.strides[k]))):
        order[i] = axis
    fill_array(LEVEL, to, x, order)


cdef str w_pass(const job *j):
    """The pass along W of the first tile."""
    cdef const row_taps *t = j.tile_taps        # NULL where tables are made as they are needed
    if j.long_taps:
        return "taps in parts"
    name = FORM_NAMES[j.form]
    if j.group != NULL:
        return f"{name}, {j.group_rows} rows at once"
    if t == NULL:
        return name
    if t.window != NULL:
        return "halves" if t.half_hi > t.half_lo else "windows"
    return "doubled" if t.doubled_hi > t.doubled_lo else name


cdef str path_name(const job *j):
    """Who makes a job's output, in words."""
    name = j.made_by.name.decode()
    if j.made_by == SMALL_PLANES:
        return f"{PLANES} {name}, {path_name(j.stage[0])}"
    if j.made_by == COLUMNS:
        return f"{name}: {path_name(j.stage[0])}, then {path_name(j.stage[1])}"
    if j.made_by == MEANS:
        return f"{name} of planes" if j.d.n == 1 else f"{name} of volumes"
    if j.made_by == COPIES:
        return f"{name} windows" if j.tile_taps != NULL and j.tile_taps[0].window != NULL else f"{name} pixels"
    return name if j.made_by.how == ALONE else f"{w_pass(j)}, {name}" if j.made_by.how == AFTER_W else w_pass(j)


cdef class CpuKernel:
    """A job bound to arrays of one shape and dtype: ``kernel(x, out=None)``.

    `groups` tells which array axes make up outer, D, H, W and inner; a group more, before these, is of the axis along which
    the job is repeated. `order` is all axes from outermost to innermost in the memory of a new output.
    """
    cdef Prepared p
    cdef int nd
    cdef cnp.npy_intp shape[MAX_DIMS]
    cdef cnp.npy_intp out_shape[MAX_DIMS]
    cdef int order[MAX_DIMS]
    cdef int axes[MAX_DIMS]     # group by group
    cdef int group_end[5]
    cdef int repeated           # the axis along which the job is repeated, or -1
    cdef cnp.dtype dtype
    cdef int64_t outputs
    cdef int64_t work       # samples read or written, whichever is more: what threads are judged by
    cdef bint plain         # axes are in memory order
    cdef tuple shapes
    cdef object inverse

    def __init__(self, Prepared p, dtype, tuple shape, tuple out_shape, groups, order):
        cdef int i, at = 0
        self.p, self.dtype, self.nd = p, dtype, len(shape)
        self.shapes = (shape, out_shape)
        self.outputs = self.work = 1
        for i in range(self.nd):
            self.shape[i], self.out_shape[i] = shape[i], out_shape[i]
            self.outputs *= out_shape[i]
            self.work *= shape[i]
        self.work = max64(self.work, self.outputs)
        self.repeated = groups[0][0] if len(groups) > 5 and groups[0] else -1
        if self.repeated >= 0 and self.outputs * p.j.sample >= STREAM_BYTES:
            may_stream(&self.p.j)       # the job knows one of its repeats
        for i, group in enumerate(groups[len(groups) - 5:]):
            for axis in group:
                self.axes[at] = axis
                at += 1
            self.group_end[i] = at
        for i, axis in enumerate(order):
            self.order[i] = axis
        self.plain = list(order) == list(range(self.nd))
        self.inverse = tuple(np.argsort(order))

    cdef bint bind(self, cnp.ndarray x, const cnp.npy_intp *shape, strides3 *s) noexcept:
        """Strides of outer, D and H of an array, or False where it is not laid out as the job needs."""
        cdef const cnp.npy_intp *st = cnp.PyArray_STRIDES(x)
        cdef int64_t expected = self.p.j.sample
        cdef int64_t group_stride[3]
        cdef int g, i, start, axis
        cdef bint found
        # W and inner are dense
        for i in range(self.group_end[4] - 1, self.group_end[2] - 1, -1):
            axis = self.axes[i]
            if shape[axis] != 1 and st[axis] != expected:
                return False
            expected *= shape[axis]
        for g in range(3):
            start = self.group_end[g - 1] if g else 0
            found = False
            group_stride[g] = 0
            for i in range(self.group_end[g] - 1, start - 1, -1):
                axis = self.axes[i]
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

    cdef object new_output(self, cnp.ndarray x):
        """In the native form of this call's dtype, which may name what is equal in another way."""
        cdef cnp.npy_intp dims[MAX_DIMS]
        cdef cnp.dtype dtype = self.dtype if x.descr is self.dtype else _native(x.descr)
        cdef int i
        for i in range(self.nd):
            dims[i] = self.out_shape[self.order[i]]
        made = new_array(self.nd, dims, dtype, self.outputs * self.p.j.sample)
        return made if self.plain else made.transpose(self.inverse)

    cdef object ordered_copy(self, cnp.ndarray x):
        """A native, aligned copy whose memory order is the job's."""
        cdef cnp.npy_intp dims[MAX_DIMS]
        cdef int i
        for i in range(self.nd):
            dims[i] = self.shape[self.order[i]]
        made = new_array(self.nd, dims, self.dtype, cnp.PyArray_SIZE(x) * self.dtype.itemsize).transpose(self.inverse)
        fill_array(self.p.j.level, made, x, self.order)
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
        cdef const char *source
        cdef char *target
        cdef int64_t k
        if not cnp.PyArray_Check(x):
            raise TypeError(f"expected a numpy.ndarray, got {type(x).__name__}")
        a = x
        if (cnp.PyArray_NDIM(a) != self.nd or memcmp(cnp.PyArray_DIMS(a), self.shape, self.nd * sizeof(cnp.npy_intp))
                or (a.descr is not self.dtype and _native(a.dtype) != self.dtype)):
            raise ValueError(f"expected {self.dtype} of shape {self.shapes[0]}, got {x.dtype} of shape {x.shape}")
        warm = False
        if out is None:
            b = self.new_output(a)
            warm = pool_last_was_warm   # memory that was there before, ours or the caller's
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
            b = self.new_output(a)
            warm = pool_last_was_warm
            self.bind(b, self.out_shape, &so)
        warm = b is out or (warm and self.outputs * self.p.j.sample >= <int64_t>POOL_LEAST and pool_limit != 0)
        so.stream = warm and self.outputs * self.p.j.sample >= STREAM_BYTES and self.p.j.level.stream_row != NULL
        source, target = <const char *>cnp.PyArray_DATA(a), <char *>cnp.PyArray_DATA(b)
        if self.repeated < 0:
            self.run(source, &sx, target, &so)
        else:
            for k in range(self.shape[self.repeated]):
                self.run(source, &sx, target, &so)
                source += cnp.PyArray_STRIDES(a)[self.repeated]
                target += cnp.PyArray_STRIDES(b)[self.repeated]
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
            threads = region_enter(min(_get_num_threads(), j.units, j.cost // least_cost))
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

    @property
    def kept_bytes(self):
        """Memory that the kernel keeps between calls."""
        return bytes_of(&self.p.j)

    def explain(self):
        """The kernel path in words."""
        cdef const job *j = &self.p.j
        text = (f"level {j.level.name.decode()}, outer={j.outer} D={j.d.n}->{j.d.m} H={j.h.n}->{j.h.m} "
                f"W={j.w.n}->{j.w.m} inner={j.inner}, W pass: {path_name(j)}")
        if j.tiles:
            text += f", {j.tiles} tile(s) of {j.tile}"
            if j.repeat:
                text += f" ({j.repeat_hi - j.repeat_lo} with one table)"
            elif j.tile_taps == NULL:
                text += " (tables made at each call)"
            if not j.no_ring:
                text += f", ring {j.ring_d}x{j.ring_h} rows of {j.row_bytes} bytes"
        text += f", {j.scratch_bytes} bytes of scratch per thread"
        if j.cost < 2 * least_cost:
            text += ", serial (small)"
        return text
