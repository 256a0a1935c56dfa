/* Many keys, pairs or operations as one batch. */
#include "kvr.h"

typedef void (*add_fn)(kvb_store *store, kvb_batch *batch, VALUE item);

typedef struct filling {
    kvb_store *store;
    kvb_batch *batch;
    VALUE items;
    add_fn add;
    size_t index; /* of the item being added */
} filling;

static VALUE fill(VALUE given)
{
    filling *what = (filling *)given;
    for (; what->index < (size_t)RARRAY_LEN(what->items); what->index++)
        what->add(what->store, what->batch, RARRAY_AREF(what->items, (long)what->index));
    if (!kvb_batch_end(what->batch))
        rb_memerror();
    return Qnil;
}

/* Hooks of values may change the array while it is read: a copy. */
static kvb_batch *batch_in(kvb_store *store, VALUE items, add_fn add)
{
    filling what = {store, NULL, rb_ary_dup(rb_convert_type(items, T_ARRAY, "Array", "to_a")), add, 0};
    int state = 0;
    what.batch = kvb_batch_new();
    if (!what.batch)
        rb_memerror();
    rb_protect(fill, (VALUE)&what, &state);
    RB_GC_GUARD(what.items);
    if (!state)
        return what.batch;
    state = kvr_name_item(state, what.index,
                          what.batch->count > what.index ? kvb_batch_last_key(what.batch)
                                                         : kivi_bytes(NULL, 0));
    kvb_batch_free(what.batch);
    rb_jump_tag(state);
}

static kivi_op *add_item(kvb_batch *batch, VALUE key)
{
    VALUE string;
    kivi_op *op = kvb_batch_add(batch, kvr_key_bytes(key, &string));
    RB_GC_GUARD(string);
    if (!op)
        rb_memerror();
    return op;
}

/* Encodes a value into the batch, as its last item's value or expected value. */
static void put(kvb_store *store, kvb_batch *batch, VALUE value, bool expected)
{
    kvr_frame frame;
    kvb_encoder *encoder;
    kivi_slice bytes;
    bool ok;
    kvr_begin(&frame);
    encoder = kvr_value_in(store, value, &frame);
    bytes = kivi_buffer_slice(&encoder->bytes);
    ok = expected ? kvb_batch_expected(batch, bytes) : kvb_batch_value(batch, bytes);
    kvb_encoder_give(store, encoder);
    if (!ok)
        rb_memerror();
}

static void add_key(kvb_store *store, kvb_batch *batch, VALUE key)
{
    (void)store;
    add_item(batch, key);
}

kvb_batch *kvr_keys_in(VALUE keys)
{
    return batch_in(NULL, keys, add_key);
}

static void add_pair(kvb_store *store, kvb_batch *batch, VALUE pair)
{
    if (!RB_TYPE_P(pair, T_ARRAY) || RARRAY_LEN(pair) != 2)
        rb_raise(rb_eTypeError, "pairs of a key and a value are needed");
    add_item(batch, RARRAY_AREF(pair, 0));
    put(store, batch, RARRAY_AREF(pair, 1), false);
}

kvb_batch *kvr_pairs_in(kvb_store *store, VALUE pairs)
{
    return batch_in(store, pairs, add_pair);
}

/* ---- operations of apply ---- */

/* A word, given as a String or Symbol; of anything else "". */
static const char *word(VALUE object)
{
    if (RB_TYPE_P(object, T_SYMBOL))
        object = rb_sym2str(object);
    if (!RB_TYPE_P(object, T_STRING) || strlen(RSTRING_PTR(object)) != (size_t)RSTRING_LEN(object))
        return "";
    return RSTRING_PTR(object);
}

typedef struct reading {
    kvb_store *store;
    kvb_batch *batch;
    kivi_op *op;
    bool has_value, has_by;
} reading;

static void set_version(kvb_batch *batch, VALUE version)
{
    kivi_slice bytes;
    if (!RB_TYPE_P(version, T_STRING))
        rb_raise(rb_eTypeError, "if_version is the String that get_versioned answered");
    bytes = kivi_bytes(RSTRING_PTR(version), (size_t)RSTRING_LEN(version));
    if (!kvb_batch_expected(batch, bytes))
        rb_memerror();
}

static void set_condition(reading *read, const char *name, VALUE value)
{
    kivi_op *op = read->op;
    if (op->condition != KIVI_IF_ALWAYS)
        kvr_raise_text(KIVI_INVALID, "an operation has one of if, if_equal and if_version");
    if (strcmp(name, "if_equal") == 0) {
        op->condition = KIVI_IF_EQUAL;
        put(read->store, read->batch, value, true);
    } else if (strcmp(name, "if_version") == 0) {
        op->condition = KIVI_IF_VERSION;
        set_version(read->batch, value);
    } else if ((op->condition = kvb_condition(word(value))) < 0) {
        kvr_raise_text(KIVI_INVALID, "if must be absent or present, not %+" PRIsVALUE, value);
    }
}

static int set_member(VALUE member, VALUE value, VALUE given)
{
    reading *read = (reading *)given;
    const char *name = word(member);
    if (strcmp(name, "op") == 0) {
        read->op->kind = kvb_op_kind(word(value));
        if (!read->op->kind)
            kvr_raise_text(KIVI_INVALID,
                           "op must be set, delete, touch, check or increment, not %+" PRIsVALUE, value);
    } else if (strcmp(name, "value") == 0) {
        put(read->store, read->batch, value, false);
        read->has_value = true;
    } else if (strcmp(name, "ttl") == 0) {
        read->op->ttl_ms = kvr_ttl_in(value);
    } else if (strcmp(name, "by") == 0) {
        read->op->by = kvr_integer_in(value);
        read->has_by = true;
    } else if (strcmp(name, "if") == 0 || strcmp(name, "if_equal") == 0 ||
               strcmp(name, "if_version") == 0) {
        set_condition(read, name, value);
    } else if (strcmp(name, "key") != 0) {
        kvr_raise_text(KIVI_INVALID, "an operation has no member %+" PRIsVALUE, member);
    }
    return ST_CONTINUE;
}

static void check_op(reading *read)
{
    kivi_op *op = read->op;
    if (!op->kind)
        kvr_raise_text(KIVI_INVALID, "an operation names its op");
    if ((op->kind == KIVI_OP_SET) != read->has_value)
        kvr_raise_text(KIVI_INVALID, "value is for an operation that sets, which needs it");
    if (read->has_by && op->kind != KIVI_OP_INCREMENT)
        kvr_raise_text(KIVI_INVALID, "by is for an operation that increments");
    if (op->kind == KIVI_OP_CHECK && op->condition == KIVI_IF_ALWAYS)
        kvr_raise_text(KIVI_INVALID, "an operation that checks needs if, if_equal or if_version");
    if (op->kind == KIVI_OP_INCREMENT && !read->has_by)
        op->by = 1;
    if (op->kind != KIVI_OP_CHECK && op->kind != KIVI_OP_INCREMENT)
        op->flags |= KIVI_OP_WANT_EXISTED;
}

static VALUE member_of(VALUE hash, const char *name)
{
    VALUE key = rb_hash_lookup2(hash, ID2SYM(rb_intern(name)), Qundef);
    return key == Qundef ? rb_hash_lookup2(hash, rb_str_new_cstr(name), Qundef) : key;
}

static void add_op(kvb_store *store, kvb_batch *batch, VALUE item)
{
    reading read = {store, batch, NULL, false, false};
    VALUE key;
    if (!RB_TYPE_P(item, T_HASH))
        rb_raise(rb_eTypeError, "an operation is a Hash, not %" PRIsVALUE, rb_obj_class(item));
    key = member_of(item, "key");
    if (key == Qundef)
        kvr_raise_text(KIVI_INVALID, "an operation names its key");
    read.op = add_item(batch, key);
    rb_hash_foreach(item, set_member, (VALUE)&read);
    check_op(&read);
}

kvb_batch *kvr_ops_in(kvb_store *store, VALUE ops)
{
    return batch_in(store, ops, add_op);
}
