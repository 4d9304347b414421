from libc.stdint cimport int32_t, int64_t

from upsample._axismap cimport axis_recipe


cdef extern from "rows.h" nogil:
    enum:
        DTYPE_F32, DTYPE_F64, DTYPE_F16, DTYPE_BF16, DTYPE_U8, DTYPE_I8, DTYPE_U16, DTYPE_I16
        ACC_F32, ACC_F64, ACC_U8, ACC_I8
        PAIR_NONE, PAIR_X2, PAIR_WINDOWS
        FORM_FIXED, FORM_WIDE, FORM_BOX, FORM_X2
        ROW_GROUP, PACK_CHANNELS, PLANES
    ctypedef struct row_taps:
        int64_t m, n, inner, src
        int32_t taps_max, shift
        int64_t inside_lo, inside_hi, inside_src
        const int32_t *index
        const int32_t *first
        const int32_t *count
        const void *weights
        int32_t grouped
        void (*window)(void *dst, const void *src, const row_taps *t) noexcept nogil
        int64_t half_lo, half_hi
        int32_t halves, pair, edges
    ctypedef int (*halve_fn)(void *dst, const void *top, const void *bottom, const row_taps *t, int box) noexcept nogil
    ctypedef int (*pair_fn)(void *d0, void *d1, void *fresh, const void **rows, const void *src, const row_taps *t,
                            const void *w0, const void *w1, int32_t shift, void *spare) noexcept nogil
    ctypedef void (*load_fn)(void *acc, const void *src, int64_t n) noexcept nogil
    ctypedef void (*store_fn)(void *dst, const void *acc, int64_t n) noexcept nogil
    ctypedef void (*h_fn)(void *dst, const void *src, const row_taps *t) noexcept nogil
    ctypedef void (*copy_fn)(void *dst, const void *src, const row_taps *t, int64_t size) noexcept nogil
    ctypedef void (*v_fn)(void *dst, const void **rows, const void *w, int64_t n, int32_t taps, int32_t last) noexcept nogil
    ctypedef void (*group_fn)(void **dst, const void **src, const row_taps *t, void *scratch) noexcept nogil
    ctypedef void (*planes_in_fn)(void *pixels, const void *planes, int64_t step, int64_t n, int count) noexcept nogil
    ctypedef void (*planes_out_fn)(void *planes, int64_t step, const void *pixels, int64_t n, int count) noexcept nogil
    ctypedef void (*v_end_fn)(void *dst, const void *acc, int64_t n, int32_t last) noexcept nogil
    ctypedef void (*taps_fn)(const axis_recipe *a, int64_t lo, int64_t hi, int64_t *first, int32_t *count, void *w,
                             double *scratch) noexcept nogil
    ctypedef void (*part_fn)(void *total, const void *x, const void *w, int64_t taps, int64_t inner,
                             bint first) noexcept nogil
    ctypedef struct v_ops:
        v_fn whole
        v_fn begin
        v_fn more
        v_end_fn end
    ctypedef struct row_table:
        const char *name
        taps_fn taps
        load_fn load[8][2]
        store_fn store[8][2]
        h_fn h[4][4]
        v_ops v[4][2]
        void (*square[2])(void *d0, void *d1, const void **rows, const void *h0, const void *h1, const void *wd, int64_t n,
                          void *spare) noexcept nogil
        void (*pixels[2])(void *d0, void *d1, const void *near, const void *far, const row_taps *t, const void *h0,
                          const void *h1, void *spare) noexcept nogil
        halve_fn halve[8]
        pair_fn pair[8][2]
        v_fn stream[4]
        void (*stream_row)(void *dst, const void *src, int64_t bytes_) noexcept nogil
        void (*stream_end)() noexcept nogil
        part_fn part[4]
        v_end_fn part_end[4][2]
        void (*mean[2])(void *dst, const void *src, int64_t step, int64_t h, int64_t w) noexcept nogil
        void (*spread[2])(void *dst, int64_t to, const void *src, int64_t from_, int64_t planes, int64_t n, const void *w,
                          const void *h) noexcept nogil
        planes_in_fn planes_in[4]
        planes_out_fn planes_out[4]
        copy_fn copy
        void (*copy_x2)(void *d0, void *d1, const void *src, const row_taps *t, int64_t size, void *spare) noexcept nogil
        int64_t (*pack_bytes)(int acc, int32_t taps_max, int64_t outputs) noexcept nogil
        group_fn group[4]
        int32_t group_rows[4]
        int64_t (*group_bytes)(int acc, int64_t samples) noexcept nogil
        int64_t (*copy_bytes)(int64_t outputs, int64_t size) noexcept nogil
        void (*pack_copy)(row_taps *t, int64_t size, char *memory) noexcept nogil
        void (*pack)(row_taps *t, int acc, int form, char *memory) noexcept nogil


cdef extern from "taps.h" nogil:
    ctypedef struct antialias_output:
        int64_t lo
        int32_t count
    antialias_output long_output(const axis_recipe *a, int64_t o, double *scratch)
    void long_weights(const axis_recipe *a, antialias_output *p, int64_t k0, int64_t k1, void *w, double *scratch)
    int64_t taps_scratch(const axis_recipe *a)
    ctypedef struct taps_period:
        int64_t outputs, inputs, margin
    taps_period find_period(const axis_recipe *a)


cdef enum:
    MEAN_SAMPLES = 1024         # of a plane whose mean is made at once; larger ones have rows worth a vector
    STREAM_BYTES = 32 << 20     # smaller outputs stay in the cache (measured: streaming below costs up to 3.7x)


# The taps of an H or D axis for outputs [lo, hi).
cdef struct axis_taps:
    int64_t lo, hi
    int64_t *first
    int32_t *count
    char *weights


# One axis of the skeleton: sizes, recipe, and its table where it is short enough to keep.
cdef struct axis_job:
    bint has_pass
    int64_t n, m
    axis_recipe recipe
    int64_t block           # outputs per table
    int64_t weight_size     # bytes of one weight, 0 for none
    axis_taps whole         # filled at prepare when block covers the axis
    v_ops ops


# Everything that is decided once; immutable while it runs.
cdef struct job:
    const row_table *level
    int64_t outer, inner
    axis_job d, h, w
    bint long_taps          # an output along W has too many taps for a table: they are made in parts
    bint pixels             # two float taps along H and W each, many channels: four pixels are summed at once
    bint plain_h            # no D pass, and no output row has more taps than are summed in one call
    bint square             # two float taps along D and H each: four rows are summed at once
    bint mean               # every output is the mean of a plane
    bint spread_planes      # `spread`, and of one channel, no volumes: whole planes are filled
    bint spread             # every output is its one input by the same weights: they are multiplied once and copied
    bint copies             # nearest: pixels of `sample * inner` bytes are copied
    int32_t dtype, acc, form
    int64_t sample          # bytes of a sample in memory
    int64_t stored          # bytes of a sample between passes
    int64_t sum_size        # bytes of a sample while a long sum runs
    load_fn load            # NULL where the dtype is what passes work on
    store_fn store
    halve_fn halve          # one output row from two input rows where both axes are halved; NULL likewise
    group_fn group          # rows of many taps along W, `group_rows` at a time; NULL where there is none
    int64_t group_rows
    pair_fn pair            # two output rows at once where a tile is x2; NULL where there is no such thing
    int64_t tile            # outputs along W per tile
    int64_t tiles, band, bands
    int64_t ring_d, ring_h  # powers of two
    int64_t row_bytes       # of a processed row of one tile
    int64_t line_bytes      # of a loaded input row of one tile
    row_taps *tile_taps     # one per tile, or NULL: built by each thread
    int64_t repeat_lo, repeat_hi    # tiles with the table of the first of them, moved by `repeat` inputs from tile to tile
    int64_t repeat          # 0: every tile has its own
    int64_t build_bytes     # that have to be zero before tables are made, 0 where it does not matter
    const job *planes        # of PLANES small planes side by side, which are its channels; NULL where planes are not small
    int64_t units
    int64_t grain           # units that one sweep makes: parts of the work begin at multiples
    int64_t cost            # ns that it takes one thread, about
    int64_t parts           # more than this, and what each makes anew at its start costs too much
    # scratch layout, bytes
    int64_t at_ring, at_tags, at_line, at_group, at_planes, at_sum, at_long, at_out, at_row, at_d, at_h, at_w, at_build
    int64_t scratch_bytes


# A job and the memory that it owns.
cdef class Prepared:
    cdef job j
    cdef char *tables
    cdef job *spare         # in the memory of the tables: room for a job that `j` runs
    cdef int64_t large_tables   # bytes, where they count


cdef struct strides3:
    int64_t outer, d, h
    bint stream             # an output: it leaves the cache, and its pages are there


cdef void execute(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                  int64_t unit_lo, int64_t unit_hi) noexcept nogil
