// CutPaste (Li et al., CVPR 2021, section 2 and appendix A.2): a part of the image, jittered in colour, is pasted elsewhere in
// it, as a rectangle or as a thin turned scar. One task an image; what each draws depends on (seed, step, image, stream) alone.
#include "jitter.h"

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
    return ck_philox(j->step->seed, j->step->step, (uint32_t)n, j->p->stream + (block << 12));
}

// A part of the image, jittered: part[h][w][c].
static void cut(const struct job *j, int64_t n, float *part, int h, int w, ck_random4 place) {
    const cutpaste *p = j->p;
    int top = (int)ck_below(place.v[0], (uint32_t)(p->h - h + 1)), left = (int)ck_below(place.v[1], (uint32_t)(p->w - w + 1));
    const float *x = j->x + n * image_size(p);
    for (int row = 0; row < h; row++)
        memcpy(part + (int64_t)row * w * p->c, x + ((int64_t)(top + row) * p->w + left) * p->c,
               sizeof(float) * (size_t)(w * p->c));
    ck_jitter jitter = {{p->jitter, p->jitter, p->jitter, p->jitter}};
    ck_jitter_pixels(part, (int64_t)h * w, jitter, draw(j, n, 2), draw(j, n, 3));
}

static int clamped(float value, int low, int high) {
    int whole = (int)(value + 0.5f);
    return whole < low ? low : whole > high ? high : whole;
}

// A rectangle of a random share of the image's area and a random aspect, upright.
static void paste_rectangle(const struct job *j, int64_t n, float *y, float *part) {
    const cutpaste *p = j->p;
    ck_random4 r = draw(j, n, 0), place = draw(j, n, 1);
    float area = (p->area_minimum + (p->area_maximum - p->area_minimum) * ck_uniform(r.v[0])) * (float)p->h * (float)p->w;
    float u = ck_uniform(r.v[1]);  // aspect: in (a, 1) or in (1, 1 / a), evenly
    float aspect = r.v[2] >> 31 ? 1 + (1 / p->aspect - 1) * u : p->aspect + (1 - p->aspect) * u;
    int h = clamped(sqrtf(area * aspect), 1, p->h), w = clamped(sqrtf(area / aspect), 1, p->w);
    cut(j, n, part, h, w, place);
    int top = (int)ck_below(place.v[2], (uint32_t)(p->h - h + 1)), left = (int)ck_below(place.v[3], (uint32_t)(p->w - w + 1));
    for (int row = 0; row < h; row++)
        memcpy(y + ((int64_t)(top + row) * p->w + left) * p->c, part + (int64_t)row * w * p->c,
               sizeof(float) * (size_t)(w * p->c));
}

static float unit(float value) { return value < 0 ? 0 : value > 1 ? 1 : value; }

// A thin rectangle, turned about its centre; its edges are blended by how much of a pixel they cover.
static void paste_scar(const struct job *j, int64_t n, float *y, float *part) {
    const cutpaste *p = j->p;
    ck_random4 r = draw(j, n, 0), place = draw(j, n, 1);
    int limit = p->h < p->w ? p->h : p->w;
    int w = p->scar_width_minimum + (int)ck_below(r.v[0], (uint32_t)(p->scar_width_maximum - p->scar_width_minimum + 1));
    int l = p->scar_length_minimum + (int)ck_below(r.v[1], (uint32_t)(p->scar_length_maximum - p->scar_length_minimum + 1));
    w = w < limit ? w : limit;
    l = l < limit ? l : limit;
    float angle = p->angle * (2 * ck_uniform(r.v[2]) - 1), cosine = cosf(angle), sine = sinf(angle);
    cut(j, n, part, l, w, place);  // l rows of w: a scar stands upright before it is turned
    float down = 0.5f * (fabsf(cosine) * (float)l + fabsf(sine) * (float)w);
    float across = 0.5f * (fabsf(sine) * (float)l + fabsf(cosine) * (float)w);
    float row0 = fminf(down, 0.5f * (float)p->h), column0 = fminf(across, 0.5f * (float)p->w);
    row0 += ck_uniform(place.v[2]) * ((float)p->h - 2 * row0);
    column0 += ck_uniform(place.v[3]) * ((float)p->w - 2 * column0);
    for (int row = 0; row < p->h; row++) {
        float dy = (float)row + 0.5f - row0;
        if (fabsf(dy) > down + 1) continue;
        for (int column = 0; column < p->w; column++) {
            float dx = (float)column + 0.5f - column0;
            float u = cosine * dx + sine * dy, v = cosine * dy - sine * dx;  // across and along the scar
            float alpha = unit(0.5f * (float)w + 0.5f - fabsf(u)) * unit(0.5f * (float)l + 0.5f - fabsf(v));
            if (!(alpha > 0)) continue;
            float a = fminf(fmaxf(u + 0.5f * (float)w - 0.5f, 0), (float)(w - 1));
            float b = fminf(fmaxf(v + 0.5f * (float)l - 0.5f, 0), (float)(l - 1));
            int a0 = (int)a, b0 = (int)b, a1 = a0 + 1 < w ? a0 + 1 : a0, b1 = b0 + 1 < l ? b0 + 1 : b0;
            float fa = a - (float)a0, fb = b - (float)b0;
            float *to = y + ((int64_t)row * p->w + column) * p->c;
            for (int c = 0; c < p->c; c++) {
                float upper = part[(b0 * w + a0) * p->c + c] * (1 - fa) + part[(b0 * w + a1) * p->c + c] * fa;
                float lower = part[(b1 * w + a0) * p->c + c] * (1 - fa) + part[(b1 * w + a1) * p->c + c] * fa;
                to[c] += alpha * (upper * (1 - fb) + lower * fb - to[c]);
            }
        }
    }
}

static void paste_image(void *context, int64_t n, int worker) {
    struct job *j = context;
    int64_t size = image_size(j->p);
    float *y = j->y + n * size, *part = j->scratch + (int64_t)worker * size;
    memcpy(y, j->x + n * size, sizeof(float) * (size_t)size);
    if (j->kinds[n] == CK_PASTE_RECTANGLE) paste_rectangle(j, n, y, part);
    if (j->kinds[n] == CK_PASTE_SCAR) paste_scar(j, n, y, part);
}

ck_status ck_cpu_cutpaste(ck_cpu_call call) {
    struct job j = {&call.p->cutpaste, call.t[0], call.t[1], call.t[2], call.t[3], (float *)call.workspace};
    if (j.p->c != 3) return ck_fail(CK_INVALID_ARGUMENT, "colour operations need 3 channels, not %d", (int)j.p->c);
    ck_parallel_for(j.p->n, paste_image, &j);
    return CK_OK;
}

uint64_t ck_cpu_workspace_cutpaste(const ck_operation *operation) {
    return sizeof(float) * (uint64_t)(image_size(&operation->params.cutpaste) * ck_thread_count());
}
