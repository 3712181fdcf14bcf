#include "ranks.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef OCC_HAS_MPI
#include <mpi.h>

static int joined;
// What is begun early: a communicator for each kind, since ranks begin those of one kind in one order, and
// come to those of another sooner or later.
static MPI_Comm gathering = MPI_COMM_NULL, exchanging = MPI_COMM_NULL;
static int32_t node_rank, node_ranks = 1;

static ck_status checked(int result, const char *what) {
    if (result == MPI_SUCCESS) return CK_OK;
    char text[MPI_MAX_ERROR_STRING + 1] = "", all[MPI_MAX_ERROR_STRING + 64];
    int length = 0;
    MPI_Error_string(result, text, &length);
    snprintf(all, sizeof all, "MPI: %s: %s", what, text);
    return ck_failed(CK_INTERNAL_ERROR, all);
}

// MPI waits by asking again and again, which keeps a core busy: soon this sleeps in between.
static int finish(MPI_Request *request, double seconds) {
    int is_done = 0, result = MPI_SUCCESS;
    double end = seconds > 0 ? MPI_Wtime() + seconds : 0;
    for (int tries = 0; result == MPI_SUCCESS && !is_done; tries++) {
        result = MPI_Test(request, &is_done, MPI_STATUS_IGNORE);
        if (end > 0 && MPI_Wtime() > end) break;
        if (!is_done && tries > 1000) nanosleep(&(struct timespec){.tv_nsec = 2 * 1000 * 1000}, NULL);
    }
    return result == MPI_SUCCESS && !is_done ? MPI_ERR_PENDING : result;
}

// Counts of MPI are ints.
enum { MOST_BYTES = 1 << 30 };

static ck_status count_of(uint64_t bytes, int *count) {
    if (bytes > MOST_BYTES) return ck_failed(CK_INVALID_ARGUMENT, "more than 1 GiB from a rank at once");
    *count = (int)bytes;
    return CK_OK;
}

static ck_status all_gather(void *context, const void *mine, void *all, uint64_t bytes) {
    (void)context;
    int count = 0;
    ck_status status = count_of(bytes, &count);
    if (status != CK_OK) return status;
    return checked(MPI_Allgather(mine, count, MPI_BYTE, all, count, MPI_BYTE, MPI_COMM_WORLD), "gathering");
}

static ck_status all_to_all(void *context, const void *mine, void *to_me, uint64_t bytes) {
    (void)context;
    int count = 0;
    ck_status status = count_of(bytes, &count);
    if (status != CK_OK) return status;
    return checked(MPI_Alltoall(mine, count, MPI_BYTE, to_me, count, MPI_BYTE, MPI_COMM_WORLD), "exchanging");
}

static ck_status broadcast(void *context, void *data, uint64_t bytes) {
    (void)context;
    ck_status status = CK_OK;
    for (uint64_t at = 0; at < bytes && status == CK_OK; at += MOST_BYTES) {
        uint64_t rest = bytes - at;
        int count = (int)(rest < MOST_BYTES ? rest : MOST_BYTES);
        MPI_Request request;
        int result = MPI_Ibcast((char *)data + at, count, MPI_BYTE, 0, MPI_COMM_WORLD, &request);
        status = checked(result == MPI_SUCCESS ? finish(&request, 0) : result, "handing out");
    }
    return status;
}

// Keeps a request that has been begun, or says why it has not.
static ck_status begun(int result, const char *what, MPI_Request own, void **request) {
    ck_status status = checked(result, what);
    if (status != CK_OK) return status;
    MPI_Request *kept = malloc(sizeof *kept);
    if (!kept) return ck_failed(CK_OUT_OF_MEMORY, "out of memory");
    *kept = own;
    *request = kept;
    return CK_OK;
}

static ck_status begin_all_gather(void *context, const void *mine, void *all, uint64_t bytes,
                                  void **request) {
    (void)context;
    int count = 0;
    MPI_Request own = MPI_REQUEST_NULL;
    ck_status status = count_of(bytes, &count);
    if (status != CK_OK) return status;
    return begun(MPI_Iallgather(mine, count, MPI_BYTE, all, count, MPI_BYTE, gathering, &own), "gathering",
                 own, request);
}

static ck_status begin_all_to_all(void *context, const void *mine, void *to_me, uint64_t bytes,
                                  void **request) {
    (void)context;
    int count = 0;
    MPI_Request own = MPI_REQUEST_NULL;
    ck_status status = count_of(bytes, &count);
    if (status != CK_OK) return status;
    return begun(MPI_Ialltoall(mine, count, MPI_BYTE, to_me, count, MPI_BYTE, exchanging, &own), "exchanging",
                 own, request);
}

static ck_status finish_request(void *context, void **request, int waits, int *is_done) {
    (void)context;
    *is_done = waits;
    int result =
        waits ? MPI_Wait(*request, MPI_STATUS_IGNORE) : MPI_Test(*request, is_done, MPI_STATUS_IGNORE);
    if (*is_done || result != MPI_SUCCESS) {
        free(*request);
        *request = NULL;
    }
    return checked(result, "waiting");
}

const char *occ_mpi_library(void) {
    static char text[MPI_MAX_LIBRARY_VERSION_STRING + 1];
    int length = 0;
    if (!text[0]) MPI_Get_library_version(text, &length);
    text[strcspn(text, "\n,")] = 0;
    return text;
}

ck_status occ_mpi_join(ck_communicator *communicator) {
    int provided = 0, rank = 0, ranks = 1, own = 0, neighbors = 1;
    // One thread calls MPI: the one that trains.
    ck_status status = checked(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided), "starting");
    if (status != CK_OK) return status;
    joined = 1;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    status = checked(MPI_Comm_dup(MPI_COMM_WORLD, &gathering), "making a communicator");
    if (status == CK_OK) status = checked(MPI_Comm_dup(MPI_COMM_WORLD, &exchanging), "making a communicator");
    if (status != CK_OK) return status;
    MPI_Comm node = MPI_COMM_NULL;
    status = checked(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "asking for the rank");
    if (status == CK_OK) status = checked(MPI_Comm_size(MPI_COMM_WORLD, &ranks), "asking for the ranks");
    if (status == CK_OK)
        status =
            checked(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node),
                    "finding the node");
    if (status != CK_OK) return status;
    MPI_Comm_rank(node, &own);
    MPI_Comm_size(node, &neighbors);
    MPI_Comm_free(&node);
    node_rank = own;
    node_ranks = neighbors;
    *communicator = (ck_communicator){.rank = rank,
                                      .ranks = ranks,
                                      .all_gather = all_gather,
                                      .all_to_all = all_to_all,
                                      .broadcast = broadcast,
                                      .begin_all_gather = begin_all_gather,
                                      .begin_all_to_all = begin_all_to_all,
                                      .finish = finish_request};
    return CK_OK;
}

void occ_mpi_node(int32_t *rank, int32_t *ranks) {
    *rank = node_rank;
    *ranks = node_ranks;
}

int occ_mpi_leave(double seconds) {
    if (!joined) return 1;
    MPI_Request request;
    if (MPI_Ibarrier(MPI_COMM_WORLD, &request) != MPI_SUCCESS || finish(&request, seconds) != MPI_SUCCESS)
        return 0;
    MPI_Comm_free(&gathering);
    MPI_Comm_free(&exchanging);
    MPI_Finalize();
    joined = 0;
    return 1;
}

void occ_mpi_abort(int status) {
    if (joined) MPI_Abort(MPI_COMM_WORLD, status);
}

#else

const char *occ_mpi_library(void) { return NULL; }
ck_status occ_mpi_join(ck_communicator *communicator) {
    (void)communicator;
    return ck_failed(CK_DEVICE_UNAVAILABLE, "this program is built without MPI");
}
void occ_mpi_node(int32_t *rank, int32_t *ranks) {
    *rank = 0;
    *ranks = 1;
}
int occ_mpi_leave(double seconds) {
    (void)seconds;
    return 1;
}
void occ_mpi_abort(int status) { (void)status; }

#endif
