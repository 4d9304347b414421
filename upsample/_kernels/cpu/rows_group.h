/* W passes of many taps: a group of rows at a time, transposed.
 *
 * Where the samples of neighbouring outputs lie far apart no window holds them, and one
 * output's own sum is a chain that waits for itself.  So a group of rows is transposed,
 * as many as a vector has lanes: then each output of all of them is one sum over
 * consecutive vectors, with weights that are the same in every lane, in the order of the
 * plain primitives.  The outputs are transposed back.
 *
 * Included by rows_impl.h at levels with AVX2 or AVX-512, after rows_bytes.h.
 */

#define GROUP_BYTES 16          /* rows of bytes */

/* ---- float32 ------------------------------------------------------------ */

INLINE void transpose_f32(vf *r)
{
    vf a[VL];
#if VL == 16
    for (int i = 0; i < 16; i += 4) {
        const vf p = _mm512_unpacklo_ps(r[i], r[i + 1]), q = _mm512_unpackhi_ps(r[i], r[i + 1]);
        const vf u = _mm512_unpacklo_ps(r[i + 2], r[i + 3]), v = _mm512_unpackhi_ps(r[i + 2], r[i + 3]);
        a[i] = _mm512_shuffle_ps(p, u, 0x44);
        a[i + 1] = _mm512_shuffle_ps(p, u, 0xee);
        a[i + 2] = _mm512_shuffle_ps(q, v, 0x44);
        a[i + 3] = _mm512_shuffle_ps(q, v, 0xee);
    }
    for (int i = 0; i < 4; i++) {
        const vf p = _mm512_shuffle_f32x4(a[i], a[i + 4], 0x88), q = _mm512_shuffle_f32x4(a[i], a[i + 4], 0xdd);
        const vf u = _mm512_shuffle_f32x4(a[i + 8], a[i + 12], 0x88), v = _mm512_shuffle_f32x4(a[i + 8], a[i + 12], 0xdd);
        r[i] = _mm512_shuffle_f32x4(p, u, 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(p, u, 0xdd);
        r[i + 4] = _mm512_shuffle_f32x4(q, v, 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(q, v, 0xdd);
    }
#else
    for (int i = 0; i < 8; i += 4) {
        const vf p = _mm256_unpacklo_ps(r[i], r[i + 1]), q = _mm256_unpackhi_ps(r[i], r[i + 1]);
        const vf u = _mm256_unpacklo_ps(r[i + 2], r[i + 3]), v = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
        a[i] = _mm256_shuffle_ps(p, u, 0x44);
        a[i + 1] = _mm256_shuffle_ps(p, u, 0xee);
        a[i + 2] = _mm256_shuffle_ps(q, v, 0x44);
        a[i + 3] = _mm256_shuffle_ps(q, v, 0xee);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(a[i], a[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(a[i], a[i + 4], 0x31);
    }
#endif
}

INLINE vf group_sum_f32(const float *x, const float *w, int32_t count, int64_t C, int box)
{
    if (count == 0) return SPLAT(0);
    if (box) {
        vf a = V_LOAD(x);
        for (int32_t k = 1; k < count; k++) a = V_ADD(a, V_LOAD(x + k * C * VL));
        return V_DIV(a, SPLAT((float)count));
    }
    if (count == 1) return V_MUL(SPLAT(w[0]), V_LOAD(x));
    vf a = V_FMA(SPLAT(w[0]), V_LOAD(x), V_MUL(SPLAT(w[1]), V_LOAD(x + C * VL)));
    for (int32_t k = 2; k < count; k++) a = V_FMA(SPLAT(w[k]), V_LOAD(x + k * C * VL), a);
    return a;
}

INLINE void group_floats(void *const *dst, const void *const *src, const row_taps *t, float *x, int64_t C, int box)
{
    const int64_t n = t->n * C, m = t->m * C, K = t->taps_max;
    const float *w = t->weights;
    for (int64_t i = 0; i < n; i += VL) {
        vf r[VL];
        for (int k = 0; k < VL; k++) r[k] = V_LOAD_FIRST((const float *)src[k] + i, i64min(n - i, VL));
        transpose_f32(r);
        for (int k = 0; k < VL; k++) V_STORE(x + (i + k) * VL, r[k]);
    }
    for (int64_t j = 0, o = 0, c = 0; j < m; j += VL) {
        vf r[VL];
        for (int k = 0; k < VL; k++) {
            r[k] = SPLAT(0);
            if (j + k >= m) continue;
            r[k] = group_sum_f32(x + (t->first[o] * C + c) * VL, w + o * K, t->count[o], C, box);
            if (++c == C) { c = 0; o++; }
        }
        transpose_f32(r);
        for (int k = 0; k < VL; k++) {
            if (j + VL <= m) V_STORE((float *)dst[k] + j, r[k]);
            else V_STORE_FIRST((float *)dst[k] + j, r[k], m - j);
        }
    }
}

static void group_f32(void *const *dst, const void *const *src, const row_taps *t, void *scratch)
{
    if (t->inner == 1 && t->weights) group_floats(dst, src, t, scratch, 1, 0);
    else if (t->weights) group_floats(dst, src, t, scratch, t->inner, 0);
    else if (t->inner == 1) group_floats(dst, src, t, scratch, 1, 1);
    else group_floats(dst, src, t, scratch, t->inner, 1);
}

/* ---- 8-bit scheme: two taps of sixteen rows per multiply-add --------------- */

INLINE void transpose_bytes(__m128i *r)
{
    /* four rounds, each of which pairs row i with row i + 8 */
    for (int round = 0; round < 4; round++) {
        __m128i a[16];
        for (int i = 0; i < 8; i++) {
            a[2 * i] = _mm_unpacklo_epi8(r[i], r[i + 8]);
            a[2 * i + 1] = _mm_unpackhi_epi8(r[i], r[i + 8]);
        }
        for (int i = 0; i < 16; i++) r[i] = a[i];
    }
}

/* x holds, for each sample, its byte and that of the next tap in turn, of all rows. */
INLINE __m128i group_sum_bytes(const uint8_t *x, const int16_t *w, int32_t count, int64_t C, int32_t p, int is_signed)
{
    const __m128i shift = _mm_cvtsi32_si128(p);
    const int64_t step = 2 * C * 2 * GROUP_BYTES;
    int32_t k = 0, pair;
#if VL == 16
#define PAIRS(x) (is_signed ? _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(x)))   \
                            : _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(x))))
    __m512i a = _mm512_set1_epi32(1 << p >> 1);
    for (; k + 1 < count; k += 2, x += step) {
        memcpy(&pair, w + k, 4);
        a = _mm512_add_epi32(a, _mm512_madd_epi16(PAIRS(x), _mm512_set1_epi32(pair)));
    }
    if (k < count) a = _mm512_add_epi32(a, _mm512_madd_epi16(PAIRS(x), _mm512_set1_epi32((uint16_t)w[k])));
    a = _mm512_sra_epi32(a, shift);
    return is_signed ? _mm512_cvtsepi32_epi8(a) : _mm512_cvtusepi32_epi8(_mm512_max_epi32(a, _mm512_setzero_si512()));
#else
#define PAIRS(x) (is_signed ? _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(x)))      \
                            : _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(x))))
    __m256i a = _mm256_set1_epi32(1 << p >> 1), b = a;
    for (; k < count; k += 2, x += step) {
        if (k + 1 < count) memcpy(&pair, w + k, 4);
        else pair = (uint16_t)w[k];
        a = _mm256_add_epi32(a, _mm256_madd_epi16(PAIRS(x), _mm256_set1_epi32(pair)));
        b = _mm256_add_epi32(b, _mm256_madd_epi16(PAIRS(x + 16), _mm256_set1_epi32(pair)));
    }
    a = _mm256_permute4x64_epi64(_mm256_packs_epi32(_mm256_sra_epi32(a, shift), _mm256_sra_epi32(b, shift)), 0xd8);
    const __m128i lo = _mm256_castsi256_si128(a), hi = _mm256_extracti128_si256(a, 1);
    return is_signed ? _mm_packs_epi16(lo, hi) : _mm_packus_epi16(lo, hi);
#endif
#undef PAIRS
}

INLINE void group_int8s(void *const *dst, const void *const *src, const row_taps *t, uint8_t *x, int64_t C, int is_signed)
{
    const int64_t n = t->n * C, m = t->m * C, K = t->taps_max;
    const int16_t *w = t->weights;
    uint8_t *byte = x + 2 * GROUP_BYTES * (n + 16);     /* transposed, before samples are paired with the next tap's */
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m128i r[16];
        for (int k = 0; k < 16; k++) r[k] = _mm_loadu_si128((const __m128i *)((const uint8_t *)src[k] + i));
        transpose_bytes(r);
        for (int k = 0; k < 16; k++) _mm_storeu_si128((__m128i *)(byte + (i + k) * GROUP_BYTES), r[k]);
    }
    for (; i < n; i++)
        for (int k = 0; k < 16; k++) byte[i * GROUP_BYTES + k] = ((const uint8_t *)src[k])[i];
    memset(byte + n * GROUP_BYTES, 0, (size_t)(C * GROUP_BYTES));
    for (i = 0; i < n; i++) {
        const __m128i a = _mm_loadu_si128((const __m128i *)(byte + i * GROUP_BYTES));
        const __m128i b = _mm_loadu_si128((const __m128i *)(byte + (i + C) * GROUP_BYTES));
        _mm_storeu_si128((__m128i *)(x + i * 2 * GROUP_BYTES), _mm_unpacklo_epi8(a, b));
        _mm_storeu_si128((__m128i *)(x + i * 2 * GROUP_BYTES + 16), _mm_unpackhi_epi8(a, b));
    }
    for (int64_t j = 0, o = 0, c = 0; j < m; j += 16) {
        __m128i r[16];
        for (int k = 0; k < 16; k++) {
            r[k] = _mm_setzero_si128();
            if (j + k >= m) continue;
            r[k] = group_sum_bytes(x + (t->first[o] * C + c) * 2 * GROUP_BYTES, w + o * K, t->count[o], C, t->shift, is_signed);
            if (++c == C) { c = 0; o++; }
        }
        transpose_bytes(r);
        for (int k = 0; k < 16; k++) {
            uint8_t rest[16], *d = (uint8_t *)dst[k] + j;
            if (j + 16 <= m) { _mm_storeu_si128((__m128i *)d, r[k]); continue; }
            _mm_storeu_si128((__m128i *)rest, r[k]);
            memcpy(d, rest, (size_t)(m - j));
        }
    }
}

#define DEFINE_GROUP_BYTES(T, is_signed)                                                                    \
    static void group_##T(void *const *dst, const void *const *src, const row_taps *t, void *scratch)       \
    {                                                                                                       \
        if (t->inner == 1) group_int8s(dst, src, t, scratch, 1, is_signed);                                 \
        else if (t->inner == 3) group_int8s(dst, src, t, scratch, 3, is_signed);                            \
        else group_int8s(dst, src, t, scratch, t->inner, is_signed);                                        \
    }
DEFINE_GROUP_BYTES(u8, 0)
DEFINE_GROUP_BYTES(i8, 1)

/* Scratch for a tile of so many samples of input. */
static int64_t group_bytes_needed(int acc, int64_t samples)
{
    return acc == ACC_F32 ? 4 * VL * (samples + VL) : 3 * GROUP_BYTES * (samples + 16) + PACK_CHANNELS * GROUP_BYTES;
}
