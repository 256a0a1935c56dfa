/* UTF-8: which bytes are well-formed text. */
#include "../internal.h"

/* Bytes 80 to BF. */
static bool is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* What may follow the first byte of three or four: shortest forms only, no surrogates, at most U+10FFFF. */
static bool is_second(uint8_t first, uint8_t second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return is_tail(second);
    }
}

size_t kvi_utf8_sequence(kivi_slice text)
{
    const uint8_t *at = text.data;
    if (!text.size)
        return 0;
    if (at[0] < 0x80)
        return 1;
    if (at[0] < 0xc2 || at[0] > 0xf4 || text.size < 2)
        return 0;
    if (at[0] < 0xe0)
        return is_tail(at[1]) ? 2 : 0;
    if (!is_second(at[0], at[1]) || text.size < 3 || !is_tail(at[2]))
        return 0;
    if (at[0] < 0xf0)
        return 3;
    return text.size >= 4 && is_tail(at[3]) ? 4 : 0;
}

bool kvi_utf8_is_valid(kivi_slice text)
{
    const uint8_t *at = text.data;
    size_t left = text.size;
    while (left) {
        uint64_t word;
        if (left >= sizeof(word)) { /* most text is ASCII: eight bytes a step */
            memcpy(&word, at, sizeof(word));
            if (!(word & UINT64_C(0x8080808080808080))) {
                at += sizeof(word);
                left -= sizeof(word);
                continue;
            }
        }
        size_t length = kvi_utf8_sequence(kivi_bytes(at, left));
        if (!length)
            return false;
        at += length;
        left -= length;
    }
    return true;
}
