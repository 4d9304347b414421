/* Rows that leave the cache: streaming stores, and sums of rows straight into them.
 *
 * An output that is larger than the cache and whose pages are there already is
 * written fastest past it: an ordinary store reads each line before it writes it.
 * Only whole lines are streamed; the parts of lines at both ends of a row are
 * stored as ever.  Results are those of the plain primitives.
 *
 * Included by rows_impl.h at levels with AVX2 or AVX-512, after rows_window.h.
 */

#if VL == 16
#define V_STREAM(p, x) _mm512_stream_ps(p, x)
#else
#define V_STREAM(p, x) _mm256_stream_ps(p, x)
#endif

static void stream_row(void *restrict d_, const void *restrict s_, int64_t bytes)
{
    char *restrict d = d_;
    const char *restrict s = s_;
    int64_t head = (int64_t)(-(uintptr_t)d & 63);
    if (head > bytes) head = bytes;
    memcpy(d, s, (size_t)head);
    int64_t i = head;
    for (; i + 64 <= bytes; i += 64) {
        V_STREAM((float *)(d + i), V_LOAD((const float *)(s + i)));
#if VL == 8
        V_STREAM((float *)(d + i + 32), V_LOAD((const float *)(s + i + 32)));
#endif
    }
    memcpy(d + i, s + i, (size_t)(bytes - i));
}

static void stream_end(void) { _mm_sfence(); }

/* n is a multiple of VL, or the rest is done in one masked step (not when streaming). */
INLINE void v_body(float *restrict d, const float *const *x, const float *w, int64_t n, int taps, int stream)
{
    const float *restrict x0 = x[0], *restrict x1 = x[1], *restrict x2 = x[2], *restrict x3 = x[3];
    const vf w0 = SPLAT(w[0]), w1 = SPLAT(w[1]);
    const vf w2 = SPLAT(taps > 2 ? w[2] : 0), w3 = SPLAT(taps > 3 ? w[3] : 0);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        vf a = V_FMA(w0, V_LOAD(x0 + i), V_MUL(w1, V_LOAD(x1 + i)));
        if (taps > 2) a = V_FMA(w2, V_LOAD(x2 + i), a);
        if (taps > 3) a = V_FMA(w3, V_LOAD(x3 + i), a);
        if (stream) V_STREAM(d + i, a);
        else V_STORE(d + i, a);
    }
    if (i < n) {
        vf a = V_FMA(w0, V_LOAD_FIRST(x0 + i, n - i), V_MUL(w1, V_LOAD_FIRST(x1 + i, n - i)));
        if (taps > 2) a = V_FMA(w2, V_LOAD_FIRST(x2 + i, n - i), a);
        if (taps > 3) a = V_FMA(w3, V_LOAD_FIRST(x3 + i, n - i), a);
        V_STORE_FIRST(d + i, a, n - i);
    }
}

/* More taps: the sums of four vectors stay in registers, whatever their number. */
static void v_many(float *restrict d, const void *const *rows, const float *w, int64_t n, int taps)
{
    const vf w0 = SPLAT(w[0]), w1 = SPLAT(w[1]);
    int64_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        const float *x0 = (const float *)rows[0] + i, *x1 = (const float *)rows[1] + i;
        vf a[4];
        for (int j = 0; j < 4; j++) a[j] = V_FMA(w0, V_LOAD(x0 + j * VL), V_MUL(w1, V_LOAD(x1 + j * VL)));
        for (int k = 2; k < taps; k++) {
            const float *x = (const float *)rows[k] + i;
            const vf q = SPLAT(w[k]);
            for (int j = 0; j < 4; j++) a[j] = V_FMA(q, V_LOAD(x + j * VL), a[j]);
        }
        for (int j = 0; j < 4; j++) V_STORE(d + i + j * VL, a[j]);
    }
    for (; i < n; i += VL) {
        vf a = V_FMA(w0, V_LOAD_FIRST((const float *)rows[0] + i, n - i), V_MUL(w1, V_LOAD_FIRST((const float *)rows[1] + i, n - i)));
        for (int k = 2; k < taps; k++) a = V_FMA(SPLAT(w[k]), V_LOAD_FIRST((const float *)rows[k] + i, n - i), a);
        if (i + VL <= n) V_STORE(d + i, a);
        else V_STORE_FIRST(d + i, a, n - i);
    }
}

/* The W pass of pixels that fill vectors: likewise, each pixel a row. */
INLINE void wide_pixel(float *restrict d, const float *restrict x, const float *w, int32_t count, int64_t C, int vectors)
{
    const vf w0 = SPLAT(w[0]), w1 = SPLAT(w[1]);
    vf a[4];
    for (int j = 0; j < vectors; j++) a[j] = V_FMA(w0, V_LOAD(x + j * VL), V_MUL(w1, V_LOAD(x + C + j * VL)));
    for (int32_t k = 2; k < count; k++) {
        const vf q = SPLAT(w[k]);
        for (int j = 0; j < vectors; j++) a[j] = V_FMA(q, V_LOAD(x + k * C + j * VL), a[j]);
    }
    for (int j = 0; j < vectors; j++) V_STORE(d + j * VL, a[j]);
}

static void h_wide_pixels(void *d_, const void *s_, const row_taps *t)
{
    const float *s = s_, *w = t->weights;
    const int64_t C = t->inner;
    float *d = d_;
    if (C < VL) { h_wide_f32(d_, s_, t); return; }
    for (int64_t o = 0; o < t->m; o++, d += C, w += t->taps_max) {
        const float *x = s + t->first[o] * C;
        const int32_t count = t->count[o];
        int64_t c = 0;
        if (count < 2) { h_wide_range_f32(d_, s_, t, o, o + 1); continue; }
        for (; c + 4 * VL <= C; c += 4 * VL) wide_pixel(d + c, x + c, w, count, C, 4);
        for (; c < C; c += VL) {                    /* the last vector overlaps the one before */
            const int64_t at = i64min(c, C - VL);
            wide_pixel(d + at, x + at, w, count, C, 1);
        }
    }
}

/* v_sum_f32 with two and four taps in as few instructions as short rows deserve. */
static void v_short_f32(void *restrict d, const void *const *rows, const void *w, int64_t n, int32_t taps, int32_t divide)
{
    if (taps == 2) {
        const float *x[4] = { rows[0], rows[1], rows[0], rows[1] };
        v_body(d, x, w, n, 2, 0);
    } else if (taps == 4) {
        const float *x[4] = { rows[0], rows[1], rows[2], rows[3] };
        v_body(d, x, w, n, 4, 0);
    } else if (taps > 4)
        v_many(d, rows, w, n, taps);
    else
        v_sum_f32(d, rows, w, n, taps, divide);
}

/* v_sum_f32, streamed where it has 2 or 4 taps. */
static void v_stream_f32(void *restrict d_, const void *const *rows, const void *w, int64_t n, int32_t taps, int32_t divide)
{
    float *d = d_;
    int64_t head = (int64_t)(-(uintptr_t)d & 63) / 4;
    if ((taps != 2 && taps != 4) || n < 64) { v_sum_f32(d, rows, w, n, taps, divide); return; }
    int64_t body = (n - head) & ~(int64_t)15;
    const void *part[4];
    const float *x[4];
    if (head) v_sum_f32(d, rows, w, head, taps, divide);
    for (int32_t k = 0; k < 4; k++) x[k] = (const float *)rows[k < taps ? k : 0] + head;
    if (taps == 2) v_body(d + head, x, w, body, 2, 1);
    else v_body(d + head, x, w, body, 4, 1);
    if (head + body < n) {
        for (int32_t k = 0; k < taps; k++) part[k] = (const float *)rows[k] + head + body;
        v_sum_f32(d + head + body, part, w, n - head - body, taps, divide);
    }
}

/* Where the second of two rows lies in `spare`. */
INLINE int64_t second_row(int64_t bytes) { return (bytes + 63) & ~(int64_t)63; }

static void stream_rows(void *d0, void *d1, const char *spare, int64_t bytes)
{
    stream_row(d0, spare, bytes);
    if (d1) stream_row(d1, spare + second_row(bytes), bytes);
}

/* The parts of a row before `head` and from `tail` on. */
static void stream_ends(char *d, const char *s, int64_t head, int64_t tail, int64_t bytes)
{
    stream_row(d, s, head);
    if (tail < bytes) stream_row(d + tail, s + tail, bytes - tail);
}
