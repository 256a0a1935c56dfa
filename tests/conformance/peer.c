/* A second process on the same store: this program run again, told by its arguments what to do. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

/* ---- what the second process does ---- */

static kivi_slice from_hex(const char *hex)
{
    size_t size = strlen(hex) / 2;
    unsigned char *bytes = malloc(size + 1);
    for (size_t i = 0; i < size; i++) {
        unsigned byte = 0;
        sscanf(hex + 2 * i, "%2x", &byte);
        bytes[i] = (unsigned char)byte;
    }
    return kivi_bytes(bytes, size);
}

/* Adds key.0, key.1, ... and prints a byte for each round: 1 where this process was the first. */
static kivi_status race(kivi_store *store, kivi_slice key, kivi_slice value, kivi_buffer *out,
                        kivi_error **error)
{
    for (unsigned round = 0; round < 200; round++) {
        char name[600];
        int size = snprintf(name, sizeof name, "%.*s.%u", (int)key.size, (const char *)key.data, round);
        kivi_status status = kivi_store_add(store, NULL, kivi_bytes(name, (size_t)size), value,
                                            KIVI_TTL_NONE, error);
        if (status != KIVI_OK && status != KIVI_CONDITION)
            return status;
        kivi_buffer_append(out, kivi_str(status == KIVI_OK ? "1" : "0"));
    }
    return KIVI_OK;
}

static kivi_status increment_often(kivi_store *store, kivi_slice key, kivi_error **error)
{
    kivi_status status = KIVI_OK;
    for (int i = 0; i < 200 && status == KIVI_OK; i++)
        status = kivi_store_increment(store, NULL, key, 1, KIVI_TTL_NONE, NULL, error);
    return status;
}

static kivi_status list_page(kivi_store *store, const kivi_range *range, kivi_buffer *cursor,
                             kivi_buffer *out, kivi_error **error)
{
    kivi_page *page = NULL;
    kivi_status status = kivi_store_page(store, NULL, range, &page, error);
    if (status)
        return status;
    for (size_t i = 0; i < kivi_page_count(page); i++) {
        kivi_pair pair = KIVI_PAIR_INIT;
        kivi_page_pair(page, i, &pair);
        kivi_buffer_append(out, pair.key);
        kivi_buffer_append(out, kivi_str("\n"));
    }
    kivi_buffer_assign(cursor, kivi_page_cursor(page));
    kivi_page_free(page);
    return KIVI_OK;
}

/* The keys under a prefix from a cursor on, each with a line feed. */
static kivi_status list(kivi_store *store, kivi_slice prefix, kivi_slice cursor, kivi_buffer *out,
                        kivi_error **error)
{
    kivi_range range = KIVI_RANGE_INIT;
    kivi_buffer next = KIVI_BUFFER_INIT;
    kivi_status status = kivi_buffer_assign(&next, cursor);
    range.prefix = prefix;
    do {
        range.cursor = kivi_buffer_slice(&next);
        status = list_page(store, &range, &next, out, error);
    } while (status == KIVI_OK && next.size);
    kivi_buffer_free(&next);
    return status;
}

static kivi_status set_numbered(kivi_store *store, kivi_slice key, unsigned number, kivi_slice value)
{
    char name[600];
    int size = snprintf(name, sizeof name, "%.*s.%u", (int)key.size, (const char *)key.data, number);
    return kivi_store_set(store, NULL, kivi_bytes(name, (size_t)size), value, KIVI_TTL_NONE, NULL);
}

/* Sleeps until the other end is closed, uses what it inherited, and prints the status. */
static void sleep_and_use(kivi_store *store, kivi_slice key, kivi_slice value)
{
    char byte;
    while (read(PEER_SLEEPS_ON, &byte, 1) < 0 && errno == EINTR) {
    }
    kivi_status status = set_numbered(store, key, 0, value);
    char said[8];
    int size = snprintf(said, sizeof said, "%d", (int)status);
    _exit(write(STDOUT_FILENO, said, (size_t)size) != size);
}

/*
 * Sets key.1, key.2, ... until it is killed, and prints a dot for each that was acknowledged. Its child sleeps
 * meanwhile, and outlives it.
 */
static kivi_status work_until_killed(kivi_store *store, kivi_slice key, kivi_slice value)
{
    kivi_status status = set_numbered(store, key, 1, value);
    if (status)
        return status;
    pid_t child = fork();
    if (child == 0)
        sleep_and_use(store, key, value);
    for (unsigned i = 1; status == KIVI_OK && child > 0; i++)
        if ((status = set_numbered(store, key, i, value)) == KIVI_OK && write(STDOUT_FILENO, ".", 1) != 1)
            status = KIVI_IO;
    return status;
}

static kivi_status perform(kivi_store *store, const char *verb, kivi_slice key, kivi_slice value,
                           kivi_buffer *out, kivi_error **error)
{
    if (strcmp(verb, "get") == 0)
        return kivi_store_get(store, NULL, key, out, error);
    if (strcmp(verb, "set") == 0)
        return kivi_store_set(store, NULL, key, value, KIVI_TTL_NONE, error);
    if (strcmp(verb, "add") == 0)
        return kivi_store_add(store, NULL, key, value, KIVI_TTL_NONE, error);
    if (strcmp(verb, "delete") == 0)
        return kivi_store_delete(store, NULL, key, NULL, error);
    if (strcmp(verb, "race") == 0)
        return race(store, key, value, out, error);
    if (strcmp(verb, "increment") == 0)
        return increment_often(store, key, error);
    if (strcmp(verb, "list") == 0)
        return list(store, key, value, out, error);
    if (strcmp(verb, "orphan") == 0)
        return work_until_killed(store, key, value);
    fprintf(stderr, "peer: no verb %s\n", verb);
    return KIVI_INTERNAL;
}

/* Arguments: URL, verb, key and value in hex. Prints the bytes; exits with the status. */
int peer_main(int count, char **arguments)
{
    kivi_store *store = NULL;
    kivi_error *error = NULL;
    kivi_buffer out = KIVI_BUFFER_INIT;
    if (count != 4)
        return 255;
    kivi_slice key = from_hex(arguments[2]), value = from_hex(arguments[3]);
    kivi_status status = kivi_store_open(arguments[0], NULL, NULL, &store, &error);
    if (status == KIVI_OK)
        status = perform(store, arguments[1], key, value, &out, &error);
    if (error)
        fprintf(stderr, "peer: %s %s: %s\n", arguments[1], kivi_status_name(status),
                kivi_error_message(error));
    if (out.size && write(STDOUT_FILENO, out.data, out.size) != (ssize_t)out.size)
        status = KIVI_INTERNAL;
    kivi_store_unref(store);
    kivi_error_free(error);
    kivi_buffer_free(&out);
    free((void *)key.data);
    free((void *)value.data);
    return (int)status;
}

/* ---- running it ---- */

static char *to_hex(subject *s, kivi_slice bytes)
{
    char *hex = keep(s, 2 * bytes.size + 1);
    for (size_t i = 0; i < bytes.size; i++)
        sprintf(hex + 2 * i, "%02x", ((const unsigned char *)bytes.data)[i]);
    return hex;
}

peer_process peer_start(subject *s, const char *verb, kivi_slice key, kivi_slice value)
{
    char *arguments[] = {(char *)"peer", (char *)"--peer", s->url, (char *)verb,
                         to_hex(s, key), to_hex(s, value), NULL};
    int ends[2];
    EXPECT(pipe(ends) == 0);
    pid_t pid = fork();
    EXPECT(pid >= 0);
    if (pid == 0) {
        /* With it set the test framework would take the process for one of its own. */
        unsetenv("BXFI_MAP");
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execv("/proc/self/exe", arguments);
        _exit(254);
    }
    close(ends[1]);
    return (peer_process){pid, ends[0]};
}

kivi_status peer_finish(subject *s, peer_process process, kivi_buffer *out)
{
    uint8_t bytes[4096];
    ssize_t size;
    if (out)
        kivi_buffer_assign(out, kivi_bytes(NULL, 0));
    while ((size = read(process.fd, bytes, sizeof bytes)) > 0 || (size < 0 && errno == EINTR))
        if (size > 0 && out)
            kivi_buffer_append(out, kivi_bytes(bytes, (size_t)size));
    close(process.fd);
    int ended;
    while (waitpid(process.pid, &ended, 0) < 0 && errno == EINTR) {
    }
    EXPECT_SAYING(WIFEXITED(ended) && WEXITSTATUS(ended) < 100, "a second process ended with %d", ended);
    return WEXITSTATUS(ended);
}

kivi_status peer(subject *s, const char *verb, kivi_slice key, kivi_slice value, kivi_buffer *out)
{
    return peer_finish(s, peer_start(s, verb, key, value), out);
}
