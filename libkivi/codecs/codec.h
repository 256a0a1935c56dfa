/* The one codec contract: what a codec implements, and the reader and writer state that it works on. */
#ifndef KVI_CODEC_H
#define KVI_CODEC_H

#include "../core/base/base.h"
#include "codecs.h"

#define KVI_DEPTH_DEFAULT 128
#define KVI_DEPTH_MAX 10000
#define KVI_SIZE_DEFAULT (UINT64_C(256) << 20)

/* ---- readers ---- */

typedef kivi_status (*kvi_next_fn)(kivi_reader *reader, kivi_token *token);

typedef struct kvi_reader_ops {
    /* Prepares for bytes at `at` to `end`; depth is 0. NULL: nothing to do. */
    void (*start)(kivi_reader *reader);
    /* The next token and OK, or kvi_reader_end(), or kvi_reader_fail(). */
    kvi_next_fn next;
    bool knows_counts; /* of ARRAY and MAP */
} kvi_reader_ops;

struct kivi_reader {
    /* The codec's next, or, once reading ended, the one that repeats how: no state to test on the hot path. */
    kvi_next_fn next;
    const uint8_t *at, *end;
    size_t left;   /* the codec's: msgpack counts tokens still to come in the innermost container */
    size_t *stack; /* the codec's: one word for each open container */
    uint32_t depth; /* open containers */
    uint32_t capacity;
    uint32_t max_depth;
    int32_t expect; /* the codec's: JSON's grammar state */
    bool partial;   /* the value may be cut off: counts beyond the bytes left are no failure yet */
    kivi_status status; /* how reading ended */
    const char *reason; /* static text */
    const uint8_t *begin;
    uint64_t max_size;
    const kvi_codec *codec;
    kivi_buffer text; /* the codec's: unescaped text of the current token */
    size_t first[KVI_DEPTH_DEFAULT];
};

kivi_status kvi_reader_create(const kvi_codec *codec, uint32_t max_depth, uint64_t max_size,
                              kivi_reader **reader, kivi_error **error);
/* Ends reading for good; answers `status`. `reason` is static text that continues "msgpack: ". */
kivi_status kvi_reader_fail(kivi_reader *reader, kivi_status status, const char *reason);
/* Ends reading after the value's last token; answers KIVI_END. */
kivi_status kvi_reader_end(kivi_reader *reader);
/* Room for one more open container, or a failure for depth or memory. */
kivi_status kvi_reader_grow(kivi_reader *reader);

/* Opens a container with the codec's word for what lies around it. */
static inline kivi_status kvi_reader_push(kivi_reader *reader, size_t word)
{
    if (KVI_UNLIKELY(reader->depth == reader->capacity)) {
        kivi_status status = kvi_reader_grow(reader);
        if (status)
            return status;
    }
    reader->stack[reader->depth++] = word;
    return KIVI_OK;
}

static inline size_t kvi_reader_rest(const kivi_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

/* Whether short text is ASCII, inline; false says nothing. */
static inline bool kvi_text_is_ascii(const uint8_t *at, size_t size)
{
    uint64_t a, b;
    uint32_t c, d;
    if (size >= 8 && size <= 16) {
        memcpy(&a, at, 8);
        memcpy(&b, at + size - 8, 8);
        return !((a | b) & UINT64_C(0x8080808080808080));
    }
    if (size >= 4 && size < 8) {
        memcpy(&c, at, 4);
        memcpy(&d, at + size - 4, 4);
        return !((c | d) & UINT32_C(0x80808080));
    }
    if (size < 4)
        return !size || !((at[0] | at[size / 2] | at[size - 1]) & 0x80);
    return false;
}

static inline bool kvi_text_is_utf8(const void *data, size_t size)
{
    return kvi_text_is_ascii(data, size) || kvi_utf8_is_valid(kivi_bytes(data, size));
}

/* ---- writers ---- */

/* Each writes one token between kvi_writer_ready() and kvi_writer_done(), or answers kvi_writer_fail(). */
typedef struct kvi_writer_ops {
    kivi_status (*nil)(kivi_writer *writer);
    kivi_status (*boolean)(kivi_writer *writer, bool value);
    kivi_status (*integer)(kivi_writer *writer, int64_t value);
    kivi_status (*uinteger)(kivi_writer *writer, uint64_t value);
    kivi_status (*real)(kivi_writer *writer, double value);
    kivi_status (*str)(kivi_writer *writer, kivi_slice text); /* checks that it is UTF-8 */
    kivi_status (*bin)(kivi_writer *writer, kivi_slice bytes);
    kivi_status (*array)(kivi_writer *writer, size_t count);
    kivi_status (*map)(kivi_writer *writer, size_t count);
    kivi_status (*timestamp)(kivi_writer *writer, int64_t seconds, uint32_t nanoseconds);
    kivi_status (*ext)(kivi_writer *writer, int8_t type, kivi_slice bytes);
    /* Writes what ends a container that is complete. NULL: nothing. */
    kivi_status (*close)(kivi_writer *writer, bool map);
} kvi_writer_ops;

typedef struct kvi_writer_frame {
    size_t left; /* values still to come */
    bool map;    /* an even number left: a key is next */
} kvi_writer_frame;

struct kivi_writer {
    const kvi_writer_ops *ops;
    uint8_t *at, *limit; /* room in out; its size is set at the end */
    /* Of the innermost container, or of the value itself; left is 0 once nothing more may come. */
    kvi_writer_frame now;
    kvi_writer_frame *stack;
    uint32_t depth, capacity;
    kivi_status status; /* the first failure */
    const char *reason; /* static text */
    kivi_buffer *out;   /* NULL: no value was started */
    size_t begin;       /* out's size at the start */
    const kvi_codec *codec;
    kvi_writer_frame first[KVI_DEPTH_DEFAULT];
};

/* Notes the first failure; answers it. `reason` is static text. */
kivi_status kvi_writer_fail(kivi_writer *writer, kivi_status status, const char *reason);
/* Whether `room` bytes fit at `at`, growing `out` if need be; false: it has failed, answer its status. */
bool kvi_writer_has_room(kivi_writer *writer, size_t room);
/* The slow half of kvi_writer_ready(). */
bool kvi_writer_make_ready(kivi_writer *writer, size_t room);
/* Opens a container after its header was written; ends it at once if it is empty. */
kivi_status kvi_writer_open(kivi_writer *writer, bool map, size_t count);
/* Ends the containers that are complete. */
kivi_status kvi_writer_close_full(kivi_writer *writer);

/* Whether a value may come and `room` bytes fit at `at`; false: it has failed, answer its status. */
static inline bool kvi_writer_ready(kivi_writer *writer, size_t room)
{
    if (KVI_LIKELY(writer->now.left && (size_t)(writer->limit - writer->at) >= room))
        return true;
    return kvi_writer_make_ready(writer, room);
}

/* Counts the value that was just written, whose bytes end at `at`. */
static inline kivi_status kvi_writer_done(kivi_writer *writer, uint8_t *at)
{
    writer->at = at;
    if (KVI_LIKELY(--writer->now.left))
        return KIVI_OK;
    return kvi_writer_close_full(writer);
}

static inline bool kvi_writer_at_key(const kivi_writer *writer)
{
    return writer->now.map && writer->now.left % 2 == 0;
}

/* ---- the codecs ---- */

/* As kvi_codec_find(); INVALID with the names that are known. */
kivi_status kvi_codec_need(const char *name, const kvi_codec **codec, kivi_error **error);

extern const kvi_reader_ops kvi_msgpack_reader, kvi_json_reader, kvi_raw_reader;
extern const kvi_writer_ops kvi_msgpack_writer, kvi_json_writer, kvi_raw_writer;

kivi_status kvi_msgpack_integer_read(kivi_slice bytes, int64_t *value);
size_t kvi_msgpack_integer_write(int64_t value, uint8_t bytes[KVI_INTEGER_MAX]);
kivi_status kvi_json_integer_read(kivi_slice bytes, int64_t *value);

/* decimal.c: integers as text. No sign but '-', no leading zeros, nothing around, and no "-0". */
kivi_status kvi_decimal_read(kivi_slice bytes, int64_t *value);
size_t kvi_decimal_write(int64_t value, uint8_t bytes[KVI_INTEGER_MAX]);
size_t kvi_decimal_write_unsigned(uint64_t value, uint8_t *bytes); /* 20 bytes at most */

/* json_number.c */
#define KVI_DOUBLE_MAX 32 /* bytes that a written double takes at most */
/* The number of a JSON text that is well-formed; CORRUPT beyond float64, NO_MEMORY. Heeds no locale. */
kivi_status kvi_double_read(kivi_slice text, double *value);
/* The shortest text that reads back as `value`, which is finite; it always has a '.' or an 'e'. */
size_t kvi_double_write(double value, uint8_t text[KVI_DOUBLE_MAX]);

/* ---- path.c ---- */

#define KVI_PATH_MAX 256
/*
 * Where a value's token number `count` (from 0) stands, like value.users[3].id, or where its bytes break off or are
 * damaged, whichever comes first. Long paths are cut.
 */
void kvi_value_path(const kvi_codec *codec, kivi_slice value, size_t count, char path[KVI_PATH_MAX]);

/* ---- canonical.c: one form for values that are equal token by token ---- */

/*
 * A pair of an open map, within `out`. Small, for a pair may be two bytes: values are at most KVI_SIZE_DEFAULT, and
 * their form takes less than 4 GiB.
 */
typedef struct kvi_canonical_pair {
    uint32_t offset, size;
    uint32_t key_size;
    uint32_t token; /* tokens of the value up to the end of the key */
} kvi_canonical_pair;

typedef struct kvi_canonical_level kvi_canonical_level;

/* Zeroed memory begins one; kvi_canonical_free() ends it. */
typedef struct kvi_canonical {
    kivi_buffer out;    /* the form of the tokens so far */
    bool keys_only;     /* `out` holds no more than the check for keys named twice needs */
    size_t duplicate;   /* tokens up to a key that its map names for the second time; 0: none */
    size_t tokens;      /* so far */
    kivi_buffer pairs;  /* kvi_canonical_pair of open maps */
    kivi_buffer levels; /* kvi_canonical_level of open containers */
    kivi_buffer spare;
} kvi_canonical;

/* Adds a token: OK or NO_MEMORY. No form of a value begins another's. */
kivi_status kvi_canonical_token(kvi_canonical *canonical, const kivi_token *token);
void kvi_canonical_free(kvi_canonical *canonical);

#endif
