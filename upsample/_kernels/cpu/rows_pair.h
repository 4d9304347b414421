/* Whole factor 2: a new input row becomes two output rows in one sweep.
 *
 * Between two input rows lie two output rows that need the same K rows resampled along
 * W, all but the newest of which are in the ring already.  So one loop over the columns
 * makes the newest row (even and odd sums, interleaved in registers), keeps it for the
 * next rows, sums it with the others and stores both outputs, converted: nothing is
 * loaded twice, and stores are spread evenly over the arithmetic, which is what keeps
 * memory busy.  The first and the last samples of a row, whose taps are clipped, are
 * windows (as in rows_window.h), so there is no scalar edge.
 *
 * Sums have the order of the plain primitives, so bits are theirs.
 * Included by rows_impl.h at levels with AVX2 or AVX-512, after rows_stream.h.
 */

#define PAIR_CHANNELS 4
#define LONG_ROW 4096           /* bytes; with shorter ones the ends cost more than finishing the row aside */

/* Where the second of two rows lies in `spare`. */
INLINE int64_t second_row(int64_t bytes) { return (bytes + 63) & ~(int64_t)63; }

/* Whether both rows are whole lines: they can be streamed from registers. */
INLINE int whole_lines(const void *d0, const void *d1, int64_t bytes)
{
    return (((uintptr_t)d0 | (uintptr_t)d1 | (uintptr_t)bytes) & 63) == 0;
}

static void stream_rows(void *d0, void *d1, const char *spare, int64_t bytes)
{
    stream_row(d0, spare, bytes);
    if (d1) stream_row(d1, spare + second_row(bytes), bytes);
}

/* ---- samples in and out --------------------------------------------------- */

#if VL == 16
#define WORDS __m256i
#define W_LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define W_STORE(p, x) _mm256_storeu_si256((__m256i *)(p), x)
#define WIDEN(x) _mm512_cvtepu16_epi32(x)
#define I_TO_F(x) _mm512_cvtepi32_ps(x)
#define F_TO_I(x) _mm512_cvtps_epi32(x)
#define AS_I(x) _mm512_castps_si512(x)
#define AS_F(x) _mm512_castsi512_ps(x)
#define I_OP(name) _mm512_##name
#define SPLAT_I(v) _mm512_set1_epi32(v)
#define V_OP(name) _mm512_##name
#define NARROW(x) _mm512_cvtepi32_epi16(x)
INLINE vi quiet_nan(vi rounded, vf x)
{
    vi kept = _mm512_or_si512(_mm512_srli_epi32(AS_I(x), 16), SPLAT_I(0x40));
    return _mm512_mask_blend_epi32(_mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), rounded, kept);
}
#else
#define WORDS __m128i
#define W_LOAD(p) _mm_loadu_si128((const __m128i *)(p))
#define W_STORE(p, x) _mm_storeu_si128((__m128i *)(p), x)
#define WIDEN(x) _mm256_cvtepu16_epi32(x)
#define I_TO_F(x) _mm256_cvtepi32_ps(x)
#define F_TO_I(x) _mm256_cvtps_epi32(x)
#define AS_I(x) _mm256_castps_si256(x)
#define AS_F(x) _mm256_castsi256_ps(x)
#define I_OP(name) _mm256_##name
#define SPLAT_I(v) _mm256_set1_epi32(v)
#define V_OP(name) _mm256_##name
#define NARROW(x) _mm_packus_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1))
INLINE vi quiet_nan(vi rounded, vf x)
{
    vi kept = _mm256_or_si256(_mm256_srli_epi32(AS_I(x), 16), SPLAT_I(0x40));
    return _mm256_blendv_epi8(rounded, kept, AS_I(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
}
#endif

#define SAMPLE_BYTES(dtype) ((dtype) == DTYPE_F32 ? 4 : 2)

INLINE vf samples_in(int dtype, const char *p)
{
    if (dtype == DTYPE_F32) return V_LOAD((const float *)p);
    WORDS w = W_LOAD(p);
    if (dtype == DTYPE_F16) return V_OP(cvtph_ps)(w);
    if (dtype == DTYPE_BF16) return AS_F(I_OP(slli_epi32)(WIDEN(w), 16));
    return I_TO_F(WIDEN(w));
}

/* 16-bit dtypes, rounded as `store` does */
INLINE WORDS words_of(int dtype, vf x)
{
    if (dtype == DTYPE_F16) return V_OP(cvtps_ph)(x, 0);
    if (dtype == DTYPE_BF16) {
#if VL == 16
        vi u = AS_I(x), odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), SPLAT_I(1));
#else
        vi u = AS_I(x), odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), SPLAT_I(1));
#endif
        vi r = I_OP(srli_epi32)(I_OP(add_epi32)(I_OP(add_epi32)(u, SPLAT_I(0x7fff)), odd), 16);
        return NARROW(quiet_nan(r, x));
    }
    return NARROW(F_TO_I(V_OP(min_ps)(V_OP(max_ps)(x, SPLAT(0)), SPLAT(65535))));
}

INLINE void samples_out(int dtype, char *p, vf x, int stream)
{
    if (dtype == DTYPE_F32 && stream && ((uintptr_t)p & (4 * VL - 1)) == 0) V_STREAM((float *)p, x);
    else if (dtype == DTYPE_F32) V_STORE((float *)p, x);
    else W_STORE(p, words_of(dtype, x));
}

/* 2 VL samples from an address that the widest store of the level likes */
INLINE void samples_stream(int dtype, char *p, vf lo, vf hi)
{
    if (dtype == DTYPE_F32) {
        V_STREAM((float *)p, lo);
        V_STREAM((float *)p + VL, hi);
        return;
    }
#if VL == 16
    _mm512_stream_si512((void *)p, _mm512_inserti64x4(_mm512_castsi256_si512(words_of(dtype, lo)), words_of(dtype, hi), 1));
#else
    _mm256_stream_si256((void *)p, _mm256_set_m128i(words_of(dtype, hi), words_of(dtype, lo)));
#endif
}

/* ---- one block of columns ------------------------------------------------- */

typedef struct {
    char *out[2];               /* out[1] may be NULL with K_v = 0: one row, W pass only */
    float *fresh;
    const float *rows[3];
    const char *src;
    vf wv[2][4];
} pair_rows;

/* `at`: sample of the row; x: the newest row there. */
INLINE vf pair_sum(const pair_rows *r, int K, int which, int64_t at, vf x)
{
    const vf *w = r->wv[which];
    if (K == 2) return V_FMA(w[0], V_LOAD(r->rows[0] + at), V_MUL(w[1], x));
    vf a = V_FMA(w[0], V_LOAD(r->rows[0] + at), V_MUL(w[1], V_LOAD(r->rows[1] + at)));
    return V_FMA(w[3], x, V_FMA(w[2], V_LOAD(r->rows[2] + at), a));
}

INLINE void pair_store(const pair_rows *r, int dtype, int K, int rows, int64_t at, vf x, int stream)
{
    if (rows == 0) { samples_out(dtype, r->out[0] + at * SAMPLE_BYTES(dtype), x, stream); return; }
    V_STORE(r->fresh + at, x);
    samples_out(dtype, r->out[0] + at * SAMPLE_BYTES(dtype), pair_sum(r, K, 0, at, x), stream);
    samples_out(dtype, r->out[1] + at * SAMPLE_BYTES(dtype), pair_sum(r, K, 1, at, x), stream);
}

/* Samples [at, at + VL) of the row by window `b` of the edges. */
INLINE void pair_window(const pair_rows *r, int dtype, int K, int rows, const row_taps *t, int64_t b, int64_t at, int stream)
{
    const int S = SAMPLE_BYTES(dtype);
    const uint8_t *pick = t->pick + b * K * VL;
    const int32_t *left = t->left + b * K;
    const float *w = (const float *)t->packed + b * K * VL;
    vf x = samples_in(dtype, r->src + left[0] * S), y = x;
    if (!t->one_load) y = samples_in(dtype, r->src + left[1] * S);
    vf a = V_FMA(V_LOAD(w), V_PERMUTE(V_INDEX(pick), x), V_MUL(V_LOAD(w + VL), V_PERMUTE(V_INDEX(pick + VL), y)));
    for (int k = 2; k < K; k++) {
        if (!t->one_load) x = samples_in(dtype, r->src + left[k] * S);
        a = V_FMA(V_LOAD(w + k * VL), V_PERMUTE(V_INDEX(pick + k * VL), x), a);
    }
    pair_store(r, dtype, K, rows, at, a, stream);
}

/* Pixels of even and odd in turn: samples [0, VL) and from the whole pixels' VL / C * C on. */
INLINE void interleave_pixels(int C, vi zip_lo, vi zip_hi, vf even, vf odd, vf *lo, vf *hi)
{
#if VL == 8
    if (C == 1) {
        vf a = _mm256_unpacklo_ps(even, odd), b = _mm256_unpackhi_ps(even, odd);
        *lo = _mm256_permute2f128_ps(a, b, 0x20);
        *hi = _mm256_permute2f128_ps(a, b, 0x31);
        return;
    }
#endif
    (void)C;
    *lo = V_PERMUTE2(zip_lo, even, odd);
    *hi = V_PERMUTE2(zip_hi, even, odd);
}

/* Zip blocks of pairs [j, stop), with the last one overlapping the one before where it must, or of whole blocks only. */
INLINE int64_t pair_blocks(const pair_rows *r, const row_taps *t, int dtype, int K, int C, int rows, int64_t j, int64_t stop,
                           int stream)
{
    const int S = SAMPLE_BYTES(dtype);
    const int64_t P = VL / C, m = t->m;
    const float *table = (const float *)t->weights + 2 * t->inside_lo;
    const char *x = r->src + t->inside_src * C * S;
    vf w[8];
    for (int k = 0; k < K; k++) {
        w[k] = SPLAT(table[k * m]);
        w[4 + k] = SPLAT(table[k * m + 1]);
    }
    const vi zip_lo = V_INDEX(t->zip), zip_hi = V_INDEX(t->zip + VL);
    while (j < stop) {
        if (j + P > stop) {
            if (stream) break;
            j = stop - P;
        }
        const char *p = x + j * C * S;
        const int64_t at = 2 * j * C;
        vf mid = samples_in(dtype, p), even, odd, lo, hi;
        if (K == 2) {
            even = V_FMA(w[0], samples_in(dtype, p - C * S), V_MUL(w[1], mid));
            odd = V_FMA(w[4], mid, V_MUL(w[5], samples_in(dtype, p + C * S)));
        } else {
            vf a = samples_in(dtype, p - C * S), b = samples_in(dtype, p + C * S);
            even = V_FMA(w[0], samples_in(dtype, p - 2 * C * S), V_MUL(w[1], a));
            odd = V_FMA(w[4], a, V_MUL(w[5], mid));
            even = V_FMA(w[3], b, V_FMA(w[2], mid, even));
            odd = V_FMA(w[7], samples_in(dtype, p + 2 * C * S), V_FMA(w[6], b, odd));
        }
        interleave_pixels(C, zip_lo, zip_hi, even, odd, &lo, &hi);
        if (stream && rows) {
            V_STORE(r->fresh + at, lo);
            V_STORE(r->fresh + at + VL, hi);
            samples_stream(dtype, r->out[0] + at * S, pair_sum(r, K, 0, at, lo), pair_sum(r, K, 0, at + VL, hi));
            samples_stream(dtype, r->out[1] + at * S, pair_sum(r, K, 1, at, lo), pair_sum(r, K, 1, at + VL, hi));
        } else if (stream)
            samples_stream(dtype, r->out[0] + at * S, lo, hi);
        else {
            pair_store(r, dtype, K, rows, at, lo, 0);
            pair_store(r, dtype, K, rows, at + P * C, hi, 0);
        }
        j += P;
    }
    return j;
}

static void stream_ends(char *d, const char *s, int64_t head, int64_t tail, int64_t bytes)
{
    stream_row(d, s, head);
    if (tail < bytes) stream_row(d + tail, s + tail, bytes - tail);
}

/* A line that is streamed in part and stored in part costs ten times as much.  So a row goes straight to its place where
 * it is not streamed, or is whole lines throughout; else what lies before the first and after the last whole line of
 * blocks is finished in `spare` and streamed from there, or all of it. */
INLINE void pair_any(const pair_rows *r, const row_taps *t, int dtype, int K, int C, int rows, char *spare)
{
    const int S = SAMPLE_BYTES(dtype), step = 2 * C * S;
    const int64_t P = VL / C, edge = t->edges * VL, total = t->m * C, bytes = total * S, room = second_row(bytes);
    const int64_t start = edge / (2 * C), stop = (total - edge + 2 * C - 1) / (2 * C);
    const uintptr_t at = (uintptr_t)r->out[0], differ = rows ? at ^ (uintptr_t)r->out[1] : 0;
    int64_t first = stop, past = stop;          /* pairs that are streamed from registers */
    int perfect = 0;
    pair_rows aside = *r;
    if (spare && VL % C == 0 && (differ & 63) == 0) {
        const int64_t head = (int64_t)(-(at + (uintptr_t)(start * step)) & 63);
        perfect = ((at | (uintptr_t)(edge * S) | (uintptr_t)bytes) & 63) == 0 && edge % (2 * C) == 0 && (stop - start) % P == 0;
        if (head % step == 0 && start + head / step + P <= stop && (perfect || bytes >= LONG_ROW)) first = start + head / step;
    }
    if (spare && !perfect) {
        aside.out[0] = spare;
        aside.out[1] = spare + room;
    }
    for (int64_t b = 0; b < t->edges; b++) pair_window(&aside, dtype, K, rows, t, b, b * VL, perfect);
    if (first > start) {
        /* blocks from `start` on, as far as `first` or a whole block */
        pair_blocks(&aside, t, dtype, K, C, rows, start, first == stop ? stop : i64max(first, start + P), 0);
    }
    if (first < stop) {
        past = pair_blocks(r, t, dtype, K, C, rows, first, stop, 1);
        if (past < stop) pair_blocks(&aside, t, dtype, K, C, rows, stop - P, stop, 0);
    }
    for (int64_t b = 0; b < t->edges; b++)
        pair_window(&aside, dtype, K, rows, t, t->edges + b, total - (t->edges - b) * VL, perfect);
    if (!spare || perfect) return;
    const int64_t head = first == stop ? bytes : first * step, tail = first == stop ? bytes : past * step;
    stream_ends(r->out[0], aside.out[0], head, tail, bytes);
    if (rows) stream_ends(r->out[1], aside.out[1], head, tail, bytes);
}

/* The same where every block is a window (rows_window.h): any scale at which two output rows are made of the same rows. */
INLINE void pair_windows(const pair_rows *r, const row_taps *t, int dtype, int K, char *spare)
{
    const int S = SAMPLE_BYTES(dtype);
    const int64_t total = t->m * t->inner, whole = total / VL, bytes = total * S;
    const int perfect = dtype == DTYPE_F32 && spare && whole_lines(r->out[0], r->out[1], bytes);
    pair_rows aside = *r;
    if (spare && !perfect) {
        aside.out[0] = spare;
        aside.out[1] = spare + second_row(bytes);
    }
    if (perfect) for (int64_t b = 0; b < whole; b++) pair_window(&aside, dtype, K, 1, t, b, b * VL, 1);
    else for (int64_t b = 0; b < whole; b++) pair_window(&aside, dtype, K, 1, t, b, b * VL, 0);
    if (total % VL) {
        /* the last block is less than a vector: rows of the ring have room for it, the output has not */
        char rest[2][4 * VL];
        pair_rows last = *r;
        last.out[0] = rest[0];
        last.out[1] = rest[1];
        last.fresh += whole * VL;
        for (int k = 0; k < K - 1; k++) last.rows[k] += whole * VL;
        pair_window(&last, dtype, K, 1, t, whole, 0, 0);
        for (int i = 0; i < 2; i++) memcpy(aside.out[i] + whole * VL * S, rest[i], (size_t)(total % VL * S));
    }
    if (spare && !perfect) stream_rows(r->out[0], r->out[1], spare, bytes);
}

INLINE int pair_float(void *d0, void *d1, void *fresh, const void *const *rows, const void *src, const row_taps *t,
                      const void *w0, const void *w1, void *spare, int dtype, int K)
{
    pair_rows r = { .out = { d0, d1 }, .fresh = fresh, .src = src };
    const int C = (int)t->inner;
    for (int k = 0; k < K && d1; k++) {
        if (k < K - 1) r.rows[k] = rows[k];
        r.wv[0][k] = SPLAT(((const float *)w0)[k]);
        r.wv[1][k] = SPLAT(((const float *)w1)[k]);
    }
    if (t->pair == PAIR_WINDOWS) pair_windows(&r, t, dtype, K, spare);
    else if (d1 && C == 1) pair_any(&r, t, dtype, K, 1, 1, spare);
    else if (d1) pair_any(&r, t, dtype, K, C, 1, spare);
    else if (C == 1) pair_any(&r, t, dtype, K, 1, 0, spare);
    else pair_any(&r, t, dtype, K, C, 0, spare);
    return 1;
}

#define DEFINE_PAIR(name, dtype, K)                                                                         \
    static int name(void *d0, void *d1, void *fresh, const void *const *rows, const void *src, const row_taps *t, \
                    const void *w0, const void *w1, int32_t shift, void *spare)                              \
    {                                                                                                       \
        (void)shift;                                                                                        \
        return pair_float(d0, d1, fresh, rows, src, t, w0, w1, spare, dtype, K);                           \
    }
DEFINE_PAIR(pair_f32_2, DTYPE_F32, 2)
DEFINE_PAIR(pair_f32_4, DTYPE_F32, 4)
DEFINE_PAIR(pair_f16_2, DTYPE_F16, 2)
DEFINE_PAIR(pair_f16_4, DTYPE_F16, 4)
DEFINE_PAIR(pair_bf16_2, DTYPE_BF16, 2)
DEFINE_PAIR(pair_bf16_4, DTYPE_BF16, 4)
DEFINE_PAIR(pair_u16_2, DTYPE_U16, 2)
DEFINE_PAIR(pair_u16_4, DTYPE_U16, 4)

/* The tables of the edges, where the tile is long enough to have an inside. */
static void pack_pair_f32(row_taps *t, char *memory)
{
    const int64_t C = t->inner, P = VL / C, K = t->taps_max, total = t->m * C;
    /* a vector of whole pixels may reach one pixel further than its sums */
    const int64_t hi = t->inside_hi - (VL % C != 0), left = 2 * t->inside_lo * C, right = (t->m - 2 * hi) * C;
    const int64_t E = ((left > right ? left : right) + VL - 1) / VL;
    if ((total - E * VL + 2 * C - 1) / (2 * C) - E * VL / (2 * C) < P || t->n * C < VL) return;
    t->one_load = 0;
    int32_t *at = (int32_t *)memory;
    float *w = (float *)(memory + ((2 * E * K * 4 + 63) & ~63));
    uint8_t *pick = (uint8_t *)(w + 2 * E * K * VL), *zip = pick + 2 * E * K * VL;
    for (int64_t b = 0; b < 2 * E; b++)
        for (int32_t k = 0; k < K; k++) {
            int64_t from = b < E ? b * VL : total - (2 * E - b) * VL, lo, last;
            tap_span(t, FORM_FIXED, from, from + VL, k, k + 1, &lo, &last);
            lo = i64max(0, i64min(lo, t->n * C - VL));
            if (last - lo >= VL) return;
            at[b * K + k] = (int32_t)lo;
            for (int64_t v = 0; v < VL; v++) {
                int64_t o = (from + v) / C;
                pick[(b * K + k) * VL + v] = (uint8_t)(tap_at(t, FORM_FIXED, o, k) * C + (from + v) % C - lo);
                w[(b * K + k) * VL + v] = (float)tap_weight(t, ACC_F32, FORM_FIXED, o, k);
            }
        }
    for (int64_t v = 0; v < VL; v++)
        for (int half = 0; half < 2; half++) {
            int64_t q = (v + half * P * C) / C;             /* the pixel: even and odd ones in turn */
            zip[half * VL + v] = (uint8_t)((q % 2 * VL + q / 2 * C + v % C) & (2 * VL - 1));
        }
    t->left = at;
    t->pick = pick;
    t->packed = w;
    t->zip = zip;
    t->edges = (int32_t)E;
    t->pair = PAIR_X2;
}

static void h_pair_f32(void *d, const void *s, const row_taps *t)
{
    if (t->pair != PAIR_X2) h_x2_f32(d, s, t);
    else if (t->taps_max == 2) pair_f32_2(d, 0, 0, 0, s, t, 0, 0, 0, 0);
    else pair_f32_4(d, 0, 0, 0, s, t, 0, 0, 0, 0);
}

/* ---- uint8, in bytes -------------------------------------------------------
 *
 * The quarters of the linear weights and the 256ths of the cubic ones (A = -0.75) are exact in every
 * shift that the plan may choose, so its rounding, floor(sum + 1/2), can be had in bytes:
 *     (a + 3b + 2) >> 2            = avg(avg(a, b) - ((a ^ b) & 1), b)   with avg(a, b) = (a + b + 1) >> 1
 *     (-27a + 225b + 67c - 9d + 128) >> 8 = b + ((-27a - 31b + 67c - 9d + 128) >> 8)
 * and the bracket stays within 16 bits.
 */

#if VL == 16
#define BV __m512i
#define BVL 64
#define BV_OP(name) _mm512_##name
#define BV_LOAD(p) _mm512_loadu_si512(p)
#define BV_STORE(p, x) _mm512_storeu_si512(p, x)
#define BV_XOR(a, b) _mm512_xor_si512(a, b)
#define BV_AND(a, b) _mm512_and_si512(a, b)
INLINE BV bv_pick(BV index, BV a, BV b) { return _mm512_permutex2var_epi8(a, index, b); }
#else
#define BV __m128i
#define BVL 16
#define BV_OP(name) _mm_##name
#define BV_LOAD(p) _mm_loadu_si128((const __m128i *)(p))
#define BV_STORE(p, x) _mm_storeu_si128((__m128i *)(p), x)
#define BV_XOR(a, b) _mm_xor_si128(a, b)
#define BV_AND(a, b) _mm_and_si128(a, b)
INLINE BV bv_pick(BV index, BV a, BV b)
{
    /* lanes of the other half get their high bit set, and are zero */
    const BV far = _mm_set1_epi8(0x70);
    return _mm_or_si128(_mm_shuffle_epi8(a, _mm_add_epi8(index, far)),
                        _mm_shuffle_epi8(b, _mm_add_epi8(_mm_xor_si128(index, _mm_set1_epi8(16)), far)));
}
#endif

INLINE BV quarter_sum(BV a, BV b)
{
    BV floor = BV_OP(sub_epi8)(BV_OP(avg_epu8)(a, b), BV_AND(BV_XOR(a, b), BV_OP(set1_epi8)(1)));
    return BV_OP(avg_epu8)(floor, b);
}

INLINE BV cubic_sum(BV a, BV b, BV c, BV d)
{
    const BV near = BV_OP(set1_epi16)((int16_t)(((uint16_t)-31 << 8) | (uint8_t)-27));
    const BV away = BV_OP(set1_epi16)((int16_t)(((uint16_t)-9 << 8) | (uint8_t)67));
    const BV eighth = BV_OP(set1_epi16)(128), sign = BV_OP(set1_epi8)((char)0x80);
    BV lo = BV_OP(add_epi16)(BV_OP(maddubs_epi16)(BV_OP(unpacklo_epi8)(a, b), near),
                             BV_OP(maddubs_epi16)(BV_OP(unpacklo_epi8)(c, d), away));
    BV hi = BV_OP(add_epi16)(BV_OP(maddubs_epi16)(BV_OP(unpackhi_epi8)(a, b), near),
                             BV_OP(maddubs_epi16)(BV_OP(unpackhi_epi8)(c, d), away));
    BV change = BV_OP(packs_epi16)(BV_OP(mulhrs_epi16)(lo, eighth), BV_OP(mulhrs_epi16)(hi, eighth));
    return BV_XOR(BV_OP(adds_epi8)(BV_XOR(b, sign), change), sign);
}

/* Weights of the output after (0) or before (1) an input, times 256. */
static const int16_t pair_weights[2][2][4] = { { { 192, 64 }, { 64, 192 } },
                                               { { -27, 225, 67, -9 }, { -9, 67, 225, -27 } } };

/* Which of the two sets these weights are, or -1. */
INLINE int pair_phase(const int16_t *w, int64_t step, int K, int32_t shift)
{
    for (int phase = 0; phase < 2; phase++) {
        int same = 1;
        for (int k = 0; k < K; k++) same &= 256 * (int64_t)w[k * step] == (int64_t)pair_weights[K == 4][phase][k] << shift;
        if (same) return phase;
    }
    return -1;
}

INLINE BV pair_bytes(int K, int phase, BV a, BV b, BV c, BV d)
{
    if (K == 2) return phase ? quarter_sum(a, b) : quarter_sum(b, a);
    return phase ? cubic_sum(d, c, b, a) : cubic_sum(a, b, c, d);
}

/* Samples [lo, hi) of the newest row are there: sum them with the others, one by one. */
INLINE void pair_u8_rest(uint8_t *const *out, const uint8_t *fresh, const void *const *rows, const int16_t *const *w,
                         int K, int32_t shift, int64_t lo, int64_t hi)
{
    for (int i = 0; i < 2; i++)
        for (int64_t at = lo; at < hi; at++) {
            int32_t a = (1 << shift >> 1) + w[i][K - 1] * fresh[at];
            for (int k = 0; k < K - 1; k++) a += w[i][k] * ((const uint8_t *)rows[k])[at];
            out[i][at] = FINISH_u8(a, shift);
        }
}

INLINE void pair_u8_block(uint8_t *const *out, uint8_t *fresh, const void *const *rows, const uint8_t *x, int64_t j,
                          int64_t C, int K, int both, BV zip_lo, BV zip_hi)
{
    const uint8_t *p = x + j * C;
    BV mid = BV_LOAD(p), a = BV_LOAD(p - C), b = BV_LOAD(p + C), even, odd;
    if (K == 2) {
        even = quarter_sum(a, mid);
        odd = quarter_sum(b, mid);
    } else {
        even = cubic_sum(b, mid, a, BV_LOAD(p - 2 * C));
        odd = cubic_sum(a, mid, b, BV_LOAD(p + 2 * C));
    }
    for (int half = 0; half < 2; half++) {
        const BV s = bv_pick(half ? zip_hi : zip_lo, even, odd);
        const int64_t at = 2 * j * C + half * (BVL / C * C);
        BV_STORE(fresh + at, s);
        if (!both) continue;
        BV r[3] = { s, s, s };
        for (int k = 0; k < K - 1; k++) r[k] = BV_LOAD((const uint8_t *)rows[k] + at);
        for (int i = 0; i < 2; i++) BV_STORE(out[i] + at, pair_bytes(K, i, r[0], K == 2 ? s : r[1], r[2], s));
    }
}

INLINE int pair_u8(void *d0, void *d1, void *fresh_, const void *const *rows, const void *src, const row_taps *t,
                   const int16_t *w0, const int16_t *w1, int32_t shift, uint8_t *spare, int K)
{
    const int64_t C = t->inner, P = BVL / C, lo = t->inside_lo, hi = t->inside_hi - (BVL % C != 0), m = t->m;
    uint8_t *const out[2] = { spare ? spare : d0, spare ? spare + second_row(m * C) : d1 };
    uint8_t *restrict fresh = d1 ? fresh_ : out[0];
    const uint8_t *x = (const uint8_t *)src + t->inside_src * C;
    const int16_t *const w[2] = { w0, w1 };
    if (d1 && (pair_phase(w0, 1, K, shift) != 0 || pair_phase(w1, 1, K, shift) != 1)) return 0;
    const BV zip_lo = BV_LOAD(t->zip), zip_hi = BV_LOAD(t->zip + BVL);
    h_bytes_range_u8(fresh, src, t, 0, 2 * lo);
    for (int64_t j = lo;; j = i64min(j + P, hi - P)) {     /* the last block overlaps the one before */
        pair_u8_block(out, fresh, rows, x, j, C, K, d1 != 0, zip_lo, zip_hi);
        if (j == hi - P) break;
    }
    h_bytes_range_u8(fresh, src, t, 2 * hi, m);
    if (d1) {
        pair_u8_rest(out, fresh, rows, w, K, shift, 0, 2 * lo * C);
        pair_u8_rest(out, fresh, rows, w, K, shift, 2 * hi * C, m * C);
    }
    if (spare) {
        stream_row(d0, out[0], m * C);
        if (d1) stream_row(d1, out[1], m * C);
    }
    return 1;
}

#define DEFINE_PAIR_U8(name, K)                                                                             \
    static int name(void *d0, void *d1, void *fresh, const void *const *rows, const void *src, const row_taps *t, \
                    const void *w0, const void *w1, int32_t shift, void *spare)                              \
    {                                                                                                       \
        return pair_u8(d0, d1, fresh, rows, src, t, w0, w1, shift, spare, K);                                      \
    }
DEFINE_PAIR_U8(pair_u8_2, 2)
DEFINE_PAIR_U8(pair_u8_4, 4)

static void h_pair_u8(void *d, const void *s, const row_taps *t)
{
    if (t->pair != PAIR_X2) h_x2_u8(d, s, t);
    else if (t->taps_max == 2) pair_u8_2(d, 0, 0, 0, s, t, 0, 0, 0, 0);
    else pair_u8_4(d, 0, 0, 0, s, t, 0, 0, 0, 0);
}

static void pack_pair_u8(row_taps *t, char *memory)
{
    const int64_t C = t->inner, P = BVL / C, lo = t->inside_lo, hi = t->inside_hi - (BVL % C != 0);
    const int16_t *w = (const int16_t *)t->weights + 2 * lo;
    const int K = t->taps_max;
    uint8_t *zip = (uint8_t *)memory;
    /* the even output of an input lies before it */
    if (hi - lo < P || pair_phase(w, t->m, K, t->shift) != 1 || pair_phase(w + 1, t->m, K, t->shift) != 0) return;
    for (int64_t v = 0; v < BVL; v++)
        for (int half = 0; half < 2; half++) {
            int64_t q = (v + half * P * C) / C;
            zip[half * BVL + v] = (uint8_t)((q % 2 * BVL + q / 2 * C + v % C) & (2 * BVL - 1));
        }
    t->zip = zip;
    t->pair = PAIR_X2;
}

/* ---- nearest: one load, four stores ----------------------------------------- */

#if VL == 16
#define BV_DOUBLE(index, a) _mm512_permutexvar_epi8(index, a)
#define BV_STREAM(p, x) _mm512_stream_si512((void *)(p), x)
#else
#define BV_DOUBLE(index, a) _mm_shuffle_epi8(a, index)
#define BV_STREAM(p, x) _mm_stream_si128((__m128i *)(p), x)
#endif

/* For pixels of n bytes, byte v of those doubled: two vectors, of which the second begins with a pixel. */
#define DOUBLED(n, v) ((v) / (2 * (n)) * (n) + (v) % (n))
#define LANE(n, v) (uint8_t)(((v) < BVL ? DOUBLED(n, v) : DOUBLED(n, (v) - BVL + BVL / (n) * (n))) % BVL)
#define LANES_4(n, v) LANE(n, v), LANE(n, v + 1), LANE(n, v + 2), LANE(n, v + 3)
#define LANES_16(n, v) LANES_4(n, v), LANES_4(n, v + 4), LANES_4(n, v + 8), LANES_4(n, v + 12)
#if VL == 16
#define LANES(n) { LANES_16(n, 0), LANES_16(n, 16), LANES_16(n, 32), LANES_16(n, 48), \
                   LANES_16(n, 64), LANES_16(n, 80), LANES_16(n, 96), LANES_16(n, 112) }
#else
#define LANES(n) { LANES_16(n, 0), LANES_16(n, 16) }
#endif
static const uint8_t double_lanes[33][2 * BVL] = {
    [1] = LANES(1), [2] = LANES(2), [3] = LANES(3), [4] = LANES(4), [6] = LANES(6), [8] = LANES(8), [12] = LANES(12),
    [16] = LANES(16),
#if VL == 16
    [32] = LANES(32),
#endif
};

/* Whole blocks of n pixels of up to 16 bytes; how many pixels are done. */
INLINE int64_t double_blocks(char *d0, char *d1, const char *s, int64_t n, int64_t size, int both, int stream)
{
    const int64_t P = BVL / size, half = P * size, exact = BVL % size == 0;
    const BV lo = BV_LOAD(double_lanes[size]), hi = BV_LOAD(double_lanes[size] + BVL);
    int64_t i = 0;
    if (n < P + !exact) return 0;
    for (;;) {
        const BV x = BV_LOAD(s + i * size), a = BV_DOUBLE(lo, x), b = BV_DOUBLE(hi, x);
        const int64_t at = 2 * i * size;
        if (stream) {
            BV_STREAM(d0 + at, a);
            BV_STREAM(d0 + at + half, b);
            if (both) { BV_STREAM(d1 + at, a); BV_STREAM(d1 + at + half, b); }
        } else {
            BV_STORE(d0 + at, a);
            BV_STORE(d0 + at + half, b);
            if (both) { BV_STORE(d1 + at, a); BV_STORE(d1 + at + half, b); }
        }
        i += P;
        if (i + P + !exact > n) break;      /* a vector that holds a part of a pixel may spill into the next */
    }
    if (i < n && exact && !stream) {        /* the last block overlaps the one before */
        const BV x = BV_LOAD(s + (n - P) * size), a = BV_DOUBLE(lo, x), b = BV_DOUBLE(hi, x);
        const int64_t at = 2 * (n - P) * size;
        BV_STORE(d0 + at, a);
        BV_STORE(d0 + at + half, b);
        if (both) { BV_STORE(d1 + at, a); BV_STORE(d1 + at + half, b); }
        return n;
    }
    return i;
}

/* ---- nearest at other scales: windows of bytes -------------------------------- */

#define COPY_PIXEL_MAX 16

INLINE void copy_windows(uint8_t *restrict d, const uint8_t *restrict s, const row_taps *t, int two)
{
    const int64_t bytes = t->m * t->pixel, whole = bytes / BVL;
    for (int64_t b = 0; b <= whole; b++) {
        if (b == whole && bytes % BVL == 0) break;
        const uint8_t *p = s + t->left[b];
        const BV pick = BV_LOAD(t->pick + b * BVL);
        const BV x = two ? bv_pick(pick, BV_LOAD(p), BV_LOAD(p + BVL)) : BV_DOUBLE(pick, BV_LOAD(p));
        if (b < whole) BV_STORE(d + b * BVL, x);
        else {
            uint8_t rest[BVL];
            BV_STORE(rest, x);
            memcpy(d + b * BVL, rest, (size_t)(bytes % BVL));
        }
    }
}
static void copy_window(void *d, const void *s, const row_taps *t) { copy_windows(d, s, t, 0); }
static void copy_window_two(void *d, const void *s, const row_taps *t) { copy_windows(d, s, t, 1); }

/* Pixels of a vector or more. */
INLINE void double_large(char *d0, char *d1, const char *s, int64_t n, int64_t size, int both, int stream)
{
    for (int64_t i = 0; i < n; i++, d0 += 2 * size, d1 += 2 * size, s += size)
        for (int64_t at = 0;; at = i64min(at + BVL, size - BVL)) {
            const BV x = BV_LOAD(s + at);
            if (stream) {
                BV_STREAM(d0 + at, x);
                BV_STREAM(d0 + size + at, x);
                if (both) { BV_STREAM(d1 + at, x); BV_STREAM(d1 + size + at, x); }
            } else {
                BV_STORE(d0 + at, x);
                BV_STORE(d0 + size + at, x);
                if (both) { BV_STORE(d1 + at, x); BV_STORE(d1 + size + at, x); }
            }
            if (at == size - BVL) break;
        }
}

static void double_row(void *d0_, void *d1_, const void *src, const row_taps *t, int64_t size, void *spare)
{
    char *d0 = d0_, *d1 = d1_;
    const char *s = src;
    const int64_t n = t->m / 2, bytes = t->m * size;
    const int both = d1 != 0;
    const uintptr_t place = (uintptr_t)d0 | (uintptr_t)(both ? d1 : d0) | (uintptr_t)bytes;
    const int large = size >= BVL && size > 16;
    const int stream = spare && (place & 63) == 0 && (large ? size % BVL : BVL % size + bytes % (2 * BVL)) == 0;
    if (spare && !stream) {
        double_row(spare, 0, s, t, size, 0);
        stream_row(d0, spare, bytes);
        if (both) stream_row(d1, spare, bytes);
        return;
    }
    if (large) {
        if (both && stream) double_large(d0, d1, s, n, size, 1, 1);
        else if (both) double_large(d0, d1, s, n, size, 1, 0);
        else double_large(d0, d0, s, n, size, 0, stream);
        return;
    }
    int64_t i = 0;
    if (size <= 32 && double_lanes[size][2 * BVL - 1]) {    /* a size that has lanes */
        if (both && stream) i = double_blocks(d0, d1, s, n, size, 1, 1);
        else if (both) i = double_blocks(d0, d1, s, n, size, 1, 0);
        else i = double_blocks(d0, d0, s, n, size, 0, stream);
    }
    for (; i < n; i++)
        for (int k = 0; k < 2; k++) {
            memcpy(d0 + (2 * i + k) * size, s + i * size, (size_t)size);
            if (both) memcpy(d1 + (2 * i + k) * size, s + i * size, (size_t)size);
        }
}

/* ---- four rows at once, four pixels at once ---------------------------------- */

INLINE vf four_sum(vf a, vf b, vf c, vf e, vf p0, vf p1, vf w0, vf w1)
{
    return V_FMA(w0, V_FMA(p0, a, V_MUL(p1, b)), V_MUL(w1, V_FMA(p0, c, V_MUL(p1, e))));
}

static void square_f32(void *d0, void *d1, const void *const *rows, const void *h0, const void *h1, const void *wd, int64_t n,
                       void *spare)
{
    const float *p = h0, *q = h1, *w = wd, *a = rows[0], *b = rows[1], *c = rows[2], *e = rows[3];
    if (spare && d1 && whole_lines(d0, d1, 4 * n)) {
        const vf p0 = SPLAT(p[0]), p1 = SPLAT(p[1]), q0 = SPLAT(q[0]), q1 = SPLAT(q[1]), w0 = SPLAT(w[0]), w1 = SPLAT(w[1]);
        for (int64_t i = 0; i < n; i += VL) {
            const vf va = V_LOAD(a + i), vb = V_LOAD(b + i), vc = V_LOAD(c + i), ve = V_LOAD(e + i);
            V_STREAM((float *)d0 + i, four_sum(va, vb, vc, ve, p0, p1, w0, w1));
            V_STREAM((float *)d1 + i, four_sum(va, vb, vc, ve, q0, q1, w0, w1));
        }
    } else if (spare) {
        v_square_f32(spare, d1 ? (char *)spare + second_row(4 * n) : 0, rows, h0, h1, wd, n, 0);
        stream_rows(d0, d1, spare, 4 * n);
    } else
        v_square_f32(d0, d1, rows, h0, h1, wd, n, 0);
}

static void square_f64(void *d0, void *d1, const void *const *rows, const void *h0, const void *h1, const void *wd, int64_t n,
                       void *spare)
{
    if (!spare) { v_square_f64(d0, d1, rows, h0, h1, wd, n, 0); return; }
    v_square_f64(spare, d1 ? (char *)spare + second_row(8 * n) : 0, rows, h0, h1, wd, n, 0);
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
                       void *spare)
{
    const int64_t bytes = 4 * t->m * t->inner;
    if (t->inner < VL) v_pixels_f32(spare ? spare : d0, !spare ? d1 : d1 ? (char *)spare + second_row(bytes) : 0, near, far, t, h0, h1, 0);
    else if (spare && d1 && whole_lines(d0, d1, 4 * t->inner)) {
        pixels_any(d0, d1, near, far, t, h0, h1, 1, 1);
        return;
    } else if (spare) pixels_any(spare, (float *)((char *)spare + second_row(bytes)), near, far, t, h0, d1 ? h1 : h0, 1, 0);
    else if (d1) pixels_any(d0, d1, near, far, t, h0, h1, 1, 0);
    else pixels_any(d0, d0, near, far, t, h0, h0, 0, 0);
    if (spare) stream_rows(d0, d1, spare, bytes);
}

static void pixels_f64(void *d0, void *d1, const void *near, const void *far, const row_taps *t, const void *h0, const void *h1,
                       void *spare)
{
    const int64_t bytes = 8 * t->m * t->inner;
    if (!spare) { v_pixels_f64(d0, d1, near, far, t, h0, h1, 0); return; }
    v_pixels_f64(spare, d1 ? (char *)spare + second_row(bytes) : 0, near, far, t, h0, h1, 0);
    stream_rows(d0, d1, spare, bytes);
}
