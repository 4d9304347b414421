/* Nearest: pixels of any dtype as bytes.
 *
 * Whole factor 2 loads a vector once and stores it four times, doubled, to two rows; any
 * other scale picks the bytes of a block of outputs from one or two loads, where they
 * lie close enough together.
 *
 * Included by rows_impl.h at levels with AVX2 or AVX-512, after rows_bytes.h.
 */

/* ---- nearest: one load, four stores ----------------------------------------- */

#if VL == 16
#define BV_DOUBLE(index, a) _mm512_permutexvar_epi8(index, a)
#else
#define BV_DOUBLE(index, a) _mm_shuffle_epi8(a, index)
#endif

/* For pixels of n bytes, byte v of those doubled: two vectors, of which the second begins with a pixel. */
#define DOUBLED(n, v) ((v) / (2 * (n)) * (n) + (v) % (n))
#define LANE(n, v) (uint8_t)(((v) < BVL ? DOUBLED(n, v) : DOUBLED(n, (v) - BVL + BVL / (n) * (n))) % BVL)
#define LANES_4(n, v) LANE(n, v), LANE(n, v + 1), LANE(n, v + 2), LANE(n, v + 3)
#define LANES_16(n, v) LANES_4(n, v), LANES_4(n, v + 4), LANES_4(n, v + 8), LANES_4(n, v + 12)
#if VL == 16
#define LANES(n) { LANES_16(n, 0), LANES_16(n, 16), LANES_16(n, 32), LANES_16(n, 48), \
                   LANES_16(n, 64), LANES_16(n, 80), LANES_16(n, 96), LANES_16(n, 112) }
#else
#define LANES(n) { LANES_16(n, 0), LANES_16(n, 16) }
#endif
static const uint8_t double_lanes[33][2 * BVL] = {
    [1] = LANES(1), [2] = LANES(2), [4] = LANES(4), [8] = LANES(8), [16] = LANES(16),
#if VL == 16
    [32] = LANES(32),
#else
    [3] = LANES(3), [6] = LANES(6), [12] = LANES(12),
#endif
};

/* Two vectors to each of one or two rows, `apart` bytes from each other. */
INLINE void store_doubled(char *d0, char *d1, int64_t apart, BV a, BV b, int both, int stream)
{
    if (stream) {
        BV_STREAM(d0, a);
        BV_STREAM(d0 + apart, b);
        if (both) { BV_STREAM(d1, a); BV_STREAM(d1 + apart, b); }
    } else {
        BV_STORE(d0, a);
        BV_STORE(d0 + apart, b);
        if (both) { BV_STORE(d1, a); BV_STORE(d1 + apart, b); }
    }
}

/* A row of less than one block. */
INLINE void double_short(char *d0, char *d1, const char *s, int64_t in, BV lo, BV hi, int both)
{
#if VL == 16
    const __mmask64 all = ~(__mmask64)0, left = 2 * in < BVL ? ((__mmask64)1 << 2 * in) - 1 : all;
    const __mmask64 right = 2 * in > BVL ? ((__mmask64)1 << (2 * in - BVL)) - 1 : 0;
    const BV x = _mm512_maskz_loadu_epi8(((__mmask64)1 << in) - 1, s);
    const BV a = BV_DOUBLE(lo, x), b = BV_DOUBLE(hi, x);
    _mm512_mask_storeu_epi8(d0, left, a);
    _mm512_mask_storeu_epi8(d0 + BVL, right, b);
    if (!both) return;
    _mm512_mask_storeu_epi8(d1, left, a);
    _mm512_mask_storeu_epi8(d1 + BVL, right, b);
#else
    char row[BVL] = { 0 }, made[2 * BVL];
    memcpy(row, s, (size_t)in);
    const BV x = BV_LOAD(row);
    BV_STORE(made, BV_DOUBLE(lo, x));
    BV_STORE(made + BVL, BV_DOUBLE(hi, x));
    memcpy(d0, made, (size_t)(2 * in));
    if (both) memcpy(d1, made, (size_t)(2 * in));
#endif
}

/* Whole blocks of n pixels that have lanes; how many pixels are done. */
INLINE int64_t double_blocks(char *d0, char *d1, const char *s, int64_t n, int64_t size, int both, int stream)
{
    const int64_t P = BVL / size, half = P * size, exact = BVL % size == 0;
    const BV lo = BV_LOAD(double_lanes[size]), hi = BV_LOAD(double_lanes[size] + BVL);
    if (exact && n < P) {
        double_short(d0, d1, s, n * size, lo, hi, both);
        return n;
    }
    if (n < P + !exact) return 0;
    for (int64_t i = 0;;) {
        const BV x = BV_LOAD(s + i * size);
        store_doubled(d0 + 2 * i * size, d1 + 2 * i * size, half, BV_DOUBLE(lo, x), BV_DOUBLE(hi, x), both, stream);
        i += P;
        if (i + P + !exact <= n) continue;      /* a vector that holds a part of a pixel may spill into the next */
        if (i >= n || !exact || stream) return i;
        i = n - P;                              /* the last block overlaps the one before */
    }
}

#if VL == 16
/* Pixels of 3, 6 and 12 bytes do not fill a vector, and stores of less than a vector cross lines and touch them twice.  So
 * whole vectors of the output instead, each from one load; their lanes repeat with every third. */
#define THIRD_START(n, r) (((r) * BVL / (2 * (n))) * (n))
#define THIRD_LANE(n, v) (uint8_t)(DOUBLED(n, v) - THIRD_START(n, (v) / BVL))
#define THIRD_4(n, v) THIRD_LANE(n, v), THIRD_LANE(n, v + 1), THIRD_LANE(n, v + 2), THIRD_LANE(n, v + 3)
#define THIRD_16(n, v) THIRD_4(n, v), THIRD_4(n, v + 4), THIRD_4(n, v + 8), THIRD_4(n, v + 12)
#define THIRD(n, r) THIRD_16(n, (r) * 64), THIRD_16(n, (r) * 64 + 16), THIRD_16(n, (r) * 64 + 32), THIRD_16(n, (r) * 64 + 48)
#define THIRDS(n) { THIRD(n, 0), THIRD(n, 1), THIRD(n, 2) }
static const uint8_t third_lanes[13][3 * BVL] = { [3] = THIRDS(3), [6] = THIRDS(6), [12] = THIRDS(12) };

INLINE void third_of(char *d0, char *d1, const char *s, int64_t left, __m512i lanes, int64_t rest, int both, int stream)
{
    const __mmask64 in = left < BVL ? ((__mmask64)1 << left) - 1 : ~(__mmask64)0;
    const BV x = _mm512_permutexvar_epi8(lanes, _mm512_maskz_loadu_epi8(in, s));
    if (rest >= BVL) {
        if (stream) BV_STREAM(d0, x); else BV_STORE(d0, x);
        if (!both) return;
        if (stream) BV_STREAM(d1, x); else BV_STORE(d1, x);
        return;
    }
    _mm512_mask_storeu_epi8(d0, ((__mmask64)1 << rest) - 1, x);
    if (both) _mm512_mask_storeu_epi8(d1, ((__mmask64)1 << rest) - 1, x);
}

INLINE void double_thirds(char *d0, char *d1, const char *s, int64_t n, int64_t size, int both, int stream)
{
    const BV lanes[3] = { BV_LOAD(third_lanes[size]), BV_LOAD(third_lanes[size] + BVL), BV_LOAD(third_lanes[size] + 2 * BVL) };
    const int64_t in = n * size, out = 2 * in, period = 3 * BVL / 2;
    int64_t i = 0, o = 0;
    for (; i + THIRD_START(size, 2) + BVL <= in; i += period, o += 3 * BVL)
        for (int r = 0; r < 3; r++)
            third_of(d0 + o + r * BVL, d1 + o + r * BVL, s + i + THIRD_START(size, r), BVL, lanes[r], BVL, both, stream);
    for (int r = 0; o < out; r++, o += BVL) {
        if (r == 3) { r = 0; i += period; }
        third_of(d0 + o, d1 + o, s + i + THIRD_START(size, r), in - i - THIRD_START(size, r), lanes[r], out - o, both, stream);
    }
}
#endif

/* ---- nearest at other scales: windows of bytes -------------------------------- */

#define COPY_PIXEL_MAX 16

INLINE void copy_windows(uint8_t *restrict d, const uint8_t *restrict s, const row_taps *t, int two)
{
    const int64_t bytes = t->m * t->pixel, whole = bytes / BVL;
    for (int64_t b = 0; b <= whole; b++) {
        if (b == whole && bytes % BVL == 0) break;
        const uint8_t *p = s + t->left[b];
        const BV pick = BV_LOAD(t->pick + b * BVL);
        const BV x = two ? bv_pick(pick, BV_LOAD(p), BV_LOAD(p + BVL)) : BV_DOUBLE(pick, BV_LOAD(p));
        if (b < whole) BV_STORE(d + b * BVL, x);
        else {
            uint8_t rest[BVL];
            BV_STORE(rest, x);
            memcpy(d + b * BVL, rest, (size_t)(bytes % BVL));
        }
    }
}
static void copy_window(void *d, const void *s, const row_taps *t) { copy_windows(d, s, t, 0); }
static void copy_window_two(void *d, const void *s, const row_taps *t) { copy_windows(d, s, t, 1); }

/* Pixels of a vector or more. */
INLINE void double_large(char *d0, char *d1, const char *s, int64_t n, int64_t size, int both, int stream)
{
    for (int64_t i = 0; i < n; i++, d0 += 2 * size, d1 += 2 * size, s += size)
        for (int64_t at = 0;; at = i64min(at + BVL, size - BVL)) {
            const BV x = BV_LOAD(s + at);
            store_doubled(d0 + at, d1 + at, size, x, x, both, stream);
            if (at == size - BVL) break;
        }
}

static void double_row(void *d0_, void *d1_, const void *src, const row_taps *t, int64_t size, void *spare, int lines)
{
    char *d0 = d0_, *d1 = d1_;
    const char *s = src;
    const int64_t n = t->m / 2, bytes = t->m * size;
    const int both = d1 != 0;
    const int large = size >= BVL && size > 16;
    const int thirds = VL == 16 && (size == 3 || size == 6 || size == 12);
    const int stream = spare && lines && (thirds || (large ? size % BVL : BVL % size + bytes % (2 * BVL)) == 0);
    if (spare && !stream) {
        double_row(spare, 0, s, t, size, 0, 0);
        stream_row(d0, spare, bytes);
        if (both) stream_row(d1, spare, bytes);
        return;
    }
    if (large) {
        if (both && stream) double_large(d0, d1, s, n, size, 1, 1);
        else if (both) double_large(d0, d1, s, n, size, 1, 0);
        else double_large(d0, d0, s, n, size, 0, stream);
        return;
    }
#if VL == 16
    if (thirds) {
        if (both && stream) double_thirds(d0, d1, s, n, size, 1, 1);
        else if (both) double_thirds(d0, d1, s, n, size, 1, 0);
        else double_thirds(d0, d0, s, n, size, 0, stream);
        return;
    }
#endif
    int64_t i = 0;
    if (size <= 32 && double_lanes[size][2 * BVL - 1]) {    /* a size that has lanes */
        if (both && stream) i = double_blocks(d0, d1, s, n, size, 1, 1);
        else if (both) i = double_blocks(d0, d1, s, n, size, 1, 0);
        else i = double_blocks(d0, d0, s, n, size, 0, stream);
    }
    for (; i < n; i++)
        for (int k = 0; k < 2; k++) {
            memcpy(d0 + (2 * i + k) * size, s + i * size, (size_t)size);
            if (both) memcpy(d1 + (2 * i + k) * size, s + i * size, (size_t)size);
        }
}

static int64_t copy_bytes_needed(int64_t outputs, int64_t size)
{
    int64_t blocks = (outputs * size + BVL - 1) / BVL;
    return size > COPY_PIXEL_MAX ? 0 : blocks * (4 + BVL) + 64;
}

/* Nearest: windows of bytes, where every block's pixels lie within one vector, or within two on end. */
static void pack_copy(row_taps *t, int64_t size, char *memory)
{
    const int64_t bytes = t->m * size, n = t->n * size, blocks = (bytes + BVL - 1) / BVL;
    int64_t widest = 0;
#define BYTE_AT(j) (t->index[(j) / size] * size + (j) % size)
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t first = t->index[b * BVL / size] * size, last = i64min((b + 1) * BVL, bytes) - 1;
        widest = i64max(widest, t->index[last / size] * size + size - first);
    }
    const int two = widest > BVL;
    if (widest > 2 * BVL || n < BVL * (1 + two)) return;
    int32_t *left = (int32_t *)memory;
    uint8_t *pick = (uint8_t *)memory + ((blocks * 4 + 63) & ~63);
    for (int64_t b = 0; b < blocks; b++) {
        left[b] = (int32_t)i64min(t->index[b * BVL / size] * size, n - BVL * (1 + two));
        for (int64_t v = 0; v < BVL; v++)
            pick[b * BVL + v] = (uint8_t)(BYTE_AT(i64min(b * BVL + v, bytes - 1)) - left[b]);
    }
#undef BYTE_AT
    t->left = left;
    t->pick = pick;
    t->pixel = (int32_t)size;
    t->window = two ? copy_window_two : copy_window;
}

/* ---- whole small planes -------------------------------------------------------
 *
 * A plane is one row of all its pixels, whatever of its rows end where: the bytes of a vector of outputs lie close together,
 * or close to two places where a row of outputs ends in it.
 */

INLINE BV plane_load(const uint8_t *s, int64_t bytes)
{
    if (bytes >= BVL) return BV_LOAD(s);
#if VL == 16
    return _mm512_maskz_loadu_epi8(((__mmask64)1 << bytes) - 1, s);
#else
    uint8_t all[BVL] = { 0 };
    memcpy(all, s, (size_t)bytes);
    return BV_LOAD(all);
#endif
}

/* Lanes of a pixel that no input comes to: they are zero. */
#if VL == 16
#define HOLE 0x80
INLINE BV pick_or_zero(BV index, BV a, BV b)
{
    return _mm512_maskz_permutex2var_epi8(_knot_mask64(_mm512_movepi8_mask(index)), a, index, b);
}
#else
#define HOLE 0x20
INLINE BV pick_or_zero(BV index, BV a, BV b) { return bv_pick(index, a, b); }
#endif

INLINE void copy_plane_any(uint8_t *restrict d, const uint8_t *restrict s, const row_taps *t, int two, int holes, int lines)
{
    const int64_t bytes = t->m * t->pixel, in = t->n * t->pixel;
    const int32_t *left = t->left;
    const uint8_t *pick = t->pick;
    for (int64_t at = 0; at < bytes; at += BVL, left += 2, pick += BVL) {
        const BV lanes = BV_LOAD(pick), a = plane_load(s + left[0], in);
        const BV x = holes ? pick_or_zero(lanes, a, plane_load(s + left[1], in))
                   : two ? bv_pick(lanes, a, plane_load(s + left[1], in)) : BV_DOUBLE(lanes, a);
        if (lines) BV_STREAM(d + at, x);
        else if (at + BVL <= bytes) BV_STORE(d + at, x);
        else {
#if VL == 16
            _mm512_mask_storeu_epi8(d + at, ((__mmask64)1 << (bytes - at)) - 1, x);
#else
            uint8_t rest[BVL];
            BV_STORE(rest, x);
            memcpy(d + at, rest, (size_t)(bytes - at));
#endif
        }
    }
}

/* With `lines` the plane that is made is whole lines, and leaves the cache. */
static void copy_plane(void *d, const void *s, const row_taps *t, int lines)
{
    if (lines) copy_plane_any(d, s, t, 1, t->holes, 1);
    else if (t->holes) copy_plane_any(d, s, t, 1, 1, 0);
    else if (t->one_load) copy_plane_any(d, s, t, 0, 0, 0);
    else copy_plane_any(d, s, t, 1, 0, 0);
}

/* Tables for a plane of t->m outputs by t->index (-1: nothing comes there), of pixels of `size` bytes; 0 where the bytes of
 * some vector lie in more than two places. */
static int pack_plane(row_taps *t, int64_t size, char *memory)
{
    const int64_t bytes = t->m * size, in = t->n * size, blocks = (bytes + BVL - 1) / BVL, most = i64max(0, in - BVL);
    int32_t *left = (int32_t *)memory;
    uint8_t *pick = (uint8_t *)memory + ((blocks * 8 + 63) & ~63);
    t->one_load = 1;
    t->holes = 0;
    for (int64_t b = 0; b < blocks; b++) {
        int64_t first = in, second = in, from[BVL];
        for (int64_t v = 0; v < BVL; v++) {
            const int64_t j = i64min(b * BVL + v, bytes - 1);
            const int64_t pixel = t->index[j / size];
            from[v] = pixel < 0 ? -1 : pixel * size + j % size;
            if (pixel < 0) t->holes = 1;
            else first = i64min(first, from[v]);
        }
        first = i64min(first, most);
        for (int64_t v = 0; v < BVL; v++)
            if (from[v] >= first + BVL) second = i64min(second, from[v]);
        if (second < in) t->one_load = 0;
        second = i64min(second, most);
        for (int64_t v = 0; v < BVL; v++) {
            const int64_t one = from[v] - first, two = from[v] - second;
            if (from[v] >= 0 && one >= BVL && two >= BVL) return 0;
            pick[b * BVL + v] = (uint8_t)(from[v] < 0 ? HOLE : one < BVL ? one : two + BVL);
        }
        left[2 * b] = (int32_t)first;
        left[2 * b + 1] = (int32_t)second;
    }
    t->left = left;
    t->pick = pick;
    t->pixel = (int32_t)size;
    return 1;
}

static int64_t plane_bytes_needed(int64_t outputs, int64_t size)
{
    const int64_t blocks = (outputs * size + BVL - 1) / BVL;
    return blocks * (8 + BVL) + 64;
}
