// Ranks' GPUs as threads of this process: what NCCL's documentation demands of a group is checked, that all
// ranks make the same calls, in the same order, with the same counts and types.
#ifndef NCCL_STAND_IN_H
#define NCCL_STAND_IN_H

#include "ck_cuda.h"
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

namespace emulation {

class nccl_group {
  public:
    // A group that no other has been called.
    static ck_nccl_id name();
    // Waits for the other ranks; NULL where they do not come, or do not fit.
    static nccl_group *join(int ranks, const ck_nccl_id &id, int rank);

    struct call {
        enum { GATHER, REDUCE } kind;
        size_t count;
        int type, operation;
        const float *from;
        float *to;
    };
    // Meets the other ranks' calls and does what they ask for; what is wrong, or NULL.
    const char *meet(const call &mine);
    // What the driver did for the last call.
    std::shared_ptr<void> last;

  private:
    // What the ranks of a group share.
    struct meeting {
        std::mutex lock;
        std::condition_variable changed;
        std::vector<call> calls;
        std::vector<bool> is_here;
        int arrived = 0, joined = 0;
        long done = 0;
        const char *wrong = nullptr;
    };
    static void perform(meeting &m);

    meeting *shared;
    int rank;
};

}  // namespace emulation

#endif
