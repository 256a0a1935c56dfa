/* What the cases of the conformance suite share: the rows, one open store for each case, expectations. */
#ifndef CONFORMANCE_SUITE_H
#define CONFORMANCE_SUITE_H

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <kivi/kivi.h>

#include "via.h"

/*
 * A store that the suite runs on. `url` may hold {dir}: a fresh directory, and {name}: a name that no other
 * case uses. It is copied into the process of each case, so it holds no pointer.
 */
typedef struct row {
    char name[48];
    char url[512];
    char reserved[32]; /* names that begin so are the store's own, unless escaped; "": none */
    unsigned traits;
} row;

enum {
    ROW_OWN = 1 << 0, /* the whole keyspace is the case's: any key may be used, nothing need be cleaned up */
    ROW_PRIVATE = 1 << 1, /* other processes never see the data (memory) */
    ROW_QUEUE = 1 << 2,   /* calls are submitted to a queue */
    ROW_SLOW = 1 << 3,    /* time limits are KIVI_CONFORMANCE_TIMEOUT times as long */
    ROW_SINGLE = 1 << 4, /* one process has the store open: to others it is BUSY, and FORKED to a child */
    ROW_TOOLLESS = 1 << 5,  /* no plain tool writes to it */
    ROW_CHILDLESS = 1 << 6, /* a store of the parent's is FORKED to a child, and a new one as well */
    ROW_LONG = 1 << 7       /* runs where LONG is set, or it is named */
};

/* rows.c: the rows that the environment asks for, in memory that reaches the cases' processes. */
row *rows_chosen(size_t *count);
/* Prepares the directory under which rows get theirs, and removes it with all that was left. */
void rows_prepare(void);
void rows_clean_up(void);

/* What a case works on. */
typedef struct subject {
    const row *row;
    const char *title;
    char url[1024];
    kivi_store *store;
    kivi_capabilities can;
    const char *codec;
    kivi_error *error; /* of the last call that was given E */
    kivi_buffer value; /* for the last read */
    char prefix[40];   /* begins every key that key() makes */
    void **blocks;     /* memory of keys and values, freed at the end */
    size_t block_count, block_room;
    kivi_slice *keys; /* to delete at the end where the store cannot clear */
    size_t key_count, key_room;
} subject;

/* Each case runs for each row, in a process of its own. */
#define CASE(suite, title) CASE_WITHIN(suite, title, 300)
#define CASE_WITHIN(suite, title, seconds)                                   \
    static void suite##_##title(subject *s);                                 \
    ParameterizedTestParameters(suite, title)                                \
    {                                                                        \
        size_t count;                                                        \
        row *rows = rows_chosen(&count);                                     \
        return cr_make_param_array(row, rows, count);                        \
    }                                                                        \
    ParameterizedTest(row *parameter, suite, title, .fini = subject_end)     \
    {                                                                        \
        subject *s = subject_begin(parameter, #suite "." #title, (seconds)); \
        suite##_##title(s);                                                  \
        subject_done(s);                                                     \
    }                                                                        \
    static void suite##_##title(subject *s)

/* The case ends after so many seconds, or as many times as long as its row is slow; 0: it may take any time. */
/* What a store can do, once it has learned it: of a server only the server knows. */
void learn_can(subject *s, kivi_store *store, kivi_capabilities *can);
subject *subject_begin(const row *parameter, const char *title, unsigned seconds);
void subject_done(subject *s);
void subject_end(void);

/* ---- expectations ---- */

/* Place for the error of a call; frees the error of the call before. */
#define E (subject_error(s))
kivi_error **subject_error(subject *s);
/* Why an answer is not the one expected, or breaks the rules for errors; NULL: all is well. */
const char *subject_judge(subject *s, kivi_status got, kivi_status wanted);

/* Expects that a call, which was given E, answers `wanted`, with an error exactly when that is a failure. */
#define ANSWERS(wanted, call)                                                 \
    do {                                                                      \
        kivi_status answer_ = (call);                                         \
        const char *fault_ = subject_judge(s, answer_, (wanted));             \
        cr_assert(fault_ == NULL, "%s: %s: %s", s->row->name, #call, fault_); \
    } while (0)
#define OK(call) ANSWERS(KIVI_OK, call)
#define EXPECT(condition) cr_assert((condition), "%s: expected %s", s->row->name, #condition)
#define EXPECT_SAYING(condition, text, ...) \
    cr_assert((condition), "%s: expected %s: " text, s->row->name, #condition, __VA_ARGS__)
#define EXPECT_NUMBER(got, wanted)                                                       \
    do {                                                                                 \
        int64_t got_ = (int64_t)(got), wanted_ = (int64_t)(wanted);                      \
        cr_assert(got_ == wanted_, "%s: %s is %lld instead of %lld", s->row->name, #got, \
                  (long long)got_, (long long)wanted_);                                  \
    } while (0)
#define EXPECT_BYTES(got, wanted)                                                              \
    do {                                                                                       \
        kivi_slice got_ = (got), wanted_ = (wanted);                                           \
        cr_assert(same_bytes(got_, wanted_), "%s: %s is %s instead of %s", s->row->name, #got, \
                  shown(s, got_), shown(s, wanted_));                                          \
    } while (0)
/* What `key` holds, or that it is missing, by get and by exists. */
#define EXPECT_HOLDS(key, wanted)                                            \
    do {                                                                     \
        ANSWERS(KIVI_OK, kivi_store_get(s->store, NULL, key, &s->value, E)); \
        EXPECT_BYTES(kivi_buffer_slice(&s->value), wanted);                  \
        EXPECT(holds(s, key));                                               \
    } while (0)
#define EXPECT_MISSING(key)                                                         \
    do {                                                                            \
        ANSWERS(KIVI_NOT_FOUND, kivi_store_get(s->store, NULL, key, &s->value, E)); \
        EXPECT_NUMBER(s->value.size, 0);                                            \
        EXPECT(!holds(s, key));                                                     \
    } while (0)
/* A call that must be refused before the store hears of it. */
#define REFUSED(wanted, call)                                              \
    do {                                                                   \
        traffic before_ = traffic_of(s);                                   \
        ANSWERS(wanted, call);                                             \
        EXPECT_SAYING(traffic_is(s, before_), "%s sent something", #call); \
    } while (0)

/* What was sent to the store so far. */
typedef struct traffic {
    uint64_t reads, writes, vectors, items;
} traffic;
traffic traffic_of(subject *s);
bool traffic_is(subject *s, traffic before);

bool same_bytes(kivi_slice a, kivi_slice b);
int compare_bytes(kivi_slice a, kivi_slice b);
bool holds(subject *s, kivi_slice key);
/* Bytes as text that a person can read; lives as long as the case. */
const char *shown(subject *s, kivi_slice bytes);

/* What names of the store's own begin with. */
const char *reserved_of(subject *s);

/* For stores that live in one process: expects that another sees nothing of them, and answers true. */
bool is_private(subject *s);
/* For stores that one process at a time may have open: expects that it is BUSY to another, and answers true. */
bool is_single(subject *s);

/* What a case cannot show on a row because of a trait: told, and counted at the end of the run. */
void passed_over(subject *s, const char *reason);

/* Where a store says that it lacks something, these expect it to refuse and answer true. */
bool lacks_scan(subject *s);
bool lacks_ttl(subject *s);
bool lacks_increment(subject *s);
bool lacks_conditions(subject *s);
bool lacks_atomic(subject *s, size_t operations);

/* ---- keys and values, living as long as the case ---- */

void *keep(subject *s, size_t size);
/* A key of the case's own: its prefix and a name. */
kivi_slice key(subject *s, const char *name);
kivi_slice key_number(subject *s, const char *name, size_t number);
kivi_slice key_bytes(subject *s, const void *data, size_t size);
/* A key that is not under the prefix is remembered, to be deleted at the end. */
kivi_slice remember(subject *s, kivi_slice whole);
kivi_slice joined(subject *s, kivi_slice a, kivi_slice b);
kivi_slice filled(subject *s, int byte, size_t size);
/* The prefix of all keys of the case. */
kivi_slice all(subject *s);

/* Values in the codec of the store. */
kivi_slice text(subject *s, const char *value);
kivi_slice number(subject *s, int64_t value);
/* A wrong type for increment in every codec. */
kivi_slice not_a_number(subject *s);

void put(subject *s, kivi_slice key, kivi_slice value, int64_t ttl_ms);

/* ---- more stores, threads, time ---- */

/* The same data by another handle, which the case unrefs; `name` NULL: no option. Options win over the URL's. */
kivi_store *reopened(subject *s, const char *name, const char *value);

/* One of several threads that do the same at once. A failure is text in `fault`: asserting is the main thread's. */
typedef struct worker {
    subject *s;
    size_t index, count;
    void *shared;
    uint64_t tally;
    char fault[256];
} worker;
/* Starts them together, waits for all, expects no fault. `tallies`, if not NULL, gets each one's tally. */
void together(subject *s, size_t count, void (*work)(worker *w), void *shared, uint64_t *tallies);
/* Keeps the first fault of a worker; answers false so that work can end by `return`. */
bool fault(worker *w, const char *format, ...) KIVI_PRINTF(2, 3);
/* Whether a worker's call answered as wanted; else its fault. Frees the error. */
bool answered(worker *w, const char *what, kivi_status got, kivi_status wanted, kivi_error **error);

int64_t now_ns(void);
void pause_ms(int64_t ms);
/* A TTL long enough to be still there after some calls, and how long until it is surely over. */
int64_t short_ttl(subject *s);
int64_t surely_over(subject *s, int64_t ttl_ms);

/* ---- scans ---- */

/* All pairs of a scan in pages, in order of arrival, each key once where the store may give it again; lives as long as the case. */
typedef struct harvest {
    kivi_pair *pairs;
    size_t count, room, pages;
} harvest;
harvest harvested(subject *s, kivi_store *store, const kivi_range *range);
/* The pair of a key, or NULL. */
const kivi_pair *harvest_find(const harvest *found, kivi_slice key);
/* Checks what every scan keeps: prefix, order and once where promised. */
void expect_sound(subject *s, const harvest *found, kivi_slice prefix);
uint64_t counted(subject *s, kivi_store *store, kivi_slice prefix);

/* ---- a second process (peer.c) ---- */

/*
 * Runs this program again with a verb on a store: get, set, add, delete, increment, race, list, orphan. Answers the status;
 * bytes that it printed go to `out` (may be NULL).
 */
kivi_status peer(subject *s, const char *verb, kivi_slice key, kivi_slice value, kivi_buffer *out);
/* The same begun but not waited for; peer_finish answers what it printed. */
typedef struct peer_process {
    int pid, fd;
} peer_process;
/* What the child of the verb orphan reads from, until it is closed everywhere else. */
enum { PEER_SLEEPS_ON = 90 };
peer_process peer_start(subject *s, const char *verb, kivi_slice key, kivi_slice value);
kivi_status peer_finish(subject *s, peer_process process, kivi_buffer *out);
/* The program that a peer runs: main gives it its arguments. */
int peer_main(int count, char **arguments);

#endif
