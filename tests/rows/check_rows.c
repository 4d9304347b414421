/* Every row primitive against the one sum written out, sample by sample and to the bit.
 *
 * The primitives are plain C that each compiler vectorises in its own way, also for machines that
 * are seldom at hand: this program needs no Python, so that it runs in an emulator too.  Link it
 * with rows_baseline.c, rows_avx2.c and rows_avx512.c.  Build all of them with -ffp-contract=off,
 * or the sums written here are not the ones that are meant.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"

typedef float f32;
typedef double f64;
typedef uint8_t u8;
typedef int8_t i8;

enum { ARENA = 1 << 21, ROOM = 64, OUTPUTS = 4096, TAPS = 80, PACKED_CHANNELS = 15, DOUBLED_CHANNELS = 8 };

static const row_table *table;
static int fused;
static long long compared;
static char doing[200];

#define COUNT_OF(a) ((int)(sizeof(a) / sizeof *(a)))

/* ---- failing -------------------------------------------------------------- */

static void say(const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    vsnprintf(doing, sizeof doing, format, rest);
    va_end(rest);
}

static void fail(int64_t at, double got, double want)
{
    printf("%s: %s: at %lld got %.17g (%a), want %.17g (%a)\n", table->name, doing, (long long)at, got, got, want, want);
    exit(1);
}

/* A NaN's sign and payload are the processor's own choice. */
static void equal_f32(const void *got_, const void *want_, int64_t n)
{
    const f32 *got = got_, *want = want_;
    for (int64_t i = 0; i < n; i++)
        if (memcmp(got + i, want + i, 4) && !(got[i] != got[i] && want[i] != want[i])) fail(i, got[i], want[i]);
    compared += n;
}
static void equal_f64(const void *got_, const void *want_, int64_t n)
{
    const f64 *got = got_, *want = want_;
    for (int64_t i = 0; i < n; i++)
        if (memcmp(got + i, want + i, 8) && !(got[i] != got[i] && want[i] != want[i])) fail(i, got[i], want[i]);
    compared += n;
}
static void equal_u8(const void *got_, const void *want_, int64_t n)
{
    const u8 *got = got_, *want = want_;
    for (int64_t i = 0; i < n; i++)
        if (got[i] != want[i]) fail(i, got[i], want[i]);
    compared += n;
}
static void equal_i8(const void *got_, const void *want_, int64_t n)
{
    const i8 *got = got_, *want = want_;
    for (int64_t i = 0; i < n; i++)
        if (got[i] != want[i]) fail(i, got[i], want[i]);
    compared += n;
}

static char *arena(int which)
{
    static char *arenas[16];
    if (!arenas[which] && !(arenas[which] = aligned_alloc(64, ARENA))) abort();
    return arenas[which];
}

/* An output between guards: a vector too many shows in them. */
static char *output(int which, int64_t bytes, int64_t shift)
{
    if (bytes + shift + 2 * ROOM > ARENA) abort();
    memset(arena(which), 0xa5, (size_t)(bytes + shift + 2 * ROOM));
    return arena(which) + ROOM + shift;
}
static void guards(const char *p, int64_t bytes)
{
    for (int64_t i = 0; i < ROOM; i++) {
        if ((u8)p[i - ROOM] != 0xa5) fail(i - ROOM, (u8)p[i - ROOM], 0xa5);
        if ((u8)p[bytes + i] != 0xa5) fail(bytes + i, (u8)p[bytes + i], 0xa5);
    }
}

/* ---- samples -------------------------------------------------------------- */

static uint64_t random_bits(void)
{
    static uint64_t x = 0x9e3779b97f4a7c15u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x * 0x2545f4914f6cdd1du;
}
static int64_t below(int64_t n) { return (int64_t)(random_bits() >> 33) % n; }
static double uniform(double lo, double hi) { return lo + (hi - lo) * (double)(random_bits() >> 11) * 0x1p-53; }

static double sample(void)
{
    static const double odd_ones[] = { 0.0, -0.0, INFINITY, -INFINITY, NAN, 0x1p-140, -0x1.8p-149, 3e38, -3e38, 0x1p-1074 };
    return below(256) ? uniform(-1000, 1000) : odd_ones[below(COUNT_OF(odd_ones))];
}
static void fill_f32(void *x, int64_t n) { for (int64_t i = 0; i < n; i++) ((f32 *)x)[i] = (f32)sample(); }
static void fill_f64(void *x, int64_t n) { for (int64_t i = 0; i < n; i++) ((f64 *)x)[i] = sample(); }
static void fill_bytes(void *x, int64_t n)
{
    /* many extremes: they are what reaches the clamp */
    for (int64_t i = 0; i < n; i++) ((u8 *)x)[i] = (u8)(below(4) ? below(256) : below(2) ? 255 - 128 * below(2) : 128 * below(2));
}

static void set_weight(int acc, int32_t shift, void *w, int64_t at, double v)
{
    if (acc == ACC_F32) ((f32 *)w)[at] = (f32)v;
    else if (acc == ACC_F64) ((f64 *)w)[at] = v;
    else ((int16_t *)w)[at] = (int16_t)lrint(v * (1 << shift));
}
static double weight(void) { return below(16) ? uniform(-0.5, 1) : 0; }

/* ---- the one sum ----------------------------------------------------------- */

static f32 add_f32(f32 w, f32 x, f32 a) { return fused ? fmaf(w, x, a) : w * x + a; }
static f64 add_f64(f64 w, f64 x, f64 a) { return fused ? fma(w, x, a) : w * x + a; }

/* `last` is the divisor of a box, which has no weights, or the shift of integer weights. */
#define DEFINE_SUM_FLOAT(T)                                                                                 \
    static T sum_##T(const T *x, const T *w, int count, int32_t last)                                       \
    {                                                                                                       \
        if (count == 0) return 0;                                                                           \
        if (!w) {                                                                                           \
            T a = x[0];                                                                                     \
            for (int k = 1; k < count; k++) a += x[k];                                                      \
            return a / (T)last;                                                                             \
        }                                                                                                   \
        if (count == 1) return w[0] * x[0];                                                                 \
        T a = w[1] * x[1];                                                                                  \
        a = add_##T(w[0], x[0], a);                                                                         \
        for (int k = 2; k < count; k++) a = add_##T(w[k], x[k], a);                                         \
        return a;                                                                                           \
    }
#define DEFINE_SUM_BYTES(T, lo, hi)                                                                         \
    static T sum_##T(const T *x, const int16_t *w, int count, int32_t last)                                 \
    {                                                                                                       \
        int64_t a = (int64_t)1 << last >> 1;                                                                \
        for (int k = 0; k < count; k++) a += (int64_t)w[k] * x[k];                                          \
        a >>= last;                                                                                         \
        return (T)(a < lo ? lo : a > hi ? hi : a);                                                          \
    }
DEFINE_SUM_FLOAT(f32)
DEFINE_SUM_FLOAT(f64)
DEFINE_SUM_BYTES(u8, 0, 255)
DEFINE_SUM_BYTES(i8, -128, 127)

#define DEFINE_WANT(T, W)                                                                                   \
    static void want_h_##T(void *d, const void *s, const row_taps *t, int form)                             \
    {                                                                                                       \
        const int fixed = form == FORM_FIXED || form == FORM_DOUBLED;                                            \
        for (int64_t o = 0; o < t->m; o++)                                                                  \
            for (int64_t c = 0; c < t->inner; c++) {                                                        \
                T x[TAPS] = { 0 };                                                                          \
                W w[TAPS] = { 0 };                                                                          \
                const int count = fixed ? t->taps_max : t->count[o];                                        \
                for (int k = 0; k < count; k++) {                                                           \
                    const int64_t at = fixed ? t->index[k * t->m + o] : t->first[o] + k;                    \
                    x[k] = ((const T *)s)[at * t->inner + c];                                               \
                    if (form != FORM_BOX) w[k] = ((const W *)t->weights)[fixed ? k * t->m + o : o * t->taps_max + k]; \
                }                                                                                           \
                ((T *)d)[o * t->inner + c] = sum_##T(x, form == FORM_BOX ? 0 : w, count, form == FORM_BOX ? count : t->shift); \
            }                                                                                               \
    }                                                                                                       \
    static void want_v_##T(void *d, const void *const *rows, const void *w, int64_t n, int taps, int32_t last) \
    {                                                                                                       \
        for (int64_t i = 0; i < n; i++) {                                                                   \
            T x[TAPS] = { 0 };                                                                              \
            for (int k = 0; k < taps; k++) x[k] = ((const T *)rows[k])[i];                                  \
            ((T *)d)[i] = sum_##T(x, w, taps, last);                                                        \
        }                                                                                                   \
    }
DEFINE_WANT(f32, f32)
DEFINE_WANT(f64, f64)
DEFINE_WANT(u8, int16_t)
DEFINE_WANT(i8, int16_t)

static const struct {
    const char *name;
    int64_t size, weight;
    void (*fill)(void *x, int64_t n);
    void (*equal)(const void *got, const void *want, int64_t n);
    void (*want_h)(void *d, const void *s, const row_taps *t, int form);
    void (*want_v)(void *d, const void *const *rows, const void *w, int64_t n, int taps, int32_t last);
} accs[ACC_COUNT] = {
    { "f32", 4, 4, fill_f32, equal_f32, want_h_f32, want_v_f32 },
    { "f64", 8, 8, fill_f64, equal_f64, want_h_f64, want_v_f64 },
    { "u8", 1, 2, fill_bytes, equal_u8, want_h_u8, want_v_u8 },
    { "i8", 1, 2, fill_bytes, equal_i8, want_h_i8, want_v_i8 },
};

/* ---- load and store -------------------------------------------------------- */

static const struct { const char *name; int64_t size; double lo, hi; int mantissa, least, most; } dtypes[DTYPE_COUNT] = {
    { "f32", 4, 0, 0, 0, 0, 0 }, { "f64", 8, 0, 0, 0, 0, 0 }, { "f16", 2, 0, 0, 10, -14, 15 }, { "bf16", 2, 0, 0, 7, -126, 127 },
    { "u8", 1, 0, 255, 0, 0, 0 }, { "i8", 1, -128, 127, 0, 0, 0 }, { "u16", 2, 0, 65535, 0, 0, 0 },
    { "i16", 2, -32768, 32767, 0, 0, 0 },
};

/* 16-bit floats by their definition, in float64, which holds them all. */
static double value_of(int dtype, uint16_t u)
{
    const int p = dtypes[dtype].mantissa, e = (u & 0x7fff) >> p, m = u & ((1 << p) - 1), top = 0x7fff >> p;
    const double size = e == top ? (m ? NAN : INFINITY) : ldexp(e ? m + (1 << p) : m, (e ? e : 1) - 1 + dtypes[dtype].least - p);
    return u & 0x8000 ? -size : size;
}
static uint16_t pattern_of(int dtype, double x)
{
    const int p = dtypes[dtype].mantissa, least = dtypes[dtype].least, infinite = (dtypes[dtype].most - least + 2) << p;
    const int sign = signbit(x) ? 0x8000 : 0;
    int e;
    if (isinf(x)) return (uint16_t)(sign | infinite);
    frexp(x, &e);
    e = x == 0 || e - 1 < least ? least : e - 1;
    if (e > dtypes[dtype].most) return (uint16_t)(sign | infinite);
    return (uint16_t)(sign | (((e - least) << p) + (int)nearbyint(ldexp(fabs(x), p - e))));
}

static double load_want(int dtype, const void *x, int64_t i)
{
    switch (dtype) {
    case DTYPE_F32: return ((const f32 *)x)[i];
    case DTYPE_F64: return ((const f64 *)x)[i];
    case DTYPE_U8: return ((const u8 *)x)[i];
    case DTYPE_I8: return ((const i8 *)x)[i];
    case DTYPE_U16: return ((const uint16_t *)x)[i];
    case DTYPE_I16: return ((const int16_t *)x)[i];
    default: return value_of(dtype, ((const uint16_t *)x)[i]);
    }
}

static void store_equal(int dtype, const void *got, int64_t i, double x)
{
    if (dtype == DTYPE_F32) { f32 want = (f32)x; equal_f32((const f32 *)got + i, &want, 1); return; }
    if (dtype == DTYPE_F64) { equal_f64((const f64 *)got + i, &x, 1); return; }
    if (dtype == DTYPE_F16 || dtype == DTYPE_BF16) {
        const uint16_t u = ((const uint16_t *)got)[i];
        if (x != x ? value_of(dtype, u) == value_of(dtype, u) : u != pattern_of(dtype, x)) {
            const size_t used = strlen(doing);
            snprintf(doing + used, sizeof doing - used, " of %a gives %#x", x, u);
            fail(i, value_of(dtype, u), x != x ? x : value_of(dtype, pattern_of(dtype, x)));
        }
    } else {
        const double lo = dtypes[dtype].lo, hi = dtypes[dtype].hi, want = nearbyint(x < lo ? lo : x > hi ? hi : x);
        if (load_want(dtype, got, i) != want) fail(i, load_want(dtype, got, i), want);
    }
    compared++;
}

static const int lengths[] = { 0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 255, 256, 257, 513, 700 };

static void check_load(int dtype, int wide)
{
    const int64_t n = 65536, size = dtypes[dtype].size, acc = wide ? 8 : 4;
    char *x = arena(0);
    if (!table->load[dtype][wide]) return;
    if (dtype == DTYPE_F32) fill_f32(x, n);
    else if (dtype == DTYPE_F64) fill_f64(x, n);
    else for (int64_t i = 0; i < n; i++) { if (size == 2) ((uint16_t *)x)[i] = (uint16_t)i; else ((u8 *)x)[i] = (u8)i; }
    for (int c = 0; c <= COUNT_OF(lengths); c++) {
        const int64_t len = c ? lengths[c - 1] : n, from = c ? below(n - len) : 0;
        char *d = output(1, len * acc, 8 * below(8));
        table->load[dtype][wide](d, x + from * size, len);
        say("load %s to %s, %lld samples", dtypes[dtype].name, wide ? "f64" : "f32", (long long)len);
        guards(d, len * acc);
        for (int64_t i = 0; i < len; i++) {
            const double want = load_want(dtype, x + from * size, i);
            const f32 narrow = (f32)want;
            if (wide) equal_f64((const f64 *)d + i, &want, 1);
            else equal_f32((const f32 *)d + i, &narrow, 1);
        }
    }
    if ((dtype != DTYPE_F16 && dtype != DTYPE_BF16) || !table->store[dtype][wide]) return;
    char *line = output(1, n * acc, 0);
    uint16_t *back = (uint16_t *)output(2, n * 2, 0);
    table->load[dtype][wide](line, x, n);
    table->store[dtype][wide](back, line, n);
    say("round trip of %s through %s", dtypes[dtype].name, wide ? "f64" : "f32");
    for (int64_t i = 0; i < n; i++) {
        const double v = value_of(dtype, (uint16_t)i);
        if (v == v ? back[i] != i : value_of(dtype, back[i]) == value_of(dtype, back[i])) fail(i, back[i], (double)i);
    }
    compared += n;
}

/* x and its neighbours in the type that is stored from: a tie, and what lies just beside it. */
static int64_t around(double *to, double x, int wide)
{
    to[0] = x;
    to[1] = wide ? nextafter(x, INFINITY) : nextafterf((f32)x, INFINITY);
    to[2] = wide ? nextafter(x, -INFINITY) : nextafterf((f32)x, -INFINITY);
    return 3;
}

static void check_store(int dtype, int wide)
{
    static double x[1 << 18];
    static const double odd_ones[] = { 0.0, -0.0, INFINITY, -INFINITY, 3e38, -3e38, 65519.99, 65520, 1e30, -1e30, 0x1p-25, 0x1.1p-25, 0x1p-149, 0x1p-134 };
    const int64_t size = dtypes[dtype].size, acc = wide ? 8 : 4;
    const int sixteen = dtype == DTYPE_F16 || dtype == DTYPE_BF16, integer = dtype >= DTYPE_U8;
    int64_t n = 0;
    if (!table->store[dtype][wide]) return;
    for (int i = 0; i < COUNT_OF(odd_ones); i++) x[n++] = odd_ones[i];
    if (!integer) x[n++] = NAN;
    for (int u = 0; sixteen && u < 0x7fff; u++) {
        const double a = value_of(dtype, (uint16_t)u), b = value_of(dtype, (uint16_t)(u + 1));
        if (isfinite(b)) n += around(x + n, (u % 2 ? 1 : -1) * (a + b) / 2, wide);
    }
    if (integer)
        for (double v = dtypes[dtype].lo - 3; v < dtypes[dtype].hi + 3; v += 1) n += around(x + n, v + 0.5, wide);
    for (int i = 0; i < 20000; i++) {
        const uint64_t u = random_bits();
        const uint32_t low = (uint32_t)u;
        f32 f;
        double any;
        memcpy(&f, &low, 4);
        memcpy(&any, &u, 8);
        any = integer ? uniform(dtypes[dtype].lo - 9, dtypes[dtype].hi + 9) : wide && i % 2 ? any : f;
        if (!integer || any == any) x[n++] = any;
    }
    for (int64_t i = 0; i < n; i++) {
        if (wide) ((f64 *)arena(0))[i] = x[i];
        else {
            ((f32 *)arena(0))[i] = (f32)x[i];
            x[i] = (f32)x[i];
        }
    }
    for (int c = 0; c <= COUNT_OF(lengths); c++) {
        const int64_t len = c ? lengths[c - 1] : n, from = c ? below(n - len) : 0;
        char *d = output(1, len * size, 8 * below(8));
        table->store[dtype][wide](d, arena(0) + from * acc, len);
        for (int64_t i = 0; i < len; i++) {
            say("store %s from %s, %lld samples", dtypes[dtype].name, wide ? "f64" : "f32", (long long)len);
            store_equal(dtype, d, i, x[from + i]);
        }
        guards(d, len * size);
    }
}

/* ---- H and D passes --------------------------------------------------------- */

static void check_v(int acc, int box)
{
    const v_ops *ops = &table->v[acc][box];
    const int64_t size = accs[acc].size, most = 700;
    const void *rows[TAPS];
    for (int taps = 1; taps <= 40; taps++)
        for (int c = 0; c < COUNT_OF(lengths); c++) {
            const int64_t n = lengths[c], shift = 8 * below(8);
            const int32_t precision = (int32_t)(4 + below(11)), last = box ? taps : precision;
            f64 w[TAPS];
            accs[acc].fill(arena(0), taps * (most + 8));
            for (int k = 0; k < taps; k++) {
                rows[k] = arena(0) + k * (most + 8) * size;
                set_weight(acc, precision, w, k, weight());
            }
            char *want = arena(1), *d = output(2, n * size, shift), *sum = output(3, 8 * n, 0);
            accs[acc].want_v(want, rows, box ? 0 : w, n, taps, last);
            say("v %s%s whole, %d taps, %lld samples", box ? "box " : "", accs[acc].name, taps, (long long)n);
            if (taps <= ROW_GROUP && ops->whole) {
                ops->whole(d, rows, w, n, taps, last);
                accs[acc].equal(d, want, n);
                guards(d, n * size);
            }
            if (taps <= ROW_GROUP && !box && table->stream[acc]) {
                say("v %s streamed, %d taps, %lld samples", accs[acc].name, taps, (long long)n);
                d = output(2, n * size, shift);
                table->stream[acc](d, rows, w, n, taps, last);
                table->stream_end();
                accs[acc].equal(d, want, n);
                guards(d, n * size);
            }
            if (!ops->begin) continue;
            d = output(2, n * size, shift);
            const int head = taps < 3 ? taps : (int)(2 + below(taps < ROW_GROUP ? taps - 1 : ROW_GROUP - 1));
            say("v %s%s begun with %d of %d taps, %lld samples", box ? "box " : "", accs[acc].name, head, taps, (long long)n);
            ops->begin(sum, rows, w, n, head, last);
            for (int k = head; k < taps; k += ROW_GROUP)
                ops->more(sum, rows + k, (const char *)w + k * accs[acc].weight, n, taps - k < ROW_GROUP ? taps - k : ROW_GROUP, last);
            ops->end(d, sum, n, last);
            accs[acc].equal(d, want, n);
            guards(d, n * size);
        }
}

/* ---- W pass ------------------------------------------------------------------ */

static int32_t indexes[TAPS * OUTPUTS], counts[OUTPUTS];
static f64 weights[TAPS * OUTPUTS];
static const int channels[] = { 1, 2, 3, 4, 5, 8, 16, 300 };
static const int widths[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33, 47, 64, 65, 100, 129, 257, 600 };

static int64_t clip(int64_t at, int64_t n) { return at < 0 ? 0 : at >= n ? n - 1 : at; }

static void check_h_taps(int acc, int form, row_taps *t)
{
    const int64_t size = accs[acc].size, n = t->m * t->inner, bytes = n * size;
    char *src = arena(0), *want = arena(1), *d = output(2, bytes, 8 * below(8));
    accs[acc].fill(src, t->n * t->inner);
    accs[acc].want_h(want, src, t, form);
    table->h[acc][form](d, src, t);
    accs[acc].equal(d, want, n);
    guards(d, bytes);
    const int64_t memory = t->inner > PACKED_CHANNELS ? 0 : table->pack_bytes(acc, t->taps_max, n);
    if (!memory) return;
    if (memory + 128 > ARENA) abort();
    table->pack(t, acc, form, arena(3));
    if (!t->window && !t->pair) return;
    const size_t used = strlen(doing);
    snprintf(doing + used, sizeof doing - used, ", packed");
    d = output(2, bytes, 8 * below(8));
    (t->window ? t->window : table->h[acc][form])(d, src, t);
    accs[acc].equal(d, want, n);
    guards(d, bytes);
}

static void check_h(int acc, int form, int taps, int64_t inner, int64_t m, double scale)
{
    const int fixed = form == FORM_FIXED;
    int64_t n = (int64_t)(m * scale) + 1, last = 0;
    const int scattered = fixed && below(8) == 0;      /* anywhere, in ascending order */
    int64_t scatter = below(n);
    row_taps t = { .m = m, .inner = inner, .taps_max = taps, .shift = (int32_t)(4 + below(11)) };
    for (int64_t o = 0; o < m; o++) {
        scatter += below(2 + (int64_t)(2 * scale) * below(2));
        const int64_t at = scattered ? scatter : (int64_t)floor(o * scale) - taps / 2 + 1;
        const int64_t count = 1 + below(taps), first = clip(at, n);
        counts[o] = (int32_t)(first + count > n ? n - first : count);
        if (acc >= ACC_U8 && form == FORM_WIDE && below(16) == 0) counts[o] = 0;
        if (!fixed) indexes[o] = (int32_t)first;
        for (int k = 0; k < taps; k++) {
            const int64_t where = clip(at + k, n);
            if (fixed) indexes[k * m + o] = (int32_t)where;
            if (fixed && where > last) last = where;
            set_weight(acc, t.shift, weights, o * taps + k, weight());
        }
        if (!fixed && first + counts[o] - 1 > last) last = first + counts[o] - 1;
    }
    t.n = last + 1;
    t.index = t.first = indexes;
    t.count = counts;
    t.weights = weights;
    say("h %s %s, %d taps, %lld to %lld of %lld channels, shift %d", accs[acc].name,
        fixed ? "fixed" : form == FORM_WIDE ? "wide" : "box", taps, (long long)t.n, (long long)m, (long long)inner, t.shift);
    check_h_taps(acc, form, &t);
}

/* A tile of whole factor 2, from output lo on, of a row of n inputs. */
static void check_doubled(int acc, int taps, int64_t inner, int64_t n, int64_t lo, int64_t m, int usual)
{
    static const double linear[2][4] = { { 0.25, 0.75 }, { 0.75, 0.25 } };
    static const double cubic[2][4] = { { -9 / 256., 67 / 256., 225 / 256., -27 / 256. }, { -27 / 256., 225 / 256., 67 / 256., -9 / 256. } };
    const int64_t reach = taps / 2, src = clip(lo / 2 - reach, n);
    const int64_t a = reach - lo / 2 > 0 ? reach - lo / 2 : 0, b = n - reach - lo / 2 < m / 2 ? n - reach - lo / 2 : m / 2;
    double inside[2][4];
    int64_t last = 0;
    if (b - a < 2) return;
    for (int k = 0; k < taps; k++)
        for (int i = 0; i < 2; i++) inside[i][k] = usual ? (taps == 2 ? linear : cubic)[i][k] : weight();
    row_taps t = { .m = m, .inner = inner, .taps_max = taps, .shift = (int32_t)(8 + below(7)), .doubled_lo = a, .doubled_hi = b,
                   .doubled_src = lo / 2 - src, .index = indexes, .weights = weights, .count = counts };
    for (int64_t o = 0; o < m; o++) {
        counts[o] = taps;
        for (int k = 0; k < taps; k++) {
            const int64_t at = clip((lo + o) / 2 - reach + (lo + o) % 2 + k, n);
            indexes[k * m + o] = (int32_t)(at - src);
            if (at > last) last = at;
            set_weight(acc, t.shift, weights, k * m + o, o >= 2 * a && o < 2 * b ? inside[o % 2][k] : weight());
        }
    }
    t.n = last - src + 1;
    say("h %s doubled, %d taps, %lld to %lld from %lld of %lld channels, shift %d", accs[acc].name, taps, (long long)t.n, (long long)m,
        (long long)lo, (long long)inner, t.shift);
    check_h_taps(acc, FORM_DOUBLED, &t);
}

static void check_h_all(int acc)
{
    static const double scales[] = { 0.3, 0.5, 0.77, 1, 1.6, 2, 3.4 };
    static const int wide[] = { 1, 2, 3, 4, 5, 8, 12, 13, 40 };
    for (int c = 0; c < COUNT_OF(channels); c++)
        for (int i = 0; i < COUNT_OF(widths); i++) {
            const int64_t inner = channels[c], m = widths[i];
            if (m * inner > 12000) continue;
            for (int s = 0; s < COUNT_OF(scales); s++) {
                check_h(acc, FORM_FIXED, 2, inner, m, scales[s]);
                check_h(acc, FORM_FIXED, 4, inner, m, scales[s]);
                for (int k = 0; k < 2; k++) {
                    const int taps = wide[below(COUNT_OF(wide))];
                    check_h(acc, FORM_WIDE, taps, inner, m, scales[s]);
                    if (table->h[acc][FORM_BOX]) check_h(acc, FORM_BOX, taps, inner, m, scales[s]);
                }
            }
            for (int k = 0; inner <= DOUBLED_CHANNELS && k < 4; k++) {
                check_doubled(acc, k % 2 ? 4 : 2, inner, m, 0, 2 * m, k < 2);
                check_doubled(acc, k % 2 ? 4 : 2, inner, 3 * m, 2 * m, 2 * m, k < 2);
            }
        }
}

static void check_part(int acc)
{
    const int64_t size = accs[acc].size, total = 60;
    if (!table->part[acc]) return;
    for (int c = 0; c < COUNT_OF(channels) - 1; c++)
        for (int64_t count = 1; count <= total; count++)
            for (int box = 0; box < (acc <= ACC_F64 ? 2 : 1); box++) {
                const int64_t inner = channels[c];
                const int32_t precision = (int32_t)(4 + below(11)), last = box ? (int32_t)count : precision;
                const void *rows[TAPS];
                f64 w[TAPS], sum[16];
                accs[acc].fill(arena(0), total * inner);
                for (int k = 0; k < count; k++) {
                    rows[k] = arena(0) + k * inner * size;
                    set_weight(acc, precision, w, k, weight());
                }
                char *want = arena(1), *d = output(2, inner * size, 0);
                memset(sum, 0, sizeof sum);
                accs[acc].want_v(want, rows, box ? 0 : w, inner, (int)count, last);
                for (int64_t k = 0, step; k < count; k += step) {
                    step = 2 + below(9);
                    if (step > count - k) step = count - k;
                    table->part[acc](sum, rows[k], box ? 0 : (const char *)w + k * accs[acc].weight, step, inner, k == 0);
                }
                say("part %s%s, %lld taps of %lld channels", box ? "box " : "", accs[acc].name, (long long)count, (long long)inner);
                table->part_end[acc][box](d, sum, inner, last);
                accs[acc].equal(d, want, inner);
                guards(d, inner * size);
            }
}

/* Whether one or two rows are whole lines of the cache. */
static int whole_lines(const void *d0, const void *d1, int64_t bytes)
{
    return (((uintptr_t)d0 | (uintptr_t)d1 | (uintptr_t)bytes) & 63) == 0;
}

/* ---- four rows, four pixels --------------------------------------------------- */

#define DEFINE_FOUR(T)                                                                                      \
    static T four_##T(T a, T b, T c, T e, const T *inner, const T *outer)                                   \
    {                                                                                                       \
        const T ab[2] = { a, b }, ce[2] = { c, e };                                                         \
        const T both[2] = { sum_##T(ab, inner, 2, 0), sum_##T(ce, inner, 2, 0) };                           \
        return sum_##T(both, outer, 2, 0);                                                                  \
    }                                                                                                       \
    static void check_square_##T(int64_t n, int64_t shift, int two, int aside)                              \
    {                                                                                                       \
        const int64_t bytes = n * (int64_t)sizeof(T);                                                       \
        T h[2][2], w[2], *want = (T *)arena(1), *x = (T *)arena(0);                                         \
        const void *rows[4] = { x, x + n, x + 2 * n, x + 3 * n };                                           \
        fill_##T(x, 4 * n);                                                                                 \
        for (int k = 0; k < 2; k++) { h[0][k] = (T)weight(); h[1][k] = (T)weight(); w[k] = (T)weight(); }   \
        char *d[2] = { output(2, bytes, shift), output(3, bytes, shift) };                                  \
        table->square[sizeof(T) == 8](d[0], two ? d[1] : 0, rows, h[0], h[1], w, n, aside ? arena(4) : 0,  \
            aside && whole_lines(d[0], two ? d[1] : 0, n * (int64_t)sizeof(T)));                            \
        for (int i = 0; i <= two; i++) {                                                                    \
            for (int64_t j = 0; j < n; j++) want[j] = four_##T(x[j], x[n + j], x[2 * n + j], x[3 * n + j], h[i], w); \
            say("square " #T ", %lld samples, row %d of %d, spare %d", (long long)n, i, two + 1, aside);    \
            equal_##T(d[i], want, n);                                                                       \
            guards(d[i], bytes);                                                                            \
        }                                                                                                   \
    }                                                                                                       \
    static void check_pixels_##T(int64_t m, int64_t C, int64_t shift, int two, int aside)                   \
    {                                                                                                       \
        const int64_t n = 2 * m + 1, bytes = m * C * (int64_t)sizeof(T);                                    \
        T h[2][2], *w = (T *)weights, *want = (T *)arena(1), *x = (T *)arena(0), *y = x + n * C;            \
        row_taps t = { .m = m, .n = n, .inner = C, .taps_max = 2, .index = indexes, .weights = weights };   \
        fill_##T(x, 2 * n * C);                                                                             \
        for (int k = 0; k < 2; k++) { h[0][k] = (T)weight(); h[1][k] = (T)weight(); }                       \
        for (int64_t o = 0; o < 2 * m; o++) { indexes[o] = (int32_t)below(n); w[o] = (T)weight(); }         \
        char *d[2] = { output(2, bytes, shift), output(3, bytes, shift) };                                  \
        table->pixels[sizeof(T) == 8](d[0], two ? d[1] : 0, x, y, &t, h[0], h[1], aside ? arena(4) : 0,     \
            aside && whole_lines(d[0], two ? d[1] : 0, m * C * (int64_t)sizeof(T)));                        \
        for (int i = 0; i <= two; i++) {                                                                    \
            for (int64_t o = 0; o < m; o++)                                                                 \
                for (int64_t c = 0; c < C; c++) {                                                           \
                    const int64_t a = indexes[o] * C + c, b = indexes[m + o] * C + c;                       \
                    const T across[2] = { w[o], w[m + o] };                                                 \
                    want[o * C + c] = four_##T(x[a], x[b], y[a], y[b], across, h[i]);                       \
                }                                                                                           \
            say("pixels " #T ", %lld of %lld channels, row %d of %d, spare %d", (long long)m, (long long)C, i, two + 1, aside); \
            equal_##T(d[i], want, m * C);                                                                   \
            guards(d[i], bytes);                                                                            \
        }                                                                                                   \
    }
DEFINE_FOUR(f32)
DEFINE_FOUR(f64)

static void check_fours(void)
{
    static const int pixels[] = { 1, 2, 3, 4, 5, 8, 15, 16, 17, 24, 32, 33, 64, 100 };
    for (int how = 0; how < 16; how++) {
        const int two = how & 1, aside = how >> 1 & 1, shift = how & 4 ? 8 : 0;
        for (int c = 0; c < COUNT_OF(lengths); c++) {
            if (how & 8) check_square_f64(lengths[c], shift, two, aside);
            else check_square_f32(lengths[c], shift, two, aside);
        }
        for (int c = 0; c < COUNT_OF(pixels); c++)
            for (int m = 1; m < 40; m += 6) {
                if (how & 8) check_pixels_f64(m, pixels[c], shift, two, aside);
                else check_pixels_f32(m, pixels[c], shift, two, aside);
            }
    }
}

/* ---- two by two pixels, two by two by two voxels -------------------------------- */

/* The mean of a and b in one pass. */
static double mean_of(int dtype, double a, double b, int box)
{
    const f32 half = 0.5f, x = (f32)a, y = (f32)b;
    if (dtype == DTYPE_F32) return box ? half * (x + y) : fmaf(half, x, half * y);
    return dtype == DTYPE_U8 && !box ? floor((a + b + 1) / 2) : (a + b) / 2;
}

static double halve_want(int dtype, const void *const *rows, int64_t at, int64_t C, int count, int box)
{
    double x[4];
    for (int i = 0; i < count; i++)
        x[i] = mean_of(dtype, load_want(dtype, rows[i], at), load_want(dtype, rows[i], at + C), box);
    for (int n = count / 2; n; n /= 2)
        for (int i = 0; i < n; i++) x[i] = mean_of(dtype, x[2 * i], x[2 * i + 1], box);
    return dtype == DTYPE_F32 ? x[0] : nearbyint(x[0]);
}

/* Rows end where their memory does, so that a sanitizer sees what is read behind them. */
static void check_halve(int dtype, int count, int64_t C, int64_t m, int box, int lines)
{
    const int64_t size = dtypes[dtype].size, n = 2 * m * C, bytes = m * C * size;
    const row_taps t = { .m = m, .n = 2 * m, .inner = C, .taps_max = 2 };
    void *rows[4];
    if (lines && bytes % 64) return;
    for (int i = 0; i < count; i++) {
        if (!(rows[i] = malloc((size_t)(n * size)))) abort();
        if (dtype == DTYPE_F32) fill_f32(rows[i], n);
        else fill_bytes(rows[i], n * size);
    }
    char *d = output(2, bytes, lines ? 0 : size * below(64 / size));
    table->halve[dtype](d, (const void *const *)rows, count, &t, box, lines);
    if (lines) table->stream_end();
    say("halve %s, %d rows, %lld of %lld channels, box %d, lines %d", dtypes[dtype].name, count, (long long)m, (long long)C, box,
        lines);
    for (int64_t i = 0; i < m * C; i++) {
        const double want = halve_want(dtype, (const void *const *)rows, i / C * 2 * C + i % C, C, count, box);
        const double got = load_want(dtype, d, i);
        if (!(got == want && signbit(got) == signbit(want)) && !(got != got && want != want)) fail(i, got, want);
    }
    compared += m * C;
    guards(d, bytes);
    for (int i = 0; i < count; i++) free(rows[i]);
}

static void check_halves(void)
{
    for (int dtype = 0; dtype < DTYPE_COUNT; dtype++)
        for (int how = 0; table->halve[dtype] && how < 4; how++)
            for (int C = 1; C <= 4; C++)
                for (int m = 1; m < 1300; m += m < 200 ? 1 : m % 64 ? 64 - m % 64 : 31)
                    for (int lines = 0; lines < 2; lines++) check_halve(dtype, how & 1 ? 4 : 2, C, m, how >> 1 & 1, lines);
}

/* ---- means of rows ---------------------------------------------------------------- */

/* Each row ends where the arena does, or where another begins that is not its own. */
static void check_row_means(int acc)
{
    static const int gaps[] = { 0, 1, 7, 64 };
    const int64_t size = accs[acc].size;
    for (int64_t n = 1; n <= 70; n++)
        for (int64_t rows = 1; rows <= 40; rows++) {
            const int64_t step = (n + gaps[(n + rows) % COUNT_OF(gaps)]) * size, bytes = ((rows - 1) * step + n * size);
            char *x = arena(0) + ARENA - bytes, *want = arena(1), *d = output(2, rows * size, 8 * below(8));
            accs[acc].fill(x, bytes / size);
            for (int64_t r = 0; r < rows; r++) {
                const void *column[TAPS];
                for (int64_t i = 0; i < n; i++) column[i] = x + r * step + i * size;
                accs[acc].want_v(want + r * size, column, 0, 1, (int)n, (int32_t)n);
            }
            say("means %s of %lld rows of %lld, %lld bytes apart", accs[acc].name, (long long)rows, (long long)n, (long long)step);
            table->row_means[acc](d, x, step, rows, n);
            accs[acc].equal(d, want, rows);
            guards(d, rows * size);
        }
}

/* ---- nearest ------------------------------------------------------------------- */

static void want_copy(char *d, const char *s, const row_taps *t, int64_t size)
{
    for (int64_t o = 0; o < t->m; o++) memcpy(d + o * size, s + t->index[o] * size, (size_t)size);
}

static void check_copies(void)
{
    static const int sizes[] = { 1, 2, 3, 4, 5, 6, 8, 12, 16, 20, 24, 32, 48, 64, 100, 128 };
    for (int c = 0; c < COUNT_OF(sizes); c++)
        for (int i = 0; i < COUNT_OF(widths); i++)
            for (int s = 0; s < 8; s++) {
                static const double scales[] = { 0.3, 0.5, 0.77, 1, 1.6, 2, 3.4, 9 };
                const int64_t m = widths[i], size = sizes[c], n = (int64_t)(m * scales[s]) + 1, shift = 16 * below(4);
                row_taps t = { .m = m, .n = n, .inner = 1, .taps_max = 1, .index = indexes };
                for (int64_t o = 0; o < m; o++) indexes[o] = (int32_t)(s ? (int64_t)(o * scales[s]) : below(n));
                char *x = arena(0), *want = arena(1), *d = output(2, m * size, shift);
                fill_bytes(x, n * size);
                want_copy(want, x, &t, size);
                say("copy, %lld to %lld of %lld bytes", (long long)n, (long long)m, (long long)size);
                table->copy(d, x, &t, size);
                equal_u8(d, want, m * size);
                guards(d, m * size);
                /* a level's own tables take it that indexes ascend, as those of every map do */
                if (!s || !table->pack_copy || !table->copy_bytes(m, size)) continue;
                table->pack_copy(&t, size, arena(3));
                if (!t.window) continue;
                say("copy packed, %lld to %lld of %lld bytes", (long long)n, (long long)m, (long long)size);
                d = output(2, m * size, shift);
                t.window(d, x, &t);
                equal_u8(d, want, m * size);
                guards(d, m * size);
            }
    for (int c = 0; c < COUNT_OF(sizes); c++)
        for (int i = 0; i < COUNT_OF(widths); i++)
            for (int how = 0; how < 8; how++) {
                const int two = how & 1, aside = how >> 1 & 1;
                const int64_t m = 2 * widths[i], size = sizes[c], bytes = m * size, shift = how & 4 ? 16 : 0;
                const row_taps t = { .m = m, .n = m / 2, .inner = 1, .taps_max = 1, .index = indexes, .doubled_hi = m / 2 };
                for (int64_t o = 0; o < m; o++) indexes[o] = (int32_t)(o / 2);
                char *x = arena(0), *want = arena(1), *d[2] = { output(2, bytes, shift), output(3, bytes, shift) };
                fill_bytes(x, m / 2 * size);
                want_copy(want, x, &t, size);
                table->copy_doubled(d[0], two ? d[1] : 0, x, &t, size, aside ? arena(4) : 0,
                               aside && whole_lines(d[0], two ? d[1] : 0, m * size));
                for (int row = 0; row <= two; row++) {
                    say("copy_doubled, %lld of %lld bytes, row %d of %d, spare %d", (long long)m, (long long)size, row, two + 1, aside);
                    equal_u8(d[row], want, bytes);
                    guards(d[row], bytes);
                }
            }
}

/* ---- all tables ------------------------------------------------------------------ */

static void check_table(const row_table *level)
{
    table = level;
    compared = 0;
#ifdef ROWS_FMA
    fused = 1;
#else
    fused = strcmp(level->name, "baseline") != 0;
#endif
    for (int wide = 0; wide < 2; wide++)
        for (int dtype = 0; dtype < DTYPE_COUNT; dtype++) {
            check_load(dtype, wide);
            check_store(dtype, wide);
        }
    for (int acc = 0; acc < ACC_COUNT; acc++) {
        check_v(acc, 0);
        if (table->v[acc][1].whole) check_v(acc, 1);
        check_h_all(acc);
        check_part(acc);
        if (acc <= ACC_F64) check_row_means(acc);
    }
    check_fours();
    check_halves();
    check_copies();
    printf("%s: %lld comparisons, all equal\n", level->name, compared);
}

int main(void)
{
    int avx2 = 0, avx512 = 0;
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
          && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vbmi");
#endif
#if defined(__aarch64__)
    const char *name = "neon";
#else
    const char *name = "baseline";
#endif
    if (strcmp(rows_baseline->name, name)) {
        printf("the first table is called %s, not %s\n", rows_baseline->name, name);
        return 1;
    }
    check_table(rows_baseline);
    if (rows_avx2 && avx2) check_table(rows_avx2);
    if (rows_avx512 && avx512) check_table(rows_avx512);
    return 0;
}
