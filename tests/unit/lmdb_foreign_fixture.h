/* Another program that uses LMDB without kivi, and waits for it that the test ends. */
#ifndef LMDB_FOREIGN_FIXTURE_H
#define LMDB_FOREIGN_FIXTURE_H

#include <pthread.h>
#include <signal.h>

#include "backends/lmdb/engine.h"
#include "lmdb_processes_fixture.h"

enum {
    FAR = 30000 /* ms: nobody waits so long */,
    SOON = 5000 /* ms: nor did anything here hang */
};

/* ---- the other program ---- */

static int to_other[2], from_other[2];

static inline void say(int fd)
{
    if (write(fd, "x", 1) != 1)
        _exit(1);
}

static inline void hear(int fd)
{
    char byte;
    if (read(fd, &byte, 1) != 1)
        _exit(1);
}

static inline MDB_env *raw_open(const char *name)
{
    MDB_env *env;

    if (mdb_env_create(&env) || mdb_env_set_mapsize(env, 64 << 20) ||
        mdb_env_open(env, path_of(name), MDB_NOSUBDIR | MDB_NOTLS | MDB_NOSYNC, 0600))
        _exit(2);
    return env;
}

/* Holds LMDB's lock of writers until it is told to go on. */
static inline void hold_lock(const char *name)
{
    MDB_env *env = raw_open(name);
    MDB_txn *txn;

    if (mdb_txn_begin(env, NULL, 0, &txn))
        _exit(3);
    say(from_other[1]);
    hear(to_other[0]);
    mdb_txn_abort(txn);
    mdb_env_close(env);
}

static inline pid_t start_other(void (*what)(const char *), const char *name)
{
    pid_t child;

    cr_assert_eq(pipe(to_other), 0);
    cr_assert_eq(pipe(from_other), 0);
    child = start(what, name);
    hear(from_other[0]);
    return child;
}

static inline void end_other(pid_t child)
{
    say(to_other[1]);
    finish(child);
}

/* ---- waits that end otherwise ---- */

typedef struct busy_wait {
    kivi_wait wait;
    unsigned checks, last; /* at the last check it ends, or does `then` once */
    kivi_status status;
    void (*then)(void);
} busy_wait;

static inline uint64_t busy_deadline(kivi_wait *wait)
{
    (void)wait;
    return UINT64_MAX;
}

static inline kivi_status busy_check(kivi_wait *wait)
{
    busy_wait *self = (busy_wait *)wait;

    if (++self->checks != self->last)
        return KIVI_OK;
    if (self->then)
        self->then();
    return self->status;
}

static inline busy_wait wait_checks(unsigned last, kivi_status status, void (*then)(void))
{
    return (busy_wait){
        {sizeof(kivi_wait), 0, busy_deadline, busy_check}, .last = last, .status = status, .then = then};
}

static inline kivi_status write_waiting(const kivi_instance *store, kivi_write_item *item, kivi_wait *wait)
{
    kivi_write_vector vector = {.struct_size = sizeof(vector),
                                .item_size = sizeof(*item),
                                .items = item,
                                .count = 1,
                                .increment = add_decimal};
    kivi_error *error = NULL;
    kivi_status status = lmdb->write(store->handle, NULL, &vector, wait, &error);

    cr_assert_eq(error != NULL, status != KIVI_OK);
    if (error)
        cr_assert_eq(error->retryable, KIVI_RETRY_YES);
    free(error);
    return status;
}

static inline void expect_soon(uint64_t began)
{
    cr_assert(host_monotonic() - began < SOON * UINT64_C(1000000), "it took %llu ms",
              (unsigned long long)(host_monotonic() - began) / 1000000);
}

static inline kvi_lmdb_env *inside(const kivi_instance *store)
{
    return ((kvi_lmdb_store *)store->handle)->env;
}

static inline void let_other_go(void)
{
    say(to_other[1]);
}

#endif
