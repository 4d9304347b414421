/* One pass along one axis, of any number of taps: area, antialias, gradients, strong reductions.
 *
 * In: samples of kind DI; out: of kind DO.  Between passes both are the sum's type.  The axis is W
 * (the kernel's outputs are `row` long, inner samples for each), or, with ROWS, a sum of whole rows: H, or D
 * with the caller's D and H exchanged.  A thread makes V adjacent samples of `rows` output rows.
 *
 * Tables are those of `listed_taps`.  An output without taps is 0.  With the FORM BOX samples are added, and divided by
 * the count.  Without a table the taps are evaluated one by one, so that neither memory nor a limit depends on their
 * number.
 */
#pragma once
#include "axis.cuh"

/* The taps of one output. */
template <class A, int FORM, bool EVALUATE> struct wide_taps : listed_taps<A> {
    using typename listed_taps<A>::W;
    using listed_taps<A>::first;
    using listed_taps<A>::count;
    antialias_output made;
    W few[4];

    DEVICE void seek(const axis_params &a, int32_t o, int32_t taps)
    {
        if (EVALUATE && !a.records && a.recipe.filter < FILTER_AREA)
            first = evaluate(a.recipe, o, &count, few);
        else if (EVALUATE && !a.records) {
            made = evaluate_long(a.recipe, o);
            first = (int32_t)(made.lo - a.recipe.in_start);
            count = made.count;
        } else
            *(listed_taps<A> *)this = listed_taps<A>(a, o, taps);
    }
    DEVICE A weight_of(const axis_params &a, int32_t k)
    {
        if (FORM == BOX) return 1;
        if (EVALUATE && !a.records) {
            if (a.recipe.filter < FILTER_AREA) return (A)few[k];
            W w;
            evaluate_weight(a.recipe, made, k, &w);
            return (A)w;
        }
        return listed_taps<A>::weight_of(k);
    }
};

template <class D, class A, int V> DEVICE void read(const char *p, A (&x)[V])
{
    words<D, V> s;
    s.read(p);
#pragma unroll
    for (int v = 0; v < V; v++) x[v] = s.template get<A>(v);
}

template <class DI, class DO, class A, int V, int FORM, bool ROWS, bool EVALUATE>
DEVICE void wide(const char *in, char *out, const kernel_params &p)
{
    typedef typename DI::S S;
    const axis_params &axis = ROWS ? p.h : p.w;
    const int32_t taps = ROWS ? p.taps_h : p.taps_w;
    const int32_t j0 = (int32_t)(blockIdx.x * blockDim.x + threadIdx.x) * V;
    const int32_t y0 = (int32_t)(blockIdx.y * blockDim.y + threadIdx.y) * p.rows;
    if (j0 < 0 || j0 >= p.row || y0 < 0 || y0 >= p.out_height) return;
    const int32_t y1 = p.rows < p.out_height - y0 ? y0 + p.rows : p.out_height;
    const int32_t n = ROWS ? p.in_height : p.in_width;
    const int64_t step = ROWS ? p.in_h : (int64_t)p.inner * sizeof(S);
    const int32_t x = ROWS ? 0 : j0 / p.inner;
    const int64_t column = (ROWS ? j0 : j0 - x * p.inner) * (int64_t)sizeof(S);
    wide_taps<A, FORM, EVALUATE> t;
    if (!ROWS) t.seek(axis, x, taps);

    const bool whole = p.row - j0 >= V && p.align >= words<DO, V>::BYTES;
#pragma unroll 1
    for (plane_loop<true> at(p); at.more(p); at.next(p)) {
        const char *plane = at.from(in, p, at.d) + column;
        char *to = at.to(out, p) + y0 * p.out_h + (int64_t)j0 * sizeof(typename DO::S);
#pragma unroll 1
        for (int32_t y = y0; y < y1; y++) {
            if (ROWS) t.seek(axis, y, taps);
            const char *from = plane + (ROWS ? 0 : y * p.in_h);
            A a[V], x[V];
#pragma unroll
            for (int v = 0; v < V; v++) a[v] = 0;
            if (t.count > 0) {
                read<DI, A, V>(from + clamp(t.first, n - 1) * step, x);
                const A w0 = t.weight_of(axis, 0);
#pragma unroll
                for (int v = 0; v < V; v++) a[v] = FORM == BOX ? x[v] : times(w0, x[v]);
                if (FORM == WEIGHTED && t.count > 1) {
                    A x1[V];
                    read<DI, A, V>(from + clamp(t.first + 1, n - 1) * step, x1);
                    const A w1 = t.weight_of(axis, 1);
#pragma unroll
                    for (int v = 0; v < V; v++) a[v] = plus(w0, x[v], times(w1, x1[v]));
                }
            }
#pragma unroll 1
            for (int32_t k = FORM == BOX ? 1 : 2; k < t.count; k++) {
                read<DI, A, V>(from + clamp(t.first + k, n - 1) * step, x);
                const A w = t.weight_of(axis, k);
#pragma unroll
                for (int v = 0; v < V; v++) a[v] = FORM == BOX ? added(a[v], x[v]) : plus(w, x[v], a[v]);
            }
            A result[V];
#pragma unroll
            for (int v = 0; v < V; v++)
                result[v] = FORM == BOX ? divided(a[v], (A)t.count) : finish<DO>(a[v], ROWS ? p.shift_h : p.shift_w);
            words<DO, V> packed;
            packed.set(result);
            if (whole) packed.write(to);
            else packed.write_part(to, p.align, p.row - j0);
            to += p.out_h;
        }
    }
}
