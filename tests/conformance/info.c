/* What a store says of itself: capabilities, statistics, health, descriptions. */
#include <stdio.h>

#include "suite.h"

CASE(info, capabilities_agree)
{
    const kivi_capabilities *can = &s->can;
    EXPECT(can->consistency >= KIVI_LINEARIZABLE && can->consistency <= KIVI_EVENTUAL);
    EXPECT(can->max_key > 0 && can->max_key <= can->max_key_plain);
    EXPECT(can->max_value > 0);
    const int32_t features[] = {can->ttl, can->scan, can->snapshot, can->increment, can->conditions};
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        EXPECT(features[i] >= KIVI_ABSENT && features[i] <= KIVI_NATIVE);
    EXPECT(can->order == KIVI_ORDER_NONE || can->order == KIVI_ORDER_BYTES);
    EXPECT(can->ttl_clock == KIVI_CLOCK_CALLER || can->ttl_clock == KIVI_CLOCK_STORE);
    if (can->ttl != KIVI_ABSENT)
        EXPECT(can->max_ttl_ms >= 1000 && can->ttl_resolution_ms >= 1);
    if (can->scan == KIVI_ABSENT)
        EXPECT(!can->scan_once && can->order == KIVI_ORDER_NONE);
}

/* No more is written than the caller has room for. */
CASE(info, within_the_callers_size)
{
    union {
        kivi_capabilities can;
        kivi_stats stats;
        kivi_health health;
        unsigned char bytes[2048];
    } room;
    size_t size = offsetof(kivi_capabilities, max_value) + sizeof s->can.max_value;
    memset(&room, 0xa5, sizeof room);
    room.can.struct_size = (uint32_t)size;
    OK(kivi_store_capabilities(s->store, &room.can, E));
    EXPECT(room.can.max_value == s->can.max_value && room.can.max_key == s->can.max_key);
    for (size_t i = size; i < sizeof room; i++)
        EXPECT_NUMBER(room.bytes[i], 0xa5);
    size = offsetof(kivi_stats, reads);
    memset(&room, 0xa5, sizeof room);
    room.stats.struct_size = (uint32_t)size;
    OK(kivi_store_stats(s->store, &room.stats, E));
    for (size_t i = size; i < sizeof room; i++)
        EXPECT_NUMBER(room.bytes[i], 0xa5);
    size = offsetof(kivi_health, detail);
    memset(&room, 0xa5, sizeof room);
    room.health.struct_size = (uint32_t)size;
    room.health.flags = 0;
    OK(kivi_store_health(s->store, NULL, &room.health, E));
    for (size_t i = size; i < sizeof room; i++)
        EXPECT_NUMBER(room.bytes[i], 0xa5);
}

static kivi_stats stats_of(subject *s)
{
    kivi_stats stats;
    via_end(); /* a flight of a queue is counted after its calls have their answers */
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;
    OK(kivi_store_stats(s->store, &stats, E));
    return stats;
}

CASE(info, stats_count_up)
{
    kivi_slice k = key(s, "k"), missing = key(s, "missing");
    kivi_stats before = stats_of(s);
    for (int i = 0; i < 10; i++)
        put(s, k, number(s, i), KIVI_TTL_NONE);
    kivi_stats after = stats_of(s);
    EXPECT_NUMBER(after.calls - before.calls, 10);
    EXPECT_NUMBER(after.writes - before.writes, 10);
    EXPECT_NUMBER(after.reads - before.reads, 0);
    EXPECT_NUMBER(after.failures - before.failures, 0);
    EXPECT(after.vectors - before.vectors >= 10 && after.vector_items - before.vector_items >= 10);
    before = after;
    for (int i = 0; i < 7; i++) {
        OK(kivi_store_get(s->store, NULL, k, &s->value, E));
        ANSWERS(KIVI_NOT_FOUND, kivi_store_get(s->store, NULL, missing, &s->value, E));
    }
    kivi_slice keys[] = {k, missing, k};
    OK(kivi_store_get_many(s->store, NULL, keys, 3, NULL, E));
    after = stats_of(s);
    EXPECT_NUMBER(after.calls - before.calls, 15);
    EXPECT(after.reads - before.reads >= 16 && after.reads - before.reads <= 17);
    EXPECT_NUMBER(after.writes - before.writes, 0);
    EXPECT_NUMBER(after.failures - before.failures, 0);
    before = after;
    put(s, k, not_a_number(s), KIVI_TTL_NONE);
    if (s->can.increment != KIVI_ABSENT) {
        ANSWERS(KIVI_WRONG_TYPE, kivi_store_increment(s->store, NULL, k, 1, KIVI_TTL_NONE, NULL, E));
        after = stats_of(s);
        EXPECT_NUMBER(after.failures - before.failures, 1);
    }
    EXPECT(after.lanes_busy <= after.lanes || after.lanes == 0);
}

/* Latencies of sampled calls fall somewhere. */
CASE(info, latencies)
{
    put(s, key(s, "k"), text(s, "v"), KIVI_TTL_NONE);
    for (int i = 0; i < 1000; i++)
        OK(kivi_store_get(s->store, NULL, key(s, "k"), &s->value, E));
    kivi_stats stats = stats_of(s);
    uint64_t sampled = 0;
    for (size_t i = 0; i < 40; i++)
        sampled += stats.latency[i];
    EXPECT_SAYING(sampled >= 10 && sampled <= stats.calls, "%llu latencies of %llu calls",
                  (unsigned long long)sampled, (unsigned long long)stats.calls);
}

CASE(info, health)
{
    kivi_health health;
    memset(&health, 0, sizeof health);
    health.struct_size = sizeof health;
    memset(health.detail, 'x', sizeof health.detail);
    OK(kivi_store_health(s->store, NULL, &health, E));
    EXPECT(health.latency_ns > 0);
    EXPECT(memchr(health.detail, 0, sizeof health.detail) != NULL);
    EXPECT(strchr(health.detail, '\n') == NULL);
}

/* ---- descriptions ---- */

/* Looks a text key of the map up; leaves its value in `found`. */
static bool look_up(subject *s, kivi_slice msgpack, const char *name, kivi_token *found)
{
    kivi_reader *reader;
    kivi_token token;
    bool there = false;
    OK(kivi_reader_new("msgpack", NULL, &reader, E));
    kivi_reader_start(reader, msgpack);
    EXPECT_NUMBER(kivi_reader_next(reader, &token), KIVI_OK);
    EXPECT_NUMBER(token.type, KIVI_TOKEN_MAP);
    kivi_status status;
    while ((status = kivi_reader_next(reader, &token)) == KIVI_OK && token.type != KIVI_TOKEN_END) {
        EXPECT_NUMBER(token.type, KIVI_TOKEN_STR);
        bool wanted = same_bytes(token.bytes, kivi_str(name));
        EXPECT_NUMBER(kivi_reader_next(reader, &token), KIVI_OK);
        if (wanted) {
            *found = token;
            if (token.type == KIVI_TOKEN_STR)
                found->bytes = joined(s, token.bytes, kivi_bytes(NULL, 0));
            there = true;
        }
        if (token.type == KIVI_TOKEN_ARRAY || token.type == KIVI_TOKEN_MAP)
            EXPECT_NUMBER(kivi_reader_skip(reader), KIVI_OK);
    }
    EXPECT_NUMBER(status, KIVI_OK);
    EXPECT_NUMBER(kivi_reader_next(reader, &token), KIVI_END);
    kivi_reader_free(reader);
    return there;
}

CASE(info, describes_capabilities)
{
    kivi_buffer map = KIVI_BUFFER_INIT;
    kivi_token found;
    OK(kivi_store_describe(s->store, NULL, KIVI_TOPIC_CAPABILITIES, &map, E));
    static const char *const words[] = {"ttl", "scan", "snapshot", "increment", "conditions"};
    const int32_t features[] = {s->can.ttl, s->can.scan, s->can.snapshot, s->can.increment,
                                s->can.conditions};
    static const char *const names[] = {"absent", "emulated", "native"};
    for (size_t i = 0; i < 5; i++) {
        EXPECT_SAYING(look_up(s, kivi_buffer_slice(&map), words[i], &found), "%s is missing", words[i]);
        EXPECT_BYTES(found.bytes, kivi_str(names[features[i]]));
    }
    EXPECT(look_up(s, kivi_buffer_slice(&map), "max_key", &found));
    EXPECT_NUMBER(found.as.integer, s->can.max_key);
    EXPECT(look_up(s, kivi_buffer_slice(&map), "max_ttl_ms", &found) ||
           look_up(s, kivi_buffer_slice(&map), "max_ttl", &found));
    EXPECT(look_up(s, kivi_buffer_slice(&map), "durable", &found));
    EXPECT_NUMBER(found.type, KIVI_TOKEN_BOOL);
    EXPECT_NUMBER(found.as.boolean, s->can.durable);
    kivi_buffer_free(&map);
}

CASE(info, describes_stats_and_health)
{
    kivi_buffer map = KIVI_BUFFER_INIT;
    kivi_token found;
    put(s, key(s, "k"), text(s, "v"), KIVI_TTL_NONE);
    OK(kivi_store_describe(s->store, NULL, KIVI_TOPIC_STATS, &map, E));
    EXPECT(look_up(s, kivi_buffer_slice(&map), "writes", &found));
    EXPECT(found.type == KIVI_TOKEN_INT && found.as.integer >= 1);
    EXPECT(look_up(s, kivi_buffer_slice(&map), "calls", &found));
    OK(kivi_store_describe(s->store, NULL, KIVI_TOPIC_HEALTH, &map, E));
    EXPECT(look_up(s, kivi_buffer_slice(&map), "ok", &found));
    EXPECT(found.type == KIVI_TOKEN_BOOL && found.as.boolean);
    EXPECT(look_up(s, kivi_buffer_slice(&map), "latency_ns", &found));
    static const int topics[] = {0, 4, 99};
    for (size_t i = 0; i < 3; i++)
        ANSWERS(KIVI_INVALID, kivi_store_describe(s->store, NULL, (kivi_topic)topics[i], &map, E));
    kivi_buffer_free(&map);
}

CASE(info, names)
{
    const char *scheme = kivi_store_scheme(s->store), *url = kivi_store_url(s->store);
    EXPECT(scheme && url && s->codec);
    EXPECT(strncmp(s->url, scheme, strlen(scheme)) == 0 && s->url[strlen(scheme)] == ':');
    EXPECT(strncmp(url, scheme, strlen(scheme)) == 0);
    EXPECT(strcmp(s->codec, "msgpack") == 0 || strcmp(s->codec, "json") == 0 ||
           strcmp(s->codec, "raw") == 0);
    /* What is shown can be had without opening, too. */
    char shown_url[2048];
    OK(kivi_url_redact(s->url, shown_url, sizeof shown_url, E));
    kivi_writer *writer = NULL;
    OK(kivi_writer_new(s->codec, &writer, E));
    kivi_writer_free(writer);
    const char *at = strchr(s->url, '@');
    if (at) {
        /* user:password@ */
        const char *colon = NULL;
        for (const char *c = s->url + strlen(scheme) + 3; c < at; c++)
            colon = *c == ':' && !colon ? c : colon;
        if (colon && at - colon > 1) {
            char secret[256];
            snprintf(secret, sizeof secret, "%.*s", (int)(at - colon - 1), colon + 1);
            EXPECT(strstr(url, secret) == NULL && strstr(shown_url, secret) == NULL);
        }
    }
}
