#define _GNU_SOURCE
// The process-wide thread pool: workers sleep on a condition variable between regions and take indices from
// one atomic counter inside. OpenBLAS is pinned to one thread: parallelism is ours, so the order of every sum
// is ours too. The pool has one region at a time; a caller that comes while as many threads are in regions as
// the pool has runs its own alone, as the cores are busy.
#include "internal.h"
#include <cblas.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

enum { MAX_THREADS = 256, SPIN = 2000 };

static inline void ck_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static struct {
    pthread_mutex_t region;  // one parallel region of the pool at a time
    pthread_mutex_t lock;
    pthread_cond_t start, done;
    pthread_t threads[MAX_THREADS];
    atomic_int count;    // workers including the caller; 0 = not started
    atomic_int callers;  // threads that are in a region, of the pool or of their own
    int quit;
    atomic_ulong generation;
    atomic_int running;
    ck_task task;
    void *context;
    int64_t total;
    atomic_llong next;
} pool = {.region = PTHREAD_MUTEX_INITIALIZER,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .start = PTHREAD_COND_INITIALIZER,
          .done = PTHREAD_COND_INITIALIZER};

static _Thread_local int inside = -1;  // this thread's worker index while it runs a task

static void take_indices(int worker) {
    inside = worker;
    for (;;) {
        int64_t index = atomic_fetch_add(&pool.next, 1);
        if (index >= pool.total) break;
        pool.task(pool.context, index, worker);
    }
    inside = -1;
}

static void *worker_main(void *argument) {
    int worker = (int)(intptr_t)argument;
    unsigned long seen = 0;
    for (;;) {
        // A short spin first: regions follow each other within microseconds during a training step.
        for (int i = 0; i < SPIN && atomic_load_explicit(&pool.generation, memory_order_acquire) == seen; i++)
            ck_pause();
        pthread_mutex_lock(&pool.lock);
        while (atomic_load(&pool.generation) == seen && !pool.quit)
            pthread_cond_wait(&pool.start, &pool.lock);
        int quit = pool.quit;
        seen = atomic_load(&pool.generation);
        pthread_mutex_unlock(&pool.lock);
        if (quit) return NULL;
        take_indices(worker);
        if (atomic_fetch_sub(&pool.running, 1) == 1) {
            pthread_mutex_lock(&pool.lock);
            pthread_cond_signal(&pool.done);
            pthread_mutex_unlock(&pool.lock);
        }
    }
}

static int available_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

static void stop_workers(void) {
    if (pool.count <= 1) return;
    pthread_mutex_lock(&pool.lock);
    pool.quit = 1;
    pthread_cond_broadcast(&pool.start);
    pthread_mutex_unlock(&pool.lock);
    for (int i = 1; i < pool.count; i++) pthread_join(pool.threads[i], NULL);
    pool.quit = 0;
}

static ck_status start_workers(int count) {
    openblas_set_num_threads(1);
    atomic_store(&pool.generation, 0);
    int started = 1;
    while (started < count &&
           pthread_create(&pool.threads[started], NULL, worker_main, (void *)(intptr_t)started) == 0)
        started++;
    // Seen by others once all have started, so that nobody makes a plan for fewer.
    atomic_store(&pool.count, started);
    if (started == count) return CK_OK;
    return ck_fail(CK_OUT_OF_MEMORY, "could not start thread %d of %d", started + 1, count);
}

ck_status ck_set_thread_count(int count) {
    if (count < 0 || count > MAX_THREADS)
        return ck_fail(CK_INVALID_ARGUMENT, "thread count %d is outside 0...%d", count, MAX_THREADS);
    if (count == 0) count = available_cores() < MAX_THREADS ? available_cores() : MAX_THREADS;
    pthread_mutex_lock(&pool.region);
    ck_status status = CK_OK;
    if (count != pool.count) {
        stop_workers();
        status = start_workers(count);
    }
    pthread_mutex_unlock(&pool.region);
    return status;
}

int ck_thread_count(void) {
    int count = atomic_load(&pool.count);
    if (count > 0) return count;
    pthread_mutex_lock(&pool.region);
    if (pool.count == 0) start_workers(available_cores() < MAX_THREADS ? available_cores() : MAX_THREADS);
    count = pool.count;
    pthread_mutex_unlock(&pool.region);
    return count;
}

static void run_alone(int64_t count, ck_task task, void *context, int worker) {
    int before = inside;
    inside = worker;
    for (int64_t i = 0; i < count; i++) task(context, i, worker);
    inside = before;
}

static void run_on_pool(int64_t count, ck_task task, void *context) {
    pthread_mutex_lock(&pool.region);
    pool.task = task;
    pool.context = context;
    pool.total = count;
    atomic_store(&pool.next, 0);
    atomic_store(&pool.running, pool.count - 1);
    pthread_mutex_lock(&pool.lock);
    atomic_fetch_add(&pool.generation, 1);
    pthread_cond_broadcast(&pool.start);
    pthread_mutex_unlock(&pool.lock);
    take_indices(0);
    for (int i = 0; i < SPIN && atomic_load(&pool.running) > 0; i++) ck_pause();
    pthread_mutex_lock(&pool.lock);
    while (atomic_load(&pool.running) > 0) pthread_cond_wait(&pool.done, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
    pthread_mutex_unlock(&pool.region);
}

void ck_parallel_for(int64_t count, ck_task task, void *context) {
    if (count <= 0) return;
    if (inside >= 0) return run_alone(count, task, context, inside);
    int threads = ck_thread_count(), callers = atomic_fetch_add(&pool.callers, 1) + 1;
    if (count == 1 || callers >= threads)
        run_alone(count, task, context, 0);
    else
        run_on_pool(count, task, context);
    atomic_fetch_sub(&pool.callers, 1);
}
