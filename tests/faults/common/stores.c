/* The directory of a case, stores in it, and what they hold. */
#include <ftw.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"

char folder[256];
pid_t case_thread, case_process;

void case_begin(void)
{
    const char *base = getenv("TMPDIR");

    case_thread = gettid();
    case_process = getpid();
    snprintf(folder, sizeof(folder), "%s/kivi-faults-XXXXXX", base && *base ? base : "/tmp");
    CHECK_SAYING(mkdtemp(folder) != NULL, "%s", folder);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info, (void)kind, (void)at;
    remove(path);
    return 0;
}

void case_end(void)
{
    mounts_end();
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

kivi_store *open_store(const char *format, ...)
{
    char url[1024];
    kivi_store *store = NULL;
    va_list list;

    va_start(list, format);
    vsnprintf(url, sizeof(url), format, list);
    va_end(list);
    OK(kivi_store_open(url, NULL, NULL, &store, E));
    return store;
}

kivi_store *open_lmdb(const char *options)
{
    return open_store("lmdb:%s/data?codec=raw%s", folder, options);
}

kivi_slice print(text *place, const char *format, ...)
{
    va_list list;
    int size;

    va_start(list, format);
    size = vsnprintf(place->bytes, sizeof(place->bytes), format, list);
    va_end(list);
    CHECK(size >= 0 && (size_t)size < sizeof(place->bytes));
    return kivi_bytes(place->bytes, (size_t)size);
}

void put(kivi_store *store, const char *key, const char *value)
{
    OK(kivi_store_set(store, NULL, kivi_str(key), kivi_str(value), KIVI_TTL_NONE, E));
}

void expect_slice(kivi_store *store, kivi_slice key, kivi_slice value)
{
    kivi_buffer got = KIVI_BUFFER_INIT;

    OK(kivi_store_get(store, NULL, key, &got, E));
    CHECK_SAYING(got.size == value.size &&
                     (value.size == 0 || memcmp(got.data, value.data, value.size) == 0),
                 "%.*s holds %.*s instead of %.*s", (int)key.size, (const char *)key.data,
                 (int)(got.size < 60 ? got.size : 60), (const char *)got.data,
                 (int)(value.size < 60 ? value.size : 60), (const char *)value.data);
    kivi_buffer_free(&got);
}

void expect_holds(kivi_store *store, const char *key, const char *value)
{
    kivi_buffer got = KIVI_BUFFER_INIT;

    if (value) {
        expect_slice(store, kivi_str(key), kivi_str(value));
        return;
    }
    ANSWERS(KIVI_NOT_FOUND, kivi_store_get(store, NULL, kivi_str(key), &got, E));
    kivi_buffer_free(&got);
}

long long number_at(kivi_store *store, const char *key, long long missing)
{
    kivi_buffer got = KIVI_BUFFER_INIT;
    kivi_status status = kivi_store_get(store, NULL, kivi_str(key), &got, E);
    long long number = missing;
    char *end;

    if (status != KIVI_NOT_FOUND) {
        OK(status);
        OK(kivi_buffer_append(&got, kivi_bytes("", 1)));
        number = strtoll((char *)got.data, &end, 10);
        CHECK_SAYING(*got.data && !*end, "%s holds no number: %s", key, (char *)got.data);
    }
    kivi_buffer_free(&got);
    return number;
}

uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint8_t *made_value(uint64_t seed, size_t size)
{
    uint8_t *value = malloc(size + 8);

    CHECK(value != NULL);
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = next_random(&seed);
        memcpy(value + i, &word, 8);
    }
    return value;
}

bool is_made_value(kivi_slice value, uint64_t seed, size_t size)
{
    uint8_t *wanted;
    bool same;

    if (value.size != size)
        return false;
    wanted = made_value(seed, size);
    same = memcmp(value.data, wanted, size) == 0;
    free(wanted);
    return same;
}

uint64_t expect_sound(kivi_store *store)
{
    kivi_scan *scan = NULL;
    kivi_pair pair = KIVI_PAIR_INIT;
    uint64_t walked = 0, counted = 0;
    kivi_status status;

    OK(kivi_store_scan(store, NULL, &scan, E));
    while ((status = kivi_scan_next(scan, NULL, &pair, E)) == KIVI_OK) {
        expect_slice(store, pair.key, pair.value);
        walked++;
    }
    ANSWERS(KIVI_END, status);
    kivi_scan_free(scan);
    OK(kivi_store_count(store, NULL, kivi_bytes(NULL, 0), &counted, E));
    CHECK_NUMBER(counted, walked);
    return walked;
}

kivi_call within_ms(int64_t ms)
{
    kivi_call call = KIVI_CALL_INIT;

    call.timeout_ms = ms;
    return call;
}

/* ---- time ---- */

uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void pause_ms(uint64_t ms)
{
    struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    nanosleep(&time, NULL);
}

void tell_excess(const char *what, uint64_t began, int64_t timeout_ms)
{
    double excess = (double)(now_ns() - began) / 1e6 - (double)timeout_ms;

    printf("%s: %.1f ms after its deadline of %lld ms\n", what, excess, (long long)timeout_ms);
    fflush(stdout);
    CHECK_SAYING(excess < 5000, "%s: %.1f ms too late", what, excess);
}
