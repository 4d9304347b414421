/* Whole factor 2 along W, or H and W, with two or four taps.
 *
 * Outputs 2j and 2j + 1 have the taps from j - K/2 and from j - K/2 + 1 on, with the same weights for every j, which are
 * parameters: operands from the constant bank, no registers.  The first output may have taps of its own.  The caller has
 * made sure of that, and that rows are whole vectors.  A thread reads COLS columns of CH samples and K/2 columns at either
 * side, for twice as many columns of `2 * HALF` rows.  CH is 1, or all of a few channels, or with COLS = 1 some of many.
 * The ring is unrolled: no row is ever moved, and rows to come are on their way early.  D, if it is resampled, has its
 * table.  The bits are those of `resample`.
 */
#pragma once
#include "axis.cuh"

template <class A> DEVICE A weight_in(uint64_t bits)
{
    if constexpr (sizeof(A) == 8) return double_of(bits);
    else return weight_of<A>((uint32_t)bits);
}

/* Even and odd sums of 1 + K samples beginning at j - K/2; `own` where j is 0 and has taps of its own. */
template <class D, int K, class A>
DEVICE void two_sums(const A (&x)[K + 1], const doubled_params &t, bool own, int32_t shift, A &even, A &odd)
{
    A low[K], high[K], w[K], u[K];
#pragma unroll
    for (int k = 0; k < K; k++) {
        low[k] = K == 2 && own ? x[k + 1] : x[k];
        high[k] = x[k + 1];
        w[k] = weight_in<A>(K == 2 && own ? t.begin[k % 2] : t.even[k]);
        u[k] = weight_in<A>(t.odd[k]);
    }
    even = one_sum<D>(low, w, shift);
    odd = one_sum<D>(high, u, shift);
}

/* CH samples that adjoin, into the sum's type. */
template <class D, int CH, class A> DEVICE void widened(const typename D::S *from, A *x)
{
    if constexpr (CH * sizeof(*from) % 4 == 0 && CH % 2 == 0) {
        words<D, CH> w;
        w.read(from);
#pragma unroll
        for (int c = 0; c < CH; c++) x[c] = w.template get<A>(c);
    } else {
#pragma unroll
        for (int c = 0; c < CH; c++) x[c] = D::template widen<A>(load<typename D::S>(from + c));
    }
}

/* Twice as many columns of CH samples each: whole pixels adjoin, some channels of one do not.  A PIECE is the 16 bytes
 * from word `left` on. */
template <class D, int COLS, int CH, bool PIECE, class A>
DEVICE void put(char *to, const A (&x)[2 * COLS * CH], int32_t inner, int32_t left)
{
    if constexpr (PIECE) {
        words<D, 2 * COLS * CH> packed;
        packed.set(x);
        uint32_t q[4];
#pragma unroll
        for (int i = 0; i < 4; i++) q[i] = left == 0 ? packed.word[i] : left == 1 ? packed.word[i + 1] : packed.word[i + 2];
        store(to, make_uint4(q[0], q[1], q[2], q[3]));
    } else if constexpr (COLS > 1 || CH % 2 == 1) {
        words<D, 2 * COLS * CH> packed;
        packed.set(x);
        packed.write(to);
    } else {
#pragma unroll
        for (int side = 0; side < 2; side++) {
            words<D, CH> packed;
            A part[CH];
#pragma unroll
            for (int c = 0; c < CH; c++) part[c] = x[side * CH + c];
            packed.set(part);
            packed.write(to + (int64_t)side * inner * sizeof(typename D::S));
        }
    }
}

/* With PIECE, CH is 3 and a sample has two bytes: threads store 16 bytes that adjoin, 8 of the 12 samples that they make.
 * Whole pixels would be 24 bytes, in stores that leave gaps, which the L2 cache takes at half its speed. */
template <class D, class A, int COLS, int CH, bool PIECE, int KD, int KH, int K, int HALF>
DEVICE void doubled_sums(const char *in, char *out, const kernel_params &p)
{
    typedef typename D::S S;
    enum {
        E = K / 2, V = 2 * COLS * CH, PLANES = KD > 1 ? KD : 1, REACH = KH ? E : 0, SLOTS = KH ? K + 1 : 1, ROWS = KH ? HALF : 1,
        EACH = PIECE ? 1 : COLS * CH    /* samples read at once: pieces begin anywhere */
    };
    const int32_t thread = (int32_t)(blockIdx.x * blockDim.x + threadIdx.x), inner = CH == 1 ? 1 : p.inner;
    const int32_t groups = CH == 1 || PIECE ? 1 : inner / CH, group = thread / groups;
    const int32_t i0 = PIECE ? 4 * thread / 3 : group * COLS, channel = PIECE ? 0 : (thread - group * groups) * CH;
    const int32_t left = PIECE ? 4 * thread - 3 * i0 : 0;
    const int32_t y0 = (int32_t)(blockIdx.y * blockDim.y + threadIdx.y) * ROWS;
    if (i0 < 0 || i0 >= p.in_width || y0 < 0 || y0 >= p.in_height) return;
    int32_t before[E], after[E];
    const int32_t centre = i0 * inner + channel;
#pragma unroll
    for (int e = 0; e < E; e++) {
        before[e] = clamp(i0 - E + e, p.in_width - 1) * inner + channel;
        after[e] = clamp(i0 + COLS + e, p.in_width - 1) * inner + channel;
    }

#pragma unroll 1
    for (plane_loop<(KD > 0)> at(p); at.more(p); at.next(p)) {
        const char *plane[PLANES];
        A wd[PLANES];
        int32_t deep = 0;
        if constexpr (KD > 0) deep = taps_of<false>(p.d, record_at<A, PLANES>(p.d, at.d), at.d, wd);
#pragma unroll
        for (int q = 0; q < PLANES; q++)
            plane[q] = here(at.from(in, p, clamp(deep + q, p.in_depth - 1)));
        const int64_t start = PIECE ? (int64_t)8 * thread : (int64_t)2 * i0 * inner + channel;
        char *to = at.to(out, p) + (KH ? 2 : 1) * y0 * p.out_h + start * sizeof(S);

        A ring[PLANES][SLOTS][V];
#pragma unroll
        for (int r = -REACH; r < ROWS + REACH; r++) {
            const int32_t row = clamp(y0 + r, p.in_height - 1);
#pragma unroll
            for (int q = 0; q < PLANES; q++) {
                const S *from = (const S *)at_row(plane[q], row, (int32_t)p.in_h);
                A x[(COLS + 2 * E) * CH];
#pragma unroll
                for (int i = 0; i < COLS * CH; i += EACH) widened<D, EACH>(from + centre + i, x + E * CH + i);
#pragma unroll
                for (int e = 0; e < E; e++) {
                    widened<D, CH>(from + before[e], x + e * CH);
                    widened<D, CH>(from + after[e], x + (E + COLS + e) * CH);
                }
                A *made = ring[q][(r + REACH) % SLOTS];
#pragma unroll
                for (int i = 0; i < COLS * CH; i++) {
                    const int c = i / CH, even = 2 * c * CH + i % CH;
                    A part[K + 1];
#pragma unroll
                    for (int k = 0; k <= K; k++) part[k] = x[i + k * CH];
                    two_sums<D, K>(part, p.twice_w, c == 0 && i0 == 0 && p.own_w, p.shift_w, made[even], made[even + CH]);
                }
            }
            if (r < REACH) continue;
            if (y0 + r - REACH >= p.in_height) break;
            A upper[V], lower[V];
#pragma unroll
            for (int v = 0; v < V; v++) {
                A even[PLANES], odd[PLANES];
#pragma unroll
                for (int q = 0; q < PLANES; q++)
                    if constexpr (KH > 0) {
                        A part[K + 1];
#pragma unroll
                        for (int k = 0; k <= K; k++) part[k] = ring[q][(r - REACH + k) % SLOTS][v];
                        two_sums<D, K>(part, p.twice_h, r == REACH && y0 == 0 && p.own_h, p.shift_h, even[q], odd[q]);
                    } else
                        even[q] = odd[q] = ring[q][0][v];
                upper[v] = one_sum<D>(even, wd, p.shift_d);
                lower[v] = one_sum<D>(odd, wd, p.shift_d);
            }
            put<D, COLS, CH, PIECE>(to, upper, inner, left);
            to += p.out_h;
            if constexpr (KH > 0) {
                put<D, COLS, CH, PIECE>(to, lower, inner, left);
                to += p.out_h;
            }
        }
    }
}

template <class D, class A, int COLS, int CH, int KD, int KH, int K, int HALF>
DEVICE void doubled(const char *in, char *out, const kernel_params &p)
{
    doubled_sums<D, A, COLS, CH, false, KD, KH, K, HALF>(in, out, p);
}
template <class D, class A, int KD, int KH, int K, int HALF>
DEVICE void doubled_pixels(const char *in, char *out, const kernel_params &p)
{
    doubled_sums<D, A, 2, 3, true, KD, KH, K, HALF>(in, out, p);
}

/* Copies: every sample twice along W and, with KH, every row twice.  A thread reads 8 bytes for 16, or 32. */
template <class D, int KD, int KH, int HALF> DEVICE void doubled_copy(const char *in, char *out, const kernel_params &p)
{
    enum { SIZE = sizeof(typename D::S), C = 8 / SIZE, ROWS = KH ? HALF : 1 };
    const int32_t i0 = (int32_t)(blockIdx.x * blockDim.x + threadIdx.x) * C;
    const int32_t y0 = (int32_t)(blockIdx.y * blockDim.y + threadIdx.y) * ROWS;
    if (i0 < 0 || i0 >= p.in_width || y0 < 0 || y0 >= p.in_height) return;
#pragma unroll 1
    for (plane_loop<(KD > 0)> at(p); at.more(p); at.next(p)) {
        int32_t deep = 0, none[1];
        if constexpr (KD > 0) deep = clamp(taps_of<false>(p.d, record_at<int32_t, 1>(p.d, at.d), at.d, none), p.in_depth - 1);
        const char *from = at.from(in, p, deep) + y0 * p.in_h + (int64_t)i0 * SIZE;
        char *to = at.to(out, p) + (KH ? 2 : 1) * y0 * p.out_h + 2 * (int64_t)i0 * SIZE;
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            if (y0 + r >= p.in_height) break;
            const uint2 x = load<uint2>(from);
            uint4 q;
            if constexpr (SIZE == 8) q = make_uint4(x.x, x.y, x.x, x.y);
            else if constexpr (SIZE == 4) q = make_uint4(x.x, x.x, x.y, x.y);
            else {
                constexpr uint32_t low = SIZE == 2 ? 0x1010 : 0x1100, high = SIZE == 2 ? 0x3232 : 0x3322;
                q = make_uint4(bytes_of(x.x, 0, low), bytes_of(x.x, 0, high), bytes_of(x.y, 0, low), bytes_of(x.y, 0, high));
            }
            store(to, q);
            if (KH) store(to + p.out_h, q);
            from += p.in_h;
            to += (KH ? 2 : 1) * p.out_h;
        }
    }
}

/* uint8 with the weights 1/4 and 3/4: (a + 3b + 2) >> 2 is what the integer scheme makes of them.
 *
 * Bytes are spread over 16-bit lanes, two to a register: of a word, bytes 0 and 2 in one, 1 and 3 in another.  In `lanes`,
 * the first half belongs to even outputs and the second to odd ones.  A thread makes 16 samples of 2 * HALF rows.
 */
struct lanes { uint32_t x[8]; };

template <int KH, int HALF> DEVICE void doubled_bytes(const char *in, char *out, const kernel_params &p)
{
    enum { ROWS = KH ? HALF : 1, REACH = KH ? 1 : 0, SLOTS = KH ? 3 : 1 };
    const uint32_t mask = 0x00ff00ffu, half = 0x00020002u;
    const int32_t i0 = (int32_t)(blockIdx.x * blockDim.x + threadIdx.x) * 8;
    const int32_t y0 = (int32_t)(blockIdx.y * blockDim.y + threadIdx.y) * ROWS;
    if (i0 < 0 || i0 >= p.in_width || y0 < 0 || y0 >= p.in_height) return;
    const int32_t before = clamp(i0 - 1, p.in_width - 1), after = clamp(i0 + 8, p.in_width - 1);
#pragma unroll 1
    for (plane_loop<false> at(p); at.more(p); at.next(p)) {
        const char *plane = here(at.from(in, p, 0));
        char *to = at.to(out, p) + (KH ? 2 : 1) * y0 * p.out_h + 2 * (int64_t)i0;
        lanes ring[SLOTS];
#pragma unroll
        for (int r = -REACH; r < ROWS + REACH; r++) {
            const char *row = at_row(plane, clamp(y0 + r, p.in_height - 1), (int32_t)p.in_h);
            const uint2 c = load<uint2>(row + i0);
            const uint32_t left = load<uint8_t>(row + before), right = load<uint8_t>(row + after);
            const uint32_t centre[2] = { c.x, c.y };
            const uint32_t lower[2] = { bytes_of(c.x, left, 0x2104), bytes_of(c.x, c.y, 0x6543) };
            const uint32_t upper[2] = { bytes_of(c.x, c.y, 0x4321), bytes_of(c.y, right, 0x4321) };
            lanes &made = ring[(r + REACH) % SLOTS];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int shift = i % 2 * 8;
                const uint32_t t = (centre[i / 2] >> shift & mask) * 3 + half;
                made.x[i] = (t + (lower[i / 2] >> shift & mask)) >> 2 & mask;
                made.x[4 + i] = (t + (upper[i / 2] >> shift & mask)) >> 2 & mask;
            }
            if (r < REACH) continue;
            if (y0 + r - REACH >= p.in_height) break;
#pragma unroll
            for (int side = 0; side < (KH ? 2 : 1); side++) {
                uint32_t x[8];
#pragma unroll
                for (int i = 0; i < 8; i++) {
                    if constexpr (KH > 0)
                        x[i] = (ring[(r - REACH + 1) % SLOTS].x[i] * 3 + half + ring[(r - REACH + 2 * side) % SLOTS].x[i]) >> 2 & mask;
                    else
                        x[i] = ring[0].x[i];
                }
                uint32_t q[4];
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    const uint32_t first = x[2 * i] | x[4 + 2 * i] << 8, second = x[2 * i + 1] | x[5 + 2 * i] << 8;
                    q[2 * i] = bytes_of(first, second, 0x5410);
                    q[2 * i + 1] = bytes_of(first, second, 0x7632);
                }
                store(to, make_uint4(q[0], q[1], q[2], q[3]));
                to += p.out_h;
            }
        }
    }
}
