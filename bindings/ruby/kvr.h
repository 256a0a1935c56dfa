/*
 * What the files of the Ruby module share. Names begin kvr_. All of it runs with the GVL held. Where a function says
 * that it raises, it leaves by Ruby's longjmp: its caller holds nothing that must be given back.
 */
#ifndef KVR_H
#define KVR_H

#include <ruby.h>
#include <ruby/encoding.h>

#include "bindings.h"

/* ---- the module, and the parts of it that are written in Ruby (module.c) ---- */

typedef struct kvr_names {
    VALUE kivi, core;                                /* modules Kivi and Kivi::Core */
    VALUE Calls, Page, Queue, Pending;               /* classes of this module */
    VALUE Ext, Pairs, Result, Copied, Event;         /* of lib/kivi/values.rb */
    VALUE Loop;                                      /* of lib/kivi/loop.rb */
    VALUE Error, About;                              /* modules of lib/kivi/errors.rb */
    VALUE KEEP, DELETE, LEAVE;                       /* words of lib/kivi/values.rb */
    ID type, data, of, wait, call, new, here, queue; /* names of methods and variables */
    ID backend, native_code, native_text, retryable, key, cursor, results, failures, copied, stored;
} kvr_names;
extern kvr_names kvr;

/* A method of kivi.i becomes a private one of Kivi::Calls, "call_" before its name. */
void kvr_define_call(const char *name, VALUE (*wrapper)(int, VALUE *, VALUE));
void Init_kivi_swig(void);
RUBY_FUNC_EXPORTED void Init_core(void);

/* Objects of C in Ruby's own. */
#define KVR_TYPE(name, title, mark, free) \
    static const rb_data_type_t name = {  \
        title, {mark, free, NULL, NULL, {0}}, NULL, NULL, RUBY_TYPED_FREE_IMMEDIATELY}

/* ---- stores (store.c) ---- */

/* How one store's values look in Ruby; the `host` of its kvb_store. The store's object marks it. */
typedef struct kvr_config {
    VALUE default_hook, ext_hook, on_event; /* nil: none */
    bool pairs, symbols;
} kvr_config;

void kvr_store_ready(void);
/* The store of `self` or of an argument; raises TypeError. */
kvb_store *kvr_store_of(VALUE object);

static inline const kvr_config *kvr_config_of(const kvb_store *store)
{
    return store->host;
}

/* ---- arguments (arguments.c, batches.c); they raise ---- */

enum { KVR_KEY_COPIED = 256 };

/* What lives through one call, on its stack. */
typedef struct kvr_frame {
    int state;            /* to be raised when all was given back: rb_jump_tag() */
    kvb_encoder *earlier; /* an encoder taken before another argument is encoded */
    kivi_slice about; /* the key of the call, NULL: it has none: what refuses a value names it */
    VALUE held[4];    /* strings whose bytes the call reads */
    int held_count;
    VALUE loop;               /* of this thread's fiber scheduler; nil: the call waits */
    kvb_queue *queue;         /* its queue */
    char key[KVR_KEY_COPIED]; /* a short key: its string may change while the call waits */
} kvr_frame;

static inline void kvr_begin(kvr_frame *frame)
{
    frame->state = 0;
    frame->earlier = NULL;
    frame->about = kivi_bytes(NULL, 0);
    frame->held_count = 0;
    frame->loop = Qnil;
    frame->queue = NULL;
}

kivi_slice kvr_key_in(VALUE object, kvr_frame *frame);
/* The same, where nil is the empty one. */
kivi_slice kvr_prefix_in(VALUE object, kvr_frame *frame);
/* The bytes of a key, held by the string answered in `string`. */
kivi_slice kvr_key_bytes(VALUE object, VALUE *string);
/* Whether it acts as a number, as Kernel#sleep sees it: Numeric, ActiveSupport::Duration; and which. */
bool kvr_is_number(VALUE object);
double kvr_number_in(VALUE object);
int64_t kvr_ttl_in(VALUE object);
int64_t kvr_timeout_in(VALUE object);
int64_t kvr_integer_in(VALUE object);
uint64_t kvr_size_in(VALUE object);
kvb_encoder *kvr_value_in(kvb_store *store, VALUE object, kvr_frame *frame);
kvb_batch *kvr_keys_in(VALUE keys);
kvb_batch *kvr_pairs_in(kvb_store *store, VALUE pairs);
kvb_batch *kvr_ops_in(kvb_store *store, VALUE ops);

/* ---- values (encode.c, decode.c, links.c); they raise ---- */

/* Where a conversion is, from the inside out. */
typedef struct kvr_link {
    const struct kvr_link *outer;
    VALUE container; /* being written, to know a cycle; Qundef: none */
    VALUE key;       /* of a hash's pair; Qundef: `index` counts */
    size_t index;
} kvr_link;
#define KVR_LINK(outer, container)  \
    {                               \
        outer, container, Qundef, 0 \
    }

/* Raises Unrepresentable with the path of `link` and the reason. */
NORETURN(void kvr_refuse(const kvr_link *link, const char *format, ...));

/* Writes an object into a started writer, and finishes it. */
void kvr_encode(const kvr_config *config, kivi_writer *writer, VALUE object);
VALUE kvr_decode(const kvr_config *config, kivi_reader *reader, kivi_slice bytes);
/* A key: UTF-8 where it is, else binary. */
VALUE kvr_key_out(kivi_slice key);
VALUE kvr_bytes_out(kivi_slice bytes);

/* ---- calls (host.c, work.c, answers.c, errors.c, page.c) ---- */

/* Converts an answer and gives it back; what must be raised is left in the frame. */
VALUE kvr_answer_out(kvb_answer *answer, kvr_frame *frame);

static inline void kvr_end(kvr_frame *frame)
{
    if (frame->state)
        rb_jump_tag(frame->state);
}

/* Carries out a call that asks a block: on a thread of its own, the block on this one. */
void kvr_work(kvb_answer *answer);
/* Opens a store without the GVL. What Ruby raises meanwhile is left in `*state`; then both may be there, and are the caller's. */
kvb_store *kvr_open_waiting(const char *url, const kivi_options *options, kivi_error **error, int *state);
/* Leaves what a failed Ruby call raised (its state) in an answer. */
void kvr_answer_raise(kvb_answer *answer, int state);
void kvr_answer_keep(kvb_answer *answer, VALUE value);
VALUE kvr_copied_out(const kivi_copy_progress *progress, kivi_slice cursor);

/* An exception of a status, not raised; `error` may be NULL. */
VALUE kvr_exception(kivi_status status, const kivi_error *error);
/* Raises it and frees the error. */
NORETURN(void kvr_raise(kivi_status status, kivi_error *error));
NORETURN(void kvr_raise_text(kivi_status status, const char *format, ...));
NORETURN(void kvr_raise_missing(VALUE key));

/* ---- whose value it was (failures.c) ---- */

/* The exception with the key that it is about: as `key`, and in the message of ours where asked. May raise. */
VALUE kvr_name_key(VALUE exception, VALUE key, kivi_slice bytes, bool in_message);
/* Names the key of what rb_protect() caught; answers its state. */
/* What a computation raised that this answer waited for is raised now, and no longer kept. */
void kvr_let_go(kvb_answer *answer);
int kvr_name_caught(int state, kivi_slice key);
/* Reads a value; what is raised names its key. */
VALUE kvr_read(const kvr_config *config, kivi_reader *reader, kivi_slice value, kivi_slice key);
/* The same, where one of many that cannot be read ends nothing: false, and the exception is put among `*failures` (nil: a
 * Hash is made) under its position. Raises what is no failure of reading. */
bool kvr_read_one(const kvr_config *config, kivi_reader *reader, kivi_slice value, kivi_slice key,
                  size_t index, VALUE *failures, VALUE *object);
void kvr_add_failure(VALUE *failures, size_t index, VALUE exception);
/* An exception as the first of failures, that has them all. */
VALUE kvr_failures_exception(VALUE failures);
/* Tells which item of a batch what rb_protect() caught is about; answers its state. */
int kvr_name_item(int state, size_t index, kivi_slice key);
/* The exception of one item of a batch. */
VALUE kvr_item_exception(const kvb_answer *answer, size_t index);

VALUE kvr_found_out(kvb_answer *answer); /* get_many */
VALUE kvr_page_out(kvb_answer *answer);
void kvr_page_ready(void);

/* ---- events (events.c) ---- */

/* Tells on_event of what happened in a store since. What is no failure of it (Interrupt, a killed thread) is left in `*state`. */
void kvr_tell(kvb_store *store, int *state);
void kvr_events_ready(void);

/* ---- fibers (queue.c) ---- */

void kvr_queue_ready(void);
/* Finds the queue of this thread's fiber scheduler, for a store beyond a network; raises. */
void kvr_find_queue(const kvb_store *store, kvr_frame *frame);
/* Waits, letting other fibers run, until a submitted answer is done; raises, and then the answer is the queue's to drop. */
void kvr_pending_wait(kvb_answer *answer, const kvr_frame *frame);

/* ---- what the library knows (info.c) ---- */

void kvr_info_ready(void);

#endif
