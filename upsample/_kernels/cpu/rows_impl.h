/* The row primitives, defined once in plain C and compiled per SIMD level.
 *
 * Include with ROWS_LEVEL (the level's name) and ROWS_TABLE (the table's symbol)
 * defined.  Loops are written for the compiler's vectoriser: contiguous, restrict,
 * taps a constant.  Built without contraction: a fused multiply-add stands where
 * FMA stands, in the order of the one sum
 *     a = w1*x1;  a = fma(w0, x0, a);  a = fma(wk, xk, a)  for k = 2, 3, ...
 * so levels with FMA agree to the bit; a level without multiplies and adds.
 */
#include <string.h>

#include "rows.h"

/* What the vector primitives are written with; a level that has only some of it is plain C. */
#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define ROWS_VECTORS
#endif
#if defined(__AVX2__)
#include <immintrin.h>
#endif
#ifdef ROWS_FMA
#define FMA_f32(a, b, c) __builtin_fmaf(a, b, c)
#define FMA_f64(a, b, c) __builtin_fma(a, b, c)
#else
#define FMA_f32(a, b, c) ((a) * (b) + (c))
#define FMA_f64(a, b, c) ((a) * (b) + (c))
#endif
#define INLINE static inline __attribute__((always_inline))
#define SPAN 256                /* samples kept in registers or L1 between two loops */

typedef float f32;
typedef double f64;
typedef uint8_t u8;
typedef int8_t i8;
typedef uint16_t u16;

/* ---- conversions ------------------------------------------------------- */

INLINE uint32_t bits_of(float x) { uint32_t u; memcpy(&u, &x, 4); return u; }
INLINE float float_of(uint32_t u) { float x; memcpy(&x, &u, 4); return x; }

INLINE float half_to_f32(uint16_t h)
{
    /* exponent and mantissa moved up, then scaled: right for subnormals too */
    uint32_t em = (uint32_t)(h & 0x7fff) << 13;
    float x = float_of(em) * 0x1p112f;
    uint32_t u = em >= 0x0f800000 ? em | 0x7f800000 : bits_of(x);
    return float_of(u | (uint32_t)(h & 0x8000) << 16);
}

INLINE uint16_t f32_to_half(float x)
{
    uint32_t u = bits_of(x), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    /* adding 2^(e+13) leaves the rounded half mantissa in the low bits of the sum */
    float magnitude = float_of(a), base = float_of((a >= 0x38800000 ? a & 0x7f800000 : 0x38800000) + (13u << 23));
    uint32_t sum = bits_of(base + magnitude), b = bits_of(base);
    uint32_t exponent = a >= 0x38800000 ? (a >> 23) - 112 : 0;
    uint32_t normal = (exponent << 10) + (sum - b - (a >= 0x38800000 ? 0x400 : 0));
    uint32_t inf = a > 0x7f800000 ? 0x7e00 : 0x7c00;
    return (uint16_t)(sign | (a >= 0x477ff000 ? inf : normal));
}

INLINE float bf16_to_f32(uint16_t h) { return float_of((uint32_t)h << 16); }
INLINE uint16_t f32_to_bf16(float x)
{
    uint32_t u = bits_of(x), r = (u + 0x7fff + (u >> 16 & 1)) >> 16;
    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? (u >> 16 | 0x40) : r);
}

/* float64 to float32 rounding to odd: a later rounding to a narrower type is then the only one. */
INLINE float f64_to_odd(double x)
{
    float f = (float)x;
    double back = (double)f;
    uint32_t u = bits_of(f);
    if (back != x && (u & 0x7fffffff) < 0x7f800000 && !(u & 1)) {
        int away = (x > 0) == (back > x);         /* |f| > |x|: step towards zero, else away from it */
        u = away ? u - 1 : u + 1;
        return float_of(u);
    }
    if (back != x && x == x && (u & 0x7fffffff) == 0x7f800000 && x - x == 0) return float_of(u - 1);
    return f;
}

#define DEFINE_LOAD(dtype, T, acc, expr)                                                                    \
    static void load_##dtype##_##acc(void *restrict d_, const void *restrict s_, int64_t n)                 \
    {                                                                                                       \
        acc *restrict d = d_;                                                                               \
        const T *restrict s = s_;                                                                           \
        for (int64_t i = 0; i < n; i++) d[i] = (acc)(expr);                                                 \
    }
#define DEFINE_STORE(dtype, T, acc, expr)                                                                   \
    static void store_##dtype##_##acc(void *restrict d_, const void *restrict s_, int64_t n)                \
    {                                                                                                       \
        T *restrict d = d_;                                                                                 \
        const acc *restrict s = s_;                                                                         \
        for (int64_t i = 0; i < n; i++) { acc x = s[i]; d[i] = expr; }                                      \
    }
#define ROUND_f32(x) __builtin_rintf(x)
#define ROUND_f64(x) __builtin_rint(x)
#define CLAMP(x, lo, hi) ((x) < (lo) ? (lo) : (x) > (hi) ? (hi) : (x))
#define DEFINE_INTEGER(dtype, T, lo, hi)                                                                    \
    DEFINE_LOAD(dtype, T, f32, s[i])                                                                        \
    DEFINE_LOAD(dtype, T, f64, s[i])                                                                        \
    DEFINE_STORE(dtype, T, f32, (T)(int32_t)ROUND_f32(CLAMP(x, (float)lo, (float)hi)))                      \
    DEFINE_STORE(dtype, T, f64, (T)(int32_t)ROUND_f64(CLAMP(x, (double)lo, (double)hi)))

DEFINE_INTEGER(u8, uint8_t, 0, 255)
DEFINE_INTEGER(i8, int8_t, -128, 127)
DEFINE_INTEGER(u16, uint16_t, 0, 65535)
DEFINE_INTEGER(i16, int16_t, -32768, 32767)
DEFINE_LOAD(f32, float, f32, s[i])
DEFINE_LOAD(f32, float, f64, s[i])
DEFINE_LOAD(f64, double, f64, s[i])
DEFINE_LOAD(bf16, uint16_t, f32, bf16_to_f32(s[i]))
DEFINE_LOAD(bf16, uint16_t, f64, bf16_to_f32(s[i]))
DEFINE_LOAD(f16, uint16_t, f64, half_to_f32(s[i]))
DEFINE_STORE(f32, float, f32, x)
DEFINE_STORE(f32, float, f64, (float)x)
DEFINE_STORE(f64, double, f64, x)
DEFINE_STORE(bf16, uint16_t, f32, f32_to_bf16(x))
DEFINE_STORE(bf16, uint16_t, f64, f32_to_bf16(f64_to_odd(x)))
DEFINE_STORE(f16, uint16_t, f64, f32_to_half(f64_to_odd(x)))

#if defined(ROWS_VECTORS)
static void load_f16_f32(void *restrict d_, const void *restrict s_, int64_t n)
{
    float *restrict d = d_;
    const uint16_t *restrict s = s_;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(d + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(s + i))));
    for (; i < n; i++) d[i] = _cvtsh_ss(s[i]);
}
static void store_f16_f32(void *restrict d_, const void *restrict s_, int64_t n)
{
    uint16_t *restrict d = d_;
    const float *restrict s = s_;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) _mm_storeu_si128((__m128i *)(d + i), _mm256_cvtps_ph(_mm256_loadu_ps(s + i), 0));
    for (; i < n; i++) d[i] = (uint16_t)_cvtss_sh(s[i], 0);
}
#else
DEFINE_LOAD(f16, uint16_t, f32, half_to_f32(s[i]))
DEFINE_STORE(f16, uint16_t, f32, f32_to_half(x))
#endif

/* ---- W pass, float ----------------------------------------------------- */

#define ONE_SUM2(T, X0, W0, X1, W1) FMA_##T(W0, X0, (W1) * (X1))
#define ONE_SUM4(T, X0, W0, X1, W1, X2, W2, X3, W3) FMA_##T(W3, X3, FMA_##T(W2, X2, ONE_SUM2(T, X0, W0, X1, W1)))

/* `inner` is a literal in most calls, so that the channel loop unrolls. */
#define DEFINE_H_FLOAT(T)                                                                                   \
    INLINE void h_fixed2_##T(T *restrict d, const T *restrict s, const row_taps *t, int64_t m0, int64_t m1, \
                             int64_t inner)                                                                 \
    {                                                                                                       \
        const int32_t *restrict a = t->index, *restrict b = a + t->m;                                       \
        const T *restrict u = t->weights, *restrict v = u + t->m;                                           \
        for (int64_t o = m0; o < m1; o++) {                                                                 \
            const T *restrict p = s + a[o] * inner, *restrict q = s + b[o] * inner;                         \
            for (int64_t c = 0; c < inner; c++) d[o * inner + c] = ONE_SUM2(T, p[c], u[o], q[c], v[o]);     \
        }                                                                                                   \
    }                                                                                                       \
    INLINE void h_fixed4_##T(T *restrict d, const T *restrict s, const row_taps *t, int64_t m0, int64_t m1, \
                             int64_t inner)                                                                 \
    {                                                                                                       \
        const int32_t *restrict i0 = t->index, *restrict i1 = i0 + t->m, *restrict i2 = i1 + t->m,          \
                      *restrict i3 = i2 + t->m;                                                             \
        const T *restrict w0 = t->weights, *restrict w1 = w0 + t->m, *restrict w2 = w1 + t->m,              \
                *restrict w3 = w2 + t->m;                                                                   \
        for (int64_t o = m0; o < m1; o++) {                                                                 \
            const T *restrict p0 = s + i0[o] * inner, *restrict p1 = s + i1[o] * inner,                     \
                    *restrict p2 = s + i2[o] * inner, *restrict p3 = s + i3[o] * inner;                     \
            for (int64_t c = 0; c < inner; c++)                                                             \
                d[o * inner + c] =                                                                          \
                    ONE_SUM4(T, p0[c], w0[o], p1[c], w1[o], p2[c], w2[o], p3[c], w3[o]);                    \
        }                                                                                                   \
    }                                                                                                       \
    INLINE void h_fixed_range_##T(T *restrict d, const T *restrict s, const row_taps *t, int64_t m0,        \
                                  int64_t m1)                                                               \
    {                                                                                                       \
        int64_t inner = t->inner;                                                                           \
        if (t->taps_max == 2) {                                                                             \
            if (inner == 1) h_fixed2_##T(d, s, t, m0, m1, 1);                                               \
            else if (inner == 3) h_fixed2_##T(d, s, t, m0, m1, 3);                                          \
            else if (inner == 4) h_fixed2_##T(d, s, t, m0, m1, 4);                                          \
            else h_fixed2_##T(d, s, t, m0, m1, inner);                                                      \
        } else {                                                                                            \
            if (inner == 1) h_fixed4_##T(d, s, t, m0, m1, 1);                                               \
            else if (inner == 3) h_fixed4_##T(d, s, t, m0, m1, 3);                                          \
            else if (inner == 4) h_fixed4_##T(d, s, t, m0, m1, 4);                                          \
            else h_fixed4_##T(d, s, t, m0, m1, inner);                                                      \
        }                                                                                                   \
    }                                                                                                       \
    static void h_fixed_##T(void *d, const void *s, const row_taps *t) { h_fixed_range_##T(d, s, t, 0, t->m); } \
    /* a few outputs: for few numbers of channels, as every copy takes a second to compile */                \
    static __attribute__((noinline)) void h_edge_##T(T *d, const T *s, const row_taps *t, int64_t m0, int64_t m1)\
    {                                                                                                       \
        if (t->taps_max == 2 && t->inner == 1) h_fixed2_##T(d, s, t, m0, m1, 1);                            \
        else if (t->taps_max == 2) h_fixed2_##T(d, s, t, m0, m1, t->inner);                                 \
        else if (t->inner == 1) h_fixed4_##T(d, s, t, m0, m1, 1);                                           \
        else h_fixed4_##T(d, s, t, m0, m1, t->inner);                                                       \
    }                                                                                                       \
    INLINE T wide_sum_##T(const T *restrict x, const T *restrict w, int32_t count, int64_t inner)           \
    {                                                                                                       \
        if (count == 0) return 0;                                                                           \
        if (count == 1) return w[0] * x[0];                                                                 \
        T a = FMA_##T(w[0], x[0], w[1] * x[inner]);                                                         \
        for (int32_t k = 2; k < count; k++) a = FMA_##T(w[k], x[k * inner], a);                             \
        return a;                                                                                           \
    }                                                                                                       \
    INLINE void h_wide_range_##T(T *restrict d, const T *restrict s, const row_taps *t, int64_t m0, int64_t m1) \
    {                                                                                                       \
        const T *restrict w = t->weights;                                                                   \
        int64_t inner = t->inner, K = t->taps_max;                                                          \
        for (int64_t o = m0; o < m1; o++) {                                                                 \
            const T *restrict x = s + t->first[o] * inner;                                                  \
            if (inner == 1) d[o] = wide_sum_##T(x, w + o * K, t->count[o], 1);                              \
            else if (inner < 8)                                                                             \
                for (int64_t c = 0; c < inner; c++)                                                         \
                    d[o * inner + c] = wide_sum_##T(x + c, w + o * K, t->count[o], inner);                  \
            else                                                                                            \
                for (int64_t c = 0; c < inner; c += SPAN)                                                   \
                    wide_channels_##T(d + o * inner + c, x + c, w + o * K, t->count[o], inner,              \
                                      i64min(SPAN, inner - c));                                             \
        }                                                                                                   \
    }                                                                                                       \
    static void h_wide_##T(void *d, const void *s, const row_taps *t) { h_wide_range_##T(d, s, t, 0, t->m); } \
    static void h_box_##T(void *restrict d_, const void *restrict s_, const row_taps *t)                    \
    {                                                                                                       \
        T *restrict d = d_;                                                                                 \
        const T *restrict s = s_;                                                                           \
        int64_t inner = t->inner;                                                                           \
        for (int64_t o = 0; o < t->m; o++) {                                                                \
            const T *restrict x = s + t->first[o] * inner;                                                  \
            int32_t count = t->count[o];                                                                    \
            if (inner < 8) {                                                                                \
                for (int64_t c = 0; c < inner; c++) {                                                       \
                    T a = x[c];                                                                             \
                    for (int32_t k = 1; k < count; k++) a += x[k * inner + c];                              \
                    d[o * inner + c] = a / (T)count;                                                        \
                }                                                                                           \
                continue;                                                                                   \
            }                                                                                               \
            for (int64_t c = 0; c < inner; c++) d[o * inner + c] = x[c];                                    \
            for (int32_t k = 1; k < count; k++)                                                             \
                for (int64_t c = 0; c < inner; c++) d[o * inner + c] += x[k * inner + c];                   \
            for (int64_t c = 0; c < inner; c++) d[o * inner + c] /= (T)count;                               \
        }                                                                                                   \
    }                                                                                                       \
    /* Interior outputs of whole factor 2: even and odd sums over contiguous input, then interleaved. */    \
    static void h_doubled_##T(void *restrict d_, const void *restrict s_, const row_taps *t)                     \
    {                                                                                                       \
        T *restrict d = d_;                                                                                 \
        const T *restrict s = s_;                                                                           \
        int64_t C = t->inner, lo = t->doubled_lo, hi = t->doubled_hi, m = t->m;                               \
        const T *w = t->weights;                                                                            \
        T even[SPAN], odd[SPAN];                                                                            \
        h_edge_##T(d, s, t, 0, 2 * lo);                                                                     \
        h_edge_##T(d, s, t, 2 * hi, m);                                                                     \
        int64_t step = SPAN / C;                                                                            \
        for (int64_t j = lo; j < hi; j += step) {                                                           \
            int64_t pixels = i64min(step, hi - j), n = pixels * C, e = 2 * lo, f = 2 * lo + 1;              \
            const T *restrict x = s + (j + t->doubled_src) * C;                                                                \
            if (t->taps_max == 2) {                                                                         \
                T a0 = w[e], a1 = w[m + e], b0 = w[f], b1 = w[m + f];                                       \
                for (int64_t i = 0; i < n; i++) {                                                           \
                    even[i] = ONE_SUM2(T, x[i - C], a0, x[i], a1);                                          \
                    odd[i] = ONE_SUM2(T, x[i], b0, x[i + C], b1);                                           \
                }                                                                                           \
            } else {                                                                                        \
                T a0 = w[e], a1 = w[m + e], a2 = w[2 * m + e], a3 = w[3 * m + e];                           \
                T b0 = w[f], b1 = w[m + f], b2 = w[2 * m + f], b3 = w[3 * m + f];                           \
                for (int64_t i = 0; i < n; i++) {                                                           \
                    even[i] = ONE_SUM4(T, x[i - 2 * C], a0, x[i - C], a1, x[i], a2, x[i + C], a3);          \
                    odd[i] = ONE_SUM4(T, x[i - C], b0, x[i], b1, x[i + C], b2, x[i + 2 * C], b3);           \
                }                                                                                           \
            }                                                                                               \
            interleave_##T(d + 2 * j * C, even, odd, pixels, C);                                            \
        }                                                                                                   \
    }

#define DEFINE_INTERLEAVE(T)                                                                                \
    INLINE void interleave_##T(T *restrict d, const T *restrict even, const T *restrict odd, int64_t pixels, \
                               int64_t C)                                                                   \
    {                                                                                                       \
        if (C == 1)                                                                                         \
            for (int64_t i = 0; i < pixels; i++) { d[2 * i] = even[i]; d[2 * i + 1] = odd[i]; }             \
        else if (C == 3)                                                                                    \
            for (int64_t i = 0; i < pixels; i++)                                                            \
                for (int c = 0; c < 3; c++) { d[6 * i + c] = even[3 * i + c]; d[6 * i + 3 + c] = odd[3 * i + c]; } \
        else if (C == 4)                                                                                    \
            for (int64_t i = 0; i < pixels; i++)                                                            \
                for (int c = 0; c < 4; c++) { d[8 * i + c] = even[4 * i + c]; d[8 * i + 4 + c] = odd[4 * i + c]; } \
        else                                                                                                \
            for (int64_t i = 0; i < pixels; i++) {                                                          \
                memcpy(d + 2 * i * C, even + i * C, (size_t)C * sizeof(T));                                 \
                memcpy(d + (2 * i + 1) * C, odd + i * C, (size_t)C * sizeof(T));                            \
            }                                                                                               \
    }
DEFINE_INTERLEAVE(f32)
DEFINE_INTERLEAVE(f64)
DEFINE_INTERLEAVE(u8)
DEFINE_INTERLEAVE(i8)

#define DEFINE_WIDE_CHANNELS(T)                                                                             \
    INLINE void wide_channels_##T(T *restrict d, const T *restrict x, const T *restrict w, int32_t count,   \
                                  int64_t inner, int64_t n)                                                 \
    {                                                                                                       \
        if (count < 2)                                                                                      \
            for (int64_t c = 0; c < n; c++) d[c] = count ? w[0] * x[c] : 0;                                 \
        else                                                                                                \
            for (int64_t c = 0; c < n; c++) d[c] = ONE_SUM2(T, x[c], w[0], x[inner + c], w[1]);             \
        for (int32_t k = 2; k < count; k++)                                                                 \
            for (int64_t c = 0; c < n; c++) d[c] = FMA_##T(w[k], x[k * inner + c], d[c]);                   \
    }
DEFINE_WIDE_CHANNELS(f32)
DEFINE_WIDE_CHANNELS(f64)
DEFINE_H_FLOAT(f32)
DEFINE_H_FLOAT(f64)

/* ---- one output of very many taps, a part at a time ---------------------- */

/* `sum` holds `inner` partial sums; the first part begins them. */
#define DEFINE_LONG_FLOAT(T)                                                                                \
    static void long_##T(void *sum_, const void *x_, const void *w_, int64_t taps, int64_t inner, int first) \
    {                                                                                                       \
        T *sum = sum_;                                                                                      \
        const T *x = x_, *w = w_;                                                                           \
        for (int64_t c = 0; c < inner; c++) {                                                               \
            T a = sum[c];                                                                                   \
            int64_t k = 0;                                                                                  \
            if (first && !w) { a = x[c]; k = 1; }                                                           \
            else if (first && taps == 1) { a = w[0] * x[c]; k = 1; }                                        \
            else if (first) { a = FMA_##T(w[0], x[c], w[1] * x[inner + c]); k = 2; }                        \
            if (w) for (; k < taps; k++) a = FMA_##T(w[k], x[k * inner + c], a);                            \
            else for (; k < taps; k++) a += x[k * inner + c];                                               \
            sum[c] = a;                                                                                     \
        }                                                                                                   \
    }
#define DEFINE_LONG_BYTES(T)                                                                                \
    static void long_##T(void *sum_, const void *x_, const void *w_, int64_t taps, int64_t inner, int first) \
    {                                                                                                       \
        int32_t *sum = sum_;                                                                                \
        const T *x = x_;                                                                                    \
        const int16_t *w = w_;                                                                              \
        for (int64_t c = 0; c < inner; c++) {                                                               \
            int32_t a = first ? 0 : sum[c];                                                                 \
            for (int64_t k = 0; k < taps; k++) a += w[k] * x[k * inner + c];                                \
            sum[c] = a;                                                                                     \
        }                                                                                                   \
    }                                                                                                       \
    static void long_end_##T(void *d_, const void *sum_, int64_t n, int32_t p)                              \
    {                                                                                                       \
        T *d = d_;                                                                                          \
        const int32_t *sum = sum_;                                                                          \
        for (int64_t i = 0; i < n; i++) d[i] = FINISH_##T(sum[i] + (1 << p >> 1), p);                       \
    }
/* clip((2^(p-1) + sum q x) >> p), in 32 bits; the two types differ in their clamp. */
#define FINISH_u8(a, p) ((u8)CLAMP((a) >> (p), 0, 255))
#define FINISH_i8(a, p) ((i8)CLAMP((a) >> (p), -128, 127))
DEFINE_LONG_FLOAT(f32)
DEFINE_LONG_FLOAT(f64)
DEFINE_LONG_BYTES(u8)
DEFINE_LONG_BYTES(i8)

/* ---- H and D passes, float --------------------------------------------- */

#define DEFINE_V_FLOAT(T)                                                                                   \
    static void v_more_##T(void *restrict d_, const void *const *rows, const void *w_, int64_t n, int32_t taps, \
                           int32_t divide)                                                                    \
    {                                                                                                       \
        T *restrict d = d_;                                                                                 \
        const T *w = w_;                                                                                    \
        (void)divide;                                                                                         \
        for (int64_t at = 0; at < n; at += SPAN) {                                                          \
            int64_t len = i64min(SPAN, n - at);                                                             \
            for (int32_t k = 0; k < taps; k++) {                                                            \
                const T *restrict x = (const T *)rows[k] + at;                                              \
                T a = w[k];                                                                                 \
                for (int64_t i = 0; i < len; i++) d[at + i] = FMA_##T(a, x[i], d[at + i]);                  \
            }                                                                                               \
        }                                                                                                   \
    }                                                                                                       \
    static void v_sum_##T(void *restrict d_, const void *const *rows, const void *w_, int64_t n, int32_t taps, \
                          int32_t divide)                                                                     \
    {                                                                                                       \
        T *restrict d = d_;                                                                                 \
        const T *w = w_;                                                                                    \
        const T *restrict x0 = taps > 0 ? rows[0] : 0, *restrict x1 = taps > 1 ? rows[1] : 0;               \
        if (taps == 0) { memset(d, 0, (size_t)n * sizeof(T)); return; }                                     \
        T w0 = w[0];                                                                                        \
        if (taps == 1) { for (int64_t i = 0; i < n; i++) d[i] = w0 * x0[i]; return; }                       \
        T w1 = w[1];                                                                                        \
        if (taps == 2) { for (int64_t i = 0; i < n; i++) d[i] = ONE_SUM2(T, x0[i], w0, x1[i], w1); return; } \
        const T *restrict x2 = rows[2];                                                                     \
        T w2 = w[2];                                                                                        \
        if (taps == 3) {                                                                                    \
            for (int64_t i = 0; i < n; i++) d[i] = FMA_##T(w2, x2[i], ONE_SUM2(T, x0[i], w0, x1[i], w1));   \
            return;                                                                                         \
        }                                                                                                   \
        const T *restrict x3 = rows[3];                                                                     \
        T w3 = w[3];                                                                                        \
        if (taps == 4) {                                                                                    \
            for (int64_t i = 0; i < n; i++)                                                                 \
                d[i] = ONE_SUM4(T, x0[i], w0, x1[i], w1, x2[i], w2, x3[i], w3);                             \
            return;                                                                                         \
        }                                                                                                   \
        for (int64_t at = 0; at < n; at += SPAN) {                                                          \
            int64_t len = i64min(SPAN, n - at);                                                             \
            const void *rest[ROW_GROUP];                                                                    \
            for (int64_t i = at; i < at + len; i++)                                                         \
                d[i] = ONE_SUM4(T, x0[i], w0, x1[i], w1, x2[i], w2, x3[i], w3);                             \
            for (int32_t k = 4; k < taps; k++) rest[k - 4] = (const T *)rows[k] + at;                       \
            v_more_##T(d + at, rest, w + 4, len, taps - 4, divide);                                           \
        }                                                                                                   \
    }                                                                                                       \
    static void v_end_##T(void *restrict d, const void *restrict acc, int64_t n, int32_t divide)              \
    {                                                                                                       \
        (void)divide;                                                                                         \
        if (d != acc) memcpy(d, acc, (size_t)n * sizeof(T));                                                \
    }                                                                                                       \
    static void v_box_more_##T(void *restrict d_, const void *const *rows, const void *w, int64_t n, int32_t taps, \
                               int32_t divide)                                                                \
    {                                                                                                       \
        T *restrict d = d_;                                                                                 \
        (void)w; (void)divide;                                                                                \
        for (int64_t at = 0; at < n; at += SPAN) {                                                          \
            int64_t len = i64min(SPAN, n - at);                                                             \
            for (int32_t k = 0; k < taps; k++) {                                                            \
                const T *restrict x = (const T *)rows[k] + at;                                              \
                for (int64_t i = 0; i < len; i++) d[at + i] += x[i];                                        \
            }                                                                                               \
        }                                                                                                   \
    }                                                                                                       \
    static void v_box_begin_##T(void *restrict d, const void *const *rows, const void *w, int64_t n, int32_t taps, \
                                int32_t divide)                                                               \
    {                                                                                                       \
        memcpy(d, rows[0], (size_t)n * sizeof(T));                                                          \
        v_box_more_##T(d, rows + 1, w, n, taps - 1, divide);                                                  \
    }                                                                                                       \
    static void v_box_end_##T(void *d_, const void *acc_, int64_t n, int32_t divide)                          \
    {                                                                                                       \
        T *d = d_, by = (T)divide;                                                                            \
        const T *acc = acc_;                                                                                \
        for (int64_t i = 0; i < n; i++) d[i] = acc[i] / by;                                                 \
    }                                                                                                       \
    static void v_box_##T(void *restrict d_, const void *const *rows, const void *w, int64_t n, int32_t taps, \
                          int32_t divide)                                                                     \
    {                                                                                                       \
        T *restrict d = d_, by = (T)divide;                                                                   \
        if (taps == 2) {                                                                                    \
            const T *restrict x0 = rows[0], *restrict x1 = rows[1];                                         \
            for (int64_t i = 0; i < n; i++) d[i] = (x0[i] + x1[i]) / by;                                    \
            return;                                                                                         \
        }                                                                                                   \
        v_box_begin_##T(d, rows, w, n, taps, divide);                                                         \
        v_box_end_##T(d, d, n, divide);                                                                       \
    }
DEFINE_V_FLOAT(f32)
DEFINE_V_FLOAT(f64)

#define DEFINE_SQUARE(T)                                                                                    \
    static void v_square_##T(void *restrict d0_, void *restrict d1_, const void *const *rows, const void *h0_, const void *h1_, \
                             const void *wd_, int64_t n, void *spare, int lines)                            \
    {                                                                                                       \
        T *restrict d0 = d0_, *restrict d1 = d1_;                                                           \
        const T *restrict a = rows[0], *restrict b = rows[1], *restrict c = rows[2], *restrict e = rows[3]; \
        const T *h0 = h0_, *h1 = h1_, *wd = wd_;                                                            \
        T p0 = h0[0], p1 = h0[1], q0 = h1[0], q1 = h1[1], w0 = wd[0], w1 = wd[1];                           \
        (void)spare; (void)lines;                                                                           \
        for (int64_t i = 0; i < n; i++)                                                                     \
            d0[i] = ONE_SUM2(T, ONE_SUM2(T, a[i], p0, b[i], p1), w0, ONE_SUM2(T, c[i], p0, e[i], p1), w1);  \
        if (!d1) return;                                                                                    \
        for (int64_t i = 0; i < n; i++)                                                                     \
            d1[i] = ONE_SUM2(T, ONE_SUM2(T, a[i], q0, b[i], q1), w0, ONE_SUM2(T, c[i], q0, e[i], q1), w1);  \
    }                                                                                                       \
    static void v_pixels_##T(void *d0_, void *d1_, const void *near_, const void *far_, const row_taps *t,  \
                             const void *h0_, const void *h1_, void *spare, int lines)                      \
    {                                                                                                       \
        const T *h0 = h0_, *h1 = h1_, *w = t->weights;                                                      \
        int64_t C = t->inner;                                                                               \
        (void)spare; (void)lines;                                                                           \
        for (int row = 0; row < (d1_ ? 2 : 1); row++) {                                                     \
            T p0 = row ? h1[0] : h0[0], p1 = row ? h1[1] : h0[1];                                           \
            for (int64_t o = 0; o < t->m; o++) {                                                            \
                int64_t left = t->index[o] * C, right = t->index[t->m + o] * C;                             \
                const T *restrict a = (const T *)near_ + left, *restrict b = (const T *)near_ + right,      \
                        *restrict c = (const T *)far_ + left, *restrict e = (const T *)far_ + right;        \
                T *restrict d = (T *)(row ? d1_ : d0_) + o * C, w0 = w[o], w1 = w[t->m + o];                \
                for (int64_t i = 0; i < C; i++)                                                             \
                    d[i] = ONE_SUM2(T, ONE_SUM2(T, a[i], w0, b[i], w1), p0, ONE_SUM2(T, c[i], w0, e[i], w1), p1); \
            }                                                                                               \
        }                                                                                                   \
    }
DEFINE_SQUARE(f32)
DEFINE_SQUARE(f64)

/* Planes of one sample each, times a weight of W and one of H: the adjoint of means. */
#define DEFINE_SPREAD(T)                                                                                    \
    static void spread_##T(void *dst, int64_t to, const void *src, int64_t from, int64_t planes, int64_t n, \
                           const void *w, const void *h)                                                    \
    {                                                                                                       \
        for (int64_t o = 0; o < planes; o++) {                                                              \
            T v = *(const T *)((const char *)src + o * from), *d = (T *)((char *)dst + o * to);             \
            if (w) v *= *(const T *)w;                                                                      \
            if (h) v *= *(const T *)h;                                                                      \
            for (int64_t i = 0; i < n; i++) d[i] = v;                                                       \
        }                                                                                                   \
    }
DEFINE_SPREAD(f32)
DEFINE_SPREAD(f64)

/* ---- the 8-bit integer scheme ------------------------------------------ */

#define DEFINE_BYTES(T)                                                                                     \
    INLINE void h_bytes_##T(T *restrict d, const T *restrict s, const row_taps *t, int64_t m0, int64_t m1,  \
                            int32_t K, int64_t inner)                                                       \
    {                                                                                                       \
        const int16_t *restrict w = t->weights;                                                             \
        const int32_t *restrict index = t->index;                                                           \
        int32_t p = t->shift, half = 1 << p >> 1;                                                           \
        int64_t m = t->m;                                                                                   \
        for (int64_t o = m0; o < m1; o++)                                                                   \
            for (int64_t c = 0; c < inner; c++) {                                                           \
                int32_t a = half;                                                                           \
                for (int32_t k = 0; k < K; k++) a += w[k * m + o] * s[index[k * m + o] * inner + c];        \
                d[o * inner + c] = FINISH_##T(a, p);                                                        \
            }                                                                                               \
    }                                                                                                       \
    INLINE void h_bytes_range_##T(T *restrict d, const T *restrict s, const row_taps *t, int64_t m0,        \
                                  int64_t m1)                                                               \
    {                                                                                                       \
        int64_t inner = t->inner;                                                                           \
        if (t->taps_max == 2) {                                                                             \
            if (inner == 1) h_bytes_##T(d, s, t, m0, m1, 2, 1);                                             \
            else if (inner == 3) h_bytes_##T(d, s, t, m0, m1, 2, 3);                                        \
            else if (inner == 4) h_bytes_##T(d, s, t, m0, m1, 2, 4);                                        \
            else h_bytes_##T(d, s, t, m0, m1, 2, inner);                                                    \
        } else {                                                                                            \
            if (inner == 1) h_bytes_##T(d, s, t, m0, m1, 4, 1);                                             \
            else if (inner == 3) h_bytes_##T(d, s, t, m0, m1, 4, 3);                                        \
            else if (inner == 4) h_bytes_##T(d, s, t, m0, m1, 4, 4);                                        \
            else h_bytes_##T(d, s, t, m0, m1, 4, inner);                                                    \
        }                                                                                                   \
    }                                                                                                       \
    static void h_fixed_##T(void *d, const void *s, const row_taps *t) { h_bytes_range_##T(d, s, t, 0, t->m); } \
    static __attribute__((noinline)) void h_edge_##T(T *d, const T *s, const row_taps *t, int64_t m0, int64_t m1)\
    {                                                                                                       \
        if (t->taps_max == 2) h_bytes_##T(d, s, t, m0, m1, 2, t->inner);                                    \
        else h_bytes_##T(d, s, t, m0, m1, 4, t->inner);                                                     \
    }                                                                                                       \
    INLINE void h_bytes_wide_##T(T *restrict d, const T *restrict s, const row_taps *t, int64_t inner)      \
    {                                                                                                       \
        const int16_t *restrict w = t->weights;                                                             \
        int32_t p = t->shift, half = 1 << p >> 1;                                                           \
        for (int64_t o = 0; o < t->m; o++, w += t->taps_max)                                                \
            for (int64_t c = 0; c < inner; c++) {                                                           \
                const T *restrict x = s + t->first[o] * inner + c;                                          \
                int32_t a = half;                                                                           \
                for (int32_t k = 0; k < t->count[o]; k++) a += w[k] * x[k * inner];                         \
                d[o * inner + c] = FINISH_##T(a, p);                                                        \
            }                                                                                               \
    }                                                                                                       \
    static void h_wide_##T(void *d, const void *s, const row_taps *t)                                       \
    {                                                                                                       \
        if (t->inner == 1) h_bytes_wide_##T(d, s, t, 1);                                                    \
        else if (t->inner == 3) h_bytes_wide_##T(d, s, t, 3);                                               \
        else if (t->inner == 4) h_bytes_wide_##T(d, s, t, 4);                                               \
        else h_bytes_wide_##T(d, s, t, t->inner);                                                           \
    }                                                                                                       \
    static void h_doubled_##T(void *restrict d_, const void *restrict s_, const row_taps *t)                     \
    {                                                                                                       \
        T *restrict d = d_;                                                                                 \
        const T *restrict s = s_;                                                                           \
        int64_t C = t->inner, lo = t->doubled_lo, hi = t->doubled_hi, m = t->m;                               \
        const int16_t *w = t->weights;                                                                      \
        int32_t p = t->shift, half = 1 << p >> 1;                                                           \
        T even[SPAN], odd[SPAN];                                                                            \
        h_edge_##T(d, s, t, 0, 2 * lo);                                                                     \
        h_edge_##T(d, s, t, 2 * hi, m);                                                                     \
        int64_t step = SPAN / C;                                                                            \
        for (int64_t j = lo; j < hi; j += step) {                                                           \
            int64_t pixels = i64min(step, hi - j), n = pixels * C, e = 2 * lo, f = 2 * lo + 1;              \
            const T *restrict x = s + (j + t->doubled_src) * C;                                                                \
            if (t->taps_max == 2) {                                                                         \
                int32_t a0 = w[e], a1 = w[m + e], b0 = w[f], b1 = w[m + f];                                 \
                for (int64_t i = 0; i < n; i++) {                                                           \
                    even[i] = FINISH_##T(half + a0 * x[i - C] + a1 * x[i], p);                              \
                    odd[i] = FINISH_##T(half + b0 * x[i] + b1 * x[i + C], p);                               \
                }                                                                                           \
            } else {                                                                                        \
                int32_t a0 = w[e], a1 = w[m + e], a2 = w[2 * m + e], a3 = w[3 * m + e];                     \
                int32_t b0 = w[f], b1 = w[m + f], b2 = w[2 * m + f], b3 = w[3 * m + f];                     \
                for (int64_t i = 0; i < n; i++) {                                                           \
                    even[i] = FINISH_##T(half + a0 * x[i - 2 * C] + a1 * x[i - C] + a2 * x[i] + a3 * x[i + C], p); \
                    odd[i] = FINISH_##T(half + b0 * x[i - C] + b1 * x[i] + b2 * x[i + C] + b3 * x[i + 2 * C], p); \
                }                                                                                           \
            }                                                                                               \
            interleave_##T(d + 2 * j * C, even, odd, pixels, C);                                            \
        }                                                                                                   \
    }                                                                                                       \
    static void v_more_##T(void *restrict acc, const void *const *rows, const void *w_, int64_t n, int32_t taps, \
                           int32_t divide)                                                                    \
    {                                                                                                       \
        int32_t *restrict a = acc;                                                                          \
        const int16_t *w = w_;                                                                              \
        (void)divide;                                                                                         \
        for (int64_t at = 0; at < n; at += SPAN) {                                                          \
            int64_t len = i64min(SPAN, n - at);                                                             \
            for (int32_t k = 0; k < taps; k++) {                                                            \
                const T *restrict x = (const T *)rows[k] + at;                                              \
                int32_t q = w[k];                                                                           \
                for (int64_t i = 0; i < len; i++) a[at + i] += q * x[i];                                    \
            }                                                                                               \
        }                                                                                                   \
    }                                                                                                       \
    static void v_begin_##T(void *acc, const void *const *rows, const void *w, int64_t n, int32_t taps, int32_t divide) \
    {                                                                                                       \
        int32_t *a = acc, half = 1 << divide >> 1;                                                            \
        for (int64_t i = 0; i < n; i++) a[i] = half;                                                        \
        v_more_##T(acc, rows, w, n, taps, divide);                                                            \
    }                                                                                                       \
    static void v_end_##T(void *restrict d_, const void *restrict acc, int64_t n, int32_t divide)             \
    {                                                                                                       \
        T *restrict d = d_;                                                                                 \
        const int32_t *restrict a = acc;                                                                    \
        for (int64_t i = 0; i < n; i++) d[i] = FINISH_##T(a[i], divide);                                      \
    }                                                                                                       \
    static void v_sum_##T(void *restrict d_, const void *const *rows, const void *w_, int64_t n, int32_t taps, \
                          int32_t divide)                                                                     \
    {                                                                                                       \
        T *restrict d = d_;                                                                                 \
        const int16_t *w = w_;                                                                              \
        int32_t half = 1 << divide >> 1;                                                                      \
        if (taps == 1 || taps == 2) {                                                                       \
            const T *restrict x0 = rows[0], *restrict x1 = rows[taps - 1];                                  \
            int32_t w0 = w[0], w1 = taps == 2 ? w[1] : 0;                                                   \
            for (int64_t i = 0; i < n; i++) d[i] = FINISH_##T(half + w0 * x0[i] + w1 * x1[i], divide);        \
        } else if (taps == 3 || taps == 4) {                                                                \
            const T *restrict x0 = rows[0], *restrict x1 = rows[1], *restrict x2 = rows[2],                 \
                    *restrict x3 = rows[taps - 1];                                                          \
            int32_t w0 = w[0], w1 = w[1], w2 = w[2], w3 = taps == 4 ? w[3] : 0;                             \
            for (int64_t i = 0; i < n; i++)                                                                 \
                d[i] = FINISH_##T(half + w0 * x0[i] + w1 * x1[i] + w2 * x2[i] + w3 * x3[i], divide);          \
        } else                                                                                              \
            for (int64_t at = 0; at < n; at += SPAN) {                                                      \
                int64_t len = i64min(SPAN, n - at);                                                         \
                int32_t a[SPAN];                                                                            \
                const void *part[ROW_GROUP];                                                                \
                for (int32_t k = 0; k < taps; k++) part[k] = (const T *)rows[k] + at;                       \
                v_begin_##T(a, part, w, len, taps, divide);                                                   \
                v_end_##T(d + at, a, len, divide);                                                            \
            }                                                                                               \
    }
DEFINE_BYTES(u8)
DEFINE_BYTES(i8)

#if defined(ROWS_VECTORS)
#include "rows_window.h"
#include "rows_stream.h"
#include "rows_bytes.h"
#include "rows_pair.h"
#include "rows_square.h"
#include "rows_half.h"
#include "rows_copy.h"
#include "rows_group.h"
#include "rows_pack.h"
#define V_BYTES_WHOLE(T) v_window_##T
#define H_DOUBLED(T) h_pair_##T
#define SQUARE(T) square_##T
#define PIXELS(T) pixels_##T
#define PACK pack_tables
#ifdef __AVX512VBMI__
#define PAIR_F64 pair_f64_2, pair_f64_4
#else
#define PAIR_F64 0, 0
#endif
#define COPY_BYTES_NEEDED copy_bytes_needed
#define PACK_COPY pack_copy
#define V_WHOLE_f32 v_short_f32
#define H_WIDE_f32 h_wide_pixels
#else
static int64_t window_bytes_needed(int acc, int32_t taps_max, int64_t outputs)
{
    (void)acc; (void)taps_max; (void)outputs;
    return 0;
}
static void no_pack(row_taps *t, int acc, int form, char *memory) { (void)t; (void)acc; (void)form; (void)memory; }
#define PACK no_pack
static int64_t no_copy_bytes(int64_t outputs, int64_t size) { (void)outputs; (void)size; return 0; }
#define COPY_BYTES_NEEDED no_copy_bytes
#define PACK_COPY 0
#define V_BYTES_WHOLE(T) v_sum_##T
#define H_DOUBLED(T) h_doubled_##T
#define SQUARE(T) v_square_##T
#define PIXELS(T) v_pixels_##T
#define V_WHOLE_f32 v_sum_f32
#define H_WIDE_f32 h_wide_f32
#endif

#include "rows_means.h"
#include "rows_planes.h"

/* ---- nearest: copies ---------------------------------------------------- */

#define COPY_AS(T) \
    do { T *restrict d = d_; const T *restrict s = s_; for (int64_t o = 0; o < m; o++) d[o] = s[index[o]]; } while (0)
#define COPY_BYTES(N) \
    for (int64_t o = 0; o < m; o++) memcpy((char *)d_ + o * (N), (const char *)s_ + (int64_t)index[o] * (N), (size_t)(N))

typedef struct { uint64_t lo, hi; } u128;

/* `size` bytes per pixel; rows may start anywhere that the element's alignment allows. */
static void copy_row(void *restrict d_, const void *restrict s_, const row_taps *t, int64_t size)
{
    const int32_t *restrict index = t->index;
    int64_t m = t->m;
    switch (size) {
    case 1: COPY_AS(uint8_t); break;
    case 2: COPY_BYTES(2); break;
    case 3: COPY_BYTES(3); break;
    case 4: COPY_BYTES(4); break;
    case 6: COPY_BYTES(6); break;
    case 8: COPY_BYTES(8); break;
    case 12: COPY_BYTES(12); break;
    case 16: COPY_BYTES(16); break;
    default: COPY_BYTES(size); break;
    }
}

#if defined(ROWS_VECTORS)
#define COPY_DOUBLED double_row
#else
#define DOUBLE_AS(T)                                                                                        \
    do {                                                                                                    \
        for (int64_t i = 0; i < m / 2; i++) {                                                               \
            T x;                                                                                            \
            memcpy(&x, s + i * (int64_t)sizeof(T), sizeof(T));                                              \
            memcpy(d + 2 * i * (int64_t)sizeof(T), &x, sizeof(T));                                          \
            memcpy(d + (2 * i + 1) * (int64_t)sizeof(T), &x, sizeof(T));                                    \
        }                                                                                                   \
    } while (0)

/* Every pixel of the row twice, and the row twice where d1 is not NULL. */
static void copy_row_doubled(void *d0, void *d1, const void *src, const row_taps *t, int64_t size, void *spare, int lines)
{
    char *restrict d = d0;
    const char *restrict s = src;
    int64_t m = t->m;
    (void)spare; (void)lines;
    switch (size) {
    case 1: DOUBLE_AS(uint8_t); break;
    case 2: DOUBLE_AS(uint16_t); break;
    case 4: DOUBLE_AS(uint32_t); break;
    case 8: DOUBLE_AS(uint64_t); break;
    case 16: DOUBLE_AS(u128); break;
    default: copy_row(d0, src, t, size); break;
    }
    if (d1) memcpy(d1, d0, (size_t)(m * size));
}
#define COPY_DOUBLED copy_row_doubled
#endif

/* ---- the table ---------------------------------------------------------- */

#define V_WHOLE_f64 v_sum_f64
#define V_FLOAT(T) { { V_WHOLE_##T, v_sum_##T, v_more_##T, v_end_##T }, \
                     { v_box_##T, v_box_begin_##T, v_box_more_##T, v_box_end_##T } }
#define V_BYTES(T) { { V_BYTES_WHOLE(T), v_begin_##T, v_more_##T, v_end_##T }, { 0, 0, 0, 0 } }

static const row_table table = {
    .name = ROWS_LEVEL,
    .taps = build_taps,
    .load = { { load_f32_f32, load_f32_f64 }, { 0, load_f64_f64 }, { load_f16_f32, load_f16_f64 },
              { load_bf16_f32, load_bf16_f64 }, { load_u8_f32, load_u8_f64 }, { load_i8_f32, load_i8_f64 },
              { load_u16_f32, load_u16_f64 }, { load_i16_f32, load_i16_f64 } },
    .store = { { store_f32_f32, store_f32_f64 }, { 0, store_f64_f64 }, { store_f16_f32, store_f16_f64 },
               { store_bf16_f32, store_bf16_f64 }, { store_u8_f32, store_u8_f64 }, { store_i8_f32, store_i8_f64 },
               { store_u16_f32, store_u16_f64 }, { store_i16_f32, store_i16_f64 } },
    .h = { { h_fixed_f32, H_WIDE_f32, h_box_f32, H_DOUBLED(f32) }, { h_fixed_f64, h_wide_f64, h_box_f64, H_DOUBLED(f64) },
           { h_fixed_u8, h_wide_u8, 0, H_DOUBLED(u8) }, { h_fixed_i8, h_wide_i8, 0, h_doubled_i8 } },
    .v = { V_FLOAT(f32), V_FLOAT(f64), V_BYTES(u8), V_BYTES(i8) },
    .square = { SQUARE(f32), SQUARE(f64) },
    .pixels = { PIXELS(f32), PIXELS(f64) },
#if defined(ROWS_VECTORS)
    .pair = { [DTYPE_F32] = { pair_f32_2, pair_f32_4 }, [DTYPE_F16] = { pair_f16_2, pair_f16_4 },
              [DTYPE_BF16] = { pair_bf16_2, pair_bf16_4 }, [DTYPE_U16] = { pair_u16_2, pair_u16_4 },
              [DTYPE_U8] = { pair_u8_2, pair_u8_4 }, [DTYPE_F64] = { PAIR_F64 } },
    .halve = { [DTYPE_F32] = halve_f32, [DTYPE_U8] = halve_u8, [DTYPE_U16] = halve_u16 },
    .stream = { v_stream_f32, 0, 0, 0 },
    .group = { group_f32, 0, group_u8, group_i8 },
    .group_rows = { VL, 0, GROUP_BYTES, GROUP_BYTES },
    .group_bytes = group_bytes_needed,
    .stream_row = stream_row,
    .stream_end = stream_end,
    .copy_plane = copy_plane,
    .pack_plane = pack_plane,
    .plane_bytes = plane_bytes_needed,
#endif
    .part = { long_f32, long_f64, long_u8, long_i8 },
    .part_end = { { v_end_f32, v_box_end_f32 }, { v_end_f64, v_box_end_f64 }, { long_end_u8, 0 }, { long_end_i8, 0 } },
    .row_means = { row_means_f32, row_means_f64 },
    .spread = { spread_f32, spread_f64 },
    .few = { few_f32, few_f64 },
    .planes_in = { planes_in_uint8_t, planes_in_uint16_t, planes_in_uint32_t, planes_in_uint64_t },
    .planes_out = { planes_out_uint8_t, planes_out_uint16_t, planes_out_uint32_t, planes_out_uint64_t },
    .copy = copy_row,
    .copy_doubled = COPY_DOUBLED,
    .pack_bytes = window_bytes_needed,
    .pack = PACK,
    .copy_bytes = COPY_BYTES_NEEDED,
    .pack_copy = PACK_COPY,
};

const row_table *const ROWS_TABLE = &table;
