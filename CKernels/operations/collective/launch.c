// Exchanges between ranks: by NCCL on the stream, or where it is missing through the host, which waits. What
// is begun early goes to a second stream, which leaves the first at an event and comes back at another, in a
// graph too. Both streams use one group: NCCL does what a group is asked for one after another, in the order
// in which it is asked, on whatever streams; two groups at a time may wait for each other forever ("Using
// multiple NCCL communicators concurrently" in NCCL's user guide).
#include "cuda.h"
#include <stdlib.h>

// ncclDataType_t, ncclRedOp_t
enum { NCCL_FLOAT32 = 7, NCCL_AVERAGE = 4 };
// CUstream_flags, CUevent_flags
enum { STREAM_NON_BLOCKING = 1, EVENT_DISABLE_TIMING = 2 };

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
    if (status != CK_OK || !cuda->nccl) return status;
    CK_TRY(ck_cuda_check(d, d->stream_create(&cuda->exchanges, STREAM_NON_BLOCKING), "making a stream"));
    CK_TRY(ck_cuda_check(d, d->event_create(&cuda->forked, EVENT_DISABLE_TIMING), "making an event"));
    return ck_cuda_check(d, d->event_create(&cuda->joined, EVENT_DISABLE_TIMING), "making an event");
}

void ck_cuda_leave(ck_cuda_state *cuda) {
    const ck_cuda_driver *d = cuda->driver;
    if (cuda->exchanges) d->stream_synchronize(cuda->exchanges);
    if (cuda->nccl) d->nccl_leave(cuda->nccl);
    if (cuda->exchanges) d->stream_destroy(cuda->exchanges);
    if (cuda->forked) d->event_destroy(cuda->forked);
    if (cuda->joined) d->event_destroy(cuda->joined);
    cuda->nccl = cuda->exchanges = cuda->forked = cuda->joined = NULL;
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

static ck_status average(ck_cuda_state *cuda, float *x, const ck_collective_params *p, ck_cu_stream stream) {
    return check(cuda->driver->nccl_all_reduce(x, x, (size_t)(p->blocks * p->count), NCCL_FLOAT32,
                                               NCCL_AVERAGE, cuda->nccl, stream),
                 "averaging");
}

static ck_status average_by_host(ck_cuda_state *cuda, float *values, const ck_collective_params *p) {
    size_t count = (size_t)(p->blocks * p->count);
    float *x = malloc(sizeof *x * count + ck_collective_scratch(p));
    if (!x) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    ck_status status = to_host(cuda, x, values, sizeof *x * count);
    if (status == CK_OK) status = ck_mean_over_ranks(cuda->communicator, p, x, x + count);
    if (status == CK_OK) status = to_device(cuda, values, x, sizeof *x * count);
    free(x);
    return status;
}

ck_status ck_cuda_mean_over_ranks(ck_cuda_state *cuda, const ck_mean_over_ranks_operands *t,
                                  const ck_collective_params *p, void *workspace) {
    (void)workspace;
    CK_TRY(ck_check_ranks(cuda->communicator, p));
    return cuda->nccl ? average(cuda, t->x, p, cuda->stream) : average_by_host(cuda, t->x, p);
}

ck_status ck_cuda_begin_mean_over_ranks(ck_cuda_state *cuda, const ck_begin_mean_over_ranks_operands *t,
                                        const ck_collective_params *p, void *workspace) {
    (void)workspace;
    const ck_cuda_driver *d = cuda->driver;
    CK_TRY(ck_check_ranks(cuda->communicator, p));
    if (!cuda->nccl) return average_by_host(cuda, t->x, p);
    CK_TRY(ck_cuda_check(d, d->event_record(cuda->forked, cuda->stream), "recording an event"));
    CK_TRY(ck_cuda_check(d, d->stream_wait(cuda->exchanges, cuda->forked, 0), "leaving the stream"));
    return average(cuda, t->x, p, cuda->exchanges);
}

ck_status ck_cuda_finish_mean_over_ranks(ck_cuda_state *cuda, const ck_finish_mean_over_ranks_operands *t,
                                         const ck_collective_params *p, void *workspace) {
    (void)workspace;
    (void)t;
    const ck_cuda_driver *d = cuda->driver;
    CK_TRY(ck_check_ranks(cuda->communicator, p));
    if (!cuda->nccl) return CK_OK;
    // The last means that were begun come along with the first.
    CK_TRY(ck_cuda_check(d, d->event_record(cuda->joined, cuda->exchanges), "recording an event"));
    return ck_cuda_check(d, d->stream_wait(cuda->stream, cuda->joined, 0), "coming back to the stream");
}

uint64_t ck_cuda_workspace_all_gather(const ck_collective_params *p) {
    (void)p;
    return 0;
}
uint64_t ck_cuda_workspace_mean_over_ranks(const ck_collective_params *p) {
    (void)p;
    return 0;
}
