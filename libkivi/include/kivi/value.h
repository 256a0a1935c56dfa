/* Values: reading and writing typed values as a stream of tokens, whatever the codec. */
#ifndef KIVI_VALUE_H
#define KIVI_VALUE_H

#include <kivi/buffer.h>
#include <kivi/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A value is one of these tokens, or a container: ARRAY followed by its elements and END; MAP followed
 * by key, value, key, value, ... and END. Integers that fit int64 are always INT.
 */
typedef enum kivi_token_type {
    KIVI_TOKEN_NIL = 1,
    KIVI_TOKEN_BOOL = 2,
    KIVI_TOKEN_INT = 3,   /**< within int64 */
    KIVI_TOKEN_UINT = 4,  /**< beyond INT64_MAX */
    KIVI_TOKEN_FLOAT = 5, /**< float64; a stored float32 comes widened, exactly */
    KIVI_TOKEN_STR = 6,   /**< UTF-8 text (checked: KIVI_CORRUPT) */
    KIVI_TOKEN_BIN = 7,   /**< bytes */
    KIVI_TOKEN_ARRAY = 8,
    KIVI_TOKEN_MAP = 9,
    KIVI_TOKEN_END = 10,       /**< the innermost open container is complete */
    KIVI_TOKEN_TIMESTAMP = 11, /**< msgpack ext -1 */
    KIVI_TOKEN_EXT = 12        /**< any other ext: a type from -128 to 127 and bytes */
} kivi_token_type;

/** For `count` of ARRAY and MAP: the codec does not know before the end (JSON). */
#define KIVI_COUNT_UNKNOWN SIZE_MAX

/** One token. Which members count depends on `type`. Slices live until the reader's next call. */
typedef struct kivi_token {
    kivi_token_type type;
    int32_t ext_type; /**< EXT */
    union {
        bool boolean;
        int64_t integer;   /**< INT */
        uint64_t uinteger; /**< UINT */
        double real;       /**< FLOAT */
        size_t count; /**< ARRAY: elements, MAP: pairs; or KIVI_COUNT_UNKNOWN. A hint: never allocate by it alone */
        int64_t seconds; /**< TIMESTAMP: since 1970-01-01 UTC, negative before */
    } as;
    kivi_slice bytes;     /**< STR, BIN, EXT */
    uint32_t nanoseconds; /**< TIMESTAMP: 0 to 999,999,999 */
    uint32_t depth; /**< of containers around it; 0 for the value itself (an END as its container) */
} kivi_token;

/** Limits of a reader; 0: the default. */
typedef struct kivi_limits {
    uint32_t struct_size; /**< sizeof(kivi_limits) */
    uint32_t max_depth;   /**< nested containers; default 128, at most 10,000 */
    uint64_t max_size;    /**< bytes of a whole value; default 256 MiB */
} kivi_limits;

/** A streaming reader. Reused for any number of values; one thread at a time; never blocks. */
typedef struct kivi_reader kivi_reader;

/** A reader for a codec ("msgpack", "json", "raw": a raw value is one BIN). `limits` may be NULL. INVALID: unknown codec. Since 0.1. */
KIVI_API kivi_status kivi_reader_new(const char *codec, const kivi_limits *limits,
                                     kivi_reader **reader, kivi_error **error);
/** Begins a value; `bytes` must stay until it is read. Allocates nothing. Since 0.1. */
KIVI_API void kivi_reader_start(kivi_reader *reader, kivi_slice bytes);
/**
 * The next token: OK; END after the value's last (bytes after it are CORRUPT); CORRUPT for hostile or
 * damaged bytes, or over a limit. Once failed it stays failed until the next start. Since 0.1.
 */
KIVI_API kivi_status kivi_reader_next(kivi_reader *reader, kivi_token *token);
/**
 * Passes over the rest of the container whose ARRAY or MAP was just read, its END included. INVALID: none is
 * open. Since 0.1.
 */
KIVI_API kivi_status kivi_reader_skip(kivi_reader *reader);
/** Byte offset in the value where the next token begins, or where reading failed. Since 0.1. */
KIVI_API size_t kivi_reader_offset(const kivi_reader *reader);
/** Why it failed, as a new error for the caller to free; NULL if it did not. Since 0.1. */
KIVI_API kivi_error *kivi_reader_error(const kivi_reader *reader);
/** Frees it; NULL is nothing. Since 0.1. */
KIVI_API void kivi_reader_free(kivi_reader *reader);

/**
 * A streaming writer. Reused for any number of values; one thread at a time; never blocks. Its first
 * failure stays until the next start, and every later call returns it: check kivi_writer_finish() alone.
 * Failures: NO_MEMORY; INVALID for calls that make no value (a pair missing, more elements than said,
 * text that is not UTF-8, more than 10,000 nested containers); UNREPRESENTABLE for what the codec
 * cannot hold (raw holds one STR or BIN).
 */
typedef struct kivi_writer kivi_writer;

/** A writer for a codec. INVALID: unknown codec. Since 0.1. */
KIVI_API kivi_status kivi_writer_new(const char *codec, kivi_writer **writer, kivi_error **error);
/** Begins a value at the end of `out`, which must stay until finish. Since 0.1. */
KIVI_API void kivi_writer_start(kivi_writer *writer, kivi_buffer *out);
KIVI_API kivi_status kivi_writer_nil(kivi_writer *writer);
KIVI_API kivi_status kivi_writer_bool(kivi_writer *writer, bool value);
KIVI_API kivi_status kivi_writer_int(kivi_writer *writer, int64_t value);
KIVI_API kivi_status kivi_writer_uint(kivi_writer *writer, uint64_t value);
KIVI_API kivi_status kivi_writer_float(kivi_writer *writer, double value);
KIVI_API kivi_status kivi_writer_str(kivi_writer *writer, kivi_slice text);
KIVI_API kivi_status kivi_writer_bin(kivi_writer *writer, kivi_slice bytes);
/** Begins an array of `count` elements, which follow. It ends by itself. Since 0.1. */
KIVI_API kivi_status kivi_writer_array(kivi_writer *writer, size_t count);
/** Begins a map of `count` pairs: key, value, key, value, ... It ends by itself. Keys must differ. Since 0.1. */
KIVI_API kivi_status kivi_writer_map(kivi_writer *writer, size_t count);
KIVI_API kivi_status kivi_writer_timestamp(kivi_writer *writer, int64_t seconds, uint32_t nanoseconds);
KIVI_API kivi_status kivi_writer_ext(kivi_writer *writer, int8_t type, kivi_slice bytes);
/** Writes a token as read; END is passed over. INVALID for a count that is not known. Since 0.1. */
KIVI_API kivi_status kivi_writer_token(kivi_writer *writer, const kivi_token *token);
/** Ends the value: OK when it is complete; otherwise `out` is cut back to where it began. Since 0.1. */
KIVI_API kivi_status kivi_writer_finish(kivi_writer *writer, kivi_error **error);
/** Frees it; NULL is nothing. Since 0.1. */
KIVI_API void kivi_writer_free(kivi_writer *writer);

/**
 * Rewrites a value of one codec in another, token by token, into `out` (replaced; `value` lies elsewhere).
 * CORRUPT: `value` is none of `from`; UNREPRESENTABLE: `to` cannot hold it, or a map names a key twice (the
 * message has the path). Since 0.1.
 */
KIVI_API kivi_status kivi_value_convert(const char *from, kivi_slice value, const char *to,
                                        kivi_buffer *out, kivi_error **error);
/**
 * Whether two values of a codec are the same token by token: integer widths and the order of map pairs do not count;
 * int and float, str and bin, 0.0 and -0.0 differ; a NaN equals the same bits. False where either is damaged
 * and their bytes differ. Since 0.1.
 */
KIVI_API kivi_status kivi_value_equal(const char *codec, kivi_slice a, kivi_slice b, bool *equal,
                                      kivi_error **error);

#ifdef __cplusplus
}
#endif
#endif
