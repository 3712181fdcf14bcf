// The CPU's batch normalization by what was added up of parts of the rows, by itself or by a convolution as
// it went.
#ifndef CK_BATCHNORM_PARTS_H
#define CK_BATCHNORM_PARTS_H

#include "cpu.h"

// Moments of rows: their mean [C], the sum of squared deviations from it [C], and how many they are.
static inline int64_t ck_moments_floats(int64_t channels) { return 2 * channels + 1; }

// Adds `count` rows, at most so many, to moments, which begin as zeros; the rows are at x + places[i].
enum { CK_MOMENT_ROWS = 16 };
void ck_add_moments(float *moments, const float *x, const int64_t *places, int64_t count, int64_t channels);

// batchnorm_forward from the moments of `parts` parts; scratch memory for 2 C floats.
ck_status ck_cpu_batchnorm_forward_by_parts(const ck_batchnorm_forward_operands *t,
                                            const ck_batchnorm_params *p, const float *moments, int64_t parts,
                                            float *scratch);

// batchnorm_backward from the sums of `parts` parts, of dy behind the ReLU and of that times (x - mean),
// [2][C]; scratch memory for 3 C floats.
ck_status ck_cpu_batchnorm_backward_by_parts(const ck_batchnorm_backward_operands *t,
                                             const ck_batchnorm_params *p, const float *sums, int64_t parts,
                                             float *scratch);

#endif
