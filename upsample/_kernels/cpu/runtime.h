/* What the process offers: the best SIMD level, and one parallel region at a time.
 *
 * libgomp hangs in a child forked after anyone's parallel region, and a second team
 * beside a running one only oversubscribes: such callers run serially, which
 * never changes a result. */
#ifndef UPSAMPLE_RUNTIME_H
#define UPSAMPLE_RUNTIME_H

#include <stdlib.h>

#include "rows.h"

#ifndef _WIN32
#include <pthread.h>
#endif

static volatile int region_busy, region_forked;

/* Whoever used libgomp before the fork, in this library or beside it. */
static void region_in_child(void) { region_forked = 1; region_busy = 0; }

static void region_init(void)
{
#ifndef _WIN32
    pthread_atfork(0, 0, region_in_child);
#else
    (void)region_in_child;
#endif
}

static int region_enter(void)
{
    return !region_forked && !__sync_lock_test_and_set(&region_busy, 1);
}

static void region_leave(void) { __sync_lock_release(&region_busy); }

/* NULL where the build left out whatever this processor has. */
static const row_table *best_level(int cap)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    /* F16C came before AVX2 in every processor line, and clang 14 does not know its name here. */
    int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
              && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
              && __builtin_cpu_supports("avx512vbmi");
    if (cap >= 2 && avx512 && rows_avx512) return rows_avx512;
    if (cap >= 1 && avx2 && rows_avx2) return rows_avx2;
#endif
    (void)cap;
    return rows_baseline;
}

#endif
