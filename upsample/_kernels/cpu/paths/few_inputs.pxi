"""Axes of few inputs, along which runs of outputs have the same taps: what differs is summed once, and copied to all of its
run.  The mirror of `means`: gradients of means with few outputs are such.
"""

cdef enum:
    RUN_OUTPUTS = 3         # of a run, in the mean, at the least
    FEW_OUTPUTS = 8192      # of a plane at the most, where its pixels are not copied by vectors
    FEW_BYTES = 8192        # of the sums of a plane or volume
    FILLED_PLANE = 1 << 20  # bytes at the most: threads share larger ones out by rows

cdef path *FEW_INPUTS
cdef path *FILLED_PLANES


cdef bint few_inputs_fit(const job *j) noexcept:
    cdef int64_t runs = j.d.structure.runs * j.h.structure.runs * j.w.structure.runs, pixel = j.inner * j.sample
    cdef int64_t outputs = j.h.m * j.w.m
    return (not j.copies and j.acc <= ACC_F64 and runs > 0 and j.d.m * outputs >= RUN_OUTPUTS * runs
            and few_runs(&j.d) and few_runs(&j.h) and few_runs(&j.w)
            and max64(runs, j.d.n * j.h.n * j.w.n) * j.inner * j.stored <= FEW_BYTES
            and (outputs * pixel <= COPIED_PLANE if pixel <= COPIED_PIXEL else outputs <= FEW_OUTPUTS))


cdef inline bint few_runs(const axis_job *a) noexcept:
    # (others' taps may lie beyond the ends, and be those at the ends)
    return a.m <= RUNS if not a.has_pass else a.weight_size != 0 and a.recipe.transposed and keeps_table(a)


# The sums along each axis, and where they are copied to.
cdef struct few_sums:
    axis_runs d, h, w
    int64_t *plane_of           # of each output plane, which of those that differ it is


cdef void find_runs(const axis_job *a, axis_taps *t, axis_runs *r, int64_t *run_of) noexcept:
    """Move the taps of each run to the front of an axis's table."""
    cdef int64_t o, size = a.recipe.taps_max * a.weight_size
    r.inputs, r.runs = a.n, a.m
    for o in range(a.m):
        run_of[o] = o
    if not a.has_pass:
        return
    r.runs, r.taps_max, r.first, r.count, r.weights = 0, a.recipe.taps_max, t.first, t.count, t.weights
    for o in range(a.m):
        if o == 0 or not (t.first[o] == t.first[r.runs - 1] and t.count[o] == t.count[r.runs - 1] and memcmp(
                t.weights + o * size, t.weights + (r.runs - 1) * size, t.count[o] * a.weight_size) == 0):
            t.first[r.runs], t.count[r.runs] = t.first[o], t.count[o]
            memmove(t.weights + r.runs * size, t.weights + o * size, size)
            r.runs += 1
        run_of[o] = r.runs - 1


cdef int prepare_few_inputs(Prepared p) except -1:
    cdef job *j = &p.j
    cdef const axis_job *axes[3]
    cdef axis_runs *runs[3]
    cdef axis_taps taps[3]
    cdef int64_t *run_of[3]
    cdef int64_t k, bytes_ = align64(sizeof(few_sums)), build = 0, most
    cdef char *memory
    axes[0], axes[1], axes[2] = &j.d, &j.h, &j.w
    for k in range(3):
        bytes_ += axis_table_bytes(axes[k], axes[k].m) + align64(axes[k].m * sizeof(int64_t))
        build = max64(build, taps_scratch(&axes[k].recipe))
    memory = keep_plane(p, j.h.structure.runs * j.w.structure.runs, bytes_ + 8 * build)
    p.j.few = <few_sums *>memory
    runs[0], runs[1], runs[2] = &j.few.d, &j.few.h, &j.few.w
    memory += align64(sizeof(few_sums))
    for k in range(3):
        run_of[k] = <int64_t *>memory
        memory += align64(axes[k].m * sizeof(int64_t))
        if axes[k].has_pass:
            fill_axis(j.level, axes[k], &taps[k], 0, axes[k].m, memory, <double *>(<char *>j.few + bytes_))
            memory += axis_table_bytes(axes[k], axes[k].m)
        find_runs(axes[k], &taps[k], runs[k], run_of[k])
    j.few.plane_of = run_of[0]
    (<row_taps *>j.plane_row).n = runs[1].runs * runs[2].runs
    if not pack_pixels(j, run_of[1], run_of[2], runs[1].runs, runs[2].runs) and j.inner * j.sample <= COPIED_PIXEL:
        forget_plane(p)
        return 0
    j.make_rows = sum_rows if j.plain_h else make_any       # where planes are not dense
    prepare_rows(&p.j)
    j.units = j.most_parts = j.outer
    most = max64(j.d.n, runs[0].runs) * max64(j.h.n, runs[1].runs) * max64(j.w.n, runs[2].runs) * j.inner
    j.scratch_bytes = max64(j.scratch_bytes, 4 * align64(most * j.stored) + align64(most * j.sample))
    return 1


cdef void run_few_inputs(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                         int64_t unit_lo, int64_t unit_hi) noexcept nogil:
    cdef const few_sums *few = j.few
    cdef int64_t pixel = j.inner * j.sample, rows = j.d.n * j.h.n, row = j.w.n * j.inner, unit, d, k
    cdef int64_t made = few.d.runs * few.h.runs * few.w.runs * j.inner, step = align64(max64(
        j.d.n, few.d.runs) * max64(j.h.n, few.h.runs) * max64(j.w.n, few.w.runs) * j.inner * j.stored)
    cdef char *loaded = scratch
    cdef char *of_w = loaded + step
    cdef char *of_h = of_w + step
    cdef char *of_d = of_h + step
    cdef char *stored = of_d + step
    cdef const char *source
    cdef char *target
    cdef bint dense = (j.h.n == 1 or sx.h == row * j.sample) and (j.d.n == 1 or sx.d == j.h.n * row * j.sample), lines
    if j.h.m > 1 and so.h != j.w.m * pixel:
        run_rows_of_planes(j, x, sx, out, so, scratch, unit_lo * j.d.m, unit_hi * j.d.m)
        return
    ran(FEW_INPUTS, unit_hi - unit_lo)
    lines = so.stream and j.plane_row.left != NULL and (<int64_t>out | so.outer | so.d | j.plane_row.m * pixel) & 63 == 0
    for unit in range(unit_lo, unit_hi):
        source = x + unit * sx.outer
        if not dense:
            for k in range(rows):
                load_samples(j, loaded + k * row * j.stored, source + k // j.h.n * sx.d + k % j.h.n * sx.h, row)
            source = loaded
        elif j.load != NULL:
            load_samples(j, loaded, source, rows * row)
            source = loaded
        if j.w.has_pass:
            j.level.few[j.acc](of_w, source, rows, j.inner, &few.w)
            source = of_w
        if j.h.has_pass:
            j.level.few[j.acc](of_h, source, j.d.n, few.w.runs * j.inner, &few.h)
            source = of_h
        if j.d.has_pass:
            j.level.few[j.acc](of_d, source, 1, few.h.runs * few.w.runs * j.inner, &few.d)
            source = of_d
        if j.store != NULL:
            j.store(stored, source, made)
            source = stored
        for d in range(j.d.m):
            target = out + unit * so.outer + d * so.d
            copy_pixels(j, target, source + few.plane_of[d] * few.h.runs * few.w.runs * pixel, lines)
    if lines:
        j.level.stream_end()


cdef inline void load_samples(const job *j, char *dst, const char *src, int64_t n) noexcept nogil:
    if j.load != NULL:
        j.load(dst, src, n)
    else:
        memcpy(dst, src, n * j.sample)


cdef bint filled_planes_fit(const job *j) noexcept:
    """One sample by one weight, of one channel: whole planes are filled.  Their tables are such as are always kept."""
    return (not j.copies and j.acc <= ACC_F64 and j.form == FORM_WIDE and j.load == NULL and j.store == NULL
            and j.w.structure.one_weight and j.h.structure.one_weight and j.inner == 1 and not j.d.has_pass and j.d.n == 1
            and j.w.has_pass and row_table_bytes(j, j.w.m) < SMALL_TABLE and keeps_table(&j.h)
            and j.h.m * j.w.m * j.sample <= FILLED_PLANE)


cdef int prepare_filled_planes(Prepared p) except -1:
    p.j.make_rows = sum_rows if p.j.plain_h else make_any   # where planes are not dense
    prepare_rows(&p.j)
    p.j.units = p.j.most_parts = p.j.outer
    return 1


cdef void run_filled_planes(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                            int64_t unit_lo, int64_t unit_hi) noexcept nogil:
    if (j.h.m > 1 and so.h != j.w.m * j.sample) or so.stream:
        run_rows_of_planes(j, x, sx, out, so, scratch, unit_lo, unit_hi)
        return
    ran(FILLED_PLANES, unit_hi - unit_lo)
    j.level.spread[j.acc](
        out + unit_lo * so.outer, so.outer, x + unit_lo * sx.outer, sx.outer, unit_hi - unit_lo, j.h.m * j.w.m,
        j.tile_taps[0].weights, j.h.whole.weights if j.h.has_pass else NULL)


FILLED_PLANES = add_path(b"filled planes", filled_planes_fit, prepare_filled_planes, run_filled_planes)
FEW_INPUTS = add_path(b"sums of few inputs", few_inputs_fit, prepare_few_inputs, run_few_inputs)
