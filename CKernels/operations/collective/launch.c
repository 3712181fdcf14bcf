// Exchanges between ranks: by NCCL on the stream, or where it is missing through the host, which waits.
#include "cuda.h"
#include <stdlib.h>

// ncclDataType_t, ncclRedOp_t
enum { NCCL_FLOAT32 = 7, NCCL_AVERAGE = 4 };

static ck_status check(ck_cu_result result, const char *what) {
    return result == 0 ? CK_OK : ck_fail(CK_INTERNAL_ERROR, "NCCL: %s failed (error %d)", what, result);
}

// What a rank tells the others before they join: whether it has NCCL, and rank 0 what names the group.
struct hello {
    ck_nccl_id id;
    int32_t has_nccl;
};

ck_status ck_cuda_join(ck_cuda_state *cuda, const ck_communicator *communicator) {
    const ck_cuda_driver *d = cuda->driver;
    cuda->communicator = communicator;
    if (communicator->ranks == 1) return CK_OK;
    struct hello mine = {.has_nccl = d->nccl_join && !d->libraries[CK_LIBRARY_nccl].reason[0]};
    struct hello *all = malloc(sizeof *all * (size_t)communicator->ranks);
    if (!all) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    ck_status status = CK_OK;
    if (communicator->rank == 0 && mine.has_nccl)
        status = check(d->nccl_unique_id(&mine.id), "making a group");
    if (status == CK_OK) status = communicator->all_gather(communicator->context, &mine, all, sizeof mine);
    int all_have = 1;
    for (int32_t r = 0; r < communicator->ranks && status == CK_OK; r++) all_have &= all[r].has_nccl;
    if (status == CK_OK && all_have)
        status = check(d->nccl_join(&cuda->nccl, communicator->ranks, all[0].id, communicator->rank),
                       "joining the group");
    free(all);
    return status;
}

void ck_cuda_leave(ck_cuda_state *cuda) {
    if (cuda->nccl) cuda->driver->nccl_leave(cuda->nccl);
    cuda->nccl = NULL;
}

static ck_status to_host(ck_cuda_state *cuda, void *to, const void *from, uint64_t bytes) {
    CK_TRY(ck_cuda_check(cuda->driver,
                         cuda->driver->copy_to_host(to, (ck_cu_pointer)(uintptr_t)from, bytes, cuda->stream),
                         "copying from the GPU"));
    return ck_cuda_check(cuda->driver, cuda->driver->stream_synchronize(cuda->stream), "waiting for the GPU");
}

static ck_status to_device(ck_cuda_state *cuda, void *to, const void *from, uint64_t bytes) {
    return ck_cuda_check(
        cuda->driver, cuda->driver->copy_to_device((ck_cu_pointer)(uintptr_t)to, from, bytes, cuda->stream),
        "copying to the GPU");
}

ck_status ck_cuda_all_gather(ck_cuda_state *cuda, const ck_all_gather_operands *t,
                             const ck_collective_params *p, void *workspace) {
    (void)workspace;
    CK_TRY(ck_check_ranks(cuda->communicator, p));
    if (cuda->nccl) {
        for (int32_t block = 0; block < p->blocks; block++)
            CK_TRY(check(cuda->driver->nccl_all_gather(t->x + block * p->count,
                                                       t->y + block * p->count * p->ranks, (size_t)p->count,
                                                       NCCL_FLOAT32, cuda->nccl, cuda->stream),
                         "gathering"));
        return CK_OK;
    }
    uint64_t bytes = sizeof(float) * (uint64_t)(p->blocks * p->count);
    float *mine = malloc(bytes * (uint64_t)(p->ranks + 1)), *all = mine + p->blocks * p->count;
    if (!mine) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    ck_status status = to_host(cuda, mine, t->x, bytes);
    if (status == CK_OK) status = ck_all_gather(cuda->communicator, p, all, mine);
    if (status == CK_OK) status = to_device(cuda, t->y, all, bytes * (uint64_t)p->ranks);
    free(mine);
    return status;
}

ck_status ck_cuda_mean_over_ranks(ck_cuda_state *cuda, const ck_mean_over_ranks_operands *t,
                                  const ck_collective_params *p, void *workspace) {
    (void)workspace;
    CK_TRY(ck_check_ranks(cuda->communicator, p));
    size_t count = (size_t)(p->blocks * p->count);
    if (cuda->nccl)
        return check(cuda->driver->nccl_all_reduce(t->x, t->x, count, NCCL_FLOAT32, NCCL_AVERAGE, cuda->nccl,
                                                   cuda->stream),
                     "averaging");
    float *x = malloc(sizeof *x * count + ck_collective_scratch(p));
    if (!x) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    ck_status status = to_host(cuda, x, t->x, sizeof *x * count);
    if (status == CK_OK) status = ck_mean_over_ranks(cuda->communicator, p, x, x + count);
    if (status == CK_OK) status = to_device(cuda, t->x, x, sizeof *x * count);
    free(x);
    return status;
}

uint64_t ck_cuda_workspace_all_gather(const ck_collective_params *p) {
    (void)p;
    return 0;
}
uint64_t ck_cuda_workspace_mean_over_ranks(const ck_collective_params *p) {
    (void)p;
    return 0;
}
