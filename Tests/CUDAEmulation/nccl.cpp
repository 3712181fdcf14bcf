#include "nccl.h"
#include <chrono>
#include <cstring>
#include <map>

namespace emulation {

static const std::chrono::seconds patience(30);

ck_nccl_id nccl_group::name() {
    static std::mutex lock;
    static long last = 0;
    std::lock_guard<std::mutex> hold(lock);
    ck_nccl_id id = {};
    long number = ++last;
    std::memcpy(id.bytes, &number, sizeof number);
    return id;
}

nccl_group *nccl_group::join(int ranks, const ck_nccl_id &id, int rank) {
    static std::mutex lock;
    static std::map<long, meeting *> meetings;
    long number;
    std::memcpy(&number, id.bytes, sizeof number);
    if (number == 0 || rank < 0 || rank >= ranks) return nullptr;
    meeting *m;
    {
        std::lock_guard<std::mutex> hold(lock);
        meeting *&known = meetings[number];
        if (!known) {
            known = new meeting();
            known->calls.resize((size_t)ranks);
            known->is_here.resize((size_t)ranks);
        }
        m = known;
    }
    std::unique_lock<std::mutex> hold(m->lock);
    if ((int)m->calls.size() != ranks || m->is_here[(size_t)rank]) return nullptr;
    m->is_here[(size_t)rank] = true;
    m->joined++;
    m->changed.notify_all();
    if (!m->changed.wait_for(hold, patience, [&] { return m->joined == ranks; })) return nullptr;
    nccl_group *group = new nccl_group();
    group->shared = m;
    group->rank = rank;
    return group;
}

const char *nccl_group::meet(const call &mine) {
    meeting &m = *shared;
    std::unique_lock<std::mutex> hold(m.lock);
    m.calls[(size_t)rank] = mine;
    long before = m.done;
    if (++m.arrived == (int)m.calls.size()) {
        perform(m);
        m.arrived = 0;
        m.done++;
        m.changed.notify_all();
    } else if (!m.changed.wait_for(hold, patience, [&] { return m.done != before; })) {
        m.wrong = "NCCL: a rank makes a call that others do not make";
    }
    return m.wrong;
}

void nccl_group::perform(meeting &m) {
    const call &first = m.calls[0];
    for (const call &c : m.calls) {
        if (c.kind != first.kind || c.count != first.count || c.type != first.type ||
            c.operation != first.operation)
            m.wrong = "NCCL: ranks make different calls";
        if (c.type != 7) m.wrong = "NCCL: a type other than float32";
        if (c.kind == call::REDUCE && c.operation != 4) m.wrong = "NCCL: an operation other than the average";
    }
    if (m.wrong) return;
    size_t ranks = m.calls.size(), count = first.count;
    std::vector<float> result(first.kind == call::GATHER ? ranks * count : count);
    for (size_t r = 0; r < ranks; r++) {
        if (first.kind == call::GATHER)
            std::memcpy(&result[r * count], m.calls[r].from, sizeof(float) * count);
        else
            for (size_t i = 0; i < count; i++) result[i] += m.calls[r].from[i] / (float)ranks;
    }
    for (const call &c : m.calls) std::memcpy(c.to, result.data(), sizeof(float) * result.size());
}

}  // namespace emulation
