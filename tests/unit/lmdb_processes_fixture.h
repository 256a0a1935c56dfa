/* What the lmdb tests of several processes share: children, nested reads, and how many places readers take. */
#ifndef LMDB_PROCESSES_FIXTURE_H
#define LMDB_PROCESSES_FIXTURE_H

#include "lmdb_fixture.h"

#include <lmdb.h>

/* ---- children ---- */

/* A process that does one thing with the file of that name. */
static inline pid_t start(void (*what)(const char *), const char *name)
{
    pid_t child = fork();

    cr_assert(child >= 0);
    if (child == 0) {
        what(name);
        _exit(0);
    }
    return child;
}

static inline void finish(pid_t child)
{
    int status;

    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child ended with %x", status);
}

static int signal_pipe[2], answer_pipe[2];
static const char *const *staying_options; /* NULL: it also writes */

/* Has the file open until it is told to go. */
static inline void stay_open(const char *name)
{
    kivi_instance store = open_store(path_of(name), staying_options);
    char byte;

    if (!staying_options)
        put(&store, "theirs", "1", 0);
    if (write(answer_pipe[1], "x", 1) != 1 || read(signal_pipe[0], &byte, 1) != 1)
        _exit(1);
    lmdb->close(store.handle);
}

static inline pid_t start_staying(const char *name)
{
    pid_t child;
    char byte;

    cr_assert_eq(pipe(signal_pipe), 0);
    cr_assert_eq(pipe(answer_pipe), 0);
    child = start(stay_open, name);
    cr_assert_eq(read(answer_pipe[0], &byte, 1), 1);
    return child;
}

static inline void end_staying(pid_t child)
{
    cr_assert_eq(write(signal_pipe[1], "x", 1), 1);
    finish(child);
}

/* ---- reads inside of reads ---- */

/* Each read holds its place while the next one begins inside of it. */
typedef struct nest {
    kivi_read_vector vector;
    const kivi_instance *store;
    unsigned deeper;
    kivi_status inner; /* of the innermost */
    void (*at_bottom)(const kivi_instance *store);
} nest;

static inline kivi_status read_nested(nest *from, uint64_t ms);

static inline kivi_status nest_deliver(kivi_read_vector *vector, kivi_read_item *item,
                                       kivi_slice value, kivi_slice version)
{
    nest *self = (nest *)vector;
    nest below = *self;
    uint8_t first = *(const uint8_t *)value.data;

    (void)item;
    (void)version;
    if (self->deeper == 0) {
        if (self->at_bottom)
            self->at_bottom(self->store);
        return KIVI_OK;
    }
    below.deeper--;
    self->inner = read_nested(&below, 100);
    if (below.inner != KIVI_OK)
        self->inner = below.inner;
    /* The value still lies where it was. */
    cr_assert_eq(*(const volatile uint8_t *)value.data, first);
    return KIVI_OK;
}

static inline kivi_status read_nested(nest *from, uint64_t ms)
{
    kivi_read_item item = read_item(kivi_str("k"), KIVI_WANT_VALUE);
    fixture_wait wait = wait_ms(ms);
    kivi_error *error = NULL;
    kivi_status status;

    from->vector = (kivi_read_vector){
        sizeof(kivi_read_vector), sizeof(item), &item, 1, nest_deliver, NULL};
    status = lmdb->read(from->store->handle, NULL, &from->vector, &wait.wait, &error);
    if (status != KIVI_OK)
        cr_assert(strstr(error->message, "max_readers"), "%s", error->message);
    free(error);
    return status == KIVI_OK ? item.status : status;
}

/* ---- places ---- */

static inline int count_line(const char *text, void *user)
{
    if (strchr("0123456789 ", text[0]) && !strstr(text, "pid"))
        for (const char *at = text; *at; at++)
            *(unsigned *)user += *at == '\n';
    return 0;
}

/* How many places of the lock table are in use, over all processes. */
static inline unsigned places_in_use(const char *name)
{
    unsigned count = 0;
    pid_t child;
    int status, ends[2];

    /* In another process: this one may not open the file twice. */
    cr_assert_eq(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        MDB_env *env;
        if (mdb_env_create(&env) || mdb_env_open(env, path_of(name), MDB_NOSUBDIR | MDB_RDONLY, 0600))
            _exit(1);
        mdb_reader_list(env, count_line, &count);
        if (write(ends[1], &count, sizeof(count)) != sizeof(count))
            _exit(1);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert_eq(read(ends[0], &count, sizeof(count)), (ssize_t)sizeof(count));
    close(ends[0]);
    close(ends[1]);
    return count;
}

#endif
