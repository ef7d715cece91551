static inline float bh_exp_f(float x) { return expf(x); }
static inline double bh_exp(double x) { return exp(x); }
static inline float bh_expm1_f(float x) { return expm1f(x); }
static inline double bh_expm1(double x) { return expm1(x); }
static inline float bh_tanh_f(float x) { return tanhf(x); }
static inline double bh_tanh(double x) { return tanh(x); }
static inline float bh_sigmoid_f(float x) { return 1.0f / (1.0f + expf(-x)); }
static inline double bh_sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
