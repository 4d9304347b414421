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
    static void planes_in_##T(void *pixels, const void *planes, int64_t step, int64_t n, int count)          \
    {                                                                                                       \
        int64_t part = i64min(L, n);                                                                        \
        for (int p = 0; p < PLANES; p += L)                                                                  \
            for (int64_t i = 0; i < n; i += L) {                                                            \
                int64_t at = i64max(0, i64min(i, n - L));                                                   \
                T *to = (T *)pixels + at * PLANES + p;                                                       \
                tile_##T r[L];                                                                             \
                for (int k = 0; k < L; k++) {                                                               \
                    const char *from = (const char *)planes + (p + k) * step + at * (int64_t)sizeof(T);     \
                    r[k] = (tile_##T){ 0 };                                                                \
                    if (p + k >= count) continue;                                                           \
                    if (part == L) memcpy(&r[k], from, sizeof r[k]);                                        \
                    else memcpy(&r[k], from, (size_t)part * sizeof(T));                                     \
                }                                                                                           \
                transpose_##T(r);                                                                           \
                for (int k = 0; k < part; k++) memcpy(to + k * PLANES, &r[k], sizeof r[k]);                  \
            }                                                                                               \
    }                                                                                                       \
    static void planes_out_##T(void *planes, int64_t step, const void *pixels, int64_t n, int count)         \
    {                                                                                                       \
        int64_t part = i64min(L, n);                                                                        \
        for (int p = 0; p < PLANES; p += L)                                                                  \
            for (int64_t i = 0; i < n; i += L) {                                                            \
                int64_t at = i64max(0, i64min(i, n - L));                                                   \
                const T *from = (const T *)pixels + at * PLANES + p;                                         \
                tile_##T r[L];                                                                             \
                for (int k = 0; k < L; k++) r[k] = (tile_##T){ 0 };                                        \
                for (int k = 0; k < part; k++) memcpy(&r[k], from + k * PLANES, sizeof r[k]);                \
                transpose_##T(r);                                                                           \
                for (int k = 0; k < L && p + k < count; k++) {                                              \
                    char *to = (char *)planes + (p + k) * step + at * (int64_t)sizeof(T);                   \
                    if (part == L) memcpy(to, &r[k], sizeof r[k]);                                          \
                    else memcpy(to, &r[k], (size_t)part * sizeof(T));                                       \
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
