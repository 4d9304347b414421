# cython: language_level=3, boundscheck=False, wraparound=False
"""Every image of a stack by itself, in a prange without the GIL."""
from cython.parallel cimport parallel, prange
from libc.stdlib cimport free, malloc

from upsample.capi cimport *

import numpy as np

upsample_import()


def enlarge_stack(const float[:, :, ::1] stack, double factor, int threads):
    """Bicubic images `factor` times the size; the rows of each image have to be dense."""
    cdef upsample_work work
    cdef upsample_info info
    cdef upsample_kernel *kernel
    cdef char[400] message
    cdef char *scratch = NULL
    cdef float[:, :, ::1] out
    cdef Py_ssize_t i, count = stack.shape[0]
    cdef int[::1] codes = np.zeros(count, np.intc)
    if count == 0:
        raise ValueError("an empty stack")
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    upsample_describe(&work, &stack[0, 0, 0], &stack.shape[1], &stack.strides[1], 2)
    work.layout[0], work.layout[1] = b"H", b"W"
    work.mode, work.given = UPSAMPLE_BICUBIC, UPSAMPLE_SCALE
    work.scale[0] = work.scale[1] = factor
    if upsample_create(&work, &kernel, message, sizeof(message)) != UPSAMPLE_OK:
        raise ValueError(message.decode())
    info.struct_size = sizeof(info)
    try:
        upsample_query(kernel, &info)       # cannot fail with a kernel and that struct_size
        out = np.empty((count, info.out_shape[0], info.out_shape[1]), np.float32)
        with nogil, parallel(num_threads=threads):
            scratch = <char *>malloc(info.scratch_bytes)
            for i in prange(count, schedule="dynamic"):
                if scratch == NULL:
                    codes[i] = UPSAMPLE_ERROR_MEMORY
                else:
                    codes[i] = upsample_execute(kernel, &stack[i, 0, 0], &out[i, 0, 0], scratch, 0, info.units)
            free(scratch)
    finally:
        upsample_release(kernel)
    for i in range(count):
        if codes[i] != UPSAMPLE_OK:
            raise RuntimeError(f"image {i}: {upsample_error_text(codes[i]).decode()}")
    return np.asarray(out)
