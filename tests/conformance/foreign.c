/* A plain tool of the store's own, such as redis-cli, that knows nothing of this library and writes to the same data. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

/* The row's KIVI_FOREIGN_WRITER_NAME, or NULL. */
static const char *writer_of_row(subject *s)
{
    char variable[96];
    int size = snprintf(variable, sizeof variable, "KIVI_FOREIGN_WRITER_%s", s->row->name);
    for (int i = 0; i < size; i++)
        variable[i] = variable[i] == '-' ? '_' : (char)toupper((unsigned char)variable[i]);
    return getenv(variable);
}

/* In a child. */
static void run_writer(subject *s, const char *command, const char *key, const char *value)
{
    char path[1024];
    unsetenv("BXFI_MAP"); /* or the test framework takes it for one of its own */
    if (command)
        execl("/bin/sh", "sh", "-c", command, "foreign", key, value, (char *)NULL);
    snprintf(path, sizeof path, "%s/%s", KIVI_FOREIGN, kivi_store_scheme(s->store));
    execl(path, path, s->url, key, value, (char *)NULL);
    fprintf(stderr, "%s: there is no KIVI_FOREIGN_WRITER of this row, nor %s\n", s->row->name, path);
    _exit(127);
}

/* Neither key nor value holds a zero byte. */
static void write_foreign(subject *s, kivi_slice key, kivi_slice value)
{
    const char *name = joined(s, key, kivi_bytes("", 1)).data;
    const char *bytes = joined(s, value, kivi_bytes("", 1)).data;
    int ended = 0;
    pid_t pid = fork();
    EXPECT(pid >= 0);
    if (pid == 0)
        run_writer(s, writer_of_row(s), name, bytes);
    while (waitpid(pid, &ended, 0) < 0 && errno == EINTR) {
    }
    EXPECT_SAYING(WIFEXITED(ended) && WEXITSTATUS(ended) == 0, "the tool ended with %d", ended);
}

static bool lacks_tool(subject *s)
{
    if (!(s->row->traits & ROW_TOOLLESS))
        return false;
    passed_over(s, "no plain tool writes to this store");
    return true;
}

static void expect_foreign(subject *s, kivi_slice key, kivi_slice value)
{
    int64_t left = 0;
    EXPECT_HOLDS(key, value);
    OK(kivi_store_ttl(s->store, NULL, key, &left, E));
    EXPECT_NUMBER(left, KIVI_TTL_NONE);
}

/* What a tool writes over a value that has a TTL is what is read, and no expiry of the old value ends it. */
CASE(expiry, foreign_writer)
{
    if (lacks_ttl(s) || is_private(s) || is_single(s) || lacks_tool(s))
        return;
    kivi_slice long_lived = key(s, "long"), short_lived = key(s, "short"), plain = key(s, "plain");
    kivi_slice theirs = text(s, "theirs"), ours = text(s, "ours");
    put(s, long_lived, ours, 3600000);
    put(s, plain, ours, KIVI_TTL_NONE);
    write_foreign(s, long_lived, theirs);
    write_foreign(s, plain, theirs);
    expect_foreign(s, long_lived, theirs);
    expect_foreign(s, plain, theirs);
    /* The tool must be done before the old value's end: as long as it takes on a busy machine. */
    put(s, short_lived, ours, 3000);
    write_foreign(s, short_lived, theirs);
    expect_foreign(s, short_lived, theirs);
    pause_ms(surely_over(s, 3000));
    expect_foreign(s, short_lived, theirs);
    if (s->can.scan != KIVI_ABSENT) {
        kivi_range range = KIVI_RANGE_INIT;
        range.prefix = all(s);
        range.flags = KIVI_SCAN_WANT_EXPIRY;
        harvest found = harvested(s, s->store, &range);
        EXPECT_NUMBER(found.count, 3);
        for (size_t i = 0; i < found.count; i++) {
            EXPECT_BYTES(found.pairs[i].value, theirs);
            EXPECT_NUMBER(found.pairs[i].ttl_ms, KIVI_TTL_NONE);
        }
    }
    /* Nor does what the tool wrote end an expiry that is set afterwards. */
    int64_t left = 0;
    put(s, short_lived, ours, 3600000);
    OK(kivi_store_ttl(s->store, NULL, short_lived, &left, E));
    EXPECT(left > 3600000 - 60000);
}
