/* Between the files of the harness: the settings of a run, and running a row. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "bench.h"

typedef struct bench_run_settings {
    const char *rows; /* patterns separated by commas, or NULL: all */
    const char *dir;  /* where the databases go */
    const char *kivi; /* the kivi command */
    FILE *results;    /* JSON lines, or NULL */
    unsigned rounds;
    uint32_t round_ms;
    bool quick;
} bench_run_settings;

extern bench_run_settings bench_settings;

void bench_run_row(const bench_row *row);

/* bench_report.c: what a row came to. Times are ns an item, medians of the rounds. */
typedef struct bench_outcome {
    double peer_ns, ours_ns;
    double ratio, ratio_low, ratio_high; /* median and quartiles of the rounds' ratios */
    double peer_cpu_ns, ours_cpu_ns, cpu_ratio;
    struct bench_percentiles {
        double p50, p99, p999; /* ns; of all rounds */
    } peer_latency, ours_latency;
    uint64_t iterations;
    unsigned rounds;
} bench_outcome;

void bench_report_machine(void);
void bench_report_header(void);
void bench_report_row(const bench_row *row, const bench_outcome *outcome);

/* bench_latency.c: forgets what was added; what was added since. */
void bench_latency_clear(void);
struct bench_percentiles bench_latency_read(bench_side side);

/* bench_facts.c: all numbers without a peer; run first, while the process is still fresh. */
void bench_run_facts(void);
/* bench_redis_facts.c: the same of Redis. */
void bench_run_redis_facts(void);

#endif
