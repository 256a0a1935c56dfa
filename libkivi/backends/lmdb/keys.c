/* Keys as they are stored: all as they are, but those that the mark of the file would collide with. */
#include "engine.h"

bool kvi_lmdb_key_widen(kivi_slice key, kvi_lmdb_key *made)
{
    if (key.size >= KVI_LMDB_KEY_MAX)
        return false;
    memcpy(made->memory, key.data, key.size);
    made->memory[key.size] = 0;
    made->stored.mv_data = made->memory;
    made->stored.mv_size = key.size + 1;
    return true;
}

/*
 * LMDB's calls do not tell a value from the record of a named database, but the file does: the header
 * of a node lies right before its key, the key before the data.
 */
bool kvi_lmdb_is_database_slow(size_t key_size, const void *data)
{
    uint16_t flags_and_size[2];

    memcpy(flags_and_size, (const uint8_t *)data - key_size - sizeof(flags_and_size),
           sizeof(flags_and_size));
    return flags_and_size[1] == key_size && (flags_and_size[0] & 0x02);
}
