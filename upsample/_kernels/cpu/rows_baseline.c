/* The row primitives at the level that every machine has; see rows_impl.h. */
#ifdef ROWS_LEFT_OUT
#include "rows.h"
const row_table *const rows_baseline = 0;
#else
#if defined(__aarch64__)
#define ROWS_LEVEL "neon"       /* ARM's own vectors and FMA are part of its baseline */
#else
#define ROWS_LEVEL "baseline"
#endif
#define ROWS_TABLE rows_baseline
#include "rows_impl.h"
#endif
