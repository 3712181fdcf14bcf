#include "occ.h"

int32_t occ_abi(void) { return OCC_ABI; }
