// What OpenBLAS says of itself.
#include "cpu.h"

const char *ck_blas_name(void) { return openblas_get_config(); }

const char *ck_blas_core(void) { return openblas_get_corename(); }
