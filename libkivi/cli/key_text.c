/* Keys and JSON as text: what is shown as it is, what is escaped, and the way back. */
#include <stdio.h>

#include "../core/base/utf8.h"
#include "cli.h"

bool cli_is_utf8(kivi_slice bytes)
{
    return kvi_utf8_is_valid(bytes);
}

static kivi_slice rest_of(kivi_slice bytes, size_t from)
{
    return kivi_bytes((const char *)bytes.data + from, bytes.size - from);
}

void cli_key_text(kivi_slice key, kivi_buffer *out)
{
    cli_need(kivi_key_show(key, 0, out));
}

void cli_text_shown(kivi_slice text, kivi_buffer *out)
{
    char shown[KVI_UTF8_SHOWN];
    size_t size;

    for (size_t i = 0; i < text.size; i += size) {
        size_t room = kvi_utf8_show(rest_of(text, i), shown, &size);

        cli_need(kivi_buffer_append(out, kivi_bytes(shown, room)));
    }
}

/* What JSON may hold as it is and a terminal may not, as \uNNNN; above FFFF as two of them. */
static void append_code(kivi_slice sequence, kivi_buffer *out)
{
    const uint8_t *at = sequence.data;
    uint32_t code = at[0] < 0x80 ? at[0] : at[0] & (0x7fu >> sequence.size);
    char text[16];

    for (size_t i = 1; i < sequence.size; i++)
        code = code << 6 | (at[i] & 0x3fu);
    if (code < 0x10000)
        snprintf(text, sizeof text, "\\u%04x", (unsigned)code);
    else
        snprintf(text, sizeof text, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (code >> 10)),
                 (unsigned)(0xdc00 + (code & 0x3ff)));
    cli_need(kivi_buffer_append(out, kivi_str(text)));
}

/* Where the text holds something beyond ASCII or a DEL for the first time; its size: nowhere. */
static size_t plain_size(kivi_slice text)
{
    const uint8_t *at = text.data;
    size_t i = 0;

    while (i < text.size && at[i] < 0x7f)
        i++;
    return i;
}

void cli_json_shown(kivi_buffer *text)
{
    kivi_slice all = kivi_buffer_slice(text);
    kivi_buffer shown = KIVI_BUFFER_INIT;
    size_t kept = 0, size;

    for (size_t i = plain_size(all); i < all.size; i += size) {
        if (text->data[i] < 0x7f) {
            size = 1;
            continue;
        }
        if (kvi_utf8_is_printable(rest_of(all, i), &size))
            continue;
        cli_need(kivi_buffer_append(&shown, kivi_bytes(text->data + kept, i - kept)));
        append_code(kivi_bytes(text->data + i, size), &shown);
        kept = i + size;
    }
    if (kept) {
        cli_need(kivi_buffer_append(&shown, rest_of(all, kept)));
        kivi_buffer_free(text);
        *text = shown;
    }
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
