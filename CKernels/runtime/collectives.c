// What ranks exchange, by the functions of a communicator (CKernels.h). Sums have one order, that of the
// ranks, so that the same number of ranks gives the same bits on all of them, at once or begun early.
#include "internal.h"
#include <stdlib.h>
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

// Values with zeros behind them, as many as fill the ranks' parts.
static void pad(float *padded, const float *x, int64_t count, int64_t part, int32_t ranks) {
    memcpy(padded, x, sizeof(float) * (uint64_t)count);
    memset(padded + count, 0, sizeof(float) * (uint64_t)(part * ranks - count));
}

// The means of a part, of which all ranks' values are there, in the place of the first one's.
static void average(float *parts, int64_t part, int32_t ranks) {
    for (int64_t i = 0; i < part; i++) {
        double sum = 0;
        for (int32_t r = 0; r < ranks; r++) sum += parts[r * part + i];
        parts[i] = (float)(sum / ranks);
    }
}

// A chunk is cut into a part for each rank, which gets all ranks' values of it, adds them up, and hands the
// mean out to all.
static ck_status mean_of_chunk(const ck_communicator *c, float *x, int64_t count, float *scratch) {
    int64_t part = ck_ceil_div(count, c->ranks);
    float *padded = scratch, *mine = padded + part * c->ranks;
    pad(padded, x, count, part, c->ranks);
    ck_status status = c->all_to_all(c->context, padded, mine, sizeof(float) * (uint64_t)part);
    if (status != CK_OK) return status;
    average(mine, part, c->ranks);
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

// ---- Begun early ------------------------------------------------------------------------------------------

ck_status ck_begin_mean(const ck_communicator *c, ck_begun_means *begun, const ck_collective_params *p,
                        float *x, float *parts) {
    ck_status status = ck_check_ranks(c, p);
    if (status != CK_OK || p->ranks == 1) return status;
    if (!parts) return ck_fail(CK_INVALID_ARGUMENT, "on the host a mean that is begun needs its parts");
    // What takes no time is done; `parts` is at least as large as the scratch memory of a chunk.
    if (!c->begin_all_to_all) return ck_mean_over_ranks(c, p, x, parts);
    if (begun->count == begun->capacity) {
        int32_t capacity = 2 * begun->capacity + 8;
        ck_begun_mean *all = realloc(begun->all, sizeof *all * (size_t)capacity);
        if (!all) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
        begun->all = all;
        begun->capacity = capacity;
    }
    int64_t count = p->blocks * p->count, part = ck_ceil_div(count, p->ranks);
    ck_begun_mean mean = {.x = x, .sent = parts, .received = parts + part * p->ranks, .count = count};
    pad(mean.sent, x, count, part, p->ranks);
    status = c->begin_all_to_all(c->context, mean.sent, mean.received, sizeof(float) * (uint64_t)part,
                                 &mean.request);
    if (status == CK_OK) begun->all[begun->count++] = mean;
    return status;
}

// Adds up the part that this rank has from all, and begins to hand it out.
static ck_status hand_out(const ck_communicator *c, ck_begun_mean *mean) {
    int64_t part = ck_ceil_div(mean->count, c->ranks);
    average(mean->received, part, c->ranks);
    mean->is_summed = 1;
    return c->begin_all_gather(c->context, mean->received, mean->sent, sizeof(float) * (uint64_t)part,
                               &mean->request);
}

// Takes the first `count` to their sums; where it does not wait, as many as have their parts. In order: that
// of the sums' requests is the same on all ranks.
static ck_status add_up(const ck_communicator *c, ck_begun_means *begun, int32_t count, int waits) {
    for (int32_t i = 0; i < count; i++) {
        ck_begun_mean *mean = &begun->all[i];
        if (mean->is_summed) continue;
        int is_done = 0;
        ck_status status = c->finish(c->context, &mean->request, waits, &is_done);
        if (status == CK_OK && is_done) status = hand_out(c, mean);
        if (status != CK_OK || !is_done) return status;
    }
    return CK_OK;
}

ck_status ck_advance_means(const ck_communicator *c, ck_begun_means *begun) {
    return add_up(c, begun, begun->count, 0);
}

ck_status ck_finish_mean(const ck_communicator *c, ck_begun_means *begun, const ck_collective_params *p,
                         float *x) {
    ck_status status = ck_check_ranks(c, p);
    if (status != CK_OK || p->ranks == 1 || !c->begin_all_to_all) return status;
    if (begun->count == 0 || begun->all[0].x != x)
        return ck_fail(CK_INVALID_ARGUMENT, "a mean over ranks is finished that was not begun first");
    // Those behind it come along as far as they are.
    status = add_up(c, begun, 1, 1);
    if (status == CK_OK) status = ck_advance_means(c, begun);
    int is_done = 0;
    if (status == CK_OK) status = c->finish(c->context, &begun->all[0].request, 1, &is_done);
    if (status != CK_OK) return status;
    memcpy(x, begun->all[0].sent, sizeof(float) * (uint64_t)begun->all[0].count);
    memmove(begun->all, begun->all + 1, sizeof *begun->all * (size_t)--begun->count);
    return CK_OK;
}
