// The kernels' sources and the headers that they include, embedded.
#include "cuda.h"

static const char source_augment[] = {
#embed "../../operations/augment/augment.cu"
    , 0};
static const char source_cutpaste[] = {
#embed "../../operations/cutpaste/cutpaste.cu"
    , 0};
static const char source_conv2d[] = {
#embed "../../operations/conv2d/conv2d.cu"
    , 0};
static const char source_conv2d_bf16[] = {
#embed "../../operations/conv2d/conv2d_bf16.cu"
    , 0};
static const char source_conv2d_hopper[] = {
#embed "../../operations/conv2d/conv2d_hopper.cu"
    , 0};
static const char source_conv2d_taps[] = {
#embed "../../operations/conv2d/conv2d_taps.cu"
    , 0};
static const char source_batchnorm[] = {
#embed "../../operations/batchnorm/batchnorm.cu"
    , 0};
static const char source_elementwise[] = {
#embed "../../operations/elementwise/elementwise.cu"
    , 0};
static const char source_pool[] = {
#embed "../../operations/pool/pool.cu"
    , 0};
static const char source_dense[] = {
#embed "../../operations/dense/dense.cu"
    , 0};
static const char source_softmax[] = {
#embed "../../operations/softmax/softmax.cu"
    , 0};
static const char source_nt_xent[] = {
#embed "../../operations/nt_xent/nt_xent.cu"
    , 0};
static const char source_distance[] = {
#embed "../../operations/distance/distance.cu"
    , 0};
static const char source_kde[] = {
#embed "../../operations/kde/kde.cu"
    , 0};
static const char source_flow[] = {
#embed "../../operations/flow/flow.cu"
    , 0};
static const char source_mixture[] = {
#embed "../../operations/mixture/mixture.cu"
    , 0};
static const char source_sgd[] = {
#embed "../../operations/sgd/sgd.cu"
    , 0};
static const char source_lars[] = {
#embed "../../operations/lars/lars.cu"
    , 0};
static const char source_adam[] = {
#embed "../../operations/adam/adam.cu"
    , 0};

static const char header_device[] = {
#embed "ck_device.cuh"
    , 0};
static const char header_conv2d_bf16[] = {
#embed "../../operations/conv2d/conv2d_bf16.cuh"
    , 0};
static const char header_jitter[] = {
#embed "../../operations/augment/jitter.cuh"
    , 0};
static const char header_log_sum[] = {
#embed "log_sum.cuh"
    , 0};
static const char header_params[] = {
#embed "../../include/ck_params.h"
    , 0};
static const char header_portable[] = {
#embed "../../include/ck_portable.h"
    , 0};
static const char header_random[] = {
#embed "../../include/ck_random.h"
    , 0};
static const char header_color[] = {
#embed "../../include/ck_color.h"
    , 0};
static const char header_dihedral[] = {
#embed "../../include/ck_dihedral.h"
    , 0};
static const char header_augment[] = {
#embed "../../include/ck_augment.h"
    , 0};
static const char header_coupling[] = {
#embed "../../operations/flow/coupling.h"
    , 0};
static const char header_components[] = {
#embed "../../operations/mixture/components.h"
    , 0};

const ck_source_text ck_kernel_sources[CK_SOURCE_COUNT] = {
#define SOURCE(name) [CK_SOURCE_##name] = {#name ".cu", source_##name},
    CK_KERNEL_SOURCES(SOURCE)
#undef SOURCE
};

// clang-format off
#define HEADERS(X)                                                                                           \
    X(device, "ck_device.cuh") X(jitter, "jitter.cuh") X(log_sum, "log_sum.cuh") X(params, "ck_params.h")    \
    X(portable, "ck_portable.h") X(random, "ck_random.h") X(color, "ck_color.h")                             \
    X(dihedral, "ck_dihedral.h") X(augment, "ck_augment.h") X(conv2d_bf16, "conv2d_bf16.cuh")           \
    X(coupling, "coupling.h") X(components, "components.h")
// clang-format on
#define NAME(name, file) file,
#define TEXT(name, file) header_##name,
const char *const ck_kernel_header_names[CK_HEADER_COUNT] = {HEADERS(NAME)};
const char *const ck_kernel_header_texts[CK_HEADER_COUNT] = {HEADERS(TEXT)};

const struct ck_kernel_entry ck_kernel_entries[CK_KERNEL_COUNT] = {
#define OPERATION_KERNEL(source, name, threads) [CK_LAUNCH_##name] = {CK_SOURCE_##source, #name, threads},
#define KERNEL(source, name, threads) [CK_LAUNCH_##name] = {CK_SOURCE_##source, #name, threads},
#include "ck_kernels.h"
};
