/* A fuzz target for libFuzzer: descriptions of every kind, made into kernels and executed.
 *
 * The first byte says how the rest is read: as the raw bytes of the structure, or as choices that make a
 * plausible one, with a wrong value here and there.  What can be made and is small is executed on buffers of
 * exactly the size that the kernel tells, whole and in pieces, which have to agree in every bit.
 * Anything that breaks a promise of the header aborts.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined fuzz.c $(python3-config --embed --cflags --ldflags) ... */
#define _GNU_SOURCE
#include <Python.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <upsample.h>

#define PROMISE(x) do { if (!(x)) { fprintf(stderr, "line %d: %s\n", __LINE__, #x); abort(); } } while (0)

enum { MOST_BYTES = 1 << 22, MOST_UNITS = 1 << 14, CODES = 14 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t count[CODES], executed, zeros;

static void report(void)
{
    fprintf(stderr, "kernels executed: %lld, of which wrote zeros: %lld; answers by code:", (long long)executed, (long long)zeros);
    for (int i = 0; i < CODES; i++) fprintf(stderr, " %d:%lld", i, (long long)count[i]);
    fprintf(stderr, "\n");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer)
    /* tables that are too large have to be refused by malloc, and soon */
    const struct rlimit limit = { (rlim_t)2 << 30, (rlim_t)2 << 30 };
    setrlimit(RLIMIT_AS, &limit);
#endif
    Py_InitializeEx(0);
    if (upsample_import() < 0) {
        PyErr_Print();
        exit(1);
    }
    PyEval_SaveThread();        /* kernels are made and executed without the GIL in hand */
    atexit(report);
    return 0;
}

typedef struct { const uint8_t *at, *end; } bytes;

static unsigned next(bytes *b) { return b->at < b->end ? *b->at++ : 0u; }

static uint64_t next64(bytes *b)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v = v << 8 | next(b);
    return v;
}

/* Mostly a number below `most`, now and then any. */
static int64_t number(bytes *b, unsigned most)
{
    const unsigned v = next(b);
    return v < 250 ? (int64_t)(v % most) : v < 253 ? (int64_t)v - 252 : (int64_t)next64(b);
}

static void plausible(upsample_work *w, bytes *b)
{
    static const char *const layouts[] = { "", "", "", "HW", "HWC", "CHW", "NHWC", "NCHW", "W", "CW", "WC", "DHW", "NCDHW", "NDHWC",
                                           "DHWC", "HCW", "DCHW", "HxW", "WH", "hw", "NCDHWXYZ" };
    static const int8_t ranks[] = { 3, 4, 5, 2, 3, 3, 4, 4, 1, 2, 2, 3, 5, 5, 4, 3, 4, 3, 2, 2, 8 };
    const unsigned layout = next(b) % (sizeof layouts / sizeof *layouts);
    w->ndim = next(b) < 248 ? ranks[layout] : (int32_t)number(b, 9);
    strcpy(w->layout, layouts[layout]);
    w->dtype = (int32_t)number(b, 9);
    w->itemsize = w->dtype == UPSAMPLE_RAW ? number(b, 20) : 0;
    w->mode = (int32_t)number(b, 9);
    const unsigned flags = next(b);
    w->align_corners = flags & 1, w->antialias = flags >> 1 & 1, w->numerics = flags >> 2 & 1;
    w->recompute_scale_factor = (flags >> 3 & 7) == 0, w->transposed = (flags >> 3 & 7) == 1, w->fresh_output = flags >> 7;
    if (w->mode == UPSAMPLE_LANCZOS) w->antialias = 1;
    if (w->mode <= UPSAMPLE_NEAREST_EXACT || w->mode == UPSAMPLE_AREA) w->align_corners = w->antialias = 0;
    w->given = next(b) < 250 ? 1 + (int32_t)(next(b) & 1) : (int32_t)next(b);
    for (int i = 0; i < UPSAMPLE_MAX_NDIM; i++) w->shape[i] = number(b, 17);
    for (int i = 0; i < 3; i++) w->size[i] = number(b, 40);
    for (int i = 0; i < 3; i++) {
        const unsigned v = next(b);
        w->scale[i] = v < 240 ? (1 + v % 50) / 10.0 : v < 248 ? (double)next64(b) : 0;
        if (v >= 248) memcpy(&w->scale[i], b->end - b->at >= 8 ? b->at : (const uint8_t *)"\0\0\0\0\0\0\xf8\x7f", 8);
    }
    const unsigned strides = next(b);
    w->has_strides = w->has_out_strides = strides & 1, w->has_window = (strides & 6) == 6;
    if (strides > 250) w->has_strides ^= 1, w->has_window ^= 1, w->reserved = strides == 255;
    const int ndim = w->ndim >= 1 && w->ndim <= UPSAMPLE_MAX_NDIM ? w->ndim : 0;
    if (strides & 1)
        for (int side = 0; side < 2; side++) {
            /* padded rows and planes, in C order, some reversed */
            static const int8_t sizes[] = { 4, 8, 2, 2, 1, 1, 2, 2 };
            int64_t step = w->dtype >= 0 && w->dtype < 8 ? sizes[w->dtype] : w->itemsize;
            for (int i = ndim - 1; i >= 0; i--) {
                const unsigned v = next(b);
                const int64_t size = side == 0 ? w->shape[i] : w->given == UPSAMPLE_SIZE ? 40 : (int64_t)(5 * (uint64_t)w->shape[i]);
                (side == 0 ? w->strides : w->out_strides)[i] = v < 250 ? (v & 64 && i < ndim - 2 ? (int64_t)(0 - (uint64_t)step) : step) : number(b, 64);
                if (__builtin_mul_overflow(step, size, &step) || __builtin_mul_overflow(step, 1 + (v & 3) / 3, &step)) step = 0;
            }
        }
    if ((strides & 6) == 6)
        for (int i = 0; i < 3; i++) {
            w->window_start[i] = number(b, 8);
            w->window_stop[i] = (int64_t)((uint64_t)w->window_start[i] + (uint64_t)number(b, 20));
        }
}

/* Bytes from the lowest one touched to the sample at index 0. */
static int64_t before(const int64_t *shape, const int64_t *strides, int32_t ndim)
{
    int64_t total = 0;
    for (int32_t i = 0; i < ndim; i++)
        if (strides[i] < 0) total -= strides[i] * (shape[i] - 1);
    return total;
}

static void run(upsample_kernel *kernel, bytes *b)
{
    upsample_info info = UPSAMPLE_INFO_INIT;
    PROMISE(upsample_query(kernel, &info) == UPSAMPLE_OK);
    PROMISE(info.units >= 0 && info.scratch_bytes >= 0 && info.in_bytes >= 0 && info.out_bytes >= 0);
    PROMISE(info.ndim >= 1 && info.ndim <= UPSAMPLE_MAX_NDIM && info.alignment >= 1);
    if (info.in_bytes > MOST_BYTES || info.out_bytes > MOST_BYTES || info.units > MOST_UNITS || info.scratch_bytes > 16 * MOST_BYTES)
        return;
    PROMISE(upsample_execute(kernel, NULL, NULL, NULL, 0, 0) == UPSAMPLE_OK);
    if (info.units == 0) return;
    char *in = malloc((size_t)info.in_bytes), *whole = malloc((size_t)info.out_bytes), *parts = malloc((size_t)info.out_bytes);
    char *scratch = malloc((size_t)info.scratch_bytes);
    if (in != NULL && whole != NULL && parts != NULL && scratch != NULL) {
        for (int64_t i = 0; i < info.in_bytes; i++) in[i] = (char)((i * 37 ^ i >> 5 ^ 0x41) & 0x3F);     /* finite: which NaN comes out of two is not promised */
        memset(whole, 0x5A, (size_t)info.out_bytes);
        memset(parts, 0x5A, (size_t)info.out_bytes);
        memset(scratch, 0xC3, (size_t)info.scratch_bytes);
        const char *x = in + before(info.in_shape, info.in_strides, info.ndim);
        const int64_t at = before(info.out_shape, info.out_strides, info.ndim);
        const int64_t a = (int64_t)(next(b) * (uint64_t)info.units / 256), c = a + (int64_t)(next(b) * (uint64_t)(info.units - a) / 256);
        PROMISE(upsample_execute(kernel, x, whole + at, scratch, 0, info.units) == UPSAMPLE_OK);
        PROMISE(upsample_execute(kernel, x, parts + at, scratch, c, info.units) == UPSAMPLE_OK);
        PROMISE(upsample_execute(kernel, x, parts + at, scratch, 0, a) == UPSAMPLE_OK);
        PROMISE(upsample_execute(kernel, x, parts + at, scratch, a, c) == UPSAMPLE_OK);
        PROMISE(memcmp(whole, parts, (size_t)info.out_bytes) == 0);
        PROMISE(upsample_execute(kernel, x, parts + at, scratch, 1, info.units + 1) == UPSAMPLE_ERROR_UNITS);
        PROMISE(upsample_execute(kernel, x, NULL, scratch, 0, info.units) == UPSAMPLE_ERROR_ARGUMENT);
        if (info.in_bytes == 0) {
            memset(parts, 0x5A, (size_t)info.out_bytes);
            PROMISE(upsample_execute(kernel, NULL, parts + at, scratch, 0, info.units) == UPSAMPLE_OK);
            PROMISE(memcmp(whole, parts, (size_t)info.out_bytes) == 0);
            zeros++;
        } else {
            PROMISE(upsample_execute(kernel, NULL, parts + at, scratch, 0, 1) == UPSAMPLE_ERROR_ARGUMENT);
            PROMISE(upsample_execute(kernel, parts + at, parts + at, scratch, 0, 1) == UPSAMPLE_ERROR_OVERLAP);
        }
        executed++;
    }
    free(in), free(whole), free(parts), free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes b = { data, data + size };
    upsample_work *work = calloc(1, sizeof *work);      /* of its exact size, so that reading beyond is seen */
    const unsigned how = next(&b);
    const int64_t room = 1 + next(&b) * 2;
    char *message = malloc((size_t)room);
    if (work == NULL || message == NULL) abort();
    if (how & 1) {
        plausible(work, &b);
        work->struct_size = how & 2 || next(&b) < 250 ? (int64_t)sizeof *work : (int64_t)next64(&b);
    } else {
        const size_t n = (size_t)(b.end - b.at) < sizeof *work ? (size_t)(b.end - b.at) : sizeof *work;
        memcpy(work, b.at, n);
        if (how & 2) work->struct_size = (int64_t)sizeof *work;
        if (how & 4) work->has_strides &= 1, work->has_out_strides &= 1, work->has_window &= 1, work->reserved = 0;
        b.at += n;
    }
    memset(message, 0x7F, (size_t)room);
    upsample_kernel *kernel = (upsample_kernel *)message;       /* has to be overwritten */
    const int32_t status = upsample_create(work, &kernel, message, room);
    free(work);         /* the kernel does not need it */
    PROMISE(status >= 0 && status < CODES && status != UPSAMPLE_ERROR_INTERNAL);
    count[status]++;
    PROMISE(memchr(message, 0, (size_t)room) != NULL);
    PROMISE((status == UPSAMPLE_OK) == (kernel != NULL));
    PROMISE(room == 1 || (status == UPSAMPLE_OK) == (message[0] == 0));
    free(message);
    if (kernel != NULL) {
        PROMISE(upsample_retain(kernel) == kernel);
        upsample_release(kernel);
        run(kernel, &b);
    }
    upsample_release(kernel);
    return 0;
}
