/* The codecs by name, and the readers and writers of a named one. */
#include "codec.h"

#include <stdlib.h>

static const kvi_codec codecs[] = {
    {"msgpack", kvi_msgpack_integer_read, kvi_msgpack_integer_write, &kvi_msgpack_reader,
     &kvi_msgpack_writer},
    {"json", kvi_json_integer_read, kvi_decimal_write, &kvi_json_reader, &kvi_json_writer},
    {"raw", kvi_decimal_read, kvi_decimal_write, &kvi_raw_reader, &kvi_raw_writer},
};

const kvi_codec *kvi_codec_find(const char *name)
{
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
        if (name && !strcmp(name, codecs[i].name))
            return &codecs[i];
    return NULL;
}

kivi_status kvi_codec_need(const char *name, const kvi_codec **codec, kivi_error **error)
{
    *codec = kvi_codec_find(name);
    if (*codec)
        return KIVI_OK;
    return kvi_fail(error, KIVI_INVALID, "unknown codec: msgpack, json and raw are known");
}

kivi_status kivi_reader_new(const char *codec, const kivi_limits *limits, kivi_reader **reader,
                            kivi_error **error)
{
    kvi_error_clear(error);
    *reader = NULL;
    const kvi_codec *found;
    kivi_status status = kvi_codec_need(codec, &found, error);
    if (status)
        return status;
    uint32_t max_depth = KVI_DEPTH_DEFAULT;
    uint64_t max_size = KVI_SIZE_DEFAULT;
    if (limits) {
        kivi_limits asked;
        status = kvi_struct_read(&asked, sizeof(asked), limits, "kivi_limits", error);
        if (status)
            return status;
        if (asked.max_depth > KVI_DEPTH_MAX)
            return kvi_fail(error, KIVI_INVALID, "max_depth is at most %d", KVI_DEPTH_MAX);
        if (asked.max_depth)
            max_depth = asked.max_depth;
        if (asked.max_size)
            max_size = asked.max_size;
    }
    return kvi_reader_create(found, max_depth, max_size, reader, error);
}

kivi_status kivi_writer_new(const char *codec, kivi_writer **made, kivi_error **error)
{
    kvi_error_clear(error);
    *made = NULL;
    const kvi_codec *found;
    kivi_status status = kvi_codec_need(codec, &found, error);
    if (status)
        return status;
    kivi_writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        return kvi_fail(error, KIVI_NO_MEMORY, "out of memory");
    writer->codec = found;
    writer->ops = found->writer;
    writer->stack = writer->first;
    writer->capacity = KVI_DEPTH_DEFAULT;
    kvi_writer_fail(writer, KIVI_INVALID, "no value was started");
    *made = writer;
    return KIVI_OK;
}
