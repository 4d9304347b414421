/* The row primitives at level avx512; an empty level where the compiler was not told to make one. */
#include "rows.h"

#ifdef __AVX512VBMI__
#define ROWS_LEVEL "avx512"
#define ROWS_TABLE rows_avx512
#include "rows_impl.h"
#else
const row_table *const rows_avx512 = 0;
#endif
