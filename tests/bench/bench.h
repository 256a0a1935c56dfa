/*
 * The bench harness: each row of the table runs beside its peer, in alternating rounds of one process.
 *
 * A row is a constant bench_row. The harness sets it up, finds how many operations of the peer fill a
 * round, and runs rounds: peer, ours, then ours, peer, and so on. It reports medians and the median of the
 * rounds' ratios, so that a machine that slows down in mid-run slows both sides. Targets are printed, and
 * never make the run fail; a wrong answer does (bench_fail).
 *
 * A new file of rows defines one bench_group and is named in the list of bench_main.c.
 */
#ifndef BENCH_H
#define BENCH_H

#include <kivi/kivi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What the ratio of a row is, and on which side of the target it should lie. */
typedef enum bench_goal {
    BENCH_TIME_AT_MOST = 0, /* our time / the peer's time <= target */
    BENCH_OPS_AT_LEAST = 1  /* our operations a second / the peer's >= target */
} bench_goal;

typedef struct bench_row {
    const char *name;  /* "get-hot": for --rows and the JSON lines */
    const char *title; /* "get, one hot key": for the table */
    const char *peer;  /* "lmdb: renew, get, copy, reset" */
    bench_goal goal;
    double target;         /* 0: none, the row is for information */
    unsigned threads;      /* of run_ours; 0: the harness's own alone */
    unsigned peer_threads; /* of run_peer; 0: the harness's own alone */
    uint64_t items; /* an iteration's pairs (a scan) or sets (a batch), for times an item; 0: 1 */
    uint32_t round_ms; /* about how long the peer's part of a round takes; 0: the default */
    unsigned rounds;   /* at most so many; 0: the default */
    double cpu_target; /* our CPU an operation / the peer's <= that; 0: it is not told */
    bool latency;      /* both sides tell bench_latency_add() of each operation */
    /* Prepares both sides; what it answers is given to the rest. May be NULL. */
    void *(*setup)(const struct bench_row *row);
    /* Does `iterations` of the operation on thread `thread` (from 0); each thread gets its share. */
    void (*run_peer)(void *state, unsigned thread, uint64_t iterations);
    void (*run_ours)(void *state, unsigned thread, uint64_t iterations);
    void (*teardown)(void *state);
} bench_row;

typedef struct bench_group {
    const bench_row *rows;
    size_t count;
} bench_group;

#define BENCH_GROUP(rows)                        \
    {                                            \
        (rows), sizeof(rows) / sizeof((rows)[0]) \
    }

/* One measured number that is no race with a peer, such as bytes held. */
typedef struct bench_fact {
    const char *name;
    const char *title;
    const char *unit;
    double value;
    double at_most;   /* negative: no limit */
    const char *note; /* "", or what stands beside it */
} bench_fact;

/* Prints and records a fact. */
void bench_report_fact(const bench_fact *fact);
/* Whether the row or fact of that name was asked for with --rows. */
bool bench_wanted(const char *name);
/* True with --quick: fewer and shorter rounds, to see that everything runs. */
bool bench_quick(void);

/* Ends the run with status 1: an answer was wrong, and a bench of wrong answers says nothing. */
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* bench_fail() with the text of the condition, for conditions that must hold. */
#define BENCH_CHECK(condition)                                       \
    do {                                                             \
        if (__builtin_expect(!(condition), 0))                       \
            bench_fail("%s:%d: %s", __FILE__, __LINE__, #condition); \
    } while (0)

/* Nanoseconds of the monotonic clock. */
uint64_t bench_now_ns(void);
/* The value that `part` (0 to 1) of the values lie below; sorts them. */
double bench_quantile(double *values, unsigned count, double part);
/* The next number of a small fast generator; `*state` begins with anything but 0. */
uint64_t bench_random(uint64_t *state);
/* Keeps the compiler from dropping a result nobody reads. */
static inline void bench_use(const void *pointer)
{
    __asm__ volatile("" : : "g"(pointer) : "memory");
}
/* A fresh directory below --dir, on a disk; removed with its files by bench_remove_dir(). Malloc'd path. */
char *bench_make_dir(const char *name);
void bench_remove_dir(char *path);
/* Zeroed memory, or the end of the run. */
void *bench_alloc(size_t size);

/* One operation of a thread took so long. Only in rows with `latency`. */
typedef enum bench_side { BENCH_PEER = 0, BENCH_OURS = 1 } bench_side;
void bench_latency_add(bench_side side, unsigned thread, uint64_t ns);

/* Calls of malloc, calloc, realloc and aligned_alloc by this thread so far, by whatever library. */
uint64_t bench_allocations(void);
/* Bytes of the heap in use now, by the sizes that the allocator gives out. */
uint64_t bench_heap_bytes(void);
/*
 * System calls a call of `run(state)` makes, averaged over `times`; negative where they cannot be traced.
 * `prepare` (answers the state) and `run` work in a child process; `run` is called once before the count.
 */
double bench_count_syscalls(void *(*prepare)(void), void (*run)(void *state), unsigned times);

/* Ends the run with the error's message unless `status` is OK. A pointer: the error is there only after the call. */
static inline void bench_ok(kivi_status status, kivi_error *const *error)
{
    if (__builtin_expect(status != KIVI_OK, 0))
        bench_fail("%s: %s", kivi_status_name(status),
                   *error ? kivi_error_message(*error) : "no error was given");
}

#endif
