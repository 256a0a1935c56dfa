/* Where a conversion went wrong, as text: the key, and the place in its value. */
#include "bindings.h"

#include <stdio.h>

#define LONGEST_KEY 40 /* bytes of a map's key that are shown */

static bool is_plain(const kvb_path *path)
{
    for (size_t i = 0; i < path->key_size; i++) {
        char c = path->key[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return path->key_size > 0;
}

static size_t add(char *text, size_t capacity, size_t size, const char *format, int shown, const char *key)
{
    int wrote = snprintf(text + size, capacity - size, format, shown, key);
    return size + (size_t)wrote;
}

static size_t add_link(const kvb_path *path, char *text, size_t capacity, size_t size)
{
    int most = (int)(path->key_size < LONGEST_KEY ? path->key_size : LONGEST_KEY);
    kivi_buffer shown = KIVI_BUFFER_INIT;
    if (!path->key)
        return size + (size_t)snprintf(text + size, capacity - size, "[%zu]", path->index);
    if (is_plain(path))
        return add(text, capacity, size, ".%.*s", most, path->key);
    if (kivi_key_show(kivi_bytes(path->key, (size_t)most), 0, &shown) || 4 + shown.size >= capacity - size)
        shown.size = 0;
    size = add(text, capacity, size, "[\"%.*s\"]", (int)shown.size, (const char *)shown.data);
    kivi_buffer_free(&shown);
    return size;
}

#define LONGEST_STORED_KEY \
    64 /* bytes of a store's key that are shown, at most four characters each */

const char *kvb_key_prefix(kivi_slice key, char text[KVB_KEY_PREFIX])
{
    kivi_buffer shown = KIVI_BUFFER_INIT;
    text[0] = '\0';
    if (!key.size) /* the message says so itself */
        return text;
    if (kivi_key_show(key, LONGEST_STORED_KEY, &shown))
        shown.size = 0;
    snprintf(text, KVB_KEY_PREFIX, "key \"%.*s\": ", (int)shown.size, (const char *)shown.data);
    kivi_buffer_free(&shown);
    return text;
}

const char *kvb_path_text(const kvb_path *path, char *text, size_t capacity)
{
    const kvb_path *links[64];
    size_t depth = 0, size, shown;
    for (const kvb_path *link = path; link; link = link->outer)
        depth++;
    shown = depth < 64 ? depth : 64;
    for (size_t i = depth; path; path = path->outer)
        if (--i < shown)
            links[i] = path;
    size = (size_t)snprintf(text, capacity, "value");
    for (size_t i = 0; i < shown && size + LONGEST_KEY + 24 < capacity; i++)
        size = add_link(links[i], text, capacity, size);
    if (shown < depth)
        snprintf(text + size, capacity - size, "...");
    return text;
}
