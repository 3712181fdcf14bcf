// Which of the vector versions of CK_VERSIONS runs.
#include "simd.h"
#include "CKernels.h"
#include <string.h>

static const char *const names[] = {"plain", "avx2", "avx512"};

static int machine_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        return 2;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 0;
#endif
}

int ck_simd_level(void) {
    static int level = -1;  // threads that come here together write the same
    int known = __atomic_load_n(&level, __ATOMIC_RELAXED);
    if (known >= 0) return known;
    known = machine_level();
    const char *limit = ck_setting(CK_SETTING_SIMD);
    for (int i = 0; limit && i < known; i++)
        if (strcmp(limit, names[i]) == 0) known = i;
    __atomic_store_n(&level, known, __ATOMIC_RELAXED);
    return known;
}

const char *ck_simd_name(void) { return names[ck_simd_level()]; }
