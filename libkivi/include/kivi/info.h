/* What a store can do, how it is, and what it has done. */
#ifndef KIVI_INFO_H
#define KIVI_INFO_H

#include <kivi/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How a feature is provided. An emulated feature gives the same results and costs more round trips. */
typedef enum kivi_feature { KIVI_ABSENT = 0, KIVI_EMULATED = 1, KIVI_NATIVE = 2 } kivi_feature;

typedef enum kivi_consistency {
    KIVI_LINEARIZABLE = 1,
    KIVI_LEADER = 2,
    KIVI_SESSION = 3,
    KIVI_EVENTUAL = 4
} kivi_consistency;

typedef enum kivi_order { KIVI_ORDER_NONE = 0, KIVI_ORDER_BYTES = 1 } kivi_order;
typedef enum kivi_clock { KIVI_CLOCK_CALLER = 0, KIVI_CLOCK_STORE = 1 } kivi_clock;

/** What a store promises. The caller sets struct_size; no more than that is written. */
typedef struct kivi_capabilities {
    uint32_t struct_size;
    int32_t consistency;       /**< kivi_consistency */
    uint64_t max_key;          /**< bytes that fit whatever they are, namespace taken off */
    uint64_t max_key_plain;    /**< bytes that fit when nothing must be escaped */
    uint64_t max_value;        /**< bytes */
    int64_t max_ttl_ms;        /**< longest TTL */
    int64_t ttl_resolution_ms; /**< a key goes at most so much late */
    uint64_t atomic_max;       /**< operations in an atomic batch; 0: no atomic batches */
    int32_t ttl;               /**< kivi_feature */
    int32_t ttl_clock;         /**< kivi_clock: whose clock ends a TTL */
    int32_t order;             /**< kivi_order of scans */
    int32_t scan;              /**< kivi_feature */
    int32_t snapshot;          /**< kivi_feature: a page, or a read of many, is of one moment */
    int32_t increment;         /**< kivi_feature */
    int32_t conditions;        /**< kivi_feature */
    bool scan_once;            /**< a key comes once in a whole scan */
    bool durable;              /**< acknowledged means on disk */
    bool shared_keyspace;      /**< without a namespace, keys lie among those of others */
    bool local;                /**< no network between: embedded engines */
    bool in_place;             /**< kivi_store_visit() shows values where they lie */
    bool evicts;               /**< the store drops keys before their time, when it is full */
    bool atomic_by_tag; /**< the keys of an atomic batch must lie together, by a {tag} that they share: UNSUPPORTED elsewhere */
    uint8_t reserved[1];
} kivi_capabilities;

/** Returns a store's capabilities. Does not block. Limits that only a server knows are as its sessions have learned so far. Since 0.1. */
KIVI_API kivi_status kivi_store_capabilities(kivi_store *store, kivi_capabilities *capabilities,
                                             kivi_error **error);

/** Counters since open, over all threads. The caller sets struct_size. Times in ns. */
typedef struct kivi_stats {
    uint32_t struct_size;
    uint32_t lanes;         /**< sessions open now */
    uint32_t lanes_busy;    /**< of them at work now */
    uint32_t waiting;       /**< calls queued for a lane now */
    uint64_t calls;         /**< public calls that reached the store */
    uint64_t failures;      /**< calls that ended in a failure */
    uint64_t reads, writes; /**< keys read, keys written */
    uint64_t vectors;       /**< vectors served by lanes */
    uint64_t vector_items;  /**< items in them */
    uint64_t retries;       /**< vectors sent again */
    uint64_t reconnects;    /**< sessions condemned and opened afresh */
    uint64_t swept;         /**< expired entries removed */
    uint64_t strangers;     /**< stored names that are not ours, left out of scans */
    /** Latencies of sampled calls (one in 64 on embedded stores): [i] counts those of 2^i to 2^(i+1) - 1 ns. */
    uint64_t latency[40];
} kivi_stats;

/** Reads the counters. Does not block. Since 0.1. */
KIVI_API kivi_status kivi_store_stats(kivi_store *store, kivi_stats *stats, kivi_error **error);

/** The answer of a health check. The caller sets struct_size. */
typedef struct kivi_health {
    uint32_t struct_size;
    uint32_t flags;      /**< 0 */
    uint64_t latency_ns; /**< of one read */
    char detail[256]; /**< what the backend says of itself, one line without secrets; may be "" */
} kivi_health;

/** Asks the store one small question inside the namespace: OK, or why it cannot be used. Since 0.1. */
KIVI_API kivi_status kivi_store_health(kivi_store *store, const kivi_call *call,
                                       kivi_health *health, kivi_error **error);

/** What kivi_store_describe() describes. */
typedef enum kivi_topic {
    KIVI_TOPIC_CAPABILITIES = 1, /**< the fields of kivi_capabilities; features as words */
    KIVI_TOPIC_STATS = 2,        /**< the fields of kivi_stats */
    KIVI_TOPIC_HEALTH = 3        /**< ok, latency_ns, detail */
} kivi_topic;

/** The same answers as one msgpack map with text keys, for bindings and tools; unknown topic: INVALID. Since 0.1. */
KIVI_API kivi_status kivi_store_describe(kivi_store *store, const kivi_call *call, kivi_topic topic,
                                         kivi_buffer *msgpack, kivi_error **error);

/** The scheme ("lmdb"), and the URL as it may be shown, without secrets. Live as long as the store. Since 0.1. */
KIVI_API const char *kivi_store_scheme(const kivi_store *store);
KIVI_API const char *kivi_store_url(const kivi_store *store);
/** The name of the store's codec: "msgpack", "json" or "raw". Static. Since 0.1. */
KIVI_API const char *kivi_store_codec(const kivi_store *store);
/** The option `timeout`, in ms: what calls have that name no other; KIVI_NO_TIMEOUT: as long as it takes. Since 0.1. */
KIVI_API int64_t kivi_store_timeout(const kivi_store *store);

#ifdef __cplusplus
}
#endif
#endif
