/* Values into Ruby objects, straight from where they lie. */
#include "kvr.h"

enum { NAME_MAX_SIZE = 40 }; /* a text key this short is probably a name: kept once */

typedef struct decoding {
    kivi_reader *reader;
    const kvr_config *config;
    size_t size; /* bytes of the whole value: no container has more elements */
} decoding;

static VALUE read_object(const decoding *from, const kivi_token *token, const kvr_link *link);

NORETURN(static void damaged(kivi_reader *reader));
static void damaged(kivi_reader *reader)
{
    kivi_error *error = kivi_reader_error(reader);
    kvr_raise(error ? kivi_error_status(error) : KIVI_CORRUPT, error);
}

static void next_token(const decoding *from, kivi_token *token)
{
    if (kivi_reader_next(from->reader, token))
        damaged(from->reader);
}

static bool next_in(const decoding *from, kivi_token *token)
{
    next_token(from, token);
    return token->type != KIVI_TOKEN_END;
}

static VALUE next_object(const decoding *from, const kvr_link *link)
{
    kivi_token token;
    next_token(from, &token);
    return read_object(from, &token, link);
}

static VALUE text_out(kivi_slice text)
{
    return rb_utf8_str_new(text.data, (long)text.size);
}

VALUE kvr_bytes_out(kivi_slice bytes)
{
    return rb_str_new(bytes.data, (long)bytes.size);
}

VALUE kvr_key_out(kivi_slice key)
{
    VALUE string = text_out(key);
    if (rb_enc_str_coderange(string) == ENC_CODERANGE_BROKEN)
        rb_enc_associate_index(string, rb_ascii8bit_encindex());
    return string;
}

static VALUE read_array(const decoding *from, const kivi_token *begin, const kvr_link *outer)
{
    kvr_link link = KVR_LINK(outer, Qundef);
    size_t room = begin->as.count < from->size ? begin->as.count : 0;
    VALUE array = rb_ary_new_capa((long)(room < 1024 ? room : 1024));
    kivi_token token;
    for (; next_in(from, &token); link.index++)
        rb_ary_push(array, read_object(from, &token, &link));
    return array;
}

static VALUE read_key(const decoding *from, const kivi_token *token, const kvr_link *link)
{
    if (token->type != KIVI_TOKEN_STR)
        return read_object(from, token, link);
    if (from->config->symbols)
        return rb_to_symbol(text_out(token->bytes));
    if (token->bytes.size <= NAME_MAX_SIZE)
        return rb_enc_interned_str(token->bytes.data, (long)token->bytes.size, rb_utf8_encoding());
    return text_out(token->bytes);
}

static VALUE read_hash(const decoding *from, const kvr_link *outer)
{
    kvr_link link = KVR_LINK(outer, Qundef);
    VALUE hash = rb_hash_new(), value;
    size_t count = 0;
    kivi_token token;
    while (next_in(from, &token)) {
        link.key = read_key(from, &token, outer);
        value = next_object(from, &link);
        rb_hash_aset(hash, link.key, value);
        if (RHASH_SIZE(hash) != ++count)
            kvr_refuse(&link, "a Hash would merge this key with another (see pairs: true)");
    }
    return hash;
}

static VALUE read_pairs(const decoding *from, const kvr_link *outer)
{
    kvr_link link = KVR_LINK(outer, Qundef);
    VALUE pairs = rb_class_new_instance(0, NULL, kvr.Pairs), value;
    kivi_token token;
    while (next_in(from, &token)) {
        link.key = read_key(from, &token, outer);
        value = next_object(from, &link);
        rb_ary_push(pairs, rb_assoc_new(link.key, value));
    }
    return pairs;
}

static VALUE read_time(const kivi_token *token)
{
    struct timespec moment = {.tv_sec = token->as.seconds, .tv_nsec = token->nanoseconds};
    return rb_time_timespec_new(&moment, INT_MAX - 1); /* in UTC */
}

static VALUE read_ext(const decoding *from, const kivi_token *token)
{
    VALUE type = INT2FIX(token->ext_type), data = kvr_bytes_out(token->bytes);
    if (NIL_P(from->config->ext_hook))
        return rb_funcall(kvr.Ext, kvr.new, 2, type, data);
    return rb_funcall(from->config->ext_hook, kvr.call, 2, type, data);
}

static VALUE read_object(const decoding *from, const kivi_token *token, const kvr_link *link)
{
    switch (token->type) {
    case KIVI_TOKEN_NIL:
        return Qnil;
    case KIVI_TOKEN_BOOL:
        return token->as.boolean ? Qtrue : Qfalse;
    case KIVI_TOKEN_INT:
        return LL2NUM(token->as.integer);
    case KIVI_TOKEN_UINT:
        return ULL2NUM(token->as.uinteger);
    case KIVI_TOKEN_FLOAT:
        return DBL2NUM(token->as.real);
    case KIVI_TOKEN_STR:
        return text_out(token->bytes);
    case KIVI_TOKEN_BIN:
        return kvr_bytes_out(token->bytes);
    case KIVI_TOKEN_ARRAY:
        return read_array(from, token, link);
    case KIVI_TOKEN_MAP:
        return from->config->pairs ? read_pairs(from, link) : read_hash(from, link);
    case KIVI_TOKEN_TIMESTAMP:
        return read_time(token);
    case KIVI_TOKEN_EXT:
        return read_ext(from, token);
    default:
        kvr_raise_text(KIVI_INTERNAL, "a reader answered token %d", (int)token->type);
    }
}

VALUE kvr_decode(const kvr_config *config, kivi_reader *reader, kivi_slice bytes)
{
    decoding from = {reader, config, bytes.size};
    kivi_token token;
    VALUE object;
    if (!reader)
        rb_memerror();
    kivi_reader_start(reader, bytes);
    object = next_object(&from, NULL);
    if (kivi_reader_next(reader, &token) != KIVI_END)
        damaged(reader);
    return object;
}
