// The operands of each operation as a struct, made from ck_operations.h: what a backend's function gets.
#ifndef CK_OPERANDS_H
#define CK_OPERANDS_H

#include "internal.h"

// Activations: the CPU's kernels see single precision whatever the plan keeps (cpu/backend.c converts);
// a GPU's launchers look at p->activations.
#ifndef CK_ACTIVATION
#define CK_ACTIVATION void
#endif

typedef float ck_element_f32;
typedef uint16_t ck_element_bf16;
typedef CK_ACTIVATION ck_element_act;
typedef int32_t ck_element_i32;
typedef uint8_t ck_element_u8;
typedef ck_step_state ck_element_step;

#define OPERATION(name, params, summary) typedef struct ck_##name##_operands {
#define OUT(name, type, ...) ck_element_##type *name;
#define IN(name, type, ...) const ck_element_##type *name;
#define END(name)                                                                                            \
    }                                                                                                        \
    ck_##name##_operands;
#include "ck_operations.h"

// A bound operation's addresses are an array; a struct of as many pointers takes them by their bytes.
#define OPERATION(name, params, summary)                                                                     \
    _Static_assert(sizeof(ck_##name##_operands) % sizeof(void *) == 0 &&                                     \
                       sizeof(ck_##name##_operands) <= CK_MAX_TENSORS * sizeof(void *),                      \
                   #name " has too many operands");
#include "ck_operations.h"

#endif
