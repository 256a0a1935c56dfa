/* The data of rows on servers, and our side of them. */
#include "bench_remote.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static remote_data data; /* all zero: not made yet */

static void make_data(void)
{
    uint64_t random = 88172645463325252u;
    for (unsigned i = 0; i < REMOTE_KEYS; i++) {
        char text[16];
        snprintf(text, sizeof text, "key:%08u", i);
        memcpy(data.keys[i].text, text, sizeof data.keys[i].text);
    }
    for (unsigned i = REMOTE_KEYS - 1; i > 0; i--) {
        unsigned j = (unsigned)(bench_random(&random) % (i + 1));
        remote_key key = data.keys[i];
        data.keys[i] = data.keys[j];
        data.keys[j] = key;
    }
    for (unsigned i = 0; i < REMOTE_VALUE; i++)
        data.value[i] = (char)bench_random(&random);
}

const remote_data *bench_remote_data(void)
{
    if (!data.keys[0].text[0])
        make_data();
    return &data;
}

int bench_free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    BENCH_CHECK(!bind(fd, (struct sockaddr *)&at, size));
    BENCH_CHECK(!getsockname(fd, (struct sockaddr *)&at, &size));
    close(fd);
    return ntohs(at.sin_port);
}

/* ---- Both sides ---- */

remote_sides *bench_remote_begin(const bench_row *row, kivi_store *store, void *(*connect)(void))
{
    remote_sides *sides = bench_alloc(sizeof *sides);
    unsigned threads = row->peer_threads ? row->peer_threads : 1;
    sides->timed = row->latency;
    sides->data = bench_remote_data();
    sides->store = store;
    for (unsigned i = 0; i < threads; i++)
        sides->peers[i] = connect();
    for (unsigned i = 0; i < REMOTE_THREADS; i++)
        sides->peer_places[i].next = sides->our_places[i].next = i * (REMOTE_KEYS / REMOTE_THREADS);
    return sides;
}

void bench_remote_end(remote_sides *sides, void (*disconnect)(void *peer))
{
    for (unsigned i = 0; i < REMOTE_THREADS && sides->peers[i]; i++)
        disconnect(sides->peers[i]);
    kivi_store_unref(sides->store);
    free(sides);
}

/* ---- Ours ---- */

static inline const remote_key *next_key(remote_sides *sides, unsigned thread)
{
    return bench_remote_next(sides->data, &sides->our_places[thread].next);
}

void bench_our_get(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *sides = user;
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_error *error;
    while (iterations--) {
        const remote_key *key = next_key(sides, thread);
        uint64_t began = bench_begin_one(sides);
        bench_ok(kivi_store_get(sides->store, NULL, bench_remote_slice(key), &value, &error), &error);
        BENCH_CHECK(value.size == REMOTE_VALUE);
        bench_use(value.data);
        bench_end_one(sides, BENCH_OURS, thread, began);
    }
    kivi_buffer_free(&value);
}

void bench_our_set(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *sides = user;
    kivi_slice value = kivi_bytes(sides->data->value, REMOTE_VALUE);
    kivi_error *error;
    while (iterations--) {
        const remote_key *key = next_key(sides, thread);
        uint64_t began = bench_begin_one(sides);
        bench_ok(kivi_store_set(sides->store, NULL, bench_remote_slice(key), value, KIVI_TTL_NONE, &error),
                 &error);
        bench_end_one(sides, BENCH_OURS, thread, began);
    }
}

void bench_our_get_many(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *sides = user;
    kivi_slice keys[REMOTE_BATCH];
    kivi_error *error;
    while (iterations--) {
        kivi_result *result;
        for (unsigned i = 0; i < REMOTE_BATCH; i++)
            keys[i] = bench_remote_slice(next_key(sides, thread));
        bench_ok(kivi_store_get_many(sides->store, NULL, keys, REMOTE_BATCH, &result, &error), &error);
        BENCH_CHECK(kivi_result_value(result, REMOTE_BATCH - 1).size == REMOTE_VALUE);
        kivi_result_free(result);
    }
}

void bench_our_set_many(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *sides = user;
    kivi_slice keys[REMOTE_BATCH], values[REMOTE_BATCH];
    kivi_error *error;
    for (unsigned i = 0; i < REMOTE_BATCH; i++)
        values[i] = kivi_bytes(sides->data->value, REMOTE_VALUE);
    while (iterations--) {
        for (unsigned i = 0; i < REMOTE_BATCH; i++)
            keys[i] = bench_remote_slice(next_key(sides, thread));
        bench_ok(kivi_store_set_many(sides->store, NULL, keys, values, REMOTE_BATCH, KIVI_TTL_NONE,
                                     NULL, &error),
                 &error);
    }
}

void bench_remote_fill(kivi_store *store)
{
    remote_sides sides = {.data = bench_remote_data(), .store = store};
    bench_our_set_many(&sides, 0, REMOTE_KEYS / REMOTE_BATCH);
}

size_t bench_our_pairs(const remote_sides *sides)
{
    kivi_scan *scan;
    kivi_pair pair = KIVI_PAIR_INIT;
    kivi_error *error;
    kivi_status status;
    size_t pairs = 0;
    bench_ok(kivi_store_scan(sides->store, NULL, &scan, &error), &error);
    while ((status = kivi_scan_next(scan, NULL, &pair, &error)) == KIVI_OK) {
        bench_use(pair.value.data);
        pairs++;
    }
    BENCH_CHECK(status == KIVI_END);
    kivi_scan_free(scan);
    return pairs;
}
