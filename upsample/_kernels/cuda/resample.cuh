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

enum { SINGLE, CHANNELS, VECTOR };

template <class D, class A, int V, int KD, int KH, int KW, int MODE, bool EVALUATE>
DEVICE void resample(const char *in, char *out, const kernel_params &p)
{
    typedef typename D::S S;
    enum { VX = MODE == VECTOR ? 1 : V, PLANES = KD > 1 ? KD : 1, RING = KH > 1 ? KH : 1, WIDTH = sizeof(S) };
    const int32_t j0 = (int32_t)(blockIdx.x * blockDim.x + threadIdx.x) * V;
    const int32_t y0 = (int32_t)(blockIdx.y * blockDim.y + threadIdx.y) * p.rows;
    if (j0 < 0 || j0 >= p.row || y0 < 0 || y0 >= p.out_height) return;
    const int32_t y1 = p.rows < p.out_height - y0 ? y0 + p.rows : p.out_height;
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
        if constexpr (KW > 1) first[v] = taps_of<EVALUATE>(p.w, x, wx[v]);
        else first[v] = clip(tap_of<EVALUATE>(p.w, x), p.in_width);
        inside = inside && first[v] >= 0 && first[v] + KW <= p.in_width;
    }

    const int64_t z = (int64_t)blockIdx.z * blockDim.z + threadIdx.z;
    int64_t outer = z / p.out_depth;
    int32_t d = (int32_t)(z - outer * p.out_depth);
    while (outer < p.outer) {
        const char *plane[PLANES];
        A wd[PLANES];
        if constexpr (KD > 1) {
            const int32_t f = taps_of<EVALUATE>(p.d, d, wd);
#pragma unroll
            for (int k = 0; k < PLANES; k++) plane[k] = in + outer * p.in_outer + clip(f + k, p.in_depth) * p.in_d;
        } else
            plane[0] = in + outer * p.in_outer + (KD ? clip(tap_of<EVALUATE>(p.d, d), p.in_depth) : d) * p.in_d;
        char *to = out + outer * p.out_outer + d * p.out_d + y0 * p.out_h + (int64_t)j0 * WIDTH;

        A ring[PLANES][RING][V];
        int32_t newest = -1;            /* input row at the ring's end */
#pragma unroll 1
        for (int32_t y = y0; y < y1; y++) {
            A wy[RING];
            int32_t f = y;
            if constexpr (KH > 1) f = taps_of<EVALUATE>(p.h, y, wy);
            else if constexpr (KH) f = clip(tap_of<EVALUATE>(p.h, y), p.in_height);
            int32_t next = y == y0 || f + RING - 1 - newest > RING ? f : newest + 1;
            newest = f + RING - 1;
#pragma unroll 1
            for (; next <= newest; next++) {
                const int64_t row = (int64_t)clip(next, p.in_height) * p.in_h;
#pragma unroll
                for (int q = 0; q < PLANES; q++) {
                    const char *from = plane[q] + row;
                    A made[V];
                    if constexpr (MODE == VECTOR) {
                        words<D, V> x[KW];
#pragma unroll
                        for (int k = 0; k < KW; k++)
                            x[k].read(from + ((int64_t)clip(first[0] + k, p.in_width) * inner + channel[0]) * WIDTH);
#pragma unroll
                        for (int v = 0; v < V; v++) {
                            A tap[KW];
#pragma unroll
                            for (int k = 0; k < KW; k++) tap[k] = x[k].template get<A>(v);
                            made[v] = one_sum<D>(tap, wx[0], p.shift_w);
                        }
                    } else {
                        A tap[V][KW];
                        if (KW == 1 || inside) {
#pragma unroll
                            for (int v = 0; v < V; v++)
#pragma unroll
                                for (int k = 0; k < KW; k++)
                                    tap[v][k] = D::template widen<A>(load<S>(
                                        from + (int64_t)(first[v % VX] * inner + channel[v % VX]) * WIDTH + k * inner * WIDTH));
                        } else {
                            const int32_t n = here(p.in_width);
#pragma unroll
                            for (int v = 0; v < V; v++)
#pragma unroll
                                for (int k = 0; k < KW; k++)
                                    tap[v][k] = D::template widen<A>(load<S>(
                                        from + (int64_t)(clip(first[v % VX] + k, n) * inner + channel[v % VX]) * WIDTH));
                        }
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
            packed.write(to, p.align, p.row - j0);
            to += p.out_h;
        }
        d += p.z_d;                     /* the grid's step, carried: no division */
        outer += p.z_outer;
        if (d >= p.out_depth) { d -= p.out_depth; outer++; }
    }
}
