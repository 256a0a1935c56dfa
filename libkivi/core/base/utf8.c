/* UTF-8: which bytes are well-formed text, and which of it may be shown as it is. */
#include "utf8.h"

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

/* ---- what may be shown ---- */

static uint32_t code_of(const uint8_t *at, size_t size)
{
    uint32_t code = size == 1 ? at[0] : at[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++)
        code = code << 6 | (at[i] & 0x3fu);
    return code;
}

/* Code points that a terminal would act on, or that show as nothing: text must not hide what it is. */
static bool is_hidden(uint32_t code)
{
    static const uint32_t hidden[][2] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},
        {0x180e, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},
        {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0xe0fff},
    };
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (code >= hidden[i][0] && code <= hidden[i][1])
            return true;
    return false;
}

bool kvi_utf8_is_printable(kivi_slice text, size_t *size)
{
    size_t length = kvi_utf8_sequence(text);
    *size = length ? length : 1;
    return length && !is_hidden(code_of(text.data, length));
}

size_t kvi_utf8_show(kivi_slice text, char to[KVI_UTF8_SHOWN], size_t *size)
{
    static const char hex[] = "0123456789abcdef";
    const uint8_t *at = text.data;
    if (kvi_utf8_is_printable(text, size)) {
        memcpy(to, at, *size);
        return *size;
    }
    for (size_t i = 0; i < *size; i++) {
        to[4 * i] = '\\';
        to[4 * i + 1] = 'x';
        to[4 * i + 2] = hex[at[i] >> 4];
        to[4 * i + 3] = hex[at[i] & 15];
    }
    return 4 * *size;
}
