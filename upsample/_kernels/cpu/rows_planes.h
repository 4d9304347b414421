/* Planes side by side: samples of PLANES planes as pixels of PLANES channels, and back.
 *
 * That is a transpose.  L samples of L planes are transposed in log2(L) rounds, in each of which row i and row i + L/2 are
 * interleaved to rows 2i and 2i + 1.  The last such tile of a row ends with the row and may begin within the tile before
 * it, so that nothing outside is touched.  For every size of samples and every level alike, in the compiler's own vectors.
 */

#if defined(__AVX512BW__)
#define PLANES_VECTOR 64
#elif defined(__AVX2__)
#define PLANES_VECTOR 32
#else
#define PLANES_VECTOR 16
#endif

#ifdef __clang__
#define MIX_VECTORS(V, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MIX_VECTORS(V, a, b, ...) __builtin_shuffle(a, b, (V){ __VA_ARGS__ })
#endif
#define LOW_2 0, 2
#define HIGH_2 1, 3
#define LOW_4 0, 4, 1, 5
#define HIGH_4 2, 6, 3, 7
#define LOW_8 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_8 4, 12, 5, 13, 6, 14, 7, 15
#define LOW_16 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_16 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31

/* The first n bytes of a vector; nothing else is touched in memory. */
#if PLANES_VECTOR == 64
#define BYTES_BEFORE(n) (((__mmask64)1 << (n)) - 1)
#define LOAD_FIRST(r, s, n)                                                                                 \
    do { const __m512i all = _mm512_maskz_loadu_epi8(BYTES_BEFORE(n), s); memcpy(&(r), &all, sizeof(r)); } while (0)
#define STORE_FIRST(d, r, n)                                                                                \
    do {                                                                                                    \
        __m512i all = _mm512_setzero_si512();                                                               \
        memcpy(&all, &(r), sizeof(r));                                                                      \
        _mm512_mask_storeu_epi8(d, BYTES_BEFORE(n), all);                                                    \
    } while (0)
#else
/* Two moves that overlap: memcpy of so few bytes takes longer to begin. */
INLINE void copy_few(char *d, const char *s, int64_t n)
{
#define TWO_MOVES(B)                                                                                        \
    if (n >= B) {                                                                                           \
        const char *second = s + (n - B);                                                                   \
        char a[B], b[B];                                                                                    \
        memcpy(a, s, B);                                                                                    \
        memcpy(b, second, B);                                                                               \
        memcpy(d, a, B);                                                                                    \
        memcpy(d + (n - B), b, B);                                                                          \
        return;                                                                                             \
    }
    TWO_MOVES(16)
    TWO_MOVES(8)
    TWO_MOVES(4)
    TWO_MOVES(2)
    TWO_MOVES(1)
#undef TWO_MOVES
}
#define LOAD_FIRST(r, s, n) copy_few((char *)&(r), s, n)
#define STORE_FIRST(d, r, n) copy_few(d, (const char *)&(r), n)
#endif

#define DEFINE_PLANES(T, L)                                                                                  \
    typedef T tile_##T __attribute__((vector_size(L * sizeof(T))));                                        \
    INLINE void transpose_##T(tile_##T *r)                                                                 \
    {                                                                                                       \
        tile_##T t[L];                                                                                     \
        for (int half = 1; half < L; half *= 2) {                                                           \
            for (int i = 0; i < L / 2; i++) {                                                               \
                t[2 * i] = MIX_VECTORS(tile_##T, r[i], r[i + L / 2], LOW_##L);                               \
                t[2 * i + 1] = MIX_VECTORS(tile_##T, r[i], r[i + L / 2], HIGH_##L);                          \
            }                                                                                               \
            for (int i = 0; i < L; i++) r[i] = t[i];                                                        \
        }                                                                                                   \
    }                                                                                                       \
    static void planes_in_##T(void *pixels, int64_t apart, const void *planes, int64_t step, int64_t n, int count) \
    {                                                                                                       \
        int64_t part = i64min(L, n);                                                                        \
        for (int p = 0; p < PLANES; p += L)                                                                  \
            for (int64_t i = 0; i < n; i += L) {                                                            \
                int64_t at = i64max(0, i64min(i, n - L));                                                   \
                char *to = (char *)pixels + at * apart + p * (int64_t)sizeof(T);                            \
                tile_##T r[L];                                                                             \
                for (int k = 0; k < L; k++) {                                                               \
                    const char *from = (const char *)planes + (p + k) * step + at * (int64_t)sizeof(T);     \
                    r[k] = (tile_##T){ 0 };                                                                \
                    if (p + k >= count) continue;                                                           \
                    if (part == L) memcpy(&r[k], from, sizeof r[k]);                                        \
                    else LOAD_FIRST(r[k], from, part * (int64_t)sizeof(T));                                   \
                }                                                                                           \
                transpose_##T(r);                                                                           \
                for (int k = 0; k < part; k++) memcpy(to + k * apart, &r[k], sizeof r[k]);                  \
            }                                                                                               \
    }                                                                                                       \
    static void planes_out_##T(void *planes, int64_t step, const void *pixels, int64_t apart, int64_t n, int count) \
    {                                                                                                       \
        int64_t part = i64min(L, n);                                                                        \
        for (int p = 0; p < PLANES; p += L)                                                                  \
            for (int64_t i = 0; i < n; i += L) {                                                            \
                int64_t at = i64max(0, i64min(i, n - L));                                                   \
                const char *from = (const char *)pixels + at * apart + p * (int64_t)sizeof(T);               \
                tile_##T r[L];                                                                             \
                for (int k = 0; k < L; k++) r[k] = (tile_##T){ 0 };                                        \
                for (int k = 0; k < part; k++) memcpy(&r[k], from + k * apart, sizeof r[k]);                \
                transpose_##T(r);                                                                           \
                for (int k = 0; k < L && p + k < count; k++) {                                              \
                    char *to = (char *)planes + (p + k) * step + at * (int64_t)sizeof(T);                   \
                    if (part == L) memcpy(to, &r[k], sizeof r[k]);                                          \
                    else STORE_FIRST(to, r[k], part * (int64_t)sizeof(T));                                      \
                }                                                                                           \
            }                                                                                               \
    }
#if PLANES_VECTOR == 64
DEFINE_PLANES(uint8_t, 16)
DEFINE_PLANES(uint16_t, 16)
DEFINE_PLANES(uint32_t, 16)
DEFINE_PLANES(uint64_t, 8)
#elif PLANES_VECTOR == 32
DEFINE_PLANES(uint8_t, 16)
DEFINE_PLANES(uint16_t, 16)
DEFINE_PLANES(uint32_t, 8)
DEFINE_PLANES(uint64_t, 4)
#else
DEFINE_PLANES(uint8_t, 16)
DEFINE_PLANES(uint16_t, 8)
DEFINE_PLANES(uint32_t, 4)
DEFINE_PLANES(uint64_t, 2)
#endif
