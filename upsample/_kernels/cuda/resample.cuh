/* One kernel for every plan of one, two or four taps per output, in one, two or three dimensions.
 *
 * A thread makes V consecutive samples (16 bytes where that fits its registers) of `rows` output rows.
 * What W asks for stays in registers: where its taps begin, and their weights.  Going down, every
 * input row is read and resampled along W once, into a ring of as many rows as H has taps, in each of the
 * planes that D has taps; an output row is the sum over the ring, then over the planes, stored once.
 * Per output: sizeof(S) bytes are written and, at factor f, sizeof(S) / f^rank are read from memory.
 *
 * KD and KH are 0 where the axis is not resampled, 1 for copies.  MODE tells how samples of a row are found:
 *     SINGLE    one channel: a sample is an output along W
 *     CHANNELS  any number of channels; a thread's samples belong to one or more outputs
 *     VECTOR    V divides the number of channels: they have the taps of one output and are read at once
 */
#pragma once
#include "axis.cuh"

template <class D, class A, int V, int KD, int KH, int KW, int MODE, bool EVALUATE>
DEVICE void resample(const char *in, char *out, const kernel_params &p)
{
    typedef typename D::S S;
    enum { VX = MODE == VECTOR ? 1 : V, PLANES = KD > 1 ? KD : 1, RING = KH > 1 ? KH : 1, WIDTH = sizeof(S) };
    const int32_t j0 = (int32_t)(blockIdx.x * blockDim.x + threadIdx.x) * V;
    const int32_t y0 = (int32_t)(blockIdx.y * blockDim.y + threadIdx.y) * p.rows;
    if (j0 < 0 || j0 >= p.row || y0 < 0 || y0 >= p.out_height) return;
    const int32_t y1 = here(p.rows < p.out_height - y0 ? y0 + p.rows : p.out_height);
    const int32_t inner = MODE == SINGLE ? 1 : p.inner;

    /* along W: where the first tap of each sample is, in samples of the row, and the weights */
    int32_t first[VX], channel[VX];
    A wx[VX][KW];
    bool inside = true;
#pragma unroll
    for (int v = 0; v < VX; v++) {
        const int32_t j = j0 + v < p.row ? j0 + v : p.row - 1;
        const int32_t x = MODE == SINGLE ? j : j / inner;
        channel[v] = MODE == SINGLE ? 0 : j - x * inner;
        first[v] = taps_of<EVALUATE>(p.w, record_at<A, KW>(p.w, x), x, wx[v]);
        inside = inside && first[v] >= 0 && first[v] + KW <= p.in_width;
        if (KW == 1) first[v] = clamp(first[v], p.in_width - 1) * inner + channel[v];
    }
    const int32_t whole = here(p.row - j0 >= V && p.align >= words<D, V>::BYTES);

#pragma unroll 1
    for (plane_loop<(KD > 0)> at(p); at.more(p); at.next(p)) {
        const char *plane[PLANES];
        A wd[PLANES];
        int32_t deep = 0;
        if constexpr (KD > 0) deep = taps_of<EVALUATE>(p.d, record_at<A, PLANES>(p.d, at.d), at.d, wd);
#pragma unroll
        for (int k = 0; k < PLANES; k++)
            plane[k] = here(at.from(in, p, clamp(deep + k, p.in_depth - 1)));
        char *to = at.to(out, p) + y0 * p.out_h + (int64_t)j0 * WIDTH;

        A ring[PLANES][RING][V];
        const char *taps = record_at<A, RING>(p.h, y0);
        int32_t newest = -(1 << 30);    /* the input row at the ring's end; at first there is none */
#pragma unroll 1
        for (int32_t y = y0; y < y1; y++) {
            A wy[RING];
            int32_t f = y;
            if constexpr (KH > 0) {
                f = taps_of<EVALUATE>(p.h, taps, y, wy);
                taps += record<A, RING>::BYTES;
            }
            int32_t next = newest + 1 > f ? newest + 1 : f;
            newest = f + RING - 1;
#pragma unroll 1
            for (; next <= newest; next++) {
                const int32_t row = clamp(next, p.in_height - 1);
#pragma unroll
                for (int q = 0; q < PLANES; q++) {
                    const S *from = (const S *)at_row(plane[q], row, (int32_t)p.in_h);
                    A made[V];
                    if constexpr (MODE == VECTOR) {
                        words<D, V> x[KW];
#pragma unroll
                        for (int k = 0; k < KW; k++)
                            x[k].read(from + (KW == 1 ? first[0] : clamp(first[0] + k, p.in_width - 1) * inner + channel[0]));
#pragma unroll
                        for (int v = 0; v < V; v++) {
                            A tap[KW];
#pragma unroll
                            for (int k = 0; k < KW; k++) tap[k] = x[k].template get<A>(v);
                            made[v] = one_sum<D>(tap, wx[0], p.shift_w);
                        }
                    } else {
                        A tap[V][KW];
                        if (KW == 1) {
#pragma unroll
                            for (int v = 0; v < V; v++) tap[v][0] = D::template widen<A>(load<S>(from + first[v % VX]));
                        } else
                            read_taps<D>(tap, from, first, channel, inner, inside, p.in_width);
#pragma unroll
                        for (int v = 0; v < V; v++)
                            made[v] = one_sum<D>(tap[v], wx[v % VX], p.shift_w);
                    }
#pragma unroll
                    for (int v = 0; v < V; v++) {
#pragma unroll
                        for (int k = 0; k + 1 < RING; k++) ring[q][k][v] = ring[q][k + 1][v];
                        ring[q][RING - 1][v] = made[v];
                    }
                }
            }
            A result[V];
#pragma unroll
            for (int v = 0; v < V; v++) {
                A along_d[PLANES];
#pragma unroll
                for (int q = 0; q < PLANES; q++) {
                    A along_h[RING];
#pragma unroll
                    for (int k = 0; k < RING; k++) along_h[k] = ring[q][k][v];
                    along_d[q] = one_sum<D>(along_h, wy, p.shift_h);
                }
                result[v] = one_sum<D>(along_d, wd, p.shift_d);
            }
            words<D, V> packed;
            packed.set(result);
            if (whole) packed.write(to);
            else packed.write_part(to, p.align, p.row - j0);
            to += p.out_h;
        }
    }
}
