/* Whole factor 1/2: even and odd samples are parted, never gathered.
 *
 * Output o has the taps 2o + c, 2o + c + 1, ...: two loads hold the even and the odd
 * samples of a block of outputs, and two permutes part them, for two taps.  `half_*`
 * makes the W pass so wherever weights are the same all along the row's inside;
 * `halve_*` goes from two or four input rows to one output row where every output is the
 * mean of two by two pixels, or of two by two by two voxels (area, and linear without
 * antialias), and keeps nothing.
 *
 * Sums have the order of the plain primitives, so bits are theirs.
 * Included by rows_impl.h at levels with AVX2 or AVX-512, after rows_pair.h.
 */

#define MEAN_AHEAD 4096         /* bytes, of every row of a mean (a quarter to a third less time on large arrays) */
#define HALF_AHEAD 384          /* samples: one line each, while waiting for memory (10 % on large arrays, none lost on small) */

/* In a block of pixels of n channels, where the even pixel of output lane v is; the odd one is n further. */
#define EVEN(n, v) ((v) / (n) * 2 * (n) + (v) % (n)) % (2 * VL)
#define EVEN_4(n, v) EVEN(n, v), EVEN(n, v + 1), EVEN(n, v + 2), EVEN(n, v + 3)
#if VL == 16
#define EVENS(n) { EVEN_4(n, 0), EVEN_4(n, 4), EVEN_4(n, 8), EVEN_4(n, 12) }
#else
#define EVENS(n) { EVEN_4(n, 0), EVEN_4(n, 4) }
#endif
static const uint8_t even_lanes[HALF_CHANNELS + 1][VL] = { [1] = EVENS(1), [2] = EVENS(2), [3] = EVENS(3), [4] = EVENS(4) };

INLINE void part_vectors(int64_t C, vf a, vf b, vf *even, vf *odd)
{
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

INLINE void part_f32(int64_t C, const float *x, vf *even, vf *odd)
{
    part_vectors(C, V_LOAD(x), V_LOAD(x + VL), even, odd);
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

/* ---- two by two pixels, two by two by two voxels ------------------------------- */

#if VL == 16
#define I_STORE(p, x) _mm512_storeu_si512(p, x)
#define I_STREAM(p, x) _mm512_stream_si512((void *)(p), x)
#define I_AND(a, b) _mm512_and_si512(a, b)
#define I_XOR(a, b) _mm512_xor_si512(a, b)
#define FIRST_BYTES(n) ((n) >= 64 ? ~(__mmask64)0 : (n) <= 0 ? 0 : ((__mmask64)1 << (n)) - 1)
#else
#define I_STORE(p, x) _mm256_storeu_si256((__m256i *)(p), x)
#define I_STREAM(p, x) _mm256_stream_si256((__m256i *)(p), x)
#define I_AND(a, b) _mm256_and_si256(a, b)
#define I_XOR(a, b) _mm256_xor_si256(a, b)
#endif

/* Bytes of a vector and of two, and of those how many a block makes and takes: three channels do not fill them. */
#define ONE (4 * VL)
#define TWO (8 * VL)
#define MADE(C) ((C) == 3 ? VL / 3 * 12 : ONE)
#define TAKEN(C) (2 * MADE(C))

/* Of pixels of n channels of z bytes, the byte that comes to p when the two samples of each sum are laid side by side; and
 * the byte of two vectors of sums, packed lane by lane, that comes to p when they are put in order. */
#define PAIRED(z, n, p) ((p) / (z) / 2 / (n) * 2 * (n) + (p) / (z) % 2 * (n) + (p) / (z) / 2 % (n)) * (z) + (p) % (z)
#if VL == 16
#define PAIRED_AT(z, n, p) (PAIRED(z, n, p)) % 64
#define ORDERED_AT(n, p) (n == 3 ? ORDERED(30, p) : ORDERED(32, p))
#define ORDERED(half, p) ((p) % (half) / 8 * 16 + (p) / (half) * 8 + (p) % (half) % 8) % 64
#define BYTES(F, ...) { BYTES_16(F, 0, __VA_ARGS__), BYTES_16(F, 16, __VA_ARGS__), BYTES_16(F, 32, __VA_ARGS__), \
                        BYTES_16(F, 48, __VA_ARGS__) }
#else
#define PAIRED_AT(z, n, p) (PAIRED(z, n, (p) % 16)) % 16        /* a shuffle of each lane; a lane starts with a pixel */
#define ORDERED_AT(n, p) (((p) % 16 / 6 * 8 + (p) % 16 % 6) % 16)
#define BYTES(F, ...) { BYTES_16(F, 0, __VA_ARGS__), BYTES_16(F, 16, __VA_ARGS__) }
#endif
#define BYTES_4(F, p, ...) F(__VA_ARGS__, p), F(__VA_ARGS__, (p) + 1), F(__VA_ARGS__, (p) + 2), F(__VA_ARGS__, (p) + 3)
#define BYTES_16(F, p, ...) BYTES_4(F, p, __VA_ARGS__), BYTES_4(F, (p) + 4, __VA_ARGS__), BYTES_4(F, (p) + 8, __VA_ARGS__), \
                            BYTES_4(F, (p) + 12, __VA_ARGS__)
static const uint8_t paired[2][HALF_CHANNELS + 1][ONE] = {
    { [2] = BYTES(PAIRED_AT, 1, 2), [3] = BYTES(PAIRED_AT, 1, 3), [4] = BYTES(PAIRED_AT, 1, 4) },
    { [2] = BYTES(PAIRED_AT, 2, 2), [3] = BYTES(PAIRED_AT, 2, 3), [4] = BYTES(PAIRED_AT, 2, 4) },
};
static const uint8_t ordered[2][ONE] = { BYTES(ORDERED_AT, 1), BYTES(ORDERED_AT, 3) };

/* Vector i of a block's two, of samples of `size` bytes: those of each sum side by side.  Only `left` bytes are read. */
INLINE vi load_pairs(const char *x, int i, int64_t C, int size, int64_t left)
{
#if VL == 16
    x += i * MADE(C);
    left -= i * MADE(C);
    const vi v = left >= ONE ? V_LANES(x) : _mm512_maskz_loadu_epi8(FIRST_BYTES(left), x);
    return C == 1 ? v : _mm512_permutexvar_epi8(V_LANES(paired[size - 1][C]), v);
#else
    (void)left;
    if (C == 1) return V_LANES(x + 32 * i);
    const vi v = C != 3 ? V_LANES(x + 32 * i) : _mm256_inserti128_si256(_mm256_castsi128_si256(
        _mm_loadu_si128((const __m128i *)(x + 12 * i))), _mm_loadu_si128((const __m128i *)(x + 24 + 12 * i)), 1);
    return _mm256_shuffle_epi8(v, V_LANES(paired[size - 1][C]));
#endif
}

#if VL == 8
/* The first three quarters of both lanes, side by side. */
INLINE vi together_3(vi x) { return _mm256_permutevar8x32_epi32(x, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7)); }
#endif

/* What was packed lane by lane, in order. */
INLINE vi in_order(int64_t C, vi packed)
{
#if VL == 16
    return _mm512_permutexvar_epi8(V_LANES(ordered[C == 3]), packed);
#else
    if (C != 3) return _mm256_permute4x64_epi64(packed, 0xd8);
    return together_3(_mm256_shuffle_epi8(packed, V_LANES(ordered[1])));
#endif
}

/* 2 or 4 rows are summed in float32, W first, then H, then D. */
INLINE vi mean_f32(int64_t C, int count, const char *const *x, int64_t at, int64_t left, int box)
{
    const vf half = SPLAT(0.5f);
    vf r[4], even, odd;
    for (int i = 0; i < count; i++) {
        const float *f = (const float *)(x[i] + at);
#if VL == 8
        (void)left;
        if (C == 3) {           /* a pixel in each lane */
            even = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(f)), _mm_loadu_ps(f + 6), 1);
            odd = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(f + 3)), _mm_loadu_ps(f + 9), 1);
        } else
            part_f32(C, f, &even, &odd);
#else
        if (left >= TWO) part_f32(C, f, &even, &odd);
        else part_vectors(C, V_LOAD_FIRST(f, left / 4), V_LOAD_FIRST(f + VL, left / 4 - VL), &even, &odd);
#endif
        r[i] = box ? V_MUL(half, V_ADD(even, odd)) : V_FMA(half, even, V_MUL(half, odd));
    }
    for (int n = count / 2; n; n /= 2)
        for (int i = 0; i < n; i++)
            r[i] = box ? V_MUL(half, V_ADD(r[2 * i], r[2 * i + 1])) : V_FMA(half, r[2 * i], V_MUL(half, r[2 * i + 1]));
#if VL == 8
    if (C == 3) return together_3(AS_I(r[0]));
#endif
    return AS_I(r[0]);
}

/* A quarter of a sum of four or an eighth of a sum of eight, ties to even: what float32 rounds it to. */
INLINE vi mean_16(vi sum, int count)
{
    const int shift = count == 4 ? 3 : 2;
    const vi odd = I_AND(I_OP(srli_epi16)(sum, shift), I_OP(set1_epi16)(1));
    return I_OP(srli_epi16)(I_OP(add_epi16)(I_OP(add_epi16)(sum, I_OP(set1_epi16)((1 << shift >> 1) - 1)), odd), shift);
}

INLINE vi mean_u8(int64_t C, int count, const char *const *x, int64_t at, int64_t left, int box)
{
    vi mean[2];
    for (int v = 0; v < 2; v++) {
        vi r[4];
        for (int i = 0; i < count; i++) {
            const vi a = load_pairs(x[i] + at, v, C, 1, left);
            /* of each 16 bits the upper ones are not wanted */
            r[i] = box ? I_OP(maddubs_epi16)(a, I_OP(set1_epi8)(1)) : I_OP(avg_epu8)(a, I_OP(srli_epi16)(a, 8));
        }
        for (int n = count / 2; n; n /= 2)
            for (int i = 0; i < n; i++)
                r[i] = box ? I_OP(add_epi16)(r[2 * i], r[2 * i + 1]) : I_OP(avg_epu8)(r[2 * i], r[2 * i + 1]);
        mean[v] = box ? mean_16(r[0], count) : I_AND(r[0], I_OP(set1_epi16)(255));
    }
    return in_order(C, I_OP(packus_epi16)(mean[0], mean[1]));
}

/* Sums in float32 are exact and rounded once, with weights too. */
INLINE vi mean_u16(int64_t C, int count, const char *const *x, int64_t at, int64_t left, int box)
{
    const int shift = count == 4 ? 3 : 2;
    vi mean[2];
    (void)box;
    for (int v = 0; v < 2; v++) {
        vi r[4];
        /* multiply-adds take signed samples: each is 2**15 less, and a sum is less by what its odd bit does not see */
        for (int i = 0; i < count; i++)
            r[i] = I_OP(madd_epi16)(I_XOR(load_pairs(x[i] + at, v, C, 2, left), I_OP(set1_epi16)(-32768)), I_OP(set1_epi16)(1));
        for (int n = count / 2; n; n /= 2)
            for (int i = 0; i < n; i++) r[i] = I_OP(add_epi32)(r[2 * i], r[2 * i + 1]);
        const vi odd = I_AND(I_OP(srli_epi32)(r[0], shift), SPLAT_I(1));
        const vi more = SPLAT_I((count << 16) + (1 << shift >> 1) - 1);
        mean[v] = I_OP(srli_epi32)(I_OP(add_epi32)(I_OP(add_epi32)(r[0], more), odd), shift);
    }
    return in_order(C, I_OP(packus_epi32)(mean[0], mean[1]));
}

/* Blocks of whole pixels, and what is left of less than two vectors by itself.
 *
 * The processor's own prefetching starts anew at every row: lines are asked for here, behind the row's end those of the
 * rows that come next, which lie twice as far as these rows do from each other. */
#define DEFINE_HALVE(T)                                                                                     \
    INLINE void halve_any_##T(char *d, const void *const *rows, int64_t m, int64_t C, int count, int box, int lines) \
    {                                                                                                       \
        const int64_t bytes = 2 * m * C * (int64_t)sizeof(T);                                               \
        const char *const x[4] = { rows[0], rows[1], rows[count - 2], rows[count - 1] };                    \
        const int64_t next = 2 * (x[1] - x[0]);                                                             \
        const int64_t near = bytes > MEAN_AHEAD ? MEAN_AHEAD : next * (1 + MEAN_AHEAD / (2 * bytes));       \
        const int64_t far = bytes > MEAN_AHEAD ? MEAN_AHEAD - bytes + next : near;                          \
        int64_t at = 0;                                                                                     \
        for (; at + TWO <= bytes; at += TAKEN(C)) {                                                         \
            const int64_t ahead = at + (at + MEAN_AHEAD < bytes ? near : far);                              \
            for (int i = 0; i < count; i++)                                                                 \
                for (int64_t line = 0; line < TWO; line += 64) _mm_prefetch(x[i] + ahead + line, _MM_HINT_T0); \
            const vi a = mean_##T(C, count, x, at, TWO, box);                                               \
            if (lines) I_STREAM(d + at / 2, a); else I_STORE(d + at / 2, a);                                \
        }                                                                                                   \
        HALVE_REST(T)                                                                                       \
    }
#if VL == 16
#define HALVE_REST(T)                                                                                       \
    for (; at < bytes; at += TAKEN(C)) {                                                                    \
        const vi a = mean_##T(C, count, x, at, bytes - at, box);                                            \
        _mm512_mask_storeu_epi8(d + at / 2, FIRST_BYTES(i64min(MADE(C), (bytes - at) / 2)), a);             \
    }
#else
/* the last block overlaps the one before, or goes through memory of its own */
#define HALVE_REST(T)                                                                                       \
    if (at == bytes) return;                                                                                \
    if (C != 3 && bytes >= TWO) {                                                                           \
        I_STORE(d + (bytes - TWO) / 2, mean_##T(C, count, x, bytes - TWO, TWO, box));                       \
        return;                                                                                             \
    }                                                                                                       \
    char last[5][TWO] = { { 0 } };                                                                          \
    const char *const y[4] = { last[0], last[1], last[count - 2], last[count - 1] };                        \
    for (; at < bytes; at += TAKEN(C)) {                                                                    \
        const int64_t left = i64min(TAKEN(C), bytes - at);                                                  \
        for (int i = 0; i < count; i++) memcpy(last[i], x[i] + at, (size_t)left);                           \
        I_STORE(last[4], mean_##T(C, count, y, 0, TWO, box));                                               \
        memcpy(d + at / 2, last[4], (size_t)(left / 2));                                                    \
    }
#endif

/* Lines of three channels, which blocks do not fill, are made aside. */
#define DEFINE_HALVES(T, BOX)                                                                               \
    DEFINE_HALVE(T)                                                                                         \
    static void halve_rows_##T(char *d, const void *const *rows, int64_t m, int64_t C, int count, int box, int lines) \
    {                                                                                                       \
        if (C == 1) BOX(T, 1);                                                                              \
        else if (C == 3) BOX(T, 3);                                                                         \
        else BOX(T, C);                                                                                     \
    }                                                                                                       \
    static void halve_##T(void *dst, const void *const *rows, int32_t count, const row_taps *t, int box, int lines) \
    {                                                                                                       \
        const int64_t m = t->m, C = t->inner, pixel = C * (int64_t)sizeof(T);                               \
        char *d = dst;                                                                                      \
        if (!lines || C != 3) { halve_rows_##T(d, rows, m, C, count, box, lines); return; }                 \
        for (int64_t o = 0; o < m; o += ASIDE) {                                                            \
            const int64_t some = i64min(m - o, ASIDE);                                                      \
            const void *part[4];                                                                            \
            char made[ASIDE * 3 * sizeof(T)] __attribute__((aligned(64)));                                  \
            for (int i = 0; i < count; i++) part[i] = (const char *)rows[i] + 2 * o * pixel;                \
            halve_rows_##T(made, part, some, 3, count, box, 0);                                             \
            stream_row(d + o * pixel, made, some * pixel);                                                  \
        }                                                                                                   \
    }
#define ASIDE 256
#define HALVE_COUNT(T, C, box)                                                                              \
    do {                                                                                                    \
        if (count == 2) halve_any_##T(d, rows, m, C, 2, box, lines);                                        \
        else halve_any_##T(d, rows, m, C, 4, box, lines);                                                   \
    } while (0)
#define HALVE_EITHER(T, C) do { if (box) HALVE_COUNT(T, C, 1); else HALVE_COUNT(T, C, 0); } while (0)
#define HALVE_SAME(T, C) HALVE_COUNT(T, C, box)
DEFINE_HALVES(f32, HALVE_EITHER)
DEFINE_HALVES(u8, HALVE_EITHER)
DEFINE_HALVES(u16, HALVE_SAME)
