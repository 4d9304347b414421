/* The taps of one output of an axis: read from a table, or evaluated by the formulas of taps.h.
 *
 * A table has a record per output: K weights in the sum's type, then `first` as int32, padded to a
 * multiple of 16 bytes; a single tap is its `first` alone.  The wide passes (wide.cuh) have their own.
 */
#pragma once
#define TAPS_BLOCK 1            /* one output at a time: no arrays in local memory */
#include "samples.cuh"
#include "params.cuh"

/* Evaluation, out of line.  Lanczos never comes here: its sin is the host's.  Nor do transposed maps. */
CALLED int32_t evaluate(const axis_recipe &a, int32_t o, int32_t *count, void *weights)
{
    int64_t first;
    double scratch[4];
    if (a.filter > FILTER_AREA) __builtin_unreachable();
    forward_taps(&a, o, o + 1, &first, count, weights, scratch);
    return (int32_t)first;
}
CALLED antialias_output evaluate_long(const axis_recipe &a, int32_t o)
{
    if (a.filter == FILTER_LANCZOS_AA) __builtin_unreachable();
    return forward_long_output(&a, o);
}
CALLED void evaluate_weight(const axis_recipe &a, antialias_output &made, int32_t k, void *w)
{
    double scratch;
    if (a.filter == FILTER_LANCZOS_AA) __builtin_unreachable();
    forward_long_weights(&a, &made, k, k + 1, w, &scratch);
}

enum { SINGLE, CHANNELS, VECTOR };  /* MODE: how samples of a row are found; resample.cuh tells */
enum { WEIGHTED, BOX };             /* FORM: sums of products, or means */

template <class A, int K> struct record { enum { BYTES = K == 1 ? 4 : (K * sizeof(A) + 4 + 15) / 16 * 16 }; };

template <class A> DEVICE A weight_of(uint32_t bits) { return (A)bits; }
template <> DEVICE float weight_of(uint32_t bits) { return float_of(bits); }

template <class A, int K> DEVICE int32_t read_record(const char *r, A (&w)[K])
{
    if constexpr (sizeof(A) == 8) {
#pragma unroll
        for (int k = 0; k < K; k++) w[k] = load<double>(r + 8 * k);
        return load<int32_t>(r + 8 * K);
    } else {
        const uint4 q = load<uint4>(r);
        w[0] = weight_of<A>(q.x);
        w[1] = weight_of<A>(q.y);
        if constexpr (K == 2) return (int32_t)q.z;
        w[2 % K] = weight_of<A>(q.z);
        w[3 % K] = weight_of<A>(q.w);
        return load<int32_t>(r + 16);
    }
}

/* The type of weights in a plan's tables, where it is not the sum's. */
template <class A> struct weight { typedef A type; };
template <> struct weight<int32_t> { typedef int16_t type; };

/* `first` of output o and its weights, from the table or, where there is none, from the recipe. */
template <bool EVALUATE, int K, class A> DEVICE int32_t taps_of(const axis_params &a, const char *r, int32_t o, A (&w)[K])
{
    if constexpr (EVALUATE)
        if (!a.records) {
            int32_t count;
            typename weight<A>::type made[K];
            const int32_t first = evaluate(a.recipe, o, &count, made);
            for (int k = 0; k < K; k++) w[k] = made[k];
            return first;
        }
    if constexpr (K == 1) return load<int32_t>(r);
    else return read_record(r, w);
}

/* Where the record of output o is. */
template <class A, int K> DEVICE const char *record_at(const axis_params &a, int32_t o)
{
    return (const char *)a.records + (uint64_t)o * record<A, K>::BYTES;
}

/* The taps of one output in a table of any number of them: {first, count} as int32, and `taps` weights for each output in
 * the plan's type. */
template <class A> struct listed_taps {
    typedef typename weight<A>::type W;
    int32_t first, count;
    const char *weights;

    DEVICE listed_taps() {}
    DEVICE listed_taps(const axis_params &a, int32_t o, int32_t taps)
    {
        const uint2 q = load<uint2>((const char *)a.records + (uint64_t)o * 8);
        first = (int32_t)q.x;
        count = (int32_t)q.y;
        weights = (const char *)a.weights + (uint64_t)o * taps * sizeof(W);
    }
    DEVICE A weight_of(int32_t k) const { return (A)load<W>(weights + (uint64_t)k * sizeof(W)); }
};

/* KW taps of V samples of a row, each beginning at `first` along W: at once where all are `inside`, else within the row. */
template <class D, class A, int V, int KW>
DEVICE void read_taps(A (&tap)[V][KW], const typename D::S *from, const int32_t (&first)[V], const int32_t (&channel)[V],
                      int32_t inner, bool inside, int32_t width)
{
    typedef typename D::S S;
    if (inside) {
#pragma unroll
        for (int v = 0; v < V; v++)
#pragma unroll
            for (int k = 0; k < KW; k++)
                tap[v][k] = D::template widen<A>(load<S>(from + (first[v] * inner + channel[v]) + k * inner));
    } else {
        const int32_t last = here(width - 1);
#pragma unroll
        for (int v = 0; v < V; v++)
#pragma unroll
            for (int k = 0; k < KW; k++)
                tap[v][k] = D::template widen<A>(load<S>(from + (clamp(first[v] + k, last) * inner + channel[v])));
    }
}
