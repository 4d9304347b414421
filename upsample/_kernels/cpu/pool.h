/* The output pool: large outputs in recycled, huge-page memory behind ordinary arrays.
 *
 * Fresh pages cost several times what a kernel does (a page fault zeroes each),
 * so memory of freed outputs is kept, up to a limit, and handed out again.  It
 * works through NumPy's allocation handlers (NEP 49): the array owns its data,
 * `resize` and tracemalloc work, and `free` may come from any thread at any
 * time.  Blocks carry a header of one cache line before the data; those that
 * `resize` left small are the C library's.  What nobody took again for a few
 * seconds goes back to the system with the next call, and everything does where
 * memory runs out.  A forked child starts with an empty pool.
 */
#ifndef UPSAMPLE_POOL_H
#define UPSAMPLE_POOL_H

#include <numpy/arrayobject.h>
#include <stdint.h>
#include <string.h>

#if defined(__linux__)
#define POOL_AVAILABLE 1
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#else
#define POOL_AVAILABLE 0
#endif

#define POOL_LEAST ((size_t)4 << 20)    /* smaller outputs are NumPy's own */
#define POOL_PAGE ((size_t)2 << 20)
#define POOL_HEADER 64
#define POOL_IDLE 2                     /* seconds for which a block is kept; a loop takes it again sooner */

typedef struct { int64_t limit, kept, blocks, hits, misses; } pool_state;

#if POOL_AVAILABLE

typedef struct pool_block {
    size_t capacity;            /* bytes, header included */
    int mapped;                 /* by the pool; else by malloc */
    time_t freed;
    struct pool_block *next;    /* kept blocks, most recently freed first */
} pool_block;

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static pool_block *pool_kept;
static pool_state pool;
static __thread int pool_last_was_warm;

/* changed with the lock held, but read without it */
#define POOL_BLOCKS(by) __atomic_add_fetch(&pool.blocks, by, __ATOMIC_RELAXED)

static time_t pool_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return t.tv_sec;
}

static void pool_unmap(pool_block *b)
{
    if (b->mapped) munmap(b, b->capacity);
    else free(b);
}

/* With the lock held: cut the list where the kept bytes pass the limit, or blocks were freed before a time; returns what
 * falls off. */
static pool_block *pool_trim(time_t since)
{
    size_t kept = 0;
    for (pool_block **at = &pool_kept; *at; at = &(*at)->next) {
        kept += (*at)->capacity;
        if ((int64_t)kept > pool.limit || (*at)->freed < since) {
            pool_block *rest = *at;
            *at = 0;
            for (pool_block *b = rest; b; b = b->next) { pool.kept -= (int64_t)b->capacity; POOL_BLOCKS(-1); }
            return rest;
        }
    }
    return 0;
}

static void pool_release(pool_block *b)
{
    while (b) {
        pool_block *next = b->next;
        pool_unmap(b);
        b = next;
    }
}

/* Unmap what was freed before a time. */
static void pool_empty(time_t since)
{
    pthread_mutex_lock(&pool_lock);
    pool_block *rest = pool_trim(since);
    pthread_mutex_unlock(&pool_lock);
    pool_release(rest);
}

/* Unmap everything; whether there was anything. */
static int pool_give_back(void)
{
    const int some = __atomic_load_n(&pool.blocks, __ATOMIC_RELAXED) > 0;
    pool_empty((time_t)INT64_MAX);
    return some;
}

/* Of every call: what was idle for long goes back. */
static inline void pool_tick(void)
{
    static time_t ticked;
    if (__atomic_load_n(&pool.blocks, __ATOMIC_RELAXED) == 0) return;
    const time_t now = pool_now();
    if (__atomic_exchange_n(&ticked, now, __ATOMIC_RELAXED) != now) pool_empty(now - POOL_IDLE);
}

static pool_block *pool_map(size_t capacity)
{
    /* aligned to a huge page, so that all of it can be made of them */
    char *p = mmap(0, capacity + POOL_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return 0;
    char *start = (char *)(((uintptr_t)p + POOL_PAGE - 1) & ~(uintptr_t)(POOL_PAGE - 1));
    if (start > p) munmap(p, (size_t)(start - p));
    size_t tail = (size_t)(p + POOL_PAGE - start);
    if (tail) munmap(start + capacity, tail);      /* both are multiples of the small page */
#ifdef MADV_HUGEPAGE
    madvise(start, capacity, MADV_HUGEPAGE);
#endif
    pool_block *b = (pool_block *)start;
    b->capacity = capacity;
    b->mapped = 1;
    b->next = 0;
    return b;
}

/* What is left of an array that was made smaller: a mapping for each would use them up. */
static void *pool_small(size_t size)
{
    pool_block *b;
    if (posix_memalign((void **)&b, POOL_HEADER, size + POOL_HEADER)) return 0;
    b->capacity = size + POOL_HEADER;
    b->mapped = 0;
    return (char *)b + POOL_HEADER;
}

static void *pool_malloc(void *ctx, size_t size)
{
    (void)ctx;
    if (size > (size_t)PTRDIFF_MAX - 2 * POOL_PAGE) return 0;
    if (size < POOL_LEAST) return pool_small(size);
    size_t need = (size + POOL_HEADER + 4095) & ~(size_t)4095;
    pool_block *best = 0, **where = 0;
    pthread_mutex_lock(&pool_lock);
    for (pool_block **at = &pool_kept; *at; at = &(*at)->next)
        /* at most an eighth of a block may lie idle */
        if ((*at)->capacity >= need && (*at)->capacity - need <= need / 8 && (!best || (*at)->capacity < best->capacity)) {
            best = *at;
            where = at;
        }
    if (best) {
        *where = best->next;
        pool.kept -= (int64_t)best->capacity;
        POOL_BLOCKS(-1);
        pool.hits++;
    } else
        pool.misses++;
    pthread_mutex_unlock(&pool_lock);
    pool_last_was_warm = best != 0;
    if (!best) best = pool_map(need);
    if (!best && pool_give_back()) best = pool_map(need);
    return best ? (char *)best + POOL_HEADER : 0;
}

static void pool_free(void *ctx, void *p, size_t size)
{
    (void)ctx; (void)size;
    if (!p) return;
    pool_block *b = (pool_block *)((char *)p - POOL_HEADER);
    pthread_mutex_lock(&pool_lock);
    if (!b->mapped || (int64_t)b->capacity > pool.limit) {      /* it alone would push all others out */
        pthread_mutex_unlock(&pool_lock);
        pool_unmap(b);
        return;
    }
    b->freed = pool_now();
    b->next = pool_kept;
    pool_kept = b;
    pool.kept += (int64_t)b->capacity;
    POOL_BLOCKS(1);
    pool_block *rest = pool_trim(b->freed - POOL_IDLE);
    pthread_mutex_unlock(&pool_lock);
    pool_release(rest);
}

static void *pool_calloc(void *ctx, size_t count, size_t size)
{
    if (size && count > (size_t)PTRDIFF_MAX / size) return 0;
    void *p = pool_malloc(ctx, count * size);
    if (p) memset(p, 0, count * size);
    return p;
}

static void *pool_realloc(void *ctx, void *p, size_t size)
{
    if (!p) return pool_malloc(ctx, size);
    pool_block *b = (pool_block *)((char *)p - POOL_HEADER);
    size_t room = b->capacity - POOL_HEADER;
    if (size <= room && size >= room / 2) return p;
    void *q = pool_malloc(ctx, size);
    if (!q) return 0;
    memcpy(q, p, size < room ? size : room);
    pool_free(ctx, p, room);
    return q;
}

static PyDataMem_Handler pool_handler = {
    "upsample_pool", 1, { 0, pool_malloc, pool_calloc, pool_realloc, pool_free },
};

static void pool_before_fork(void) { pthread_mutex_lock(&pool_lock); }
static void pool_in_parent(void) { pthread_mutex_unlock(&pool_lock); }
static void pool_in_child(void)
{
    pool_block *all = pool_kept;
    pool_kept = 0;
    pool.kept = 0;
    POOL_BLOCKS(-pool.blocks);
    pthread_mutex_unlock(&pool_lock);
    pool_release(all);
}

/* A number that stands alone in a file; -1 where there is none. */
static int64_t pool_number_in(const char *path)
{
    long long n = -1;
    FILE *f = fopen(path, "r");
    if (f) {
        if (fscanf(f, "%lld", &n) != 1) n = -1;     /* "max" */
        fclose(f);
    }
    return n;
}

/* Bytes that this process may use: of the machine, or of its container where that has fewer. */
static int64_t pool_memory(void)
{
    int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE), group;
    char line[4096], path[4200];
    FILE *f = fopen("/proc/self/cgroup", "r");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *name = strchr(line, ':'), *at = name ? strchr(name + 1, ':') : 0;
        if (!at) continue;
        *at++ = 0;
        const int second = name[1] == 0;        /* version 2 has no controllers in its line */
        if (!second && strcmp(name + 1, "memory")) continue;
        /* a group has the limits of all groups that it is in; within a container its own is the root */
        for (;;) {
            snprintf(path, sizeof path, second ? "/sys/fs/cgroup%s/memory.max" : "/sys/fs/cgroup/memory%s/memory.limit_in_bytes",
                     strcmp(at, "/") ? at : "");
            group = pool_number_in(path);
            if (group > 0 && (memory <= 0 || group < memory)) memory = group;
            char *end = strrchr(at, '/');
            if (!end || (end == at && at[1] == 0)) break;
            end[end == at] = 0;
        }
    }
    if (f) fclose(f);
    return memory;
}

/* min(512 MiB, 1/8 of memory) */
static int64_t pool_default_limit(void)
{
    int64_t memory = pool_memory();
    return memory <= 0 ? (int64_t)128 << 20 : memory / 8 < ((int64_t)512 << 20) ? memory / 8 : (int64_t)512 << 20;
}

static void pool_init(void) { pthread_atfork(pool_before_fork, pool_in_parent, pool_in_child); }

static void pool_set_limit(int64_t limit)
{
    pthread_mutex_lock(&pool_lock);
    pool.limit = limit;
    pool_block *rest = pool_trim(0);
    pthread_mutex_unlock(&pool_lock);
    pool_release(rest);
}

static pool_state pool_get(void)
{
    pthread_mutex_lock(&pool_lock);
    pool_state s = pool;
    pthread_mutex_unlock(&pool_lock);
    return s;
}

#else

static PyDataMem_Handler pool_handler;
static int pool_last_was_warm;
static int64_t pool_default_limit(void) { return 0; }
static int pool_give_back(void) { return 0; }
static inline void pool_tick(void) {}
static void pool_init(void) {}
static void pool_set_limit(int64_t limit) { (void)limit; }
static pool_state pool_get(void) { pool_state s = { 0, 0, 0, 0, 0 }; return s; }

#endif
#endif
