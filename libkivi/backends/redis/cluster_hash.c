/* The slot of a key: CRC16 (XMODEM) of it, or of its hash tag, as the nodes compute it. */
#include "cluster.h"

static uint16_t crc16(const uint8_t *bytes, size_t size)
{
    static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5,
                                       0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
                                       0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
    uint16_t crc = 0;

    for (size_t i = 0; i < size; i++) {
        crc = (uint16_t)(crc << 4 ^ table[crc >> 12 ^ bytes[i] >> 4]);
        crc = (uint16_t)(crc << 4 ^ table[crc >> 12 ^ (bytes[i] & 15)]);
    }
    return crc;
}

/* The tag in a key, or in the beginning of one; empty: it has none. */
static kivi_slice tag_of(kivi_slice key)
{
    const uint8_t *bytes = key.data, *open = key.size ? memchr(bytes, '{', key.size) : NULL, *close;
    size_t behind;

    if (!open)
        return kivi_bytes(NULL, 0);
    behind = key.size - (size_t)(open + 1 - bytes);
    close = behind ? memchr(open + 1, '}', behind) : NULL;
    return close ? kivi_bytes(open + 1, (size_t)(close - open - 1)) : kivi_bytes(NULL, 0);
}

bool kvi_cluster_has_tag(kivi_slice prefix)
{
    return tag_of(prefix).size > 0;
}

uint16_t kvi_cluster_slot(kivi_slice key)
{
    kivi_slice tag = tag_of(key);

    if (tag.size == 0)
        tag = key;
    return crc16(tag.data, tag.size) % SLOTS;
}
