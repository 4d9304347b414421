/* uint8 in the integer scheme, of one channel, at any factor that enlarges: whole words instead of a load per tap.
 *
 * Along W, adjacent outputs have taps within eight bytes: two words are read, a permutation brings the bytes of two or four
 * taps together, and an instruction sums two products of a 16-bit weight and a byte.  The ring keeps rows as bytes.  The
 * caller has made sure that all taps are there (or have no weight) and that input rows are whole words.  A thread makes 16
 * samples of `rows` output rows.  The bits are those of `resample`.
 */
#pragma once
#include "axis.cuh"

/* Two weights in one register. */
DEVICE uint32_t two_weights(int32_t low, int32_t high) { return bytes_of((uint32_t)low, (uint32_t)high, 0x5410); }

template <int KH, int K> DEVICE void window_bytes(const char *in, char *out, const kernel_params &p)
{
    enum { V = 16, WORDS = V / 4, EACH = 8 / K, PAIRS = K / 2, RING = KH ? K : 1 };     /* EACH: outputs of two words */
    const int32_t j0 = (int32_t)(blockIdx.x * blockDim.x + threadIdx.x) * V;
    const int32_t y0 = (int32_t)(blockIdx.y * blockDim.y + threadIdx.y) * p.rows;
    if (j0 < 0 || j0 >= p.row || y0 < 0 || y0 >= p.out_height) return;
    const int32_t y1 = here(p.rows < p.out_height - y0 ? y0 + p.rows : p.out_height);
    const int32_t half_w = 1 << p.shift_w >> 1, half_h = 1 << p.shift_h >> 1;

    int32_t start[V / EACH];
    uint32_t pick[V * K / 4], wx[V][PAIRS];
#pragma unroll
    for (int v = 0; v < V; v++) {
        const int32_t j = j0 + v < p.row ? j0 + v : p.row - 1;
        int32_t w[K];
        const int32_t first = read_record(record_at<int32_t, K>(p.w, j), w);
        if (v % EACH == 0) start[v / EACH] = clamp(first >> 2, (p.in_width >> 2) - 2) * 4;
        const uint32_t at = (uint32_t)(first - start[v / EACH]);
        const uint32_t bytes = (K == 2 ? at * 0x11 + 0x10 : at * 0x1111 + 0x3210) & 0x7777;
        if (K == 2 && v % 2) pick[v / 2] |= bytes << 8;
        else pick[v * K / 4] = bytes;
#pragma unroll
        for (int q = 0; q < PAIRS; q++) wx[v][q] = two_weights(w[2 * q], w[2 * q + 1]);
    }
    const int32_t whole = here(p.row - j0 >= V && p.align >= V);

#pragma unroll 1
    for (plane_loop<false> at(p); at.more(p); at.next(p)) {
        const char *plane = here(at.from(in, p, 0));
        char *to = at.to(out, p) + y0 * p.out_h + j0;
        uint32_t ring[RING][WORDS];
        const char *taps = record_at<int32_t, K>(p.h, y0);
        int32_t newest = -(1 << 30);
#pragma unroll 1
        for (int32_t y = y0; y < y1; y++) {
            int32_t w[K], f = y;
            if constexpr (KH > 0) {
                f = read_record(taps, w);
                taps += record<int32_t, K>::BYTES;
            }
            int32_t next = newest + 1 > f ? newest + 1 : f;
            newest = f + RING - 1;
#pragma unroll 1
            for (; next <= newest; next++) {
                const char *from = at_row(plane, clamp(next, p.in_height - 1), (int32_t)p.in_h);
#pragma unroll
                for (int i = 0; i < WORDS; i++) {
#pragma unroll
                    for (int k = 0; k + 1 < RING; k++) ring[k][i] = ring[k + 1][i];
                    int32_t a[4];
#pragma unroll
                    for (int v = 4 * i; v < 4 * i + 4; v += EACH) {
                        const uint32_t low = load<uint32_t>(from + start[v / EACH]);
                        const uint32_t high = load<uint32_t>(from + start[v / EACH] + 4);
#pragma unroll
                        for (int u = v; u < v + EACH; u++) {
                            const uint32_t x = bytes_of(low, high, pick[u * K / 4]);
                            if constexpr (K == 4) a[u % 4] = dot_high(wx[u][PAIRS - 1], x, dot_low(wx[u][0], x, half_w));
                            else a[u % 4] = u % 2 ? dot_high(wx[u][0], x, half_w) : dot_low(wx[u][0], x, half_w);
                        }
                    }
                    ring[RING - 1][i] = four_bytes(a[0] >> p.shift_w, a[1] >> p.shift_w, a[2] >> p.shift_w, a[3] >> p.shift_w);
                }
            }
            words<u8, V> made;
#pragma unroll
            for (int i = 0; i < WORDS; i++)
                if constexpr (KH > 0) {
                    int32_t a[4] = { half_h, half_h, half_h, half_h };
#pragma unroll
                    for (int q = 0; q < PAIRS; q++) {
                        const uint32_t wy = two_weights(w[2 * q], w[2 * q + 1]);
                        const uint32_t left = bytes_of(ring[2 * q][i], ring[2 * q + 1][i], 0x5140);
                        const uint32_t right = bytes_of(ring[2 * q][i], ring[2 * q + 1][i], 0x7362);
                        a[0] = dot_low(wy, left, a[0]);
                        a[1] = dot_high(wy, left, a[1]);
                        a[2] = dot_low(wy, right, a[2]);
                        a[3] = dot_high(wy, right, a[3]);
                    }
                    made.word[i] = four_bytes(a[0] >> p.shift_h, a[1] >> p.shift_h, a[2] >> p.shift_h, a[3] >> p.shift_h);
                } else
                    made.word[i] = ring[0][i];
            if (whole) made.write(to);
            else made.write_part(to, p.align, p.row - j0);
            to += p.out_h;
        }
    }
}
