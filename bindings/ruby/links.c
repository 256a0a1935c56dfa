/* Where in a value a conversion failed. */
#include <stdarg.h>

#include "kvr.h"

enum { MAX_STEPS = 256 };

static void fill(kvb_path *path, VALUE *text, const kvr_link *link)
{
    path->index = link->index;
    if (link->key == Qundef)
        return;
    *text = RB_TYPE_P(link->key, T_STRING)   ? link->key
            : RB_TYPE_P(link->key, T_SYMBOL) ? rb_sym2str(link->key)
                                             : rb_inspect(link->key);
    path->key = RSTRING_PTR(*text);
    path->key_size = (size_t)RSTRING_LEN(*text);
}

static VALUE path_text(const kvr_link *link)
{
    kvb_path steps[MAX_STEPS] = {{NULL, 0, NULL, 0}};
    VALUE texts[MAX_STEPS]; /* on the stack, so that they stay */
    char text[512];
    size_t count = 0;
    for (; link && count < MAX_STEPS; link = link->outer, count++) {
        fill(&steps[count], &texts[count], link);
        if (count)
            steps[count - 1].outer = &steps[count];
    }
    kvb_path_text(count ? steps : NULL, text, sizeof(text));
    RB_GC_GUARD(texts[0]);
    return rb_utf8_str_new_cstr(text);
}

void kvr_refuse(const kvr_link *link, const char *format, ...)
{
    va_list arguments;
    VALUE reason, path, clean;
    va_start(arguments, format);
    reason = rb_vsprintf(format, arguments);
    va_end(arguments);
    path = path_text(link);
    clean = rb_str_scrub(path, Qnil); /* nil: it is clean */
    kvr_raise_text(KIVI_UNREPRESENTABLE, "%" PRIsVALUE ": %" PRIsVALUE, NIL_P(clean) ? path : clean,
                   reason);
}
