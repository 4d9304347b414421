"""Copies of arrays that lie in another order than a job needs, or apart: what it cannot read where it is."""

cdef enum:
    PICKED_ROW = 2048       # samples that are picked by one table
    WHOLE_ROW = 64          # bytes: shorter ones are picked as well, many at once


# The axes that are left, outermost first: lengths, and bytes from one sample to the next on either side.
cdef struct strided_axes:
    int nd
    int64_t n[MAX_DIMS]
    int64_t x[MAX_DIMS]
    int64_t out[MAX_DIMS]


cdef void add_axis(strided_axes *a, int64_t n, int64_t x, int64_t out) noexcept nogil:
    """The next axis inwards; one that goes on where the one before ends is the same axis."""
    cdef int last = a.nd - 1
    if n == 1:
        return
    if a.nd and a.x[last] == x * n and a.out[last] == out * n:
        a.n[last] *= n
        a.x[last], a.out[last] = x, out
        return
    a.n[a.nd], a.x[a.nd], a.out[a.nd] = n, x, out
    a.nd += 1


cdef bint next_place(const strided_axes *a, int64_t *at, int axes, char **out, const char **x) noexcept nogil:
    """Move on along the outermost `axes` axes; False at the end."""
    cdef int k = axes - 1
    while k >= 0:
        at[k] += 1
        x[0] += a.x[k]
        out[0] += a.out[k]
        if at[k] < a.n[k]:
            return True
        x[0] -= a.n[k] * a.x[k]
        out[0] -= a.n[k] * a.out[k]
        at[k] = 0
        k -= 1
    return False


cdef void copy_rows_of(const strided_axes *a, char *out, const char *x, int64_t size) noexcept nogil:
    """Rows whose samples lie side by side."""
    cdef int64_t at[MAX_DIMS]
    cdef int64_t row = a.n[a.nd - 1] * size
    memset(at, 0, sizeof(at))
    memcpy(out, x, row)
    while next_place(a, at, a.nd - 1, &out, &x):
        memcpy(out, x, row)


cdef void copy_transposed(const row_table *level, const strided_axes *a, int k, char *out, const char *x, int64_t size) noexcept nogil:
    """Samples that lie side by side along axis k, to where those of the innermost axis do."""
    cdef strided_axes outer
    cdef planes_in_fn transpose = level.planes_in[size_number(size)]
    cdef int64_t at[MAX_DIMS]
    cdef int64_t n = a.n[k], apart = a.out[k], lanes = a.n[a.nd - 1], step = a.x[a.nd - 1], g, i, j, some
    cdef char aside[PLANES * PLANES * 8]
    cdef const char *first
    cdef char *to
    cdef int count, axis
    outer.nd = 0
    for axis in range(a.nd - 1):
        if axis != k:
            outer.n[outer.nd], outer.x[outer.nd], outer.out[outer.nd] = a.n[axis], a.x[axis], a.out[axis]
            outer.nd += 1
    if a.x[k] < 0:
        # from the other end
        x += (n - 1) * a.x[k]
        out += (n - 1) * apart
        apart = -apart
    memset(at, 0, sizeof(at))
    while True:
        for g in range((lanes + PLANES - 1) // PLANES):
            count = <int>min64(PLANES, lanes - g * PLANES)
            first = x + g * PLANES * step
            to = out + g * PLANES * size
            if count == PLANES:
                transpose(to, apart, first, step, n, PLANES)
                continue
            i = 0
            while i < n:                    # whole vectors would write past the end of a row
                some = min64(PLANES, n - i)
                transpose(aside, PLANES * size, first + i * size, step, some, count)
                for j in range(some):
                    memcpy(to + (i + j) * apart, aside + j * PLANES * size, count * size)
                i += some
        if not next_place(&outer, at, outer.nd, &out, &x):
            return


cdef int copy_picked(const row_table *level, const strided_axes *a, char *out, const char *x, int64_t size) except -1:
    """Samples at regular distances, of pixels at regular distances: by the vectors that copy planes."""
    cdef bint pixels = a.nd > 1 and a.n[a.nd - 1] <= PICKED_ROW // 2 and a.out[a.nd - 2] == a.n[a.nd - 1] * size
    cdef int64_t C = a.n[a.nd - 1] if pixels else 1, total = a.n[a.nd - 2] if pixels else a.n[a.nd - 1]
    cdef int64_t step = (a.x[a.nd - 2] if pixels else a.x[a.nd - 1]) // size, channel = a.x[a.nd - 1] // size if pixels else 0
    cdef int64_t P = min64(total, PICKED_ROW // C), i, c, least = min64(0, (P - 1) * step) + min64(0, (C - 1) * channel)
    cdef int64_t most = max64(0, (P - 1) * step) + max64(0, (C - 1) * channel), indexes = align64(P * C * 4)
    cdef int64_t at[MAX_DIMS]
    cdef int axes = a.nd - (2 if pixels else 1)
    cdef row_taps t, rest
    cdef int32_t *index
    cdef bint vectors = level.copy_plane != NULL and size <= COPIED_PIXEL
    cdef char *memory = <char *>malloc(indexes + (level.plane_bytes(P * C, size) if vectors else 0) + 64)
    if memory == NULL:
        raise MemoryError("no memory for the places of samples")
    index = <int32_t *>align64(<int64_t>memory)
    for i in range(P):
        for c in range(C):
            index[i * C + c] = <int32_t>(i * step + c * channel - least)
    memset(&t, 0, sizeof(t))
    t.m, t.n, t.index = P * C, most - least + 1, index
    if vectors:
        level.pack_plane(&t, size, <char *>index + indexes)
    rest = t
    rest.m, rest.left = total % P * C, NULL
    memset(at, 0, sizeof(at))
    with nogil:
        while True:
            i = 0
            while i + P <= total:
                if t.left != NULL:
                    level.copy_plane(out + i * C * size, x + (i * step + least) * size, &t, 0)
                else:
                    level.copy(out + i * C * size, x + (i * step + least) * size, &t, size)
                i += P
            if rest.m:
                level.copy(out + i * C * size, x + (i * step + least) * size, &rest, size)
            if not next_place(a, at, axes, &out, &x):
                break
    free(memory)
    return 0


cdef bint copy_strided(const row_table *level, const strided_axes *a, char *out, const char *x, int64_t size) except -1:
    """Fill memory whose last axis is dense; False where strides are no multiples of a sample, or too large."""
    cdef int inner = a.nd - 1, k
    cdef int64_t reach = 0
    if a.nd == 0:
        memcpy(out, x, size)
        return True
    for k in range(a.nd):
        if a.x[k] % size:
            return False
    if a.x[inner] == size and (a.n[inner] * size >= WHOLE_ROW or a.nd == 1):
        with nogil:
            copy_rows_of(a, out, x, size)
        return True
    if a.x[inner] != size and a.x[inner] != -size and size in (1, 2, 4, 8):
        for k in range(inner):
            if a.x[k] == size or a.x[k] == -size:
                with nogil:
                    copy_transposed(level, a, k, out, x, size)
                return True
    for k in range(max(inner - 1, 0), inner + 1):
        reach += PICKED_ROW * (a.x[k] if a.x[k] > 0 else -a.x[k])
    if reach >= 1 << 31:
        return False
    copy_picked(level, a, out, x, size)
    return True
