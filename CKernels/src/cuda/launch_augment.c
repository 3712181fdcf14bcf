#include "cuda.h"

static int64_t image_count(const ck_image_params *p) { return (int64_t)p->n * p->h * p->w * p->c; }

uint64_t ck_cuda_workspace_image(const ck_operation *operation) {
    return sizeof(float) * (uint64_t)image_count(&operation->params.image);
}
uint64_t ck_cuda_workspace_cutpaste(const ck_operation *operation) {
    const ck_cutpaste_params *p = &operation->params.cutpaste;
    return sizeof(float) * (uint64_t)((int64_t)p->n * p->h * p->w * p->c);
}

static ck_status needs_color(int32_t channels) {
    return channels == 3 ? CK_OK : ck_fail(CK_INVALID_ARGUMENT, "colour operations need 3 channels, not %d", (int)channels);
}

ck_status ck_cuda_gather(ck_cuda_call c) {
    ck_image_params p = c.p->image;
    if (!c.t[3] && (p.stored_h != p.h || p.stored_w != p.w))
        return ck_fail(CK_INVALID_ARGUMENT, "patches of images need corners");
    return CK_LAUNCH(c.cuda, ck_gather, ck_elements(image_count(&p)), 256, (void *)&c.t[0], (void *)&c.t[1], (void *)&c.t[2],
                     (void *)&c.t[3], &p);
}

ck_status ck_cuda_dihedral(ck_cuda_call c) {
    ck_image_params p = c.p->image;
    if (p.h != p.w) return ck_fail(CK_INVALID_ARGUMENT, "the symmetries of the square need square images");
    return CK_LAUNCH(c.cuda, ck_dihedral, ck_elements(image_count(&p)), 256, (void *)&c.t[0], (void *)&c.t[1],
                     (void *)&c.t[2], &p);
}

// Operations with a thread to each of `count` things.
#define LAUNCH_IMAGE(kernel, count)                                                                                    \
    ck_image_params p = c.p->image;                                                                                    \
    return CK_LAUNCH(c.cuda, kernel, ck_elements(count), 256, (void *)&c.t[0], (void *)&c.t[1], (void *)&c.t[2], &p)

ck_status ck_cuda_random_crop(ck_cuda_call c) { LAUNCH_IMAGE(ck_random_crop, image_count(&p) / p.c); }
ck_status ck_cuda_random_flip(ck_cuda_call c) { LAUNCH_IMAGE(ck_random_flip, image_count(&p)); }
ck_status ck_cuda_random_gray(ck_cuda_call c) {
    CK_TRY(needs_color(c.p->image.c));
    LAUNCH_IMAGE(ck_random_gray, image_count(&p) / 3);
}
ck_status ck_cuda_gaussian_noise(ck_cuda_call c) {
    LAUNCH_IMAGE(ck_gaussian_noise, p.n * ck_ceil_div(image_count(&p) / p.n, 4));
}

ck_status ck_cuda_color_jitter(ck_cuda_call c) {
    ck_image_params p = c.p->image;
    CK_TRY(needs_color(p.c));
    return CK_LAUNCH(c.cuda, ck_color_jitter, ((ck_grid){p.n, 1, 1}), 256, (void *)&c.t[0], (void *)&c.t[1], (void *)&c.t[2], &p);
}

ck_status ck_cuda_random_blur(ck_cuda_call c) {
    ck_image_params p = c.p->image;
    if (p.taps < 1 || p.taps > CK_MAX_BLUR_TAPS || p.taps % 2 == 0)
        return ck_fail(CK_INVALID_ARGUMENT, "a blur of %d taps: it must be odd, 1...%d", (int)p.taps, (int)CK_MAX_BLUR_TAPS);
    return CK_LAUNCH(c.cuda, ck_random_blur, ((ck_grid){p.n, 1, 1}), 256, (void *)&c.t[0], (void *)&c.t[1], (void *)&c.t[2],
                     &c.workspace, &p);
}

ck_status ck_cuda_cutpaste(ck_cuda_call c) {
    ck_cutpaste_params p = c.p->cutpaste;
    CK_TRY(needs_color(p.c));
    return CK_LAUNCH(c.cuda, ck_cutpaste, ((ck_grid){p.n, 1, 1}), 256, (void *)&c.t[0], (void *)&c.t[1], (void *)&c.t[2],
                     (void *)&c.t[3], &c.workspace, &p);
}
