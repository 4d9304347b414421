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

#define SAMPLE_BYTES(dtype) ((dtype) == DTYPE_F32 ? 4 : (dtype) == DTYPE_F64 ? 8 : 2)

INLINE vf samples_in_f32(int dtype, const char *p)
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

INLINE void samples_out_f32(int dtype, char *p, vf x, int stream)
{
    if (dtype == DTYPE_F32 && stream && ((uintptr_t)p & (4 * VL - 1)) == 0) V_STREAM((float *)p, x);
    else if (dtype == DTYPE_F32) V_STORE((float *)p, x);
    else W_STORE(p, words_of(dtype, x));
}

/* 2 VL samples from an address that the widest store of the level likes */
INLINE void samples_stream_f32(int dtype, char *p, vf lo, vf hi)
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

/* ---- the sweep, in float32 and, where lanes of 64 bits can be picked at will, in float64 ---- */

#define ROWS_TYPE 32
#include "rows_type.h"
#include "rows_pair_sums.h"

#if VL == 16
#define ROWS_TYPE 64
#include "rows_type.h"
INLINE __m512d samples_in_f64(int dtype, const char *p) { (void)dtype; return X_LOAD((const double *)p); }
INLINE void samples_out_f64(int dtype, char *p, __m512d x, int stream)
{
    (void)dtype;
    if (stream && ((uintptr_t)p & 63) == 0) X_STREAM((double *)p, x);
    else X_STORE((double *)p, x);
}
INLINE void samples_stream_f64(int dtype, char *p, __m512d lo, __m512d hi)
{
    (void)dtype;
    X_STREAM((double *)p, lo);
    X_STREAM((double *)p + XL, hi);
}
#include "rows_pair_sums.h"
#endif

#define DEFINE_PAIR(acc, T, dtype, K)                                                                       \
    static void pair_##T##_##K(void *d0, void *d1, void *fresh, const void *const *rows, const void *src, const row_taps *t, \
                               const void *w0, const void *w1, void *spare, int lines)                      \
    {                                                                                                       \
        pair_##acc(d0, d1, fresh, rows, src, t, w0, w1, spare, lines, dtype, K);                            \
    }
#define DEFINE_PAIRS(acc, T, dtype) DEFINE_PAIR(acc, T, dtype, 2) DEFINE_PAIR(acc, T, dtype, 4)
DEFINE_PAIRS(f32, f32, DTYPE_F32)
DEFINE_PAIRS(f32, f16, DTYPE_F16)
DEFINE_PAIRS(f32, bf16, DTYPE_BF16)
DEFINE_PAIRS(f32, u16, DTYPE_U16)
#if VL == 16
DEFINE_PAIRS(f64, f64, DTYPE_F64)
#endif

#define DEFINE_H_PAIR(T)                                                                                    \
    static void h_pair_##T(void *d, const void *s, const row_taps *t)                                       \
    {                                                                                                       \
        if (t->pair != PAIR_DOUBLED) h_doubled_##T(d, s, t);                                                          \
        else if (t->taps_max == 2) pair_##T##_2(d, 0, 0, 0, s, t, 0, 0, 0, 0);                              \
        else pair_##T##_4(d, 0, 0, 0, s, t, 0, 0, 0, 0);                                                    \
    }
DEFINE_H_PAIR(f32)
#if VL == 16
DEFINE_H_PAIR(f64)
#else
#define h_pair_f64 h_doubled_f64
#endif

/* ---- uint8, in bytes -------------------------------------------------------
 *
 * The quarters of the linear weights and the 256ths of the cubic ones (A = -0.75) are exact in every
 * shift that the plan may choose, so its rounding, floor(sum + 1/2), can be had in bytes:
 *     (a + 3b + 2) >> 2            = avg(avg(a, b) - ((a ^ b) & 1), b)   with avg(a, b) = (a + b + 1) >> 1
 *     (-27a + 225b + 67c - 9d + 128) >> 8 = b + ((-27a - 31b + 67c - 9d + 128) >> 8)
 * and the bracket stays within 16 bits.
 */

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
        for (int k = 0; k < K; k++) same &= 256 * (int64_t)w[k * step] == (int64_t)pair_weights[K == 4][phase][k] * ((int64_t)1 << shift);
        if (same) return phase;
    }
    return -1;
}

INLINE BV pair_bytes(int K, int phase, BV a, BV b, BV c, BV d)
{
    if (K == 2) return phase ? quarter_sum(a, b) : quarter_sum(b, a);
    return phase ? cubic_sum(d, c, b, a) : cubic_sum(a, b, c, d);
}

INLINE void pair_u8_block(uint8_t *fresh, const uint8_t *x, int64_t j, int64_t C, int K, BV zip_lo, BV zip_hi)
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
    BV_STORE(fresh + 2 * j * C, bv_pick(zip_lo, even, odd));
    BV_STORE(fresh + 2 * j * C + BVL / C * C, bv_pick(zip_hi, even, odd));
}

/* Both output rows of bytes [at, at + BVL) from K rows that are there. */
INLINE void pair_u8_sums(uint8_t *const *out, const uint8_t *fresh, const void *const *rows, int64_t at, int K, int stream)
{
    BV r[4];
    for (int k = 0; k < K - 1; k++) r[k] = BV_LOAD((const uint8_t *)rows[k] + at);
    r[K - 1] = BV_LOAD(fresh + at);
    for (int i = 0; i < 2; i++) {
        const BV a = pair_bytes(K, i, r[0], r[1], r[2], r[3]);
        if (stream) BV_STREAM(out[i] + at, a);
        else BV_STORE(out[i] + at, a);
    }
}

/* The row first, then both sums: blocks of the row begin with pixels, but what is stored to memory should be whole lines. */
INLINE void pair_u8(void *d0, void *d1, void *fresh_, const void *const *rows, const void *src, const row_taps *t,
                    uint8_t *spare, int lines, int K)
{
    const int64_t C = t->inner, P = BVL / C, lo = t->doubled_lo, hi = t->doubled_hi - (BVL % C != 0), m = t->m, bytes = m * C;
    const int perfect = spare && lines;
    uint8_t *const out[2] = { spare && !perfect ? spare : d0, spare && !perfect ? spare + second_row(bytes) : d1 };
    uint8_t *restrict fresh = d1 ? fresh_ : spare ? spare : d0;
    const uint8_t *x = (const uint8_t *)src + t->doubled_src * C;
    const BV zip_lo = BV_LOAD(t->zip), zip_hi = BV_LOAD(t->zip + BVL);
    h_bytes_range_u8(fresh, src, t, 0, 2 * lo);
    for (int64_t j = lo;; j = i64min(j + P, hi - P)) {     /* the last block overlaps the one before */
        pair_u8_block(fresh, x, j, C, K, zip_lo, zip_hi);
        if (j == hi - P) break;
    }
    h_bytes_range_u8(fresh, src, t, 2 * hi, m);
    if (!d1) {
        if (spare) stream_row(d0, fresh, bytes);
        return;
    }
    if (perfect) for (int64_t at = 0; at < bytes; at += BVL) pair_u8_sums(out, fresh, rows, at, K, 1);
    else for (int64_t at = 0; at < bytes; at += BVL) pair_u8_sums(out, fresh, rows, i64min(at, bytes - BVL), K, 0);
    if (spare && !perfect) stream_rows(d0, d1, (const char *)spare, bytes);
}

#define DEFINE_PAIR_U8(name, K)                                                                             \
    static void name(void *d0, void *d1, void *fresh, const void *const *rows, const void *src, const row_taps *t, \
                     const void *w0, const void *w1, void *spare, int lines)                                \
    {                                                                                                       \
        (void)w0; (void)w1;                                                                                 \
        pair_u8(d0, d1, fresh, rows, src, t, spare, lines, K);                                              \
    }
DEFINE_PAIR_U8(pair_u8_2, 2)
DEFINE_PAIR_U8(pair_u8_4, 4)

DEFINE_H_PAIR(u8)

static void pack_pair_u8(row_taps *t, char *memory)
{
    const int64_t C = t->inner, P = BVL / C, lo = t->doubled_lo, hi = t->doubled_hi - (BVL % C != 0);
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
    t->pair = PAIR_DOUBLED;
}
