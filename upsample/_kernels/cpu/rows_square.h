/* Two by two taps at once: four rows (the H and D passes of a volume), or four pixels of many channels.
 *
 * Rows of many channels, or of two planes, would leave the first cache between two passes.
 * Included by rows_impl.h at levels with AVX2 or AVX-512, after rows_stream.h.
 */

INLINE vf four_sum(vf a, vf b, vf c, vf e, vf p0, vf p1, vf w0, vf w1)
{
    return V_FMA(w0, V_FMA(p0, a, V_MUL(p1, b)), V_MUL(w1, V_FMA(p0, c, V_MUL(p1, e))));
}

static void square_f32(void *d0, void *d1, const void *const *rows, const void *h0, const void *h1, const void *wd, int64_t n,
                       void *spare, int lines)
{
    const float *p = h0, *q = h1, *w = wd, *a = rows[0], *b = rows[1], *c = rows[2], *e = rows[3];
    if (spare && d1 && lines) {
        const vf p0 = SPLAT(p[0]), p1 = SPLAT(p[1]), q0 = SPLAT(q[0]), q1 = SPLAT(q[1]), w0 = SPLAT(w[0]), w1 = SPLAT(w[1]);
        for (int64_t i = 0; i < n; i += VL) {
            const vf va = V_LOAD(a + i), vb = V_LOAD(b + i), vc = V_LOAD(c + i), ve = V_LOAD(e + i);
            V_STREAM((float *)d0 + i, four_sum(va, vb, vc, ve, p0, p1, w0, w1));
            V_STREAM((float *)d1 + i, four_sum(va, vb, vc, ve, q0, q1, w0, w1));
        }
    } else if (spare) {
        v_square_f32(spare, d1 ? (char *)spare + second_row(4 * n) : 0, rows, h0, h1, wd, n, 0, 0);
        stream_rows(d0, d1, spare, 4 * n);
    } else
        v_square_f32(d0, d1, rows, h0, h1, wd, n, 0, 0);
}

static void square_f64(void *d0, void *d1, const void *const *rows, const void *h0, const void *h1, const void *wd, int64_t n,
                       void *spare, int lines)
{
    (void)lines;
    if (!spare) { v_square_f64(d0, d1, rows, h0, h1, wd, n, 0, 0); return; }
    v_square_f64(spare, d1 ? (char *)spare + second_row(8 * n) : 0, rows, h0, h1, wd, n, 0, 0);
    stream_rows(d0, d1, spare, 8 * n);
}

INLINE void pixels_any(float *d0, float *d1, const float *near, const float *far, const row_taps *t, const float *h0,
                       const float *h1, int both, int stream)
{
    const float *w = t->weights;
    const int64_t C = t->inner;
    const vf p0 = SPLAT(h0[0]), p1 = SPLAT(h0[1]), q0 = SPLAT(h1[0]), q1 = SPLAT(h1[1]);
    for (int64_t o = 0; o < t->m; o++, d0 += C, d1 += C) {
        const float *a = near + t->index[o] * C, *b = near + t->index[t->m + o] * C;
        const float *c = far + t->index[o] * C, *e = far + t->index[t->m + o] * C;
        const vf w0 = SPLAT(w[o]), w1 = SPLAT(w[t->m + o]);
        for (int64_t i = 0;; i = i64min(i + VL, C - VL)) {      /* the last vector overlaps the one before */
            const vf x = V_FMA(w0, V_LOAD(a + i), V_MUL(w1, V_LOAD(b + i)));
            const vf y = V_FMA(w0, V_LOAD(c + i), V_MUL(w1, V_LOAD(e + i)));
            const vf first = V_FMA(p0, x, V_MUL(p1, y));
            if (stream) V_STREAM(d0 + i, first);
            else V_STORE(d0 + i, first);
            if (both) {
                const vf second = V_FMA(q0, x, V_MUL(q1, y));
                if (stream) V_STREAM(d1 + i, second);
                else V_STORE(d1 + i, second);
            }
            if (i == C - VL) break;
        }
    }
}

static void pixels_f32(void *d0, void *d1, const void *near, const void *far, const row_taps *t, const void *h0, const void *h1,
                       void *spare, int lines)
{
    const int64_t bytes = 4 * t->m * t->inner;
    if (t->inner < VL) v_pixels_f32(spare ? spare : d0, !spare ? d1 : d1 ? (char *)spare + second_row(bytes) : 0, near, far, t, h0, h1, 0, 0);
    else if (spare && d1 && lines && t->inner % 16 == 0) {
        pixels_any(d0, d1, near, far, t, h0, h1, 1, 1);
        return;
    } else if (spare) pixels_any(spare, (float *)((char *)spare + second_row(bytes)), near, far, t, h0, d1 ? h1 : h0, 1, 0);
    else if (d1) pixels_any(d0, d1, near, far, t, h0, h1, 1, 0);
    else pixels_any(d0, d0, near, far, t, h0, h0, 0, 0);
    if (spare) stream_rows(d0, d1, spare, bytes);
}

static void pixels_f64(void *d0, void *d1, const void *near, const void *far, const row_taps *t, const void *h0, const void *h1,
                       void *spare, int lines)
{
    const int64_t bytes = 8 * t->m * t->inner;
    (void)lines;
    if (!spare) { v_pixels_f64(d0, d1, near, far, t, h0, h1, 0, 0); return; }
    v_pixels_f64(spare, d1 ? (char *)spare + second_row(bytes) : 0, near, far, t, h0, h1, 0, 0);
    stream_rows(d0, d1, spare, bytes);
}
