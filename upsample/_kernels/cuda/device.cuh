/* The few instructions that C++ has no name for.
 *
 * Nothing else in these files is particular to the hardware: tests compile the same kernels for the
 * host, with a file of this name of their own in front of this one.
 */
#pragma once
#include <stdint.h>

#define DEVICE __device__ __forceinline__
#define CALLED __device__ __noinline__      /* long code that is not worth a copy per use */

/* A parameter that functions are given references to without a copy of it; Pascal makes the copy. */
#if __CUDA_ARCH__ >= 700
#define PARAMETER __grid_constant__
#else
#define PARAMETER
#endif

/* Arithmetic on samples.  CuPy compiles with -ftz=true, under which float operators take subnormal numbers for zero; these
 * never do, whatever the flags.  (Taps are made of coordinates, far from subnormal: taps.h has its operators.) */
DEVICE float fmadd(float a, float b, float c) { return __fmaf_ieee_rn(a, b, c); }
DEVICE double fmadd(double a, double b, double c) { return __fma_rn(a, b, c); }
DEVICE float times(float a, float b)
{
    float x;
    asm("mul.rn.f32 %0, %1, %2;" : "=f"(x) : "f"(a), "f"(b));
    return x;
}
DEVICE double times(double a, double b) { return a * b; }
DEVICE float added(float a, float b)
{
    float x;
    asm("add.rn.f32 %0, %1, %2;" : "=f"(x) : "f"(a), "f"(b));
    return x;
}
DEVICE double added(double a, double b) { return a + b; }
DEVICE float divided(float a, float b)
{
    float x;
    asm("div.rn.f32 %0, %1, %2;" : "=f"(x) : "f"(a), "f"(b));
    return x;
}
DEVICE double divided(double a, double b) { return a / b; }
DEVICE float to_float(double a)
{
    float x;
    asm("cvt.rn.f32.f64 %0, %1;" : "=f"(x) : "d"(a));
    return x;
}
DEVICE float to_float(float a) { return a; }
DEVICE double to_double(float a)
{
    double x;
    asm("cvt.f64.f32 %0, %1;" : "=d"(x) : "f"(a));
    return x;
}

DEVICE uint32_t bits_of(float x) { return __float_as_uint(x); }
DEVICE float float_of(uint32_t u) { return __uint_as_float(u); }
DEVICE uint64_t bits_of(double x) { return (uint64_t)__double_as_longlong(x); }
DEVICE double double_of(uint64_t u) { return __longlong_as_double((long long)u); }

/* Ties to even. */
DEVICE int32_t to_int(float x) { return __float2int_rn(x); }
DEVICE int32_t to_int(double x) { return __double2int_rn(x); }

/* Reads of what no thread of the launch writes. */
template <class T> DEVICE T load(const void *p) { return __ldg((const T *)p); }
template <class T> DEVICE void store(void *p, T value) { *(T *)p = value; }

DEVICE float half_to_float(uint32_t h)
{
    float x;
    asm("{ .reg .b16 h; cvt.u16.u32 h, %1; cvt.f32.f16 %0, h; }" : "=f"(x) : "r"(h));
    return x;
}

/* Two roundings to half or bfloat16 in one register, `low` in the low bits. */
DEVICE uint32_t to_halves(float low, float high)
{
    uint32_t u;
#if __CUDA_ARCH__ >= 800
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(u) : "f"(high), "f"(low));
#else
    asm("{ .reg .b16 a, b; cvt.rn.f16.f32 a, %1; cvt.rn.f16.f32 b, %2; mov.b32 %0, {a, b}; }"
        : "=r"(u) : "f"(low), "f"(high));
#endif
    return u;
}

DEVICE uint32_t to_bfloat16s(float low, float high)
{
    uint32_t u;
#if __CUDA_ARCH__ >= 800
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(u) : "f"(high), "f"(low));
#else
    uint32_t a = bits_of(low), b = bits_of(high);
    a = (a & 0x7fffffff) > 0x7f800000 ? a >> 16 | 0x40 : (a + 0x7fff + (a >> 16 & 1)) >> 16;
    b = (b & 0x7fffffff) > 0x7f800000 ? b >> 16 | 0x40 : (b + 0x7fff + (b >> 16 & 1)) >> 16;
    u = b << 16 | a;
#endif
    return u;
}

/* Four of the eight bytes of (high, low), by the nibbles of `pick`. */
DEVICE uint32_t bytes_of(uint32_t low, uint32_t high, uint32_t pick) { return __byte_perm(low, high, pick); }

/* c + w0 * x0 + w1 * x1: two signed 16-bit weights, and the low or the high two bytes of x, which are unsigned. */
DEVICE int32_t dot_low(uint32_t w, uint32_t x, int32_t c)
{
    int32_t d;
    asm("dp2a.lo.s32.u32 %0, %1, %2, %3;" : "=r"(d) : "r"(w), "r"(x), "r"(c));
    return d;
}
DEVICE int32_t dot_high(uint32_t w, uint32_t x, int32_t c)
{
    int32_t d;
    asm("dp2a.hi.s32.u32 %0, %1, %2, %3;" : "=r"(d) : "r"(w), "r"(x), "r"(c));
    return d;
}

/* Four numbers as unsigned bytes, each at 0 or 255 where it is beyond, the first in the low bits. */
DEVICE uint32_t four_bytes(int32_t a, int32_t b, int32_t c, int32_t d)
{
    uint32_t u;
#if __CUDA_ARCH__ >= 720
    asm("{ .reg .b32 u; cvt.pack.sat.u8.s32.b32 u, %4, %3, 0; cvt.pack.sat.u8.s32.b32 %0, %2, %1, u; }"
        : "=r"(u) : "r"(a), "r"(b), "r"(c), "r"(d));
#else
    u = (uint32_t)max(min(a, 255), 0) | (uint32_t)max(min(b, 255), 0) << 8 | (uint32_t)max(min(c, 255), 0) << 16
        | (uint32_t)max(min(d, 255), 0) << 24;
#endif
    return u;
}

/* `i` within 0 ... last. */
DEVICE int32_t clamp(int32_t i, int32_t last) { return max(min(i, last), 0); }

/* base + i * stride bytes, in one instruction; left to itself the compiler multiplies 64 bits. */
DEVICE const char *at_row(const char *base, int32_t i, int32_t stride)
{
    const char *p;
    asm("mad.wide.s32 %0, %1, %2, %3;" : "=l"(p) : "r"(i), "r"(stride), "l"(base));
    return p;
}

/* Keeps the compiler from moving what is computed from a value out of its branch, or from computing it anew
 * in a loop: either costs more than the register. */
DEVICE int32_t here(int32_t x)
{
    asm volatile("" : "+r"(x));
    return x;
}
DEVICE const char *here(const char *x)
{
    asm volatile("" : "+l"(x));
    return x;
}
