/* W passes by windows: a block of outputs from one or two unaligned loads per tap.
 *
 * The samples that a block of V outputs needs for one tap lie close together, so
 * one vector load and one permute bring them into place; a gather would touch
 * every lane apart (3 to 5 times slower, measured).  `window_pack` looks at a
 * tile's taps, and where every block's span fits it writes, per block and tap, the
 * load's position (clamped inside the row, so there is no edge code), the lanes to
 * pick and the weights; else the plain primitive stays in place.  Outputs with
 * fewer taps than others are masked, never multiplied by zero, so bits and
 * non-finite samples are those of the plain primitive.
 *
 * Included by rows_impl.h at levels with AVX2 or AVX-512 VBMI.
 */

#if defined(__AVX512VBMI__)
#define VL 16
typedef __m512 vf;
typedef __m512i vi;
#define V_LOAD(p) _mm512_loadu_ps(p)
#define V_LOAD_FIRST(p, n) _mm512_maskz_loadu_ps((__mmask16)((n) >= 16 ? 0xffff : (n) <= 0 ? 0 : (1 << (n)) - 1), p)
#define V_STORE(p, x) _mm512_storeu_ps(p, x)
#define V_STORE_FIRST(p, x, n) _mm512_mask_storeu_ps(p, (__mmask16)((1 << (n)) - 1), x)
#define V_STORE_LAST(p, x, n) _mm512_mask_storeu_ps(p, (__mmask16)(0xffff0000 >> (n)), x)
#define V_LANES(p) _mm512_loadu_si512(p)
#define SPLAT(v) _mm512_set1_ps(v)
#define V_MUL(a, b) _mm512_mul_ps(a, b)
#define V_DIV(a, b) _mm512_div_ps(a, b)
#define V_ADD(a, b) _mm512_add_ps(a, b)
#define V_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define V_INDEX(p) _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(p)))
#define V_PERMUTE(i, a) _mm512_permutexvar_ps(i, a)
INLINE vf V_PERMUTE2(vi i, vf a, vf b) { return _mm512_permutex2var_ps(a, i, b); }
INLINE vf V_PERMUTE4(vi i, vf a, vf b, vf c, vf d)
{
    return _mm512_mask_blend_ps(_mm512_test_epi32_mask(i, _mm512_set1_epi32(32)), V_PERMUTE2(i, a, b), V_PERMUTE2(i, c, d));
}
/* lanes whose output has more than k taps come from a, the others from b */
#define V_MORE(counts, k) _mm512_cmpgt_epi32_mask(counts, _mm512_set1_epi32(k))
#define V_SELECT(m, a, b) _mm512_mask_blend_ps(m, b, a)
typedef __mmask16 vm;
#else
#define VL 8
typedef __m256 vf;
typedef __m256i vi;
static const int32_t first_lanes[16] = { -1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0 };
INLINE __m256i lanes_below(int64_t n)
{
    return _mm256_loadu_si256((const __m256i *)(first_lanes + 8 - (n < 0 ? 0 : n > 8 ? 8 : n)));
}
#define V_LOAD(p) _mm256_loadu_ps(p)
#define V_LOAD_FIRST(p, n) _mm256_maskload_ps(p, lanes_below(n))
#define V_STORE(p, x) _mm256_storeu_ps(p, x)
#define V_STORE_FIRST(p, x, n) _mm256_maskstore_ps(p, lanes_below(n), x)
#define V_STORE_LAST(p, x, n) _mm256_maskstore_ps(p, _mm256_xor_si256(lanes_below(8 - (n)), _mm256_set1_epi32(-1)), x)
#define V_LANES(p) _mm256_loadu_si256((const __m256i *)(p))
#define SPLAT(v) _mm256_set1_ps(v)
#define V_MUL(a, b) _mm256_mul_ps(a, b)
#define V_DIV(a, b) _mm256_div_ps(a, b)
#define V_ADD(a, b) _mm256_add_ps(a, b)
#define V_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define V_INDEX(p) _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(p)))
#define V_PERMUTE(i, a) _mm256_permutevar8x32_ps(a, i)
INLINE vf V_PERMUTE2(vi i, vf a, vf b)
{
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(a, i), _mm256_permutevar8x32_ps(b, i),
                            _mm256_castsi256_ps(_mm256_slli_epi32(i, 28)));
}
INLINE vf V_PERMUTE4(vi i, vf a, vf b, vf c, vf d)
{
    return _mm256_blendv_ps(V_PERMUTE2(i, a, b), V_PERMUTE2(i, c, d), _mm256_castsi256_ps(_mm256_slli_epi32(i, 27)));
}
#define V_MORE(counts, k) _mm256_castsi256_ps(_mm256_cmpgt_epi32(counts, _mm256_set1_epi32(k)))
#define V_SELECT(m, a, b) _mm256_blendv_ps(b, a, m)
typedef __m256 vm;
#endif

#define WINDOW_TAPS_MAX 12      /* beyond it other forms win */
#define HALF_TAPS_MAX 12        /* of rows_half.h, whose table is its weights and those of the ends */
#define HALF_BYTES (64 + (2 * (HALF_TAPS_MAX + 1) + 1) * VL * 4)
#define EDGES_MAX 4             /* of rows_pair.h: windows at one end */
#define BYTE_PAIRS_MAX 32
enum { COUNTS_EQUAL, COUNTS_DIFFER, COUNTS_EMPTY, COUNTS_BOX };    /* EMPTY: as DIFFER, and some outputs have no tap */

/* ---- 8-bit scheme: two taps per multiply-add of 16-bit pairs ------------- */

#if VL == 16
#define BYTE_WINDOW 64          /* bytes per load; one load serves BYTE_LANES outputs */
#define BYTE_LANES 16
#else
#define BYTE_WINDOW 16
#define BYTE_LANES 4
#endif
#define BYTE_BLOCK VL           /* outputs per vector of sums */
#define BYTE_PICK (4 * VL)      /* bytes of one pick table */

#if VL == 16
INLINE __m512i byte_pair(const uint8_t *s, const int32_t *left, const uint8_t *pick, int64_t n, int is_signed)
{
    __m512i v = n >= 64 ? _mm512_loadu_si512(s + left[0])
                        : _mm512_maskz_loadu_epi8(((__mmask64)1 << n) - 1, s);
    v = _mm512_maskz_permutexvar_epi8(is_signed ? 0xaaaaaaaaaaaaaaaaull : 0x5555555555555555ull,
                                      _mm512_loadu_si512(pick), v);
    return is_signed ? _mm512_srai_epi16(v, 8) : v;
}
#else
INLINE __m256i byte_pair(const uint8_t *s, const int32_t *left, const uint8_t *pick, int64_t n, int is_signed)
{
    __m128i a, b;
    if (n >= 16) {
        a = _mm_loadu_si128((const __m128i *)(s + left[0]));
        b = _mm_loadu_si128((const __m128i *)(s + left[1]));
    } else {
        uint8_t copy[16] = { 0 };
        memcpy(copy, s, (size_t)n);
        a = b = _mm_loadu_si128((const __m128i *)copy);
    }
    __m256i v = _mm256_shuffle_epi8(_mm256_set_m128i(b, a), _mm256_loadu_si256((const __m256i *)pick));
    return is_signed ? _mm256_srai_epi16(v, 8) : v;
}
#endif

INLINE void window_bytes(uint8_t *restrict d, const uint8_t *restrict s, const row_taps *t, int pairs, int is_signed)
{
    int64_t n = t->n * t->inner, m = t->m * t->inner, blocks = (m + BYTE_BLOCK - 1) / BYTE_BLOCK;
    const int32_t *left = t->left;
    const uint8_t *pick = t->pick, *w = t->packed;
    const __m128i shift = _mm_cvtsi32_si128(t->shift);
    const int32_t half = 1 << t->shift >> 1;
    for (int64_t b = 0; b < blocks; b++) {
        uint8_t *o = d + b * BYTE_BLOCK;
        int64_t rest = m - b * BYTE_BLOCK;
#if VL == 16
        __m512i a = _mm512_set1_epi32(half);
        for (int p = 0; p < pairs; p++, left++, pick += BYTE_PICK, w += BYTE_PICK)
            a = _mm512_add_epi32(a, _mm512_madd_epi16(byte_pair(s, left, pick, n, is_signed), _mm512_loadu_si512(w)));
        a = _mm512_sra_epi32(a, shift);
        __m128i r = is_signed ? _mm512_cvtsepi32_epi8(a)
                              : _mm512_cvtusepi32_epi8(_mm512_max_epi32(a, _mm512_setzero_si512()));
        if (rest >= 16) _mm_storeu_si128((__m128i *)o, r);
        else _mm_mask_storeu_epi8(o, (__mmask16)((1 << rest) - 1), r);
#else
        __m256i a = _mm256_set1_epi32(half);
        for (int p = 0; p < pairs; p++, left += 2, pick += BYTE_PICK, w += BYTE_PICK)
            a = _mm256_add_epi32(a, _mm256_madd_epi16(byte_pair(s, left, pick, n, is_signed),
                                                      _mm256_loadu_si256((const __m256i *)w)));
        a = _mm256_packs_epi32(_mm256_sra_epi32(a, shift), a);
        a = is_signed ? _mm256_packs_epi16(a, a) : _mm256_packus_epi16(a, a);
        uint32_t low = (uint32_t)_mm256_extract_epi32(a, 0), high = (uint32_t)_mm256_extract_epi32(a, 4);
        if (rest >= 8) {
            memcpy(o, &low, 4);
            memcpy(o + 4, &high, 4);
        } else {
            memcpy(o, &low, (size_t)(rest < 4 ? rest : 4));
            if (rest > 4) memcpy(o + 4, &high, (size_t)(rest - 4));
        }
#endif
    }
}

#define DEFINE_WINDOW_BYTES(T, is_signed)                                                                   \
    static void window_##T##_1(void *d, const void *s, const row_taps *t) { window_bytes(d, s, t, 1, is_signed); } \
    static void window_##T##_2(void *d, const void *s, const row_taps *t) { window_bytes(d, s, t, 2, is_signed); } \
    static void window_##T##_n(void *d, const void *s, const row_taps *t)                                   \
    {                                                                                                       \
        window_bytes(d, s, t, (t->taps_max + 1) / 2, is_signed);                                            \
    }
DEFINE_WINDOW_BYTES(u8, 0)
DEFINE_WINDOW_BYTES(i8, 1)

/* ---- packing ------------------------------------------------------------ */

/* Position (in samples of the tile) of tap k of output o; taps past the count repeat the last. */
INLINE int64_t tap_at(const row_taps *t, int form, int64_t o, int32_t k)
{
    if (form == FORM_FIXED) return t->index[k * t->m + o];
    return t->first[o] + (k < t->count[o] ? k : t->count[o] > 0 ? t->count[o] - 1 : 0);
}

INLINE double tap_weight(const row_taps *t, int acc, int form, int64_t o, int32_t k)
{
    int64_t at = form == FORM_FIXED ? k * t->m + o : o * t->taps_max + k;
    if (form == FORM_BOX || (form == FORM_WIDE && k >= t->count[o])) return 0;
    return acc == ACC_F32 ? (double)((const float *)t->weights)[at]
         : acc == ACC_F64 ? ((const double *)t->weights)[at] : (double)((const int16_t *)t->weights)[at];
}

/* Least and largest sample that lanes [lo, hi) of the flattened outputs need for taps [k0, k1).
 *
 * Where outputs have a fixed number of taps, none of these ever decreases from an output to the next: the lanes at the ends
 * tell, and with several channels the ends of the pixels beside theirs. */
INLINE void tap_span(const row_taps *t, int form, int64_t lo, int64_t hi, int32_t k0, int32_t k1, int64_t *least,
                     int64_t *largest)
{
    const int64_t C = t->inner;
    int64_t a = lo, b = hi - 1, first = 0, last = 0;
    if (C > 1) {
        first = a % C;
        last = b % C;
        a /= C;
        b /= C;
    }
    *least = tap_at(t, form, a, k0) * C + first;
    *largest = tap_at(t, form, b, k1 - 1) * C + last;
    if (a == b) return;
    if (form == FORM_FIXED) {
        *least = i64min(*least, tap_at(t, form, a + 1, k0) * C);
        *largest = i64max(*largest, tap_at(t, form, b - 1, k1 - 1) * C + C - 1);
        return;
    }
    for (int64_t o = a; o <= b; o++) {
        *least = i64min(*least, tap_at(t, form, o, k0) * C + (o == a ? first : 0));
        *largest = i64max(*largest, tap_at(t, form, o, k1 - 1) * C + (o == b ? last : C - 1));
    }
}

static int64_t window_bytes_needed(int acc, int32_t taps_max, int64_t outputs)
{
    int64_t blocks = (outputs + VL - 1) / VL;
    if (acc == ACC_F32)
        return taps_max > HALF_TAPS_MAX + 1 ? 0
             : i64max(HALF_BYTES, taps_max > WINDOW_TAPS_MAX ? 0
                                : blocks * taps_max * (4 + VL + 4 * VL) + blocks * VL * 4 + 4 * 64 + 3 * VL);
    if (acc == ACC_F64) {       /* windows, or those at both ends of rows_pair.h, of eight lanes */
        blocks = i64max(2 * EDGES_MAX, (outputs + 7) / 8);
        return VL == 16 && taps_max <= WINDOW_TAPS_MAX ? blocks * taps_max * (4 + 8 + 8 * 8) + blocks * 8 * 4 + 4 * 64 + 3 * 8 : 0;
    }
    if ((taps_max + 1) / 2 > BYTE_PAIRS_MAX) return 0;
    return blocks * ((taps_max + 1) / 2) * (4 * (BYTE_BLOCK / BYTE_LANES) + 2 * BYTE_PICK) + 5 * 64;
}

#define ROWS_TYPE 32
#include "rows_type.h"
#include "rows_window_sums.h"
#if VL == 16
#define ROWS_TYPE 64
#include "rows_type.h"
#include "rows_window_sums.h"
#endif

static void pack_bytes(row_taps *t, int acc, int form, char *memory)
{
    int64_t n = t->n * t->inner, m = t->m * t->inner, blocks = (m + BYTE_BLOCK - 1) / BYTE_BLOCK;
    int64_t loads = BYTE_BLOCK / BYTE_LANES, pairs = (t->taps_max + 1) / 2;
    int32_t *left = (int32_t *)memory;
    uint8_t *pick = (uint8_t *)memory + ((blocks * pairs * loads * 4 + 63) & ~63);
    int16_t *w = (int16_t *)(pick + blocks * pairs * BYTE_PICK);
    for (int64_t b = 0; b < blocks; b++)
        for (int64_t p = 0; p < pairs; p++)
            for (int64_t l = 0; l < loads; l++) {
                int64_t j0 = b * BYTE_BLOCK + l * BYTE_LANES, lo, hi;
                int64_t at = ((b * pairs + p) * loads + l);
                tap_span(t, form, i64min(j0, m - 1), i64max(i64min(j0 + BYTE_LANES, m), i64min(j0, m - 1) + 1),
                         (int32_t)(2 * p), (int32_t)i64min(2 * p + 2, t->taps_max), &lo, &hi);
                lo = i64max(0, i64min(lo, n - BYTE_WINDOW));
                if (hi - lo >= BYTE_WINDOW) return;
                left[at] = (int32_t)lo;
                for (int64_t v = 0; v < BYTE_LANES; v++) {
                    int64_t j = i64min(j0 + v, m - 1), o = j / t->inner;
                    uint8_t *to = pick + (b * pairs + p) * BYTE_PICK + (l * BYTE_LANES + v) * 4;
                    int16_t *weight = w + ((b * pairs + p) * BYTE_PICK + (l * BYTE_LANES + v) * 4) / 2;
                    for (int32_t k = 0; k < 2; k++) {
                        int32_t tap = (int32_t)(2 * p) + k;
                        int64_t from = tap < t->taps_max ? tap_at(t, form, o, tap) * t->inner + j % t->inner - lo : -1;
                        /* zero-extended in 16 bits; the signed form comes into the high byte and is shifted down */
                        to[2 * k + (acc == ACC_I8)] = from < 0 ? 0x80 : (uint8_t)from;
                        to[2 * k + (acc != ACC_I8)] = 0x80;
                        weight[k] = from < 0 ? 0 : (int16_t)tap_weight(t, acc, form, o, tap);
                    }
                }
            }
    t->left = left;
    t->pick = pick;
    t->packed = w;
    if (acc == ACC_U8) t->window = pairs == 1 ? window_u8_1 : pairs == 2 ? window_u8_2 : window_u8_n;
    else t->window = pairs == 1 ? window_i8_1 : pairs == 2 ? window_i8_2 : window_i8_n;
}

static void window_pack(row_taps *t, int acc, int form, char *memory)
{
    if (form != FORM_FIXED && form != FORM_WIDE && form != FORM_BOX) return;
    if (acc == ACC_U8 || acc == ACC_I8) pack_bytes(t, acc, form, memory);
    else if (t->taps_max > WINDOW_TAPS_MAX) return;
    else if (acc == ACC_F32) pack_windows_f32(t, form, memory);
#if VL == 16
    else pack_windows_f64(t, form, memory);
#endif
}

/* ---- H and D passes of the 8-bit scheme ---------------------------------- */

/* Pairs of rows interleaved to 16-bit pairs, multiplied and added; the packs undo the interleaving. */
#if VL == 16
#define B16 __m512i
#define B16_STEP 32
#define B16_WIDEN(p, is_signed) \
    ((is_signed) ? _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(p))) \
                 : _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(p))))
#define B16_OP(name) _mm512_##name
#else
#define B16 __m256i
#define B16_STEP 16
#define B16_WIDEN(p, is_signed) \
    ((is_signed) ? _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(p))) \
                 : _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(p))))
#define B16_OP(name) _mm256_##name
#endif

INLINE void v_bytes(uint8_t *restrict d, const void *const *rows, const int16_t *w, int64_t n, int taps, int32_t p, int is_signed)
{
    const B16 half = B16_OP(set1_epi32)(1 << p >> 1);
    const __m128i shift = _mm_cvtsi32_si128(p);
    for (int64_t i = 0; i + B16_STEP <= n; i += B16_STEP) {
        B16 lo = half, hi = half;
        for (int k = 0; k < taps; k += 2) {
            int last = k + 1 < taps ? k + 1 : k;
            B16 a = B16_WIDEN((const uint8_t *)rows[k] + i, is_signed), b = B16_WIDEN((const uint8_t *)rows[last] + i, is_signed);
            int32_t second = k + 1 < taps ? w[k + 1] : 0;
            B16 weights = B16_OP(set1_epi32)((int32_t)((uint32_t)(uint16_t)w[k] | (uint32_t)second << 16));
            lo = B16_OP(add_epi32)(lo, B16_OP(madd_epi16)(B16_OP(unpacklo_epi16)(a, b), weights));
            hi = B16_OP(add_epi32)(hi, B16_OP(madd_epi16)(B16_OP(unpackhi_epi16)(a, b), weights));
        }
        B16 r = B16_OP(packs_epi32)(B16_OP(sra_epi32)(lo, shift), B16_OP(sra_epi32)(hi, shift));
#if VL == 16
        _mm256_storeu_si256((__m256i *)(d + i), is_signed ? _mm512_cvtsepi16_epi8(r)
                                                          : _mm512_cvtusepi16_epi8(_mm512_max_epi16(r, _mm512_setzero_si512())));
#else
        __m256i q = is_signed ? _mm256_packs_epi16(r, r) : _mm256_packus_epi16(r, r);
        _mm_storeu_si128((__m128i *)(d + i), _mm256_castsi256_si128(_mm256_permute4x64_epi64(q, 8)));
#endif
    }
}

#define DEFINE_V_BYTES(T, is_signed)                                                                        \
    static void v_window_##T(void *restrict d, const void *const *rows, const void *w, int64_t n, int32_t taps, \
                             int32_t divide)                                                                  \
    {                                                                                                       \
        int64_t body = n - n % B16_STEP;                                                                    \
        if (taps == 2) v_bytes(d, rows, w, body, 2, divide, is_signed);                                       \
        else if (taps == 4) v_bytes(d, rows, w, body, 4, divide, is_signed);                                  \
        else v_bytes(d, rows, w, body, taps, divide, is_signed);                                              \
        if (body < n) {                                                                                     \
            const void *rest[ROW_GROUP];                                                                    \
            for (int32_t k = 0; k < taps; k++) rest[k] = (const T *)rows[k] + body;                         \
            v_sum_##T((T *)d + body, rest, w, n - body, taps, divide);                                        \
        }                                                                                                   \
    }
DEFINE_V_BYTES(u8, 0)
DEFINE_V_BYTES(i8, 1)
