#include "components.h"
#include "cuda.h"

// The doubles that rows have to do with components: parts [N,K,1 + D].
static int64_t parts(const ck_mixture_params *p) { return (int64_t)p->n * p->k * (p->d + 1); }

ck_status ck_cuda_mixture_loss_backward(ck_cuda_state *cuda, const ck_mixture_loss_backward_operands *t,
                                        const ck_mixture_params *p, void *workspace) {
    CK_TRY(CK_LAUNCH(cuda, ck_mixture_row_gradients, ck_elements(p->n), .dz = t->dz, .parts = workspace,
                     .z = t->z, .share = t->share, .mean = t->mean, .covariance = t->covariance,
                     .energy = t->energy, .p = *p));
    double *inverses = (double *)workspace + parts(p);
    CK_TRY(CK_LAUNCH(cuda, ck_mixture_inverses, ck_blocks(p->k), .inverses = inverses, .share = t->share,
                     .covariance = t->covariance, .p = *p));
    return CK_LAUNCH(cuda, ck_mixture_component_gradients, ck_blocks(p->k), .dshare = t->dshare,
                     .dmean = t->dmean, .dcovariance = t->dcovariance, .parts = workspace,
                     .inverses = inverses, .factor = p->energy / (double)p->n, .p = *p);
}

uint64_t ck_cuda_workspace_mixture_loss_backward(const ck_mixture_params *p) {
    return sizeof(double) * (uint64_t)(parts(p) + (int64_t)p->k * CK_INVERSE_DOUBLES(p->d));
}
