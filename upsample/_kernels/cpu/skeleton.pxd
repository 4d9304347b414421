from libc.stdint cimport int32_t, int64_t

from upsample._axismap cimport axis_recipe


cdef extern from "rows.h" nogil:
    enum:
        DTYPE_F32, DTYPE_F64, DTYPE_F16, DTYPE_BF16, DTYPE_U8, DTYPE_I8, DTYPE_U16, DTYPE_I16
        ACC_F32, ACC_F64, ACC_U8, ACC_I8
        PAIR_NONE, PAIR_DOUBLED, PAIR_WINDOWS
        FORM_FIXED, FORM_WIDE, FORM_BOX, FORM_DOUBLED
        ROW_GROUP, PACK_CHANNELS, HALF_CHANNELS, PLANES
    ctypedef struct row_taps:
        int64_t m, n, inner, src
        int32_t taps_max, shift
        int64_t doubled_lo, doubled_hi, doubled_src
        const int32_t *index
        const int32_t *first
        const int32_t *count
        const void *weights
        int32_t grouped
        void (*window)(void *dst, const void *src, const row_taps *t) noexcept nogil
        const int32_t *left
        int64_t half_lo, half_hi
        int32_t pair, edges
    ctypedef void (*halve_fn)(void *dst, const void **rows, int32_t count, const row_taps *t, int box, int lines) noexcept nogil
    ctypedef void (*pair_fn)(void *d0, void *d1, void *fresh, const void **rows, const void *src, const row_taps *t,
                             const void *w0, const void *w1, void *spare, int lines) noexcept nogil
    ctypedef void (*load_fn)(void *acc, const void *src, int64_t n) noexcept nogil
    ctypedef void (*store_fn)(void *dst, const void *acc, int64_t n) noexcept nogil
    ctypedef void (*h_fn)(void *dst, const void *src, const row_taps *t) noexcept nogil
    ctypedef void (*copy_fn)(void *dst, const void *src, const row_taps *t, int64_t size) noexcept nogil
    ctypedef void (*v_fn)(void *dst, const void **rows, const void *w, int64_t n, int32_t taps, int32_t divide) noexcept nogil
    ctypedef void (*group_fn)(void **dst, const void **src, const row_taps *t, void *scratch) noexcept nogil
    ctypedef void (*planes_in_fn)(void *pixels, int64_t apart, const void *planes, int64_t step, int64_t n, int count) noexcept nogil
    ctypedef void (*planes_out_fn)(void *planes, int64_t step, const void *pixels, int64_t apart, int64_t n, int count) noexcept nogil
    ctypedef void (*v_end_fn)(void *dst, const void *acc, int64_t n, int32_t divide) noexcept nogil
    ctypedef void (*taps_fn)(const axis_recipe *a, int64_t lo, int64_t hi, int64_t *first, int32_t *count, void *w,
                             double *scratch) noexcept nogil
    ctypedef void (*part_fn)(void *total, const void *x, const void *w, int64_t taps, int64_t inner,
                             bint first) noexcept nogil
    enum:
        RUNS
    ctypedef struct axis_runs:
        int64_t inputs, runs, taps_max
        const int64_t *first
        const int32_t *count
        const void *weights
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
                          void *spare, int lines) noexcept nogil
        void (*pixels[2])(void *d0, void *d1, const void *near, const void *far, const row_taps *t, const void *h0,
                          const void *h1, void *spare, int lines) noexcept nogil
        halve_fn halve[8]
        pair_fn pair[8][2]
        v_fn stream[4]
        void (*stream_row)(void *dst, const void *src, int64_t bytes_) noexcept nogil
        void (*stream_end)() noexcept nogil
        part_fn part[4]
        v_end_fn part_end[4][2]
        void (*row_means[2])(void *dst, const void *src, int64_t step, int64_t rows, int64_t n) noexcept nogil
        void (*spread[2])(void *dst, int64_t to, const void *src, int64_t from_, int64_t planes, int64_t n, const void *w,
                          const void *h) noexcept nogil
        void (*few[2])(void *dst, const void *src, int64_t outer, int64_t inner, const axis_runs *a) noexcept nogil
        planes_in_fn planes_in[4]
        planes_out_fn planes_out[4]
        copy_fn copy
        void (*copy_doubled)(void *d0, void *d1, const void *src, const row_taps *t, int64_t size, void *spare,
                        int lines) noexcept nogil
        int64_t (*pack_bytes)(int acc, int32_t taps_max, int64_t outputs) noexcept nogil
        group_fn group[4]
        int32_t group_rows[4]
        int64_t (*group_bytes)(int acc, int64_t samples) noexcept nogil
        int64_t (*copy_bytes)(int64_t outputs, int64_t size) noexcept nogil
        void (*pack_copy)(row_taps *t, int64_t size, char *memory) noexcept nogil
        void (*copy_plane)(void *dst, const void *src, const row_taps *t, int lines) noexcept nogil
        int (*pack_plane)(row_taps *t, int64_t size, char *memory) noexcept nogil
        int64_t (*plane_bytes)(int64_t outputs, int64_t size) noexcept nogil
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
    STREAM_BYTES = 32 << 20     # smaller outputs stay in the cache (measured: streaming below costs up to 3.7x)


# What is the same all along a map, worked out once.
cdef struct map_structure:
    taps_period period
    int64_t doubled_lo, doubled_hi      # whole factor 2: pairs of outputs of two sets of weights, all taps within the axis
    int64_t doubled_src                 # pair j is centred on input j + doubled_src
    bint halved                         # whole factor 1/2: output o is the mean of inputs 2o and 2o + 1
    int64_t runs                        # of outputs that have the same taps; 0: many, or they were not looked for
    bint one_weight                     # of one input: every output is that, by one weight


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
    map_structure structure
    int64_t block           # outputs per table
    int64_t weight_size     # bytes of one weight, 0 for none
    axis_taps whole         # filled at prepare when block covers the axis
    v_ops ops


cdef struct strides3:
    int64_t outer, d, h
    bint stream             # an output: it leaves the cache, and its pages are there


cdef struct job
cdef struct few_sums
cdef struct path
cdef struct run_state
cdef class Prepared

# Rows [y, stop) of output plane d, or as many of them as are best made at once: how many were made.
ctypedef int64_t (*make_fn)(const job *j, run_state *s, int64_t d, int64_t y, int64_t stop, char *row) noexcept nogil


# Everything that is decided once; immutable while it runs.
cdef struct job:
    const row_table *level
    path *made_by              # who makes it
    int64_t outer, inner
    axis_job d, h, w
    bint copies             # nearest: pixels of `sample * inner` bytes are copied
    int32_t dtype, acc, form
    int64_t sample          # bytes of a sample in memory
    int64_t stored          # bytes of a sample between passes
    int64_t sum_size        # bytes of a sample while a long sum runs
    load_fn load            # NULL where the dtype is what passes work on
    store_fn store
    bint plain_h            # no D pass, and no output row has more taps than are summed in one call
    bint long_taps          # an output along W has too many taps for a table: they are made in parts
    bint no_ring            # rows are made straight from the input
    bint streams            # the output may be streamed
    bint direct             # and then the last sum does it
    make_fn make_rows       # of the tiles that the path takes, which are all if it does not say
    make_fn other_rows      # of the others
    bint (*takes)(const row_taps *t) noexcept nogil
    group_fn group          # rows of many taps along W, `group_rows` at a time; NULL where there is none
    int64_t group_rows, group_bytes
    pair_fn pair            # two output rows in one sweep; NULL where there is no such thing
    int64_t paired_lo, paired_hi    # output rows among which they are found
    int64_t tile            # outputs along W per tile
    int64_t tiles, band
    int64_t ring_d, ring_h  # powers of two
    int64_t row_bytes       # of a processed row of one tile
    int64_t line_bytes      # of a loaded input row of one tile
    row_taps *tile_taps     # one per tile, or NULL: built by each thread
    int64_t repeat_lo, repeat_hi    # tiles with the table of the first of them, moved by `repeat` inputs from tile to tile
    int64_t repeat          # 0: every tile has its own
    int64_t build_bytes     # of memory in which tables are made
    bint build_zero         # that has to be zero
    # memory that it owns: its tables, what a path keeps besides, and jobs that it is made of
    char *tables
    char *own
    int64_t kept_bytes      # of the first two
    job *stage[2]
    const row_taps *plane_row   # a plane as one row of all its pixels
    few_sums *few           # what differs among the outputs of few inputs
    const void *means       # which inputs few outputs are the means of
    int64_t units
    int64_t cost            # ns that it takes one thread, about
    int64_t most_parts      # more than this, and what each makes anew at its start costs too much
    int64_t scratch_bytes


# What a run of units is at.
cdef struct run_state:
    const strides3 *sx
    const strides3 *so
    const char *x           # start of the input of this `outer`
    const row_taps *tile
    make_fn make            # of this tile's rows
    pair_fn pair            # two of this tile's rows in one sweep, or NULL
    axis_taps td, th
    bint direct             # the last sum streams itself
    bint lines              # what is streamed is whole lines of the cache
    char *spare           # rows are finished here and streamed from here; NULL: they are not
    int64_t copied          # the input row that the row at `previous` is a copy of
    const char *previous
    # scratch
    char *ring
    int64_t *tags
    char *line
    char *group
    char *h_sums
    char *sum
    char *plane_sum
    char *long_sum
    char *finished
    char *spare_room
    char *d_table
    char *h_table
    char *w_table
    double *build


# How `explain` names a path: by its name, after the pass along W, or by that alone.
cdef enum said:
    ALONE, AFTER_W, BY_W


# A way to make output: a file of `paths`, and a row of the table that `prepare` tries from its top.
cdef struct path:
    const char *name
    bint (*fits)(const job *j) noexcept
    int (*prepare)(Prepared p) except -1        # units, tables, scratch; 0: not after all
    void (*run)(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                int64_t unit_lo, int64_t unit_hi) noexcept nogil
    said how
    int64_t made            # units or rows, where they are counted


# The owner of a job, until that is taken from it.
cdef class Prepared:
    cdef job j
    cdef tuple problem      # what it was prepared from: dtype, sizes, maps


cdef void execute(const job *j, const char *x, const strides3 *sx, char *out, const strides3 *so, char *scratch,
                  int64_t unit_lo, int64_t unit_hi) noexcept nogil
cdef void may_stream(job *j) noexcept
cdef void release(job *j) noexcept nogil
cdef void take_job(Prepared p, job *into) noexcept
