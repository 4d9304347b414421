"""The C interface for Cython: ``from upsample.capi cimport ...``, documented in ``upsample.h``.

Call `upsample_import` once when your module is initialised, with the GIL.  `upsample_create` takes the GIL by
itself; everything else runs without it.  `upsample_describe` fills a description from a typed memoryview.
"""
cimport libc.stdint                     # (by these names: whoever cimports * gets what is cimported here)
cimport libc.string


cdef extern from "upsample.h" nogil:
    enum:
        UPSAMPLE_API_MAJOR, UPSAMPLE_API_MINOR, UPSAMPLE_MAX_NDIM
        UPSAMPLE_OK, UPSAMPLE_ERROR_ARGUMENT, UPSAMPLE_ERROR_VALUE, UPSAMPLE_ERROR_NOT_IMPLEMENTED
        UPSAMPLE_ERROR_RUNTIME, UPSAMPLE_ERROR_MEMORY, UPSAMPLE_ERROR_LAYOUT, UPSAMPLE_ERROR_ALIGNMENT
        UPSAMPLE_ERROR_UNITS, UPSAMPLE_ERROR_OVERLAP, UPSAMPLE_ERROR_UNSUPPORTED, UPSAMPLE_ERROR_NOT_IMPORTED
        UPSAMPLE_ERROR_INTERNAL, UPSAMPLE_ERROR_INTERRUPTED
        UPSAMPLE_FLOAT32, UPSAMPLE_FLOAT64, UPSAMPLE_FLOAT16, UPSAMPLE_BFLOAT16, UPSAMPLE_UINT8, UPSAMPLE_INT8
        UPSAMPLE_UINT16, UPSAMPLE_INT16, UPSAMPLE_RAW
        UPSAMPLE_NEAREST, UPSAMPLE_NEAREST_EXACT, UPSAMPLE_LINEAR, UPSAMPLE_BILINEAR, UPSAMPLE_BICUBIC
        UPSAMPLE_TRILINEAR, UPSAMPLE_CUBIC, UPSAMPLE_AREA, UPSAMPLE_LANCZOS
        UPSAMPLE_NUMERICS_TORCH, UPSAMPLE_NUMERICS_EXACT
        UPSAMPLE_SIZE, UPSAMPLE_SCALE
    ctypedef struct upsample_work:
        libc.stdint.int64_t struct_size
        libc.stdint.int32_t ndim, dtype
        libc.stdint.int64_t itemsize
        libc.stdint.int64_t shape[8]
        libc.stdint.int64_t strides[8]
        libc.stdint.int64_t out_strides[8]
        libc.stdint.int32_t has_strides, has_out_strides
        char layout[16]
        libc.stdint.int32_t mode, align_corners, antialias, recompute_scale_factor, numerics, given
        libc.stdint.int64_t size[3]
        double scale[3]
        libc.stdint.int64_t window_start[3]
        libc.stdint.int64_t window_stop[3]
        libc.stdint.int32_t has_window, reserved, transposed, fresh_output
    ctypedef struct upsample_info:
        libc.stdint.int64_t struct_size
        libc.stdint.int32_t ndim, alignment
        libc.stdint.int64_t in_shape[8]
        libc.stdint.int64_t in_strides[8]
        libc.stdint.int64_t out_shape[8]
        libc.stdint.int64_t out_strides[8]
        libc.stdint.int64_t in_start[3]
        libc.stdint.int64_t in_bytes, out_bytes, units, scratch_bytes
    ctypedef struct upsample_kernel:
        pass
    ctypedef struct upsample_table:
        libc.stdint.int32_t major, minor
        libc.stdint.int64_t table_size, work_size, info_size
        const char *version
        libc.stdint.int32_t (*create)(const upsample_work *work, upsample_kernel **kernel, char *message,
                                      libc.stdint.int64_t message_size) noexcept nogil
        libc.stdint.int32_t (*query)(const upsample_kernel *kernel, upsample_info *info) noexcept nogil
        libc.stdint.int32_t (*execute)(const upsample_kernel *kernel, const void *x, void *out, void *scratch,
                                       libc.stdint.int64_t unit_lo, libc.stdint.int64_t unit_hi) noexcept nogil
        upsample_kernel *(*retain)(upsample_kernel *kernel) noexcept nogil
        void (*release)(upsample_kernel *kernel) noexcept nogil
        const char *(*error_text)(libc.stdint.int32_t status) noexcept nogil

    libc.stdint.int32_t upsample_create(const upsample_work *work, upsample_kernel **kernel, char *message,
                                        libc.stdint.int64_t message_size) noexcept
    libc.stdint.int32_t upsample_query(const upsample_kernel *kernel, upsample_info *info) noexcept
    libc.stdint.int32_t upsample_execute(const upsample_kernel *kernel, const void *x, void *out, void *scratch,
                                         libc.stdint.int64_t unit_lo, libc.stdint.int64_t unit_hi) noexcept
    upsample_kernel *upsample_retain(upsample_kernel *kernel) noexcept
    void upsample_release(upsample_kernel *kernel) noexcept
    const char *upsample_error_text(libc.stdint.int32_t status) noexcept
    libc.stdint.int64_t upsample_first_unit(libc.stdint.int64_t units, libc.stdint.int64_t part,
                                            libc.stdint.int64_t parts) noexcept


# (apart, because it needs the GIL)
cdef extern from "upsample.h":
    int upsample_import() except -1


# Samples of typed memoryviews; the two half-precision types have no C type: set work.dtype yourself.
ctypedef fused upsample_sample:
    float
    double
    libc.stdint.uint8_t
    libc.stdint.int8_t
    libc.stdint.uint16_t
    libc.stdint.int16_t
    char
    short


cdef inline void upsample_describe(upsample_work *work, const upsample_sample *first, const Py_ssize_t *shape,
                                   const Py_ssize_t *strides, int ndim) noexcept nogil:
    """Begin a description of a typed memoryview: ``upsample_describe(&work, &x[0, 0, 0], x.shape, x.strides, 3)``.

    `first` tells the dtype only.  Mode, sizes or scales and all else are for the caller to set afterwards.
    """
    cdef int i
    libc.string.memset(work, 0, sizeof(upsample_work))
    work.struct_size = sizeof(upsample_work)
    work.ndim, work.has_strides = ndim, 1
    for i in range(min(ndim, UPSAMPLE_MAX_NDIM)):
        work.shape[i], work.strides[i] = shape[i], strides[i]
    if upsample_sample is float:
        work.dtype = UPSAMPLE_FLOAT32
    elif upsample_sample is double:
        work.dtype = UPSAMPLE_FLOAT64
    elif sizeof(upsample_sample) == 1:
        work.dtype = UPSAMPLE_INT8 if <upsample_sample>-1 < 0 else UPSAMPLE_UINT8
    else:
        work.dtype = UPSAMPLE_INT16 if <upsample_sample>-1 < 0 else UPSAMPLE_UINT16
