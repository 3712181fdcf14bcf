// SHA-256 (FIPS 180-4). Its constants are computed as the standard defines them, not copied: the round
// constants are the first 32 bits of the fractional parts of the cube roots of the first 64 primes (4.2.2),
// the first state those of the square roots of the first eight (5.3.3).
#include "internal.h"
#include <string.h>

enum { ROUNDS = 64, STATE = 8, SQUARE = 2, CUBE = 3 };

static int is_prime(int n) {
    for (int d = 2; d * d <= n; d++)
        if (n % d == 0) return 0;
    return 1;
}

// The first 32 bits of the fraction of the square or cube root of `prime`. The root of prime * 2^(32 *
// power), rounded down, is that of `prime` with 32 bits behind the point; it is found from its highest bit
// on. The largest prime is 311: roots take 37 bits at most, their cubes 111.
static uint32_t root_fraction(int prime, int power) {
    unsigned __int128 target = (unsigned __int128)prime << (32 * power), root = 0;
    for (int bit = 36; bit >= 0; bit--) {
        unsigned __int128 next = root | (unsigned __int128)1 << bit, value = next;
        for (int i = 1; i < power; i++) value *= next;
        if (value <= target) root = next;
    }
    return (uint32_t)root;
}

static void find_constants(uint32_t rounds[ROUNDS], uint32_t state[STATE]) {
    for (int candidate = 2, found = 0; found < ROUNDS; candidate++) {
        if (!is_prime(candidate)) continue;
        rounds[found] = root_fraction(candidate, CUBE);
        if (found < STATE) state[found] = root_fraction(candidate, SQUARE);
        found++;
    }
}

// The functions of 4.1.2; `rotate` is to the right.
static uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }
static uint32_t choice(uint32_t x, uint32_t y, uint32_t z) { return (x & y) ^ (~x & z); }
static uint32_t majority(uint32_t x, uint32_t y, uint32_t z) { return (x & y) ^ (x & z) ^ (y & z); }
static uint32_t large_sigma0(uint32_t x) { return rotate(x, 2) ^ rotate(x, 13) ^ rotate(x, 22); }
static uint32_t large_sigma1(uint32_t x) { return rotate(x, 6) ^ rotate(x, 11) ^ rotate(x, 25); }
static uint32_t small_sigma0(uint32_t x) { return rotate(x, 7) ^ rotate(x, 18) ^ x >> 3; }
static uint32_t small_sigma1(uint32_t x) { return rotate(x, 17) ^ rotate(x, 19) ^ x >> 10; }

// Takes one block of the message into the state (6.2.2).
static void absorb(uint32_t state[STATE], const uint32_t rounds[ROUNDS], const uint8_t block[64]) {
    uint32_t w[ROUNDS], s[STATE];
    for (int t = 0; t < 16; t++) {
        const uint8_t *at = block + 4 * t;
        w[t] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    }
    for (int t = 16; t < ROUNDS; t++)
        w[t] = small_sigma1(w[t - 2]) + w[t - 7] + small_sigma0(w[t - 15]) + w[t - 16];
    memcpy(s, state, sizeof s);
    for (int t = 0; t < ROUNDS; t++) {
        uint32_t first = s[7] + large_sigma1(s[4]) + choice(s[4], s[5], s[6]) + rounds[t] + w[t];
        uint32_t second = large_sigma0(s[0]) + majority(s[0], s[1], s[2]);
        for (int i = STATE - 1; i > 0; i--) s[i] = s[i - 1];
        s[4] += first;
        s[0] = first + second;
    }
    for (int i = 0; i < STATE; i++) state[i] += s[i];
}

void ck_sha256(const void *bytes, uint64_t count, uint8_t digest[32]) {
    uint32_t rounds[ROUNDS], state[STATE];
    find_constants(rounds, state);
    const uint8_t *at = bytes;
    uint64_t left = count;
    for (; left >= 64; left -= 64, at += 64) absorb(state, rounds, at);
    uint8_t tail[128] = {0};
    if (left) memcpy(tail, at, left);
    tail[left] = 0x80;
    uint64_t end = left < 56 ? 64 : 128;
    for (int i = 0; i < 8; i++) tail[end - 1 - i] = (uint8_t)(count * 8 >> (8 * i));
    for (uint64_t first = 0; first < end; first += 64) absorb(state, rounds, tail + first);
    for (int i = 0; i < 32; i++) digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}
