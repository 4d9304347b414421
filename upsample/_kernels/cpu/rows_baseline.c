/* The row primitives at level baseline; see rows_impl.h. */
#define ROWS_LEVEL "baseline"
#define ROWS_TABLE rows_baseline
#include "rows_impl.h"
