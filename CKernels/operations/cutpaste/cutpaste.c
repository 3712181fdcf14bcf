// CutPaste (Li et al., CVPR 2021, section 2 and appendix A.2): a part of the image, jittered in color, is
// pasted elsewhere in it, as a rectangle or as a thin rotated scar. One task an image; what each draws
// depends on (seed, step, image, stream) alone.
#include "../augment/jitter.h"

typedef ck_cutpaste_params cutpaste;

struct job {
    const cutpaste *p;
    float *y;
    const float *x;
    const int32_t *kinds;
    const ck_step_state *step;
    float *scratch;
};

static int64_t image_size(const cutpaste *p) { return (int64_t)p->h * p->w * p->c; }

static ck_random4 draw(const struct job *j, int64_t n, uint32_t block) {
    return ck_philox(j->step->seed, j->step->step, ck_batch_row(j->p->share, n),
                     j->p->stream + (block << 12));
}

// A part of the image, jittered: part[h][w][c].
static void cut_part(const struct job *j, int64_t n, float *part, const ck_paste *cut) {
    const cutpaste *p = j->p;
    const float *x = j->x + n * image_size(p);
    for (int row = 0; row < cut->h; row++)
        memcpy(part + (int64_t)row * cut->w * p->c, x + ((int64_t)(cut->top + row) * p->w + cut->left) * p->c,
               sizeof(float) * (size_t)(cut->w * p->c));
    ck_jitter jitter = {{p->jitter, p->jitter, p->jitter, p->jitter}};
    ck_jitter_pixels(part, (int64_t)cut->h * cut->w, ck_draw_jitter(jitter, draw(j, n, 2), draw(j, n, 3)));
}

static void paste_rectangle(const struct job *j, int64_t n, float *y, float *part) {
    const cutpaste *p = j->p;
    ck_paste cut = ck_draw_rectangle(p, draw(j, n, 0), draw(j, n, 1));
    cut_part(j, n, part, &cut);
    for (int row = 0; row < cut.h; row++)
        memcpy(y + ((int64_t)(cut.to_top + row) * p->w + cut.to_left) * p->c,
               part + (int64_t)row * cut.w * p->c, sizeof(float) * (size_t)(cut.w * p->c));
}

static void paste_scar(const struct job *j, int64_t n, float *y, float *part) {
    const cutpaste *p = j->p;
    ck_paste cut = ck_draw_scar(p, draw(j, n, 0), draw(j, n, 1));
    cut_part(j, n, part, &cut);
    for (int row = 0; row < p->h; row++)
        for (int column = 0; column < p->w; column++)
            ck_paste_scar_pixel(y + ((int64_t)row * p->w + column) * p->c, p->c, &cut, part, row, column);
}

static void paste_image(void *context, int64_t n, int worker) {
    struct job *j = context;
    int64_t size = image_size(j->p);
    float *y = j->y + n * size, *part = j->scratch + (int64_t)worker * size;
    memcpy(y, j->x + n * size, sizeof(float) * (size_t)size);
    if (j->kinds[n] == CK_PASTE_RECTANGLE) paste_rectangle(j, n, y, part);
    if (j->kinds[n] == CK_PASTE_SCAR) paste_scar(j, n, y, part);
}

ck_status ck_cpu_cutpaste(const ck_cutpaste_operands *t, const cutpaste *p, void *workspace) {
    struct job j = {.p = p, .y = t->y, .x = t->x, .kinds = t->kinds, .step = t->step, .scratch = workspace};
    ck_parallel_for(p->n, paste_image, &j);
    return CK_OK;
}

uint64_t ck_cpu_workspace_cutpaste(const cutpaste *p) {
    return sizeof(float) * (uint64_t)(image_size(p) * ck_thread_count());
}
