// The declarations of ck_operations.h as tables, and the check of an operation against its own.
#include "operands.h"
#include <stdio.h>
#include <string.h>

enum { ANY = -1 };

// ---- Tables -----------------------------------------------------------------------------------------------

#define OPERATION(name, params, summary) static const ck_operand operands_##name[] = {
#define OUT(name, type, ...) {#name, CK_OUT, CK_##type, 0, #__VA_ARGS__},
#define OPTIONAL_OUT(name, type, ...) {#name, CK_OUT, CK_##type, 1, #__VA_ARGS__},
#define UPDATE(name, type, ...) {#name, CK_UPDATE, CK_##type, 0, #__VA_ARGS__},
#define IN(name, type, ...) {#name, CK_IN, CK_##type, 0, #__VA_ARGS__},
#define OPTIONAL_IN(name, type, ...) {#name, CK_IN, CK_##type, 1, #__VA_ARGS__},
// clang-format off
#define END(name) };
// clang-format on
#include "ck_operations.h"

#define COUNT(operands) (sizeof(operands) / sizeof(ck_operand))
static const ck_declaration declarations[] = {
#define OPERATION(name, params, summary)                                                                     \
    [CK_KIND_##name] = {#name, #params, summary, operands_##name, COUNT(operands_##name)},
#include "ck_operations.h"
};

const ck_declaration *ck_declaration_of(ck_kind kind) {
    return (unsigned)kind < CK_KIND_COUNT ? &declarations[kind] : NULL;
}

// ---- Types, extents and requirements ----------------------------------------------------------------------

struct extents {
    ck_element element;
    int32_t rank;
    int64_t extents[CK_MAX_RANK];
};

// clang-format off
#define ELEMENT_f32 CK_f32
#define ELEMENT_bf16 CK_bf16
#define ELEMENT_i32 CK_i32
#define ELEMENT_u8 CK_u8
#define ELEMENT_step CK_step
#define ELEMENT_act (ck_element)p->activations
#define EXTENTS(type, ...)                                                                                   \
    (struct extents){ELEMENT_##type, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {__VA_ARGS__}}
// clang-format on

// extents_<name>(params, to): type and extents of every operand.
#define OPERATION(name, params, summary)                                                                     \
    static void extents_##name(const ck_operation_params *all, struct extents *to) {                         \
        const ck_##params##_params *p = &all->params;                                                        \
        (void)p;
#define OUT(name, type, ...) *to++ = EXTENTS(type, __VA_ARGS__);
#define IN OUT
#define END(name) }
#include "ck_operations.h"

// requirement_<name>(params, operands): the text of the first one that does not hold, or NULL. An operand
// that is there is some address that is not NULL.
#define OPERATION(name, params, summary)                                                                     \
    static const char *requirement_##name(const ck_operation_params *all, void *const *present) {            \
        const ck_##params##_params *p = &all->params;                                                        \
        ck_##name##_operands operands, *t = &operands;                                                       \
        memcpy(t, present, sizeof operands);                                                                 \
        (void)p;
#define REQUIRE(condition, text)                                                                             \
    if (!(condition)) return text;
#define END(name)                                                                                            \
    return NULL;                                                                                             \
    }
#include "ck_operations.h"

static const struct {
    void (*extents)(const ck_operation_params *, struct extents *);
    const char *(*requirement)(const ck_operation_params *, void *const *);
} checks[] = {
#define OPERATION(name, params, summary) [CK_KIND_##name] = {extents_##name, requirement_##name},
#include "ck_operations.h"
};

int32_t ck_operand_extents(ck_kind kind, const ck_operation_params *params, int32_t operand,
                           int64_t extents[CK_MAX_RANK]) {
    struct extents all[CK_MAX_TENSORS];
    checks[kind].extents(params, all);
    memcpy(extents, all[operand].extents, sizeof all[operand].extents);
    return all[operand].rank;
}

ck_element ck_operand_element(ck_kind kind, const ck_operation_params *params, int32_t operand) {
    struct extents all[CK_MAX_TENSORS];
    checks[kind].extents(params, all);
    return all[operand].element;
}

// ---- The check --------------------------------------------------------------------------------------------

// Whether a tensor's last extents are those expected, and its first ones come to the first one expected.
static int has_extents(const ck_tensor *tensor, const struct extents *expected) {
    int64_t first = 1;
    int32_t folded = tensor->rank - expected->rank;  // into the first
    if (folded < 0) return 0;
    for (int32_t d = 0; d < tensor->rank; d++) {
        if (tensor->shape[d] < 1) return 0;
        if (d <= folded)
            first *= tensor->shape[d];
        else if (expected->extents[d - folded] != ANY && tensor->shape[d] != expected->extents[d - folded])
            return 0;
    }
    return expected->extents[0] == ANY || first == expected->extents[0];
}

static const char *const element_names[] = {
    [CK_f32] = "f32", [CK_i32] = "i32", [CK_u8] = "u8", [CK_step] = "step", [CK_bf16] = "bf16"};

static const char *name_of(ck_element element) {
    return element <= CK_bf16 ? element_names[element] : "of no type";
}

static void write_shape(char *text, size_t size, const int64_t *extents, int32_t rank) {
    size_t at = (size_t)snprintf(text, size, "[");
    for (int32_t d = 0; d < rank && at < size; d++)
        at += (size_t)snprintf(text + at, size - at, extents[d] == ANY ? "%s*" : "%s%lld", d ? ", " : "",
                               (long long)extents[d]);
    if (at < size) snprintf(text + at, size - at, "]");
}

ck_status ck_operation_check(const ck_operation *operation, ck_misfit *misfit) {
    const ck_declaration *declaration = ck_declaration_of(operation->kind);
    if (!declaration) return ck_fail(CK_INVALID_ARGUMENT, "an operation of no known kind");
    static char there;
    void *present[CK_MAX_TENSORS];
    struct extents expected[CK_MAX_TENSORS];
    checks[operation->kind].extents(&operation->params, expected);
    for (int32_t i = 0; i < declaration->operand_count; i++)
        present[i] = operation->tensors[i].offset == CK_NO_TENSOR ? NULL : &there;
    const char *requirement = checks[operation->kind].requirement(&operation->params, present);
    if (requirement) {
        if (misfit) *misfit = (ck_misfit){.operand = -1, .requirement = requirement};
        return ck_fail(CK_INVALID_ARGUMENT, "%s: %s", declaration->name, requirement);
    }
    for (int32_t i = 0; i < declaration->operand_count; i++) {
        const ck_tensor *tensor = &operation->tensors[i];
        const ck_operand *operand = &declaration->operands[i];
        int is_activation = operand->element == CK_act;
        if (is_activation && expected[i].element != CK_f32 && expected[i].element != CK_bf16) {
            const char *text = "activations are f32 or bf16";
            if (misfit) *misfit = (ck_misfit){.operand = -1, .requirement = text};
            return ck_fail(CK_INVALID_ARGUMENT, "%s: %s", declaration->name, text);
        }
        if (!present[i] && operand->is_optional) continue;
        if (present[i] && tensor->rank >= 1 && tensor->rank <= CK_MAX_RANK &&
            tensor->element == expected[i].element && has_extents(tensor, &expected[i]))
            continue;
        if (misfit) {
            *misfit = (ck_misfit){.operand = i, .element = expected[i].element, .rank = expected[i].rank};
            memcpy(misfit->expected, expected[i].extents, sizeof misfit->expected);
        }
        int is_of_another_type = is_activation && present[i] && tensor->element != expected[i].element;
        char wanted[128], given[128] = "absent";
        write_shape(wanted, sizeof wanted, expected[i].extents, expected[i].rank);
        if (present[i])
            write_shape(given, sizeof given, tensor->shape, (int32_t)ck_min64(tensor->rank, CK_MAX_RANK));
        return ck_fail(CK_INVALID_ARGUMENT, "%s: %s is %s%s, expected %s%s%s", declaration->name,
                       operand->name, present[i] ? name_of(tensor->element) : "", given,
                       name_of(expected[i].element), wanted,
                       is_of_another_type ? ", as the operation's activations are" : "");
    }
    return CK_OK;
}
