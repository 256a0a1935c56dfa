/* What a session is at, and what is told of its reads. */
#include "sql.h"

bool kvi_sql_changes(const kvi_sql_job *job)
{
    const kivi_read_vector *reads = job->reads;

    if (job->verb == KVI_SQL_WRITE)
        return true;
    for (size_t i = 0; job->verb == KVI_SQL_READ && i < reads->count; i++)
        if (kivi_read_item_at(reads, i)->then != KIVI_THEN_NOTHING)
            return true;
    return false;
}

int kvi_sql_wish(const kivi_read_item *item)
{
    return (item->want & (KIVI_WANT_VALUE | KIVI_WANT_VERSION) ? KVI_SQL_VALUE : 0) |
           (item->want & KIVI_WANT_EXPIRY ? KVI_SQL_EXPIRY : 0);
}

void kvi_sql_tell_found(kivi_read_vector *vector, kivi_read_item *item, kivi_slice value, int64_t ttl_ms)
{
    kivi_status status = KIVI_OK;

    if (item->want & KIVI_WANT_EXPIRY)
        item->ttl_ms = ttl_ms;
    if (item->want & (KIVI_WANT_VALUE | KIVI_WANT_VERSION))
        status = vector->deliver(vector, item, value, kivi_bytes(NULL, 0));
    item->status = status;
}
