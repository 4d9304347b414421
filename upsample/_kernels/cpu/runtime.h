/* What the process offers: the best SIMD level, and threads for one parallel region at a time.
 *
 * A region is entered with as many threads as there will be, which may be one:
 * - libgomp hangs in a child forked after anyone's region, and a second team beside
 *   a running one only oversubscribes;
 * - libgomp ends a process in which it cannot start a thread, so a thread that needs
 *   more than before first starts and ends as many of its own;
 * - on CPUs that others use, a caller waits for a partner that is not running, or does
 *   not run itself: after a region in which it had its CPU for less than two thirds of
 *   the time, calls run on one thread for a while, for longer each time.
 * None of this ever changes a result. */
#ifndef UPSAMPLE_RUNTIME_H
#define UPSAMPLE_RUNTIME_H

#include <stdlib.h>
#include <time.h>

#include "rows.h"

#ifndef _WIN32
#include <dlfcn.h>
#include <pthread.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

#define CROWDED_WAIT 80000          /* ns without its CPU that are worth a word, and ... */
#define CROWDED_PAUSE 5000000       /* ... ns in which a caller is alone then, the first time, */
#define CROWDED_STEP 4              /* times as long where the next region is no better, */
#define CROWDED_MOST 1000000000     /* and at the most */

typedef struct { int64_t regions, crowded, alone, refused; } region_counts;

static volatile int region_busy, region_forked;
static int64_t crowded_until, crowded_pause = CROWDED_PAUSE;
static region_counts region_count;  /* for tests and show_config; written with the region held, save `alone` */

#ifndef _WIN32
static int64_t clock_of(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static int64_t region_clock(void) { return clock_of(CLOCK_MONOTONIC); }
static int64_t region_cpu(void) { return clock_of(CLOCK_THREAD_CPUTIME_ID); }
#else
static int64_t region_clock(void) { return 0; }
static int64_t region_cpu(void) { return 0; }
#endif
static int64_t region_start, region_start_cpu;      /* of the region that is held */

/* What a counter was, one less than it is now. */
static inline int64_t take(int64_t *counter) { return __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }

#ifndef _WIN32
/* Whoever used libgomp before the fork, in this library or beside it. */
static void region_in_child(void) { region_forked = 1; region_busy = 0; }

static void region_init(void) { pthread_atfork(0, 0, region_in_child); }

static pthread_mutex_t probe_lock = PTHREAD_MUTEX_INITIALIZER;

static void *probe_thread(void *unused)
{
    pthread_mutex_lock(&probe_lock);
    pthread_mutex_unlock(&probe_lock);
    return unused;
}

/* How many of `wanted` more threads the system gives at this moment. */
static int threads_given(int wanted)
{
    pthread_t *made = malloc((size_t)wanted * sizeof(pthread_t));
    int given = 0;
    if (!made) return 0;
    pthread_mutex_lock(&probe_lock);    /* all wait, so that they are there at once */
    while (given < wanted && pthread_create(&made[given], 0, probe_thread, 0) == 0) given++;
    pthread_mutex_unlock(&probe_lock);
    for (int i = 0; i < given; i++) pthread_join(made[i], 0);
    free(made);
    return given;
}

/* So many can be had: OpenMP keeps a team for every thread that calls. */
static __thread int team_size = 1;

static int team_of(int threads)
{
    if (threads <= team_size) return threads;
    int more = threads - team_size, given = threads_given(more);
    if (given < more) region_count.refused++;
    /* at the limit, half: OpenMP needs memory beside the threads, and others start some as well */
    return team_size += given < more ? given / 2 : more;
}
#else
static void region_init(void) {}
static int team_of(int threads) { return threads; }
#endif

/* The number of threads for a region of at most so many; with more than one the region is held until region_leave. */
static int region_enter(int threads)
{
    if (threads < 2 || region_forked) return 1;
    int64_t until = __atomic_load_n(&crowded_until, __ATOMIC_RELAXED);
    if (until && region_clock() < until) {
        __atomic_fetch_add(&region_count.alone, 1, __ATOMIC_RELAXED);
        return 1;
    }
    if (__sync_lock_test_and_set(&region_busy, 1)) return 1;
    threads = team_of(threads);
    if (threads < 2) __sync_lock_release(&region_busy);
    region_start_cpu = region_cpu();
    region_start = region_clock();
    return threads;
}

static void region_leave(void)
{
    int64_t now = region_clock(), cpu = region_cpu() - region_start_cpu, lost = now - region_start - cpu, until = 0;
    region_count.regions++;
    if (lost > CROWDED_WAIT && lost > cpu / 2) {
        region_count.crowded++;
        until = now + crowded_pause;
        crowded_pause = crowded_pause * CROWDED_STEP > CROWDED_MOST ? CROWDED_MOST : crowded_pause * CROWDED_STEP;
    } else {
        crowded_pause = CROWDED_PAUSE;
    }
    __atomic_store_n(&crowded_until, until, __ATOMIC_RELAXED);
    __sync_lock_release(&region_busy);
}

/* The file of the OpenMP library that this module found, which others may share; NULL where it is not known. */
static const char *region_library(void)
{
#if defined(_OPENMP) && !defined(_WIN32)
    Dl_info found;
    (void)omp_get_max_threads();        /* it reads its settings now, if it has not yet */
    if (dladdr((void *)omp_get_max_threads, &found)) return found.dli_fname;
#endif
    return 0;
}

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
