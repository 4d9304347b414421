/* What the process offers: the best SIMD level, and threads for one parallel region at a time.
 *
 * A region is entered with as many threads as there will be, which may be one:
 * - libgomp hangs in a child forked after anyone's region, and a second team beside
 *   a running one only oversubscribes;
 * - libgomp ends a process in which it cannot start a thread, so as many threads as a team
 *   grows by are first started and ended here;
 * - on CPUs that others use, a thread holds a part of the work and does not run: after a
 *   region in which one had no CPU for a third of the time, calls run on one thread for a
 *   while, for longer each time.
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

#define CROWDED_LEAST 80000         /* ns without a CPU that are worth a word, and ... */
#define CROWDED_LATE 500000         /* ns that a thread may take to wake up, */
#define CROWDED_PAUSE 5000000       /* ... ns in which calls are serial then, the first time, */
#define CROWDED_STEP 4              /* times as long where the next region is no better, */
#define CROWDED_MOST 1000000000     /* and at the most */

typedef struct { int64_t regions, crowded, serial, refused; } region_counts;

static volatile int region_busy, region_forked;
static int64_t crowded_until, crowded_pause = CROWDED_PAUSE;
static int crowded_fresh = 1;       /* threads were just started, or slept long: the next region tells nothing */
static region_counts region_count;  /* for tests and show_config; written with the region held, save `serial` */
static int64_t region_start;        /* of the region that is held */
static int cpu_time_known;

#ifndef _WIN32
static int64_t clock_of(clockid_t id)
{
    struct timespec t;
    return clock_gettime(id, &t) ? 0 : (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static int64_t region_clock(void) { return clock_of(CLOCK_MONOTONIC); }
static int64_t thread_cpu_time(void) { return clock_of(CLOCK_THREAD_CPUTIME_ID); }
static void find_cpu_time(void)
{
    struct timespec step;
    cpu_time_known = clock_getres(CLOCK_THREAD_CPUTIME_ID, &step) == 0 && step.tv_sec == 0 && step.tv_nsec <= 1000;
}
#else
static int64_t region_clock(void) { return 0; }
static int64_t thread_cpu_time(void) { return 0; }
#endif

/* What a thread knows of its time in a region. */
typedef struct { int64_t wall, cpu; } region_time;

static inline region_time region_arrive(void)
{
    region_time t = { region_clock(), cpu_time_known ? thread_cpu_time() : 0 };
    return t;
}

/* ns that a thread was without a CPU since it arrived; where it found nothing to do, ns that it came too late. */
static inline int64_t region_lost(region_time arrived, int worked)
{
    if (!cpu_time_known) return 0;
    int64_t late = arrived.wall - region_start;
    if (!worked) return late > CROWDED_LATE ? late : 0;
    return region_clock() - arrived.wall - (thread_cpu_time() - arrived.cpu);
}

/* What a counter was before. */
static inline int64_t fetch_add(int64_t *counter, int64_t by) { return __atomic_fetch_add(counter, by, __ATOMIC_RELAXED); }
static inline int64_t fetch_increment(int64_t *counter) { return fetch_add(counter, 1); }

#ifndef _WIN32
/* Whoever used libgomp before the fork, in this library or beside it. */
static void region_in_child(void) { region_forked = 1; region_busy = 0; }

static void region_init(void)
{
    pthread_atfork(0, 0, region_in_child);
    find_cpu_time();
}

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

/* OpenMP keeps a team for every thread that calls, and ends what a smaller one leaves over. */
static __thread int team_size = 1;

static int team_of(int threads)
{
    int more = threads - team_size, given = more > 0 ? threads_given(more) : more;
    if (given < more) {
        region_count.refused++;
        threads = team_size + given / 2;    /* at the limit, half: OpenMP needs memory as well, and others start some */
    }
    return team_size = threads;
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
        __atomic_fetch_add(&region_count.serial, 1, __ATOMIC_RELAXED);
        return 1;
    }
    if (__sync_lock_test_and_set(&region_busy, 1)) return 1;
    threads = team_of(threads);
    if (threads < 2) __sync_lock_release(&region_busy);
    else region_start = region_clock();
    return threads < 2 ? 1 : threads;
}

/* After a region in which a thread was without a CPU for so long. */
static void region_leave(int64_t lost)
{
    int64_t now = region_clock(), until = 0;
    region_count.regions++;
    if (crowded_fresh) {
        crowded_fresh = 0;
    } else if (lost > CROWDED_LEAST && lost > (now - region_start) / 3) {
        crowded_fresh = 1;
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
