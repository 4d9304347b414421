"""One input, of which every output is the same multiple: gradients of means over everything."""

cdef path *ONE_WEIGHT
cdef path *FILLED_PLANES


cdef bint one_weight_fits(const job *j) noexcept:
    """By the same weights of every axis; they are multiplied once and copied."""
    return (not j.copies and j.acc <= ACC_F64 and j.form == FORM_WIDE and j.w.has_pass
            and j.w.structure.one_weight and j.h.structure.one_weight and j.d.structure.one_weight)


cdef int prepare_one_weight(Prepared p) except -1:
    p.j.make_rows = spread_rows
    prepare_rows(p)
    # the weights are those of tables, which long axes do not keep
    return p.j.tile_taps != NULL and p.j.tiles == 1 and not has_no_table(&p.j.h) and not has_no_table(&p.j.d)


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


cdef int64_t spread_rows(const job *j, run_state *s, int64_t d, int64_t y, int64_t stop, char *row) noexcept nogil:
    """Output rows that are one input pixel throughout."""
    cdef char *value = s.ring
    cdef const axis_job *axes[3]
    cdef int64_t size = j.inner * j.sample, n = s.tile.m, step = s.so.h, rows = stop - y, k
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
        j.store(s.finished, value, j.inner)
        value = s.finished
    ran(ONE_WEIGHT, rows)
    if step == n * size:
        n, rows = n * rows, 1
    for k in range(rows):
        repeat(row + k * step, value, size, n)
    return stop - y


cdef bint filled_planes_fit(const job *j) noexcept:
    """Of one channel, no volumes: whole planes are filled."""
    return one_weight_fits(j) and j.inner == j.d.m == 1 and not j.d.has_pass and j.load == NULL and j.store == NULL


cdef int prepare_filled_planes(Prepared p) except -1:
    if not prepare_one_weight(p):
        return 0
    p.j.units = p.j.parts = p.j.outer
    return 1


cdef void run_filled_planes(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                            int64_t unit_lo, int64_t unit_hi) noexcept nogil:
    if so.h != j.w.m * j.sample or so.stream:
        run_rows(j, x, sx, out, so, scratch, unit_lo * j.h.m, unit_hi * j.h.m)
        return
    ran(FILLED_PLANES, unit_hi - unit_lo)
    j.level.spread[j.acc](
        out + unit_lo * so.outer, so.outer, x + unit_lo * sx.outer, sx.outer, unit_hi - unit_lo, j.h.m * j.w.m,
        j.tile_taps[0].weights if j.w.has_pass else NULL, j.h.whole.weights if j.h.has_pass else NULL)


FILLED_PLANES = add_path(
    b"one weight, planes filled where dense", filled_planes_fit, prepare_filled_planes, run_filled_planes)
ONE_WEIGHT = add_path(b"one weight", one_weight_fits, prepare_one_weight, run_rows)
