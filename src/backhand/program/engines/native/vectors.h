/* Vectors of the compiler (GCC, Clang), stored at any address. */
#define BH_VECTOR(name, type, lanes)                                                  \
    typedef type name __attribute__((vector_size(lanes * sizeof(type))));             \
    typedef type name##_anywhere                                                      \
        __attribute__((vector_size(lanes * sizeof(type)), aligned(sizeof(type)), may_alias));
BH_VECTOR(float_2, float, 2)
BH_VECTOR(float_4, float, 4)
BH_VECTOR(float_8, float, 8)
BH_VECTOR(float_16, float, 16)
BH_VECTOR(double_2, double, 2)
BH_VECTOR(double_4, double, 4)
BH_VECTOR(double_8, double, 8)
#define BH_LOAD(name, pointer) (*(const name##_anywhere *)(pointer))
#define BH_STORE(name, pointer, value) (*(name##_anywhere *)(pointer) = (value))

/* Half as many lanes: the lower added to the upper. */
#define BH_FOLD(whole, half)                                     \
    static inline half fold_##whole(whole value) {               \
        union { whole both; half one[2]; } parts = {value};      \
        return parts.one[0] + parts.one[1];                      \
    }
BH_FOLD(float_16, float_8)
BH_FOLD(float_8, float_4)
BH_FOLD(float_4, float_2)
BH_FOLD(double_8, double_4)
BH_FOLD(double_4, double_2)
static inline float fold_float_2(float_2 value) { return value[0] + value[1]; }
static inline double fold_double_2(double_2 value) { return value[0] + value[1]; }

/* Four vectors, each folded to one element; the same sums in the same order. */
#if defined(__clang__) || __GNUC__ >= 12
#define BH_PICK(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define BH_PICK(a, b, i, j, k, l) __builtin_shuffle(a, b, (int_4){i, j, k, l})
typedef int int_4 __attribute__((vector_size(16)));
#endif
static inline float_4 folds_float_4(float_4 a, float_4 b, float_4 c, float_4 d) {
    float_4 ab = BH_PICK(a, b, 0, 4, 1, 5) + BH_PICK(a, b, 2, 6, 3, 7);
    float_4 cd = BH_PICK(c, d, 0, 4, 1, 5) + BH_PICK(c, d, 2, 6, 3, 7);
    return BH_PICK(ab, cd, 0, 1, 4, 5) + BH_PICK(ab, cd, 2, 3, 6, 7);
}
#define BH_FOLDS(whole, pair)                                                  \
    static inline whole folds_##pair(pair a, pair b, pair c, pair d) {         \
        return (whole){a[0], b[0], c[0], d[0]} + (whole){a[1], b[1], c[1], d[1]}; \
    }
BH_FOLDS(float_4, float_2)
BH_FOLDS(double_4, double_2)

/* Kept in a register, where the compiler would load it again for each use. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#if defined(__AVX512F__)
#define BH_REGISTER 64
#elif defined(__AVX__)
#define BH_REGISTER 32
#else
#define BH_REGISTER 16
#endif
#define BH_HELD(vector) \
    do { if (sizeof(vector) <= BH_REGISTER) __asm__("" : "+v"(vector)); } while (0)
#else
#define BH_HELD(vector) (void)0
#endif

/* a * b + c, rounded once where the processor can, whatever the loop around it became. By gcc's own
   names: the header that gives them public ones takes longer to compile than a small network. */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
static inline float fused_float(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
static inline double fused_double(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
static inline float fused_float(float a, float b, float c) { return a * b + c; }
static inline double fused_double(double a, double b, double c) { return a * b + c; }
#endif
#define BH_FUSED(vector, text) \
    static inline vector fused_##vector(vector a, vector b, vector c) { return text; }
#define BH_LANE(type, i) fused_##type(a[i], b[i], c[i])
#define BH_LANES_2(type) {BH_LANE(type, 0), BH_LANE(type, 1)}
#define BH_LANES_4(type) {BH_LANE(type, 0), BH_LANE(type, 1), BH_LANE(type, 2), BH_LANE(type, 3)}
#define BH_LANES_8(type)                                                                  \
    {BH_LANE(type, 0), BH_LANE(type, 1), BH_LANE(type, 2), BH_LANE(type, 3),              \
     BH_LANE(type, 4), BH_LANE(type, 5), BH_LANE(type, 6), BH_LANE(type, 7)}
#define BH_LANES_16(type)                                                                 \
    {BH_LANE(type, 0), BH_LANE(type, 1), BH_LANE(type, 2), BH_LANE(type, 3),              \
     BH_LANE(type, 4), BH_LANE(type, 5), BH_LANE(type, 6), BH_LANE(type, 7),              \
     BH_LANE(type, 8), BH_LANE(type, 9), BH_LANE(type, 10), BH_LANE(type, 11),            \
     BH_LANE(type, 12), BH_LANE(type, 13), BH_LANE(type, 14), BH_LANE(type, 15)}
#if defined(__GNUC__) && !defined(__clang__) && defined(__FMA__)
BH_FUSED(float_4, __builtin_ia32_vfmaddps(a, b, c))
BH_FUSED(float_8, __builtin_ia32_vfmaddps256(a, b, c))
BH_FUSED(double_2, __builtin_ia32_vfmaddpd(a, b, c))
BH_FUSED(double_4, __builtin_ia32_vfmaddpd256(a, b, c))
#else
BH_FUSED(float_4, (float_4)BH_LANES_4(float))
BH_FUSED(float_8, (float_8)BH_LANES_8(float))
BH_FUSED(double_2, (double_2)BH_LANES_2(double))
BH_FUSED(double_4, (double_4)BH_LANES_4(double))
#endif
#if defined(__GNUC__) && !defined(__clang__) && defined(__AVX512F__)
BH_FUSED(float_16, __builtin_ia32_vfmaddps512_mask(a, b, c, -1, 4))
BH_FUSED(double_8, __builtin_ia32_vfmaddpd512_mask(a, b, c, -1, 4))
#else
BH_FUSED(float_16, (float_16)BH_LANES_16(float))
BH_FUSED(double_8, (double_8)BH_LANES_8(double))
#endif
BH_FUSED(float_2, (float_2)BH_LANES_2(float))

#if defined(__clang__)
#define BH_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define BH_INDEPENDENT _Pragma("GCC ivdep")
#else
#define BH_INDEPENDENT
#endif
