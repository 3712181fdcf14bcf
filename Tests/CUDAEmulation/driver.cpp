// The table of driver functions: memory is the host's, a stream is a list of things to do, which may wait for
// things on other streams, a graph is such things that are kept.
#include "kernels.h"
#include "nccl.h"
#include "scheduler.h"
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace emulation;

enum {
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    LAUNCH_FAILED = 719,
    UNSUPPORTED_IN_CAPTURE = 900,
    INVALID_CAPTURE = 901,
    UNJOINED_CAPTURE = 904,
    ISOLATED_CAPTURE = 905
};

typedef std::function<void()> action;

// A thing to do, when those before it are done.
struct node {
    action what;
    std::vector<std::shared_ptr<node>> after;
    struct stream *of;
    std::shared_ptr<struct recording> part_of;  // of this graph, and so never done itself; or NULL
    bool is_done = false;
};
typedef std::shared_ptr<node> node_ref;

// A graph while it is recorded: what comes onto its streams, each thing after those that it waits for.
struct recording {
    std::vector<node_ref> nodes;
    std::vector<struct stream *> streams;  // the first is the one that it begins on
};

struct stream {
    std::deque<node_ref> waiting;
    node_ref last;                // that was put on it
    std::vector<node_ref> after;  // what the next thing waits for besides
    std::shared_ptr<recording> records;
    // Any stream but a device's first. What is on it comes as early as it may, or with an even seed as late:
    // an event that is not waited for shows in one of them.
    bool is_second;
};

struct graph {
    std::vector<node_ref> nodes;
    stream *origin;
};
struct module {
    std::string source;
};
struct program {
    std::string name, cubin, log;
};

thread_local uint64_t allocated = 0;
thread_local int capturing =
    0;  // streams of which a graph is recorded: there is no memory to be had meanwhile
thread_local std::map<std::string, int64_t> launched;

thread_local int streams = 0;  // of the device that was opened last
thread_local std::vector<stream *> seconds;
thread_local int exchanging = 0;  // exchanges on a second stream that no other has waited for

void run_until(const node_ref &end);

void perform(const node_ref &n) {
    for (const node_ref &before : n->after)
        if (!failure) run_until(before);
    if (!failure) n->what();
    n->is_done = true;
    n->after.clear();
    n->what = nullptr;
}

bool comes_early() { return settings.seed & 1; }

// Does what is next on the second streams and has nothing left to wait for.
void get_ahead() {
    for (stream *s : seconds)
        while (!failure && !s->waiting.empty()) {
            node_ref next = s->waiting.front();
            for (const node_ref &before : next->after)
                if (!before->is_done) next = nullptr;
            if (!next) break;
            s->waiting.pop_front();
            perform(next);
        }
}

// Does what is on a node's stream up to the node.
void run_until(const node_ref &end) {
    while (!end->is_done && !failure) {
        if (end->of->waiting.empty()) return fail("an event is waited for that never comes");
        node_ref next = end->of->waiting.front();
        end->of->waiting.pop_front();
        perform(next);
        if (comes_early()) get_ahead();
    }
}

// Puts a thing on a stream, or into the graph that is recorded of it; `before` is one more that it waits for,
// or NULL.
node_ref place(stream *s, action what, const node_ref &before = nullptr) {
    node_ref n(new node{std::move(what), std::move(s->after), s, s->records});
    s->after.clear();
    if (before) n->after.push_back(before);
    if (s->records) {
        if (s->last && s->last->part_of == s->records) n->after.push_back(s->last);
        s->records->nodes.push_back(n);
        s->last = n;
        return n;
    }
    s->last = n;
    s->waiting.push_back(n);
    if (s->is_second && comes_early()) get_ahead();
    return n;
}

int enqueue(ck_cu_stream handle, action what) {
    place((stream *)handle, std::move(what));
    return 0;
}

int drain(stream *s) {
    while (!failure && !s->waiting.empty()) run_until(s->waiting.back());
    if (failure) s->waiting.clear();
    return failure ? LAUNCH_FAILED : 0;
}

int init(unsigned) { return 0; }
int driver_version(int *version) { return *version = 13000, 0; }
int device_count(int *count) { return *count = settings.devices, 0; }
int device_get(ck_cu_device *device, int ordinal) { return *device = ordinal, 0; }
int device_name(char *name, int length, ck_cu_device) {
    std::strncpy(name, "Emulated GPU", (size_t)length);
    return 0;
}
int device_attribute(int *value, int attribute, ck_cu_device) {
    *value = attribute == 75 ? settings.architecture / 10 : attribute == 76 ? settings.architecture % 10 : 0;
    return 0;
}
int context_retain(ck_cu_context *context, ck_cu_device device) {
    *context = (void *)(uintptr_t)(device + 1);
    failure = nullptr;
    streams = exchanging = 0;
    seconds.clear();
    return 0;
}
int context_release(ck_cu_device) { return 0; }
int context_set(ck_cu_context context) { return context ? 0 : INVALID_VALUE; }
int memory_info(size_t *available, size_t *total) {
    *total = settings.memory;
    *available = settings.memory > allocated ? settings.memory - allocated : 0;
    return 0;
}
// Every block is preceded by its size; its content is no number until somebody writes it.
int memory_allocate(ck_cu_pointer *pointer, size_t bytes) {
    if (capturing) return UNSUPPORTED_IN_CAPTURE;
    if (allocated + bytes > settings.memory) return OUT_OF_MEMORY;
    void *memory = nullptr;
    if (posix_memalign(&memory, 256, bytes + 256) != 0) return OUT_OF_MEMORY;
    std::memset(memory, 0xFF, bytes + 256);
    *(uint64_t *)memory = bytes;
    allocated += bytes;
    *pointer = (ck_cu_pointer)(uintptr_t)((char *)memory + 256);
    return 0;
}
int memory_free(ck_cu_pointer pointer) {
    if (capturing) return UNSUPPORTED_IN_CAPTURE;
    char *memory = (char *)(uintptr_t)pointer - 256;
    uint64_t bytes = *(uint64_t *)memory;
    allocated -= bytes < allocated ? bytes : allocated;
    std::free(memory);
    return 0;
}
int copy_to_device(ck_cu_pointer to, const void *from, size_t bytes, ck_cu_stream s) {
    std::vector<char> staged((const char *)from, (const char *)from + bytes);
    return enqueue(s, [to, staged] { std::memcpy((void *)(uintptr_t)to, staged.data(), staged.size()); });
}
int copy_to_host(void *to, ck_cu_pointer from, size_t bytes, ck_cu_stream s) {
    return enqueue(s, [=] { std::memcpy(to, (void *)(uintptr_t)from, bytes); });
}
int fill_bytes(ck_cu_pointer to, unsigned char value, size_t bytes, ck_cu_stream s) {
    return enqueue(s, [=] { std::memset((void *)(uintptr_t)to, value, bytes); });
}

int stream_create(ck_cu_stream *result, unsigned) {
    stream *s = new stream();
    s->is_second = streams++ > 0;
    if (s->is_second) seconds.push_back(s);
    return *result = s, 0;
}
int stream_destroy(ck_cu_stream s) {
    seconds.erase(std::remove(seconds.begin(), seconds.end(), (stream *)s), seconds.end());
    return delete (stream *)s, 0;
}
int stream_synchronize(ck_cu_stream handle) {
    stream *s = (stream *)handle;
    return s->records ? INVALID_CAPTURE : drain(s);
}
int capture_begin(ck_cu_stream handle, int) {
    stream *s = (stream *)handle;
    if (s->records) return INVALID_CAPTURE;
    s->records.reset(new recording());
    s->records->streams.push_back(s);
    capturing++;
    return 0;
}

// Whether a thing is behind another one, or is it.
bool is_behind(const node_ref &n, const node_ref &other, std::map<const node *, bool> &known) {
    if (n == other) return true;
    auto found = known.find(n.get());
    if (found != known.end()) return found->second;
    bool &result = known[n.get()];
    for (size_t i = 0; i < n->after.size() && !result; i++) result = is_behind(n->after[i], other, known);
    return result;
}

int capture_end(ck_cu_stream handle, ck_cu_graph *result) {
    stream *s = (stream *)handle;
    if (!s->records || s->records->streams[0] != s) return INVALID_CAPTURE;
    std::shared_ptr<recording> r = s->records;
    // The end of the graph; what has left the stream has come back by then.
    node_ref end = place(s, [] {});
    bool is_joined = true;
    for (stream *other : r->streams) {
        std::map<const node *, bool> known;
        is_joined = is_joined && other->after.empty() && is_behind(end, other->last, known);
        other->records = nullptr;
        other->last = nullptr;
        other->after.clear();
    }
    capturing--;
    if (is_joined) *result = new graph{r->nodes, s};
    r->nodes.clear();
    return is_joined ? 0 : UNJOINED_CAPTURE;
}
int graph_instantiate(ck_cu_graph_exec *exec, ck_cu_graph g, unsigned long long) {
    if (settings.makes_no_graphs) return OUT_OF_MEMORY;
    return *exec = new graph(*(graph *)g), 0;
}

// Does a graph's things one after another, each when those before it are done.
void replay(const graph &g) {
    bool is_early = comes_early();
    std::map<const node *, int> missing;
    std::map<const node *, std::vector<node_ref>> behind;
    std::deque<node_ref> ready[2];  // on the first stream, and on others
    auto get_ready = [&](const node_ref &n) { ready[n->of != g.origin].push_back(n); };
    for (const node_ref &n : g.nodes) {
        missing[n.get()] = (int)n->after.size();
        for (const node_ref &before : n->after) behind[before.get()].push_back(n);
        if (n->after.empty()) get_ready(n);
    }
    while (!failure && (!ready[0].empty() || !ready[1].empty())) {
        std::deque<node_ref> &from = ready[ready[is_early].empty() ? !is_early : is_early];
        node_ref n = from.front();
        from.pop_front();
        n->what();
        for (const node_ref &b : behind[n.get()])
            if (--missing[b.get()] == 0) get_ready(b);
    }
}

int graph_launch(ck_cu_graph_exec exec, ck_cu_stream s) {
    counts.graph_launches++;
    graph g = *(graph *)exec;
    return enqueue(s, [g] { replay(g); });
}
int graph_exec_destroy(ck_cu_graph_exec exec) { return delete (graph *)exec, 0; }
int graph_destroy(ck_cu_graph g) { return delete (graph *)g, 0; }

const char *const heading = "emulated machine code of ";

int module_load(ck_cu_module *result, const void *image) {
    if (capturing) return UNSUPPORTED_IN_CAPTURE;
    if (std::strncmp((const char *)image, heading, std::strlen(heading)) != 0) return INVALID_VALUE;
    std::string text = (const char *)image + std::strlen(heading);
    *result = new module{text.substr(0, text.find('.'))};
    return 0;
}
int module_unload(ck_cu_module m) { return delete (module *)m, 0; }
int module_function(ck_cu_function *function, ck_cu_module m, const char *name) {
    *function = (void *)find_kernel(((module *)m)->source, name);
    return *function ? 0 : 500;
}
int function_set(ck_cu_function, int attribute, int bytes) {
    return attribute == 8 && bytes > 0 && bytes <= MOST_SHARED ? 0 : INVALID_VALUE;
}
// The kernel that fails, where one is to.
bool is_faulty(const kernel *k) {
    return settings.faulty_kernel && std::strcmp(settings.faulty_kernel, k->name) == 0;
}

int launch(ck_cu_function function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
           unsigned bz, unsigned shared, ck_cu_stream s, void **arguments, void **) {
    if (gx == 0 || gy == 0 || gz == 0 || bx * by * bz > 1024 || bx * by * bz == 0) return INVALID_VALUE;
    if (shared > MOST_SHARED) return INVALID_VALUE;
    launched[((const kernel *)function)->name]++;
    if (exchanging > 0) counts.launches_beside++;
    if (settings.only_note) return 0;
    if (is_faulty((const kernel *)function))
        return enqueue(s, [] { fail("an illegal memory access was encountered"); });
    action thread = ((const kernel *)function)->bind(arguments);
    return enqueue(s, [=] { run_grid({gx, gy, gz}, {bx, by, bz}, thread); });
}
// An event notes the time when the stream comes to it.
struct event {
    std::chrono::steady_clock::time_point time;
    node_ref where;
};
int event_create(ck_cu_event *e, unsigned) { return *e = new event(), 0; }
int event_record(ck_cu_event handle, ck_cu_stream s) {
    event *e = (event *)handle;
    e->where = place((stream *)s, [e] { e->time = std::chrono::steady_clock::now(); });
    return 0;
}
int stream_wait(ck_cu_stream handle, ck_cu_event event_handle, unsigned) {
    stream *s = (stream *)handle;
    node_ref where = ((event *)event_handle)->where;
    if (!where || settings.drop_waits == (s->is_second ? 1 : 2)) return 0;
    if (s->records != where->part_of) {
        // What waits for something that is recorded is recorded too.
        if (s->records) return ISOLATED_CAPTURE;
        s->records = where->part_of;
        s->records->streams.push_back(s);
        s->last = nullptr;
    }
    if (where->of->is_second && !s->is_second) exchanging = 0;
    s->after.push_back(where);
    return 0;
}
int event_elapsed(float *milliseconds, ck_cu_event start, ck_cu_event end) {
    *milliseconds =
        std::chrono::duration<float, std::milli>(((event *)end)->time - ((event *)start)->time).count();
    return 0;
}
int event_destroy(ck_cu_event e) { return delete (event *)e, 0; }
int error_string(ck_cu_result error, const char **text) {
    *text = error == LAUNCH_FAILED && failure ? failure : "an emulated error";
    return 0;
}

// ---- The compiler: takes the sources it was built from, and gives their names back ------------------------

int nvrtc_version(int *major, int *minor) { return *major = 13, *minor = 0, 0; }
int program_create(ck_nvrtc_program *p, const char *, const char *name, int, const char *const *,
                   const char *const *) {
    *p = new program{name, "", ""};
    return 0;
}
int program_compile(ck_nvrtc_program handle, int options, const char *const *option) {
    program *p = (program *)handle;
    counts.compilations++;
    for (int i = 0; i < options; i++)
        if (std::string(option[i]) == "--gpu-architecture=sm_1") {
            p->log = "error: sm_1 is no architecture";
            return 5;
        }
    p->cubin = heading + p->name + "\n" + kernel_names(p->name.substr(0, p->name.find('.')));
    p->cubin.push_back(0);
    return 0;
}
int program_log_size(ck_nvrtc_program p, size_t *bytes) { return *bytes = ((program *)p)->log.size() + 1, 0; }
int program_log(ck_nvrtc_program p, char *log) { return std::strcpy(log, ((program *)p)->log.c_str()), 0; }
int program_cubin_size(ck_nvrtc_program p, size_t *bytes) { return *bytes = ((program *)p)->cubin.size(), 0; }
int program_cubin(ck_nvrtc_program p, char *to) {
    std::memcpy(to, ((program *)p)->cubin.data(), ((program *)p)->cubin.size());
    return 0;
}
int program_destroy(ck_nvrtc_program *p) { return delete (program *)*p, 0; }

// ---- cuBLASLt: column-major products in single precision --------------------------------------------------

struct matmul_desc {
    int compute, transpose_a = 0, transpose_b = 0, epilogue = 1;
    const float *bias = nullptr;
};
struct layout {
    int64_t rows, columns, leading;
};

int lt_create(ck_lt_handle *handle) { return *handle = (void *)1, 0; }
int lt_destroy(ck_lt_handle) { return 0; }
int lt_desc_create(ck_lt_desc *desc, int compute, int) { return *desc = new matmul_desc{compute}, 0; }
int lt_desc_set(ck_lt_desc handle, int attribute, const void *value, size_t bytes) {
    matmul_desc *d = (matmul_desc *)handle;
    void *to = attribute == 3   ? &d->transpose_a
               : attribute == 4 ? &d->transpose_b
               : attribute == 7 ? &d->epilogue
                                : nullptr;
    if (attribute == 8) to = &d->bias;
    if (!to || bytes != (attribute == 8 ? sizeof(void *) : sizeof(int))) return 7;
    std::memcpy(to, value, bytes);
    return 0;
}
int lt_desc_destroy(ck_lt_desc d) { return delete (matmul_desc *)d, 0; }
int lt_layout_create(ck_lt_layout *l, int, uint64_t rows, uint64_t columns, int64_t leading) {
    if (leading < (int64_t)rows) return 7;
    *l = new layout{(int64_t)rows, (int64_t)columns, leading};
    return 0;
}
int lt_layout_destroy(ck_lt_layout l) { return delete (layout *)l, 0; }
int lt_preference_create(ck_lt_preference *p) { return *p = (void *)1, 0; }
int lt_preference_set(ck_lt_preference, int, const void *, size_t) { return 0; }
int lt_preference_destroy(ck_lt_preference) { return 0; }
int lt_heuristic(ck_lt_handle, ck_lt_desc desc, ck_lt_layout, ck_lt_layout, ck_lt_layout, ck_lt_layout,
                 ck_lt_preference, int wanted, ck_lt_heuristic *results, int *found) {
    *found = 0;
    if (settings.lacks_bias && ((matmul_desc *)desc)->epilogue == 4)
        return 15;  // CUBLAS_STATUS_NOT_SUPPORTED
    std::memset(results, 0, sizeof *results * (size_t)wanted);
    for (; *found < wanted; ++*found) results[*found].algorithm.data[0] = (uint64_t)*found;
    return 0;
}

// A factor as the matrix units would read it.
float rounded(float x, int compute) {
    return compute == 77 ? to_float(ck_round_tf32(x)) : compute == 75 ? to_float(ck_round_bf16(x) << 16) : x;
}

int lt_matmul(ck_lt_handle, ck_lt_desc desc, const void *alpha, const void *a, ck_lt_layout a_layout,
              const void *b, ck_lt_layout b_layout, const void *beta, const void *c, ck_lt_layout c_layout,
              void *d, ck_lt_layout d_layout, const ck_lt_algorithm *algorithm, void *, size_t,
              ck_cu_stream s) {
    if (algorithm->data[0] < (uint64_t)settings.failing_algorithms)
        return 13;  // CUBLAS_STATUS_EXECUTION_FAILED
    matmul_desc op = *(matmul_desc *)desc;
    layout la = *(layout *)a_layout, lb = *(layout *)b_layout, lc = *(layout *)c_layout,
           ld = *(layout *)d_layout;
    int64_t m = ld.rows, n = ld.columns, k = op.transpose_a ? la.rows : la.columns;
    if ((op.transpose_a ? la.columns : la.rows) != m || (op.transpose_b ? lb.rows : lb.columns) != n ||
        (op.transpose_b ? lb.columns : lb.rows) != k)
        return 7;
    float times = *(const float *)alpha, before = *(const float *)beta;
    counts.products++;
    return enqueue(s, [=] {
        const float *x = (const float *)a, *y = (const float *)b, *old = (const float *)c;
        std::vector<float> fa((size_t)(m * k)), fb((size_t)(n * k));
        for (int64_t i = 0; i < m; i++)
            for (int64_t l = 0; l < k; l++)
                fa[(size_t)(i * k + l)] =
                    rounded(op.transpose_a ? x[l + i * la.leading] : x[i + l * la.leading], op.compute);
        for (int64_t j = 0; j < n; j++)
            for (int64_t l = 0; l < k; l++)
                fb[(size_t)(j * k + l)] =
                    rounded(op.transpose_b ? y[j + l * lb.leading] : y[l + j * lb.leading], op.compute);
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < m; i++) {
                double sum = 0;
                for (int64_t l = 0; l < k; l++)
                    sum += (double)fa[(size_t)(i * k + l)] * fb[(size_t)(j * k + l)];
                float value = (float)(times * sum);
                if (before != 0) value += before * old[i + j * lc.leading];
                if (op.epilogue == 4) value += op.bias[i];
                ((float *)d)[i + j * ld.leading] = value;
            }
    });
}

// ---- NCCL -------------------------------------------------------------------------------------------------

int nccl_version(int *version) { return *version = 22703, 0; }
int nccl_unique_id(ck_nccl_id *id) { return *id = nccl_group::name(), 0; }
int nccl_join(ck_nccl_group *group, int ranks, ck_nccl_id id, int rank) {
    return (*group = nccl_group::join(ranks, id, rank)) ? 0 : 4;  // ncclInvalidArgument
}
int nccl_leave(ck_nccl_group group) { return delete (nccl_group *)group, 0; }

// What a group is asked for comes in the order in which it is asked for it, on whatever streams.
int meet(ck_nccl_group handle, const nccl_group::call &call, ck_cu_stream stream_handle) {
    nccl_group *group = (nccl_group *)handle;
    stream *s = (stream *)stream_handle;
    if (!group || !call.from || !call.to) return 4;
    counts.exchanges++;
    if (s->is_second) counts.exchanges_beside++, exchanging++;
    std::shared_ptr<node> before = std::static_pointer_cast<node>(group->last);
    if (before && before->part_of != s->records) before = nullptr;
    group->last = place(
        s,
        [=] {
            if (const char *wrong = group->meet(call)) fail(wrong);
        },
        before);
    return 0;
}
int nccl_all_gather(const void *from, void *to, size_t count, int type, ck_nccl_group group, ck_cu_stream s) {
    return meet(group, {nccl_group::call::GATHER, count, type, 0, (const float *)from, (float *)to}, s);
}
int nccl_all_reduce(const void *from, void *to, size_t count, int type, int operation, ck_nccl_group group,
                    ck_cu_stream s) {
    return meet(group, {nccl_group::call::REDUCE, count, type, operation, (const float *)from, (float *)to},
                s);
}

// The table, with NCCL or as on a machine that lacks it.
ck_cuda_driver *make_driver(bool has_nccl) {
    ck_cuda_driver *d = new ck_cuda_driver();
#define FILL(library, field, symbol, parameters) d->field = field;
    CK_CUDA_FUNCTIONS(FILL)
#undef FILL
    for (auto &library : d->libraries) std::strcpy(library.path, "emulated"), library.version = -1;
    if (!has_nccl) std::strcpy(d->libraries[CK_LIBRARY_nccl].reason, "libnccl.so.2 was not found");
    d->cache_folder = "";
    return d;
}

}  // namespace

extern "C" int64_t ck_emulation_launches(const char *kernel) { return launched[kernel]; }

extern "C" const ck_cuda_driver *ck_emulated_driver(void) {
    static const ck_cuda_driver *const driver = make_driver(true);
    return driver;
}

extern "C" const ck_cuda_driver *ck_emulated_driver_without_nccl(void) {
    static const ck_cuda_driver *const driver = make_driver(false);
    return driver;
}
