// SHA-256 (FIPS 180-4). The constants are the first 32 bits of the fractional parts of the roots of the first primes.
#include "internal.h"
#include <string.h>

static uint32_t turned(uint32_t x, int n) { return x >> n | x << (32 - n); }

// The first 32 bits of the fraction of the square or cube root of `prime`: the root of prime * 2^(32 * power), bit by bit.
static uint32_t root_fraction(int prime, int power) {
    unsigned __int128 target = (unsigned __int128)prime << (32 * power), root = 0;
    for (int bit = 36; bit >= 0; bit--) {
        unsigned __int128 next = root | (unsigned __int128)1 << bit, value = next;
        for (int i = 1; i < power; i++) value *= next;
        if (value <= target) root = next;
    }
    return (uint32_t)root;
}

static void absorb(uint32_t state[8], const uint32_t constants[64], const uint8_t block[64]) {
    uint32_t w[64], s[8];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 | (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
    for (int t = 16; t < 64; t++) {
        uint32_t a = turned(w[t - 15], 7) ^ turned(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t b = turned(w[t - 2], 17) ^ turned(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = w[t - 16] + a + w[t - 7] + b;
    }
    memcpy(s, state, sizeof s);
    for (int t = 0; t < 64; t++) {
        uint32_t mixed = turned(s[4], 6) ^ turned(s[4], 11) ^ turned(s[4], 25), choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
        uint32_t first = s[7] + mixed + choice + constants[t] + w[t];
        uint32_t spread = turned(s[0], 2) ^ turned(s[0], 13) ^ turned(s[0], 22);
        uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        for (int i = 7; i > 0; i--) s[i] = s[i - 1];
        s[4] += first;
        s[0] = first + spread + majority;
    }
    for (int i = 0; i < 8; i++) state[i] += s[i];
}

void ck_sha256(const void *bytes, uint64_t count, uint8_t digest[32]) {
    uint32_t constants[64], state[8];
    for (int candidate = 2, found = 0; found < 64; candidate++) {
        int is_prime = 1;
        for (int d = 2; d * d <= candidate; d++) is_prime &= candidate % d != 0;
        if (!is_prime) continue;
        constants[found] = root_fraction(candidate, 3);
        if (found < 8) state[found] = root_fraction(candidate, 2);
        found++;
    }
    const uint8_t *at = bytes;
    uint64_t left = count;
    for (; left >= 64; left -= 64, at += 64) absorb(state, constants, at);
    uint8_t tail[128] = {0};
    if (left) memcpy(tail, at, left);
    tail[left] = 0x80;
    uint64_t end = left < 56 ? 64 : 128;
    for (int i = 0; i < 8; i++) tail[end - 1 - i] = (uint8_t)(count * 8 >> (8 * i));
    for (uint64_t first = 0; first < end; first += 64) absorb(state, constants, tail + first);
    for (int i = 0; i < 32; i++) digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}
