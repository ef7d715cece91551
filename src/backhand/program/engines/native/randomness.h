/* Philox 4x32-10: four random words from a key and a counter. Salmon et al., "Parallel Random
   Numbers: As Easy as 1, 2, 3" (2011). */
static inline void bh_philox(uint64_t key, uint64_t step, uint32_t call, uint32_t block,
                             uint32_t words[4]) {
    uint32_t a = block, b = call, c = (uint32_t)step, d = (uint32_t)(step >> 32);
    uint32_t k = (uint32_t)key, l = (uint32_t)(key >> 32);
    int round;
    for (round = 0; round < 10; round++) {
        uint64_t first = (uint64_t)0xD2511F53u * a, second = (uint64_t)0xCD9E8D57u * c;
        a = (uint32_t)(second >> 32) ^ b ^ k;
        b = (uint32_t)second;
        c = (uint32_t)(first >> 32) ^ d ^ l;
        d = (uint32_t)first;
        k += 0x9E3779B9u;
        l += 0xBB67AE85u;
    }
    words[0] = a;
    words[1] = b;
    words[2] = c;
    words[3] = d;
}

/* Uniform in [0, 1), of 24 or 53 bits. */
static inline float bh_uniform_f(uint32_t word) { return (float)(word >> 8) * 5.9604644775390625e-8f; }
static inline double bh_uniform(uint32_t high, uint32_t low) {
    return (double)((((uint64_t)high << 32) | low) >> 11) * 1.1102230246251565e-16;
}
