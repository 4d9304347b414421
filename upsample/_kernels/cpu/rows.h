/* Row primitives: everything that touches samples, one row (or a few) at a time.
 *
 * A row is `n` consecutive samples in memory: a tile of W outputs times `inner`
 * channels.  Three kinds of primitive make every mode:
 *   load    samples of a dtype -> accumulator type (float32 or float64)
 *   h_*     one row resampled along W by a table of taps
 *   v_*     a weighted sum of rows (the H and D passes)
 *   store   accumulator type -> dtype, rounded once
 * The 8-bit integer scheme has its own h and v, from bytes to bytes.
 *
 * This file only declares; `rows_impl.h` defines, and is compiled once per SIMD
 * level into one `row_table` of function pointers.
 */
#ifndef UPSAMPLE_ROWS_H
#define UPSAMPLE_ROWS_H

#include <stdint.h>

#include "taps.h"

/* Whether multiply-adds are fused: gcc says the first wherever there is an instruction, clang knows it by processor. */
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__powerpc64__) \
    || defined(__s390x__) || defined(__riscv_flen)
#define ROWS_FMA
#endif

enum { DTYPE_F32, DTYPE_F64, DTYPE_F16, DTYPE_BF16, DTYPE_U8, DTYPE_I8, DTYPE_U16, DTYPE_I16, DTYPE_COUNT };
enum { ACC_F32, ACC_F64, ACC_U8, ACC_I8, ACC_COUNT };      /* the 8-bit scheme keeps bytes between passes */

/* How the taps of a row are laid out.  FIXED: every output has K (at most 4) taps,
 * positions clipped, one array per tap.  WIDE: `count` taps from `first`, weights
 * side by side.  BOX: as WIDE, unweighted and divided by the count.  DOUBLED: FIXED with
 * whole factor 2 and constant weights inside. */
enum { FORM_FIXED, FORM_WIDE, FORM_BOX, FORM_DOUBLED, FORM_COUNT };

/* How `pair` takes a tile: not at all, as whole factor 2, or by the windows and then only two rows at once. */
enum { PAIR_NONE, PAIR_DOUBLED, PAIR_WINDOWS };

/* Rows summed in one call; longer sums are continued by v_more.  Also the most rows that `group` makes at once. */
#define ROW_GROUP 16

/* Planes that are made side by side, as channels (rows_planes.h). */
#define PLANES 16

/* More channels than this are not parted by whole factor 1/2. */
#define HALF_CHANNELS 4

/* More channels than this fill vectors without windows or groups. */
#define PACK_CHANNELS 15

typedef struct row_taps row_taps;
typedef void (*h_fn)(void *dst, const void *src, const row_taps *t);

struct row_taps {
    int64_t m, n, inner;        /* outputs and inputs of the tile, channels */
    int64_t src;                /* first input of the tile on its axis */
    int32_t taps_max, shift;
    int64_t doubled_lo, doubled_hi, doubled_src;   /* DOUBLED: output pairs with the constant weights; pair j is centred on
                                                   input j + doubled_src */
    const int32_t *index;       /* FIXED: [taps_max][m], relative to src */
    const int32_t *first, *count;   /* WIDE, BOX: [m], relative to src */
    const void *weights;        /* FIXED: [taps_max][m]; WIDE: [m][taps_max] */
    int32_t grouped;            /* rows are made by `group` */
    h_fn window;                /* NULL, or the level's own primitive for the tables below (rows_window.h) */
    int32_t one_load;           /* windows: all taps of a block come from its first load */
    const int32_t *left, *block_counts;
    const uint8_t *pick;
    const void *packed;
    int64_t half_lo, half_hi, half_src;     /* outputs of one set of weights, two inputs apart (rows_half.h) */
    const int32_t *ends;        /* likewise: the table of the outputs before and after, or NULL */
    int32_t ends_taps;
    int32_t pixel;              /* bytes, where pixels are copied by windows */
    int32_t holes;              /* of a whole plane: nothing comes to some of its pixels */
    int32_t pair, edges;        /* PAIR_*; DOUBLED: windows at either end (rows_pair.h) */
    const uint8_t *zip;
    int64_t thirds;             /* with three channels, vectors of the output from `edges` on that are sums inside */
};

/* Where `spare` is not NULL, the rows that are made leave the cache: straight from registers where `lines` says that they
 * are whole lines of it, else they are finished in `spare`, which has room for them, and streamed from there. */
typedef void (*load_fn)(void *acc, const void *src, int64_t n);
typedef void (*store_fn)(void *dst, const void *acc, int64_t n);
typedef void (*copy_fn)(void *dst, const void *src, const row_taps *t, int64_t size);
/* `divide` is the divisor of a box or the shift of integer weights. */
typedef void (*v_fn)(void *dst, const void *const *rows, const void *w, int64_t n, int32_t taps, int32_t divide);
/* The mean of two by two pixels, or with four rows (two of one plane, then two of the next) of two by two by two: rounded
 * once where box, else by the weights 1/2 of each pass.  With `lines` it is stored past the cache. */
typedef void (*halve_fn)(void *dst, const void *const *rows, int32_t count, const row_taps *t, int box, int lines);
/* Two output rows from `rows`, the last of which is made from `src` and kept in `fresh`; with d1 NULL the W pass alone, to
 * d0. */
typedef void (*pair_fn)(void *d0, void *d1, void *fresh, const void *const *rows, const void *src, const row_taps *t,
                        const void *w0, const void *w1, void *spare, int lines);
/* The W pass of `group_rows` rows, some of which may be the same. */
typedef void (*group_fn)(void *const *dst, const void *const *src, const row_taps *t, void *scratch);
/* Sums along an axis with few inputs, whose outputs lie in runs of the same taps: those of each run. */
#define RUNS 8
typedef struct {
    int64_t inputs, runs, taps_max;
    const int64_t *first;
    const int32_t *count;
    const void *weights;
} axis_runs;
typedef void (*few_fn)(void *dst, const void *src, int64_t outer, int64_t inner, const axis_runs *a);
/* `n` samples of `count` planes, `step` bytes apart, to pixels of PLANES channels, `apart` bytes from each other, and back. */
typedef void (*planes_in_fn)(void *pixels, int64_t apart, const void *planes, int64_t step, int64_t n, int count);
typedef void (*planes_out_fn)(void *planes, int64_t step, const void *pixels, int64_t apart, int64_t n, int count);
/* The means of `rows` rows of n samples, `step` bytes apart: dst[r] = ((x0 + x1) + ... + x[n-1]) / n. */
typedef void (*row_means_fn)(void *dst, const void *src, int64_t step, int64_t rows, int64_t n);
typedef void (*v_end_fn)(void *dst, const void *acc, int64_t n, int32_t divide);
typedef void (*part_fn)(void *sum, const void *x, const void *w, int64_t taps, int64_t inner, int first);
typedef void (*taps_fn)(const axis_recipe *a, int64_t lo, int64_t hi, int64_t *first, int32_t *count, void *w,
                        double *scratch);

typedef struct {
    v_fn whole;                 /* at most ROW_GROUP taps, all at once */
    v_fn begin, more;           /* longer sums: into the sum's own type */
    v_end_fn end;
} v_ops;

typedef struct {
    const char *name;
    taps_fn taps;
    load_fn load[DTYPE_COUNT][2];
    store_fn store[DTYPE_COUNT][2];
    h_fn h[ACC_COUNT][FORM_COUNT];
    v_ops v[ACC_COUNT][2];      /* weighted, box */
    /* Two output rows (with d1 NULL, one) from four: sums along H of two planes, then their sum along D; by the accumulator. */
    void (*square[2])(void *d0, void *d1, const void *const *rows, const void *h0, const void *h1, const void *wd, int64_t n,
                      void *spare, int lines);
    /* Likewise two rows of two by two taps straight from two input rows, pixel by pixel. */
    void (*pixels[2])(void *d0, void *d1, const void *near, const void *far, const row_taps *t, const void *h0, const void *h1,
                      void *spare, int lines);
    halve_fn halve[DTYPE_COUNT];
    pair_fn pair[DTYPE_COUNT][2];       /* 2 taps, 4 taps; of the dtype's usual accumulator; NULL where there is none */
    /* for outputs that leave the cache; NULL where there is no such thing */
    v_fn stream[ACC_COUNT];
    void (*stream_row)(void *dst, const void *src, int64_t bytes);
    void (*stream_end)(void);
    part_fn part[ACC_COUNT];    /* an output of very many taps, a part at a time */
    v_end_fn part_end[ACC_COUNT][2];    /* weighted, box */
    row_means_fn row_means[2];
    /* planes of n samples, each of one input sample times the weights of W and H, where these are not NULL */
    void (*spread[2])(void *dst, int64_t to, const void *src, int64_t from, int64_t planes, int64_t n, const void *w,
                      const void *h);
    few_fn few[2];
    planes_in_fn planes_in[4];    /* samples of 1, 2, 4 and 8 bytes */
    planes_out_fn planes_out[4];
    copy_fn copy;
    /* two rows, or with d1 NULL one */
    void (*copy_doubled)(void *d0, void *d1, const void *src, const row_taps *t, int64_t size, void *spare, int lines);
    int64_t (*pack_bytes)(int acc, int32_t taps_max, int64_t outputs);     /* memory that pack needs; 0: it is not for it */
    void (*pack)(row_taps *t, int acc, int form, char *memory);
    group_fn group[ACC_COUNT];  /* NULL where there is none */
    int32_t group_rows[ACC_COUNT];
    int64_t (*group_bytes)(int acc, int64_t samples);       /* scratch for a tile of so many samples of input */
    int64_t (*copy_bytes)(int64_t outputs, int64_t size);     /* the same for nearest, of pixels of `size` bytes */
    void (*pack_copy)(row_taps *t, int64_t size, char *memory);
    /* a whole small plane as one row: its copy, and its tables (rows_copy.h); NULL where there is no such thing */
    void (*copy_plane)(void *dst, const void *src, const row_taps *t, int lines);
    int (*pack_plane)(row_taps *t, int64_t size, char *memory);
    int64_t (*plane_bytes)(int64_t outputs, int64_t size);
} row_table;

/* NULL where a level is not compiled in. */
extern const row_table *const rows_baseline, *const rows_avx2, *const rows_avx512;

#endif
