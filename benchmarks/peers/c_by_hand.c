/* A training step of 2-25-25-1 (ReLU, sigmoid, mean squared error) as one would write it in C:
   the floor under the native engine. SGD or Adam; BATCH and ADAM are set by the compiler's -D. */
#include <math.h>
#include <stdint.h>

#ifndef BATCH
#define BATCH 8
#endif
#define WIDTH 25

typedef struct {
    float w0[WIDTH][2], b0[WIDTH], w1[WIDTH][WIDTH], b1[WIDTH], w2[WIDTH], b2;
} Weights;

#define COUNT ((int)(sizeof(Weights) / sizeof(float)))

static void forward(const Weights *w, float x[BATCH][2], float h0[BATCH][WIDTH],
                    float h1[BATCH][WIDTH], float out[BATCH]) {
    float turned[WIDTH][WIDTH];
    for (int j = 0; j < WIDTH; j++)
        for (int k = 0; k < WIDTH; k++) turned[k][j] = w->w1[j][k];
    for (int i = 0; i < BATCH; i++) {
        for (int j = 0; j < WIDTH; j++) {
            float total = w->b0[j] + x[i][0] * w->w0[j][0] + x[i][1] * w->w0[j][1];
            h0[i][j] = total < 0 ? 0 : total;
        }
        float total[WIDTH];
        for (int j = 0; j < WIDTH; j++) total[j] = w->b1[j];
        for (int k = 0; k < WIDTH; k++)
            for (int j = 0; j < WIDTH; j++) total[j] += h0[i][k] * turned[k][j];
        for (int j = 0; j < WIDTH; j++) h1[i][j] = total[j] < 0 ? 0 : total[j];
        float sum = w->b2;
        for (int j = 0; j < WIDTH; j++) sum += h1[i][j] * w->w2[j];
        out[i] = 1.0f / (1.0f + expf(-sum));
    }
}

static float step(Weights *w, Weights *change, float x[BATCH][2], const float *y, float rate) {
    float h0[BATCH][WIDTH], h1[BATCH][WIDTH], out[BATCH], loss = 0;
    float e1[BATCH][WIDTH], e0[BATCH][WIDTH], e[BATCH];
    forward(w, x, h0, h1, out);
    for (int i = 0; i < BATCH; i++) {
        float d = out[i] - y[i];
        loss += d * d;
        e[i] = d * (2.0f / BATCH) * (out[i] - out[i] * out[i]);
        for (int j = 0; j < WIDTH; j++) e1[i][j] = h1[i][j] > 0 ? e[i] * w->w2[j] : 0;
        float total[WIDTH] = {0};
        for (int k = 0; k < WIDTH; k++)
            for (int j = 0; j < WIDTH; j++) total[j] += e1[i][k] * w->w1[k][j];
        for (int j = 0; j < WIDTH; j++) e0[i][j] = h0[i][j] > 0 ? total[j] : 0;
    }
    for (int i = 0; i < BATCH; i++) {
        for (int j = 0; j < WIDTH; j++) change->w2[j] -= rate * e[i] * h1[i][j];
        change->b2 -= rate * e[i];
        for (int j = 0; j < WIDTH; j++) change->b1[j] -= rate * e1[i][j];
        for (int j = 0; j < WIDTH; j++) change->b0[j] -= rate * e0[i][j];
        for (int j = 0; j < WIDTH; j++) {
            change->w0[j][0] -= rate * e0[i][j] * x[i][0];
            change->w0[j][1] -= rate * e0[i][j] * x[i][1];
        }
    }
    for (int j = 0; j < WIDTH; j++)
        for (int i = 0; i < BATCH; i++)
            for (int k = 0; k < WIDTH; k++) change->w1[j][k] -= rate * e1[i][j] * h0[i][k];
    return loss / BATCH;
}

#ifdef ADAM
static void adam(Weights *w, const Weights *change, Weights *mean, Weights *square, double rate,
                 int64_t t) {
    float *value = (float *)w, *m = (float *)mean, *s = (float *)square;
    const float *g = (const float *)change;
    const double unbias = sqrt(1 - pow(0.999, (double)t));
    const float size = (float)(rate * unbias / (1 - pow(0.9, (double)t)));
    const float small = (float)(1e-8 * unbias);
    for (int i = 0; i < COUNT; i++) {
        m[i] += 0.1f * (g[i] - m[i]);
        s[i] = 0.999f * s[i] + 0.001f * g[i] * g[i];
        value[i] -= size * m[i] / (sqrtf(s[i]) + small);
    }
}
#endif

/* Steps over a data set in an order, as step.run takes them; state is two more Weights. */
void by_hand(Weights *w, Weights *state, const float *inputs, const float *targets,
               const int64_t *order, const double *rates, float *losses, int64_t steps) {
    for (int64_t at = 0; at < steps; at++) {
        float x[BATCH][2], y[BATCH];
        for (int i = 0; i < BATCH; i++) {
            int64_t row = order[at * BATCH + i];
            x[i][0] = inputs[2 * row];
            x[i][1] = inputs[2 * row + 1];
            y[i] = targets[row];
        }
#ifdef ADAM
        Weights gradient = {0};
        losses[at] = step(w, &gradient, x, y, -1.0f);
        adam(w, &gradient, &state[0], &state[1], rates[at], at + 1);
#else
        (void)state;
        losses[at] = step(w, w, x, y, (float)rates[at]);
#endif
    }
}
