/* The callers' structs, read and written by the rule of struct_size. */
#include "base.h"

kivi_status kvi_struct_read(void *local, size_t known, const void *given, const char *name,
                            kivi_error **error)
{
    uint32_t size;
    memcpy(&size, given, sizeof(size));
    if (size < 2 * sizeof(uint32_t))
        return kvi_fail(error, KIVI_INVALID, "%s: struct_size is not set", name);
    const uint8_t *bytes = given;
    for (size_t i = known; i < size; i++)
        if (bytes[i])
            return kvi_fail(error, KIVI_UNSUPPORTED,
                            "%s: made for a newer libkivi (byte %zu is set)", name, i);
    memset(local, 0, known);
    memcpy(local, given, size < known ? size : known);
    return KIVI_OK;
}

kivi_status kvi_struct_write(void *given, const void *local, size_t known, const char *name,
                             kivi_error **error)
{
    uint32_t size;
    memcpy(&size, given, sizeof(size));
    if (size < 2 * sizeof(uint32_t))
        return kvi_fail(error, KIVI_INVALID, "%s: struct_size is not set", name);
    size_t wide = size < known ? size : known;
    memcpy((uint8_t *)given + sizeof(size), (const uint8_t *)local + sizeof(size), wide - sizeof(size));
    return KIVI_OK;
}
