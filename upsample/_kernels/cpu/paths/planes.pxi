"""Small planes: PLANES of them are transposed to pixels of so many channels, made as such, and transposed back.

A row of a few samples costs as much as one of a hundred.
"""

cdef enum:
    PLANES_WIDTH = 30       # outputs along W of planes that are made side by side at the most, and inputs
    PLANES_READ = 40
    PLANES_BYTES = 1536 << 10   # of PLANES of them, before and after, such that they stay in the second cache

cdef path *SMALL_PLANES


cdef inline int64_t plane_bytes(const job *j) noexcept:
    """Of PLANES planes, before and after."""
    return (j.d.n * j.h.n * j.w.n + j.d.m * j.h.m * j.w.m) * PLANES * j.sample


cdef bint planes_fit(const job *j) noexcept:
    return (not j.copies and j.w.has_pass and j.inner == 1 and j.outer >= PLANES and j.sample in (1, 2, 4, 8)
            and j.w.m <= PLANES_WIDTH and j.w.n <= PLANES_READ and plane_bytes(j) <= PLANES_BYTES)


cdef int prepare_planes(Prepared p) except -1:
    cdef job *j = &p.j
    cdef Prepared pixels = prepare(p.problem[0], j.sample, 1, PLANES, p.problem[1], p.problem[2])
    # the memory of its tables is the only one that is needed, and holds the job itself
    p.tables, pixels.tables = pixels.tables, NULL
    j.planes = <job *>pixels.spare
    (<job *>pixels.spare)[0] = pixels.j
    j.units = j.parts = (j.outer + PLANES - 1) // PLANES
    j.scratch_bytes = (align64(j.d.n * j.h.n * j.w.n * PLANES * j.sample) + align64(j.d.m * j.h.m * j.w.m * PLANES * j.sample)
                       + pixels.j.scratch_bytes)
    return 1


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
    ran(SMALL_PLANES, unit_hi - unit_lo)
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


SMALL_PLANES = add_path(b"planes side by side", planes_fit, prepare_planes, run_planes)
