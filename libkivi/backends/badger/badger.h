/* What the files of this folder share. */
#ifndef KVI_BADGER_H
#define KVI_BADGER_H

#include "../common/go/go.h"

#define KVI_BADGER_KEY_MOST 32 /* bytes of AES-256 */

/* The encryption key as the options give it; `size` 0: none. INVALID, DENIED. */
typedef struct kvi_badger_key {
    uint8_t bytes[KVI_BADGER_KEY_MOST];
    size_t size;
} kvi_badger_key;
kivi_status kvi_badger_read_key(const kivi_config *config, kvi_badger_key *key, kivi_error **error);

#endif
