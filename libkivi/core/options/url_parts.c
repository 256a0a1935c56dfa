/* Where the parts of a URL begin and end, and what percent signs in them stand for. */
#include "url_parts.h"
#include "../base/platform.h"

#include <stdlib.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Cuts `bytes` at the first `mark`: what comes before stays, what comes behind is answered (data NULL: no mark). */
static kivi_slice cut_at(kivi_slice *bytes, char mark)
{
    const char *data = bytes->data;
    const char *at = bytes->size ? memchr(data, mark, bytes->size) : NULL;
    if (!at)
        return kivi_bytes(NULL, 0);
    kivi_slice behind = kivi_bytes(at + 1, bytes->size - (size_t)(at + 1 - data));
    bytes->size = (size_t)(at - data);
    return behind;
}

static bool has(kivi_slice bytes, char wanted)
{
    return bytes.size && memchr(bytes.data, wanted, bytes.size);
}

static kivi_slice unless_empty(kivi_slice bytes)
{
    return bytes.size ? bytes : kivi_bytes(NULL, 0);
}

static kivi_status cut_scheme(const char *text, kvi_url_parts *parts, kivi_error **error)
{
    size_t size = 0;
    if (is_letter(text[0]))
        while (is_letter(text[size]) || is_digit(text[size]) ||
               (text[size] && strchr("+-.", text[size])))
            size++;
    if (!size || text[size] != ':')
        return kvi_fail(
            error, KIVI_INVALID,
            "no URL of a store: it begins with a scheme and a colon, such as lmdb:PATH");
    parts->scheme = kivi_bytes(text, size);
    return KIVI_OK;
}

static kivi_status check_bytes(const char *text, kivi_error **error)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return kvi_fail(error, KIVI_INVALID, "the URL holds a control byte");
        if (*text == '#')
            return kvi_fail(error, KIVI_INVALID, "the URL holds a '#': write %%23");
    }
    return KIVI_OK;
}

/* `user:password@`: up to the last '@', so that one in a password does not put its rest into the host. */
static void cut_userinfo(kivi_slice *authority, kvi_url_parts *parts)
{
    const char *data = authority->data;
    const char *at = authority->size ? kvi_memrchr(data, '@', authority->size) : NULL;
    if (!at)
        return;
    kivi_slice user = kivi_bytes(data, (size_t)(at - data));
    *authority = kivi_bytes(at + 1, authority->size - user.size - 1);
    parts->password = cut_at(&user, ':');
    parts->user = unless_empty(user);
}

static kivi_status check_port(kivi_slice port, kivi_error **error)
{
    unsigned long number = 0;
    const char *digits = port.data;
    for (size_t i = 0; i < port.size; i++) {
        if (!is_digit(digits[i]) || number > 65535)
            number = 65536;
        else
            number = number * 10 + (unsigned long)(digits[i] - '0');
    }
    if (number < 1 || number > 65535)
        return kvi_fail(error, KIVI_INVALID, "the URL's port is no number from 1 to 65535");
    return KIVI_OK;
}

/* `[address]` or `[address]:port`. */
static kivi_status cut_bracketed(kivi_slice authority, kvi_url_parts *parts, kivi_error **error)
{
    kivi_slice address = kivi_bytes((const char *)authority.data + 1, authority.size - 1);
    kivi_slice behind = cut_at(&address, ']');
    if (!behind.data || !address.size)
        return kvi_fail(error, KIVI_INVALID, "the URL's IPv6 address is not within [ and ]");
    parts->host = address;
    if (!behind.size)
        return KIVI_OK;
    if (*(const char *)behind.data != ':')
        return kvi_fail(error, KIVI_INVALID, "only a port can follow the ] of an IPv6 address");
    parts->port = kivi_bytes((const char *)behind.data + 1, behind.size - 1);
    return check_port(parts->port, error);
}

static kivi_status cut_host(kivi_slice authority, kvi_url_parts *parts, kivi_error **error)
{
    if (has(authority, ',')) { /* several servers: what each text means is the backend's to say */
        parts->host = authority;
        return KIVI_OK;
    }
    if (authority.size && *(const char *)authority.data == '[')
        return cut_bracketed(authority, parts, error);
    if (has(authority, '[') || has(authority, ']'))
        return kvi_fail(error, KIVI_INVALID, "the URL's host holds a stray bracket");
    kivi_slice port = cut_at(&authority, ':');
    if (port.data && has(port, ':'))
        return kvi_fail(error, KIVI_INVALID,
                        "the URL's host holds several colons: an IPv6 address goes within [ and ]");
    parts->host = unless_empty(authority);
    if (!port.data)
        return KIVI_OK;
    parts->port = port;
    return check_port(port, error);
}

/* What follows `//`: `user:password@host:port/path`. */
static kivi_status cut_hierarchy(kivi_slice rest, kvi_url_parts *parts, kivi_error **error)
{
    const char *data = rest.data;
    const char *slash = rest.size ? memchr(data, '/', rest.size) : NULL;
    kivi_slice authority = kivi_bytes(data, slash ? (size_t)(slash - data) : rest.size);
    if (slash)
        parts->path = kivi_bytes(slash, rest.size - authority.size);
    /* The beginning of user:password, its '/' or '?' not encoded, can look like all of an authority. */
    bool doubtful = has(authority, ':') || has(authority, '@');
    if (doubtful && (has(parts->path, '@') || has(parts->query, '@')))
        return kvi_fail(
            error, KIVI_INVALID,
            "the URL holds an '@' behind its host: write %%40 for it, or %%2F and %%3F for "
            "the / and ? of a password");
    cut_userinfo(&authority, parts);
    return cut_host(authority, parts, error);
}

kivi_status kvi_url_cut(const char *text, kvi_url_parts *parts, kivi_error **error)
{
    *parts = (kvi_url_parts){.scheme = {NULL, 0}};
    kivi_status status = cut_scheme(text, parts, error);
    if (!status)
        status = check_bytes(text, error);
    if (status)
        return status;
    kivi_slice rest = kivi_str(text + parts->scheme.size + 1);
    parts->query = cut_at(&rest, '?');
    const char *data = rest.data;
    if (rest.size >= 2 && data[0] == '/' && data[1] == '/')
        return cut_hierarchy(kivi_bytes(data + 2, rest.size - 2), parts, error);
    parts->path = unless_empty(rest);
    return KIVI_OK;
}

bool kvi_url_next_pair(kivi_slice *query, kivi_slice *name, kivi_slice *value)
{
    while (query->data) {
        kivi_slice behind = cut_at(query, '&');
        *name = *query;
        *query = behind;
        if (!name->size)
            continue;
        *value = cut_at(name, '=');
        return true;
    }
    return false;
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes into `to`, which has room for all of the part and a NUL. */
static kivi_status decode_into(kivi_slice part, const char *name, char *to, kivi_error **error)
{
    const char *from = part.data;
    for (size_t i = 0; i < part.size; i++) {
        if (from[i] != '%') {
            *to++ = from[i];
            continue;
        }
        int high = i + 1 < part.size ? hex_digit(from[i + 1]) : -1;
        int low = i + 2 < part.size ? hex_digit(from[i + 2]) : -1;
        if (high < 0 || low < 0)
            return kvi_fail(error, KIVI_INVALID,
                            "the URL's %s holds a '%%' without two hex digits: write %%25", name);
        if (high * 16 + low < 0x20 || high * 16 + low == 0x7f)
            return kvi_fail(error, KIVI_INVALID, "the URL's %s holds a control byte", name);
        *to++ = (char)(high * 16 + low);
        i += 2;
    }
    *to = '\0';
    return KIVI_OK;
}

kivi_status kvi_url_decode(kivi_slice part, const char *name, char **text, kivi_error **error)
{
    *text = NULL;
    if (!part.data)
        return KIVI_OK;
    char *decoded = calloc(1, part.size + 1);
    if (!decoded)
        return kvi_fail(error, KIVI_NO_MEMORY, "no memory for a URL");
    kivi_status status = decode_into(part, name, decoded, error);
    if (!status) {
        *text = decoded;
        return KIVI_OK;
    }
    kvi_erase(decoded, part.size);
    free(decoded);
    return status;
}
