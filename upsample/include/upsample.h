/* upsample.h: upsampling from C, C++ and Cython, without Python on the hot path.
 *
 * For extension modules and for programs with an embedded interpreter: the process has Python and
 * the package `upsample` in it.  There is nothing to link with; upsample_import() fetches a table of
 * functions from the installed package.  C99 and later, C++11 and later.
 *
 *     if (upsample_import() < 0) return NULL;              once, with the GIL; an exception is set
 *
 *     upsample_work work = UPSAMPLE_WORK_INIT;             what to do: (1, 3, 1080, 1920) float32, doubled
 *     work.ndim = 4;
 *     work.shape[0] = 1, work.shape[1] = 3, work.shape[2] = 1080, work.shape[3] = 1920;
 *     work.mode = UPSAMPLE_BICUBIC;
 *     work.given = UPSAMPLE_SCALE;
 *     work.scale[0] = work.scale[1] = 2;
 *     upsample_kernel *kernel;
 *     char text[400];
 *     if (upsample_create(&work, &kernel, text, sizeof text)) ...   the text says what is wrong
 *     upsample_info info = UPSAMPLE_INFO_INIT;
 *     if (upsample_query(kernel, &info)) ...               output shape, units of work, bytes of scratch
 *     void *scratch = malloc((size_t)info.scratch_bytes);  one for each thread
 *     if (upsample_execute(kernel, in, out, scratch, 0, info.units)) ...    any thread, no GIL, any number of times
 *     free(scratch);
 *     upsample_release(kernel);
 *
 * Work units.  The work is cut into info.units units whose edges depend on the description, the installed
 * version and the processor (and UPSAMPLE_SIMD), but never on threads: ask for them, and do not store them.
 * Give ranges [lo, hi) of them to threads as you like: any split, in any order, gives the bits of the
 * Python call.  Rows are kept within a range, so few long ranges cost less than many short ones.
 *
 * Threads.  After upsample_import() has returned, all other functions may be called by any thread at any time.
 * Of these only upsample_create() needs the interpreter: it takes the GIL itself and may be called with or
 * without it.  The others never touch Python, start no threads, allocate nothing, block nobody, and work after
 * Py_Finalize() too.  A kernel is immutable, so any number of threads may execute it at once, each with
 * scratch of its own, on the same or on different arrays.
 *
 * Interpreters.  upsample_import() and upsample_create() belong to the process's main interpreter and to its
 * first Py_Initialize().  In a subinterpreter upsample_import() raises ImportError; upsample_create() may not be
 * called by a thread that runs one: it would wait for the main interpreter's GIL for ever.  After a second
 * Py_Initialize() upsample_create() answers UPSAMPLE_ERROR_NOT_IMPORTED.  A call of upsample_create() that is
 * under way while another thread calls Py_Finalize() ends as any other thread's call into Python does then, which
 * may be never: join such threads first.
 *
 * Errors.  Functions return UPSAMPLE_OK or a code of upsample_status; nothing is printed, thrown or
 * aborted.  upsample_create() also writes a sentence into the caller's buffer; upsample_error_text()
 * has one for every code.
 *
 * Versions.  Structures and the table are only ever appended to, and numbers of enumerations keep their
 * meaning.  A module compiled with this header runs with every installed upsample of the same
 * UPSAMPLE_API_MAJOR and the same or a later UPSAMPLE_API_MINOR; upsample_import() checks that.  By its
 * struct_size the library knows which fields a caller has: those that came later count as zero.  Every major
 * version has the same capsule and, in it, the same table up to `version`, so that each can name the other.
 *
 * Define UPSAMPLE_NO_PYTHON before inclusion in files that do not call upsample_import(): Python.h is
 * not needed there. */
#ifndef UPSAMPLE_H
#define UPSAMPLE_H

#ifndef UPSAMPLE_NO_PYTHON
#include <Python.h>
#endif
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UPSAMPLE_API_MAJOR 1
#define UPSAMPLE_API_MINOR 0
#define UPSAMPLE_MAX_NDIM 8
#define UPSAMPLE_CAPSULE "upsample._capi.table"

/* What functions return. */
typedef enum {
    UPSAMPLE_OK = 0,
    UPSAMPLE_ERROR_ARGUMENT = 1,        /* a null pointer, a wrong struct_size, a field with no such value, a negative shape */
    UPSAMPLE_ERROR_VALUE = 2,           /* contradictory fields, an output that overlaps itself: ValueError in Python */
    UPSAMPLE_ERROR_NOT_IMPLEMENTED = 3, /* mode, rank and dtype that do not go together: NotImplementedError */
    UPSAMPLE_ERROR_RUNTIME = 4,         /* sizes below 1, sizes and factors that are too large or no number: RuntimeError */
    UPSAMPLE_ERROR_MEMORY = 5,          /* no memory for the kernel's tables */
    UPSAMPLE_ERROR_LAYOUT = 6,          /* strides that cannot be run in place: see upsample_work */
    UPSAMPLE_ERROR_ALIGNMENT = 7,       /* an address that is no multiple of the sample's size */
    UPSAMPLE_ERROR_UNITS = 8,           /* a range that is not within 0 <= lo <= hi <= units */
    UPSAMPLE_ERROR_OVERLAP = 9,         /* input and output share memory */
    UPSAMPLE_ERROR_UNSUPPORTED = 10,    /* no function of this version returns it: it is for later ones */
    UPSAMPLE_ERROR_NOT_IMPORTED = 11,   /* upsample_import() was not called, or failed; Python has ended */
    UPSAMPLE_ERROR_INTERNAL = 12,       /* a bug in upsample: please report it */
    UPSAMPLE_ERROR_INTERRUPTED = 13     /* Ctrl-C, or what a signal's handler raised, came while the kernel was made */
} upsample_status;

/* The type of a sample.  Weighted modes take the first eight; nearest modes take all. */
typedef enum {
    UPSAMPLE_FLOAT32 = 0,
    UPSAMPLE_FLOAT64 = 1,
    UPSAMPLE_FLOAT16 = 2,
    UPSAMPLE_BFLOAT16 = 3,
    UPSAMPLE_UINT8 = 4,
    UPSAMPLE_INT8 = 5,
    UPSAMPLE_UINT16 = 6,
    UPSAMPLE_INT16 = 7,
    UPSAMPLE_RAW = 8                    /* work.itemsize bytes that are copied as they are */
} upsample_dtype;

typedef enum {
    UPSAMPLE_NEAREST = 0,
    UPSAMPLE_NEAREST_EXACT = 1,
    UPSAMPLE_LINEAR = 2,                /* one spatial axis */
    UPSAMPLE_BILINEAR = 3,              /* two */
    UPSAMPLE_BICUBIC = 4,               /* two */
    UPSAMPLE_TRILINEAR = 5,             /* three */
    UPSAMPLE_CUBIC = 6,                 /* one to three */
    UPSAMPLE_AREA = 7,
    UPSAMPLE_LANCZOS = 8                /* with antialias */
} upsample_mode;

typedef enum { UPSAMPLE_NUMERICS_TORCH = 0, UPSAMPLE_NUMERICS_EXACT = 1 } upsample_numerics;

/* Which of work.size and work.scale is given: one of them, never both. */
typedef enum { UPSAMPLE_SIZE = 1, UPSAMPLE_SCALE = 2 } upsample_given;

/* What to do.  Begin with UPSAMPLE_WORK_INIT; all other bytes zero is a valid start.  Numbers of axes that there are
 * not (beyond ndim, or beyond the spatial axes) are not looked at. */
typedef struct {
    int64_t struct_size;                /* sizeof(upsample_work) */
    int32_t ndim;                       /* axes of the arrays, 1 to UPSAMPLE_MAX_NDIM */
    int32_t dtype;                      /* upsample_dtype, of input and output */
    int64_t itemsize;                   /* of UPSAMPLE_RAW in bytes, 1 to 2**31 - 1; else 0 or the dtype's */
    /* Of the input of upsample.interpolate, in samples. */
    int64_t shape[UPSAMPLE_MAX_NDIM];
    /* Bytes from one sample to the next along each axis, where has_strides is 1.  Where it is 0 the input is
     * in C order and all of them have to be 0.  Of an axis with one sample the stride does not matter.
     *
     * The last spatial axis, W, has to be dense, and axes between it and single samples as well: in C order
     * W has a stride of one sample, channels-last W has a stride of one pixel, whose channels are adjacent.
     * Strides of all axes outside of W are free: padded rows and planes, every second row, negative, of the
     * input also 0.  Anything else is UPSAMPLE_ERROR_LAYOUT: copy into a dense array. */
    int64_t strides[UPSAMPLE_MAX_NDIM];
    /* Those of the output, where has_out_strides is 1.  Where it is 0 the output is dense, in the order that
     * Python's result has (C order, or channels-last where the input of 4 or 5 axes without a layout is).  W has
     * to be dense here too, with the same axes inside of it.  Samples may not overlap. */
    int64_t out_strides[UPSAMPLE_MAX_NDIM];
    int32_t has_strides;                /* 0 or 1 */
    int32_t has_out_strides;            /* 0 or 1 */
    /* A letter for each axis, the spatial ones among D, H, W in this order: "HWC", "NCHW", "DHW".
     * Empty: (N, C, spatial axes), as torch has it. */
    char layout[16];
    int32_t mode;                       /* upsample_mode */
    int32_t align_corners;              /* 0 or 1; 0 for modes that have no corners */
    int32_t antialias;                  /* 0 or 1 */
    int32_t recompute_scale_factor;     /* 0 or 1 */
    int32_t numerics;                   /* upsample_numerics */
    int32_t given;                      /* upsample_given */
    int64_t size[3];                    /* output samples, one per spatial axis, in D, H, W order */
    double scale[3];                    /* factors, likewise; the output has trunc(n * factor) samples */
    /* The part of the output to make, in samples, one number per spatial axis, where has_window is 1; where it
     * is 0: the whole, and all six have to be 0.  The input is then the part that info.in_start and
     * info.in_shape tell, and strides are that part's.  Its samples have the bits of the whole's. */
    int64_t window_start[3];
    int64_t window_stop[3];
    int32_t has_window;                 /* 0 or 1 */
    int32_t reserved;                   /* 0 */
    /* 1: the gradient.  The fields above describe the forward work, but for the strides and the window,
     * which are the kernel's own: its input has the shape of the forward's output, and the other way round. */
    int32_t transposed;
    /* 1: the output's pages are fresh from the system, never written to.  A hint for outputs of 32 MiB and
     * more, which otherwise are written past the cache; never changes a bit of the result. */
    int32_t fresh_output;
} upsample_work;

/* What a kernel reads and writes. */
typedef struct {
    int64_t struct_size;                /* sizeof(upsample_info), set by the caller, and left as it is */
    int32_t ndim;
    int32_t alignment;                  /* bytes that addresses of input and output must be multiples of */
    int64_t in_shape[UPSAMPLE_MAX_NDIM];
    int64_t in_strides[UPSAMPLE_MAX_NDIM];
    int64_t out_shape[UPSAMPLE_MAX_NDIM];
    int64_t out_strides[UPSAMPLE_MAX_NDIM];
    int64_t in_start[3];                /* of a window: the first input sample along each spatial axis */
    int64_t in_bytes;                   /* from the lowest byte read to the highest, whatever lies between */
    int64_t out_bytes;
    int64_t units;                      /* of work; 0 where the output has no samples */
    int64_t scratch_bytes;              /* for each thread that executes, at any address */
} upsample_info;

#define UPSAMPLE_WORK_INIT { (int64_t)sizeof(upsample_work), 0, 0, 0, {0}, {0}, {0}, 0, 0, {0}, 0, 0, 0, 0, 0, 0, {0}, {0}, \
                             {0}, {0}, 0, 0, 0, 0 }
#define UPSAMPLE_INFO_INIT { (int64_t)sizeof(upsample_info), 0, 0, {0}, {0}, {0}, {0}, {0}, 0, 0, 0, 0 }

/* Opaque, immutable, reference-counted. */
typedef struct upsample_kernel upsample_kernel;

/* The table of functions, only ever appended to.  Use the functions below, which go through it.  Up to
 * `version` it is the same in every major version of the interface. */
typedef struct {
    int32_t major, minor;
    int64_t table_size, work_size, info_size;   /* of the structures that the installed upsample knows */
    const char *version;                        /* of the installed upsample, such as "0.1.0" */
    int32_t (*create)(const upsample_work *work, upsample_kernel **kernel, char *message, int64_t message_size);
    int32_t (*query)(const upsample_kernel *kernel, upsample_info *info);
    int32_t (*execute)(const upsample_kernel *kernel, const void *in, void *out, void *scratch, int64_t unit_lo,
                       int64_t unit_hi);
    upsample_kernel *(*retain)(upsample_kernel *kernel);
    void (*release)(upsample_kernel *kernel);
    const char *(*error_text)(int32_t status);
} upsample_table;

/* One pointer for all files of a module or program: one of them imports.  Hidden, so that modules in one
 * process do not share it.  It is written and read as one: threads may import at once. */
#if defined(_MSC_VER) && !defined(__clang__)
__declspec(selectany) const upsample_table *upsample_api = NULL;
#elif defined(_WIN32)
__attribute__((selectany)) const upsample_table *upsample_api = NULL;
#else
extern const upsample_table *upsample_api;
__attribute__((weak, visibility("hidden"))) const upsample_table *upsample_api = NULL;
#endif
#if defined(__GNUC__) || defined(__clang__)
#define UPSAMPLE_GET_TABLE() __atomic_load_n(&upsample_api, __ATOMIC_ACQUIRE)
#define UPSAMPLE_SET_TABLE(table) __atomic_store_n(&upsample_api, table, __ATOMIC_RELEASE)
#else
#define UPSAMPLE_GET_TABLE() (*(const upsample_table *volatile *)&upsample_api)
#define UPSAMPLE_SET_TABLE(table) (*(const upsample_table *volatile *)&upsample_api = (table))
#endif

#ifndef UPSAMPLE_NO_PYTHON
/* For upsample_import(): an ImportError, of which the exception that is set becomes the cause. */
static inline void upsample_private_import_error(const char *text)
{
    PyObject *type, *cause, *trace, *error;
    PyErr_Fetch(&type, &cause, &trace);
    PyErr_NormalizeException(&type, &cause, &trace);
    if (cause != NULL && trace != NULL) PyException_SetTraceback(cause, trace);
    Py_XDECREF(type);
    Py_XDECREF(trace);
    PyErr_Format(PyExc_ImportError, "%s: %S", text, cause != NULL ? cause : Py_None);
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (error != NULL) PyException_SetCause(error, cause);      /* takes the reference */
    else Py_XDECREF(cause);
    PyErr_Restore(type, error, trace);
}

/* Fetch the table.  With the GIL, in the main interpreter, before any other function: in the module's
 * initialisation, or after Py_Initialize().  Returns 0, or -1 with an exception set: ImportError where upsample
 * is not installed, or cannot be imported (of which the reason is the cause, such as a ValueError for a wrong
 * UPSAMPLE_SIMD), or its interface is not the one of this header (then the text names both versions), or this is a
 * subinterpreter; else what is no Exception, such as KeyboardInterrupt. */
static inline int upsample_import(void)
{
    const upsample_table *t = UPSAMPLE_GET_TABLE();
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) != 0) {
        PyErr_SetString(PyExc_ImportError, "upsample's C interface works in the main interpreter alone, "
                                           "and this is a subinterpreter");
        return -1;
    }
    if (t == NULL) {
        PyObject *module = PyImport_ImportModule("upsample._capi");
        if (module == NULL) {
            if (PyErr_ExceptionMatches(PyExc_Exception) && !PyErr_ExceptionMatches(PyExc_ImportError))
                upsample_private_import_error("the installed upsample cannot be imported");
            return -1;
        }
        Py_DECREF(module);              /* sys.modules keeps it */
        t = (const upsample_table *)PyCapsule_Import(UPSAMPLE_CAPSULE, 0);
        if (t == NULL) {
            upsample_private_import_error("the installed upsample has no " UPSAMPLE_CAPSULE);
            return -1;
        }
    }
    /* also where another file of this module fetched it, which may have been compiled with an older header */
    if (t->major != UPSAMPLE_API_MAJOR || t->minor < UPSAMPLE_API_MINOR
        || t->table_size < (int64_t)sizeof(upsample_table) || t->work_size < (int64_t)sizeof(upsample_work)
        || t->info_size < (int64_t)sizeof(upsample_info)) {
        PyErr_Format(PyExc_ImportError,
                     "this module was compiled with version %d.%d of upsample's C interface (structures of %d, %d and %d "
                     "bytes), the installed upsample %s has version %d.%d (%d, %d and %d bytes): install a matching "
                     "upsample, or compile the module again",
                     UPSAMPLE_API_MAJOR, UPSAMPLE_API_MINOR, (int)sizeof(upsample_table), (int)sizeof(upsample_work),
                     (int)sizeof(upsample_info), t->version, (int)t->major, (int)t->minor, (int)t->table_size,
                     (int)t->work_size, (int)t->info_size);
        return -1;
    }
    UPSAMPLE_SET_TABLE(t);
    return 0;
}
#endif

/* Make a kernel.  Takes the GIL.  *kernel is the caller's, to be released; NULL on errors, of which the
 * buffer `message` of `message_size` bytes gets a sentence in UTF-8 (it may be NULL, with size 0).
 * Errors: ARGUMENT, VALUE, NOT_IMPLEMENTED, RUNTIME, MEMORY, LAYOUT, NOT_IMPORTED, INTERNAL, INTERRUPTED: a
 * handler of a signal ran meanwhile and raised, as Ctrl-C does.  There is no kernel; the exception is raised when
 * Python code runs next in the main thread, which alone handles signals.  Go back to Python, or call again. */
static inline int32_t upsample_create(const upsample_work *work, upsample_kernel **kernel, char *message,
                                      int64_t message_size)
{
    const upsample_table *t = UPSAMPLE_GET_TABLE();
    if (t != NULL) return t->create(work, kernel, message, message_size);
    if (kernel != NULL) *kernel = NULL;
    if (message != NULL && message_size > 0) message[0] = 0;
    return UPSAMPLE_ERROR_NOT_IMPORTED;
}

/* Fill in what a kernel reads and writes.  Errors: ARGUMENT, NOT_IMPORTED. */
static inline int32_t upsample_query(const upsample_kernel *kernel, upsample_info *info)
{
    const upsample_table *t = UPSAMPLE_GET_TABLE();
    return t != NULL ? t->query(kernel, info) : (int32_t)UPSAMPLE_ERROR_NOT_IMPORTED;
}

/* Do the units [unit_lo, unit_hi).  `in` and `out` are the addresses of the samples at index (0, ..., 0), with
 * the strides that the kernel was made for; `scratch` is info.scratch_bytes of memory that no other thread
 * uses meanwhile; its content neither matters nor stays.  Input and output may not share a sample: one address for
 * both is refused, other overlaps are where both are dense, else it is the caller's to know.  Where info.in_bytes is 0,
 * `in` is not looked at and may be NULL: the output gets zeros, as a gradient of no samples.
 * Errors, before anything is written: ARGUMENT, ALIGNMENT, UNITS, OVERLAP, NOT_IMPORTED. */
static inline int32_t upsample_execute(const upsample_kernel *kernel, const void *in, void *out, void *scratch,
                                       int64_t unit_lo, int64_t unit_hi)
{
    const upsample_table *t = UPSAMPLE_GET_TABLE();
    return t != NULL ? t->execute(kernel, in, out, scratch, unit_lo, unit_hi) : (int32_t)UPSAMPLE_ERROR_NOT_IMPORTED;
}

/* One more owner of the kernel; returns it.  NULL is passed through. */
static inline upsample_kernel *upsample_retain(upsample_kernel *kernel)
{
    const upsample_table *t = UPSAMPLE_GET_TABLE();
    return t != NULL ? t->retain(kernel) : kernel;
}

/* One owner less; the last one frees it.  NULL is ignored. */
static inline void upsample_release(upsample_kernel *kernel)
{
    const upsample_table *t = UPSAMPLE_GET_TABLE();
    if (t != NULL) t->release(kernel);
}

/* A sentence in English for a code; never NULL, never to be freed. */
static inline const char *upsample_error_text(int32_t status)
{
    const upsample_table *t = UPSAMPLE_GET_TABLE();
    return t != NULL ? t->error_text(status) : "upsample_import() was not called in this program or module, or failed";
}

/* The first unit of part `part` of `parts` nearly equal ones: part t is [first(t), first(t + 1)).  Fewer
 * parts than one are one. */
static inline int64_t upsample_first_unit(int64_t units, int64_t part, int64_t parts)
{
    if (parts < 1) parts = 1;
    return units / parts * part + (units % parts) * part / parts;
}

#ifdef __cplusplus
}
#endif

#endif
