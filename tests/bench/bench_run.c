/* Running a row: finding the length of a round, and rounds of both sides in alternating order. */
#include "bench_run.h"

#include <pthread.h>
#include <stdlib.h>

#define MAX_THREADS 64
#define MAX_ROUNDS 1001

typedef void (*run_fn)(void *state, unsigned thread, uint64_t iterations);

typedef struct worker {
    pthread_t id;
    pthread_barrier_t *barrier;
    run_fn run;
    void *state;
    unsigned thread;
    uint64_t iterations;
    uint64_t began, ended;
} worker;

static void *work(void *user)
{
    worker *self = user;
    pthread_barrier_wait(self->barrier);
    self->began = bench_now_ns();
    self->run(self->state, self->thread, self->iterations);
    self->ended = bench_now_ns();
    return NULL;
}

/* From the first thread that starts to the last one that ends. */
static uint64_t time_threads(run_fn run, void *state, unsigned threads, uint64_t iterations)
{
    worker workers[MAX_THREADS];
    pthread_barrier_t barrier;
    uint64_t began = UINT64_MAX, ended = 0;
    BENCH_CHECK(threads <= MAX_THREADS);
    pthread_barrier_init(&barrier, NULL, threads);
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (worker){
            .barrier = &barrier, .run = run, .state = state, .thread = i, .iterations = iterations / threads};
        BENCH_CHECK(!pthread_create(&workers[i].id, NULL, work, &workers[i]));
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(workers[i].id, NULL);
        if (workers[i].began < began)
            began = workers[i].began;
        if (workers[i].ended > ended)
            ended = workers[i].ended;
    }
    pthread_barrier_destroy(&barrier);
    return ended - began;
}

static uint64_t time_side(run_fn run, void *state, unsigned threads, uint64_t iterations)
{
    if (threads > 1)
        return time_threads(run, state, threads, iterations);
    uint64_t began = bench_now_ns();
    run(state, 0, iterations);
    return bench_now_ns() - began;
}

static uint64_t time_peer(const bench_row *row, void *state, uint64_t iterations)
{
    return time_side(row->run_peer, state, row->peer_threads, iterations);
}

static uint64_t time_ours(const bench_row *row, void *state, uint64_t iterations)
{
    return time_side(row->run_ours, state, row->threads, iterations);
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
        uint64_t took = time_peer(row, state, iterations);
        if (took >= wanted / 4) {
            double scale = (double)wanted / (double)took;
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

static void measure(const bench_row *row, void *state, bench_outcome *outcome)
{
    static double peer[MAX_ROUNDS], ours[MAX_ROUNDS], ratios[MAX_ROUNDS];
    uint64_t iterations = find_iterations(row, state);
    double items = (double)iterations * (double)(row->items ? row->items : 1);
    unsigned rounds = bench_settings.rounds;
    if (rounds > MAX_ROUNDS)
        rounds = MAX_ROUNDS;
    time_ours(row, state, iterations); /* both sides begin warm */
    for (unsigned i = 0; i < rounds; i++) {
        if (i % 2 == 0)
            peer[i] = (double)time_peer(row, state, iterations) / items;
        ours[i] = (double)time_ours(row, state, iterations) / items;
        if (i % 2 == 1)
            peer[i] = (double)time_peer(row, state, iterations) / items;
        ratios[i] = row->goal == BENCH_OPS_AT_LEAST ? peer[i] / ours[i] : ours[i] / peer[i];
    }
    outcome->iterations = iterations;
    outcome->rounds = rounds;
    outcome->peer_ns = bench_quantile(peer, rounds, 0.5);
    outcome->ours_ns = bench_quantile(ours, rounds, 0.5);
    outcome->ratio = bench_quantile(ratios, rounds, 0.5);
    outcome->ratio_low = bench_quantile(ratios, rounds, 0.25);
    outcome->ratio_high = bench_quantile(ratios, rounds, 0.75);
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
