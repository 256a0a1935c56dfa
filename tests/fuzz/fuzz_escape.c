/*
 * Escaping under any rules: keys come back, no two share a stored form, what the store cannot hold is not stored,
 * strangers are told, and a prefix answers what all its continuations share.
 */
#include "core/base/base.h"
#include "core/store/escape.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes the first bytes of the input off it; zeros where it has ended. */
static void take(const uint8_t **data, size_t *size, void *to, size_t wanted)
{
    size_t given = *size < wanted ? *size : wanted;
    memset(to, 0, wanted);
    memcpy(to, *data, given);
    *data += given;
    *size -= given;
}

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool equal(kivi_slice a, kivi_slice b)
{
    return a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size));
}

static bool table_has(const kivi_escape *escape, uint8_t byte)
{
    return escape->bytes[byte / 8] >> (byte % 8) & 1;
}

/* Digits and '%' make up escapes, so a table cannot keep them out. */
static void check_can_hold(const kivi_escape *escape, kivi_slice stored)
{
    const uint8_t *bytes = stored.data;
    for (size_t i = 0; i < stored.size; i++) {
        bool of_escape = bytes[i] == '%' || (bytes[i] >= '0' && bytes[i] <= '9') ||
                         (bytes[i] >= 'A' && bytes[i] <= 'F');
        require(of_escape || !table_has(escape, bytes[i]));
    }
    if (escape->rules & KIVI_ESCAPE_UTF8)
        require(kvi_utf8_is_valid(stored));
    if (stored.size && escape->rules & KIVI_ESCAPE_PATH)
        require(bytes[0] != '/' && !memmem(bytes, stored.size, "//", 2));
    if (stored.size && escape->rules & KIVI_ESCAPE_OUTER_SPACE)
        require(bytes[0] != ' ');
    if (stored.size && escape->rules & (KIVI_ESCAPE_OUTER_SPACE | KIVI_ESCAPE_TRAILING_SPACE))
        require(bytes[stored.size - 1] != ' ');
    const char *reserved = escape->reserved_prefix;
    if (reserved && *reserved && stored.size >= strlen(reserved))
        require(memcmp(bytes, reserved, strlen(reserved)) != 0);
}

static void check_key(const kivi_escape *escape, kivi_slice key, kivi_buffer *stored)
{
    kivi_buffer back = KIVI_BUFFER_INIT;
    stored->size = 0;
    require(!kvi_escape_encode(escape, key, stored));
    check_can_hold(escape, kivi_buffer_slice(stored));
    require(!kvi_escape_decode(escape, kivi_buffer_slice(stored), &back));
    require(equal(kivi_buffer_slice(&back), key));
    kivi_buffer_free(&back);
}

/* Any bytes as a stored name: an encoding of what they are read as, or a stranger. */
static void check_name(const kivi_escape *escape, kivi_slice name)
{
    kivi_buffer key = KIVI_BUFFER_INIT, again = KIVI_BUFFER_INIT;
    kivi_status status = kvi_escape_decode(escape, name, &key);
    require(status == KIVI_OK || (status == KIVI_CORRUPT && key.size == 0));
    if (!status) {
        require(!kvi_escape_encode(escape, kivi_buffer_slice(&key), &again));
        require(equal(kivi_buffer_slice(&again), name));
    }
    kivi_buffer_free(&key);
    kivi_buffer_free(&again);
}

static void check_prefixes(const kivi_escape *escape, kivi_slice key, const kivi_buffer *stored)
{
    kivi_buffer shared = KIVI_BUFFER_INIT;
    for (size_t size = 0; size <= key.size; size++) {
        shared.size = 0;
        require(!kvi_escape_prefix(escape, kivi_bytes(key.data, size), &shared));
        require(shared.size <= stored->size);
        require(!shared.size || !memcmp(shared.data, stored->data, shared.size));
    }
    kivi_buffer_free(&shared);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t head[2], table[32];
    char reserved[4] = "";
    kivi_buffer stored = KIVI_BUFFER_INIT;
    take(&data, &size, head, sizeof(head));
    if (size > 256)
        size = 256;
    kivi_escape escape = {.struct_size = sizeof(escape), .rules = head[0] & 0x0f};
    if (head[0] & 0x10) {
        take(&data, &size, table, sizeof(table));
        memcpy(escape.bytes, table, sizeof(table));
    }
    if (head[0] & 0x20)
        escape.bytes[head[1] / 8] |= (uint8_t)(1 << head[1] % 8);
    if (head[0] & 0x40) {
        take(&data, &size, reserved, sizeof(reserved) - 1);
        reserved[strcspn(reserved, "%")] = '\0'; /* a backend may not name one with '%' */
        escape.reserved_prefix = reserved;
    }
    check_key(&escape, kivi_bytes(data, size), &stored);
    check_prefixes(&escape, kivi_bytes(data, size), &stored);
    check_name(&escape, kivi_bytes(data, size));
    kivi_buffer_free(&stored);
    return 0;
}
