// A block's threads take turns: each runs until it waits for its block or its warp, and then the next one
// goes on. One that has ended leaves its stack to the next that begins, so that a kernel without barriers
// runs on a single stack.
#include "scheduler.h"
#include <csetjmp>
#include <memory>
#include <numeric>
#include <random>
#include <ucontext.h>
#include <vector>

extern "C" const ck_emulation ck_emulation_default = {1, 4ull << 30, 1, 0, 0, nullptr, 0, 90, 0, 0, 0, 0};

namespace emulation {

__thread dimensions thread_index, block_index, block_size, grid_size;
thread_local ck_emulation settings = ck_emulation_default;
thread_local ck_emulation_counts counts;
thread_local const char *failure = nullptr;

namespace {

enum class state { ready, at_barrier, at_warp, at_warpgroup, done };

enum { STACK = 128 << 10, DECLARED = 48 << 10, GAP = 64, POISON = 0xFF, GUARD = 0xA5, ALIGNMENT = 1024 };

struct copy {
    void *to;
    const void *from;
    bool there;
    unsigned group;
};

struct stack {
    std::unique_ptr<char[]> memory{new char[STACK]};
    jmp_buf where;  // it goes on
    bool has_begun = false;
};

struct fiber {
    stack *on = nullptr;  // once it has begun, until its end
    state now = state::done;
    unsigned index = 0;
    size_t shared_at = 0;
    unsigned collectives = 0;
    std::vector<copy> copies;  // that no wait has seen
    unsigned group = 0;        // of the copies that are begun now
    bool hidden = false;       // copies have arrived, and wgmma does not see them yet
    std::vector<product> products;
    unsigned product_group = 0;
};

struct machine {
    std::vector<fiber> fibers;
    std::vector<std::unique_ptr<stack>> stacks;  // as many as fibers
    std::vector<stack *> idle;                   // those that no fiber is on
    std::vector<unsigned> order;                 // of the block's threads
    unsigned place = 0;                          // in that order, of who is next
    std::vector<unsigned char> memory =
        std::vector<unsigned char>(MOST_SHARED + 4096 + ALIGNMENT, (unsigned char)POISON);
    unsigned char *shared =
        memory.data() + (ALIGNMENT - (uintptr_t)memory.data() % ALIGNMENT) % ALIGNMENT;  // of a block
    size_t shared_size = MOST_SHARED + 4096;
    std::vector<std::pair<size_t, size_t>> used;  // of the shared memory, by the first thread to get there
    std::vector<shown> shown_by;                  // [2][threads]
    jmp_buf scheduler;
    fiber *current = nullptr;
    const std::function<void()> *kernel = nullptr;
    unsigned threads = 0;
};

thread_local machine here;

// The next thread, in the block's order, that does not wait; NULL where the round is over.
fiber *next_ready() {
    while (here.place < here.threads) {
        fiber *f = &here.fibers[here.order[here.place++]];
        if (f->now == state::ready) return f;
    }
    return nullptr;
}

void make_current(fiber *f, stack *on) {
    f->on = on;
    here.current = f;
    thread_index = {f->index, 0, 0};
}

void live();

// Leaves the running stack for a thread's, or at a round's end for the scheduler's.
[[noreturn]] void go_on(fiber *f) {
    if (!f) _longjmp(here.scheduler, 1);
    stack *s = f->on;
    if (!s) {
        s = here.idle.back();
        here.idle.pop_back();
    }
    make_current(f, s);
    if (s->has_begun) _longjmp(s->where, 1);
    s->has_begun = true;
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = s->memory.get();
    context.uc_stack.ss_size = STACK;
    context.uc_link = nullptr;
    makecontext(&context, live, 0);
    setcontext(&context);
    abort();
}

void give_way(state why) {
    here.current->now = why;
    if (_setjmp(here.current->on->where) == 0) go_on(next_ready());
}

// A stack's life: one thread after another, for every block of every launch.
void live() {
    for (;;) {
        (*here.kernel)();
        fiber *f = here.current;
        stack *s = f->on;
        f->now = state::done;
        f->on = nullptr;
        fiber *next = next_ready();
        if (next && !next->on) {
            make_current(next, s);
            continue;
        }
        here.idle.push_back(s);
        if (_setjmp(s->where) == 0) go_on(next);
    }
}

// Lets each thread that is ready run until it waits or ends.
void run_round() {
    here.place = 0;
    if (_setjmp(here.scheduler) == 0)
        if (fiber *first = next_ready()) go_on(first);
}

void check_shared() {
    for (size_t i = 0; i < here.used.size(); i++) {
        size_t end = here.used[i].first + here.used[i].second;
        for (size_t at = end; at < end + GAP; at++)
            if (here.shared[at] != GUARD) return fail("a block wrote beyond its shared memory");
    }
}

void run_block(std::mt19937_64 &random) {
    here.order.resize(here.threads);
    std::iota(here.order.begin(), here.order.end(), 0u);
    std::shuffle(here.order.begin(), here.order.end(), random);
    // What the block before has used; the rest is poison already.
    for (auto &range : here.used) std::memset(here.shared + range.first, POISON, range.second + GAP);
    here.used.clear();
    for (unsigned i = 0; i < here.threads; i++) {
        fiber &f = here.fibers[i];
        f.now = state::ready;
        f.index = i;
        f.shared_at = 0;
        f.collectives = 0;
        if (!f.copies.empty()) fail("a thread ended before its asynchronous copies");
        if (!f.products.empty()) fail("a thread ended before its products");
        f.products.clear();
        f.product_group = 0;
        f.copies.clear();
        f.group = 0;
    }
    for (;;) {
        run_round();
        unsigned done = 0, waiting = 0, released = 0;
        // Groups of `size` threads, of whom all have come to where they wait for each other.
        auto release = [&](unsigned size, state where) {
            for (unsigned first = 0; first < here.threads; first += size) {
                unsigned end = std::min(first + size, here.threads), ready = 0;
                for (unsigned i = first; i < end; i++) ready += here.fibers[i].now == where;
                if (ready != end - first) continue;
                for (unsigned i = first; i < end; i++) here.fibers[i].now = state::ready;
                released += ready;
            }
        };
        release(32, state::at_warp);
        release(128, state::at_warpgroup);
        if (released) continue;
        for (unsigned i = 0; i < here.threads; i++) {
            done += here.fibers[i].now == state::done;
            waiting += here.fibers[i].now == state::at_barrier;
        }
        if (done == here.threads) break;
        if (done + waiting != here.threads) {
            fail("a warp's lanes, or a warpgroup's threads, do not all reach where they wait for each other");
            // The threads that wait are given up: their stacks start afresh.
            for (fiber &f : here.fibers) f.on = nullptr;
            here.idle.clear();
            for (auto &s : here.stacks) {
                s->has_begun = false;
                here.idle.push_back(s.get());
            }
            return;
        }
        for (unsigned i = 0; i < here.threads; i++)
            if (here.fibers[i].now == state::at_barrier) here.fibers[i].now = state::ready;
    }
    check_shared();
}

}  // namespace

void fail(const char *text) {
    if (!failure) failure = text;
}

void *dynamic_shared_memory(size_t bytes) {
    if (bytes > MOST_SHARED) fail("a kernel wants more than 227 KiB of shared memory");
    if (here.current->shared_at != 0) fail("a kernel declares shared memory and asks for more");
    if (here.used.empty()) {
        here.used.push_back({0, bytes});
        std::memset(here.shared + bytes, GUARD, GAP);
    }
    return here.shared;
}

void *shared_memory(size_t bytes) {
    fiber *f = here.current;
    size_t at = f->shared_at;
    f->shared_at = (at + bytes + GAP + 63) / 64 * 64;
    if (at + bytes > DECLARED) {
        fail("a kernel wants more than 48 KiB of shared memory");
        return here.shared;
    }
    bool is_new = true;
    for (auto &range : here.used) is_new = is_new && range.first != at;
    if (is_new) {
        here.used.push_back({at, bytes});
        std::memset(here.shared + at + bytes, GUARD, GAP);
    }
    return here.shared + at;
}

void barrier() {
    if (!settings.drop_barriers) give_way(state::at_barrier);
}

void warpgroup_barrier() {
    if (!settings.drop_barriers) give_way(state::at_warpgroup);
}

const shown *exchange(const shown &mine) {
    fiber *f = here.current;
    shown *slots = here.shown_by.data() + (f->collectives++ % 2) * here.threads;
    slots[f->index] = mine;
    give_way(state::at_warp);
    return slots + f->index / 32 * 32;
}

void begin_copy(void *to, const void *from, bool there) {
    if ((uintptr_t)to % 16 != 0 || (there && (uintptr_t)from % 16 != 0))
        fail("cp.async of an address that is not aligned to 16 bytes");
    if (to < (void *)here.shared || to > (void *)(here.shared + here.shared_size - 16))
        fail("cp.async to elsewhere");
    std::memset(to, POISON, 16);
    here.current->copies.push_back({to, from, there, here.current->group});
}

void commit_copies() { here.current->group++; }

void wait_for_copies(unsigned left) {
    fiber *f = here.current;
    std::vector<copy> later;
    for (const copy &c : f->copies) {
        if (c.group + left >= f->group) {
            later.push_back(c);
        } else if (c.there) {
            std::memcpy(c.to, c.from, 16);
        } else {
            std::memset(c.to, 0, 16);
        }
    }
    f->copies.swap(later);
    f->hidden = true;
}

void show_to_wgmma() { here.current->hidden = false; }

void begin_product(product p) {
    fiber *f = here.current;
    if (f->hidden) fail("wgmma without a fence behind the asynchronous copies");
    f->products.push_back(std::move(p));
    f->products.back().group = f->product_group;
}

void commit_products() { here.current->product_group++; }

// One thread of a warp sums again, which takes as long as the first time.
void finish_products(unsigned left) {
    fiber *f = here.current;
    std::vector<product> later;
    for (product &p : f->products) {
        if (p.group + left >= f->product_group) {
            later.push_back(std::move(p));
            continue;
        }
        if (p.sum) {
            std::vector<float> now(p.sums.size());
            p.sum(now.data());
            if (std::memcmp(now.data(), p.sums.data(), now.size() * sizeof(float)) != 0)
                fail("shared memory changed while wgmma read it");
        }
        for (size_t i = 0; i < p.sums.size(); i++) p.to[i] += p.sums[i];
    }
    f->products.swap(later);
}

void run_grid(dimensions grid, dimensions block, const std::function<void()> &kernel) {
    counts.launches++;
    here.kernel = &kernel;
    here.threads = block.x * block.y * block.z;
    while (here.fibers.size() < here.threads) {
        here.fibers.emplace_back();
        here.stacks.emplace_back(new stack());
        here.idle.push_back(here.stacks.back().get());
    }
    here.shown_by.assign(2 * here.threads, shown{});
    block_size = block;
    grid_size = grid;
    uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
    std::vector<uint64_t> order(blocks);
    std::iota(order.begin(), order.end(), 0u);
    if (settings.drop_last_block) order.pop_back();
    std::mt19937_64 random(settings.seed + (uint64_t)counts.launches);
    std::shuffle(order.begin(), order.end(), random);
    for (uint64_t i : order) {
        block_index = {(unsigned)(i % grid.x), (unsigned)(i / grid.x % grid.y),
                       (unsigned)(i / grid.x / grid.y)};
        run_block(random);
        if (failure) return;
    }
}

}  // namespace emulation

extern "C" void ck_emulation_set(const ck_emulation *emulation) { emulation::settings = *emulation; }
extern "C" ck_emulation_counts ck_emulation_count(void) { return emulation::counts; }
extern "C" void ck_emulation_reset_counts(void) { emulation::counts = {}; }
