/* Keys of imitated stores: text only, or paths. */
#include "keys.h"

void kvi_keys_escape(const memory_settings *settings, kivi_escape *escape)
{
    escape->struct_size = sizeof(*escape);
    escape->reserved_prefix = settings->reserved_prefix;
    if (settings->text_keys || settings->path_keys)
        escape->bytes[0] |= 1; /* NUL */
    if (settings->text_keys)
        escape->rules |= KIVI_ESCAPE_UTF8;
    if (settings->path_keys)
        escape->rules |= KIVI_ESCAPE_PATH | KIVI_ESCAPE_OUTER_SPACE;
}

/* Length of the well-formed UTF-8 sequence at the front of `size` bytes; 0: there is none. */
static size_t sequence(const uint8_t *bytes, size_t size)
{
    uint32_t least, code;
    size_t length;

    if (bytes[0] < 0x80)
        return 1;
    if (bytes[0] < 0xc2 || bytes[0] > 0xf4)
        return 0;
    length = bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
    least = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
    if (length > size)
        return 0;
    code = bytes[0] & (0x7f >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (bytes[i] & 0x3f);
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    return length;
}

static bool is_text(const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t length = sequence(bytes + at, size - at);

        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

/* No empty segment but the last, no "." and "..": what a server that cleans paths would leave alone. */
static bool is_path(const uint8_t *bytes, size_t size)
{
    size_t start = 0;

    if (bytes[0] == ' ' || bytes[size - 1] == ' ')
        return false;
    for (size_t at = 0; at <= size; at++) {
        size_t length = at - start;

        if (at < size && bytes[at] != '/')
            continue;
        if (at < size && length == 0)
            return false;
        if ((length == 1 || length == 2) && memcmp(bytes + start, "..", length) == 0)
            return false;
        start = at + 1;
    }
    return true;
}

static bool is_reserved(const memory_settings *settings, kivi_slice key)
{
    size_t size = settings->reserved_prefix ? strlen(settings->reserved_prefix) : 0;

    return size && key.size >= size && memcmp(key.data, settings->reserved_prefix, size) == 0;
}

bool kvi_keys_fit(const memory_settings *settings, kivi_slice key)
{
    if (key.size == 0 || is_reserved(settings, key))
        return false;
    if ((settings->text_keys || settings->path_keys) && memchr(key.data, 0, key.size))
        return false;
    if (settings->text_keys && !is_text(key.data, key.size))
        return false;
    return !settings->path_keys || is_path(key.data, key.size);
}
