/* Whole factor 1/2: even and odd samples are parted, never gathered.
 *
 * Output o has the taps 2o + c, 2o + c + 1, ...: two loads hold the even and the odd
 * samples of a block of outputs, and two permutes part them, for two taps.  `half_*`
 * makes the W pass so wherever weights are the same all along the row's inside;
 * `halve_*` goes from two input rows to one output row where every output is the mean
 * of two by two pixels (area, and linear without antialias), and keeps nothing.
 *
 * Sums have the order of the plain primitives, so bits are theirs.
 * Included by rows_impl.h at levels with AVX2 or AVX-512, after rows_pair.h.
 */

#define HALF_CHANNELS 4
#define HALF_AHEAD 384          /* samples: one line each, while waiting for memory (10 % on large arrays, none lost on small) */

/* In a block of pixels of n channels, where the even pixel of output lane v is; the odd one is n further. */
#define EVEN(n, v) (((v) / (n) * 2 * (n) + (v) % (n)) % (2 * BVL))
#define EVEN_4(n, v) EVEN(n, v), EVEN(n, v + 1), EVEN(n, v + 2), EVEN(n, v + 3)
#define EVEN_16(n, v) EVEN_4(n, v), EVEN_4(n, v + 4), EVEN_4(n, v + 8), EVEN_4(n, v + 12)
#if VL == 16
#define EVENS(n) { EVEN_16(n, 0), EVEN_16(n, 16), EVEN_16(n, 32), EVEN_16(n, 48) }
#else
#define EVENS(n) { EVEN_16(n, 0) }
#endif
static const uint8_t even_lanes[HALF_CHANNELS + 1][BVL] = { [1] = EVENS(1), [2] = EVENS(2), [3] = EVENS(3), [4] = EVENS(4) };

INLINE void part_f32(int64_t C, const float *x, vf *even, vf *odd)
{
    const vf a = V_LOAD(x), b = V_LOAD(x + VL);
#if VL == 8
    if (C == 1) {
        *even = AS_F(_mm256_permute4x64_epi64(AS_I(_mm256_shuffle_ps(a, b, 0x88)), 0xd8));
        *odd = AS_F(_mm256_permute4x64_epi64(AS_I(_mm256_shuffle_ps(a, b, 0xdd)), 0xd8));
        return;
    }
#endif
    const vi index = V_INDEX(even_lanes[C]);
    *even = V_PERMUTE2(index, a, b);
    *odd = V_PERMUTE2(I_OP(add_epi32)(index, SPLAT_I((int)C)), a, b);
}

INLINE void part_bytes(int64_t C, const uint8_t *x, BV *even, BV *odd)
{
    const BV a = BV_LOAD(x), b = BV_LOAD(x + BVL), index = BV_LOAD(even_lanes[C]), last = BV_OP(set1_epi8)(2 * BVL - 1);
    *even = bv_pick(index, a, b);
    *odd = bv_pick(BV_AND(BV_OP(add_epi8)(index, BV_OP(set1_epi8)((char)C)), last), a, b);
}

/* ---- W pass ----------------------------------------------------------------- */

INLINE void half_block(float *restrict d, const float *restrict s, const row_taps *t, const vf *w, int64_t C, int K, int64_t o)
{
    const float *x = s + (2 * o + t->half_src) * C;
    vf even, odd;
    part_f32(C, x, &even, &odd);
    vf a = V_FMA(w[0], even, V_MUL(w[1], odd));
    for (int k = 2; k < K; k += 2) {
        part_f32(C, x + k * C, &even, &odd);
        a = V_FMA(w[k + 1], odd, V_FMA(w[k], even, a));
    }
    if (VL % C == 0) V_STORE(d + o * C, a);
    else V_STORE_FIRST(d + o * C, a, VL / C * C);
}

INLINE void half_f32(float *restrict d, const float *restrict s, const row_taps *t, int64_t C, int K)
{
    const int64_t P = VL / C, hi = t->half_hi;
    const float *weights = t->packed;
    int64_t o = t->half_lo;
    vf w[HALF_TAPS_MAX];
    for (int k = 0; k < K; k++) w[k] = SPLAT(weights[k]);
#if VL == 16
    if (C == 1) {               /* each sample is loaded and parted once; further taps are lanes further on */
        const float *x = s + 2 * o + t->half_src, *const end = s + t->n;
        vf even, odd, next_even, next_odd;
        const vi evens = V_INDEX(even_lanes[1]), odds = I_OP(add_epi32)(evens, SPLAT_I(1));
        part_f32(1, x, &even, &odd);
        for (; o + VL <= hi; o += VL) {
            vf a, b, sum = V_FMA(w[0], even, V_MUL(w[1], odd));
            _mm_prefetch((const char *)(x + HALF_AHEAD), _MM_HINT_T0);
            _mm_prefetch((const char *)(x + HALF_AHEAD + VL), _MM_HINT_T0);
            x += 2 * VL;
            if (x + 2 * VL <= end) a = V_LOAD(x), b = V_LOAD(x + VL);
            else a = V_LOAD_FIRST(x, end - x), b = V_LOAD_FIRST(x + VL, end - x - VL);
            next_even = V_PERMUTE2(evens, a, b);
            next_odd = V_PERMUTE2(odds, a, b);
#define FURTHER(now, next, i) AS_F(_mm512_alignr_epi32(AS_I(next), AS_I(now), i))
#define TWO_TAPS(i) \
    if (K > 2 * (i)) sum = V_FMA(w[2 * (i) + 1], FURTHER(odd, next_odd, i), V_FMA(w[2 * (i)], FURTHER(even, next_even, i), sum));
            TWO_TAPS(1) TWO_TAPS(2) TWO_TAPS(3) TWO_TAPS(4) TWO_TAPS(5)
#undef TWO_TAPS
#undef FURTHER
            V_STORE(d + o, sum);
            even = next_even;
            odd = next_odd;
        }
        if (o < hi) half_block(d, s, t, w, C, K, hi - P);
        return;
    }
#endif
    for (;; o = i64min(o + P, hi - P)) {                            /* the last block overlaps the one before */
        const float *ahead = s + (2 * o + t->half_src) * C + HALF_AHEAD;
        _mm_prefetch((const char *)ahead, _MM_HINT_T0);
        _mm_prefetch((const char *)(ahead + VL), _MM_HINT_T0);
        half_block(d, s, t, w, C, K, o);
        if (o == hi - P) break;
    }
}

/* The outputs at both ends, in the first and the last lanes of one vector. */
INLINE void half_ends(float *restrict d, const float *restrict s, const row_taps *t)
{
    const int64_t C = t->inner;
    const int32_t *index = t->ends + VL;
    const int K = t->ends_taps;
    const float *w = (const float *)(index + K * VL);
    const vi counts = V_LANES(t->ends);
    const vf lo = V_LOAD(s), hi = V_LOAD(s + t->n * C - VL), first = V_PERMUTE2(V_LANES(index), lo, hi);
    vf a = V_MUL(first, V_LOAD(w));
    for (int k = 1; k < K; k++) {
        const vf x = V_PERMUTE2(V_LANES(index + k * VL), lo, hi), v = V_LOAD(w + k * VL);
        a = V_SELECT(V_MORE(counts, k), k == 1 ? V_FMA(first, V_LOAD(w), V_MUL(x, v)) : V_FMA(x, v, a), a);
    }
    V_STORE_FIRST(d, a, t->half_lo * C);
    V_STORE_LAST(d + t->m * C - VL, a, (t->m - t->half_hi) * C);
}

#define DEFINE_HALF(name, edge, K)                                                                          \
    static void name(void *d, const void *s, const row_taps *t)                                             \
    {                                                                                                       \
        if (t->ends) half_ends(d, s, t);                                                                    \
        else {                                                                                              \
            edge(d, s, t, 0, t->half_lo);                                                                   \
            edge(d, s, t, t->half_hi, t->m);                                                                \
        }                                                                                                   \
        if (t->inner == 1) half_f32(d, s, t, 1, K);                                                         \
        else half_f32(d, s, t, t->inner, K);                                                                \
    }
DEFINE_HALF(half_fixed_2, h_fixed_range_f32, 2)
DEFINE_HALF(half_fixed_4, h_fixed_range_f32, 4)
DEFINE_HALF(half_wide_4, h_wide_range_f32, 4)
DEFINE_HALF(half_wide_8, h_wide_range_f32, 8)
DEFINE_HALF(half_wide_12, h_wide_range_f32, 12)

/* Whether output o has exactly the K weights w, from input `first` on. */
static int has_taps(const row_taps *t, int form, int64_t o, int64_t first, int K, const float *w)
{
    if (form == FORM_WIDE && t->count[o] != K) return 0;
    for (int32_t k = 0; k < K; k++)
        if (tap_at(t, form, o, k) != first + k || (float)tap_weight(t, ACC_F32, form, o, k) != w[k]) return 0;
    return 1;
}

/* The table of the outputs at both ends, where they fit a vector and their samples the first and the last one. */
static void pack_ends(row_taps *t, int form, int32_t *table)
{
    const int64_t C = t->inner, lanes = t->half_lo * C, rest = (t->m - t->half_hi) * C, last = t->n * C - VL;
    int32_t *index = table + VL, K = 1;
    float *w;
    if (lanes + rest > VL || last < 0) return;
    for (int64_t v = 0; v < VL; v++) {
        int64_t o = (v < lanes ? v : v < VL - rest ? 0 : t->m * C - VL + v) / C;
        table[v] = form == FORM_WIDE ? t->count[o] : t->taps_max;
        if (table[v] < 1) return;
        K = table[v] > K ? table[v] : K;
    }
    w = (float *)(index + K * VL);
    for (int32_t k = 0; k < K; k++)
        for (int64_t v = 0; v < VL; v++) {
            int64_t j = v < lanes ? v : v < VL - rest ? 0 : t->m * C - VL + v, o = j / C;
            int64_t at = tap_at(t, form, o, k) * C + j % C, from = v >= VL - rest ? last : 0;
            if (at < from || at >= from + VL) return;
            index[k * VL + v] = (int32_t)(at - from + (from ? VL : 0));
            w[k * VL + v] = (float)tap_weight(t, ACC_F32, form, o, k);
        }
    t->ends = table;
    t->ends_taps = K;
}

static void pack_half(row_taps *t, int form, char *memory)
{
    const int64_t m = t->m, C = t->inner, middle = m / 2;
    const int K = form == FORM_WIDE ? t->count[middle] : t->taps_max;
    float *w = (float *)memory;
    if (C > HALF_CHANNELS || (form == FORM_WIDE ? K != 4 && K != 8 && K != 12 : form != FORM_FIXED)) return;
    const int64_t P = VL / C, src = tap_at(t, form, middle, 0) - 2 * middle;
    for (int k = 0; k < K; k++) w[k] = (float)tap_weight(t, ACC_F32, form, middle, k);
    int64_t lo = middle, hi = middle;
    while (lo > 0 && has_taps(t, form, lo - 1, 2 * (lo - 1) + src, K, w)) lo--;
    while (hi < m && has_taps(t, form, hi, 2 * hi + src, K, w)) hi++;
    /* a block whose pixels do not fill two vectors loads a little of the next ones */
    while (hi - lo >= P && (2 * (hi - P) + src + K - 2) * C + 2 * VL > t->n * C) hi--;
    if (hi - lo < P || 2 * (hi - lo) < m) return;
    t->half_lo = lo;
    t->half_hi = hi;
    t->half_src = src;
    t->packed = w;
    pack_ends(t, form, (int32_t *)(memory + 64));
    if (form == FORM_FIXED) t->window = K == 2 ? half_fixed_2 : half_fixed_4;
    else t->window = K == 4 ? half_wide_4 : K == 8 ? half_wide_8 : half_wide_12;
}

/* ---- two by two pixels ------------------------------------------------------- */

INLINE vf mean_f32(int64_t C, const float *top, const float *bottom, int box)
{
    const vf half = SPLAT(0.5f);
    vf a, b, c, e;
    part_f32(C, top, &a, &b);
    part_f32(C, bottom, &c, &e);
    if (box) return V_MUL(half, V_ADD(V_MUL(half, V_ADD(a, b)), V_MUL(half, V_ADD(c, e))));
    return V_FMA(half, V_FMA(half, a, V_MUL(half, b)), V_MUL(half, V_FMA(half, c, V_MUL(half, e))));
}

/* A quarter of a sum of four, ties to even: what float32 rounds it to. */
INLINE BV quarter_even(BV sum)
{
    const BV one = BV_OP(set1_epi16)(1), odd = BV_AND(BV_OP(srli_epi16)(sum, 2), one);
    return BV_OP(srli_epi16)(BV_OP(add_epi16)(BV_OP(add_epi16)(sum, one), odd), 2);
}

INLINE BV mean_u8(int64_t C, const uint8_t *top, const uint8_t *bottom, int box)
{
    const BV ones = BV_OP(set1_epi8)(1);
    BV a, b, c, e;
    part_bytes(C, top, &a, &b);
    part_bytes(C, bottom, &c, &e);
    if (!box) return BV_OP(avg_epu8)(BV_OP(avg_epu8)(a, b), BV_OP(avg_epu8)(c, e));
    BV lo = BV_OP(add_epi16)(BV_OP(maddubs_epi16)(BV_OP(unpacklo_epi8)(a, b), ones),
                             BV_OP(maddubs_epi16)(BV_OP(unpacklo_epi8)(c, e), ones));
    BV hi = BV_OP(add_epi16)(BV_OP(maddubs_epi16)(BV_OP(unpackhi_epi8)(a, b), ones),
                             BV_OP(maddubs_epi16)(BV_OP(unpackhi_epi8)(c, e), ones));
    return BV_OP(packus_epi16)(quarter_even(lo), quarter_even(hi));
}

/* Blocks of whole pixels; where those do not fill a vector, the last one goes through memory of its own. */
#define DEFINE_HALVE(T, N, STORE)                                                                           \
    INLINE void halve_any_##T(T *d, const T *top, const T *bottom, int64_t m, int64_t C, int box)           \
    {                                                                                                       \
        const int64_t P = N / C, size = (int64_t)sizeof(T);                                                 \
        int64_t o = 0;                                                                                      \
        for (; o + P < m; o += P) STORE(d + o * C, mean_##T(C, top + 2 * o * C, bottom + 2 * o * C, box));  \
        o = m - P;                                                                                          \
        if (N % C == 0) { STORE(d + o * C, mean_##T(C, top + 2 * o * C, bottom + 2 * o * C, box)); return; } \
        T last[5][N] = { { 0 } };                                                                           \
        memcpy(last[0], top + 2 * o * C, (size_t)(2 * P * C * size));                                       \
        memcpy(last[2], bottom + 2 * o * C, (size_t)(2 * P * C * size));                                    \
        STORE(last[4], mean_##T(C, last[0], last[2], box));                                                 \
        memcpy(d + o * C, last[4], (size_t)(P * C * size));                                                 \
    }                                                                                                       \
    static int halve_##T(void *d, const void *top, const void *bottom, const row_taps *t, int box)          \
    {                                                                                                       \
        const int64_t C = t->inner;                                                                         \
        if (C > HALF_CHANNELS || t->m * C < N) return 0;                                                    \
        if (C == 1) halve_any_##T(d, top, bottom, t->m, 1, box);                                            \
        else if (C == 3) halve_any_##T(d, top, bottom, t->m, 3, box);                                       \
        else halve_any_##T(d, top, bottom, t->m, C, box);                                                   \
        return 1;                                                                                           \
    }
DEFINE_HALVE(f32, VL, V_STORE)
DEFINE_HALVE(u8, BVL, BV_STORE)
