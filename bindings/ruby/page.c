/* Kivi::Page: a page of a scan. */
#include "kvr.h"

typedef struct page_object {
    kvb_page *page;
    kvr_config config; /* hooks of its store, which may be gone */
    bool busy;
} page_object;

static void page_mark(void *memory)
{
    const page_object *self = memory;
    rb_gc_mark(self->config.default_hook);
    rb_gc_mark(self->config.ext_hook);
}

static void page_free(void *memory)
{
    kvb_page_free(((page_object *)memory)->page);
    xfree(memory);
}

KVR_TYPE(page_type, "Kivi::Page", page_mark, page_free);

VALUE kvr_page_out(kvb_answer *answer)
{
    page_object *self;
    VALUE object = TypedData_Make_Struct(kvr.Page, page_object, &page_type, self);
    self->config = *kvr_config_of(answer->store);
    self->page = kvb_page_new(answer);
    if (!self->page)
        rb_memerror();
    return object;
}

static page_object *page_of(VALUE object)
{
    return rb_check_typeddata(object, &page_type);
}

typedef struct reading {
    page_object *self;
    kivi_slice value;
} reading;

static VALUE decode(VALUE given)
{
    const reading *what = (const reading *)given;
    return kvr_decode(&what->self->config, what->self->page->reader, what->value);
}

/* The page's reader reads one value at a time: a hook that reads the same page is refused. */
static VALUE read_value(page_object *self, kivi_slice value)
{
    reading what = {self, value};
    VALUE object;
    int state;
    if (self->busy)
        rb_raise(rb_eThreadError, "this Kivi::Page is being read by another thread or hook");
    self->busy = true;
    object = rb_protect(decode, (VALUE)&what, &state);
    self->busy = false;
    if (state)
        rb_jump_tag(state);
    return object;
}

static VALUE item_out(page_object *self, const kivi_pair *pair)
{
    VALUE fields[3];
    int count = 1;
    fields[0] = kvr_key_out(pair->key);
    if (!self->page->keys_only)
        fields[count++] = read_value(self, pair->value);
    if (self->page->with_ttl)
        fields[count++] = pair->ttl_ms == KIVI_TTL_NONE ? Qnil : DBL2NUM((double)pair->ttl_ms / 1000.0);
    return count == 1 ? fields[0] : rb_ary_new_from_values(count, fields);
}

static VALUE page_size(VALUE object)
{
    return SIZET2NUM(kivi_page_count(page_of(object)->page->page));
}

static VALUE page_size_of(VALUE object, VALUE arguments, VALUE enumerator)
{
    (void)arguments, (void)enumerator;
    return page_size(object);
}

static VALUE page_each(VALUE object)
{
    page_object *self = page_of(object);
    size_t count = kivi_page_count(self->page->page);
    RETURN_SIZED_ENUMERATOR(object, 0, NULL, page_size_of);
    for (size_t i = 0; i < count; i++) {
        kivi_pair pair = KIVI_PAIR_INIT;
        if (kivi_page_pair(self->page->page, i, &pair))
            break;
        rb_yield(item_out(self, &pair));
    }
    return object;
}

static VALUE page_cursor(VALUE object)
{
    kivi_slice cursor = kivi_page_cursor(page_of(object)->page->page);
    return cursor.size ? kvr_bytes_out(cursor) : Qnil;
}

void kvr_page_ready(void)
{
    rb_undef_alloc_func(kvr.Page);
    rb_include_module(kvr.Page, rb_mEnumerable);
    rb_define_method(kvr.Page, "each", page_each, 0);
    rb_define_method(kvr.Page, "size", page_size, 0);
    rb_define_method(kvr.Page, "cursor", page_cursor, 0);
}
