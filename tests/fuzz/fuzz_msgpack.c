/* Hostile msgpack: what we read is what msgpack-c reads, and survives being written, and being JSON in between. */
#include "../unit/values.h"

const char *__asan_default_options(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MSGPACK_C_DEPTH 32

/* msgpack-c allocates by the counts it is told: let it fail instead. */
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=64";
}

#define HOLDS(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

static kivi_reader *reader;
static kivi_writer *writer;
static kivi_buffer first, second, json;

/* Reads all of it and writes it again; how reading ended, and how deep it went. */
static kivi_status copy(kivi_slice bytes, kivi_buffer *out, uint32_t *depth)
{
    kivi_token token;
    kivi_status status;
    *depth = 0;
    out->size = 0;
    kivi_writer_start(writer, out);
    kivi_reader_start(reader, bytes);
    while (!(status = kivi_reader_next(reader, &token))) {
        *depth = token.depth > *depth ? token.depth : *depth;
        HOLDS(!kivi_writer_token(writer, &token));
        HOLDS(kivi_reader_offset(reader) <= bytes.size);
    }
    kivi_error *error = kivi_reader_error(reader);
    HOLDS((error != NULL) == (status != KIVI_END));
    HOLDS(!error || kivi_error_status(error) == status);
    kivi_error_free(error);
    kivi_status written = kivi_writer_finish(writer, &error);
    HOLDS(status != KIVI_END || written == KIVI_OK);
    kivi_error_free(error);
    return status;
}

static bool is_strict_ext(const msgpack_object *object)
{
    const msgpack_object_ext *ext = &object->via.ext;
    msgpack_timestamp time;
    if (ext->type != -1)
        return true;
    return msgpack_object_to_timestamp(object, &time) && time.tv_nsec <= 999999999;
}

/* What msgpack-c lets pass and we do not: text that is not UTF-8, timestamps that are none. */
static bool is_strict(const msgpack_object *object)
{
    switch (object->type) {
    case MSGPACK_OBJECT_STR:
        return kvi_utf8_is_valid(kivi_bytes(object->via.str.ptr, object->via.str.size));
    case MSGPACK_OBJECT_EXT:
        return is_strict_ext(object);
    case MSGPACK_OBJECT_ARRAY:
        for (uint32_t i = 0; i < object->via.array.size; i++)
            if (!is_strict(&object->via.array.ptr[i]))
                return false;
        return true;
    case MSGPACK_OBJECT_MAP:
        for (uint32_t i = 0; i < object->via.map.size; i++)
            if (!is_strict(&object->via.map.ptr[i].key) || !is_strict(&object->via.map.ptr[i].val))
                return false;
        return true;
    default:
        return true;
    }
}

static void compare_with_msgpack_c(kivi_slice bytes, bool ours, uint32_t depth)
{
    msgpack_object object;
    msgpack_zone zone;
    size_t offset = 0;
    kivi_token token;
    if (!msgpack_zone_init(&zone, 8192))
        return;
    bool theirs = bytes.size && msgpack_unpack(bytes.data, bytes.size, &offset, &zone, &object) ==
                                    MSGPACK_UNPACK_SUCCESS;
    theirs = theirs && offset == bytes.size;
    if (ours && theirs) {
        kivi_reader_start(reader, bytes);
        HOLDS(values_match(reader, &object));
        HOLDS(kivi_reader_next(reader, &token) == KIVI_END);
    } else if (ours) {
        HOLDS(depth >= MSGPACK_C_DEPTH);
    } else if (theirs) {
        HOLDS(!is_strict(&object));
    }
    msgpack_zone_destroy(&zone);
}

static bool is_equal(kivi_slice a, kivi_slice b)
{
    bool equal = false;
    HOLDS(!kivi_value_equal("msgpack", a, b, &equal, NULL));
    return equal;
}

static void convert_to_json_and_back(kivi_slice bytes)
{
    kivi_error *error;
    kivi_status status = kivi_value_convert("msgpack", bytes, "json", &json, &error);
    HOLDS(status == KIVI_OK || status == KIVI_UNREPRESENTABLE);
    HOLDS((error != NULL) == (status != KIVI_OK));
    HOLDS(!error || kvi_utf8_is_valid(kivi_str(kivi_error_message(error))));
    kivi_error_free(error);
    if (status)
        return;
    HOLDS(!kivi_value_convert("json", kivi_buffer_slice(&json), "msgpack", &second, NULL));
    HOLDS(is_equal(bytes, kivi_buffer_slice(&second)));
}

/* Passing over a container ends where reading it ends. */
static void skip_first(kivi_slice bytes)
{
    kivi_token token;
    kivi_reader_start(reader, bytes);
    HOLDS(!kivi_reader_next(reader, &token));
    if (token.type == KIVI_TOKEN_ARRAY || token.type == KIVI_TOKEN_MAP)
        HOLDS(!kivi_reader_skip(reader));
    HOLDS(kivi_reader_offset(reader) == bytes.size);
    HOLDS(kivi_reader_next(reader, &token) == KIVI_END);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t depth, again;
    int64_t integer;
    kivi_slice bytes = kivi_bytes(data, size);
    if (!reader) {
        HOLDS(!kivi_reader_new("msgpack", NULL, &reader, NULL));
        HOLDS(!kivi_writer_new("msgpack", &writer, NULL));
    }
    kivi_status status = copy(bytes, &first, &depth);
    compare_with_msgpack_c(bytes, status == KIVI_END, depth);
    HOLDS(status == KIVI_END || kvi_codec_find("msgpack")->integer_read(bytes, &integer));
    if (status != KIVI_END)
        return 0;
    HOLDS(is_equal(bytes, kivi_buffer_slice(&first)));
    HOLDS(copy(kivi_buffer_slice(&first), &second, &again) == KIVI_END && again == depth);
    HOLDS(first.size == second.size && !memcmp(first.data, second.data, first.size));
    skip_first(bytes);
    convert_to_json_and_back(bytes);
    return 0;
}
