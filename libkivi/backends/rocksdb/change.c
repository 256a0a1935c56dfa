/* What is put into the batch of a vector: values, and the expiries beside them. */
#include "rocks.h"

int64_t kvi_rocks_now(int64_t *now)
{
    if (!*now)
        *now = kvi_rocks_host->clock_ms();
    return *now;
}

void kvi_rocks_touch(rocks_change *change, kivi_slice key, kivi_slice value, int64_t expiry_ms,
                     bool recorded)
{
    rocksdb_column_family_handle_t *family = kvi_rocks_expiries(change->engine->view);
    uint8_t record[KVI_RECORD_SIZE];

    if (expiry_ms > 0) {
        kvi_record_write(kvi_rocks_host, record, expiry_ms, value);
        rocksdb_writebatch_put_cf(change->session->batch, family, key.data, key.size,
                                  (char *)record, sizeof(record));
    } else if (recorded) {
        rocksdb_writebatch_delete_cf(change->session->batch, family, key.data, key.size);
    }
}

void kvi_rocks_put(rocks_change *change, kivi_slice key, kivi_slice value, int64_t expiry_ms, bool recorded)
{
    rocksdb_writebatch_put_cf(change->session->batch, change->engine->view->data, key.data,
                              key.size, value.size ? value.data : "", value.size);
    kvi_rocks_touch(change, key, value, expiry_ms, recorded);
}

void kvi_rocks_remove(rocks_change *change, kivi_slice key, bool recorded)
{
    rocksdb_writebatch_delete_cf(change->session->batch, change->engine->view->data, key.data, key.size);
    if (recorded)
        rocksdb_writebatch_delete_cf(change->session->batch,
                                     kvi_rocks_expiries(change->engine->view), key.data, key.size);
}
