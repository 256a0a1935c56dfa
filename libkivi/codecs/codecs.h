/* What the core knows of a codec: its name, and its integers. */
#ifndef KVI_CODECS_H
#define KVI_CODECS_H

#include <kivi/kivi.h>

#define KVI_INTEGER_MAX 24 /* bytes that an encoded int64 takes at most, in any codec */
typedef struct kvi_codec {
    const char *name;
    /* OK, or WRONG_TYPE when the bytes are no integer of this codec, OVERFLOW beyond int64. */
    kivi_status (*integer_read)(kivi_slice bytes, int64_t *value);
    size_t (*integer_write)(int64_t value, uint8_t bytes[KVI_INTEGER_MAX]);
    const struct kvi_reader_ops *reader; /* codec.h */
    const struct kvi_writer_ops *writer;
} kvi_codec;
/* NULL: unknown. The first stage of a codec option such as "msgpack". */
const kvi_codec *kvi_codec_find(const char *name);

#endif
