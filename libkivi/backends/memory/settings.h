/* What a memory store was opened with: its options, read once. */
#ifndef KVI_MEMORY_SETTINGS_H
#define KVI_MEMORY_SETTINGS_H

#include <kivi/backend.h>

typedef enum memory_shape { SHAPE_SHARED, SHAPE_BLOCKING, SHAPE_STEPPED } memory_shape;

/* A failure that the mock can answer with. */
typedef struct memory_failure {
    kivi_status status;
    kivi_retryable retryable;
    const char *text;
    const char *word; /* of fail_status, and the native code */
} memory_failure;

typedef struct memory_settings {
    /* what the store is */
    memory_shape shape;
    int32_t layout; /* kivi_layout */
    uint64_t max_key, max_value, max_items, max_bytes, max_lanes;
    int64_t max_ttl, ttl_resolution;
    uint64_t sweep; /* expired entries removed by a write, at most */
    bool counted_versions, native, atomic, byte_order;
    bool text_keys, path_keys;
    bool evicts;
    bool learns;           /* a session's login tells what it is */
    char *reserved_prefix; /* NULL: none */
    /* what goes wrong, and how long it takes */
    uint64_t seed, steps;
    uint64_t login_ns, latency_ns, jitter_ns, commit_ns;
    bool group_commit, partial_stall, hang_sent;
    double fail_rate, hang_rate, partial_rate, uncertain_rate;
    const memory_failure *failure;
    uint64_t servers, silent_server; /* 0: all answer */
    bool at_work;                    /* a session that waits says that the server is at work */
    bool refuse_busy;                /* refuse_whole: as something that another holds */
    char *fail_keys, *hang_keys, *refuse_whole; /* prefixes; NULL: none */
    bool mock;  /* any of these may happen: the plain path does not ask */
    bool waits; /* a verb may wait */
} memory_settings;

extern const kivi_option_info kvi_memory_options[];
extern const size_t kvi_memory_option_count;

/* Reads the options of the store that is being opened; false without memory. Cleared by kvi_settings_clear. */
bool kvi_settings_read(memory_settings *settings, const kivi_config *config);
void kvi_settings_clear(memory_settings *settings);

#endif
