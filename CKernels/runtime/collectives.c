// What ranks exchange, by the two functions of a communicator (CKernels.h). Sums have one order, that of the
// ranks, so that the same number of ranks gives the same bits on all of them.
#include "internal.h"
#include <string.h>

enum { CHUNK = 1 << 20 };  // values that are summed at once: bounds the scratch memory

ck_status ck_check_ranks(const ck_communicator *c, const ck_collective_params *p) {
    int ranks = c ? c->ranks : 1;
    if (ranks != p->ranks)
        return ck_fail(CK_INVALID_ARGUMENT, "the plan was made for %d ranks, and the device has %d", p->ranks,
                       ranks);
    return CK_OK;
}

ck_status ck_all_gather(const ck_communicator *c, const ck_collective_params *p, float *all,
                        const float *mine) {
    ck_status status = ck_check_ranks(c, p);
    for (int32_t block = 0; block < p->blocks && status == CK_OK; block++) {
        const float *from = mine + block * p->count;
        float *to = all + block * p->count * p->ranks;
        if (p->ranks == 1)
            memcpy(to, from, sizeof(float) * (uint64_t)p->count);
        else
            status = c->all_gather(c->context, from, to, sizeof(float) * (uint64_t)p->count);
    }
    return status;
}

// The values of a chunk that one rank adds up.
static int64_t part_of(const ck_collective_params *p) {
    return ck_ceil_div(ck_min64(CHUNK, p->blocks * p->count), p->ranks);
}

uint64_t ck_collective_scratch(const ck_collective_params *p) {
    return p->ranks == 1 ? 0 : sizeof(float) * (uint64_t)(2 * part_of(p) * p->ranks);
}

// A chunk is cut into a part for each rank, which gets all ranks' values of it, adds them up, and hands the
// mean out to all.
static ck_status mean_of_chunk(const ck_communicator *c, float *x, int64_t count, float *scratch) {
    int64_t part = ck_ceil_div(count, c->ranks);
    float *padded = scratch, *mine = padded + part * c->ranks;
    memcpy(padded, x, sizeof(float) * (uint64_t)count);
    memset(padded + count, 0, sizeof(float) * (uint64_t)(part * c->ranks - count));
    ck_status status = c->all_to_all(c->context, padded, mine, sizeof(float) * (uint64_t)part);
    if (status != CK_OK) return status;
    for (int64_t i = 0; i < part; i++) {
        double sum = 0;
        for (int32_t r = 0; r < c->ranks; r++) sum += mine[r * part + i];
        mine[i] = (float)(sum / c->ranks);
    }
    status = c->all_gather(c->context, mine, padded, sizeof(float) * (uint64_t)part);
    if (status == CK_OK) memcpy(x, padded, sizeof(float) * (uint64_t)count);
    return status;
}

ck_status ck_mean_over_ranks(const ck_communicator *c, const ck_collective_params *p, float *x,
                             float *scratch) {
    ck_status status = ck_check_ranks(c, p);
    int64_t count = p->ranks == 1 ? 0 : p->blocks * p->count;
    for (int64_t at = 0; at < count && status == CK_OK; at += CHUNK)
        status = mean_of_chunk(c, x + at, ck_min64(CHUNK, count - at), scratch);
    return status;
}
