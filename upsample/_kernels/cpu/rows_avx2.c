/* The row primitives at level avx2; an empty level where the compiler was not told to make one. */
#include "rows.h"

#ifdef __AVX2__
#define ROWS_LEVEL "avx2"
#define ROWS_TABLE rows_avx2
#include "rows_impl.h"
#else
const row_table *const rows_avx2 = 0;
#endif
