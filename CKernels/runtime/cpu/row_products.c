// Products of rows with rows; see the header.
#include "row_products.h"
#include "cpu.h"
#include "simd.h"

typedef double wide __attribute__((vector_size(64), aligned(8)));

// Defines the functions for a number type: PANEL numbers to a vector.
//
// A tile of rows x vectors is in registers while it is summed over d. Whatever its shape, every sum goes
// through the same multiplications and additions.
#define ROW_PRODUCTS(suffix, number, vector, PANEL)                                                          \
    struct packing##suffix {                                                                                 \
        number *packed;                                                                                      \
        const number *s;                                                                                     \
        int64_t m, d;                                                                                        \
    };                                                                                                       \
                                                                                                             \
    static void pack_panel##suffix(void *context, int64_t panel, int worker) {                               \
        (void)worker;                                                                                        \
        const struct packing##suffix *j = context;                                                           \
        number *to = j->packed + panel * PANEL * j->d;                                                       \
        int64_t rows = ck_min64(PANEL, j->m - panel * PANEL);                                                \
        const number *from = j->s + panel * PANEL * j->d;                                                    \
        for (int64_t l = 0; l < j->d; l++)                                                                   \
            for (int64_t i = 0; i < PANEL; i++) to[l * PANEL + i] = i < rows ? from[i * j->d + l] : 0;       \
    }                                                                                                        \
                                                                                                             \
    void ck_pack_rows##suffix(number *packed, const number *s, int64_t m, int64_t d) {                       \
        struct packing##suffix j = {packed, s, m, d};                                                        \
        ck_parallel_for(ck_ceil_div(m, PANEL), pack_panel##suffix, &j);                                      \
    }                                                                                                        \
                                                                                                             \
    CK_INLINED void tile##suffix(number *out, int64_t stride, const number *x, const number *packed,         \
                                 int64_t columns, int64_t d, const int rows, const int vectors) {            \
        vector sum[8][2];                                                                                    \
        _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++)                                    \
            _Pragma("clang loop unroll(full)") for (int j = 0; j < vectors; j++) sum[r][j] = (vector){0};    \
        _Pragma("clang loop unroll_count(2)") for (int64_t l = 0; l < d; l++) {                              \
            vector w[2];                                                                                     \
            _Pragma("clang loop unroll(full)") for (int j = 0; j < vectors; j++) w[j] =                      \
                *(const vector *)(packed + (j * d + l) * PANEL);                                             \
            _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++)                                \
                _Pragma("clang loop unroll(full)") for (int j = 0; j < vectors; j++) sum[r][j] +=            \
                x[r * d + l] * w[j];                                                                         \
        }                                                                                                    \
        _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++)                                    \
            _Pragma("clang loop unroll(full)") for (int j = 0; j < vectors; j++) {                           \
            number *to = out + r * stride + j * PANEL;                                                       \
            if (columns >= (j + 1) * PANEL)                                                                  \
                *(vector *)to = sum[r][j];                                                                   \
            else                                                                                             \
                for (int64_t i = 0; i < columns - j * PANEL; i++) to[i] = sum[r][j][i];                      \
        }                                                                                                    \
    }                                                                                                        \
                                                                                                             \
    CK_INLINED void products##suffix##_body(number *out, int64_t stride, const number *x, int64_t n,         \
                                            const number *packed, int64_t m, int64_t d, const int rows,      \
                                            const int vectors) {                                             \
        for (int64_t column = 0; column < m;) {                                                              \
            int pair = vectors == 2 && m - column > PANEL;                                                   \
            const number *with = packed + column * d;                                                        \
            int64_t row = 0;                                                                                 \
            for (; row + rows <= n; row += rows) {                                                           \
                number *to = out + row * stride + column;                                                    \
                if (pair)                                                                                    \
                    tile##suffix(to, stride, x + row * d, with, m - column, d, rows, 2);                     \
                else                                                                                         \
                    tile##suffix(to, stride, x + row * d, with, m - column, d, rows, 1);                     \
            }                                                                                                \
            for (; row < n; row++) {                                                                         \
                number *to = out + row * stride + column;                                                    \
                if (pair)                                                                                    \
                    tile##suffix(to, stride, x + row * d, with, m - column, d, 1, 2);                        \
                else                                                                                         \
                    tile##suffix(to, stride, x + row * d, with, m - column, d, 1, 1);                        \
            }                                                                                                \
            column += pair ? 2 * PANEL : PANEL;                                                              \
        }                                                                                                    \
    }                                                                                                        \
    CK_VERSIONS(products##suffix,                                                                            \
                (number * out, int64_t stride, const number *x, int64_t n, const number *packed, int64_t m,  \
                 int64_t d),                                                                                 \
                out, stride, x, n, packed, m, d)                                                             \
                                                                                                             \
    void ck_row_products##suffix(number *out, int64_t stride, const number *x, int64_t n,                    \
                                 const number *packed, int64_t m, int64_t d) {                               \
        products##suffix(out, stride, x, n, packed, m, d);                                                   \
    }

ROW_PRODUCTS(, float, ck_v16, CK_PANEL)
ROW_PRODUCTS(_wide, double, wide, CK_WIDE_PANEL)
