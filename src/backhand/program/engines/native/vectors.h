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

#if defined(__clang__)
#define BH_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define BH_INDEPENDENT _Pragma("GCC ivdep")
#else
#define BH_INDEPENDENT
#endif
