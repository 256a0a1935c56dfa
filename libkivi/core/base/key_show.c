/* Keys as they may stand in a message or on a terminal. */
#include "base.h"

kivi_status kivi_key_show(kivi_slice key, size_t longest, kivi_buffer *out)
{
    const uint8_t *bytes = key.data;
    kivi_status status = KIVI_OK;
    size_t size;
    for (size_t i = 0; i < key.size && !status; i += size) {
        char shown[KVI_UTF8_SHOWN + 1];
        size_t room = kvi_utf8_show(kivi_bytes(bytes + i, key.size - i), shown, &size);
        if (longest && i + size > longest)
            return kivi_buffer_append(out, kivi_str("..."));
        if (bytes[i] == '\\')
            shown[room++] = '\\';
        status = kivi_buffer_append(out, kivi_bytes(shown, room));
    }
    return status;
}
