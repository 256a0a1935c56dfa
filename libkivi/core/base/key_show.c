/* Keys as they may stand in a message or on a terminal. */
#include "../internal.h"

/* Code points that a terminal would act on, or that show as nothing: a key must not hide what it is. */
static bool is_hidden(uint32_t code)
{
    static const uint32_t hidden[][2] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},
        {0x180e, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},
        {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0xe0fff},
    };

    for (size_t i = 0; i < sizeof(hidden) / sizeof(*hidden); i++)
        if (code >= hidden[i][0] && code <= hidden[i][1])
            return true;
    return false;
}

/* The code point of a well-formed sequence. */
static uint32_t code_of(const uint8_t *at, size_t length)
{
    uint32_t code = length == 1 ? at[0] : at[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++)
        code = code << 6 | (at[i] & 0x3fu);
    return code;
}

static kivi_status append_hex(const uint8_t *bytes, size_t size, kivi_buffer *out)
{
    static const char hex[] = "0123456789abcdef";
    kivi_status status = KIVI_OK;
    for (size_t i = 0; i < size && !status; i++) {
        char escape[4] = {'\\', 'x', hex[bytes[i] >> 4], hex[bytes[i] & 15]};
        status = kivi_buffer_append(out, kivi_bytes(escape, sizeof(escape)));
    }
    return status;
}

kivi_status kivi_key_show(kivi_slice key, size_t longest, kivi_buffer *out)
{
    const uint8_t *bytes = key.data;
    kivi_status status = KIVI_OK;
    for (size_t i = 0; i < key.size && !status;) {
        size_t length = kvi_utf8_sequence(kivi_bytes(bytes + i, key.size - i));
        size_t size = length ? length : 1;
        if (longest && i + size > longest)
            return kivi_buffer_append(out, kivi_str("..."));
        if (!length || is_hidden(code_of(bytes + i, length)))
            status = append_hex(bytes + i, size, out);
        else if (bytes[i] == '\\')
            status = kivi_buffer_append(out, kivi_str("\\\\"));
        else
            status = kivi_buffer_append(out, kivi_bytes(bytes + i, size));
        i += size;
    }
    return status;
}
