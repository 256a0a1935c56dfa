/* Where the keys under a prefix end, and where a page of them begins. */
#include "sql.h"

#define SURROGATES 0xd800u
#define BEHIND_SURROGATES 0xe000u
#define LAST_POINT 0x10ffffu

/* Reads the last code point of well-formed UTF-8; where it begins is answered. */
static size_t last_point(const uint8_t *data, size_t size, uint32_t *point)
{
    size_t at = size - 1;

    while (at && (data[at] & 0xc0) == 0x80)
        at--;
    if (data[at] < 0x80)
        *point = data[at];
    else
        *point = data[at] & (data[at] < 0xe0 ? 0x1f : data[at] < 0xf0 ? 0x0f : 0x07);
    for (size_t i = at + 1; i < size; i++)
        *point = *point << 6 | (data[i] & 0x3f);
    return at;
}

static size_t put_point(uint8_t *at, uint32_t point)
{
    static const uint8_t heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;

    for (size_t i = length; i-- > 1; point >>= 6)
        at[i] = (uint8_t)(0x80 | (point & 0x3f));
    at[0] = (uint8_t)(heads[length] | point);
    return length;
}

size_t kvi_sql_behind(kivi_slice prefix, uint8_t *bytes)
{
    size_t size = prefix.size;

    while (size) {
        uint32_t point;
        size = last_point(prefix.data, size, &point);
        if (++point > LAST_POINT)
            continue; /* the text before it, one higher, is behind as well */
        if (point >= SURROGATES && point < BEHIND_SURROGATES)
            point = BEHIND_SURROGATES;
        if (size)
            memcpy(bytes, prefix.data, size);
        return size + put_point(bytes + size, point);
    }
    return 0;
}

size_t kvi_sql_behind_bytes(kivi_slice prefix, uint8_t *bytes)
{
    const uint8_t *data = prefix.data;
    size_t size = prefix.size;

    while (size && data[size - 1] == 0xff)
        size--;
    if (!size)
        return 0;
    memcpy(bytes, data, size);
    bytes[size - 1]++;
    return size;
}

kivi_slice kvi_sql_begins_behind(const kivi_scan_range *range)
{
    kivi_slice from = range->cursor.size ? range->cursor : range->after, prefix = range->prefix;
    size_t common = from.size < prefix.size ? from.size : prefix.size;
    int order = common ? memcmp(from.data, prefix.data, common) : 0;

    return order < 0 || (order == 0 && from.size < prefix.size) ? kivi_bytes(NULL, 0) : from;
}
