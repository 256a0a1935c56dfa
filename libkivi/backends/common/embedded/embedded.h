/* What engines share that live in the process: expiries beside the values, and writes judged by what is there. */
#ifndef KVI_EMBEDDED_H
#define KVI_EMBEDDED_H

#include <kivi/backend.h>
#include <string.h>

/* ---- Order ---- */

/* Below 0, 0 or above as `a` lies before, at or behind `b` by bytes. */
static inline int kvi_key_order(kivi_slice a, kivi_slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size ? memcmp(a.data, b.data, size) : 0;

    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static inline bool kvi_key_begins(kivi_slice key, kivi_slice prefix)
{
    return key.size >= prefix.size && (!prefix.size || memcmp(key.data, prefix.data, prefix.size) == 0);
}

/* ---- Expiries beside the values (record.c) ---- */

#define KVI_RECORD_SIZE 16

/* An expiry, and the hash of the value that it was set for: for any other it does not count. */
typedef struct kvi_record {
    int64_t expiry_ms; /* the last ms in which the key is there */
    uint64_t hash;
} kvi_record;

/* False: no record of ours. */
bool kvi_record_read(kivi_slice bytes, kvi_record *record);
void kvi_record_write(const kivi_host *host, uint8_t bytes[KVI_RECORD_SIZE], int64_t expiry_ms,
                      kivi_slice value);
/*
 * What a record means for a value: its expiry, 0: none, -1: it is over. Where not asked to be exact, one that is not
 * over may be 0 as well, which saves the hash. `*now`, 0 before it is first needed, is the time that it is judged by.
 */
int64_t kvi_record_judge(const kivi_host *host, const kvi_record *record, kivi_slice value,
                         bool exactly, int64_t *now);

/* What is left until an expiry, as a TTL: at least 1. */
static inline int64_t kvi_ttl_left(int64_t expiry_ms, int64_t now)
{
    return expiry_ms > now ? expiry_ms - now : 1;
}

/* ---- Writes judged by what is there (judge.c) ---- */

/* What a key holds. */
typedef struct kvi_found {
    kivi_slice value;
    int64_t expiry_ms; /* 0: none */
    bool present;      /* and not expired */
} kvi_found;

/* Whether an item gives its key an expiry. */
bool kvi_sets_expiry(const kivi_write_item *item);
/* Whether it can be done without a look at its key; `expiries`: some key has one. */
bool kvi_is_blind(const kivi_write_item *item, bool expiries);
/* OK: it can be done; else what it returns without that. A version is the stored bytes. */
kivi_status kvi_judge(const kivi_write_item *item, const kvi_found *found);
/* Whether a status keeps the others of an atomic vector from being done: a touch of a missing key does not. */
static inline bool kvi_stops_others(kivi_status status)
{
    return status != KIVI_PENDING && status != KIVI_NOT_FOUND;
}
/* When what an item leaves behind expires; 0: never. */
int64_t kvi_expiry_after(const kivi_host *host, const kivi_write_item *item, const kvi_found *found);

#endif
