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
#define V_STREAM_BYTES 64
#else
#define V_STREAM(p, x) _mm256_stream_ps(p, x)
#define V_STREAM_BYTES 32
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
#if VL == 16
#define SPLAT(v) _mm512_set1_ps(v)
#else
#define SPLAT(v) _mm256_set1_ps(v)
#endif
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

/* v_sum_f32 with two and four taps in as few instructions as short rows deserve. */
static void v_short_f32(void *restrict d, const void *const *rows, const void *w, int64_t n, int32_t taps, int32_t last)
{
    if (taps == 2) {
        const float *x[4] = { rows[0], rows[1], rows[0], rows[1] };
        v_body(d, x, w, n, 2, 0);
    } else if (taps == 4) {
        const float *x[4] = { rows[0], rows[1], rows[2], rows[3] };
        v_body(d, x, w, n, 4, 0);
    } else
        v_sum_f32(d, rows, w, n, taps, last);
}

/* v_sum_f32, streamed where it has 2 or 4 taps. */
static void v_stream_f32(void *restrict d_, const void *const *rows, const void *w, int64_t n, int32_t taps, int32_t last)
{
    float *d = d_;
    int64_t head = (int64_t)(-(uintptr_t)d & 63) / 4;
    if ((taps != 2 && taps != 4) || n < 64) { v_sum_f32(d, rows, w, n, taps, last); return; }
    int64_t body = (n - head) & ~(int64_t)15;
    const void *part[4];
    const float *x[4];
    if (head) v_sum_f32(d, rows, w, head, taps, last);
    for (int32_t k = 0; k < 4; k++) x[k] = (const float *)rows[k < taps ? k : 0] + head;
    if (taps == 2) v_body(d + head, x, w, body, 2, 1);
    else v_body(d + head, x, w, body, 4, 1);
    if (head + body < n) {
        for (int32_t k = 0; k < taps; k++) part[k] = (const float *)rows[k] + head + body;
        v_sum_f32(d + head + body, part, w, n - head - body, taps, last);
    }
}

/* ---- whole factor 2 in float32: even and odd sums, one interleave ---------- */

#if VL == 16
INLINE void interleave_store(float *d, vf even, vf odd)
{
    const vi lo = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const vi hi = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    V_STORE(d, _mm512_permutex2var_ps(even, lo, odd));
    V_STORE(d + 16, _mm512_permutex2var_ps(even, hi, odd));
}
/* five pixels of three channels: two stores of 15 lanes, the sixteenth is overwritten by the next */
INLINE void interleave_store3(float *d, vf even, vf odd, int last)
{
    const vi lo = _mm512_setr_epi32(0, 1, 2, 16, 17, 18, 3, 4, 5, 19, 20, 21, 6, 7, 8, 22);
    const vi hi = _mm512_setr_epi32(22, 23, 24, 9, 10, 11, 25, 26, 27, 12, 13, 14, 28, 29, 30, 0);
    V_STORE(d, _mm512_permutex2var_ps(even, lo, odd));
    if (last) V_STORE_FIRST(d + 15, _mm512_permutex2var_ps(even, hi, odd), 15);
    else V_STORE(d + 15, _mm512_permutex2var_ps(even, hi, odd));
}
#else
INLINE void interleave_store(float *d, vf even, vf odd)
{
    vf lo = _mm256_unpacklo_ps(even, odd), hi = _mm256_unpackhi_ps(even, odd);
    V_STORE(d, _mm256_permute2f128_ps(lo, hi, 0x20));
    V_STORE(d + 8, _mm256_permute2f128_ps(lo, hi, 0x31));
}
#endif

INLINE void zip_sums(const float *x, int64_t C, int K, const vf *w, vf *even, vf *odd)
{
    if (K == 2) {
        vf mid = V_LOAD(x);
        *even = V_FMA(w[0], V_LOAD(x - C), V_MUL(w[1], mid));
        *odd = V_FMA(w[4], mid, V_MUL(w[5], V_LOAD(x + C)));
    } else {
        vf a = V_LOAD(x - C), mid = V_LOAD(x), b = V_LOAD(x + C);
        vf e = V_FMA(w[0], V_LOAD(x - 2 * C), V_MUL(w[1], a)), o = V_FMA(w[4], a, V_MUL(w[5], mid));
        e = V_FMA(w[2], mid, e);
        o = V_FMA(w[6], b, o);
        *even = V_FMA(w[3], b, e);
        *odd = V_FMA(w[7], V_LOAD(x + 2 * C), o);
    }
}

INLINE void zip_f32(float *restrict d, const float *restrict s, const row_taps *t, int K, int C)
{
    const float *table = t->weights;
    /* a vector holds one sample more than five pixels of three channels: that pixel must exist */
    int64_t lo = t->inside_lo, hi = t->inside_hi - (C == 3), m = t->m;
    vf w[8], even, odd;
    for (int k = 0; k < K; k++) {
        w[k] = SPLAT(table[k * m + 2 * lo]);
        w[4 + k] = SPLAT(table[k * m + 2 * lo + 1]);
    }
    h_fixed_range_f32(d, s, t, 0, 2 * lo);
    h_fixed_range_f32(d, s, t, 2 * hi, m);
    const float *x = s + t->inside_src * C;
    if (C == 1) {
        for (int64_t j = lo;;) {
            zip_sums(x + j, 1, K, w, &even, &odd);
            interleave_store(d + 2 * j, even, odd);
            if (j == hi - VL) break;
            j = i64min(j + VL, hi - VL);    /* the last block overlaps the one before */
        }
    }
#if VL == 16
    else {
        for (int64_t j = lo;;) {
            zip_sums(x + 3 * j, 3, K, w, &even, &odd);
            interleave_store3(d + 6 * j, even, odd, j == hi - 5);
            if (j == hi - 5) break;
            j = i64min(j + 5, hi - 5);
        }
    }
#endif
}

static void h_zip_f32(void *d, const void *s, const row_taps *t)
{
    int64_t pairs = t->inside_hi - t->inside_lo;
    if (t->inner == 1 && pairs >= VL) {
        if (t->taps_max == 2) zip_f32(d, s, t, 2, 1);
        else zip_f32(d, s, t, 4, 1);
        return;
    }
#if VL == 16
    if (t->inner == 3 && pairs >= 6) {
        if (t->taps_max == 2) zip_f32(d, s, t, 2, 3);
        else zip_f32(d, s, t, 4, 3);
        return;
    }
#endif
    h_x2_f32(d, s, t);
}
