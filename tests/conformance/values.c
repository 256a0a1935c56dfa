/* Values: any bytes, every size, seen where they lie, typed by the codec. */
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "suite.h"

static kivi_slice random_bytes(subject *s, unsigned *seed, size_t size)
{
    unsigned char *bytes = keep(s, size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(rand_r(seed) >> 8);
    return kivi_bytes(bytes, size);
}

CASE(values, every_byte)
{
    unsigned char bytes[256];
    for (unsigned i = 0; i < 256; i++) {
        bytes[i] = (unsigned char)i;
        put(s, key_number(s, "byte", i), kivi_bytes(&bytes[i], 1), KIVI_TTL_NONE);
    }
    put(s, key(s, "all"), kivi_bytes(bytes, 256), KIVI_TTL_NONE);
    for (unsigned i = 0; i < 256; i++)
        EXPECT_HOLDS(key_number(s, "byte", i), kivi_bytes(&bytes[i], 1));
    EXPECT_HOLDS(key(s, "all"), kivi_bytes(bytes, 256));
}

CASE(values, any_bytes)
{
    enum { COUNT = 200 };
    kivi_slice values[COUNT];
    unsigned seed = 11;
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = random_bytes(s, &seed, (size_t)rand_r(&seed) % 2000);
        put(s, key_number(s, "v", i), values[i], KIVI_TTL_NONE);
    }
    for (size_t i = 0; i < COUNT; i++)
        EXPECT_HOLDS(key_number(s, "v", i), values[i]);
}

/* An empty value is there; it is not a missing key. */
CASE(values, empty)
{
    kivi_slice k = key(s, "k"), none = kivi_bytes(NULL, 0);
    put(s, k, none, KIVI_TTL_NONE);
    EXPECT_HOLDS(k, none);
    kivi_result *result = NULL;
    kivi_slice keys[] = {k, key(s, "missing")};
    OK(kivi_store_get_many(s->store, NULL, keys, 2, &result, E));
    EXPECT_NUMBER(kivi_result_status(result, 0), KIVI_OK);
    EXPECT_NUMBER(kivi_result_value(result, 0).size, 0);
    EXPECT_NUMBER(kivi_result_status(result, 1), KIVI_NOT_FOUND);
    kivi_result_free(result);
    if (s->can.conditions != KIVI_ABSENT) {
        ANSWERS(KIVI_CONDITION, kivi_store_add(s->store, NULL, k, text(s, "v"), KIVI_TTL_NONE, E));
        OK(kivi_store_compare_and_set(s->store, NULL, k, none, text(s, "v"), KIVI_TTL_NONE, E));
        OK(kivi_store_compare_and_set(s->store, NULL, k, text(s, "v"), none, KIVI_TTL_NONE, E));
        EXPECT_HOLDS(k, none);
    }
    if (s->can.scan != KIVI_ABSENT) {
        kivi_range range = KIVI_RANGE_INIT;
        range.prefix = all(s);
        harvest found = harvested(s, s->store, &range);
        EXPECT_NUMBER(found.count, 1);
        EXPECT_NUMBER(found.pairs[0].value.size, 0);
    }
    bool existed;
    OK(kivi_store_delete(s->store, NULL, k, &existed, E));
    EXPECT(existed);
}

CASE(values, every_size)
{
    kivi_slice k = key(s, "k");
    unsigned seed = 12;
    uint64_t most = s->can.max_value < 1u << 20 ? s->can.max_value : 1u << 20;
    for (size_t size = 0; size <= most; size = size < 4 ? size + 1 : size * 2) {
        for (int around = -1; around <= 1; around++) {
            uint64_t bytes = size + (uint64_t)(size ? around : 0);
            if (bytes > most)
                continue;
            kivi_slice value = random_bytes(s, &seed, bytes);
            put(s, k, value, KIVI_TTL_NONE);
            EXPECT_HOLDS(k, value);
        }
    }
}

/* Larger and smaller again: nothing of the old value is left. */
CASE(values, overwritten)
{
    kivi_slice k = key(s, "k");
    static const size_t sizes[] = {10, 100000, 1, 5000, 0, 70000, 3, 4095, 4096, 4097, 511, 2048};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (sizes[i] > s->can.max_value)
            continue;
        kivi_slice value = filled(s, 'a' + (int)i, sizes[i]);
        put(s, k, value, KIVI_TTL_NONE);
        EXPECT_HOLDS(k, value);
    }
}

CASE(values, largest)
{
    EXPECT(s->can.max_value >= 1024);
    if (s->can.max_value > 64u << 20) {
        /* Too large to hold; that 16 MiB go in must do. */
        kivi_slice value = filled(s, 'v', 16u << 20);
        put(s, key(s, "k"), value, KIVI_TTL_NONE);
        EXPECT_HOLDS(key(s, "k"), value);
        return;
    }
    kivi_slice value = filled(s, 'v', (size_t)s->can.max_value);
    put(s, key(s, "k"), value, KIVI_TTL_NONE);
    EXPECT_HOLDS(key(s, "k"), value);
}

/* Refused by its size alone: the memory would fault if anybody read it. */
CASE(values, too_large)
{
    uint64_t size = s->can.max_value + 1;
    EXPECT(size > 1 && size < UINT64_C(1) << 46);
    void *memory = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT(memory != MAP_FAILED);
    kivi_slice value = kivi_bytes(memory, size), k = key(s, "k"), small = text(s, "small");
    put(s, k, small, KIVI_TTL_NONE);
    REFUSED(KIVI_TOO_LARGE, kivi_store_set(s->store, NULL, k, value, KIVI_TTL_NONE, E));
    if (s->can.conditions != KIVI_ABSENT) {
        REFUSED(KIVI_TOO_LARGE, kivi_store_add(s->store, NULL, key(s, "new"), value, KIVI_TTL_NONE, E));
        REFUSED(KIVI_TOO_LARGE,
                kivi_store_compare_and_set(s->store, NULL, k, small, value, KIVI_TTL_NONE, E));
    }
    kivi_slice keys[] = {key(s, "fine"), k}, values[] = {small, value};
    kivi_result *result = NULL;
    REFUSED(KIVI_TOO_LARGE,
            kivi_store_set_many(s->store, NULL, keys, values, 2, KIVI_TTL_NONE, &result, E));
    EXPECT(result == NULL);
    EXPECT_HOLDS(k, small);
    EXPECT_MISSING(keys[0]);
    munmap(memory, size);
}

/* A buffer is reused, and empty after a read that found nothing. */
CASE(values, into_a_reused_buffer)
{
    kivi_slice big = key(s, "big"), small = key(s, "small"), missing = key(s, "missing");
    put(s, big, filled(s, 'b', 3000), KIVI_TTL_NONE);
    put(s, small, kivi_str("s"), KIVI_TTL_NONE);
    kivi_buffer value = KIVI_BUFFER_INIT;
    OK(kivi_store_get(s->store, NULL, big, &value, E));
    const uint8_t *memory = value.data;
    OK(kivi_store_get(s->store, NULL, small, &value, E));
    EXPECT_BYTES(kivi_buffer_slice(&value), kivi_str("s"));
    EXPECT(value.data == memory);
    ANSWERS(KIVI_NOT_FOUND, kivi_store_get(s->store, NULL, missing, &value, E));
    EXPECT_NUMBER(value.size, 0);
    OK(kivi_store_get(s->store, NULL, small, &value, E));
    REFUSED(KIVI_INVALID, kivi_store_get(s->store, NULL, kivi_bytes(NULL, 0), &value, E));
    EXPECT_NUMBER(value.size, 0);
    kivi_buffer_free(&value);
}

/* ---- visiting ---- */

typedef struct visit {
    subject *s;
    kivi_slice other;
    kivi_buffer seen;
    kivi_status answer;
    unsigned calls;
    bool nested;
} visit;

static kivi_status look(kivi_slice value, void *user)
{
    visit *v = user;
    subject *s = v->s;
    v->calls++;
    kivi_buffer_assign(&v->seen, value);
    if (v->nested) {
        /* It may call the store, read and write. */
        OK(kivi_store_get(s->store, NULL, v->other, &s->value, E));
        put(s, v->other, text(s, "written inside"), KIVI_TTL_NONE);
        EXPECT(same_bytes(kivi_buffer_slice(&v->seen), value));
    }
    return v->answer;
}

static void visit_all(subject *s, kivi_store *store)
{
    kivi_slice k = key(s, "k"), other = key(s, "other"), value = filled(s, 'v', 5000);
    visit v = {s, other, KIVI_BUFFER_INIT, KIVI_OK, 0, false};
    ANSWERS(KIVI_NOT_FOUND, kivi_store_visit(store, NULL, key(s, "missing"), look, &v, E));
    EXPECT_NUMBER(v.calls, 0);
    put(s, k, value, KIVI_TTL_NONE);
    put(s, other, text(s, "o"), KIVI_TTL_NONE);
    OK(kivi_store_visit(store, NULL, k, look, &v, E));
    EXPECT_NUMBER(v.calls, 1);
    EXPECT_BYTES(kivi_buffer_slice(&v.seen), value);
    /* What the visitor answers is the answer. */
    static const kivi_status answers[] = {KIVI_NOT_FOUND, KIVI_CORRUPT, KIVI_END, KIVI_UNREPRESENTABLE};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        v.answer = answers[i];
        kivi_status got = kivi_store_visit(store, NULL, k, look, &v, NULL);
        EXPECT_NUMBER(got, answers[i]);
    }
    v.answer = KIVI_OK;
    v.nested = true;
    OK(kivi_store_visit(store, NULL, k, look, &v, E));
    EXPECT_NUMBER(v.calls, 6);
    EXPECT_HOLDS(other, text(s, "written inside"));
    kivi_buffer_free(&v.seen);
}

CASE(values, visited_where_they_lie)
{
    visit_all(s, s->store);
}

CASE(values, visited_copied)
{
    if (s->row->traits & ROW_PRIVATE) {
        /* The option must do on a store of its own. */
        kivi_store *first = s->store;
        s->store = reopened(s, "in_place", "false");
        visit_all(s, s->store);
        kivi_store_unref(s->store);
        s->store = first;
        return;
    }
    kivi_store *copied = reopened(s, "in_place", "false");
    visit_all(s, copied);
    kivi_store_unref(copied);
}

/* ---- what the codec makes of them ---- */

/* Bytes that are no value of any codec are stored and read like others, and never crash a call that decodes. */
CASE(values, hostile)
{
    static const char *const hostile[] = {
        "\xc1",                 /* not msgpack at all */
        "\xdd\xff\xff\xff\xff", /* an array of four billion */
        "\xdf\xff\xff\xff\xff",
        "\xdb\xff\xff\xff\xff",
        "\xc6\x7f\xff\xff\xff",
        "\x81",
        "\x92\x01",
        "\xcf\x01",
        "\xa5hell",
        "\xa2\xff\xfe",
        "{\"a\":",
        "[1,2",
        "\"\\ud800\"",
        "1e999",
        "nul",
        "[[[[[[[[",
        "\x01\x02",
    };
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        kivi_slice k = key_number(s, "h", i), value = kivi_str(hostile[i]);
        put(s, k, value, KIVI_TTL_NONE);
        EXPECT_HOLDS(k, value);
        if (s->can.increment != KIVI_ABSENT) {
            kivi_status got = kivi_store_increment(s->store, NULL, k, 1, KIVI_TTL_NONE, NULL, E);
            EXPECT_SAYING(got == KIVI_WRONG_TYPE || got == KIVI_CORRUPT, "increment answered %s",
                          kivi_status_name(got));
        }
        if (s->can.conditions != KIVI_ABSENT) {
            ANSWERS(KIVI_CONDITION, kivi_store_compare_and_set(s->store, NULL, k, text(s, "other"),
                                                               text(s, "new"), KIVI_TTL_NONE, E));
            ANSWERS(KIVI_CONDITION,
                    kivi_store_compare_and_delete(s->store, NULL, k, text(s, "other"), E));
        }
        EXPECT_HOLDS(k, value);
    }
}

/* Many containers in one another. */
CASE(values, deep)
{
    kivi_slice k = key(s, "deep"), value = filled(s, strcmp(s->codec, "json") == 0 ? '[' : 0x91, 100000);
    put(s, k, value, KIVI_TTL_NONE);
    EXPECT_HOLDS(k, value);
    if (s->can.conditions != KIVI_ABSENT)
        ANSWERS(KIVI_CONDITION, kivi_store_compare_and_set(s->store, NULL, k, text(s, "other"),
                                                           text(s, "new"), KIVI_TTL_NONE, E));
    EXPECT_HOLDS(k, value);
}

static void write_sample(kivi_writer *writer, bool msgpack)
{
    kivi_writer_map(writer, msgpack ? 9 : 7);
    kivi_writer_str(writer, kivi_str("nil"));
    kivi_writer_nil(writer);
    kivi_writer_str(writer, kivi_str("bool"));
    kivi_writer_bool(writer, true);
    kivi_writer_str(writer, kivi_str("least"));
    kivi_writer_int(writer, INT64_MIN);
    kivi_writer_str(writer, kivi_str("most"));
    kivi_writer_uint(writer, UINT64_MAX);
    kivi_writer_str(writer, kivi_str("float"));
    kivi_writer_float(writer, -0.0);
    kivi_writer_str(writer, kivi_str("text \xc3\xa9"));
    kivi_writer_str(writer, kivi_bytes("a\0b", 3));
    kivi_writer_str(writer, kivi_str("array"));
    kivi_writer_array(writer, 2);
    kivi_writer_int(writer, 1);
    kivi_writer_array(writer, 0);
    if (!msgpack)
        return;
    kivi_writer_str(writer, kivi_str("bin"));
    kivi_writer_bin(writer, kivi_bytes("\xff\0", 2));
    kivi_writer_str(writer, kivi_str("more"));
    kivi_writer_array(writer, 3);
    kivi_writer_timestamp(writer, -1, 999999999);
    kivi_writer_ext(writer, 42, kivi_bytes("xyz", 3));
    kivi_writer_map(writer, 0);
}

/* What was written as types comes back as the same types. */
CASE(values, typed)
{
    if (strcmp(s->codec, "raw") == 0) {
        put(s, key(s, "k"), kivi_str("raw bytes"), KIVI_TTL_NONE);
        EXPECT_HOLDS(key(s, "k"), kivi_str("raw bytes"));
        return;
    }
    bool msgpack = strcmp(s->codec, "msgpack") == 0;
    kivi_buffer written = KIVI_BUFFER_INIT;
    kivi_writer *writer;
    OK(kivi_writer_new(s->codec, &writer, E));
    kivi_writer_start(writer, &written);
    write_sample(writer, msgpack);
    OK(kivi_writer_finish(writer, E));
    put(s, key(s, "k"), kivi_buffer_slice(&written), KIVI_TTL_NONE);
    OK(kivi_store_get(s->store, NULL, key(s, "k"), &s->value, E));

    /* Token by token into a second writing, which must be the same again. */
    kivi_buffer again = KIVI_BUFFER_INIT;
    OK(kivi_value_convert(s->codec, kivi_buffer_slice(&s->value), s->codec, &again, E));
    EXPECT_BYTES(kivi_buffer_slice(&again), kivi_buffer_slice(&written));
    kivi_reader *reader;
    kivi_token token;
    OK(kivi_reader_new(s->codec, NULL, &reader, E));
    kivi_reader_start(reader, kivi_buffer_slice(&s->value));
    unsigned tokens = 0;
    kivi_status status;
    bool negative_zero = false, least = false, most = false, zero_byte = false;
    while ((status = kivi_reader_next(reader, &token)) == KIVI_OK) {
        tokens++;
        least = least || (token.type == KIVI_TOKEN_INT && token.as.integer == INT64_MIN);
        most = most || (token.type == KIVI_TOKEN_UINT && token.as.uinteger == UINT64_MAX);
        negative_zero = negative_zero || (token.type == KIVI_TOKEN_FLOAT && signbit(token.as.real));
        zero_byte = zero_byte ||
                    (token.type == KIVI_TOKEN_STR && same_bytes(token.bytes, kivi_bytes("a\0b", 3)));
    }
    EXPECT_NUMBER(status, KIVI_END);
    EXPECT(least && most && negative_zero && zero_byte);
    EXPECT_NUMBER(tokens, msgpack ? 29 : 20);
    kivi_reader_free(reader);
    kivi_writer_free(writer);
    kivi_buffer_free(&written);
    kivi_buffer_free(&again);
}

/* No envelope: what a store holds are the codec's bytes alone. */
CASE(values, bare)
{
    kivi_store *raw = reopened(s, "codec", "raw");
    kivi_slice k = key(s, "k"), value = number(s, 1234567);
    put(s, k, value, KIVI_TTL_NONE);
    OK(kivi_store_get(raw, NULL, k, &s->value, E));
    EXPECT_BYTES(kivi_buffer_slice(&s->value), value);
    if (s->can.ttl != KIVI_ABSENT) {
        put(s, k, value, 60000);
        OK(kivi_store_get(raw, NULL, k, &s->value, E));
        EXPECT_BYTES(kivi_buffer_slice(&s->value), value);
    }
    kivi_store_unref(raw);
}
