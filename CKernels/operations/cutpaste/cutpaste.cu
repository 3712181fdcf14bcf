// CutPaste (CPU: cutpaste.c): one block to an image. What an image draws is in ck_augment.h, which both
// share.
#include "jitter.cuh"

CK_DEVICE ck_random4 draw(const ck_step_state *step, int64_t n, const ck_cutpaste_params &p, uint32_t block) {
    return ck_philox(step->seed, step->step, ck_batch_row(p.share, n), p.stream + (block << 12));
}

CK_KERNEL(256)
ck_cutpaste(float *y, const float *x, const int32_t *kinds, const ck_step_state *step, float *parts,
            ck_cutpaste_params p) {
    CK_SHARED(double, shared, 256);
    int64_t n = blockIdx.x, size = (int64_t)p.h * p.w * 3;
    x += n * size, y += n * size;
    for (int64_t i = threadIdx.x; i < size; i += 256) y[i] = x[i];
    int kind = kinds[n];
    if (kind != CK_PASTE_RECTANGLE && kind != CK_PASTE_SCAR) return;
    ck_random4 r = draw(step, n, p, 0), place = draw(step, n, p, 1);
    ck_paste cut = kind == CK_PASTE_RECTANGLE ? ck_draw_rectangle(&p, r, place) : ck_draw_scar(&p, r, place);
    float *part = parts + n * size;
    int pixels = cut.h * cut.w;
    for (int i = threadIdx.x; i < pixels; i += 256)
        for (int c = 0; c < 3; c++)
            part[3 * i + c] = x[((int64_t)(cut.top + i / cut.w) * p.w + cut.left + i % cut.w) * 3 + c];
    ck_jitter strengths = {{p.jitter, p.jitter, p.jitter, p.jitter}};
    ck_jitter_block(part, pixels, ck_draw_jitter(strengths, draw(step, n, p, 2), draw(step, n, p, 3)),
                    shared);
    __syncthreads();
    if (kind == CK_PASTE_RECTANGLE) {
        for (int i = threadIdx.x; i < 3 * pixels; i += 256)
            y[((int64_t)(cut.to_top + i / (3 * cut.w)) * p.w + cut.to_left) * 3 + i % (3 * cut.w)] = part[i];
    } else {
        for (int i = threadIdx.x; i < p.h * p.w; i += 256)
            ck_paste_scar_pixel(y + 3 * i, 3, &cut, part, i / p.w, i % p.w);
    }
}
