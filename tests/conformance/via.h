/* The calls of the cases by another way: on rows with the trait `queue` each is submitted to a queue and waited for. */
#ifndef CONFORMANCE_VIA_H
#define CONFORMANCE_VIA_H

#include <kivi/kivi.h>

/* From now on, in this process. */
void via_use_queue(bool use);
/* Ends the queue of this thread; a call begins another. Those of other threads end with them. */
void via_end(void);

kivi_status via_get(kivi_store *store, const kivi_call *call, kivi_slice key, kivi_buffer *value,
                    kivi_error **error);
kivi_status via_get_versioned(kivi_store *store, const kivi_call *call, kivi_slice key,
                              kivi_buffer *value, kivi_buffer *version, kivi_error **error);
kivi_status via_exists(kivi_store *store, const kivi_call *call, kivi_slice key, bool *exists,
                       kivi_error **error);
kivi_status via_ttl(kivi_store *store, const kivi_call *call, kivi_slice key, int64_t *ttl_ms,
                    kivi_error **error);
kivi_status via_take(kivi_store *store, const kivi_call *call, kivi_slice key, kivi_buffer *value,
                     kivi_error **error);
kivi_status via_get_and_expire(kivi_store *store, const kivi_call *call, kivi_slice key,
                               int64_t ttl_ms, kivi_buffer *value, kivi_error **error);
kivi_status via_set(kivi_store *store, const kivi_call *call, kivi_slice key, kivi_slice value,
                    int64_t ttl_ms, kivi_error **error);
kivi_status via_add(kivi_store *store, const kivi_call *call, kivi_slice key, kivi_slice value,
                    int64_t ttl_ms, kivi_error **error);
kivi_status via_replace(kivi_store *store, const kivi_call *call, kivi_slice key, kivi_slice value,
                        int64_t ttl_ms, kivi_error **error);
kivi_status via_delete(kivi_store *store, const kivi_call *call, kivi_slice key, bool *existed,
                       kivi_error **error);
kivi_status via_compare_and_set(kivi_store *store, const kivi_call *call, kivi_slice key,
                                kivi_slice expected, kivi_slice value, int64_t ttl_ms,
                                kivi_error **error);
kivi_status via_compare_and_delete(kivi_store *store, const kivi_call *call, kivi_slice key,
                                   kivi_slice expected, kivi_error **error);
kivi_status via_increment(kivi_store *store, const kivi_call *call, kivi_slice key, int64_t by,
                          int64_t ttl_ms, int64_t *value, kivi_error **error);
kivi_status via_expire(kivi_store *store, const kivi_call *call, kivi_slice key, int64_t ttl_ms,
                       kivi_error **error);
kivi_status via_persist(kivi_store *store, const kivi_call *call, kivi_slice key, kivi_error **error);
kivi_status via_get_many(kivi_store *store, const kivi_call *call, const kivi_slice *keys,
                         size_t count, kivi_result **result, kivi_error **error);
kivi_status via_set_many(kivi_store *store, const kivi_call *call, const kivi_slice *keys,
                         const kivi_slice *values, size_t count, int64_t ttl_ms,
                         kivi_result **result, kivi_error **error);
kivi_status via_delete_many(kivi_store *store, const kivi_call *call, const kivi_slice *keys,
                            size_t count, uint64_t *existed, kivi_result **result, kivi_error **error);
kivi_status via_apply(kivi_store *store, const kivi_call *call, const kivi_op *ops, size_t count,
                      uint32_t flags, kivi_result **result, kivi_error **error);
kivi_status via_page(kivi_store *store, const kivi_call *call, const kivi_range *range,
                     kivi_page **page, kivi_error **error);
kivi_status via_count(kivi_store *store, const kivi_call *call, kivi_slice prefix, uint64_t *count,
                      kivi_error **error);
kivi_status via_clear(kivi_store *store, const kivi_call *call, kivi_slice prefix, uint32_t flags,
                      uint64_t *cleared, kivi_error **error);

#ifndef VIA_ITSELF
#define kivi_store_get via_get
#define kivi_store_get_versioned via_get_versioned
#define kivi_store_exists via_exists
#define kivi_store_ttl via_ttl
#define kivi_store_take via_take
#define kivi_store_get_and_expire via_get_and_expire
#define kivi_store_set via_set
#define kivi_store_add via_add
#define kivi_store_replace via_replace
#define kivi_store_delete via_delete
#define kivi_store_compare_and_set via_compare_and_set
#define kivi_store_compare_and_delete via_compare_and_delete
#define kivi_store_increment via_increment
#define kivi_store_expire via_expire
#define kivi_store_persist via_persist
#define kivi_store_get_many via_get_many
#define kivi_store_set_many via_set_many
#define kivi_store_delete_many via_delete_many
#define kivi_store_apply via_apply
#define kivi_store_page via_page
#define kivi_store_count via_count
#define kivi_store_clear via_clear
#endif

#endif
