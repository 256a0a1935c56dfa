/* Copying pairs from store to store, page by page. */
#include <kivi/copy.h>

#include <stdlib.h>
#include <time.h>

#include "../core.h"
#include "../store/same.h"

#define PAGE_DEFAULT 1000
#define PAGES_A_SECOND 10 /* under a rate limit, so that pairs come evenly */
#define KEY_SHOWN 64      /* bytes of a key in a message */

/* A copy in progress. */
typedef struct copying {
    kivi_store *source, *target;
    const kivi_call *call;
    kivi_copy_options options;
    bool convert; /* the stores have different codecs */
    uint64_t page_limit;
    uint64_t started_ns;
    uint64_t read; /* pairs */
    kivi_buffer cursor;
    kivi_copy_progress progress;
    /* of the page in hand */
    kivi_op *ops;
    size_t op_count, op_capacity;
    kivi_buffer converted, arena;
} copying;

/* The same error with the key that it is about before its message; takes `cause` over. */
static kivi_status fail_key(kivi_error **error, kivi_slice key, kivi_status status, kivi_error *cause)
{
    kivi_buffer text = KIVI_BUFFER_INIT;

    if (error) {
        if (kivi_key_show(key, KEY_SHOWN, &text))
            text.size = 0;
        *error = kvi_error_new(status, 0, cause ? kivi_error_retryable(cause) : KIVI_RETRY_NO,
                               "key \"%.*s\": %s", (int)text.size, (const char *)text.data,
                               cause ? kivi_error_message(cause) : kivi_status_name(status));
        kvi_error_take_native(*error, cause);
    }
    kivi_buffer_free(&text);
    kivi_error_free(cause);
    return status;
}

/* Room for one more operation of the page. */
static kivi_op *add_op(copying *copy)
{
    kivi_op *op;

    if (copy->op_count == copy->op_capacity) {
        size_t capacity = copy->op_capacity ? copy->op_capacity * 2 : 256;
        kivi_op *ops = realloc(copy->ops, capacity * sizeof(*ops));

        if (!ops)
            return NULL;
        copy->ops = ops;
        copy->op_capacity = capacity;
    }
    op = &copy->ops[copy->op_count++];
    *op = (kivi_op)KIVI_OP_INIT;
    return op;
}

/* Puts the value, in the target's codec, behind those of the pairs before. */
static kivi_status convert_value(copying *copy, const kivi_pair *pair, kivi_error **error)
{
    kivi_error *cause = NULL;
    kivi_status status = kivi_value_convert(kivi_store_codec(copy->source), pair->value,
                                            kivi_store_codec(copy->target), &copy->converted, &cause);

    if (status)
        return fail_key(error, pair->key, status, cause);
    if (kivi_buffer_append(&copy->arena, kivi_buffer_slice(&copy->converted)))
        return kvi_fail(error, KIVI_NO_MEMORY, "out of memory");
    return KIVI_OK;
}

/* The time a pair has left now, `age_ms` after it was read; negative: it has expired on the way. */
static int64_t time_left(const kivi_pair *pair, int64_t age_ms)
{
    if (pair->ttl_ms == KIVI_TTL_NONE)
        return KIVI_TTL_NONE;
    return pair->ttl_ms > age_ms ? pair->ttl_ms - age_ms : -1;
}

static kivi_status add_pair(copying *copy, const kivi_pair *pair, kivi_error **error)
{
    kivi_op *op = add_op(copy);
    size_t begin = copy->arena.size;

    if (!op)
        return kvi_fail(error, KIVI_NO_MEMORY, "out of memory");
    op->key = pair->key;
    op->value = pair->value;
    op->ttl_ms = pair->ttl_ms;
    op->kind = copy->options.flags & KIVI_COPY_DRY_RUN ? KIVI_OP_CHECK : KIVI_OP_SET;
    op->condition = copy->options.flags & KIVI_COPY_ADD_ONLY ? KIVI_IF_ABSENT : KIVI_IF_ALWAYS;
    if (copy->convert) {
        kivi_status status = convert_value(copy, pair, error);

        if (status)
            return status;
        /* The arena moves while it grows: an offset until the page is complete. */
        op->value = kivi_bytes(NULL, copy->arena.size - begin);
    }
    return KIVI_OK;
}

/* Whether a pair cannot be had in the target's codec, whatever is done again. */
static bool is_pairs_own(kivi_status status)
{
    return status == KIVI_UNREPRESENTABLE || status == KIVI_CORRUPT;
}

/* The page's pairs as operations. */
static kivi_status make_ops(copying *copy, const kivi_page *page, kivi_error **error)
{
    kivi_pair pair = KIVI_PAIR_INIT;
    const uint8_t *at;

    uint64_t bytes = copy->progress.bytes;

    copy->op_count = 0;
    copy->arena.size = 0;
    for (size_t i = 0; i < kivi_page_count(page); i++) {
        kivi_status status = kivi_page_pair(page, i, &pair);

        if (!status)
            status = add_pair(copy, &pair, error);
        if (status) {
            copy->progress.bytes = bytes; /* the page is read again, or is not copied */
            return status;
        }
        copy->progress.bytes += pair.key.size + pair.value.size;
    }
    at = copy->arena.data;
    for (size_t i = 0; copy->convert && i < copy->op_count; i++) {
        copy->ops[i].value.data = at;
        at += copy->ops[i].value.size;
    }
    return KIVI_OK;
}

/* Takes off the time since the page was read, and the pairs that have expired since. */
static void age_ops(copying *copy, uint64_t read_ns)
{
    int64_t age_ms = (int64_t)((kvi_monotonic_ns() - read_ns) / 1000000);
    size_t kept = 0;

    for (size_t i = 0; i < copy->op_count; i++) {
        kivi_pair pair = {.ttl_ms = copy->ops[i].ttl_ms};

        copy->ops[i].ttl_ms = time_left(&pair, age_ms);
        if (copy->ops[i].ttl_ms < 0)
            copy->progress.skipped++;
        else
            copy->ops[kept++] = copy->ops[i];
    }
    copy->op_count = kept;
}

/* Counts what became of the page, and names the key of the first failure. */
static kivi_status judge(copying *copy, const kivi_result *result, kivi_status status,
                         kivi_error *cause, kivi_error **error)
{
    size_t count = result ? kivi_result_count(result) : 0; /* none: nothing was sent */

    for (size_t i = 0; i < count; i++) {
        kivi_status each = kivi_result_status(result, i);

        copy->progress.copied += each == KIVI_OK;
        copy->progress.skipped += each == KIVI_CONDITION;
        if (status && cause && kivi_result_error(result, i)) {
            fail_key(error, copy->ops[i].key, status, cause);
            cause = NULL;
        }
    }
    if (!status)
        return KIVI_OK;
    if (cause && error)
        *error = cause;
    else
        kivi_error_free(cause);
    return status;
}

/* One key, or value, too large fails a batch before it is sent: which one, one write after another tells. */
static kivi_status write_singly(copying *copy, kivi_error **error)
{
    for (size_t i = 0; i < copy->op_count; i++) {
        kivi_error *cause = NULL;
        kivi_result *result = NULL;
        kivi_status status = kivi_store_apply(copy->target, copy->call, &copy->ops[i], 1, 0,
                                              &result, &cause);

        if (status) {
            kivi_result_free(result);
            return fail_key(error, copy->ops[i].key, status, cause);
        }
        status = judge(copy, result, KIVI_OK, NULL, error);
        kivi_result_free(result);
    }
    return KIVI_OK;
}

static kivi_status write_page(copying *copy, kivi_error **error)
{
    kivi_result *result = NULL;
    kivi_error *cause = NULL;
    kivi_status status;
    bool dry = copy->options.flags & KIVI_COPY_DRY_RUN;

    if (!copy->op_count)
        return KIVI_OK;
    if (dry && !(copy->options.flags & KIVI_COPY_ADD_ONLY)) {
        copy->progress.copied += copy->op_count;
        return KIVI_OK;
    }
    status = kivi_store_apply(copy->target, copy->call, copy->ops, copy->op_count, 0, &result, &cause);
    if (!result && copy->op_count > 1 && kivi_status_class(status) == KIVI_CLASS_USAGE) {
        kivi_error_free(cause);
        return write_singly(copy, error);
    }
    if (!result && copy->op_count == 1 && status)
        return fail_key(error, copy->ops[0].key, status, cause);
    status = judge(copy, result, status, cause, error);
    kivi_result_free(result);
    return status;
}

static void forget_error(kivi_error **error)
{
    if (!error)
        return;
    kivi_error_free(*error);
    *error = NULL;
}

/* The copy ends with the one pair of a page; another goes on behind it. Of the last one there is no behind. */
static void pass_over(copying *copy, const kivi_page *page)
{
    if (!kivi_page_cursor(page).size)
        copy->progress.flags |= KIVI_COPY_THROUGH;
    if (kivi_buffer_assign(&copy->cursor, kivi_page_cursor(page)))
        copy->cursor.size = 0; /* from the beginning, then */
}

/* Reads and writes one page; `*more` tells whether another follows. */
static kivi_status copy_page(copying *copy, bool *more, kivi_error **error)
{
    kivi_range range = KIVI_RANGE_INIT;
    kivi_page *page = NULL;
    kivi_status status;
    uint64_t read_ns;

    range.flags = copy->options.flags & KIVI_COPY_NO_EXPIRY ? 0 : KIVI_SCAN_WANT_EXPIRY;
    range.prefix = copy->options.prefix;
    range.cursor = kivi_buffer_slice(&copy->cursor);
    range.limit = copy->page_limit;
    /* Before the page: a pair may have waited in it for as long as reading took. */
    read_ns = kvi_monotonic_ns();
    status = kivi_store_page(copy->source, copy->call, &range, &page, error);
    if (status)
        return status;
    status = make_ops(copy, page, error);
    if (is_pairs_own(status) && kivi_page_count(page) > 1) {
        /* Once more, pair by pair: those before the one that does not go are copied, and it is passed over by itself. */
        forget_error(error);
        copy->page_limit = 1;
        kivi_page_free(page);
        return KIVI_OK;
    }
    copy->read += kivi_page_count(page);
    if (!status) {
        age_ops(copy, read_ns);
        status = write_page(copy, error);
    } else if (is_pairs_own(status)) {
        pass_over(copy, page);
    }
    if (!status) {
        *more = kivi_page_cursor(page).size > 0;
        if (kivi_buffer_assign(&copy->cursor, kivi_page_cursor(page)))
            status = kvi_fail(error, KIVI_NO_MEMORY, "out of memory");
    }
    kivi_page_free(page);
    return status;
}

static kivi_status tell_progress(copying *copy, kivi_error **error)
{
    copy->progress.elapsed_ns = kvi_monotonic_ns() - copy->started_ns;
    copy->progress.cursor = kivi_buffer_slice(&copy->cursor);
    if (copy->options.progress && copy->options.progress(&copy->progress, copy->options.user))
        return kvi_fail(error, KIVI_CANCELLED, "the copy was ended by its progress function");
    return KIVI_OK;
}

static bool is_interrupted(const kivi_call *call)
{
    return call && ((call->interrupt && kvi_interrupt_is_raised(call->interrupt)) ||
                    (call->interrupted && call->interrupted(call->user)));
}

/* Waits until as many pairs are due as were read. */
static kivi_status keep_rate(const copying *copy, kivi_error **error)
{
    uint64_t due, now;

    if (!copy->options.rate)
        return KIVI_OK;
    due = copy->started_ns + (uint64_t)((double)copy->read / (double)copy->options.rate * 1e9);
    while ((now = kvi_monotonic_ns()) < due) {
        uint64_t rest = due - now < (uint64_t)KVI_SLICE_NS ? due - now : (uint64_t)KVI_SLICE_NS;
        struct timespec pause = {0, (long)rest};

        if (is_interrupted(copy->call))
            return kvi_fail(error, KIVI_INTERRUPTED, "copy: interrupted");
        nanosleep(&pause, NULL);
    }
    return KIVI_OK;
}

static kivi_status read_options(copying *copy, const kivi_copy_options *options, kivi_error **error)
{
    kivi_copy_options *own = &copy->options;
    kivi_status status;

    if (options) {
        status = kvi_struct_read(own, sizeof(*own), options, "kivi_copy_options", error);
        if (status)
            return status;
    }
    if (own->flags & ~(uint32_t)(KIVI_COPY_DRY_RUN | KIVI_COPY_ADD_ONLY | KIVI_COPY_NO_EXPIRY))
        return kvi_fail(error, KIVI_UNSUPPORTED, "kivi_copy_options: unknown flags 0x%x", own->flags);
    copy->page_limit = own->batch ? own->batch : PAGE_DEFAULT;
    if (own->rate && copy->page_limit > own->rate / PAGES_A_SECOND)
        copy->page_limit = own->rate < PAGES_A_SECOND ? 1 : own->rate / PAGES_A_SECOND;
    if (kivi_buffer_assign(&copy->cursor, own->cursor))
        return kvi_fail(error, KIVI_NO_MEMORY, "out of memory");
    return KIVI_OK;
}

static kivi_status run(copying *copy, kivi_error **error)
{
    bool more = true;
    kivi_status status = KIVI_OK;

    while (more && !status) {
        status = copy_page(copy, &more, error);
        if (!status)
            status = tell_progress(copy, error);
        if (!status && more)
            status = keep_rate(copy, error);
    }
    return status;
}

/* What the caller gets also of a copy that failed. */
static void hand_over(copying *copy, kivi_copy_progress *summary, kivi_buffer *resume)
{
    copy->progress.elapsed_ns = kvi_monotonic_ns() - copy->started_ns;
    copy->progress.cursor = kivi_bytes(NULL, 0);
    if (resume) {
        kivi_buffer_free(resume);
        *resume = copy->cursor;
        copy->cursor = (kivi_buffer)KIVI_BUFFER_INIT;
        copy->progress.cursor = kivi_buffer_slice(resume);
    }
    if (summary)
        kvi_struct_write(summary, &copy->progress, sizeof(copy->progress), "kivi_copy_progress", NULL);
}

/* A store learns from its server which data it is on when it logs in there; one that cannot says so when it is copied. */
static void meet(kivi_store *store, const kivi_call *call)
{
    kivi_health health = {.struct_size = sizeof(health)};
    kivi_store_health(store, call, &health, NULL);
}

static bool are_same(kivi_store *source, kivi_store *target, const kivi_call *call)
{
    if (kvi_store_is_same(source, target))
        return true;
    if (source->instance.capabilities.local || !kvi_store_could_be_same(source, target))
        return false;
    meet(source, call);
    meet(target, call);
    return kvi_store_is_same(source, target);
}

kivi_status kivi_store_copy(kivi_store *source, kivi_store *target, const kivi_call *call,
                            const kivi_copy_options *options, kivi_copy_progress *summary,
                            kivi_buffer *resume, kivi_error **error)
{
    kivi_call own_call;
    copying copy = {.source = source, .target = target};
    kivi_status status;

    kvi_error_clear(error);
    copy.progress.struct_size = sizeof(copy.progress);
    copy.started_ns = kvi_monotonic_ns();
    if (summary) {
        status = kvi_struct_write(summary, &copy.progress, sizeof(copy.progress),
                                  "kivi_copy_progress", error);
        if (status)
            return status;
    }
    if (call) {
        status = kvi_struct_read(&own_call, sizeof(own_call), call, "kivi_call", error);
        if (status)
            return status;
        own_call.struct_size = sizeof(own_call);
        copy.call = &own_call;
    }
    if (are_same(source, target, copy.call))
        return kvi_fail(error, KIVI_INVALID, "source and target are the same store");
    copy.convert = strcmp(kivi_store_codec(source), kivi_store_codec(target)) != 0;
    status = read_options(&copy, options, error);
    if (!status)
        status = run(&copy, error);
    hand_over(&copy, summary, resume);
    free(copy.ops);
    kivi_buffer_free(&copy.cursor);
    kivi_buffer_free(&copy.converted);
    kivi_buffer_free(&copy.arena);
    return status;
}
