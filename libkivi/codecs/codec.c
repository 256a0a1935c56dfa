/* The codecs by name. */
#include "codec.h"

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
