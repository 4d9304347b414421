/* The operations of one type of sums, for code that is compiled once per type: ROWS_TYPE is 32 or 64, the bits of one.
 *
 * XT is the type, XV and XI are vectors of it and of as many lane numbers or counts, XL is how many.
 */
#undef XT
#undef XV
#undef XI
#undef XL
#undef XACC
#undef XDTYPE
#undef X
#undef X_LOAD
#undef X_LOAD_FIRST
#undef X_STORE
#undef X_STORE_FIRST
#undef X_STREAM
#undef X_FMA
#undef X_MUL
#undef X_ADD
#undef X_DIV
#undef X_INDEX
#undef X_PERMUTE
#undef X_PERMUTE2
#undef X_PERMUTE4
#undef X_MORE
#undef X_SELECT
#undef X_SPLAT
#undef X_COUNTS
#undef X_OF_COUNTS
#if ROWS_TYPE == 32
#define XT float
#define XV vf
#define XI vi
#define XL VL
#define XACC ACC_F32
#define XDTYPE DTYPE_F32
#define X(name) name##_f32
#define X_LOAD V_LOAD
#define X_LOAD_FIRST V_LOAD_FIRST
#define X_STORE V_STORE
#define X_STORE_FIRST V_STORE_FIRST
#define X_STREAM V_STREAM
#define X_FMA V_FMA
#define X_MUL V_MUL
#define X_ADD V_ADD
#define X_DIV V_DIV
#define X_INDEX V_INDEX
#define X_PERMUTE V_PERMUTE
#define X_PERMUTE2 V_PERMUTE2
#define X_PERMUTE4 V_PERMUTE4
#define X_MORE V_MORE
#define X_SELECT V_SELECT
#define X_SPLAT SPLAT
#define X_COUNTS V_LANES
#if VL == 16
#define X_OF_COUNTS(c) _mm512_cvtepi32_ps(c)
#else
#define X_OF_COUNTS(c) _mm256_cvtepi32_ps(c)
#endif
#else
#define XT double
#define XV __m512d
#define XI __m512i
#define XL 8
#define XACC ACC_F64
#define XDTYPE DTYPE_F64
#define X(name) name##_f64
#define X_LOAD(p) _mm512_loadu_pd(p)
#define X_LOAD_FIRST(p, n) _mm512_maskz_loadu_pd((__mmask8)((n) >= 8 ? 0xff : (n) <= 0 ? 0 : (1 << (n)) - 1), p)
#define X_STORE(p, x) _mm512_storeu_pd(p, x)
#define X_STORE_FIRST(p, x, n) _mm512_mask_storeu_pd(p, (__mmask8)((1 << (n)) - 1), x)
#define X_STREAM(p, x) _mm512_stream_pd(p, x)
#define X_FMA(a, b, c) _mm512_fmadd_pd(a, b, c)
#define X_MUL(a, b) _mm512_mul_pd(a, b)
#define X_ADD(a, b) _mm512_add_pd(a, b)
#define X_DIV(a, b) _mm512_div_pd(a, b)
#define X_SPLAT(v) _mm512_set1_pd(v)
#define X_INDEX(p) _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)(p)))
#define X_COUNTS(p) _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(p)))
#define X_OF_COUNTS(c) _mm512_cvtepi32_pd(_mm512_cvtepi64_epi32(c))
#define X_PERMUTE(i, a) _mm512_permutexvar_pd(i, a)
#define X_PERMUTE2(i, a, b) _mm512_permutex2var_pd(a, i, b)
#define X_PERMUTE4(i, a, b, c, d) \
    _mm512_mask_blend_pd(_mm512_test_epi64_mask(i, _mm512_set1_epi64(16)), X_PERMUTE2(i, a, b), X_PERMUTE2(i, c, d))
#define X_MORE(counts, k) _mm512_cmpgt_epi64_mask(counts, _mm512_set1_epi64(k))
#define X_SELECT(m, a, b) _mm512_mask_blend_pd(m, b, a)
#endif
#undef ROWS_TYPE
