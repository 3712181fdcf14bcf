// y[N,K] = x[N,C] w[K,C]^T + b: three products of cuBLASLt's, the bias in the first one's epilogue.
#include "cuda.h"

ck_status ck_cuda_dense_forward(ck_cuda_call c) {
    ck_dense_params p = c.p->dense;
    return ck_cuda_multiply(c.cuda, &(ck_product){.transpose_b = 1, .m = p.n, .n = p.k, .k = p.c, .a = c.t[1], .lda = p.c,
                                                  .b = c.t[2], .ldb = p.c, .c = c.t[0], .ldc = p.k, .bias = c.t[3],
                                                  .math = p.math});
}

ck_status ck_cuda_dense_backward_data(ck_cuda_call c) {
    ck_dense_params p = c.p->dense;
    return ck_cuda_multiply(c.cuda, &(ck_product){.m = p.n, .n = p.c, .k = p.k, .a = c.t[1], .lda = p.k, .b = c.t[2],
                                                  .ldb = p.c, .c = c.t[0], .ldc = p.c, .math = p.math});
}

ck_status ck_cuda_dense_backward_weight(ck_cuda_call c) {
    ck_dense_params p = c.p->dense;
    CK_TRY(ck_cuda_multiply(c.cuda, &(ck_product){.transpose_a = 1, .m = p.k, .n = p.c, .k = p.n, .a = c.t[2], .lda = p.k,
                                                  .b = c.t[3], .ldb = p.c, .c = c.t[0], .ldc = p.c, .math = p.math}));
    if (!c.t[1]) return CK_OK;
    return CK_LAUNCH(c.cuda, ck_dense_bias_gradient, ((ck_grid){ck_ceil_div(p.k, 32), 1, 1}), 256, (void *)&c.t[1],
                     (void *)&c.t[2], &p);
}
