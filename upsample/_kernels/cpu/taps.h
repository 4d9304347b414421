/* The table builder: from the recipe of one axis to its taps.
 *
 * In:  an `axis_recipe` (scalars only) and a range of outputs [lo, hi).
 * Out: for every output `first`, `count` and the weights, so that
 *          out[o] = sum_k weight[o][k] * in[clip(first[o] + k, 0, n - 1)]
 * It knows coordinates and filters, and nothing about arrays, ranks or dtypes.
 *
 * Two steps: `coords_block` turns outputs into (floor, fraction) under one of
 * the coordinate rules, a `filter_*` function turns those into taps.  A new
 * filter is one more such function.  Every fused multiply-add is written as
 * fma() or fmaf() and the file is compiled without contraction, so a table has
 * the same bits on every machine (lanczos: wherever the C library's sin has).
 *
 * A transposed recipe is the same recipe with a flag: its taps are those of the
 * forward map, told by input instead of by output.
 *
 * Positions are those of the whole axis minus `in_start`: a window (a chunk of
 * a larger axis) has the weights of the whole, and clipping to the window's own
 * ends gives the same samples, since a window holds every sample it needs.
 */
#ifndef UPSAMPLE_TAPS_H
#define UPSAMPLE_TAPS_H

#include <math.h>
#include <stdint.h>

enum { FILTER_NEAREST, FILTER_NEAREST_EXACT, FILTER_LINEAR, FILTER_CUBIC, FILTER_AREA,
       FILTER_TRIANGLE_AA, FILTER_CUBIC_AA, FILTER_LANCZOS_AA };
/* DIRECT32: torch's rule for small images (nearest only); TORCH32, TORCH64: its
 * tables in float32 and float64; RATIONAL: exact fractions. */
enum { COORDS_DIRECT32, COORDS_TORCH32, COORDS_TORCH64, COORDS_RATIONAL };
enum { WEIGHTS_NONE, WEIGHTS_F32, WEIGHTS_F64, WEIGHTS_I16 };

/* Sizes, window, filter and coordinates are always the forward map's; `weights`, `taps_max` and `uniform` are those of the
 * map itself. */
typedef struct {
    int64_t n, m;               /* whole axis: inputs, outputs */
    int64_t out_start, out_stop, in_start, in_stop;
    double scale;               /* the user's factor, or 0 where the sizes decide */
    int32_t filter, coords, weights, align_corners, shift, taps_max;
    int32_t transposed;         /* whether outputs and inputs have changed places */
    int32_t forward_taps, forward_weights;  /* the forward map's taps_max and weights */
    int32_t uniform;            /* every output has taps_max taps (positions beyond the axis clip to its ends) */
} axis_recipe;

typedef struct { __int128 step, offset; uint64_t den; } axis_fraction;   /* c = (step*i + offset) / den */

#ifndef TAPS_BLOCK
#define TAPS_BLOCK 256
#endif

/* ---- coordinates ------------------------------------------------------- */

static inline int64_t i64min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t i64max(int64_t a, int64_t b) { return a > b ? a : b; }

static inline float ratio_f32(const axis_recipe *a)
{
    if (a->align_corners) return a->m > 1 ? (float)(a->n - 1) / (float)(a->m - 1) : 0.0f;
    return a->scale > 0 ? (float)(1.0 / a->scale) : (float)a->n / (float)a->m;
}

static inline double ratio_f64(const axis_recipe *a)
{
    if (a->align_corners) return a->m > 1 ? (double)(a->n - 1) / (double)(a->m - 1) : 0.0;
    return a->scale > 0 ? 1.0 / a->scale : (double)a->n / (double)a->m;
}

/* i * ratio (origin 0) or (i + 1/2) * ratio - center/2 as one fraction; center
 * is 1 for filters, 0 for nearest-exact. */
static inline axis_fraction exact_fraction(const axis_recipe *a, int half, int center)
{
    axis_fraction f = {0, 0, 1};
    if (a->align_corners) {
        if (a->m > 1) { f.step = a->n - 1; f.den = (uint64_t)(a->m - 1); }
        return f;
    }
    __int128 num = a->n;
    uint64_t den = (uint64_t)a->m;
    if (a->scale > 0) {                          /* scale = mantissa * 2^exponent, so 1/scale = 2^-exponent / mantissa */
        int exponent;
        uint64_t mantissa = (uint64_t)ldexp(frexp(a->scale, &exponent), 53);
        exponent -= 53;
        while (!(mantissa & 1)) { mantissa >>= 1; exponent++; }
        num = exponent < 0 ? (__int128)1 << (-exponent) : 1;
        den = exponent > 0 ? mantissa << exponent : mantissa;
    }
    if (!half) { f.step = num; f.den = den; return f; }
    f.step = 2 * num;
    f.offset = num - (center ? (__int128)den : 0);
    f.den = 2 * den;
    return f;
}

/* (i + 1/2) * ratio, the centre of an antialias filter; torch keeps the half also
 * where corners are aligned. */
static inline axis_fraction antialias_fraction(const axis_recipe *a)
{
    axis_fraction f = {0, 0, 1};
    if (!a->align_corners) return exact_fraction(a, 1, 0);
    if (a->m > 1) { f.offset = a->n - 1; f.step = 2 * f.offset; f.den = 2 * (uint64_t)(a->m - 1); }
    return f;
}

/* rem / den rounded once to double, for rem < den < 2^64. */
static inline double fraction_f64(uint64_t rem, uint64_t den)
{
    if (den <= (uint64_t)1 << 53) return (double)rem / (double)den;
    if (rem == 0) return 0.0;
    int up = 0;
    unsigned __int128 r = rem;
    while (2 * r < den) { r *= 2; up++; }
    r <<= 64;
    uint64_t q = (uint64_t)(r / den);
    if (r % den) q |= 1;                          /* sticky bit: q has 63 or 64 bits, the conversion rounds once */
    return ldexp((double)q, -64 - up);
}

static inline void split_fraction(const axis_fraction *f, int64_t i, int64_t *whole, uint64_t *rem)
{
    __int128 num = f->step * i + f->offset, den = (__int128)f->den, q = num / den, r = num % den;
    if (r < 0) { r += den; q--; }
    *whole = (int64_t)q;
    *rem = (uint64_t)r;
}

/* Floors (and, where `t` is given, fractions) of exact coordinates: one division
 * for the block, then carried from output to output. */
static inline void exact_block(const axis_fraction *f, int64_t lo, int64_t count, int64_t *b, double *t)
{
    int64_t whole, q = (int64_t)(f->step / (__int128)f->den);
    uint64_t rem, den = f->den, r = (uint64_t)(f->step % (__int128)f->den);
    split_fraction(f, lo, &whole, &rem);
    for (int64_t j = 0; j < count; j++) {
        b[j] = whole;
        if (t) t[j] = fraction_f64(rem, den);
        whole += q;
        rem += r;
        if (rem >= den) { rem -= den; whole++; }
    }
}

static inline void nearest_block(const axis_recipe *a, int64_t lo, int64_t count, int64_t *b)
{
    int64_t n = a->n, m = a->m, last = n - 1;
    int half = a->filter == FILTER_NEAREST_EXACT;
    switch (a->coords) {
    case COORDS_DIRECT32: {
        float r = ratio_f32(a);
        if (half)
            for (int64_t j = 0; j < count; j++)
                b[j] = i64min((int64_t)floorf((float)(((double)(lo + j) + 0.5) * (double)r)), last);
        else if (m == n)
            for (int64_t j = 0; j < count; j++) b[j] = lo + j;
        else if (m == 2 * n)
            for (int64_t j = 0; j < count; j++) b[j] = (lo + j) >> 1;
        else
            for (int64_t j = 0; j < count; j++) b[j] = i64min((int64_t)floorf((float)(lo + j) * r), last);
        break; }
    case COORDS_TORCH32: {
        float r = ratio_f32(a);
        for (int64_t j = 0; j < count; j++) {
            float i = (float)(lo + j);
            if (half) {
                float c = fmaf(r, i + 0.5f, -0.5f);
                c = (float)((double)(c > 0 ? c : 0.0f) + 0.5);
                b[j] = i64min((int64_t)floorf(c), last);
            } else
                b[j] = i64min((int64_t)floorf(i * r), last);
        }
        break; }
    case COORDS_TORCH64: {                        /* torch floors in float32 even here */
        double r = ratio_f64(a);
        for (int64_t j = 0; j < count; j++) {
            double i = (double)(lo + j);
            double c = i * r;
            if (half) {
                c = fma(r, i + 0.5, -0.5);
                c = (c > 0 ? c : 0.0) + 0.5;
            }
            b[j] = i64min((int64_t)floorf((float)c), last);
        }
        break; }
    default: {
        axis_fraction f = exact_fraction(a, half, 0);
        exact_block(&f, lo, count, b, 0);
        for (int64_t j = 0; j < count; j++) b[j] = i64min(b[j], last);
        break; }
    }
}

/* b = min(floor(c), n-1), t = clip(c - b, 0, 1); linear filters clamp c at 0 first. */
static inline void coords_block(const axis_recipe *a, int64_t lo, int64_t count, int64_t *b, double *t)
{
    int64_t last = a->n - 1;
    int clamp = a->filter == FILTER_LINEAR, half = !a->align_corners;
    if (a->coords == COORDS_TORCH32) {
        float r = ratio_f32(a);
        for (int64_t j = 0; j < count; j++) {
            float i = (float)(lo + j), c = half ? fmaf(r, i + 0.5f, -0.5f) : r * i;
            if (clamp && !(c > 0)) c = 0.0f;
            int64_t bb = i64min((int64_t)floorf(c), last);
            float tt = c - (float)bb;
            tt = tt < 0 ? 0.0f : tt > 1 ? 1.0f : tt;
            b[j] = bb;
            t[j] = (double)tt;
        }
    } else if (a->coords == COORDS_TORCH64) {
        double r = ratio_f64(a);
        int narrow = a->weights == WEIGHTS_I16;   /* the 8-bit scheme floors through float32, as torch does */
        for (int64_t j = 0; j < count; j++) {
            double i = (double)(lo + j), c = half ? fma(r, i + 0.5, -0.5) : r * i;
            if (clamp && !(c > 0)) c = 0.0;
            int64_t bb = i64min((int64_t)(narrow ? (double)floorf((float)c) : floor(c)), last);
            double tt = c - (double)bb;
            b[j] = bb;
            t[j] = tt < 0 ? 0.0 : tt > 1 ? 1.0 : tt;
        }
    } else {
        axis_fraction f = exact_fraction(a, half, 1);
        exact_block(&f, lo, count, b, t);
        for (int64_t j = 0; j < count; j++) {
            if (clamp && b[j] < 0) { b[j] = 0; t[j] = 0.0; }
            if (b[j] > last) { b[j] = last; t[j] = 1.0; }
        }
    }
}

/* ---- filters ----------------------------------------------------------- */

/* Cubic convolution (Keys 1981), a = -3/4 as a fused polynomial in T. */
static inline float cubic_near_f32(float x) { float p = fmaf(1.25f, x, -2.25f); p = p * x; p = p * x; return p + 1.0f; }
static inline float cubic_far_f32(float x) { float q = fmaf(fmaf(-0.75f, x, 3.75f), x, -6.0f); q = q * x; return q + 3.0f; }
static inline double cubic_near_f64(double x) { double p = fma(1.25, x, -2.25); p = p * x; p = p * x; return p + 1.0; }
static inline double cubic_far_f64(double x) { double q = fma(fma(-0.75, x, 3.75), x, -6.0); q = q * x; return q + 3.0; }

static inline void filter_linear(const axis_recipe *a, const int64_t *b, const double *t, int64_t count,
                          int64_t *first, int32_t *taps, void *w)
{
    for (int64_t j = 0; j < count; j++) {
        first[j] = b[j];
        taps[j] = 2;
        if (a->weights == WEIGHTS_F32) {
            float *o = (float *)w + j * a->taps_max;
            o[1] = (float)t[j];
            o[0] = 1.0f - o[1];
        } else {
            double *o = (double *)w + j * a->taps_max;
            o[1] = t[j];
            o[0] = 1.0 - t[j];
        }
    }
}

static inline void filter_cubic(const axis_recipe *a, const int64_t *b, const double *t, int64_t count,
                         int64_t *first, int32_t *taps, void *w)
{
    for (int64_t j = 0; j < count; j++) {
        first[j] = b[j] - 1;
        taps[j] = 4;
        if (a->weights == WEIGHTS_F32) {
            float *o = (float *)w + j * a->taps_max, x = (float)t[j], y = 1.0f - x;
            o[0] = cubic_far_f32(x + 1.0f);
            o[1] = cubic_near_f32(x);
            o[2] = cubic_near_f32(y);
            o[3] = cubic_far_f32(y + 1.0f);
        } else {
            double *o = (double *)w + j * a->taps_max, x = t[j], y = 1.0 - x;
            o[0] = cubic_far_f64(x + 1.0);
            o[1] = cubic_near_f64(x);
            o[2] = cubic_near_f64(y);
            o[3] = cubic_far_f64(y + 1.0);
        }
    }
}

/* 8-bit scheme without antialias: taps beyond the border are folded onto the
 * border sample.  Returns the largest value that a slot ever holds. */
static inline double folded_weights(const axis_recipe *a, int64_t b, double t, int64_t *first, int32_t *taps, double *slots)
{
    int base = a->filter == FILTER_LINEAR ? 2 : 4, k = 0;
    int64_t start = b - base / 2 + 1, last = a->n - 1;
    double largest = 0.0;
    for (int j = 0; j < base; j++) slots[j] = 0.0;
    *first = i64max(start, 0);
    for (int j = 0; j < base; j++) {
        double x = fabs((double)(j + 1 - base / 2) - t), v;
        if (base == 2) v = x < 1 ? 1.0 - x : 0.0;
        else if (x < 1) v = ((1.25 * x - 2.25) * x) * x + 1.0;
        else v = x < 2 ? ((-0.75 * x + 3.75) * x - 6.0) * x + 3.0 : 0.0;
        if (j > 0 && start + j > 0 && start + j <= last) k++;
        if (start + j <= 0) k = 0;
        slots[k] += v;
        largest = slots[k] > largest ? slots[k] : largest;
    }
    *first = i64min(*first, last);
    *taps = k + 1;
    return largest;
}

static inline int antialias_base(const axis_recipe *a)
{
    return a->filter == FILTER_TRIANGLE_AA ? 2 : a->filter == FILTER_CUBIC_AA ? 4 : 6;
}

static inline double triangle_f64(double x) { x = fabs(x); return x < 1 ? 1.0 - x : 0.0; }
static inline double keys_f64(double x)                  /* a = -1/2 */
{
    x = fabs(x);
    if (x < 1) return ((1.5 * x - 2.5) * x) * x + 1.0;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0 : 0.0;
}
static inline double sinc_f64(double x) { if (x == 0) return 1.0; x *= 3.14159265358979323846; return sin(x) / x; }
static inline double lanczos_f64(double x) { return fabs(x) < 3 ? sinc_f64(x) * sinc_f64(x / 3) : 0.0; }

static inline float triangle_f32(float x) { x = fabsf(x); return x < 1 ? 1.0f - x : 0.0f; }
static inline float keys_f32(float x)
{
    x = fabsf(x);
    if (x < 1) return ((1.5f * x - 2.5f) * x) * x + 1.0f;
    return x < 2 ? ((-0.5f * x + 2.5f) * x - 4.0f) * x + 2.0f : 0.0f;
}

/* One output of an antialias filter.  The filter is stretched by the ratio when
 * reducing; taps outside the axis are dropped and the rest renormalised.  Under
 * torch's float32 rule everything is float32; otherwise weights are made in
 * float64 (and stored in float32 or int16 where the plan says so). */
typedef struct {
    int64_t lo, whole;          /* first tap; integer part of the centre (transposed: the output itself) */
    int32_t count;
    float center, inv, sum;     /* COORDS_TORCH32 */
    double part, inv64, sum64;  /* the others: whole + part, so that far positions keep their fraction */
} antialias_output;

static inline antialias_output antialias_locate(const axis_recipe *a, int64_t i)
{
    antialias_output p = { 0, 0, 0, 0, 1.0f, 0, 0, 1.0, 0 };
    int64_t hi;
    if (a->coords == COORDS_TORCH32) {
        float r = ratio_f32(a), support = (float)(antialias_base(a) / 2);
        if (r >= 1) { support = support * r; p.inv = (float)(1.0 / (double)r); }
        p.center = (float)((double)r * ((double)i + 0.5));
        p.lo = i64max((int64_t)((double)(p.center - support) + 0.5), 0);
        hi = i64min((int64_t)((double)(p.center + support) + 0.5), a->n);
    } else {
        double r = ratio_f64(a), support = antialias_base(a) / 2;
        if (r >= 1) { support = support * r; p.inv64 = 1.0 / r; }
        if (a->coords == COORDS_RATIONAL) {
            axis_fraction f = antialias_fraction(a);
            exact_block(&f, i, 1, &p.whole, &p.part);
        } else
            p.part = r * ((double)i + 0.5);
        p.lo = i64max(p.whole + (int64_t)floor(p.part - support + 0.5), 0);
        hi = i64min(p.whole + (int64_t)floor(p.part + support + 0.5), a->n);
    }
    p.count = (int32_t)i64min(i64max(hi - p.lo, 0), a->taps_max);
    return p;
}

static inline float antialias_raw_f32(const axis_recipe *a, const antialias_output *p, int64_t j)
{
    float x = (float)(((double)((float)(p->lo + j) - p->center) + 0.5) * (double)p->inv);
    return a->filter == FILTER_TRIANGLE_AA ? triangle_f32(x) : a->filter == FILTER_CUBIC_AA ? keys_f32(x)
         : (float)lanczos_f64((double)x);
}

static inline double antialias_raw_f64(const axis_recipe *a, const antialias_output *p, int64_t j)
{
    double x = ((double)(p->lo + j - p->whole) - p->part + 0.5) * p->inv64;
    return a->filter == FILTER_TRIANGLE_AA ? triangle_f64(x) : a->filter == FILTER_CUBIC_AA ? keys_f64(x)
         : lanczos_f64(x);
}

/* Weights [k0, k1), to be divided by their sum; with k0 = 0 and k1 = count the sum is made on the way. */
static inline void antialias_weights_f32(const axis_recipe *a, antialias_output *p, int64_t k0, int64_t k1, float *w)
{
    float sum = 0.0f;
    for (int64_t j = k0; j < k1; j++) { w[j - k0] = antialias_raw_f32(a, p, j); sum += w[j - k0]; }
    if (k0 == 0 && k1 == p->count) p->sum = sum;
    for (int64_t j = k0; j < k1; j++) w[j - k0] = p->sum != 0 ? w[j - k0] / p->sum : 0.0f;
}

static inline void antialias_weights_f64(const axis_recipe *a, antialias_output *p, int64_t k0, int64_t k1, double *w)
{
    double sum = 0.0;
    for (int64_t j = k0; j < k1; j++) { w[j - k0] = antialias_raw_f64(a, p, j); sum += w[j - k0]; }
    if (k0 == 0 && k1 == p->count) p->sum64 = sum;
    for (int64_t j = k0; j < k1; j++) w[j - k0] = p->sum64 != 0 ? w[j - k0] / p->sum64 : 0.0;
}

/* The sum of an output's weights without keeping them; returns the largest weight. */
static inline double antialias_total(const axis_recipe *a, antialias_output *p)
{
    double largest = 0.0;
    for (int64_t j = 0; j < p->count; j++) {
        if (a->coords == COORDS_TORCH32) p->sum += antialias_raw_f32(a, p, j);
        else {
            double w = antialias_raw_f64(a, p, j);
            p->sum64 += w;
            largest = w > largest ? w : largest;
        }
    }
    return p->sum64 > 0 ? largest / p->sum64 : largest;
}

/* ---- whole tables ------------------------------------------------------ */

static inline int64_t antialias_taps_max(const axis_recipe *a)
{
    double half = antialias_base(a) / 2, r = ratio_f64(a), support = r >= 1 ? half * r : half;
    if (a->coords == COORDS_TORCH32) {
        float r32 = ratio_f32(a);
        support = r32 >= 1 ? (double)((float)half * r32) : half;
    }
    double k = 2 * ceil(support) + 1;
    return k < (double)a->n ? (int64_t)k : a->n;
}

/* Bin of output i: [floor(i n / m), ceil((i+1) n / m)). */
static inline void area_bin(const axis_recipe *a, int64_t i, int64_t *first, int32_t *taps)
{
    int64_t lo = (int64_t)((__int128)i * a->n / a->m);
    int64_t hi = (int64_t)(((__int128)(i + 1) * a->n + a->m - 1) / a->m);
    *first = lo;
    *taps = (int32_t)(hi - lo);
}

static inline int16_t quantised(double w, int shift)
{
    double v = w * (double)((int64_t)1 << shift);
    return (int16_t)(v >= 0 ? (v < INT16_MAX ? v + 0.5 : INT16_MAX) : v - 0.5);
}

/* Weights of one output in the 8-bit scheme, before quantisation. */
static inline void integer_source(const axis_recipe *a, int64_t i, int64_t *first, int32_t *taps, double *w)
{
    if (a->filter == FILTER_LINEAR || a->filter == FILTER_CUBIC) {
        int64_t b;
        double t;
        coords_block(a, i, 1, &b, &t);
        folded_weights(a, b, t, first, taps, w);
        return;
    }
    antialias_output p = antialias_locate(a, i);
    antialias_weights_f64(a, &p, 0, p.count, w);
    *first = p.lo;
    *taps = p.count;
}

static inline double integer_largest(const axis_recipe *a, int64_t i)
{
    double w[4], t;
    int64_t b, first;
    int32_t taps;
    if (a->filter == FILTER_LINEAR || a->filter == FILTER_CUBIC) {
        coords_block(a, i, 1, &b, &t);
        return folded_weights(a, b, t, &first, &taps, w);
    }
    antialias_output p = antialias_locate(a, i);
    return antialias_total(a, &p);
}

static inline int32_t shift_for(double largest)
{
    for (int32_t p = 0; p < 22; p++)
        if ((int64_t)(0.5 + largest * (double)((int64_t)1 << (p + 1))) >= (1 << 15)) return p;
    return 22;
}

/* The largest binary precision at which the axis's largest weight fits int16.  No
 * weight reaches 2, so 14 is the least there is, and any axis that enlarges has
 * it from its first output.  An axis of more than 2^22 samples is judged by its first
 * outputs, so that no plan takes as long as the work itself; of more than
 * 4096 taps none reaches the 1/128 that would need less than the most. */
static inline int32_t integer_shift(const axis_recipe *a)
{
    double largest = 0.0;
    if (a->taps_max > 4096) return shift_for(largest);
    const int64_t outputs = i64min(a->m, ((int64_t)1 << 26) / a->taps_max);
    for (int64_t i = 0; i < outputs && shift_for(largest) > 14; i++) {
        double w = integer_largest(a, i);
        largest = w > largest ? w : largest;
    }
    return shift_for(largest);
}

/* Taps of outputs [lo, hi) of the window; `w` has taps_max slots per output and
 * those past `count` are zero.  `scratch` holds max(taps_max, 4) doubles. */
static inline void forward_taps(const axis_recipe *a, int64_t lo, int64_t hi, int64_t *first, int32_t *count, void *w,
                       double *scratch)
{
    int64_t b[TAPS_BLOCK], K = a->taps_max;
    double t[TAPS_BLOCK];
    for (int64_t at = lo; at < hi; at += TAPS_BLOCK) {
        int64_t size = i64min(TAPS_BLOCK, hi - at), i0 = at + a->out_start;
        int64_t *f = first + (at - lo);
        int32_t *c = count + (at - lo);
        char *ww = w ? (char *)w + (at - lo) * K * (a->weights == WEIGHTS_F64 ? 8 : a->weights == WEIGHTS_F32 ? 4 : 2) : 0;
        if (a->filter <= FILTER_NEAREST_EXACT) {
            nearest_block(a, i0, size, f);
            for (int64_t j = 0; j < size; j++) c[j] = 1;
        } else if (a->filter == FILTER_AREA) {
            for (int64_t j = 0; j < size; j++) area_bin(a, i0 + j, f + j, c + j);
        } else if (a->weights == WEIGHTS_I16) {
            for (int64_t j = 0; j < size; j++) {
                int16_t *o = (int16_t *)ww + j * K;
                integer_source(a, i0 + j, f + j, c + j, scratch);
                for (int64_t k = 0; k < K; k++) o[k] = k < c[j] ? quantised(scratch[k], a->shift) : 0;
            }
        } else if (a->filter == FILTER_LINEAR || a->filter == FILTER_CUBIC) {
            coords_block(a, i0, size, b, t);
            (a->filter == FILTER_LINEAR ? filter_linear : filter_cubic)(a, b, t, size, f, c, ww);
        } else {
            for (int64_t j = 0; j < size; j++) {
                float *w32 = (float *)ww + j * K;
                double *w64 = a->weights == WEIGHTS_F64 ? (double *)ww + j * K : scratch;
                antialias_output p = antialias_locate(a, i0 + j);
                if (a->coords == COORDS_TORCH32) antialias_weights_f32(a, &p, 0, p.count, w32);
                else antialias_weights_f64(a, &p, 0, p.count, w64);
                f[j] = p.lo;
                c[j] = p.count;
                for (int64_t k = 0; k < K; k++) {
                    if (a->weights == WEIGHTS_F64) w64[k] = k < c[j] ? w64[k] : 0;
                    else if (k >= c[j]) w32[k] = 0;
                    else if (a->coords != COORDS_TORCH32) w32[k] = (float)w64[k];
                }
            }
        }
        for (int64_t j = 0; j < size; j++) f[j] -= a->in_start;
    }
}

/* ---- outputs of very many taps, a part at a time ------------------------- */

/* Locate output o of a window's area or antialias map and make the sum of its weights. */
static inline antialias_output forward_long_output(const axis_recipe *a, int64_t o)
{
    antialias_output p = { 0, 0, 0, 0, 1.0f, 0, 0, 1.0, 0 };
    if (a->filter == FILTER_AREA) area_bin(a, o + a->out_start, &p.lo, &p.count);
    else {
        p = antialias_locate(a, o + a->out_start);
        antialias_total(a, &p);
    }
    return p;
}

/* Weights [k0, k1) of that output; `scratch` holds k1 - k0 doubles. */
static inline void forward_long_weights(const axis_recipe *a, antialias_output *p, int64_t k0, int64_t k1, void *w, double *scratch)
{
    if (a->weights == WEIGHTS_NONE) return;
    if (a->coords == COORDS_TORCH32) { antialias_weights_f32(a, p, k0, k1, (float *)w); return; }
    antialias_weights_f64(a, p, k0, k1, a->weights == WEIGHTS_F64 ? (double *)w : scratch);
    for (int64_t k = 0; k < k1 - k0; k++) {
        if (a->weights == WEIGHTS_F32) ((float *)w)[k] = (float)scratch[k];
        else if (a->weights == WEIGHTS_I16) ((int16_t *)w)[k] = quantised(scratch[k], a->shift);
    }
}

/* ---- transposed maps ------------------------------------------------------ */

/* The adjoint of a pass: input j of the forward map becomes an output, whose taps are the forward outputs that j is a tap
 * of.  They lie side by side, for neither the first nor the last tap of an output ever decreases.  So the forward's taps
 * are made block by block, in ascending order, and each weight is put into the row of its input; taps that were clipped
 * to one end sample are added up there.
 *
 * A final tap of weight zero is no tap, nor are zeros at a row's end: they would let a non-finite sample where it does not
 * belong, and cost time.  (A first tap of weight zero stays, so that `first` never decreases here either.)  All of this is
 * decided output by output, hence the same in every window and tile. */

#define TAPS_NO_LIMIT ((int64_t)1 << 62)
/* Sums of weights that took long to make: the next rows are made from the same outputs.  All zero: nothing is known. */
typedef struct { int64_t output, n, m, kind; double scale, sum; } known_sum;
enum { TRANSPOSED_PART = 512, KNOWN_SUMS = 8,
       TRANSPOSED_SCRATCH = 2 * TRANSPOSED_PART + KNOWN_SUMS * sizeof(known_sum) / sizeof(double) };
/* Longer axes, and longer sums, get a bound instead of the exact number of taps. */
#define TRANSPOSED_SCAN ((int64_t)1 << 22)

/* The forward map of a transposed one, in coordinates of the whole axis. */
static inline axis_recipe forward_of(const axis_recipe *a)
{
    axis_recipe f = *a;
    f.transposed = 0;
    f.taps_max = a->forward_taps;
    f.out_start = f.in_start = 0;
    f.weights = a->forward_weights;
    return f;
}

/* First and last input of forward output i. */
static inline void forward_extent(const axis_recipe *f, int64_t i, int64_t *first, int64_t *last)
{
    int64_t b, end = f->n - 1;
    double t;
    int32_t taps = 1;
    if (f->filter <= FILTER_NEAREST_EXACT) nearest_block(f, i, 1, &b);
    else if (f->filter == FILTER_AREA) area_bin(f, i, &b, &taps);
    else if (f->filter == FILTER_LINEAR || f->filter == FILTER_CUBIC) {
        coords_block(f, i, 1, &b, &t);
        if (f->filter == FILTER_CUBIC) b--;
        taps = f->filter == FILTER_CUBIC ? 4 : 2;
    } else {
        antialias_output p = antialias_locate(f, i);
        b = p.lo;
        taps = p.count;
    }
    *first = i64max(0, i64min(b, end));
    *last = i64max(0, i64min(b + taps - 1, end));
}

/* The forward outputs [*i0, *i1) within the window that have a tap among inputs [j0, j1). */
static inline void outputs_of(const axis_recipe *a, const axis_recipe *f, int64_t j0, int64_t j1, int64_t *i0, int64_t *i1)
{
    int64_t lo = a->out_start, hi = a->out_stop, first, last;
    while (lo < hi) {
        int64_t middle = lo + (hi - lo) / 2;
        forward_extent(f, middle, &first, &last);
        if (last < j0) lo = middle + 1;
        else hi = middle;
    }
    *i0 = lo;
    hi = a->out_stop;
    while (lo < hi) {
        int64_t middle = lo + (hi - lo) / 2;
        forward_extent(f, middle, &first, &last);
        if (first < j1) lo = middle + 1;
        else hi = middle;
    }
    *i1 = lo;
}

/* Rows of inputs [j0, j1), K weights each; a row's `first` is -1 until it has a tap, and stays where it is given. */
typedef struct { int64_t j0, j1, K, *first; int32_t *count, weights; void *w; } tap_rows;

static inline void put_tap(const tap_rows *t, int64_t i, int64_t j, double w, int final)
{
    int64_t r = j - t->j0;
    if (r < 0 || j >= t->j1 || (final && w == 0)) return;
    if (t->first[r] < 0) t->first[r] = i;
    int64_t k = i - t->first[r];
    if (k >= t->K) return;                        /* never: K is at least what a scan or the bound found */
    if (w != 0 || k == 0) t->count[r] = (int32_t)i64max(t->count[r], k + 1);
    if (!t->w) return;
    if (t->weights == WEIGHTS_F32) ((float *)t->w)[r * t->K + k] += (float)w;
    else ((double *)t->w)[r * t->K + k] += w;
}

static inline void zero_weights(void *w, int64_t n, int32_t weights)
{
    for (int64_t k = 0; k < n; k++) {
        if (weights == WEIGHTS_F32) ((float *)w)[k] = 0;
        else ((double *)w)[k] = 0;
    }
}

static inline double weight_at(const void *w, int64_t k, int32_t weights)
{
    return weights == WEIGHTS_F32 ? (double)((const float *)w)[k] : ((const double *)w)[k];
}

/* Not zero, save at the ends of an output where its weight is zero. */
static inline double antialias_ends(const axis_recipe *f, const antialias_output *p, int64_t k)
{
    if (k > 0 && k < p->count - 1) return 1.0;
    return f->coords == COORDS_TORCH32 ? (double)antialias_raw_f32(f, p, k) : antialias_raw_f64(f, p, k);
}

/* The sum of the weights of output i, made or known. */
static inline void find_sum(const axis_recipe *f, antialias_output *p, int64_t i, known_sum *known)
{
    known_sum *k = &known[i % KNOWN_SUMS];
    const int64_t kind = f->filter | f->coords << 8 | f->align_corners << 16;
    if (k->output != i + 1 || k->n != f->n || k->m != f->m || k->kind != kind || k->scale != f->scale) {
        antialias_total(f, p);
        const known_sum made = { i + 1, f->n, f->m, kind, f->scale, f->coords == COORDS_TORCH32 ? (double)p->sum : p->sum64 };
        *k = made;
    }
    p->sum = (float)k->sum;
    p->sum64 = k->sum;
}

/* One output of an area or antialias map; only the part of it that lies in the rows is made. */
static inline void put_wide(const axis_recipe *f, const tap_rows *t, int64_t i, double *scratch)
{
    antialias_output p = { 0, 0, 0, 0, 1.0f, 0, 0, 1.0, 0 };
    if (f->filter == FILTER_AREA) area_bin(f, i, &p.lo, &p.count);
    else p = antialias_locate(f, i);
    int64_t k0 = i64max(0, t->j0 - p.lo), k1 = i64min(p.count, t->j1 - p.lo);
    if (f->filter == FILTER_AREA) {
        double each = t->weights == WEIGHTS_F32 ? (double)(1.0f / (float)p.count) : 1.0 / (double)p.count;
        for (int64_t k = k0; k < k1; k++) put_tap(t, i, p.lo + k, each, 0);
        return;
    }
    if (k0 >= k1) return;
    if (!t->w) {                                  /* rows are counted: no weight within a filter's support is zero */
        for (int64_t k = k0; k < k1; k++) put_tap(t, i, p.lo + k, antialias_ends(f, &p, k), k == p.count - 1);
        return;
    }
    if (p.count <= TRANSPOSED_PART) k0 = 0, k1 = p.count;       /* the sum is made on the way */
    else find_sum(f, &p, i, (known_sum *)(scratch + 2 * TRANSPOSED_PART));
    for (int64_t k = k0; k < k1; k += TRANSPOSED_PART) {
        int64_t stop = i64min(k + TRANSPOSED_PART, k1);
        forward_long_weights(f, &p, k, stop, scratch, scratch + TRANSPOSED_PART);
        for (int64_t q = k; q < stop; q++) put_tap(t, i, p.lo + q, weight_at(scratch, q - k, f->weights), q == p.count - 1);
    }
}

/* Put the taps of forward outputs [i0, i1) into their rows; `scratch` holds TRANSPOSED_SCRATCH doubles. */
static inline void put_taps(const axis_recipe *f, const tap_rows *t, int64_t i0, int64_t i1, double *scratch)
{
    enum { BLOCK = TRANSPOSED_PART / 4 };         /* four weights of float64 each, at the most */
    int64_t first[BLOCK], end = f->n - 1;
    int32_t count[BLOCK];
    if (f->filter >= FILTER_AREA) {
        for (int64_t i = i0; i < i1; i++) put_wide(f, t, i, scratch);
        return;
    }
    for (; i0 < i1; i0 += BLOCK) {
        int64_t size = i64min(BLOCK, i1 - i0);
        forward_taps(f, i0, i0 + size, first, count, f->weights == WEIGHTS_NONE ? 0 : scratch, 0);
        for (int64_t o = 0; o < size; o++)
            for (int32_t k = 0; k < count[o]; k++) {
                double w = f->weights == WEIGHTS_NONE ? 1.0 : weight_at(scratch, o * f->taps_max + k, f->weights);
                put_tap(t, i0 + o, i64max(0, i64min(first[o] + k, end)), w, k == count[o] - 1);
            }
    }
}

static inline void transposed_taps(const axis_recipe *a, int64_t lo, int64_t hi, int64_t *first, int32_t *count, void *w,
                                   double *scratch)
{
    const axis_recipe f = forward_of(a);
    const tap_rows t = { a->in_start + lo, a->in_start + hi, w ? a->taps_max : TAPS_NO_LIMIT, first, count, a->weights, w };
    int64_t i0, i1, known;
    for (int64_t r = 0; r < hi - lo; r++) { first[r] = -1; count[r] = 0; }
    if (w) zero_weights(w, (hi - lo) * a->taps_max, a->weights);
    outputs_of(a, &f, t.j0, t.j1, &i0, &i1);
    put_taps(&f, &t, i0, i1, scratch);
    /* rows without taps: anywhere that keeps the order */
    known = i64min(i0, a->out_stop - 1);
    for (int64_t r = 0; r < hi - lo; r++)
        if (first[r] >= 0) { known = first[r]; break; }
    for (int64_t r = 0; r < hi - lo; r++) {
        if (first[r] >= 0) known = first[r];
        first[r] = known - a->out_start;
    }
}

/* Set taps_max and uniform of a transposed map: by looking at every row, or on a long axis by a bound.
 *
 * Outputs i0 < i1 that share an input have first(i1) <= last(i0), so their coordinates are less than `forward_taps` apart;
 * half a sample more where the first ones are clamped, and twice the error of a float32 coordinate below 2^22. */
static inline int64_t transposed_limits(axis_recipe *a, double *scratch)
{
    enum { ROWS = 1024 };
    int64_t first[ROWS], most = 1, least = TAPS_NO_LIMIT, n = a->in_stop - a->in_start, m = a->out_stop - a->out_start;
    int32_t count[ROWS];
    a->uniform = 0;
    if (i64max(n, m) > TRANSPOSED_SCAN || m > 4 * TRANSPOSED_SCAN / a->forward_taps) {
        double r = a->filter == FILTER_AREA ? (double)a->n / (double)a->m : ratio_f64(a);
        double error = a->coords == COORDS_RATIONAL ? 0.01 : 0.5;
        double bound = r > 0 ? (a->forward_taps + 0.5 + 2 * error) / r + 1 : (double)m;
        return bound < (double)m ? (int64_t)bound : m;
    }
    for (int64_t at = 0; at < n; at += ROWS) {
        int64_t size = i64min(ROWS, n - at);
        transposed_taps(a, at, at + size, first, count, 0, scratch);
        for (int64_t r = 0; r < size; r++) {
            most = i64max(most, count[r]);
            least = i64min(least, count[r]);
        }
    }
    a->uniform = least == most;
    return most;
}

/* ---- either kind ----------------------------------------------------------- */

/* Doubles of scratch that build_taps needs, zero at first and then left alone. */
static inline int64_t taps_scratch(const axis_recipe *a)
{
    return a->transposed ? TRANSPOSED_SCRATCH : i64max(a->taps_max, 4);
}

/* Taps of outputs [lo, hi) of the window; `w` has taps_max slots per output, those past `count` are zero. */
static inline void build_taps(const axis_recipe *a, int64_t lo, int64_t hi, int64_t *first, int32_t *count, void *w,
                              double *scratch)
{
    if (a->transposed) transposed_taps(a, lo, hi, first, count, w, scratch);
    else forward_taps(a, lo, hi, first, count, w, scratch);
}

/* An output of very many taps; `scratch` as for build_taps.  Its first tap is lo - in_start. */
static inline antialias_output long_output(const axis_recipe *a, int64_t o, double *scratch)
{
    enum { PART = 256 };
    if (!a->transposed) return forward_long_output(a, o);
    antialias_output p = { 0, 0, 0, 0, 1.0f, 0, 0, 1.0, 0 };
    const axis_recipe f = forward_of(a);
    int64_t first = -1, i0, i1, j = a->in_start + o;
    int32_t count = 0;
    const tap_rows t = { j, j + 1, TAPS_NO_LIMIT, &first, &count, a->weights, 0 };
    outputs_of(a, &f, j, j + 1, &i0, &i1);
    for (int64_t i = i0; i < i1 && first < 0; i += PART) put_taps(&f, &t, i, i64min(i + PART, i1), scratch);
    i0 = first < 0 ? i64min(i0, a->out_stop - 1) : first;
    p.count = first < 0 ? 0 : 1;
    for (int64_t i = i1; i > i0 && p.count; i -= PART) {        /* the last one that counts, from the end */
        int64_t from = i64max(i0, i - PART), base = i64max(i0, from - 1);
        first = base;
        count = 0;
        put_taps(&f, &t, from, i, scratch);
        if (count > 1 || base == i0) { p.count = (int32_t)(base + i64max(count, 1) - i0); break; }
    }
    p.whole = j;
    p.lo = i0 - a->out_start + a->in_start;
    return p;
}

static inline void long_weights(const axis_recipe *a, antialias_output *p, int64_t k0, int64_t k1, void *w, double *scratch)
{
    if (!a->transposed) { forward_long_weights(a, p, k0, k1, w, scratch); return; }
    const axis_recipe f = forward_of(a);
    int64_t first = p->lo - a->in_start + a->out_start + k0;
    int32_t count = 0;
    const tap_rows t = { p->whole, p->whole + 1, k1 - k0, &first, &count, a->weights, w };
    zero_weights(w, k1 - k0, a->weights);
    put_taps(&f, &t, first, first + k1 - k0, scratch);
}

/* ---- maps that repeat themselves ---------------------------------------------- */

/* Away from the ends, `outputs` further on taps are `inputs` further on and weights the same, to the bit; within `margin`
 * outputs of an end they may not be.  outputs is 0 where that is not so, or rounding of coordinates may hide it. */
typedef struct { int64_t outputs, inputs, margin; } taps_period;

static inline taps_period find_period(const axis_recipe *a)
{
    const taps_period none = { 0, 0, 0 }, twice = { 2, 1, 2 }, half = { 1, 2, 2 };
    int64_t num = a->n, den = a->m, rest, other, reach = a->forward_taps + 4;
    if (a->m < 2) return none;
    if (a->filter == FILTER_NEAREST && a->coords == COORDS_DIRECT32 && a->m == 2 * a->n) return a->transposed ? half : twice;
    if (a->align_corners) { num = a->n - 1; den = a->m - 1; }
    else if (a->scale > 0 && a->filter != FILTER_AREA) {
        const axis_fraction f = exact_fraction(a, 0, 0);
        if (f.step >> 62 || f.den >> 62) return none;
        num = (int64_t)f.step;
        den = (int64_t)f.den;
    }
    if (num < 1) return none;
    for (rest = den, other = num; rest; ) { const int64_t r = other % rest; other = rest; rest = r; }
    num /= other;
    den /= other;
    if (num > (int64_t)1 << 40 || den > (int64_t)1 << 40) return none;
    if (a->filter != FILTER_AREA && a->coords != COORDS_RATIONAL) {
        /* all coordinates are multiples of 1/(2 den), and float32 holds every one of them */
        if (den & (den - 1) || (double)num * (2.0 * (double)a->m + 1) + 2.0 * (double)den > 0x1p24) return none;
        const double ratio = a->coords <= COORDS_TORCH32 ? (double)ratio_f32(a) : ratio_f64(a);
        if (ratio * (double)den != (double)num) return none;
    }
    const int64_t wide = (reach * den + num - 1) / num + 2;       /* forward outputs across a filter and a little more */
    const taps_period forward = { den, num, wide }, transposed = { num, den, 2 * reach };
    return a->transposed ? transposed : forward;
}

#endif
