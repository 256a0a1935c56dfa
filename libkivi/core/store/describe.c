/* Capabilities, statistics and health as msgpack maps, for bindings and tools. */
#include <kivi/info.h>

#include "../base/base.h"

static kivi_status put_uint(kivi_writer *out, const char *name, uint64_t value)
{
    kivi_writer_str(out, kivi_str(name));
    return kivi_writer_uint(out, value);
}

static kivi_status put_bool(kivi_writer *out, const char *name, bool value)
{
    kivi_writer_str(out, kivi_str(name));
    return kivi_writer_bool(out, value);
}

static kivi_status put_text(kivi_writer *out, const char *name, const char *value)
{
    kivi_writer_str(out, kivi_str(name));
    return kivi_writer_str(out, kivi_str(value));
}

static const char *feature_word(int32_t feature)
{
    switch (feature) {
    case KIVI_NATIVE:
        return "native";
    case KIVI_EMULATED:
        return "emulated";
    default:
        return "absent";
    }
}

static const char *consistency_word(int32_t consistency)
{
    switch (consistency) {
    case KIVI_LINEARIZABLE:
        return "linearizable";
    case KIVI_LEADER:
        return "leader";
    case KIVI_SESSION:
        return "session";
    default:
        return "eventual";
    }
}

static kivi_status describe_capabilities(kivi_store *store, kivi_writer *out, kivi_error **error)
{
    kivi_capabilities is = {.struct_size = sizeof(is)};
    kivi_status status = kivi_store_capabilities(store, &is, error);

    if (status)
        return status;
    kivi_writer_map(out, 21);
    put_text(out, "consistency", consistency_word(is.consistency));
    put_uint(out, "max_key", is.max_key);
    put_uint(out, "max_key_plain", is.max_key_plain);
    put_uint(out, "max_value", is.max_value);
    put_uint(out, "max_ttl_ms", (uint64_t)is.max_ttl_ms);
    put_uint(out, "ttl_resolution_ms", (uint64_t)is.ttl_resolution_ms);
    put_uint(out, "atomic_max", is.atomic_max);
    put_text(out, "ttl", feature_word(is.ttl));
    put_text(out, "ttl_clock", is.ttl_clock == KIVI_CLOCK_STORE ? "store" : "caller");
    put_text(out, "order", is.order == KIVI_ORDER_BYTES ? "bytes" : "none");
    put_text(out, "scan", feature_word(is.scan));
    put_text(out, "snapshot", feature_word(is.snapshot));
    put_text(out, "increment", feature_word(is.increment));
    put_text(out, "conditions", feature_word(is.conditions));
    put_bool(out, "scan_once", is.scan_once);
    put_bool(out, "durable", is.durable);
    put_bool(out, "shared_keyspace", is.shared_keyspace);
    put_bool(out, "local", is.local);
    put_bool(out, "in_place", is.in_place);
    put_bool(out, "evicts", is.evicts);
    put_bool(out, "atomic_by_tag", is.atomic_by_tag);
    return KIVI_OK;
}

#define BUCKETS (sizeof(((kivi_stats *)0)->latency) / sizeof(uint64_t))

/*
 * The latency below which `share` of the samples lie. A bucket holds those of 2^i to 2^(i+1) - 1 ns;
 * within it they are taken to lie evenly.
 */
static uint64_t percentile(const uint64_t *buckets, uint64_t samples, double share)
{
    double wanted = share * (double)samples;
    double before = 0;

    for (size_t i = 0; i < BUCKETS; i++) {
        double low = i ? (double)(UINT64_C(1) << i) : 0;
        double high = (double)(UINT64_C(1) << (i + 1));

        if (buckets[i] && before + (double)buckets[i] >= wanted)
            return (uint64_t)(low + (high - low) * (wanted - before) / (double)buckets[i]);
        before += (double)buckets[i];
    }
    return 0;
}

static void put_percentile(kivi_writer *out, const char *name, const kivi_stats *stats,
                           uint64_t samples, double share)
{
    kivi_writer_str(out, kivi_str(name));
    if (samples)
        kivi_writer_uint(out, percentile(stats->latency, samples, share));
    else
        kivi_writer_nil(out);
}

/* {samples, p50, p90, p99, p99.9, buckets}: times in ns, nil without samples. */
static kivi_status put_latency(kivi_writer *out, const kivi_stats *stats)
{
    uint64_t samples = 0;
    kivi_status status;

    for (size_t i = 0; i < BUCKETS; i++)
        samples += stats->latency[i];
    kivi_writer_str(out, kivi_str("latency"));
    kivi_writer_map(out, 6);
    put_uint(out, "samples", samples);
    put_percentile(out, "p50", stats, samples, 0.5);
    put_percentile(out, "p90", stats, samples, 0.9);
    put_percentile(out, "p99", stats, samples, 0.99);
    put_percentile(out, "p99.9", stats, samples, 0.999);
    kivi_writer_str(out, kivi_str("buckets"));
    status = kivi_writer_array(out, BUCKETS);
    for (size_t i = 0; i < BUCKETS; i++)
        status = kivi_writer_uint(out, stats->latency[i]);
    return status;
}

static kivi_status describe_stats(kivi_store *store, kivi_writer *out, kivi_error **error)
{
    kivi_stats is = {.struct_size = sizeof(is)};
    kivi_status status = kivi_store_stats(store, &is, error);

    if (status)
        return status;
    kivi_writer_map(out, 14);
    put_uint(out, "lanes", is.lanes);
    put_uint(out, "lanes_busy", is.lanes_busy);
    put_uint(out, "waiting", is.waiting);
    put_uint(out, "calls", is.calls);
    put_uint(out, "failures", is.failures);
    put_uint(out, "reads", is.reads);
    put_uint(out, "writes", is.writes);
    put_uint(out, "vectors", is.vectors);
    put_uint(out, "vector_items", is.vector_items);
    put_uint(out, "retries", is.retries);
    put_uint(out, "reconnects", is.reconnects);
    put_uint(out, "swept", is.swept);
    put_uint(out, "strangers", is.strangers);
    put_latency(out, &is);
    return KIVI_OK;
}

/* What says how the store is, rather than that the question could not be asked. */
static bool is_illness(kivi_status status)
{
    switch (status) {
    case KIVI_TIMEOUT:
    case KIVI_UNAVAILABLE:
    case KIVI_BUSY:
    case KIVI_DENIED:
    case KIVI_IO:
    case KIVI_CORRUPT:
    case KIVI_WRONG_TYPE:
        return true;
    default:
        return false;
    }
}

/* A store that is ill is an answer too: ok is false, detail says why, latency_ns is nil. */
static kivi_status describe_health(kivi_store *store, const kivi_call *call, kivi_writer *out,
                                   kivi_error **error)
{
    kivi_health is = {.struct_size = sizeof(is)};
    kivi_error *cause = NULL;
    kivi_status status = kivi_store_health(store, call, &is, &cause);

    if (status && !is_illness(status)) {
        if (error)
            *error = cause;
        else
            kivi_error_free(cause);
        return status;
    }
    kivi_writer_map(out, 3);
    put_bool(out, "ok", !status);
    kivi_writer_str(out, kivi_str("latency_ns"));
    if (status)
        kivi_writer_nil(out);
    else
        kivi_writer_uint(out, is.latency_ns);
    put_text(out, "detail",
             status ? cause ? kivi_error_message(cause) : kivi_status_name(status) : is.detail);
    kivi_error_free(cause);
    return KIVI_OK;
}

kivi_status kivi_store_describe(kivi_store *store, const kivi_call *call, kivi_topic topic,
                                kivi_buffer *msgpack, kivi_error **error)
{
    kivi_writer *out = NULL;
    kivi_status status;

    kvi_error_clear(error);
    msgpack->size = 0;
    status = kivi_writer_new("msgpack", &out, error);
    if (status)
        return status;
    kivi_writer_start(out, msgpack);
    switch (topic) {
    case KIVI_TOPIC_CAPABILITIES:
        status = describe_capabilities(store, out, error);
        break;
    case KIVI_TOPIC_STATS:
        status = describe_stats(store, out, error);
        break;
    case KIVI_TOPIC_HEALTH:
        status = describe_health(store, call, out, error);
        break;
    default:
        status = kvi_fail(error, KIVI_INVALID, "unknown topic %d", (int)topic);
    }
    if (status)
        kivi_writer_finish(out, NULL);
    else
        status = kivi_writer_finish(out, error);
    kivi_writer_free(out);
    return status;
}
