/* Tells from an accelerometer at the wrist whether somebody stands, walks, runs or plays badminton.
   Two networks learn it here, by the C that Backhand wrote: a convolutional one from ten seconds
   at a time, and a GRU from two and a half. Each takes one example a step, by SGD, as a device
   does that learns while it measures. All memory is static. */
#include <stdio.h>

#include "motion_conv.h"
#include "motion_gru.h"
#include "motions.h"

#define TRAINING (MOTIONS / 2) /* recordings to train on; the others are held out */
#define WINDOWS (MOTION_LENGTH / MOTION_WINDOW)

typedef int Predict(int example, float *scores);
typedef int Learn(int example, double rate, float *loss);

static float ten_seconds[MOTION_AXES * MOTION_LENGTH], few_seconds[MOTION_WINDOW * MOTION_AXES];

/* Axis by axis, as a convolution takes them. */
static const float *whole(int example) {
    for (int i = 0; i < MOTION_AXES * MOTION_LENGTH; i++) {
        ten_seconds[i] = (float)motions[example][i] * MOTION_SCALE;
    }
    return ten_seconds;
}

/* Reading by reading, as they come from the sensor. */
static const float *window(int example) {
    const int16_t *recording = motions[example / WINDOWS];
    for (int time = 0; time < MOTION_WINDOW; time++) {
        for (int axis = 0; axis < MOTION_AXES; axis++) {
            int at = axis * MOTION_LENGTH + example % WINDOWS * MOTION_WINDOW + time;
            few_seconds[time * MOTION_AXES + axis] = (float)recording[at] * MOTION_SCALE;
        }
    }
    return few_seconds;
}

static int predict_conv(int example, float *scores) {
    return motion_conv_predict(whole(example), scores);
}

static int predict_gru(int example, float *scores) {
    return motion_gru_predict(window(example), scores);
}

static int learn_conv(int example, double rate, float *loss) {
    return motion_conv_train_step(whole(example), &motion_classes[example], rate, loss);
}

static int learn_gru(int example, double rate, float *loss) {
    return motion_gru_train_step(window(example), &motion_classes[example / WINDOWS], rate, loss);
}

/* How many examples from one number to another are told right; `parts` of them are a recording. */
static int count_right(Predict *predict, int first, int last, int parts) {
    int right = 0;
    for (int example = first; example < last; example++) {
        float scores[MOTION_ACTIVITIES];
        int best = 0;
        if (predict(example, scores) != 0) return -1;
        for (int i = 1; i < MOTION_ACTIVITIES; i++) {
            if (scores[i] > scores[best]) best = i;
        }
        right += best == (int)motion_classes[example / parts];
    }
    return right;
}

/* Trains on the first half in an order that mixes the activities, and says how well it went. */
static int train(const char *name, Predict *predict, Learn *learn, int parts, int epochs,
                 double rate) {
    const int count = TRAINING * parts;
    printf("%s: %d of %d held out right before\n", name,
           count_right(predict, count, 2 * count, parts), count);
    for (int epoch = 0; epoch < epochs; epoch++) {
        double total = 0.0;
        for (int step = 0; step < count; step++) {
            float loss[1];
            int example = (step * MOTION_STRIDE + epoch * 7) % count;
            if (learn(example, rate * (1.0 - (double)epoch / epochs), loss) != 0) return 1;
            total += (double)loss[0];
        }
        if ((epoch + 1) % 5 == 0) {
            printf("%s: epoch %d, loss %.9g\n", name, epoch + 1, total / count);
        }
    }
    printf("%s: %d of %d held out right after\n", name,
           count_right(predict, count, 2 * count, parts), count);
    return 0;
}

int main(void) {
    if (train("motion_conv", predict_conv, learn_conv, 1, MOTION_CONV_EPOCHS, MOTION_CONV_RATE) ||
        train("motion_gru", predict_gru, learn_gru, WINDOWS, MOTION_GRU_EPOCHS, MOTION_GRU_RATE)) {
        return 1;
    }
    printf("RAM: motion_conv %d bytes, motion_gru %d bytes\n", MOTION_CONV_RAM, MOTION_GRU_RAM);
    return 0;
}
