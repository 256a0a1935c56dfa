/*
 * The vocabulary, once for all languages. Each language's own file says `%module`, gives typemaps and includes this one.
 *
 * Typemaps that a language gives, by the names below:
 *   in   kivi_slice key, prefix, after, cursor   bytes, without a copy, held until the call was made
 *   in   kvb_encoder *value, *expected           any value, encoded for the store (arg1); freearg gives it back
 *   in   kvb_batch *keys, *pairs, *ops           many of them, copied; freearg frees
 *   in   int64_t ttl_ms                          seconds; nothing: KIVI_TTL_NONE; the word for keep: KIVI_TTL_KEEP
 *   in   int64_t timeout_ms                      seconds; nothing: 0, the store's own
 *   in   int64_t lease_ms                      as timeout_ms; nothing: 0, none
 *   in   void *missing, void *function           the language's objects
 *   out  kvb_answer *                            kvb_answer_shape() says what it holds; or raises, or waits
 */
%{
#include "bindings.h"

#define ASK(store, timeout, ...) \
    kvb_call(store, timeout, &(kivi_request){.struct_size = sizeof(kivi_request), __VA_ARGS__})
#define ASK_WITH(store, timeout, missing, function, ...)                                               \
    kvb_call_with(store, timeout, &(kivi_request){.struct_size = sizeof(kivi_request), __VA_ARGS__}, \
                  missing, function)
%}

%apply int64_t timeout_ms { int64_t lease_ms };

%nodefaultctor;
%nodefaultdtor;
%immutable;

typedef struct kvb_store {
} kvb_store;

%extend kvb_store {
    ~kvb_store() { kvb_store_unref($self); }

    /* Ends the work: calls in progress and later ones fail as closed. */
    void close() { kivi_store_close($self->store); }

    /* ---- one key ---- */
    kvb_answer *get(kivi_slice key, void *missing = NULL, int64_t timeout_ms = 0) {
        return ASK_WITH($self, timeout_ms, missing, NULL, .verb = KIVI_VERB_GET, .key = key);
    }
    kvb_answer *get_versioned(kivi_slice key, void *missing = NULL, int64_t timeout_ms = 0) {
        return ASK_WITH($self, timeout_ms, missing, NULL, .verb = KIVI_VERB_GET_VERSIONED, .key = key);
    }
    kvb_answer *exists(kivi_slice key, int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_EXISTS, .key = key);
    }
    kvb_answer *ttl(kivi_slice key, int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_TTL, .key = key);
    }
    kvb_answer *set(kivi_slice key, kvb_encoder *value, int64_t ttl_ms = 0, int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_SET, .key = key,
                   .value = kivi_buffer_slice(&value->bytes), .ttl_ms = ttl_ms);
    }
    kvb_answer *add(kivi_slice key, kvb_encoder *value, int64_t ttl_ms = 0, int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_ADD, .key = key,
                   .value = kivi_buffer_slice(&value->bytes), .ttl_ms = ttl_ms);
    }
    kvb_answer *replace(kivi_slice key, kvb_encoder *value, int64_t ttl_ms = 0, int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_REPLACE, .key = key,
                   .value = kivi_buffer_slice(&value->bytes), .ttl_ms = ttl_ms);
    }
    kvb_answer *delete_key(kivi_slice key, bool want_existed = true, int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_DELETE, .key = key,
                   .flags = want_existed ? KIVI_OP_WANT_EXISTED : 0);
    }
    kvb_answer *compare_and_set(kivi_slice key, kvb_encoder *expected, kvb_encoder *value,
                                int64_t ttl_ms = 0, int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_COMPARE_AND_SET, .key = key,
                   .expected = kivi_buffer_slice(&expected->bytes),
                   .value = kivi_buffer_slice(&value->bytes), .ttl_ms = ttl_ms);
    }
    kvb_answer *compare_and_delete(kivi_slice key, kvb_encoder *expected, int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_COMPARE_AND_DELETE, .key = key,
                   .expected = kivi_buffer_slice(&expected->bytes));
    }
    kvb_answer *increment(kivi_slice key, int64_t by = 1, int64_t ttl_ms = 0, int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_INCREMENT, .key = key, .by = by, .ttl_ms = ttl_ms);
    }
    kvb_answer *take(kivi_slice key, void *missing = NULL, int64_t timeout_ms = 0) {
        return ASK_WITH($self, timeout_ms, missing, NULL, .verb = KIVI_VERB_TAKE, .key = key);
    }
    kvb_answer *get_and_expire(kivi_slice key, int64_t ttl_ms = 0, void *missing = NULL,
                               int64_t timeout_ms = 0) {
        return ASK_WITH($self, timeout_ms, missing, NULL, .verb = KIVI_VERB_GET_AND_EXPIRE, .key = key,
                        .ttl_ms = ttl_ms);
    }
    kvb_answer *expire(kivi_slice key, int64_t ttl_ms, int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_EXPIRE, .key = key, .ttl_ms = ttl_ms);
    }
    kvb_answer *persist(kivi_slice key, int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_PERSIST, .key = key);
    }

    /* ---- calls with a function of the language in them: these always wait ---- */
    kvb_answer *update(kivi_slice key, void *function, int64_t ttl_ms = 0, int64_t timeout_ms = 0) {
        return ASK_WITH($self, timeout_ms, NULL, function, .verb = KVB_VERB_UPDATE, .key = key,
                        .ttl_ms = ttl_ms);
    }
    kvb_answer *get_or_set(kivi_slice key, void *function, int64_t ttl_ms = 0, int64_t timeout_ms = 0,
                           int64_t lease_ms = 0) {
        return ASK_WITH($self, timeout_ms, NULL, function, .verb = KVB_VERB_GET_OR_SET, .key = key,
                        .ttl_ms = ttl_ms, .by = lease_ms);
    }

    /* ---- many keys ---- */
    kvb_answer *get_many(kvb_batch *keys, void *missing = NULL, int64_t timeout_ms = 0) {
        return ASK_WITH($self, timeout_ms, missing, NULL, .verb = KIVI_VERB_GET_MANY,
                        .keys = keys->keys, .count = keys->count);
    }
    kvb_answer *set_many(kvb_batch *pairs, int64_t ttl_ms = 0, int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_SET_MANY, .keys = pairs->keys,
                   .values = pairs->values, .count = pairs->count, .ttl_ms = ttl_ms);
    }
    kvb_answer *delete_many(kvb_batch *keys, int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_DELETE_MANY, .keys = keys->keys,
                   .count = keys->count, .flags = KIVI_OP_WANT_EXISTED);
    }
    kvb_answer *apply(kvb_batch *ops, bool atomic = false, int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_APPLY, .ops = ops->ops, .count = ops->count,
                   .flags = atomic ? KIVI_APPLY_ATOMIC : 0);
    }

    /* ---- all keys under a prefix ---- */
    kvb_answer *page(kivi_slice prefix, kivi_slice after, kivi_slice cursor, uint64_t limit = 0,
                     bool keys_only = false, bool with_ttl = false, int64_t timeout_ms = 0) {
        kivi_range range = KIVI_RANGE_INIT;
        range.flags = (keys_only ? KIVI_SCAN_KEYS : 0) | (with_ttl ? KIVI_SCAN_WANT_EXPIRY : 0);
        range.prefix = prefix;
        range.after = after;
        range.cursor = cursor;
        range.limit = limit;
        return ASK($self, timeout_ms, .verb = KIVI_VERB_PAGE, .range = &range);
    }
    kvb_answer *count(kivi_slice prefix, int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_COUNT, .key = prefix);
    }
    kvb_answer *clear(kivi_slice prefix, bool all = false, int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_CLEAR, .key = prefix,
                   .flags = all ? KIVI_CLEAR_ALL : 0);
    }
    kvb_answer *copy_to(struct kvb_store *target, void *function, kivi_slice prefix, kivi_slice cursor,
                        bool dry_run = false, bool add_only = false, bool no_expiry = false,
                        uint64_t batch = 0, uint64_t rate = 0, int64_t timeout_ms = 0) {
        kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;
        options.flags = (dry_run ? KIVI_COPY_DRY_RUN : 0) | (add_only ? KIVI_COPY_ADD_ONLY : 0) |
                        (no_expiry ? KIVI_COPY_NO_EXPIRY : 0);
        options.prefix = prefix;
        options.cursor = cursor;
        options.batch = batch;
        options.rate = rate;
        return kvb_copy($self, target, timeout_ms, &options, function);
    }

    /* ---- about the store ---- */
    kvb_answer *capabilities() {
        return ASK($self, 0, .verb = KIVI_VERB_DESCRIBE, .flags = KIVI_TOPIC_CAPABILITIES);
    }
    kvb_answer *stats() { return ASK($self, 0, .verb = KIVI_VERB_DESCRIBE, .flags = KIVI_TOPIC_STATS); }
    kvb_answer *health(int64_t timeout_ms = 0) {
        return ASK($self, timeout_ms, .verb = KIVI_VERB_DESCRIBE, .flags = KIVI_TOPIC_HEALTH);
    }
    const char *url() { return kivi_store_url($self->store); }
    const char *scheme() { return kivi_store_scheme($self->store); }
    const char *codec() { return $self->codec; }
}

typedef struct kvb_page {
} kvb_page;

%extend kvb_page {
    ~kvb_page() { kvb_page_free($self); }
}

typedef struct kvb_queue {
} kvb_queue;

%extend kvb_queue {
    ~kvb_queue() { kvb_queue_unref($self); }
    /* Turns readable when something is done. */
    int descriptor() { return kivi_queue_descriptor($self->queue); }
    /* Calls submitted whose answers were not taken yet. */
    size_t count() { return kivi_queue_count($self->queue); }
}

const char *kivi_version(void);
