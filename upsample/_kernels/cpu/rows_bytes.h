/* Vectors of bytes: as wide as one permute reaches, 64 with VBMI, 16 without.
 *
 * Included by rows_impl.h at levels with AVX2 or AVX-512, before what uses them.
 */

#if VL == 16
#define BV __m512i
#define BVL 64
#define BV_OP(name) _mm512_##name
#define BV_LOAD(p) _mm512_loadu_si512(p)
#define BV_STORE(p, x) _mm512_storeu_si512(p, x)
#define BV_STREAM(p, x) _mm512_stream_si512((void *)(p), x)
#define BV_XOR(a, b) _mm512_xor_si512(a, b)
#define BV_AND(a, b) _mm512_and_si512(a, b)
INLINE BV bv_pick(BV index, BV a, BV b) { return _mm512_permutex2var_epi8(a, index, b); }
#else
#define BV __m128i
#define BVL 16
#define BV_OP(name) _mm_##name
#define BV_LOAD(p) _mm_loadu_si128((const __m128i *)(p))
#define BV_STORE(p, x) _mm_storeu_si128((__m128i *)(p), x)
#define BV_STREAM(p, x) _mm_stream_si128((__m128i *)(p), x)
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
