#include "cuda.h"

#define LAUNCH_POOL(kernel, count, ...)                                                                                \
    ck_pool_params p = c.p->pool;                                                                                      \
    return CK_LAUNCH(c.cuda, kernel, ck_elements((int64_t)p.n * p.c * (count)), 256, __VA_ARGS__, &p)

ck_status ck_cuda_max_pool_forward(ck_cuda_call c) {
    LAUNCH_POOL(ck_max_pool_forward, p.p * p.q, (void *)&c.t[0], (void *)&c.t[1], (void *)&c.t[2]);
}
ck_status ck_cuda_max_pool_backward(ck_cuda_call c) {
    LAUNCH_POOL(ck_max_pool_backward, p.h * p.w, (void *)&c.t[0], (void *)&c.t[1], (void *)&c.t[2]);
}
ck_status ck_cuda_global_average_pool_forward(ck_cuda_call c) {
    LAUNCH_POOL(ck_global_average_pool_forward, 1, (void *)&c.t[0], (void *)&c.t[1]);
}
ck_status ck_cuda_global_average_pool_backward(ck_cuda_call c) {
    LAUNCH_POOL(ck_global_average_pool_backward, p.h * p.w, (void *)&c.t[0], (void *)&c.t[1]);
}
ck_status ck_cuda_upsample_forward(ck_cuda_call c) {
    LAUNCH_POOL(ck_upsample_forward, 4 * p.h * p.w, (void *)&c.t[0], (void *)&c.t[1]);
}
ck_status ck_cuda_upsample_backward(ck_cuda_call c) {
    LAUNCH_POOL(ck_upsample_backward, p.h * p.w, (void *)&c.t[0], (void *)&c.t[1]);
}
