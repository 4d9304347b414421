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
    cdef Py_ssize_t i, count = stack.shape[0]
    cdef int status = 0
    if count == 0:
        raise ValueError("an empty stack")
    upsample_describe(&work, &stack[0, 0, 0], &stack.shape[1], &stack.strides[1], 2)
    work.layout[0], work.layout[1] = b"H", b"W"
    work.mode, work.given = UPSAMPLE_BICUBIC, UPSAMPLE_SCALE
    work.scale[0] = work.scale[1] = factor
    if upsample_create(&work, &kernel, message, sizeof(message)) != UPSAMPLE_OK:
        raise ValueError(message.decode())
    info.struct_size = sizeof(info)
    upsample_query(kernel, &info)
    cdef float[:, :, ::1] out = np.empty((count, info.out_shape[0], info.out_shape[1]), np.float32)
    with nogil, parallel(num_threads=threads):
        scratch = <char *>malloc(info.scratch_bytes)
        for i in prange(count, schedule="dynamic"):
            if scratch == NULL:
                status |= UPSAMPLE_ERROR_MEMORY
            else:
                status |= upsample_execute(kernel, &stack[i, 0, 0], &out[i, 0, 0], scratch, 0, info.units)
        free(scratch)
    upsample_release(kernel)
    if status:
        raise RuntimeError("an image failed")
    return np.asarray(out)
