/*
 * What crosses between C and the library of engines written in Go: one call a vector, and no pointer of Go's stays in C.
 * engines/bridge/layout.go has the same structs, and engines/check.go compares their sizes.
 */
#ifndef KVI_GO_BRIDGE_H
#define KVI_GO_BRIDGE_H

#include <kivi/backend.h>

/* Of the structs and functions below: a library of another version is refused. */
#define KVI_GO_VERSION 1

enum { KVI_GO_BOLT = 0, KVI_GO_BADGER = 1 };

/* Why a verb failed; C makes the error. */
typedef struct kvi_go_failure {
    int32_t status, retryable;
    int64_t native;
    char text[1024];
} kvi_go_failure;

/* What a read found, one for each item; its bytes lie in the arena. PENDING: the item is complete already. */
typedef struct kvi_go_found {
    uint64_t offset, size;
    int64_t ttl_ms;
    int32_t status, reserved;
} kvi_go_found;

typedef struct kvi_go_read {
    kivi_read_vector *vector;
    kvi_go_found *found;
    uint8_t *arena;
    uint64_t room;
} kvi_go_read;

/* What a write or a take asks beside its vector, and what it swept. */
typedef struct kvi_go_change {
    uint64_t swept;
    uint32_t sweep, reserved;
} kvi_go_change;

/* A page of a scan, or a count. In the arena: sizes of key and value (uint32_t each), the ttl (int64_t), key, value. */
typedef struct kvi_go_scan {
    kivi_slice prefix, behind;
    uint64_t limit;
    uint32_t flags;
    int32_t more; /* pairs follow behind `last` */
    uint8_t *arena;
    uint64_t room, used;
    uint64_t names; /* that a count has found */
    uint8_t *last;
    uint64_t last_size, last_room; /* of the longest key: a longer one is damage */
    kivi_scan_sink *sink;
    int32_t status; /* of the sink */
    int32_t reserved;
} kvi_go_scan;

/* Numbers are 0 and texts are NULL where an engine has no such option. */
typedef struct kvi_go_settings {
    const char *path;
    const char *compression;
    kivi_slice secret; /* the encryption key */
    int64_t map_size, page_size;
    int64_t memtable_size, table_size, value_threshold, value_log_size, block_cache, index_cache;
    uint32_t mode;
    uint8_t sync, read_only, create, collect, check;
} kvi_go_settings;

typedef struct kvi_go_opened {
    uint64_t engine;
    uint64_t max_items, max_bytes; /* of a vector; 0: any */
    int32_t fd;                    /* of the file; -1: the engine has several */
    int32_t reserved;
} kvi_go_opened;

/* What Go calls. */
typedef struct kvi_go_host {
    int64_t (*clock_ms)(void);
    int64_t (*expires)(int64_t ttl_ms);
    kivi_error *(*item_error)(int32_t status, const char *text);
    int32_t (*increment)(kivi_write_vector *vector, kivi_write_item *item, const kivi_slice *old,
                         kivi_slice *bytes);
    int32_t (*deliver)(kivi_read_vector *vector, kivi_read_item *item, const void *data, uint64_t size);
    int32_t (*flush)(kvi_go_scan *scan);
    int32_t (*pair)(kvi_go_scan *scan, const void *key, uint64_t key_size, const void *value,
                    uint64_t size, int64_t ttl_ms);
} kvi_go_host;

/* What C calls. A store is what an engine's open file holds under a name. */
typedef struct kvi_go_engines {
    int32_t version, reserved;
    /* The one in which the runtime was started. */
    int32_t (*process)(void);
    int32_t (*open)(int32_t kind, const kvi_go_settings *settings, kvi_go_opened *opened,
                    kvi_go_failure *failure);
    void (*close)(uint64_t engine);
    int32_t (*attach)(uint64_t engine, const char *name, uint64_t *store, int32_t *foreign,
                      kvi_go_failure *failure);
    void (*detach)(uint64_t store);
    int32_t (*read)(uint64_t store, const kvi_go_read *read, kvi_go_failure *failure);
    int32_t (*take)(uint64_t store, kivi_read_vector *vector, kvi_go_change *change,
                    kvi_go_failure *failure);
    int32_t (*write)(uint64_t store, kivi_write_vector *vector, kvi_go_change *change,
                     kvi_go_failure *failure);
    int32_t (*scan)(uint64_t store, kvi_go_scan *scan, kvi_go_failure *failure);
    int32_t (*count)(uint64_t store, kvi_go_scan *scan, kvi_go_failure *failure);
} kvi_go_engines;

/* The one symbol of the library. */
typedef const kvi_go_engines *(*kvi_go_start_fn)(const kvi_go_host *host);
#define KVI_GO_SYMBOL "kvi_go_start"

#endif
