/* Rows: a four-field map of msgpack read and written, beside msgpack-c with everything reused. */
#include "bench.h"

#include <kivi/kivi.h>
#include <msgpack.h>

#include <stdlib.h>
#include <string.h>

static const char record_name[] = "a dozen chrs";

/* What both sides make of a record, so that neither reads for nothing. */
typedef struct record {
    int64_t id;
    double score;
    size_t name_size;
    bool active;
} record;

typedef struct values_state {
    kivi_buffer bytes; /* {"id": 123456, "name": "a dozen chrs", "score": 1.5, "active": true} */
    kivi_reader *reader;
    kivi_writer *writer;
    kivi_buffer out;
    msgpack_zone zone;
    msgpack_sbuffer sbuffer;
    msgpack_packer packer;
} values_state;

static inline kivi_slice text_of(const char *text, size_t size)
{
    return kivi_bytes(text, size);
}
#define TEXT(literal) text_of(literal, sizeof(literal) - 1)

static inline void our_encode(values_state *state)
{
    kivi_writer *writer = state->writer;
    state->out.size = 0;
    kivi_writer_start(writer, &state->out);
    kivi_writer_map(writer, 4);
    kivi_writer_str(writer, TEXT("id"));
    kivi_writer_int(writer, 123456);
    kivi_writer_str(writer, TEXT("name"));
    kivi_writer_str(writer, TEXT(record_name));
    kivi_writer_str(writer, TEXT("score"));
    kivi_writer_float(writer, 1.5);
    kivi_writer_str(writer, TEXT("active"));
    kivi_writer_bool(writer, true);
    BENCH_CHECK(!kivi_writer_finish(writer, NULL));
    bench_use(state->out.data);
}

static inline void pack_text(msgpack_packer *packer, const char *text, size_t size)
{
    msgpack_pack_str(packer, size);
    msgpack_pack_str_body(packer, text, size);
}
#define PACK_TEXT(packer, literal) pack_text(packer, literal, sizeof(literal) - 1)

static inline void peer_encode(values_state *state)
{
    msgpack_packer *packer = &state->packer;
    msgpack_sbuffer_clear(&state->sbuffer);
    msgpack_pack_map(packer, 4);
    PACK_TEXT(packer, "id");
    msgpack_pack_int64(packer, 123456);
    PACK_TEXT(packer, "name");
    PACK_TEXT(packer, record_name);
    PACK_TEXT(packer, "score");
    msgpack_pack_double(packer, 1.5);
    PACK_TEXT(packer, "active");
    msgpack_pack_true(packer);
    bench_use(state->sbuffer.data);
}

static void check_record(const record *read)
{
    BENCH_CHECK(read->id == 123456 && read->score == 1.5 && read->active);
    BENCH_CHECK(read->name_size == sizeof(record_name) - 1);
}

/* Takes the tokens as they come. */
static inline void our_decode(values_state *state, record *read)
{
    kivi_token token;
    kivi_status status;
    kivi_reader_start(state->reader, kivi_buffer_slice(&state->bytes));
    while (!(status = kivi_reader_next(state->reader, &token))) {
        if (token.type == KIVI_TOKEN_STR)
            read->name_size = token.bytes.size > 6 ? token.bytes.size : read->name_size;
        else if (token.type == KIVI_TOKEN_INT)
            read->id = token.as.integer;
        else if (token.type == KIVI_TOKEN_FLOAT)
            read->score = token.as.real;
        else if (token.type == KIVI_TOKEN_BOOL)
            read->active = token.as.boolean;
    }
    BENCH_CHECK(status == KIVI_END);
    bench_use(read);
}

/* Takes the fields from the tree in their order. */
static inline void peer_decode(values_state *state, record *read)
{
    msgpack_object object;
    size_t offset = 0;
    msgpack_zone_clear(&state->zone);
    BENCH_CHECK(msgpack_unpack((const char *)state->bytes.data, state->bytes.size, &offset,
                               &state->zone, &object) == MSGPACK_UNPACK_SUCCESS);
    const msgpack_object_kv *pairs = object.via.map.ptr;
    read->id = pairs[0].val.via.i64;
    read->name_size = pairs[1].val.via.str.size;
    read->score = pairs[2].val.via.f64;
    read->active = pairs[3].val.via.boolean;
    bench_use(read);
}

/* Reading and writing into what is there allocates nothing. */
static void check_allocations(values_state *state)
{
    record read = {0};
    uint64_t before = bench_allocations();
    our_decode(state, &read);
    our_encode(state);
    BENCH_CHECK(bench_allocations() == before);
}

static void *set_up(const bench_row *row)
{
    values_state *state = bench_alloc(sizeof *state);
    (void)row;
    BENCH_CHECK(!kivi_reader_new("msgpack", NULL, &state->reader, NULL));
    BENCH_CHECK(!kivi_writer_new("msgpack", &state->writer, NULL));
    BENCH_CHECK(msgpack_zone_init(&state->zone, MSGPACK_ZONE_CHUNK_SIZE));
    msgpack_sbuffer_init(&state->sbuffer);
    msgpack_packer_init(&state->packer, &state->sbuffer, msgpack_sbuffer_write);
    our_encode(state);
    peer_encode(state);
    BENCH_CHECK(state->out.size == state->sbuffer.size);
    BENCH_CHECK(!memcmp(state->out.data, state->sbuffer.data, state->out.size));
    BENCH_CHECK(!kivi_buffer_assign(&state->bytes, kivi_buffer_slice(&state->out)));
    check_allocations(state);
    return state;
}

static void tear_down(void *user)
{
    values_state *state = user;
    kivi_reader_free(state->reader);
    kivi_writer_free(state->writer);
    kivi_buffer_free(&state->bytes);
    kivi_buffer_free(&state->out);
    msgpack_sbuffer_destroy(&state->sbuffer);
    msgpack_zone_destroy(&state->zone);
    free(state);
}

static void run_our_decode(void *user, unsigned thread, uint64_t iterations)
{
    record read = {0};
    (void)thread;
    while (iterations--)
        our_decode(user, &read);
    check_record(&read);
}

static void run_peer_decode(void *user, unsigned thread, uint64_t iterations)
{
    record read = {0};
    (void)thread;
    while (iterations--)
        peer_decode(user, &read);
    check_record(&read);
}

static void run_our_encode(void *user, unsigned thread, uint64_t iterations)
{
    values_state *state = user;
    (void)thread;
    while (iterations--)
        our_encode(state);
    BENCH_CHECK(state->out.size == state->bytes.size);
}

static void run_peer_encode(void *user, unsigned thread, uint64_t iterations)
{
    values_state *state = user;
    (void)thread;
    while (iterations--)
        peer_encode(state);
    BENCH_CHECK(state->sbuffer.size == state->bytes.size);
}

static const bench_row rows[] = {
    {.name = "decode",
     .title = "msgpack decode, a four-field map",
     .peer = "msgpack-c: msgpack_unpack, zone reused",
     .goal = BENCH_TIME_AT_MOST,
     .target = 1.0,
     .setup = set_up,
     .run_peer = run_peer_decode,
     .run_ours = run_our_decode,
     .teardown = tear_down},
    {.name = "encode",
     .title = "msgpack encode, a four-field map",
     .peer = "msgpack-c: msgpack_packer, sbuffer reused",
     .goal = BENCH_TIME_AT_MOST,
     .target = 1.1,
     .setup = set_up,
     .run_peer = run_peer_encode,
     .run_ours = run_our_encode,
     .teardown = tear_down},
};

const bench_group bench_values_group = BENCH_GROUP(rows);
