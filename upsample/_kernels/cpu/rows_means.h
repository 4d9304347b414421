/* Means of rows, of which those of planes and volumes are made.
 *
 * A row's sum is one chain of additions in order, so rows lie side by side in the lanes of a
 * vector.  Their 16-byte pieces are loaded to where they belong, which takes no shuffle; then a
 * transposition inside pieces makes each vector one column of all rows.
 *
 * Included by rows_impl.h.
 */

/* At once, where a vector does not hold one of each row.  They are far apart, or compilers gather vectors sample by sample. */
#define MEAN_CHAINS 6

#define DEFINE_CHAINS(T)                                                                                    \
    INLINE void chains_of_##T(T *restrict d, const char *restrict s, int64_t step, int64_t rows, int64_t n) \
    {                                                                                                       \
        const int64_t part = rows / MEAN_CHAINS;                                                            \
        for (int64_t r = 0; r < part; r++) {                                                                \
            const T *x[MEAN_CHAINS];                                                                        \
            T a[MEAN_CHAINS];                                                                               \
            for (int k = 0; k < MEAN_CHAINS; k++) x[k] = (const T *)(s + (r + k * part) * step);            \
            for (int k = 0; k < MEAN_CHAINS; k++) a[k] = x[k][0];                                           \
            for (int64_t i = 1; i < n; i++)                                                                 \
                for (int k = 0; k < MEAN_CHAINS; k++) a[k] += x[k][i];                                      \
            for (int k = 0; k < MEAN_CHAINS; k++) d[r + k * part] = a[k] / (T)n;                            \
        }                                                                                                   \
        for (int64_t r = part * MEAN_CHAINS; r < rows; r++) {                                               \
            const T *x = (const T *)(s + r * step);                                                         \
            T a = x[0];                                                                                     \
            for (int64_t i = 1; i < n; i++) a += x[i];                                                      \
            d[r] = a / (T)n;                                                                                \
        }                                                                                                   \
    }                                                                                                       \
    static void chains_##T(T *restrict d, const char *restrict s, int64_t step, int64_t rows, int64_t n)    \
    {                                                                                                       \
        if (n == 7) chains_of_##T(d, s, step, rows, 7);                                                     \
        else chains_of_##T(d, s, step, rows, n);                                                            \
    }
DEFINE_CHAINS(f32)
DEFINE_CHAINS(f64)

#if defined(ROWS_VECTORS)

/* Vectors of 32 bytes at every level: wider ones have fewer ports, and were slower (measured). */
#define MEAN_GROUPS 2           /* vectors of rows at once: one chain alone waits for itself */
#define MEAN_AHEAD 4096         /* bytes; rows are not read in order, which the processor's own fetching follows less well */

/* One piece at p0 and one at p1, the first `samples` of them; the second is loaded without a shuffle where it is whole. */
INLINE __m256 pieces_f32(const char *p0, const char *p1, int samples)
{
    const float *a = (const float *)p0, *b = (const float *)p1;
    if (samples >= 4) return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(a)), _mm_loadu_ps(b), 1);
    const __m128i some = _mm_setr_epi32(-1, samples > 1 ? -1 : 0, samples > 2 ? -1 : 0, 0);
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_maskload_ps(a, some)), _mm_maskload_ps(b, some), 1);
}
INLINE __m256d pieces_f64(const char *p0, const char *p1, int samples)
{
    const double *a = (const double *)p0, *b = (const double *)p1;
    if (samples == 1) return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_load_sd(a)), _mm_load_sd(b), 1);
    return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(a)), _mm_loadu_pd(b), 1);
}

/* Columns [from, to) of a piece of each row are added; `samples` or `to` tell what may be read of it. */
INLINE __m256 add_columns_f32(__m256 a, const char *p0, const char *p1, int64_t step, int from, int to)
{
    const __m256 r0 = pieces_f32(p0, p1, to), r1 = pieces_f32(p0 + step, p1 + step, to);
    const __m256 r2 = pieces_f32(p0 + 2 * step, p1 + 2 * step, to), r3 = pieces_f32(p0 + 3 * step, p1 + 3 * step, to);
    const __m256 lo0 = _mm256_unpacklo_ps(r0, r1), hi0 = _mm256_unpackhi_ps(r0, r1);
    const __m256 lo1 = _mm256_unpacklo_ps(r2, r3), hi1 = _mm256_unpackhi_ps(r2, r3);
    if (from <= 0) a = _mm256_add_ps(a, _mm256_shuffle_ps(lo0, lo1, 0x44));
    if (from <= 1 && to > 1) a = _mm256_add_ps(a, _mm256_shuffle_ps(lo0, lo1, 0xee));
    if (from <= 2 && to > 2) a = _mm256_add_ps(a, _mm256_shuffle_ps(hi0, hi1, 0x44));
    if (to > 3) a = _mm256_add_ps(a, _mm256_shuffle_ps(hi0, hi1, 0xee));
    return a;
}
INLINE __m256d add_columns_f64(__m256d a, const char *p0, const char *p1, int64_t step, int from, int to)
{
    const __m256d r0 = pieces_f64(p0, p1, to), r1 = pieces_f64(p0 + step, p1 + step, to);
    if (from <= 0) a = _mm256_add_pd(a, _mm256_unpacklo_pd(r0, r1));
    if (to > 1) a = _mm256_add_pd(a, _mm256_unpackhi_pd(r0, r1));
    return a;
}

INLINE void put_f32(float *d0, float *d1, __m256 a)
{
    _mm_storeu_ps(d0, _mm256_castps256_ps128(a));
    _mm_storeu_ps(d1, _mm256_extractf128_ps(a, 1));
}
INLINE void put_f64(double *d0, double *d1, __m256d a)
{
    _mm_storeu_pd(d0, _mm256_castpd256_pd128(a));
    _mm_storeu_pd(d1, _mm256_extractf128_pd(a, 1));
}

/* Keeps a compiler from a pointer of its own for every row, which are more than there are registers. */
#define M_OWN(p) __asm__("" : "+r"(p))

/* Q: samples of a piece, and rows that share its place.  Sums begin with -0, which changes nothing that is added to it.  What
 * is left of a row is the end of its last whole piece. */
#define DEFINE_ROW_MEANS(T, V, name, Q)                                                                     \
    INLINE void sum_rows_##T(V *a, const char *const *p, int64_t step, int64_t n, int left, int groups)     \
    {                                                                                                       \
        const int64_t size = sizeof(T), end = (n - Q) * size, bytes = groups * 2 * Q * 16;                  \
        const int64_t further = step == n * size ? bytes : 0;                                               \
        const char *ahead = p[0] + (further ? MEAN_AHEAD : 0);                                              \
        for (int g = 0; g < groups; g++) a[g] = _mm256_set1_##name((T)-0.0);                                \
        for (int64_t at = 0; at <= end; at += 16) {                                                         \
            for (int g = 0; g < groups; g++)                                                                \
                a[g] = add_columns_##T(a[g], p[2 * g] + at, p[2 * g + 1] + at, step, 0, Q);                 \
            for (int64_t k = 0; k < bytes; k += 64) __builtin_prefetch(ahead + k);                          \
            ahead += further;                                                                               \
        }                                                                                                   \
        for (int g = 0; left && g < groups; g++)                                                            \
            if (n < Q) a[g] = add_columns_##T(a[g], p[2 * g], p[2 * g + 1], step, 0, left);                 \
            else a[g] = add_columns_##T(a[g], p[2 * g] + end, p[2 * g + 1] + end, step, Q - left, Q);       \
        for (int g = 0; g < groups; g++) a[g] = _mm256_div_##name(a[g], _mm256_set1_##name((T)n));          \
    }                                                                                                       \
    INLINE void row_means_of_##T(T *d, const char *s, int64_t step, int64_t rows, int64_t n, int left)      \
    {                                                                                                       \
        const int64_t near = Q * step;                                                                      \
        int64_t r = 0;                                                                                      \
        for (; r + MEAN_GROUPS * 2 * Q <= rows; r += MEAN_GROUPS * 2 * Q, s += MEAN_GROUPS * 2 * near) {    \
            const char *p[MEAN_GROUPS * 2];                                                                 \
            V a[MEAN_GROUPS];                                                                               \
            for (int k = 0; k < MEAN_GROUPS * 2; k++) { p[k] = k ? p[k - 1] + near : s; M_OWN(p[k]); }      \
            sum_rows_##T(a, p, step, n, left, MEAN_GROUPS);                                                 \
            for (int g = 0; g < MEAN_GROUPS; g++) _mm256_storeu_##name(d + r + g * 2 * Q, a[g]);            \
        }                                                                                                   \
        for (s -= r * step; r < rows; r += 2 * Q) {                                                         \
            /* the last rows, some of them once more */                                                     \
            const int64_t last = rows - Q, r0 = r + 2 * Q <= rows ? r : last < Q ? 0 : last - Q, r1 = i64min(r0 + Q, last); \
            const char *p[2] = { s + r0 * step, s + r1 * step };                                            \
            V a;                                                                                            \
            M_OWN(p[0]);                                                                                    \
            M_OWN(p[1]);                                                                                    \
            sum_rows_##T(&a, p, step, n, left, 1);                                                         \
            put_##T(d + r0, d + r1, a);                                                                     \
        }                                                                                                   \
    }                                                                                                       \
    static void row_means_##T(void *dst, const void *src, int64_t step, int64_t rows, int64_t n)            \
    {                                                                                                       \
        if (rows < Q) chains_##T(dst, src, step, rows, n);                                                  \
        else if (n == 7) row_means_of_##T(dst, src, step, rows, 7, 7 % Q);                                  \
        else if (n % Q == 0) row_means_of_##T(dst, src, step, rows, n, 0);                                  \
        else if (Q == 2 || n % Q == 1) row_means_of_##T(dst, src, step, rows, n, 1);                        \
        else if (n % Q == 2) row_means_of_##T(dst, src, step, rows, n, 2);                                  \
        else row_means_of_##T(dst, src, step, rows, n, 3);                                                  \
    }
DEFINE_ROW_MEANS(f32, __m256, ps, 4)
DEFINE_ROW_MEANS(f64, __m256d, pd, 2)

#else
#define DEFINE_ROW_MEANS(T)                                                                                 \
    static void row_means_##T(void *dst, const void *src, int64_t step, int64_t rows, int64_t n)            \
    {                                                                                                       \
        chains_##T(dst, src, step, rows, n);                                                                \
    }
DEFINE_ROW_MEANS(f32)
DEFINE_ROW_MEANS(f64)
#endif

/* ---- sums of few inputs ---------------------------------------------------------- */

#define DEFINE_FEW(T)                                                                                       \
    static void few_##T(void *dst, const void *src, int64_t outer, int64_t inner, const axis_runs *a)         \
    {                                                                                                       \
        T *restrict d = dst;                                                                                \
        for (int64_t i = 0; i < outer; i++)                                                                 \
            for (int64_t r = 0; r < a->runs; r++, d += inner) {                                             \
                const T *restrict x = (const T *)src + (i * a->inputs + a->first[r]) * inner;               \
                const T *restrict w = (const T *)a->weights + r * a->taps_max;                              \
                if (inner == 1) *d = wide_sum_##T(x, w, a->count[r], 1);                                    \
                else wide_channels_##T(d, x, w, a->count[r], inner, inner);                                 \
            }                                                                                               \
    }
DEFINE_FEW(f32)
DEFINE_FEW(f64)
