// y[N,K] = x[N,C] w[K,C]^T + b: three products of cuBLASLt's, the bias in the first one's epilogue.
#include "cuda.h"

ck_status ck_cuda_dense_forward(ck_cuda_state *cuda, const ck_dense_forward_operands *t,
                                const ck_dense_params *p, void *) {
    return ck_cuda_multiply(cuda, &(ck_product){.transpose_b = 1,
                                                .m = p->n,
                                                .n = p->k,
                                                .k = p->c,
                                                .a = t->x,
                                                .lda = p->c,
                                                .b = t->w,
                                                .ldb = p->c,
                                                .c = t->y,
                                                .ldc = p->k,
                                                .bias = t->b,
                                                .math = p->math});
}

ck_status ck_cuda_dense_backward_data(ck_cuda_state *cuda, const ck_dense_backward_data_operands *t,
                                      const ck_dense_params *p, void *) {
    return ck_cuda_multiply(cuda, &(ck_product){.m = p->n,
                                                .n = p->c,
                                                .k = p->k,
                                                .a = t->dy,
                                                .lda = p->k,
                                                .b = t->w,
                                                .ldb = p->c,
                                                .c = t->dx,
                                                .ldc = p->c,
                                                .math = p->math});
}

ck_status ck_cuda_dense_backward_weight(ck_cuda_state *cuda, const ck_dense_backward_weight_operands *t,
                                        const ck_dense_params *p, void *) {
    CK_TRY(ck_cuda_multiply(cuda, &(ck_product){.transpose_a = 1,
                                                .m = p->k,
                                                .n = p->c,
                                                .k = p->n,
                                                .a = t->dy,
                                                .lda = p->k,
                                                .b = t->x,
                                                .ldb = p->c,
                                                .c = t->dw,
                                                .ldc = p->c,
                                                .math = p->math}));
    if (!t->db) return CK_OK;
    return CK_LAUNCH(cuda, ck_dense_bias_gradient, ck_blocks(ck_ceil_div(p->k, 32)), .db = t->db, .dy = t->dy,
                     .p = *p);
}
