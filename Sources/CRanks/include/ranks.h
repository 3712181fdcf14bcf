// The ranks of an MPI run. Built without the package trait MPI, it says that there is none.
#ifndef OCC_RANKS_H
#define OCC_RANKS_H

#include "CKernels.h"

// The MPI library that the program is built with; NULL for none.
const char *occ_mpi_library(void);

// Joins the ranks that the launcher started together. The communicator works until occ_mpi_leave.
ck_status occ_mpi_join(ck_communicator *communicator);

// The place of this rank among those of its node, and how many they are.
void occ_mpi_node(int32_t *rank, int32_t *ranks);

// Waits, without keeping a core busy, until every rank is here, and leaves; for so many seconds, 0 for as
// long as it takes. Returns whether all came, or there were none to wait for.
int occ_mpi_leave(double seconds);

// Ends all ranks at once with an exit status, where they have been joined.
void occ_mpi_abort(int status);

#endif
