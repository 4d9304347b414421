# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""The C interface: the table of functions behind ``upsample.h``, in a capsule.

In: a C caller's structure.  Out: a kernel that owns a prepared job, and the job's units done.  What the
structure means is worked out by `_embed`; here are fields and their checks, reference counts, and codes
instead of exceptions.  `execute` is the skeleton's, which Python calls go through as well.
"""
from cpython.exc cimport PyErr_Fetch, PyErr_Restore
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset, strlen

from upsample._kernels.cpu.skeleton cimport STREAM_BYTES, Prepared, execute, job, may_stream, release, strides3, take_job
from upsample.capi cimport *

import numpy as np

from upsample import _embed
from upsample._version import __version__

# Python's names of what the header numbers; only ever appended to.
MODES = ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "cubic", "area", "lanczos")
NUMERICS = ("torch", "exact")

cdef enum:
    MOST_BLOCKS = 8
    # what version 1.0 of the interface had: callers of every 1.x bring this much at least
    LEAST_WORK = 376
    LEAST_INFO = 328

cdef extern from "Python.h" nogil:
    int Py_IsInitialized()
    int Py_AtExit(void (*f)() noexcept nogil)
    int Py_AddPendingCall(int (*f)(void *) except -1 with gil, void *argument)

cdef extern from *:
    """
    static int64_t count_up(int64_t *count) { return __atomic_add_fetch(count, 1, __ATOMIC_RELAXED); }
    static int64_t count_down(int64_t *count) { return __atomic_sub_fetch(count, 1, __ATOMIC_ACQ_REL); }

    static const char *text_of(int32_t status)
    {
        static const char *const texts[] = {
            "no error",
            "an argument makes no sense: a null pointer, a wrong struct_size, or a field with no such value",
            "fields of the description contradict each other",
            "the mode does not take this rank or dtype",
            "a size is below 1 or too large",
            "no memory",
            "strides that cannot be run in place: copy into an array in C order or, with channels inside, channels-last, "
            "or give the output the input's order",
            "an address is not a multiple of the alignment that upsample_query() tells",
            "the range of units is not within 0 <= lo <= hi <= units",
            "input and output share memory",
            "the installed upsample cannot do this yet",
            "upsample_import() was not called, or failed",
            "a bug in upsample: please report it",
            "a signal came while the kernel was made",
        };
        const int32_t known = (int32_t)(sizeof texts / sizeof *texts);
        return 0 <= status && status < known ? texts[status] : "there is no such code";
    }
    """
    const char *text_of(int32_t status) nogil
    int64_t count_up(int64_t *count) nogil
    int64_t count_down(int64_t *count) nogil


# An axis outside of the job, which runs once for each of its samples.
cdef struct block:
    int64_t size, x, out


# What `upsample_kernel` of the header points to.
cdef struct kernel_data:
    int64_t owners
    upsample_info info
    int64_t units_per_block
    int64_t zeros                       # bytes of them that each unit writes, where there is nothing to sum
    int64_t x_lo, x_hi, out_lo, out_hi  # bytes that are touched, from the addresses given
    uintptr_t unaligned                 # bits that addresses must not have
    bint dense
    int32_t blocks
    block block[MOST_BLOCKS]
    strides3 sx, so
    job j


cdef const char *table_error_text(int32_t status) noexcept nogil:
    return text_of(status)


cdef void say(char *message, int64_t size, const char *text) noexcept nogil:
    """Copy a text into a buffer, cut between characters of UTF-8 where it is too long."""
    cdef int64_t n = strlen(text)
    if message == NULL or size <= 0:
        return
    if n >= size:
        n = size - 1
        while n > 0 and (text[n] & 0xC0) == 0x80:
            n -= 1
    memcpy(message, text, n)
    message[n] = 0


class _Argument(Exception):
    """A field that makes no sense."""


cdef tuple _numbers(const int64_t *values, int n):
    return tuple([values[i] for i in range(n)])


cdef _given(bint there, const int64_t *values, int n, flag, fields):
    """The numbers, or None where a flag says that there are none: numbers without it are an oversight."""
    if there:
        return _numbers(values, n)
    for i in range(n):
        if values[i] != 0:
            raise _Argument(f"{fields} must be 0 where {flag} is 0, got {_numbers(values, n)}")
    return None


def _named(int32_t value, names, field):
    if not 0 <= value < len(names):
        raise _Argument(f"{field} must be from 0 to {len(names) - 1}, got {value}")
    return names[value]


cdef dtype_of(const upsample_work *w):
    dtype = _named(w.dtype, (*_embed.DTYPES, None), "dtype")
    if dtype is None:
        if not 1 <= w.itemsize < 1 << 31:
            raise _Argument(f"itemsize of UPSAMPLE_RAW must be from 1 to {(1 << 31) - 1} bytes, got {w.itemsize}")
        return np.dtype((np.void, w.itemsize))
    if w.itemsize not in (0, dtype.itemsize):
        raise _Argument(f"itemsize must be 0 or {dtype.itemsize} for {dtype.name}, got {w.itemsize}")
    return dtype


cdef embedded(const upsample_work *w):
    """The description in Python's words, resolved."""
    cdef int ndim = w.ndim
    if not 1 <= ndim <= UPSAMPLE_MAX_NDIM:
        raise _Argument(f"ndim must be from 1 to {UPSAMPLE_MAX_NDIM}, got {ndim}")
    shape = _numbers(w.shape, ndim)
    if min(shape) < 0:
        raise _Argument(f"shape has a negative size: {shape}")
    flags = {}
    for name, value in (("align_corners", w.align_corners), ("antialias", w.antialias), ("transposed", w.transposed),
                        ("recompute_scale_factor", w.recompute_scale_factor), ("fresh_output", w.fresh_output),
                        ("has_strides", w.has_strides), ("has_out_strides", w.has_out_strides),
                        ("has_window", w.has_window)):
        if value not in (0, 1):
            raise _Argument(f"{name} must be 0 or 1, got {value}")
        flags[name] = value == 1
    if w.reserved != 0:
        raise _Argument(f"reserved must be 0, got {w.reserved}")
    text = w.layout[:sizeof(w.layout)].partition(b"\0")
    if not text[1]:
        raise _Argument("layout has no terminating zero")
    try:
        layout = text[0].decode("ascii") or None
    except UnicodeDecodeError:
        raise _Argument(f"layout must be ASCII letters, got {text[0]}") from None
    if not 0 <= w.given <= UPSAMPLE_SIZE | UPSAMPLE_SCALE:
        raise _Argument(f"given must be UPSAMPLE_SIZE or UPSAMPLE_SCALE, got {w.given}")
    start = _given(w.has_window, w.window_start, 3, "has_window", "window_start")
    stop = _given(w.has_window, w.window_stop, 3, "has_window", "window_stop")
    # more axes than three have no numbers of their own: the front end says that there are too many
    cdef int rank = len([c for c in layout if c in "DHW"]) if layout else max(ndim - 2, 0)
    return _embed.embed(
        shape,
        dtype_of(w),
        _given(w.has_strides, w.strides, ndim, "has_strides", "strides"),
        _given(w.has_out_strides, w.out_strides, ndim, "has_out_strides", "out_strides"),
        layout,
        {
            "size": tuple([w.size[min(i, 2)] for i in range(rank)]) if w.given & UPSAMPLE_SIZE else None,
            "scale_factor": tuple([w.scale[min(i, 2)] for i in range(rank)]) if w.given & UPSAMPLE_SCALE else None,
            "mode": _named(w.mode, MODES, "mode"),
            "align_corners": flags["align_corners"] or None,
            "recompute_scale_factor": flags["recompute_scale_factor"] or None,
            "antialias": flags["antialias"],
            "numerics": _named(w.numerics, NUMERICS, "numerics"),
        },
        (start, stop) if w.has_window else None,
        flags["transposed"],
    )


cdef int fill(kernel_data *k, const upsample_work *w, e) except -1:
    """The fields of a kernel, which is zero but for them."""
    k.owners = 1
    cdef upsample_info *info = &k.info
    cdef Prepared p
    cdef int i
    info.struct_size, info.ndim, info.alignment = sizeof(upsample_info), w.ndim, e.alignment
    for i in range(w.ndim):
        info.in_shape[i], info.out_shape[i] = e.shapes[0][i], e.shapes[1][i]
        info.in_strides[i], info.out_strides[i] = e.strides[0][i], e.strides[1][i]
    for i in range(len(e.in_start)):
        info.in_start[i] = e.in_start[i]
    (k.x_lo, k.x_hi), (k.out_lo, k.out_hi) = e.extents
    info.in_bytes, info.out_bytes = k.x_hi - k.x_lo, k.out_hi - k.out_lo
    k.unaligned, k.dense = e.alignment - 1, e.dense
    k.blocks = len(e.blocks)
    for i, one in enumerate(e.blocks):
        k.block[i].size, k.block[i].x, k.block[i].out = one
    if e.job is None:
        k.zeros = e.zeros
        info.units = e.zeros > 0
        for i in range(k.blocks):
            info.units *= k.block[i].size
        info.scratch_bytes = 64                         # none, but malloc(0) may be NULL
        return 0
    p = e.job
    take_job(p, &k.j)
    k.sx.outer, k.sx.d, k.sx.h = e.steps[0]
    k.so.outer, k.so.d, k.so.h = e.steps[1]
    k.units_per_block = info.units = k.j.units
    cdef int64_t block = k.j.outer * k.j.d.m * k.j.h.m * k.j.w.m * k.j.inner * k.j.sample, written = block
    for i in range(k.blocks):
        written *= k.block[i].size
        info.units *= k.block[i].size
    k.so.stream = not w.fresh_output and written >= STREAM_BYTES and k.j.level.stream_row != NULL
    if k.so.stream:
        may_stream(&k.j)        # the job knows one block only
    info.scratch_bytes = k.j.scratch_bytes + 64         # room to align it
    return 0


cdef kernel_data *made(const upsample_work *given) except NULL:
    cdef upsample_work known                            # later fields than the caller's count as zero
    cdef const upsample_work *w = &known
    cdef int64_t size = given.struct_size
    if not LEAST_WORK <= size <= <int64_t>sizeof(upsample_work):
        raise _Argument(f"struct_size must be from {LEAST_WORK} to {sizeof(upsample_work)}, sizeof(upsample_work) in "
                        f"version {UPSAMPLE_API_MAJOR}.{UPSAMPLE_API_MINOR} of the interface, got {size}")
    memset(&known, 0, sizeof(upsample_work))
    memcpy(&known, given, size)
    e = embedded(w)
    cdef kernel_data *k = <kernel_data *>malloc(sizeof(kernel_data))
    if k == NULL:
        raise MemoryError("no memory for a kernel")
    memset(k, 0, sizeof(kernel_data))
    try:
        fill(k, w, e)
    except:
        release(&k.j)
        free(k)
        raise
    return k


cdef int32_t table_create(const upsample_work *work, upsample_kernel **kernel, char *message,
                          int64_t message_size) noexcept nogil:
    if message != NULL and message_size > 0:
        message[0] = 0
    if kernel == NULL:
        say(message, message_size, "kernel is a null pointer")
        return UPSAMPLE_ERROR_ARGUMENT
    kernel[0] = NULL
    if work == NULL:
        say(message, message_size, "work is a null pointer")
        return UPSAMPLE_ERROR_ARGUMENT
    if has_ended or not Py_IsInitialized():
        say(message, message_size, "Python has ended: kernels are made while it runs for the first time")
        return UPSAMPLE_ERROR_NOT_IMPORTED
    return create(work, kernel, message, message_size)


cdef bint has_ended = False     # so has the interpreter that this module was loaded by


cdef void end() noexcept nogil:
    global has_ended
    has_ended = True


cdef int raised(void *error) except -1 with gil:
    cdef object owned = <object><PyObject *>error
    Py_DECREF(owned)                        # the reference that `later` took
    raise owned


cdef void later(error) noexcept:
    """Raise it in the main thread when Python code runs next there, as signals do."""
    Py_INCREF(error)
    if Py_AddPendingCall(raised, <void *><PyObject *>error) < 0:
        Py_DECREF(error)


cdef int32_t create(const upsample_work *work, upsample_kernel **kernel, char *message,
                    int64_t message_size) noexcept with gil:
    cdef PyObject *kind
    cdef PyObject *value
    cdef PyObject *trace
    cdef int32_t status = UPSAMPLE_ERROR_INTERNAL
    PyErr_Fetch(&kind, &value, &trace)      # the caller may be handling an error of its own
    try:
        kernel[0] = <upsample_kernel *>made(work)
        status = UPSAMPLE_OK
    except BaseException as error:
        try:
            say(message, message_size, text_of(status))
            status = UPSAMPLE_ERROR_INTERRUPTED if _embed.interrupts(error) else status_of(error)
            text = str(error)
            if status == UPSAMPLE_ERROR_INTERNAL or status == UPSAMPLE_ERROR_INTERRUPTED:
                text = f"{text_of(status).decode()}: {error!r}"
            say(message, message_size, text.encode("utf-8", "replace"))
            if status == UPSAMPLE_ERROR_INTERRUPTED and _embed.in_main_thread():
                later(error)
        except BaseException:
            pass
    PyErr_Restore(kind, value, trace)
    return status


cdef int32_t status_of(error) except -1:
    for kinds, status in (
        (_Argument, UPSAMPLE_ERROR_ARGUMENT),
        (_embed.LayoutError, UPSAMPLE_ERROR_LAYOUT),
        (ValueError, UPSAMPLE_ERROR_VALUE),
        (NotImplementedError, UPSAMPLE_ERROR_NOT_IMPLEMENTED),
        ((RuntimeError, OverflowError), UPSAMPLE_ERROR_RUNTIME),
        (MemoryError, UPSAMPLE_ERROR_MEMORY),
    ):
        if isinstance(error, kinds):
            return status
    return UPSAMPLE_ERROR_INTERNAL


cdef int32_t table_query(const upsample_kernel *kernel, upsample_info *info) noexcept nogil:
    cdef const kernel_data *k = <const kernel_data *>kernel
    cdef int64_t size
    if k == NULL or info == NULL:
        return UPSAMPLE_ERROR_ARGUMENT
    size = info.struct_size
    if not LEAST_INFO <= size <= <int64_t>sizeof(upsample_info):
        return UPSAMPLE_ERROR_ARGUMENT
    memcpy(info, &k.info, size)
    info.struct_size = size
    return UPSAMPLE_OK


cdef inline void to_block(const kernel_data *k, int64_t block, const char **x, char **out) noexcept nogil:
    cdef int32_t i
    for i in range(k.blocks - 1, -1, -1):
        x[0] += block % k.block[i].size * k.block[i].x
        out[0] += block % k.block[i].size * k.block[i].out
        block //= k.block[i].size


cdef void write_zeros(const kernel_data *k, char *out, int64_t unit_lo, int64_t unit_hi) noexcept nogil:
    cdef const char *none = NULL
    cdef char *target
    cdef int64_t unit
    for unit in range(unit_lo, unit_hi):
        target = out
        to_block(k, unit, &none, &target)       # (their input strides are 0)
        memset(target, 0, k.zeros)


cdef int32_t table_execute(const upsample_kernel *kernel, const void *x, void *out, void *scratch, int64_t unit_lo,
                           int64_t unit_hi) noexcept nogil:
    cdef const kernel_data *k = <const kernel_data *>kernel
    cdef const char *source = <const char *>x
    cdef char *target = <char *>out
    cdef char *memory = <char *>((<uintptr_t>scratch + 63) & ~<uintptr_t>63)
    cdef int64_t block, per_block, stop
    if k == NULL:
        return UPSAMPLE_ERROR_ARGUMENT
    if not 0 <= unit_lo <= unit_hi <= k.info.units:
        return UPSAMPLE_ERROR_UNITS
    if unit_lo == unit_hi:
        return UPSAMPLE_OK
    if out == NULL or scratch == NULL or (x == NULL and k.x_lo < k.x_hi):
        return UPSAMPLE_ERROR_ARGUMENT
    if (<uintptr_t>x | <uintptr_t>out) & k.unaligned:
        return UPSAMPLE_ERROR_ALIGNMENT
    if k.zeros > 0:
        write_zeros(k, target, unit_lo, unit_hi)
        return UPSAMPLE_OK
    if source == target or (
        k.dense and source + k.x_lo < target + k.out_hi and target + k.out_lo < source + k.x_hi
    ):
        return UPSAMPLE_ERROR_OVERLAP
    if k.blocks == 0:
        execute(&k.j, source, &k.sx, target, &k.so, memory, unit_lo, unit_hi)
        return UPSAMPLE_OK
    per_block = k.units_per_block
    while unit_lo < unit_hi:
        block = unit_lo // per_block
        stop = min(unit_hi, (block + 1) * per_block)
        source, target = <const char *>x, <char *>out
        to_block(k, block, &source, &target)
        execute(&k.j, source, &k.sx, target, &k.so, memory, unit_lo - block * per_block, stop - block * per_block)
        unit_lo = stop
    return UPSAMPLE_OK


cdef upsample_kernel *table_retain(upsample_kernel *kernel) noexcept nogil:
    if kernel != NULL:
        count_up(&(<kernel_data *>kernel).owners)
    return kernel


cdef void table_release(upsample_kernel *kernel) noexcept nogil:
    cdef kernel_data *k = <kernel_data *>kernel
    if k != NULL and count_down(&k.owners) == 0:
        release(&k.j)
        free(k)


cdef bytes version = __version__.encode()
cdef upsample_table functions
functions.major, functions.minor = UPSAMPLE_API_MAJOR, UPSAMPLE_API_MINOR
functions.table_size, functions.work_size = sizeof(upsample_table), sizeof(upsample_work)
functions.info_size = sizeof(upsample_info)
functions.version = version
functions.create, functions.query, functions.execute = table_create, table_query, table_execute
functions.retain, functions.release, functions.error_text = table_retain, table_release, table_error_text

if Py_AtExit(end) < 0:
    pass        # (no room: a second Py_Initialize() is not told apart)

table = PyCapsule_New(&functions, "upsample._capi.table", NULL)
