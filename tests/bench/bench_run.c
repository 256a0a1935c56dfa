/* Running a row: finding the length of a round, and rounds of both sides in alternating order. */
#include "bench_run.h"
#include "../common/crew.h"

#include <stdlib.h>
#include <sys/resource.h>

#define MAX_THREADS 64
#define MAX_ROUNDS 1001

typedef void (*run_fn)(void *state, unsigned thread, uint64_t iterations);

typedef struct worker {
    run_fn run;
    void *state;
    unsigned thread;
    uint64_t iterations;
    uint64_t began, ended;
} worker;

static void work(void *user)
{
    worker *self = user;
    self->began = bench_now_ns();
    self->run(self->state, self->thread, self->iterations);
    self->ended = bench_now_ns();
}

/* From the first thread that starts to the last one that ends. */
static uint64_t time_threads(run_fn run, void *state, unsigned threads, uint64_t iterations)
{
    worker workers[MAX_THREADS];
    uint64_t began = UINT64_MAX, ended = 0;
    BENCH_CHECK(threads <= MAX_THREADS);
    for (unsigned i = 0; i < threads; i++)
        workers[i] = (worker){.run = run, .state = state, .thread = i, .iterations = iterations / threads};
    crew_run(threads, work, workers, sizeof(workers[0]));
    for (unsigned i = 0; i < threads; i++) {
        if (workers[i].began < began)
            began = workers[i].began;
        if (workers[i].ended > ended)
            ended = workers[i].ended;
    }
    return ended - began;
}

/* What a side's part of a round took: ns of time, and of CPU of the whole process. */
typedef struct cost {
    double time, cpu;
} cost;

static double cpu_ns(void)
{
    struct rusage used;
    BENCH_CHECK(!getrusage(RUSAGE_SELF, &used));
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e9 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e3;
}

static cost measure_side(run_fn run, void *state, unsigned threads, uint64_t iterations)
{
    double cpu = cpu_ns();
    uint64_t took, began = bench_now_ns();
    if (threads > 1) {
        took = time_threads(run, state, threads, iterations);
    } else {
        run(state, 0, iterations);
        took = bench_now_ns() - began;
    }
    return (cost){.time = (double)took, .cpu = cpu_ns() - cpu};
}

static cost measure_peer(const bench_row *row, void *state, uint64_t iterations)
{
    return measure_side(row->run_peer, state, row->peer_threads, iterations);
}

static cost measure_ours(const bench_row *row, void *state, uint64_t iterations)
{
    return measure_side(row->run_ours, state, row->threads, iterations);
}

/* Both sides do the same number, and every thread its whole share of it. */
static uint64_t round_up_to_shares(const bench_row *row, uint64_t iterations)
{
    uint64_t share = row->threads > row->peer_threads ? row->threads : row->peer_threads;
    if (share < 2)
        return iterations ? iterations : 1;
    return (iterations / share + 1) * share;
}

/* How many iterations make the peer's part of a round last as long as it should. */
static uint64_t find_iterations(const bench_row *row, void *state)
{
    uint64_t wanted = UINT64_C(1000000) * (row->round_ms ? row->round_ms : bench_settings.round_ms);
    if (bench_settings.quick)
        wanted /= 5;
    uint64_t iterations = round_up_to_shares(row, 1);
    for (;;) {
        double took = measure_peer(row, state, iterations).time;
        if (took >= (double)wanted / 4) {
            double scale = (double)wanted / took;
            return round_up_to_shares(row, (uint64_t)((double)iterations * scale));
        }
        iterations = round_up_to_shares(row, iterations * 2);
    }
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_quantile(double *values, unsigned count, double part)
{
    qsort(values, count, sizeof *values, compare_doubles);
    double place = part * (count - 1);
    unsigned below = (unsigned)place;
    if (below + 1 >= count)
        return values[count - 1];
    return values[below] + (place - below) * (values[below + 1] - values[below]);
}

/* The rounds of a row: costs an item, and our ratios to the peer. */
typedef struct series {
    unsigned rounds;
    double peer[MAX_ROUNDS], ours[MAX_ROUNDS], ratios[MAX_ROUNDS];
    double peer_cpu[MAX_ROUNDS], ours_cpu[MAX_ROUNDS], cpu_ratios[MAX_ROUNDS];
} series;

static unsigned count_rounds(const bench_row *row)
{
    unsigned rounds = bench_settings.rounds < MAX_ROUNDS ? bench_settings.rounds : MAX_ROUNDS;
    return row->rounds && row->rounds < rounds ? row->rounds : rounds;
}

static void run_rounds(const bench_row *row, void *state, uint64_t iterations, series *all)
{
    double items = (double)iterations * (double)(row->items ? row->items : 1);
    for (unsigned i = 0; i < all->rounds; i++) {
        cost peer = {0, 0};
        if (i % 2 == 0)
            peer = measure_peer(row, state, iterations);
        cost ours = measure_ours(row, state, iterations);
        if (i % 2 == 1)
            peer = measure_peer(row, state, iterations);
        all->peer[i] = peer.time / items;
        all->ours[i] = ours.time / items;
        all->ratios[i] = row->goal == BENCH_OPS_AT_LEAST ? peer.time / ours.time : ours.time / peer.time;
        all->peer_cpu[i] = peer.cpu / items;
        all->ours_cpu[i] = ours.cpu / items;
        all->cpu_ratios[i] = peer.cpu > 0 ? ours.cpu / peer.cpu : 0;
    }
}

static void measure(const bench_row *row, void *state, bench_outcome *outcome)
{
    static series all;
    uint64_t iterations = find_iterations(row, state);
    unsigned rounds = all.rounds = count_rounds(row);
    measure_ours(row, state, iterations); /* both sides begin warm */
    bench_latency_clear();
    run_rounds(row, state, iterations, &all);
    *outcome = (bench_outcome){.iterations = iterations,
                               .rounds = rounds,
                               .peer_ns = bench_quantile(all.peer, rounds, 0.5),
                               .ours_ns = bench_quantile(all.ours, rounds, 0.5),
                               .ratio = bench_quantile(all.ratios, rounds, 0.5),
                               .ratio_low = bench_quantile(all.ratios, rounds, 0.25),
                               .ratio_high = bench_quantile(all.ratios, rounds, 0.75),
                               .peer_cpu_ns = bench_quantile(all.peer_cpu, rounds, 0.5),
                               .ours_cpu_ns = bench_quantile(all.ours_cpu, rounds, 0.5),
                               .cpu_ratio = bench_quantile(all.cpu_ratios, rounds, 0.5),
                               .peer_latency = bench_latency_read(BENCH_PEER),
                               .ours_latency = bench_latency_read(BENCH_OURS)};
}

void bench_run_row(const bench_row *row)
{
    bench_outcome outcome;
    void *state = row->setup ? row->setup(row) : NULL;
    measure(row, state, &outcome);
    if (row->teardown)
        row->teardown(state);
    bench_report_row(row, &outcome);
}
