/* Which store a URL means, wherever the command runs: paths made absolute, files told by what they are. */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

/* A URL's path: what follows the scheme, up to the options. False: it names a host. */
static bool find_path(const char *url, kivi_slice *path)
{
    const char *colon = strchr(url, ':');
    const char *begin = colon ? colon + 1 : url;
    bool hierarchy = begin[0] == '/' && begin[1] == '/';

    if (hierarchy && begin[2] != '/')
        return false;
    begin += hierarchy ? 2 : 0;
    *path = kivi_bytes(begin, strcspn(begin, "?"));
    return colon && path->size;
}

/* As it stands in a URL: what means something else there is encoded. */
static void append_encoded(const char *text, kivi_buffer *out)
{
    char code[4];

    for (; *text; text++) {
        bool special = strchr("%?#", *text) || (unsigned char)*text < 0x20 || *text == 0x7f;

        snprintf(code, sizeof code, special ? "%%%02X" : "%c", (unsigned char)*text);
        cli_need(kivi_buffer_append(out, kivi_str(code)));
    }
}

void cli_url_absolute(const char *url, kivi_buffer *out)
{
    char *folder = NULL;
    kivi_slice path;

    if (find_path(url, &path) && *(const char *)path.data != '/')
        folder = getcwd(NULL, 0);
    if (folder) {
        size_t scheme = (size_t)((const char *)path.data - url);

        cli_need(kivi_buffer_append(out, kivi_bytes(url, scheme)));
        append_encoded(folder, out);
        cli_need(kivi_buffer_append(out, kivi_str("/")));
        url = path.data;
    }
    cli_need(kivi_buffer_append(out, kivi_str(url)));
    free(folder);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* The file of a path in a URL; false: there is none. */
static bool look_up(kivi_slice path, struct stat *file)
{
    const char *from = path.data;
    char *name = cli_alloc(NULL, path.size + sizeof "/data.mdb");
    size_t size = 0;
    bool there;

    for (size_t i = 0; i < path.size; i++) {
        bool coded = from[i] == '%' && path.size - i > 2 && hex_digit(from[i + 1]) >= 0 &&
                     hex_digit(from[i + 2]) >= 0;

        name[size++] = coded ? (char)(hex_digit(from[i + 1]) * 16 + hex_digit(from[i + 2])) : from[i];
        i += coded ? 2 : 0;
    }
    name[size] = '\0';
    there = stat(name, file) == 0;
    if (there && S_ISDIR(file->st_mode)) { /* LMDB's file lies in it */
        memcpy(name + size, "/data.mdb", sizeof "/data.mdb");
        there = stat(name, file) == 0;
    }
    free(name);
    return there;
}

/* The text of an option in a URL, as it stands; empty: it is not there. */
static kivi_slice option_of(const char *url, const char *name)
{
    const char *at = strchr(url, '?');
    size_t size = strlen(name);

    for (at = at ? at + 1 : ""; *at; at += *at == '&') {
        size_t length = strcspn(at, "&");

        if (length > size && memcmp(at, name, size) == 0 && at[size] == '=')
            return kivi_bytes(at + size + 1, length - size - 1);
        at += length;
    }
    return kivi_bytes("", 0);
}

static bool is_same_option(const char *a, const char *b, const char *name)
{
    kivi_slice left = option_of(a, name), right = option_of(b, name);

    return left.size == right.size && (!left.size || memcmp(left.data, right.data, left.size) == 0);
}

/* ---- servers ---- */

typedef struct server {
    char host[256], port[8];
    long db;
} server;

/* Where a redis: or rediss: URL leads to; false: it is another one, or too odd to tell. */
static bool read_server(const char *url, server *to)
{
    const char *at = strncmp(url, "redis://", 8) == 0    ? url + 8
                     : strncmp(url, "rediss://", 9) == 0 ? url + 9
                                                         : NULL;
    size_t size = at ? strcspn(at, "/?") : 0, host;
    const char *user = size ? memrchr(at, '@', size) : NULL;
    kivi_slice db = option_of(url, "db");
    const char *path = at ? at + size : "";

    if (!at)
        return false;
    size -= user ? (size_t)(user + 1 - at) : 0;
    at = user ? user + 1 : at;
    host = size && *at == '[' ? strcspn(at, "]") + 1 : strcspn(at, ":/?");
    if (host > size || host >= sizeof to->host || size - host >= sizeof to->port)
        return false;
    if (*at == '[')
        snprintf(to->host, sizeof to->host, "%.*s", (int)host - 2, at + 1);
    else
        snprintf(to->host, sizeof to->host, "%.*s", host ? (int)host : 9, host ? at : "127.0.0.1");
    if (size > host + 1)
        snprintf(to->port, sizeof to->port, "%.*s", (int)(size - host - 1), at + host + 1);
    else
        snprintf(to->port, sizeof to->port, "6379");
    to->db = db.size ? strtol(db.data, NULL, 10) : *path == '/' ? strtol(path + 1, NULL, 10) : 0;
    return true;
}

static bool share_address(const struct addrinfo *all, const struct addrinfo *others)
{
    for (const struct addrinfo *one = all; one; one = one->ai_next)
        for (const struct addrinfo *other = others; other; other = other->ai_next)
            if (one->ai_addrlen == other->ai_addrlen &&
                memcmp(one->ai_addr, other->ai_addr, one->ai_addrlen) == 0)
                return true;
    return false;
}

/* The same database of a server under two of its names. That a socket leads there as well is not known. */
static bool is_same_server(const char *a, const char *b)
{
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *left = NULL, *right = NULL;
    server one, other;
    bool same = false;

    if (!read_server(a, &one) || !read_server(b, &other) || one.db != other.db)
        return false;
    if (!getaddrinfo(one.host, one.port, &wanted, &left) &&
        !getaddrinfo(other.host, other.port, &wanted, &right))
        same = share_address(left, right);
    if (left)
        freeaddrinfo(left);
    if (right)
        freeaddrinfo(right);
    return same;
}

static bool is_same_file(const char *a, const char *b)
{
    kivi_slice left, right;
    struct stat one, other;

    return is_same_option(a, b, "db") && find_path(a, &left) && find_path(b, &right) &&
           look_up(left, &one) && look_up(right, &other) && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

bool cli_urls_same(const char *a, const char *b)
{
    if (strcmp(a, b) == 0)
        return true;
    return is_same_option(a, b, "namespace") && (is_same_file(a, b) || is_same_server(a, b));
}
