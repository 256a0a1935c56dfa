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

/* The failures that a walk over a page meets, and the page, as it reads. */
typedef struct walking {
    page_object *self;
    size_t index;
    VALUE failures; /* by position; nil: none yet */
    kivi_pair pair;
    VALUE value;
} walking;

static VALUE read_one(VALUE given)
{
    walking *what = (walking *)given;
    bool read = kvr_read_one(&what->self->config, what->self->page->reader, what->pair.value,
                             what->pair.key, what->index, &what->failures, &what->value);
    return read ? Qtrue : Qfalse;
}

/* The page's reader reads one value at a time: a hook that reads the same page is refused. */
static bool read_value(walking *what)
{
    VALUE read;
    int state;
    if (what->self->busy)
        rb_raise(rb_eThreadError, "this Kivi::Page is being read by another thread or hook");
    what->self->busy = true;
    read = rb_protect(read_one, (VALUE)what, &state);
    what->self->busy = false;
    if (state)
        rb_jump_tag(state);
    return RTEST(read);
}

/* The item of the pair; Qundef: it cannot be read. */
static VALUE item_out(walking *what)
{
    const kvb_page *page = what->self->page;
    const kivi_pair *pair = &what->pair;
    VALUE fields[3];
    int count = 1;
    fields[0] = kvr_key_out(pair->key);
    if (!page->keys_only && !read_value(what))
        return Qundef;
    if (!page->keys_only)
        fields[count++] = what->value;
    if (page->with_ttl)
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

/* Raises the failures, with the cursor that goes on behind the page. */
NORETURN(static void fail(const walking *what));
static void fail(const walking *what)
{
    VALUE exception = kvr_failures_exception(what->failures);
    if (!OBJ_FROZEN(exception))
        rb_ivar_set(exception, kvr.cursor, kvr_bytes_out(kivi_page_end(what->self->page->page)));
    rb_exc_raise(exception);
}

/* What cannot be read does not hide what comes after it: it is raised behind the last pair. */
static VALUE page_each(VALUE object)
{
    walking what = {.self = page_of(object), .failures = Qnil, .value = Qnil};
    size_t count = kivi_page_count(what.self->page->page);
    RETURN_SIZED_ENUMERATOR(object, 0, NULL, page_size_of);
    for (; what.index < count; what.index++) {
        VALUE item;
        what.pair = (kivi_pair)KIVI_PAIR_INIT;
        if (kivi_page_pair(what.self->page->page, what.index, &what.pair))
            break;
        item = item_out(&what);
        if (item != Qundef)
            rb_yield(item);
    }
    if (!NIL_P(what.failures))
        fail(&what);
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
