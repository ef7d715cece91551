/* Trains a network on the disc, with nothing but the C that Backhand wrote, and prints how much
   memory that takes. Runs on a computer; on a microcontroller only printf is different. */
#include <stdio.h>

#include "disc.h"
#include "online_sensor.h"
#include "sensor.h"

#define POINTS 1000
#define BATCH 8
#define EPOCHS 60

static float points[POINTS][2], inside[POINTS];

/* A small generator of random numbers (xorshift, Marsaglia 2003). */
static uint32_t state = 2463534242u;

static uint32_t draw(void) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* The disc of area 1/2 in the middle of the unit square. */
static void draw_points(void) {
    for (int i = 0; i < POINTS; i++) {
        float x = (float)(draw() >> 8) / 16777216.0f, y = (float)(draw() >> 8) / 16777216.0f;
        points[i][0] = x;
        points[i][1] = y;
        inside[i] = (x - 0.5f) * (x - 0.5f) + (y - 0.5f) * (y - 0.5f) < 0.15915494f ? 1.0f : 0.0f;
    }
}

static float share_right(void) {
    int right = 0;
    for (int i = 0; i < POINTS; i++) {
        float prediction[1];
        disc_predict(points[i], prediction);
        right += (prediction[0] > 0.5f) == (inside[i] > 0.5f);
    }
    return (float)right / POINTS;
}

int main(void) {
    float reading[16] = {0.0f}, scores[4], loss[1];
    const int64_t class[1] = {2};

    draw_points();
    printf("before: %.1f %% of the points right\n", 100.0 * (double)share_right());
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        float total = 0.0f;
        for (int step = 0; step < POINTS / BATCH; step++) {
            float input[2 * BATCH], target[BATCH];
            for (int row = 0; row < BATCH; row++) {
                uint32_t chosen = draw() % POINTS;
                input[2 * row] = points[chosen][0];
                input[2 * row + 1] = points[chosen][1];
                target[row] = inside[chosen];
            }
            if (disc_train_step(input, target, 2.0 * (1.0 - (double)epoch / EPOCHS), loss) != 0) {
                return 1;
            }
            total += loss[0];
        }
        if ((epoch + 1) % 20 == 0) {
            printf("epoch %d: loss %.4f\n", epoch + 1, (double)total / (POINTS / BATCH));
        }
    }
    draw_points();
    printf("after: %.1f %% of new points right\n", 100.0 * (double)share_right());

    for (int step = 0; step < 50; step++) {
        if (online_sensor_train_step(reading, class, 0.1, loss) != 0) return 1;
    }
    if (sensor_predict(reading, scores) != 0) return 1;
    printf("RAM: disc, trained in batches of 8: %d bytes; sensor, trained one reading at a time: "
           "%d; sensor, prediction only: %d\n", DISC_RAM, ONLINE_SENSOR_RAM, SENSOR_RAM);
    return 0;
}
