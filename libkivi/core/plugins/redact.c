/* URLs of stores as they may be shown: a backend says which of its options are secrets. */
#include "../options/options.h"
#include "../options/url_parts.h"
#include "plugins.h"

#include <stdlib.h>

/* Text in a buffer of the caller's that is cut off at its end: `needed` goes on counting. */
typedef struct writer {
    char *text;
    size_t capacity, needed;
} writer;

static void put(writer *to, const char *from, size_t size)
{
    if (to->needed < to->capacity) {
        size_t room = to->capacity - to->needed;
        memcpy(to->text + to->needed, from, size < room ? size : room);
    }
    to->needed += size;
}

/* Whether a name looks like a secret's: for options of which nothing is known here. */
static bool looks_secret(const char *name)
{
    static const char *const words[] = {"pass", "pw", "secret", "token", "key", "cred", "auth"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasestr(name, words[i]))
            return true;
    return false;
}

/* Without a backend to ask, all but the options that every store has may be a secret. */
static bool is_hidden(const kivi_backend *backend, const char *name)
{
    const kivi_option_info *info = kvi_option_find(backend, name);
    if (info)
        return info->flags & KIVI_OPTION_SECRET;
    return !backend || looks_secret(name);
}

static void put_value(writer *to, kivi_slice value, bool hidden)
{
    if (!value.data)
        return;
    put(to, "=", 1);
    if (hidden)
        put(to, "***", 3);
    else
        put(to, value.data, value.size);
}

static kivi_status put_query(writer *to, kivi_slice query, const kivi_backend *backend, kivi_error **error)
{
    kivi_slice name, value;
    const char *mark = "?";
    while (kvi_url_next_pair(&query, &name, &value)) {
        char *decoded;
        kivi_status status = kvi_url_decode(name, "query", &decoded, error);
        if (status)
            return status;
        put(to, mark, 1);
        put(to, name.data, name.size);
        put_value(to, value, is_hidden(backend, decoded));
        free(decoded);
        mark = "&";
    }
    return KIVI_OK;
}

/* All before the query, a password replaced. */
static void put_front(writer *to, const char *url, const kvi_url_parts *parts)
{
    size_t front = strcspn(url, "?");
    if (!parts->password.data) {
        put(to, url, front);
        return;
    }
    size_t before = (size_t)((const char *)parts->password.data - url);
    size_t behind = before + parts->password.size;
    put(to, url, before);
    put(to, "***", 3);
    put(to, url + behind, front - behind);
}

static kivi_status redact(const char *url, const kvi_url *parsed, writer *to, kivi_error **error)
{
    kvi_url_parts parts;
    const kivi_backend *backend;
    kivi_status status = kvi_url_cut(url, &parts, error);
    if (status)
        return status;
    if (kvi_backend_find(parsed->scheme, &backend, NULL))
        backend = NULL;
    put_front(to, url, &parts);
    status = put_query(to, parts.query, backend, error);
    put(to, "", 1);
    if (!status && to->needed > to->capacity)
        return kvi_fail(error, KIVI_TOO_LARGE, "the URL as shown takes %zu bytes", to->needed);
    return status;
}

kivi_status kivi_url_redact(const char *url, char *text, size_t capacity, kivi_error **error)
{
    kvi_url parsed;
    writer to = {text, capacity, 0};
    kvi_error_clear(error);
    kivi_status status = kvi_url_parse(url, &parsed, error); /* what cannot be read cannot be hidden */
    if (status)
        goto out;
    status = redact(url, &parsed, &to, error);
    kvi_url_clear(&parsed);
out:
    if (status && capacity) /* nothing of a URL that was not redacted whole */
        text[0] = '\0';
    return status;
}
