// The table of driver functions: memory is the host's, a stream is a list of things to do, a graph is a list
// that is kept.
#include "kernels.h"
#include "nccl.h"
#include "scheduler.h"
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

using namespace emulation;

enum {
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    LAUNCH_FAILED = 719,
    UNSUPPORTED_IN_CAPTURE = 900,
    INVALID_CAPTURE = 901
};

typedef std::function<void()> action;

struct stream {
    std::vector<action> waiting, recorded;
    bool captures = false;
};
struct graph {
    std::vector<action> actions;
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

int enqueue(ck_cu_stream handle, action what) {
    stream *s = (stream *)handle;
    (s->captures ? s->recorded : s->waiting).push_back(std::move(what));
    return 0;
}

int drain(stream *s) {
    std::vector<action> now;
    now.swap(s->waiting);
    for (action &a : now) {
        if (failure) break;
        a();
    }
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

int stream_create(ck_cu_stream *s, unsigned) { return *s = new stream, 0; }
int stream_destroy(ck_cu_stream s) { return delete (stream *)s, 0; }
int stream_synchronize(ck_cu_stream handle) {
    stream *s = (stream *)handle;
    return s->captures ? INVALID_CAPTURE : drain(s);
}
int capture_begin(ck_cu_stream handle, int) {
    stream *s = (stream *)handle;
    if (s->captures) return INVALID_CAPTURE;
    s->captures = true;
    capturing++;
    return 0;
}
int capture_end(ck_cu_stream handle, ck_cu_graph *result) {
    stream *s = (stream *)handle;
    if (!s->captures) return INVALID_CAPTURE;
    s->captures = false;
    capturing--;
    graph *g = new graph;
    g->actions.swap(s->recorded);
    *result = g;
    return 0;
}
int graph_instantiate(ck_cu_graph_exec *exec, ck_cu_graph g, unsigned long long) {
    if (settings.makes_no_graphs) return OUT_OF_MEMORY;
    return *exec = new graph(*(graph *)g), 0;
}
int graph_launch(ck_cu_graph_exec exec, ck_cu_stream s) {
    counts.graph_launches++;
    for (action &a : ((graph *)exec)->actions) enqueue(s, a);
    return 0;
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
    if (settings.only_note) return 0;
    if (is_faulty((const kernel *)function))
        return enqueue(s, [] { fail("an illegal memory access was encountered"); });
    action thread = ((const kernel *)function)->bind(arguments);
    return enqueue(s, [=] { run_grid({gx, gy, gz}, {bx, by, bz}, thread); });
}
// An event notes the time when the stream comes to it.
typedef std::chrono::steady_clock::time_point event;
int event_create(ck_cu_event *e, unsigned) { return *e = new event, 0; }
int event_record(ck_cu_event e, ck_cu_stream s) {
    return enqueue(s, [e] { *(event *)e = std::chrono::steady_clock::now(); });
}
int event_elapsed(float *milliseconds, ck_cu_event start, ck_cu_event end) {
    *milliseconds = std::chrono::duration<float, std::milli>(*(event *)end - *(event *)start).count();
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

int meet(ck_nccl_group group, const nccl_group::call &call, ck_cu_stream s) {
    if (!group || !call.from || !call.to) return 4;
    counts.exchanges++;
    return enqueue(s, [=] {
        if (const char *wrong = ((nccl_group *)group)->meet(call)) fail(wrong);
    });
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
