static inline float bh_sign_f(float x) { return (float)((x > 0.0f) - (x < 0.0f)); }
static inline double bh_sign(double x) { return (double)((x > 0.0) - (x < 0.0)); }

/* The larger and the smaller of two; NaN where one of them is. */
static inline float bh_maximum_f(float a, float b) { return a > b || a != a ? a : b; }
static inline double bh_maximum(double a, double b) { return a > b || a != a ? a : b; }
static inline float bh_minimum_f(float a, float b) { return a < b || a != a ? a : b; }
static inline double bh_minimum(double a, double b) { return a < b || a != a ? a : b; }
