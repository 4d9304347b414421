/* The row primitives at level avx512; an empty level where the compiler was not told to make one, or the
 * build left it out. */
#include "rows.h"

#if defined(__AVX512VBMI__) && !defined(ROWS_LEFT_OUT)
#define ROWS_LEVEL "avx512"
#define ROWS_TABLE rows_avx512
#include "rows_impl.h"
#else
const row_table *const rows_avx512 = 0;
#endif
