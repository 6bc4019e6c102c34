/*
 * Measuring on Linux what `cargo v bench` measures on V: see init.c. Rows have V's names (host/src/bench/rows.rs), so
 * that the tool puts one beside the other.
 */

#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCHES = 5, WARMING = 4, PAGE_BYTES = 4096, MESSAGE_BYTES = 32, MOVED_BYTES = 1 << 20 };

/* What one node measures by itself, and what the first of two measures while the second serves. */
void measure_one_node(void);
void count_two_nodes(void);
void time_two_nodes(void);
void count_disk(void);
void time_disk(void);
void serve(void);

/* The mark with that number, for the plugin that counts (host/plugin/count.c). */
#define MARK(number) \
    __asm__ volatile(".byte 0x0f, 0x1f, 0x80, %c0, %c1, 0xa5, 0x7e" ::"i"((number) & 0xff), "i"((number) >> 8))

/* The processor's counter: instructions, under QEMU's deterministic clock. */
static inline uint64_t ticks(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static inline uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Nothing here may fail: the tool sees the machine end without its figures, and shows what it said. */
static inline long must(const char *what, long result)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

static inline void report(const char *name, const char *unit, double value)
{
    printf("figure\t%s\t%s\t%.1f\n", name, unit, value);
}

/* Measures an operation in ticks: the cheapest of some batches. */
#define MEASURE(name, operations, operation)                        \
    do {                                                            \
        uint64_t best = UINT64_MAX;                                 \
        for (int warm = 0; warm < WARMING; warm++)                  \
            operation;                                              \
        for (int batch = 0; batch < BATCHES; batch++) {             \
            uint64_t start = ticks();                               \
            for (int count = 0; count < (operations); count++)      \
                operation;                                          \
            uint64_t cost = (ticks() - start) / (operations);       \
            best = cost < best ? cost : best;                       \
        }                                                           \
        report(name, "instructions", (double)best);                 \
    } while (0)

/* Has an operation counted by the plugin; the numbers of the marks come from the tool. */
#define COUNTED(name, operations, operation)                        \
    do {                                                            \
        for (int warm = 0; warm < WARMING; warm++)                  \
            operation;                                              \
        for (int batch = 0; batch < BATCHES; batch++) {             \
            MARK(BEGIN);                                            \
            for (int count = 0; count < (operations); count++)      \
                operation;                                          \
            MARK(END);                                              \
        }                                                           \
        MARK(FIGURE);                                               \
        report(name, "counted", operations);                        \
    } while (0)

#endif
