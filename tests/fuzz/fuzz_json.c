/* Hostile JSON: what is read, written and read again is the same, directly and as msgpack in between. */
#include "../unit/values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

static kivi_reader *reader;
static kivi_buffer first, second, packed;

static kivi_status read_all(kivi_slice bytes)
{
    kivi_token token;
    kivi_status status;
    size_t offset = 0;
    kivi_reader_start(reader, bytes);
    while (!(status = kivi_reader_next(reader, &token))) {
        HOLDS(token.type != KIVI_TOKEN_STR || kvi_utf8_is_valid(token.bytes));
        HOLDS(kivi_reader_offset(reader) >= offset && kivi_reader_offset(reader) <= bytes.size);
        offset = kivi_reader_offset(reader);
    }
    return status;
}

static bool is_equal(kivi_slice a, kivi_slice b)
{
    bool equal = false;
    HOLDS(!kivi_value_equal("json", a, b, &equal, NULL));
    return equal;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t integer;
    kivi_error *error;
    kivi_slice bytes = kivi_bytes(data, size);
    if (!reader)
        HOLDS(!kivi_reader_new("json", NULL, &reader, NULL));
    kivi_status read = read_all(bytes);
    kivi_status status = kivi_value_convert("json", bytes, "json", &first, &error);
    HOLDS((error != NULL) == (status != KIVI_OK));
    HOLDS(!error || kvi_utf8_is_valid(kivi_str(kivi_error_message(error))));
    kivi_error_free(error);
    if (read != KIVI_END) {
        /* a key named twice may stand before the damage */
        HOLDS(read == KIVI_CORRUPT && (status == KIVI_CORRUPT || status == KIVI_UNREPRESENTABLE));
        HOLDS(!first.size);
        return 0;
    }
    HOLDS(status == KIVI_OK || status == KIVI_UNREPRESENTABLE);
    if (status)
        return 0;
    HOLDS(is_equal(bytes, kivi_buffer_slice(&first)));
    HOLDS(!kivi_value_convert("json", kivi_buffer_slice(&first), "json", &second, NULL));
    HOLDS(first.size == second.size && !memcmp(first.data, second.data, first.size));
    HOLDS(!kivi_value_convert("json", bytes, "msgpack", &packed, NULL));
    HOLDS(!kivi_value_convert("msgpack", kivi_buffer_slice(&packed), "json", &second, NULL));
    HOLDS(first.size == second.size && !memcmp(first.data, second.data, first.size));
    /* what an increment takes for an integer is one, and the other way round */
    kivi_token token;
    kivi_reader_start(reader, bytes);
    HOLDS(!kivi_reader_next(reader, &token));
    if (!kvi_codec_find("json")->integer_read(bytes, &integer))
        HOLDS(token.type == KIVI_TOKEN_INT && token.as.integer == integer);
    else
        HOLDS(token.type != KIVI_TOKEN_INT);
    return 0;
}
