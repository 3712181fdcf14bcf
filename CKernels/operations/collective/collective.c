// Exchanges between ranks (runtime/collectives.c has what they do).
#include "cpu.h"

ck_status ck_cpu_all_gather(const ck_all_gather_operands *t, const ck_collective_params *p, void *workspace) {
    (void)workspace;
    return ck_all_gather(ck_cpu_communicator(), p, t->y, t->x);
}

ck_status ck_cpu_mean_over_ranks(const ck_mean_over_ranks_operands *t, const ck_collective_params *p,
                                 void *workspace) {
    return ck_mean_over_ranks(ck_cpu_communicator(), p, t->x, workspace);
}

ck_status ck_cpu_begin_mean_over_ranks(const ck_begin_mean_over_ranks_operands *t,
                                       const ck_collective_params *p, void *workspace) {
    (void)workspace;
    return ck_begin_mean(ck_cpu_communicator(), ck_cpu_begun_means(), p, t->x, t->parts);
}

ck_status ck_cpu_finish_mean_over_ranks(const ck_finish_mean_over_ranks_operands *t,
                                        const ck_collective_params *p, void *workspace) {
    (void)workspace;
    return ck_finish_mean(ck_cpu_communicator(), ck_cpu_begun_means(), p, t->x);
}

uint64_t ck_cpu_workspace_all_gather(const ck_collective_params *p) {
    (void)p;
    return 0;
}
uint64_t ck_cpu_workspace_mean_over_ranks(const ck_collective_params *p) { return ck_collective_scratch(p); }
