/* The row primitives at level avx2; an empty level where the compiler was not told to make one, or the
 * build left it out. */
#include "rows.h"

#if defined(__AVX2__) && !defined(ROWS_LEFT_OUT)
#define ROWS_LEVEL "avx2"
#define ROWS_TABLE rows_avx2
#include "rows_impl.h"
#else
const row_table *const rows_avx2 = 0;
#endif
