/* Samples in memory, and the sums that are made of them.
 *
 * In and out: a kind of sample is a struct with its storage `S` (unsigned bits), `widen` to the sum's type
 * and `narrow` back, rounded once.  The sum's type is float, double, or int for the 8-bit integer scheme,
 * which rounds and clamps after every pass by `finish`.  The one sum, as on the CPU:
 *     a = w1*x1;  a = fma(w0, x0, a);  a = fma(wk, xk, a)  for k = 2, 3, ...
 * The files are compiled without contraction, and device.cuh has all arithmetic on samples, so results have the CPU's
 * bits.
 */
#pragma once
#include <device.cuh>

/* float64 to float32 rounding to odd: a later rounding to a narrower type is then the only one. */
DEVICE float to_odd(double x)
{
    float f = to_float(x);
    double back = to_double(f);
    uint32_t u = bits_of(f);
    if (back != x && (u & 0x7fffffff) < 0x7f800000 && !(u & 1)) return float_of((x > 0) == (back > x) ? u - 1 : u + 1);
    if (back != x && x == x && (u & 0x7fffffff) == 0x7f800000 && x - x == 0) return float_of(u - 1);
    return f;
}

DEVICE float single(float x) { return x; }
DEVICE float single(double x) { return to_odd(x); }

/* A float as the type of a sum. */
template <class A> DEVICE A as_sum(float x) { return x; }
template <> DEVICE double as_sum(float x) { return to_double(x); }

struct f32 {
    typedef uint32_t S;
    template <class A> static DEVICE A widen(S s) { return as_sum<A>(float_of(s)); }
    template <class A> static DEVICE S narrow(A a) { return bits_of(to_float(a)); }
};
struct f64 {
    typedef uint64_t S;
    template <class A> static DEVICE A widen(S s) { return double_of(s); }
    template <class A> static DEVICE S narrow(A a) { return bits_of((double)a); }
};
struct f16 {
    typedef uint16_t S;
    template <class A> static DEVICE A widen(S s) { return as_sum<A>(half_to_float(s)); }
    template <class A> static DEVICE S narrow(A a) { return (S)to_halves(single(a), 0.0f); }
    template <class A> static DEVICE uint32_t narrow2(A a, A b) { return to_halves(single(a), single(b)); }
};
struct bf16 {
    typedef uint16_t S;
    template <class A> static DEVICE A widen(S s) { return as_sum<A>(float_of((uint32_t)s << 16)); }
    template <class A> static DEVICE S narrow(A a) { return (S)to_bfloat16s(single(a), 0.0f); }
    template <class A> static DEVICE uint32_t narrow2(A a, A b) { return to_bfloat16s(single(a), single(b)); }
};

/* Integers of 8 and 16 bits: from float sums rounded and clamped, from int sums finished already. */
template <class S_, class T, int32_t LO, int32_t HI> struct integer {
    typedef S_ S;
    template <class A> static DEVICE A widen(S s) { return (A)(T)s; }
    static DEVICE S narrow(int32_t a) { return (S)a; }
    template <class A> static DEVICE S narrow(A a) { return (S)to_int(a < (A)LO ? (A)LO : a > (A)HI ? (A)HI : a); }
    template <class A> static DEVICE uint32_t narrow2(A a, A b) { return (uint32_t)narrow(a) | (uint32_t)narrow(b) << 16; }
    template <class A> static DEVICE A finish(A a, int32_t) { return a; }
    static DEVICE int32_t finish(int32_t a, int32_t shift)
    {
        a = (a + (1 << shift >> 1)) >> shift;
        return a < LO ? LO : a > HI ? HI : a;
    }
};
typedef integer<uint8_t, uint8_t, 0, 255> u8;
typedef integer<uint8_t, int8_t, -128, 127> i8;
typedef integer<uint16_t, uint16_t, 0, 65535> u16;
typedef integer<uint16_t, int16_t, -32768, 32767> i16;

/* Samples that are only copied: so many bytes, of any dtype. */
template <class S_> struct raw {
    typedef S_ S;
    template <class A> static DEVICE A widen(S s) { return s; }
    template <class A> static DEVICE S narrow(A a) { return a; }
    template <class A> static DEVICE uint32_t narrow2(A a, A b) { return (uint32_t)a | (uint32_t)b << 16; }
};
typedef raw<uint8_t> raw1;
typedef raw<uint16_t> raw2;
typedef raw<uint32_t> raw4;
typedef raw<uint64_t> raw8;
typedef raw<uint4> raw16;

template <class D, class A> DEVICE A finish(A a, int32_t) { return a; }
template <class D> DEVICE int32_t finish(int32_t a, int32_t shift) { return D::finish(a, shift); }

template <class A> DEVICE A plus(A w, A x, A a) { return fmadd(w, x, a); }
DEVICE int32_t plus(int32_t w, int32_t x, int32_t a) { return w * x + a; }
DEVICE int32_t times(int32_t a, int32_t b) { return a * b; }
DEVICE int32_t added(int32_t a, int32_t b) { return a + b; }
DEVICE int32_t divided(int32_t a, int32_t b) { return a / b; }

/* The sum of K samples, and what a pass keeps of it; one tap is a copy. */
template <class D, int K, class A> DEVICE A one_sum(const A (&x)[K], const A (&w)[K], int32_t shift)
{
    if constexpr (K == 1) return x[0];
    else {
        A a = plus(w[0], x[0], times(w[1], x[1]));
#pragma unroll
        for (int k = 2; k < K; k++) a = plus(w[k], x[k], a);
        return finish<D>(a, shift);
    }
}

/* ---- several samples at once -------------------------------------------- */

/* `V` samples as the words that they are in memory. */
template <class D, int V> struct words {
    static constexpr int SIZE = sizeof(typename D::S), BYTES = V * SIZE, COUNT = (BYTES + 3) / 4;
    uint32_t word[COUNT];

    /* The widest access that an address has which is a multiple of it. */
    static constexpr int UNIT = BYTES % 16 == 0 ? 16 : BYTES % 8 == 0 ? 8 : BYTES % 4 == 0 ? 4 : BYTES;
    static_assert(UNIT <= 16 && (UNIT & (UNIT - 1)) == 0, "samples that are no words are read and written one by one");

    /* Reads them unit by unit, from an address that is a multiple of that. */
    DEVICE void read(const void *p)
    {
        const char *from = (const char *)p;
#pragma unroll
        for (int i = 0; i < BYTES / UNIT; i++, from += UNIT) {
            if constexpr (UNIT == 16) {
                const uint4 q = load<uint4>(from);
                word[4 * i] = q.x; word[4 * i + 1] = q.y; word[4 * i + 2] = q.z; word[4 * i + 3] = q.w;
            } else if constexpr (UNIT == 8) {
                const uint2 q = load<uint2>(from);
                word[2 * i] = q.x; word[2 * i + 1] = q.y;
            } else
                word[i] = UNIT == 4 ? load<uint32_t>(from) : UNIT == 2 ? load<uint16_t>(from) : load<uint8_t>(from);
        }
    }

    template <class A> DEVICE A get(int v) const
    {
        if constexpr (SIZE == 16) return make_uint4(word[0], word[1], word[2], word[3]);
        else if constexpr (SIZE == 8) return D::template widen<A>(word[2 * v] | (uint64_t)word[2 * v + 1] << 32);
        else return D::template widen<A>((typename D::S)low_bits(v));
    }

    template <class A> DEVICE void set(const A (&a)[V])
    {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            if constexpr (SIZE == 16) word[i] = i == 0 ? a[0].x : i == 1 ? a[0].y : i == 2 ? a[0].z : a[0].w;
            else if constexpr (SIZE == 8) word[i] = (uint32_t)((uint64_t)D::narrow(a[i / 2]) >> i % 2 * 32);
            else if constexpr (SIZE == 4) word[i] = D::narrow(a[i]);
            else if constexpr (SIZE == 2 && V > 1) word[i] = D::narrow2(a[2 * i], a[2 * i + 1]);
            else {
                word[i] = 0;
#pragma unroll
                for (int v = 4 * i; v < V && v < 4 * i + 4; v++) word[i] |= (uint32_t)D::narrow(a[v]) << v % 4 * 8;
            }
        }
    }

    /* Unit by unit, to an address that is a multiple of that. */
    DEVICE void write(char *d) const
    {
#pragma unroll
        for (int i = 0; i < BYTES / UNIT; i++, d += UNIT) {
            if constexpr (UNIT == 16) store(d, make_uint4(word[4 * i], word[4 * i + 1], word[4 * i + 2], word[4 * i + 3]));
            else if constexpr (UNIT == 8) store(d, make_uint2(word[2 * i], word[2 * i + 1]));
            else if constexpr (UNIT == 4) store(d, word[i]);
            else if constexpr (UNIT == 2) store(d, (uint16_t)word[0]);
            else store(d, (uint8_t)word[0]);
        }
    }

    /* `left` of them, or all, to an address that is a multiple of `align`. */
    DEVICE void write_part(char *d, int32_t align, int32_t left) const
    {
        if constexpr (BYTES == 16 && SIZE < 8)
            if (left >= V && align == 8) {
                store(d, make_uint2(word[0], word[1]));
                store(d + 8, make_uint2(word[2], word[3]));
                return;
            }
        if constexpr (BYTES > 4 && SIZE < 4)
            if (left >= V && align >= 4) {
#pragma unroll
                for (int i = 0; i < COUNT; i++) store(d + 4 * i, word[i]);
                return;
            }
#pragma unroll
        for (int v = 0; v < V; v++) {
            if (v >= left) continue;
            if constexpr (V == 1) write(d);
            else if constexpr (SIZE == 1) store(d + v, (uint8_t)low_bits(v));
            else if constexpr (SIZE == 2) store(d + 2 * v, (uint16_t)low_bits(v));
            else if constexpr (SIZE == 4) store(d + 4 * v, word[v]);
            else if constexpr (SIZE == 8) store(d + 8 * v, make_uint2(word[2 * v], word[2 * v + 1]));
        }
    }

  private:
    DEVICE uint32_t low_bits(int v) const { return word[v * SIZE / 4] >> v * SIZE % 4 * 8; }
};
