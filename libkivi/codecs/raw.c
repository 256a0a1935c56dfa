/* raw: a value is its bytes, one BIN; written from one STR or BIN. */
#include "codec.h"

static kivi_status next(kivi_reader *reader, kivi_token *token)
{
    if (!reader->left)
        return kvi_reader_end(reader);
    reader->left = 0;
    token->type = KIVI_TOKEN_BIN;
    token->depth = 0;
    token->bytes = kivi_bytes(reader->at, kvi_reader_rest(reader));
    reader->at = reader->end;
    return KIVI_OK;
}

const kvi_reader_ops kvi_raw_reader = {NULL, next, true};

static kivi_status write_bin(kivi_writer *writer, kivi_slice bytes)
{
    if (!kvi_writer_ready(writer, bytes.size + 1)) /* 1: an empty value is stored as well */
        return writer->status;
    if (bytes.size)
        memcpy(writer->at, bytes.data, bytes.size);
    return kvi_writer_done(writer, writer->at + bytes.size);
}

static kivi_status write_str(kivi_writer *writer, kivi_slice text)
{
    if (!kvi_utf8_is_valid(text))
        return kvi_writer_fail(writer, KIVI_INVALID, "text that is not UTF-8");
    return write_bin(writer, text);
}

static kivi_status write_nil(kivi_writer *writer)
{
    return kvi_writer_fail(writer, KIVI_UNREPRESENTABLE, "cannot hold nil");
}

static kivi_status write_boolean(kivi_writer *writer, bool value)
{
    (void)value;
    return kvi_writer_fail(writer, KIVI_UNREPRESENTABLE, "cannot hold a boolean");
}

static kivi_status write_integer(kivi_writer *writer, int64_t value)
{
    (void)value;
    return kvi_writer_fail(writer, KIVI_UNREPRESENTABLE, "cannot hold an integer");
}

static kivi_status write_uinteger(kivi_writer *writer, uint64_t value)
{
    (void)value;
    return kvi_writer_fail(writer, KIVI_UNREPRESENTABLE, "cannot hold an integer");
}

static kivi_status write_real(kivi_writer *writer, double value)
{
    (void)value;
    return kvi_writer_fail(writer, KIVI_UNREPRESENTABLE, "cannot hold a float");
}

static kivi_status write_array(kivi_writer *writer, size_t count)
{
    (void)count;
    return kvi_writer_fail(writer, KIVI_UNREPRESENTABLE, "cannot hold an array");
}

static kivi_status write_map(kivi_writer *writer, size_t count)
{
    (void)count;
    return kvi_writer_fail(writer, KIVI_UNREPRESENTABLE, "cannot hold a map");
}

static kivi_status write_timestamp(kivi_writer *writer, int64_t seconds, uint32_t nanoseconds)
{
    (void)seconds;
    (void)nanoseconds;
    return kvi_writer_fail(writer, KIVI_UNREPRESENTABLE, "cannot hold a timestamp");
}

static kivi_status write_ext(kivi_writer *writer, int8_t type, kivi_slice bytes)
{
    (void)type;
    (void)bytes;
    return kvi_writer_fail(writer, KIVI_UNREPRESENTABLE, "cannot hold an ext");
}

const kvi_writer_ops kvi_raw_writer = {
    .nil = write_nil,
    .boolean = write_boolean,
    .integer = write_integer,
    .uinteger = write_uinteger,
    .real = write_real,
    .str = write_str,
    .bin = write_bin,
    .array = write_array,
    .map = write_map,
    .timestamp = write_timestamp,
    .ext = write_ext,
};
