/* All passes in one kernel where outputs have a few taps, not all as many: area, antialias, gradients.
 *
 * In: tables of `listed_taps`, for H and W and with DEEP for D; KW, at least the taps along W, is 2 or 4.  A thread makes V
 * adjacent samples of `rows` output rows, each from all of its taps: nothing is kept from row to row, and nothing between
 * passes goes through memory.  What W asks for stays in registers.  FORM and MODE are those of wide.cuh and resample.cuh,
 * and so are the bits.
 */
#pragma once
#include "axis.cuh"

/* The quotient by a number of taps; of a power of two it is a product, and has the same bits. */
template <class A> struct divisor {
    A count, inverse;
    bool exact;

    DEVICE divisor() {}
    DEVICE divisor(int32_t n) : count((A)n), inverse(0), exact(n > 0 && !(n & (n - 1)))
    {
        if constexpr (sizeof(A) == 8) inverse = double_of(0x7fe0000000000000u - bits_of(count));
        else if constexpr ((A)0.5 != 0) inverse = float_of(0x7f000000u - bits_of(count));
        else exact = false;     /* integers are never divided */
    }
    DEVICE A operator()(A a) const { return exact ? times(a, inverse) : divided(a, count); }
};

/* A sum that is told its samples one after another, V at a time, in the order of one_sum. */
template <class D, class A, int V, int FORM> struct running_sum {
    A a[V], held[V], w0;

    DEVICE void add(int32_t k, A w, const A (&x)[V])
    {
#pragma unroll
        for (int v = 0; v < V; v++)
            if (FORM == BOX) a[v] = k ? added(a[v], x[v]) : x[v];
            else a[v] = k > 1 ? plus(w, x[v], a[v]) : k ? plus(w0, held[v], times(w, x[v])) : times(w, x[v]);
        if (FORM == WEIGHTED && k == 0) {
            w0 = w;
#pragma unroll
            for (int v = 0; v < V; v++) held[v] = x[v];
        }
    }
    DEVICE void end(int32_t count, int32_t shift)
    {
        const divisor<A> by(count);
#pragma unroll
        for (int v = 0; v < V; v++) a[v] = FORM == BOX ? by(a[v]) : count ? finish<D>(a[v], shift) : (A)0;
    }
};

/* The weight of tap k, 0 beyond the last; means have none. */
template <int FORM, class A> DEVICE A weight_at(const listed_taps<A> &t, int32_t k)
{
    return FORM == BOX || k >= t.count ? (A)0 : t.weight_of(k);
}

template <class D, class A, int V, bool DEEP, int KW, int FORM, int MODE>
DEVICE void gather(const char *in, char *out, const kernel_params &p)
{
    typedef typename D::S S;
    enum { VX = MODE == VECTOR ? 1 : V };
    const int32_t j0 = (int32_t)(blockIdx.x * blockDim.x + threadIdx.x) * V;
    const int32_t y0 = (int32_t)(blockIdx.y * blockDim.y + threadIdx.y) * p.rows;
    if (j0 < 0 || j0 >= p.row || y0 < 0 || y0 >= p.out_height) return;
    const int32_t y1 = here(p.rows < p.out_height - y0 ? y0 + p.rows : p.out_height);
    const int32_t inner = MODE == SINGLE ? 1 : p.inner;

    int32_t first[VX], channel[VX], count[VX];
    A wx[VX][KW];
    divisor<A> by[VX];
    bool inside = true;
#pragma unroll
    for (int v = 0; v < VX; v++) {
        const int32_t j = j0 + v < p.row ? j0 + v : p.row - 1;
        const int32_t x = MODE == SINGLE ? j : j / inner;
        const listed_taps<A> t(p.w, x, p.taps_w);
        first[v] = t.first;
        channel[v] = MODE == SINGLE ? 0 : j - x * inner;
        count[v] = t.count;
        by[v] = divisor<A>(t.count);
        inside = inside && t.first >= 0 && t.first + KW <= p.in_width;
#pragma unroll
        for (int k = 0; k < KW; k++) wx[v][k] = weight_at<FORM>(t, k);
    }
    const int32_t whole = here(p.row - j0 >= V && p.align >= words<D, V>::BYTES);

    /* an input row, resampled along W */
    auto read_row = [&](const char *plane, int32_t row, A (&made)[V]) {
        const S *from = (const S *)at_row(plane, clamp(row, p.in_height - 1), (int32_t)p.in_h);
        A tap[V][KW];
        if constexpr (MODE == VECTOR) {
#pragma unroll
            for (int k = 0; k < KW; k++) {
                words<D, V> x;
                x.read(from + (clamp(first[0] + (k < count[0] ? k : 0), p.in_width - 1) * inner + channel[0]));
#pragma unroll
                for (int v = 0; v < V; v++) tap[v][k] = x.template get<A>(v);
            }
        } else
            read_taps<D>(tap, from, first, channel, inner, inside, p.in_width);
#pragma unroll
        for (int v = 0; v < V; v++) {
            const int32_t n = count[v % VX];
            const A(&w)[KW] = wx[v % VX];
            A a;
            if (FORM == BOX) {
                a = tap[v][0];
#pragma unroll
                for (int k = 1; k < KW; k++) a = k < n ? added(a, tap[v][k]) : a;
                made[v] = by[v % VX](a);
            } else {
                a = n > 1 ? plus(w[0], tap[v][0], times(w[1], tap[v][1])) : times(w[0], tap[v][0]);
#pragma unroll
                for (int k = 2; k < KW; k++) a = k < n ? plus(w[k], tap[v][k], a) : a;
                made[v] = n ? finish<D>(a, p.shift_w) : (A)0;
            }
        }
    };
    /* an input plane, resampled along W and H: two rows are on their way at a time */
    auto read_plane = [&](const char *plane, const listed_taps<A> &h, running_sum<D, A, V, FORM> &sum) {
#pragma unroll
        for (int v = 0; v < V; v++) sum.a[v] = 0;
#pragma unroll 1
        for (int32_t k = 0; k < h.count; k += 2) {
            A upper[V], lower[V];
            read_row(plane, h.first + k, upper);
            read_row(plane, h.first + (k + 1 < h.count ? k + 1 : k), lower);
            sum.add(k, weight_at<FORM>(h, k), upper);
            if (k + 1 < h.count) sum.add(k + 1, weight_at<FORM>(h, k + 1), lower);
        }
        sum.end(h.count, p.shift_h);
    };

#pragma unroll 1
    for (plane_loop<DEEP> at(p); at.more(p); at.next(p)) {
        char *to = at.to(out, p) + y0 * p.out_h + (int64_t)j0 * sizeof(S);
#pragma unroll 1
        for (int32_t y = y0; y < y1; y++) {
            const listed_taps<A> h(p.h, y, p.taps_h);
            running_sum<D, A, V, FORM> sum;
            if constexpr (DEEP) {
                const listed_taps<A> d(p.d, at.d, p.taps_d);
                running_sum<D, A, V, FORM> planes;
#pragma unroll
                for (int v = 0; v < V; v++) planes.a[v] = 0;
#pragma unroll 1
                for (int32_t k = 0; k < d.count; k++) {
                    read_plane(at.from(in, p, clamp(d.first + k, p.in_depth - 1)), h, sum);
                    planes.add(k, weight_at<FORM>(d, k), sum.a);
                }
                planes.end(d.count, p.shift_d);
                sum = planes;
            } else
                read_plane(at.from(in, p, 0), h, sum);
            words<D, V> packed;
            packed.set(sum.a);
            if (whole) packed.write(to);
            else packed.write_part(to, p.align, p.row - j0);
            to += p.out_h;
        }
    }
}
