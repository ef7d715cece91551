/* exp, expm1, tanh and sigmoid without branches, so that loops over them become vector code.
   Float32: within 2 units in the last place; float64: within 1e-15 relative. NaN stays NaN.
   Products are added in one rounding wherever that saves one, in every loop alike. */

static inline float bh_power_of_two_f(uint32_t exponent) {
    uint32_t bits = (exponent + 127u) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

static inline double bh_power_of_two(uint64_t exponent) {
    uint64_t bits = (exponent + 1023u) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

/* x = n log 2 + r: returns r, and n + 2^20 (2^40 in double), which is never negative. */
static inline float bh_reduce_f(float x, uint32_t *n) {
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
    float shifted = fused_float(x, 1.44269504f, shift);
    float whole = shifted - shift;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    *n = bits - 0x4B400000u;
    return fused_float(whole, -1.42860677e-6f, fused_float(whole, -0.693145752f, x));
}

static inline double bh_reduce(double x, uint64_t *n) {
    const double shift = 6755399441055744.0; /* 1.5 * 2^52 */
    double shifted = fused_double(x, 1.4426950408889634, shift);
    double whole = shifted - shift;
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    *n = bits - 0x4338000000000000u;
    return fused_double(whole, -1.9082149292705877e-10, fused_double(whole, -0.69314718036912382, x));
}

/* e^r - 1 for |r| <= log(2) / 2, by Taylor's series. */
static inline float bh_small_expm1_f(float r) {
    float tail = 1.0f / 5040.0f;
    tail = fused_float(tail, r, 1.0f / 720.0f);
    tail = fused_float(tail, r, 1.0f / 120.0f);
    tail = fused_float(tail, r, 1.0f / 24.0f);
    tail = fused_float(tail, r, 1.0f / 6.0f);
    tail = fused_float(tail, r, 0.5f);
    return fused_float(tail * r, r, r);
}

static inline double bh_small_expm1(double r) {
    double tail = 1.0 / 6227020800.0;
    tail = fused_double(tail, r, 1.0 / 479001600.0);
    tail = fused_double(tail, r, 1.0 / 39916800.0);
    tail = fused_double(tail, r, 1.0 / 3628800.0);
    tail = fused_double(tail, r, 1.0 / 362880.0);
    tail = fused_double(tail, r, 1.0 / 40320.0);
    tail = fused_double(tail, r, 1.0 / 5040.0);
    tail = fused_double(tail, r, 1.0 / 720.0);
    tail = fused_double(tail, r, 1.0 / 120.0);
    tail = fused_double(tail, r, 1.0 / 24.0);
    tail = fused_double(tail, r, 1.0 / 6.0);
    tail = fused_double(tail, r, 0.5);
    return fused_double(tail * r, r, r);
}

static inline float bh_exp_f(float x) {
    uint32_t n, half;
    float r;
    x = x > 89.0f ? 89.0f : x;
    x = x < -105.0f ? -105.0f : x;
    r = bh_reduce_f(x, &n);
    /* In two factors, since 2^n alone may be too large or too small. */
    half = (uint32_t)((int32_t)n >> 1);
    return (bh_small_expm1_f(r) + 1.0f) * bh_power_of_two_f(half) * bh_power_of_two_f(n - half);
}

static inline double bh_exp(double x) {
    uint64_t n, half;
    double r;
    x = x > 710.0 ? 710.0 : x;
    x = x < -746.0 ? -746.0 : x;
    r = bh_reduce(x, &n);
    half = (uint64_t)((int64_t)n >> 1);
    return (bh_small_expm1(r) + 1.0) * bh_power_of_two(half) * bh_power_of_two(n - half);
}

/* (s + 1) 2^n - 1 with s = e^r - 1, its last places kept near 0: ((s + 1) a - 1 / b) b, ab = 2^n. */
static inline float bh_expm1_f(float x) {
    uint32_t n, half;
    float r, lower;
    x = x > 89.0f ? 89.0f : x;
    x = x < -105.0f ? -105.0f : x;
    r = bh_reduce_f(x, &n);
    half = (uint32_t)((int32_t)n >> 1);
    lower = bh_power_of_two_f(half);
    lower = fused_float(bh_small_expm1_f(r), lower, lower - bh_power_of_two_f(half - n));
    return lower * bh_power_of_two_f(n - half);
}

static inline double bh_expm1(double x) {
    uint64_t n, half;
    double r, lower;
    x = x > 710.0 ? 710.0 : x;
    x = x < -746.0 ? -746.0 : x;
    r = bh_reduce(x, &n);
    half = (uint64_t)((int64_t)n >> 1);
    lower = bh_power_of_two(half);
    lower = fused_double(bh_small_expm1(r), lower, lower - bh_power_of_two(half - n));
    return lower * bh_power_of_two(n - half);
}

/* tanh |x| = t / (t + 2) with t = e^2|x| - 1, exact to the last places near 0 too. */
static inline float bh_tanh_f(float x) {
    uint32_t n;
    float size = fabsf(x), power, t;
    size = size > 10.0f ? 10.0f : size;
    t = bh_small_expm1_f(bh_reduce_f(2.0f * size, &n));
    power = bh_power_of_two_f(n);
    t = fused_float(power, t, power - 1.0f);
    return copysignf(t / (t + 2.0f), x);
}

static inline double bh_tanh(double x) {
    uint64_t n;
    double size = fabs(x), power, t;
    size = size > 22.0 ? 22.0 : size;
    t = bh_small_expm1(bh_reduce(2.0 * size, &n));
    power = bh_power_of_two(n);
    t = fused_double(power, t, power - 1.0);
    return copysign(t / (t + 2.0), x);
}

static inline float bh_sigmoid_f(float x) { return 1.0f / (1.0f + bh_exp_f(-x)); }
static inline double bh_sigmoid(double x) { return 1.0 / (1.0 + bh_exp(-x)); }
