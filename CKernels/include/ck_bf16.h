// bf16, the upper half of a float, on the host: a sign, 8 bits of exponent and 7 of fraction.
#ifndef CK_BF16_H
#define CK_BF16_H

#include <stdint.h>
#include <string.h>

// To the nearest, ties to even. What is too large becomes infinity; NaN stays NaN.
static inline uint16_t ck_bf16_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1)) >> 16);
}

static inline float ck_float_of_bf16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
