"""Small planes: PLANES of them are transposed to pixels of so many channels, made as such, and transposed back.

A row of a few samples costs as much as one of a hundred.
"""

cdef enum:
    PLANES_WIDTH = 30       # outputs along W of planes that are made side by side at the most, and inputs
    PLANES_READ = 40
    PLANES_BYTES = 1536 << 10   # of PLANES of them, before and after, such that they stay in the second cache
    PLANES_AT_ONCE = 1 << 14    # bytes, likewise, of several times PLANES of them that are made at once

cdef path *SMALL_PLANES


cdef inline int64_t bytes_of_planes(const job *j) noexcept:
    """Of PLANES planes, before and after."""
    return (j.d.n * j.h.n * j.w.n + j.d.m * j.h.m * j.w.m) * PLANES * j.sample


cdef bint planes_fit(const job *j) noexcept:
    return (not j.copies and j.w.has_pass and j.inner == 1 and j.outer >= PLANES and j.sample in (1, 2, 4, 8)
            and j.w.m <= PLANES_WIDTH and j.w.n <= PLANES_READ and bytes_of_planes(j) <= PLANES_BYTES)


cdef bint mark_used(const axis_job *a, char *used) noexcept:
    """Mark the inputs of an axis that are taps of any output; whether some are none."""
    cdef int64_t o, k, left = a.n
    if not a.has_pass or has_no_table(a):
        memset(used, 1, a.n)
        return False
    for o in range(a.m):
        for k in range(max64(a.whole.count[o], 1)):
            used[clip(a.whole.first[o] + k, a.n)] = 1
    for k in range(a.n):
        left -= used[k]
    return left > 0


cdef int keep_used_rows(Prepared p, const job *k) except -1:
    """Note which rows of a volume are read at all, as runs of them, where a part is not."""
    cdef char *used = <char *>calloc(k.d.n + k.h.n, 1)
    cdef int64_t *runs
    cdef int64_t row, count = 0
    cdef bint on = False, unused
    if used == NULL:
        raise MemoryError("no memory for marks of rows")
    unused = mark_used(&k.d, used)
    if mark_used(&k.h, used + k.d.n) or unused:
        runs = <int64_t *>calloc(k.d.n * k.h.n + 2, sizeof(int64_t))
        if runs == NULL:
            free(used)
            raise MemoryError("no memory for runs of rows")
        for row in range(k.d.n * k.h.n + 1):
            if on != (row < k.d.n * k.h.n and used[row // k.h.n] != 0 and used[k.d.n + row % k.h.n] != 0):
                on = not on
                runs[1 + count] = row
                count += 1
        runs[0] = count // 2
        p.j.own = <char *>runs
        count_bytes(&p.j, (k.d.n * k.h.n + 2) * sizeof(int64_t))
    free(used)
    return 0


cdef int prepare_planes(Prepared p) except -1:
    cdef job *j = &p.j
    cdef job *k
    cdef int64_t groups = (j.outer + PLANES - 1) // PLANES, at_once = max64(1, min64(groups, PLANES_AT_ONCE // bytes_of_planes(j)))
    cdef Prepared pixels = prepare(p.problem[0], j.sample, at_once, PLANES, p.problem[1], p.problem[2])
    if pixels.j.tiles != 1:
        pixels, at_once = prepare(p.problem[0], j.sample, 1, PLANES, p.problem[1], p.problem[2]), 1
    k = j.stage[0] = stage(pixels)
    keep_used_rows(p, k)
    j.units = j.most_parts = (groups + at_once - 1) // at_once
    j.scratch_bytes = (at_once * align64(j.d.n * j.h.n * j.w.n * PLANES * j.sample)
                       + at_once * align64(j.d.m * j.h.m * j.w.m * PLANES * j.sample) + k.scratch_bytes)
    return 1


cdef inline int size_number(int64_t sample) noexcept nogil:
    """1, 2, 4 and 8 bytes are 0, 1, 2 and 3."""
    return 0 if sample == 1 else 1 if sample == 2 else 2 if sample == 4 else 3


cdef void run_planes(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                    int64_t unit_lo, int64_t unit_hi) noexcept nogil:
    """Groups of PLANES planes: transposed to channels, made like any pixels of so many, and transposed back."""
    cdef const job *k = j.stage[0]
    cdef int64_t pixel = PLANES * j.sample, plane_in = k.d.n * k.h.n * k.w.n, plane_out = k.d.m * k.h.m * k.w.m, unit, z, y, g, groups
    cdef char *made = scratch + k.outer * align64(plane_in * pixel)
    cdef char *rest = made + k.outer * align64(plane_out * pixel)
    cdef planes_in_fn load = j.level.planes_in[size_number(j.sample)]
    cdef planes_out_fn store = j.level.planes_out[size_number(j.sample)]
    cdef strides3 pixels_x, pixels_out
    cdef const char *plane
    cdef char *target
    cdef char *pixels
    cdef int count
    cdef const int64_t *runs = <const int64_t *>j.own
    cdef bint dense_x = sx.h == k.w.n * j.sample and (k.d.n == 1 or sx.d == k.h.n * sx.h)
    cdef bint dense_out = so.h == k.w.m * j.sample and (k.d.m == 1 or so.d == k.h.m * so.h)
    pixels_x.outer, pixels_out.outer = align64(plane_in * pixel), align64(plane_out * pixel)
    pixels_x.stream = pixels_out.stream = False
    pixels_x.h, pixels_out.h = k.w.n * pixel, k.w.m * pixel
    pixels_x.d, pixels_out.d = k.h.n * pixels_x.h, k.h.m * pixels_out.h
    for unit in range(unit_lo, unit_hi):
        groups = min64(k.outer, (j.outer + PLANES - 1) // PLANES - unit * k.outer)
        ran(SMALL_PLANES, groups)
        for g in range(groups):
            count = <int>min64(PLANES, j.outer - (unit * k.outer + g) * PLANES)
            plane, pixels = x + (unit * k.outer + g) * PLANES * sx.outer, scratch + g * pixels_x.outer
            if dense_x and runs == NULL:
                load(pixels, pixel, plane, sx.outer, plane_in, count)
                continue
            if dense_x:
                for z in range(runs[0]):
                    y = runs[1 + 2 * z]
                    load(pixels + y * pixels_x.h, pixel, plane + y * sx.h, sx.outer, (runs[2 + 2 * z] - y) * k.w.n, count)
                continue
            for z in range(k.d.n):
                for y in range(k.h.n):
                    load(pixels + z * pixels_x.d + y * pixels_x.h, pixel, plane + z * sx.d + y * sx.h, sx.outer, k.w.n,
                         count)
        # units of a job in one tile are numbered from its outermost axis
        execute(k, scratch, &pixels_x, made, &pixels_out, rest, 0, groups * (k.units // k.outer))
        for g in range(groups):
            count = <int>min64(PLANES, j.outer - (unit * k.outer + g) * PLANES)
            target, pixels = out + (unit * k.outer + g) * PLANES * so.outer, made + g * pixels_out.outer
            if dense_out:
                store(target, so.outer, pixels, pixel, plane_out, count)
                continue
            for z in range(k.d.m):
                for y in range(k.h.m):
                    store(target + z * so.d + y * so.h, so.outer, pixels + z * pixels_out.d + y * pixels_out.h, pixel,
                          k.w.m, count)


SMALL_PLANES = add_path(b"planes side by side", planes_fit, prepare_planes, run_planes)
