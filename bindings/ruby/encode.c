/* Ruby objects into a writer, straight: no tree in between. */
#include <math.h>

#include "kvr.h"

enum { MAX_DEPTH = 128 }; /* what a reader takes by default */

typedef struct encoding {
    kivi_writer *writer;
    const kvr_config *config;
} encoding;

static void write_object(const encoding *to, VALUE object, const kvr_link *link, int depth);

/* ---- numbers, texts, times ---- */

static void write_bignum(const encoding *to, VALUE object, const kvr_link *link)
{
    uint64_t bits;
    int sign = rb_integer_pack(object, &bits, 1, sizeof(bits), 0,
                               INTEGER_PACK_NATIVE_BYTE_ORDER | INTEGER_PACK_2COMP);
    if (sign >= 0 && sign < 2)
        kivi_writer_uint(to->writer, bits);
    else if (sign == -1 && (int64_t)bits < 0)
        kivi_writer_int(to->writer, (int64_t)bits);
    else
        kvr_refuse(link, "an Integer beyond 64 bits cannot be stored");
}

static kivi_slice bytes_of(VALUE string)
{
    return kivi_bytes(RSTRING_PTR(string), (size_t)RSTRING_LEN(string));
}

static void write_text(const encoding *to, VALUE string)
{
    kivi_writer_str(to->writer, bytes_of(string));
}

static VALUE as_utf8(VALUE string)
{
    return rb_str_encode(string, rb_enc_from_encoding(rb_utf8_encoding()), 0, Qnil);
}

static VALUE no_utf8(VALUE nothing, VALUE exception)
{
    (void)nothing, (void)exception;
    return Qnil;
}

/* Text by its encoding: what is valid is text, all else bytes. */
static void write_string(const encoding *to, VALUE string, const kvr_link *link)
{
    int index = rb_enc_get_index(string);
    VALUE text;
    if (index == rb_ascii8bit_encindex() || rb_enc_str_coderange(string) == ENC_CODERANGE_BROKEN) {
        kivi_writer_bin(to->writer, bytes_of(string));
    } else if (index == rb_utf8_encindex() || index == rb_usascii_encindex()) {
        write_text(to, string);
    } else {
        text = rb_rescue2(as_utf8, string, no_utf8, Qnil, rb_eEncodingError, (VALUE)0);
        if (NIL_P(text))
            kvr_refuse(link, "a String in %s that has no form in UTF-8 cannot be stored",
                       rb_enc_name(rb_enc_get(string)));
        write_text(to, text);
        RB_GC_GUARD(text);
    }
}

static void write_symbol(const encoding *to, VALUE symbol, const kvr_link *link)
{
    VALUE name = rb_sym2str(symbol);
    write_string(to, name, link);
    RB_GC_GUARD(name);
}

static void write_time(const encoding *to, VALUE time)
{
    struct timespec moment = rb_time_timespec(time);
    kivi_writer_timestamp(to->writer, moment.tv_sec, (uint32_t)moment.tv_nsec);
}

static void write_ext(const encoding *to, VALUE object, const kvr_link *link)
{
    VALUE type = rb_ivar_get(object, kvr.type), data = rb_ivar_get(object, kvr.data);
    int number = FIXNUM_P(type) ? FIX2INT(type) : -1;
    if (number < -128 || number > 127 || number == -1 || !RB_TYPE_P(data, T_STRING))
        kvr_refuse(link, "a Kivi::Ext has a type from -128 to 127 but -1, and bytes");
    kivi_writer_ext(to->writer, (int8_t)number, bytes_of(data));
}

/* ---- containers ---- */

static bool is_inside_itself(VALUE object, const kvr_link *link)
{
    for (; link; link = link->outer)
        if (link->container == object)
            return true;
    return false;
}

static void check_depth(VALUE object, const kvr_link *link, int depth)
{
    if (depth < MAX_DEPTH)
        return;
    for (const kvr_link *at = link; at; at = at->outer)
        if (at->container == object || is_inside_itself(at->container, at->outer))
            kvr_refuse(NULL, "a container that holds itself cannot be stored");
    kvr_refuse(NULL, "nested deeper than %d containers", MAX_DEPTH);
}

NORETURN(static void changed(void));
static void changed(void)
{
    rb_raise(rb_eRuntimeError, "a container changed its size while it was stored");
}

static void write_array(const encoding *to, VALUE array, const kvr_link *outer, int depth)
{
    kvr_link link = KVR_LINK(outer, array);
    size_t count = (size_t)RARRAY_LEN(array);
    check_depth(array, outer, depth);
    kivi_writer_array(to->writer, count);
    for (; link.index < count && link.index < (size_t)RARRAY_LEN(array); link.index++)
        write_object(to, RARRAY_AREF(array, (long)link.index), &link, depth + 1);
    if (count != (size_t)RARRAY_LEN(array))
        changed();
}

/* What kinds of keys a map has: where one kind alone makes text, no two keys can be stored as one. */
enum { KEY_UTF8 = 1, KEY_SYMBOL = 2, KEY_PLAIN = 4, KEY_OTHER = 8 };

static unsigned key_kind(VALUE key)
{
    int index;
    if (RB_TYPE_P(key, T_SYMBOL))
        return KEY_SYMBOL;
    if (RB_INTEGER_TYPE_P(key) || NIL_P(key) || key == Qtrue || key == Qfalse)
        return KEY_PLAIN;
    if (RB_TYPE_P(key, T_FLOAT))
        return isnan(RFLOAT_VALUE(key)) ? KEY_OTHER : KEY_PLAIN;
    if (!RB_TYPE_P(key, T_STRING))
        return KEY_OTHER;
    index = rb_enc_get_index(key);
    if (index == rb_ascii8bit_encindex())
        return KEY_PLAIN;
    return index == rb_utf8_encindex() || index == rb_usascii_encindex() ? KEY_UTF8 : KEY_OTHER;
}

static bool may_repeat(unsigned kinds)
{
    return (kinds & KEY_OTHER) || (kinds & (KEY_UTF8 | KEY_SYMBOL)) == (KEY_UTF8 | KEY_SYMBOL);
}

/* The stored bytes of one key as a String; the writer lives until Ruby's collector takes it. */
typedef struct key_writer {
    kivi_writer *writer;
    kivi_buffer bytes;
} key_writer;

static void key_writer_free(void *memory)
{
    key_writer *keys = memory;
    kivi_writer_free(keys->writer);
    kivi_buffer_free(&keys->bytes);
    xfree(keys);
}

KVR_TYPE(key_writer_type, "Kivi::Keys", NULL, key_writer_free);

typedef struct seen_keys {
    const encoding *to;
    kvr_link *link;
    int depth;
    VALUE seen, owner;
    key_writer *keys;
} seen_keys;

static VALUE stored_key(seen_keys *check, VALUE key)
{
    encoding alone = {check->keys->writer, check->to->config};
    kivi_error *error = NULL;
    kivi_status status;
    check->keys->bytes.size = 0;
    kivi_writer_start(alone.writer, &check->keys->bytes);
    write_object(&alone, key, check->link, check->depth);
    status = kivi_writer_finish(alone.writer, &error);
    if (status)
        kvr_raise(status, error);
    return kvr_bytes_out(kivi_buffer_slice(&check->keys->bytes));
}

static int see_key(VALUE key, VALUE value, VALUE given)
{
    seen_keys *check = (seen_keys *)given;
    VALUE stored;
    (void)value;
    check->link->key = key;
    stored = stored_key(check, key);
    if (rb_hash_lookup2(check->seen, stored, Qfalse) != Qfalse)
        kvr_refuse(check->link, "this key is there twice");
    rb_hash_aset(check->seen, stored, Qtrue);
    return ST_CONTINUE;
}

static seen_keys begin_check(const encoding *to, kvr_link *link, int depth)
{
    seen_keys check = {to, link, depth, rb_hash_new(), Qnil, NULL};
    check.owner = TypedData_Make_Struct(rb_cObject, key_writer, &key_writer_type, check.keys);
    if (kivi_writer_new("msgpack", &check.keys->writer, NULL))
        rb_memerror();
    return check;
}

typedef struct pairs_of {
    const encoding *to;
    kvr_link *link;
    size_t wrote;
    unsigned kinds;
    int depth;
} pairs_of;

static int write_pair(VALUE key, VALUE value, VALUE given)
{
    pairs_of *pairs = (pairs_of *)given;
    pairs->link->key = key;
    pairs->kinds |= key_kind(key);
    write_object(pairs->to, key, pairs->link, pairs->depth);
    write_object(pairs->to, value, pairs->link, pairs->depth);
    pairs->wrote++;
    return ST_CONTINUE;
}

static void write_hash(const encoding *to, VALUE hash, const kvr_link *outer, int depth)
{
    kvr_link link = KVR_LINK(outer, hash);
    pairs_of pairs = {to, &link, 0, 0, depth + 1};
    size_t count = (size_t)RHASH_SIZE(hash);
    check_depth(hash, outer, depth);
    kivi_writer_map(to->writer, count);
    rb_hash_foreach(hash, write_pair, (VALUE)&pairs);
    if (pairs.wrote != count)
        changed();
    if (may_repeat(pairs.kinds) || RTEST(rb_funcall(hash, rb_intern("compare_by_identity?"), 0))) {
        seen_keys check = begin_check(to, &link, depth + 1);
        rb_hash_foreach(hash, see_key, (VALUE)&check);
        RB_GC_GUARD(check.owner);
        RB_GC_GUARD(check.seen);
    }
}

static void write_pairs(const encoding *to, VALUE array, const kvr_link *outer, int depth)
{
    kvr_link link = KVR_LINK(outer, array);
    pairs_of pairs = {to, &link, 0, 0, depth + 1};
    seen_keys check = begin_check(to, &link, depth + 1);
    long count = RARRAY_LEN(array);
    check_depth(array, outer, depth);
    kivi_writer_map(to->writer, (size_t)count);
    for (long i = 0; i < count && i < RARRAY_LEN(array); i++) {
        VALUE pair = RARRAY_AREF(array, i);
        link.key = Qundef;
        link.index = (size_t)i;
        if (!RB_TYPE_P(pair, T_ARRAY) || RARRAY_LEN(pair) != 2)
            kvr_refuse(&link, "Kivi::Pairs holds arrays of a key and a value");
        see_key(RARRAY_AREF(pair, 0), Qnil, (VALUE)&check);
        write_pair(RARRAY_AREF(pair, 0), RARRAY_AREF(pair, 1), (VALUE)&pairs);
    }
    if (count != RARRAY_LEN(array))
        changed();
    RB_GC_GUARD(check.owner);
    RB_GC_GUARD(check.seen);
}

/* ---- objects of other classes ---- */

static void write_by_hook(const encoding *to, VALUE object, const kvr_link *outer, int depth)
{
    kvr_link link = KVR_LINK(outer ? outer->outer : NULL, object);
    VALUE other;
    if (NIL_P(to->config->default_hook))
        kvr_refuse(outer, "an instance of %" PRIsVALUE " cannot be stored", rb_obj_class(object));
    check_depth(object, outer, depth);
    if (outer) {
        link.key = outer->key;
        link.index = outer->index;
    }
    other = rb_funcall(to->config->default_hook, kvr.call, 1, object);
    write_object(to, other, outer ? &link : NULL, depth + 1);
    RB_GC_GUARD(other);
}

static void write_other(const encoding *to, VALUE object, const kvr_link *link, int depth)
{
    if (rb_obj_class(object) == kvr.Ext)
        write_ext(to, object, link);
    else if (RTEST(rb_obj_is_kind_of(object, rb_cTime)))
        write_time(to, object);
    else
        write_by_hook(to, object, link, depth);
}

static void write_object(const encoding *to, VALUE object, const kvr_link *link, int depth)
{
    switch (rb_type(object)) {
    case T_NIL:
        kivi_writer_nil(to->writer);
        break;
    case T_TRUE:
    case T_FALSE:
        kivi_writer_bool(to->writer, object == Qtrue);
        break;
    case T_FIXNUM:
        kivi_writer_int(to->writer, FIX2LONG(object));
        break;
    case T_BIGNUM:
        write_bignum(to, object, link);
        break;
    case T_FLOAT:
        kivi_writer_float(to->writer, RFLOAT_VALUE(object));
        break;
    case T_STRING:
        write_string(to, object, link);
        break;
    case T_SYMBOL:
        write_symbol(to, object, link);
        break;
    case T_ARRAY:
        if (rb_obj_class(object) == kvr.Pairs)
            write_pairs(to, object, link, depth);
        else
            write_array(to, object, link, depth);
        break;
    case T_HASH:
        write_hash(to, object, link, depth);
        break;
    default:
        write_other(to, object, link, depth);
    }
}

void kvr_encode(const kvr_config *config, kivi_writer *writer, VALUE object)
{
    encoding to = {writer, config};
    kivi_error *error = NULL;
    kivi_status status;
    write_object(&to, object, NULL, 0);
    status = kivi_writer_finish(writer, &error);
    if (status)
        kvr_raise(status, error);
}
