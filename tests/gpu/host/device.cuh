/* The device for the host's compiler: the same names as upsample/_kernels/cuda/device.cuh, in plain C++.
 *
 * A grid is run as loops, one thread after another: no kernel of ours lets threads of a block talk to each other.
 * Loads and stores check that their address is a multiple of their size, as the hardware does.  Kernels run with
 * subnormal numbers taken for zero, as CuPy's flags make it on the device, but in the functions that there promise
 * otherwise.
 */
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xmmintrin.h>

#define DEVICE inline
#define CALLED inline
#define __device__

struct dim3_t { unsigned x, y, z; };
static thread_local dim3_t threadIdx, blockIdx, blockDim, gridDim;

struct alignas(8) uint2 { uint32_t x, y; };
struct alignas(16) uint4 { uint32_t x, y, z, w; };
DEVICE uint2 make_uint2(uint32_t x, uint32_t y) { return { x, y }; }
DEVICE uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return { x, y, z, w }; }

template <class To, class From> DEVICE To same_bits(From from)
{
    static_assert(sizeof(To) == sizeof(From), "sizes differ");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

/* One instruction with subnormal numbers as they are, between others for which they are zero. */
static const unsigned ieee = 0x1f80, flushing = 0x9fc0;
#define KEEPING_SUBNORMALS(instruction) "vldmxcsr %[ieee]\n\t" instruction "\n\tvldmxcsr %[flushing]"
#define MODES [ieee] "m"(ieee), [flushing] "m"(flushing)
#define OF_TWO(name, T, instruction) \
    DEVICE T name(T a, T b) \
    { \
        T x; \
        asm(KEEPING_SUBNORMALS(instruction " %[b], %[a], %[x]") : [x] "=&x"(x) : [a] "x"(a), [b] "x"(b), MODES); \
        return x; \
    }
OF_TWO(times, float, "vmulss")
OF_TWO(times, double, "vmulsd")
OF_TWO(added, float, "vaddss")
OF_TWO(added, double, "vaddsd")
OF_TWO(divided, float, "vdivss")
OF_TWO(divided, double, "vdivsd")
#define OF_THREE(name, T, instruction) \
    DEVICE T name(T a, T b, T c) \
    { \
        asm(KEEPING_SUBNORMALS(instruction " %[b], %[a], %[c]") : [c] "+x"(c) : [a] "x"(a), [b] "x"(b), MODES); \
        return c; \
    }
OF_THREE(fmadd, float, "vfmadd231ss")
OF_THREE(fmadd, double, "vfmadd231sd")
#define OF_ONE(name, T, From, instruction) \
    DEVICE T name(From a) \
    { \
        T x; \
        asm(KEEPING_SUBNORMALS(instruction " %[a], %[a], %[x]") : [x] "=&x"(x) : [a] "x"(a), MODES); \
        return x; \
    }
OF_ONE(to_float, float, double, "vcvtsd2ss")
OF_ONE(to_double, double, float, "vcvtss2sd")
DEVICE float to_float(float a) { return a; }
DEVICE uint32_t bits_of(float x) { return same_bits<uint32_t>(x); }
DEVICE float float_of(uint32_t u) { return same_bits<float>(u); }
DEVICE uint64_t bits_of(double x) { return same_bits<uint64_t>(x); }
DEVICE double double_of(uint64_t u) { return same_bits<double>(u); }
DEVICE int32_t to_int(float x) { return x != x ? 0 : (int32_t)rintf(x); }
DEVICE int32_t to_int(double x) { return x != x ? 0 : (int32_t)rint(x); }

DEVICE void check_alignment(const void *p, size_t size)
{
    if ((uintptr_t)p % size == 0) return;
    fprintf(stderr, "misaligned access of %zu bytes at %p\n", size, p);
    abort();
}
template <class T> DEVICE T load(const void *p)
{
    T value;
    check_alignment(p, sizeof(T));
    memcpy(&value, p, sizeof(T));
    return value;
}
template <class T> DEVICE void store(void *p, T value)
{
    check_alignment(p, sizeof(T));
    memcpy(p, &value, sizeof(T));
}

DEVICE float half_to_float(uint32_t h)
{
    const uint32_t exponent = h >> 10 & 31, mantissa = h & 1023;
    const float magnitude = exponent == 31 ? float_of(0x7f800000 | mantissa << 13)
                            : exponent     ? ldexpf((float)(1024 + mantissa), (int)exponent - 25)
                                           : ldexpf((float)mantissa, -24);
    return h & 0x8000 ? -magnitude : magnitude;
}

DEVICE uint32_t to_half(float x)
{
    const uint32_t sign = bits_of(x) >> 16 & 0x8000;
    const float a = fabsf(x);
    if (x != x) return sign | 0x7e00;
    if (a >= 65520.0f) return sign | 0x7c00;
    if (a < 0x1p-14f) return sign | (uint32_t)lrintf(ldexpf(a, 24));
    int exponent;
    frexpf(a, &exponent);                       /* a = m * 2^exponent, 1/2 <= m < 1 */
    return sign | (((uint32_t)(exponent + 13) << 10) + (uint32_t)lrintf(ldexpf(a, 11 - exponent)));
}
DEVICE uint32_t to_halves(float low, float high) { return to_half(low) | to_half(high) << 16; }

DEVICE uint32_t to_bfloat16(float x)
{
    const uint32_t u = bits_of(x);
    return x != x ? 0x7fc0 : (u + 0x7fff + (u >> 16 & 1)) >> 16;
}
DEVICE uint32_t to_bfloat16s(float low, float high) { return to_bfloat16(low) | to_bfloat16(high) << 16; }

DEVICE uint32_t bytes_of(uint32_t low, uint32_t high, uint32_t pick)
{
    const uint64_t all = (uint64_t)high << 32 | low;
    uint32_t made = 0;
    for (int i = 0; i < 4; i++) made |= (uint32_t)(all >> (pick >> 4 * i & 7) * 8 & 255) << 8 * i;
    return made;
}

DEVICE int32_t dot_low(uint32_t w, uint32_t x, int32_t c)
{
    return c + (int16_t)w * (int32_t)(x & 255) + (int16_t)(w >> 16) * (int32_t)(x >> 8 & 255);
}
DEVICE int32_t dot_high(uint32_t w, uint32_t x, int32_t c) { return dot_low(w, x >> 16, c); }
DEVICE uint32_t four_bytes(int32_t a, int32_t b, int32_t c, int32_t d)
{
    const int32_t all[] = { d, c, b, a };
    uint32_t made = 0;
    for (int i = 0; i < 4; i++) made = made << 8 | (uint32_t)(all[i] < 0 ? 0 : all[i] > 255 ? 255 : all[i]);
    return made;
}

DEVICE int32_t clamp(int32_t i, int32_t last) { return i > last ? last < 0 ? 0 : last : i < 0 ? 0 : i; }
DEVICE const char *at_row(const char *base, int32_t i, int32_t stride) { return base + (int64_t)i * stride; }
DEVICE int32_t here(int32_t x) { return x; }
DEVICE const char *here(const char *x) { return x; }

/* Every thread of a grid, in order. */
template <class F> static void run_grid(const unsigned *grid, const unsigned *block, F thread)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(flushing);
    gridDim = { grid[0], grid[1], grid[2] };
    blockDim = { block[0], block[1], block[2] };
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++)
                for (threadIdx.z = 0; threadIdx.z < blockDim.z; threadIdx.z++)
                    for (threadIdx.y = 0; threadIdx.y < blockDim.y; threadIdx.y++)
                        for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++) thread();
    _mm_setcsr(before);
}
