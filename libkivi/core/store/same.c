/* Tells whether two handles are on the same data, by the options with which they are open. */
#include "same.h"
#include "../options/options.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

static const char *text_of(const kivi_store *store, const char *name)
{
    const char *text = kvi_config_text(store->config, name);
    return text && *text ? text : NULL;
}

/* ---- files ---- */

static bool look_up(const char *path, struct stat *file)
{
    char *inner = NULL;
    bool there = stat(path, file) == 0;
    if (!there || !S_ISDIR(file->st_mode))
        return there;
    /* LMDB's file lies in it. */
    there = asprintf(&inner, "%s/data.mdb", path) >= 0 && stat(inner, file) == 0;
    free(inner);
    return there;
}

static bool is_same_file(const kivi_store *a, const kivi_store *b)
{
    const char *left = text_of(a, "path"), *right = text_of(b, "path");
    struct stat one, other;
    return left && right && look_up(left, &one) && look_up(right, &other) &&
           one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* ---- servers ---- */

static bool ends_scheme(const kivi_store *store, const char *form)
{
    const char *plus = strrchr(store->scheme, '+');
    return plus && !strcmp(plus, form);
}

/* The path is a socket. */
static bool is_by_socket(const kivi_store *store)
{
    return ends_scheme(store, "+unix");
}

/* The path is the name of a service, whose server the hosts know. */
static bool is_by_sentinel(const kivi_store *store)
{
    return ends_scheme(store, "+sentinel");
}

static bool is_same_service(const kivi_store *a, const kivi_store *b)
{
    const char *left = text_of(a, "path"), *right = text_of(b, "path");
    return !is_by_sentinel(a) || (left && right && !strcmp(left, right));
}

/* The number of the database: an option, or what the URL's path holds. */
static int64_t database_of(const kivi_store *store)
{
    const char *path = is_by_socket(store) || is_by_sentinel(store) ? NULL : text_of(store, "path");
    if (text_of(store, "db"))
        return kvi_config_int(store->config, "db");
    return path ? strtoll(path + (*path == '/'), NULL, 10) : 0;
}

static bool share_address(const struct addrinfo *all, const struct addrinfo *others)
{
    for (const struct addrinfo *one = all; one; one = one->ai_next)
        for (const struct addrinfo *other = others; other; other = other->ai_next)
            if (one->ai_addrlen == other->ai_addrlen &&
                !memcmp(one->ai_addr, other->ai_addr, one->ai_addrlen))
                return true;
    return false;
}

static bool is_same_host(const char *a, const char *b)
{
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *left = NULL, *right = NULL;
    if (!strcmp(a, b))
        return true;
    bool same = !getaddrinfo(a, NULL, &wanted, &left) && !getaddrinfo(b, NULL, &wanted, &right) &&
                share_address(left, right);
    if (left)
        freeaddrinfo(left);
    if (right)
        freeaddrinfo(right);
    return same;
}

static bool is_same_server(const kivi_store *a, const kivi_store *b)
{
    const char *left = text_of(a, "host"), *right = text_of(b, "host");
    if (database_of(a) != database_of(b) || is_by_socket(a) != is_by_socket(b))
        return false; /* that a socket leads to a server as well is not known */
    if (is_by_sentinel(a) != is_by_sentinel(b) || !is_same_service(a, b))
        return false; /* nor which server sentinels name */
    if (is_by_socket(a))
        return is_same_file(a, b);
    return left && right && kvi_config_int(a->config, "port") == kvi_config_int(b->config, "port") &&
           is_same_host(left, right);
}

/* ---- both ---- */

/* By what the servers say of themselves; a store that has not met its server yet does not know. */
static bool is_same_by_identity(const kivi_store *a, const kivi_store *b)
{
    uint64_t one = atomic_load_explicit(&a->limits.identity, memory_order_relaxed);
    uint64_t other = atomic_load_explicit(&b->limits.identity, memory_order_relaxed);
    return one && one == other;
}

bool kvi_store_could_be_same(const kivi_store *a, const kivi_store *b)
{
    return a == b || (!strcmp(a->backend->name, b->backend->name) &&
                      !kvi_slice_compare(kivi_buffer_slice(&a->space), kivi_buffer_slice(&b->space)));
}

bool kvi_store_is_same(const kivi_store *a, const kivi_store *b)
{
    if (a == b)
        return true;
    if (!kvi_store_could_be_same(a, b))
        return false;
    if (!a->instance.capabilities.local)
        return is_same_by_identity(a, b) || is_same_server(a, b);
    /* The path of an engine that a child of a fork has for itself is a name in this process, of no file. */
    return a->identity == b->identity ||
           (!(a->flags & KIVI_BACKEND_FORK_PRIVATE) && is_same_file(a, b));
}
