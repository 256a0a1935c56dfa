/* Keys as text: what is shown as it is, what is escaped, and the way back. */
#include "cli.h"

/* How long the sequence that a byte begins is; 0: it begins none. */
static size_t utf8_length(uint8_t first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* The code point that begins at data, its length in *size; -1 where no well-formed sequence begins. */
static int32_t utf8_next(const uint8_t *data, size_t left, size_t *size)
{
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = utf8_length(data[0]);
    int32_t code;

    if (!length || length > left)
        return -1;
    code = length == 1 ? data[0] : data[0] & (0x7f >> length);
    for (size_t i = 1; i < length; i++) {
        if ((data[i] & 0xc0) != 0x80)
            return -1;
        code = code << 6 | (data[i] & 0x3f);
    }
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return -1;
    *size = length;
    return code;
}

bool cli_is_utf8(kivi_slice bytes)
{
    const uint8_t *data = bytes.data;
    size_t size = 0;

    for (size_t i = 0; i < bytes.size; i += size)
        if (utf8_next(data + i, bytes.size - i, &size) < 0)
            return false;
    return true;
}

void cli_key_text(kivi_slice key, kivi_buffer *out)
{
    cli_need(kivi_key_show(key, 0, out));
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool cli_key_unescape(char *text, size_t *size)
{
    char *out = text;

    for (const char *at = text; *at; at++) {
        if (*at != '\\') {
            *out++ = *at;
        } else if (at[1] == '\\') {
            *out++ = '\\';
            at++;
        } else {
            int high = at[1] == 'x' ? hex_digit(at[2]) : -1;
            int low = high < 0 ? -1 : hex_digit(at[3]);

            if (low < 0)
                return false;
            *out++ = (char)(high << 4 | low);
            at += 3;
        }
    }
    *size = (size_t)(out - text);
    return true;
}
