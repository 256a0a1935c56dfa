/* What a queued call asks: copied, checked, turned into an item, or made as any caller would make it. */
#include "../base/limits.h"
#include "../calls/apply.h"
#include "../calls/perform.h"
#include "../calls/read_modify_write.h"
#include "../store/begin.h"
#include "../store/keys.h"
#include "queue.h"

#include <stdlib.h>

/* ---- copying ---- */

/* A value that is too large now is refused by its size alone, and so never read: it stays without bytes. */
static kivi_slice copied_value(kvi_queued *call, kivi_slice value)
{
    bool fits = value.size <= call->value_most;
    return fits ? kvi_buffer_put(&call->memory, value) : kivi_bytes(NULL, value.size);
}

static size_t size_of_value(const kvi_queued *call, kivi_slice value)
{
    return value.size <= call->value_most ? value.size : 0;
}

static size_t size_of(const kivi_slice *slices, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; slices && i < count; i++)
        size += slices[i].size;
    return size;
}

static size_t size_of_ops(const kvi_queued *call, size_t count)
{
    const kivi_op *ops = call->ops;
    size_t size = 0;
    for (size_t i = 0; ops && i < count; i++)
        size += ops[i].key.size + size_of_value(call, ops[i].value) + ops[i].expected.size;
    return size;
}

static size_t size_of_values(const kvi_queued *call, const kivi_slice *values, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; values && i < count; i++)
        size += size_of_value(call, values[i]);
    return size;
}

static kivi_slice *copy_keys(kvi_queued *call, const kivi_slice *keys, size_t count)
{
    kivi_slice *copy = malloc(count * sizeof(*copy));
    for (size_t i = 0; copy && i < count; i++)
        copy[i] = kvi_buffer_put(&call->memory, keys[i]);
    return copy;
}

static kivi_slice *copy_values(kvi_queued *call, const kivi_slice *values, size_t count)
{
    kivi_slice *copy = malloc(count * sizeof(*copy));
    for (size_t i = 0; copy && i < count; i++)
        copy[i] = copied_value(call, values[i]);
    return copy;
}

static kivi_status copy_lists(kvi_queued *call, const kivi_request *given)
{
    kivi_request *request = &call->request;
    if (given->count && given->keys &&
        !(request->keys = call->keys = copy_keys(call, given->keys, given->count)))
        return KIVI_NO_MEMORY;
    if (given->count && given->values &&
        !(request->values = call->values = copy_values(call, given->values, given->count)))
        return KIVI_NO_MEMORY;
    for (size_t i = 0; call->ops && i < given->count; i++) {
        kivi_op *op = &call->ops[i];
        op->key = kvi_buffer_put(&call->memory, op->key);
        op->value = copied_value(call, op->value);
        op->expected = kvi_buffer_put(&call->memory, op->expected);
    }
    request->ops = call->ops;
    return KIVI_OK;
}

static kivi_status copy_request(kvi_queued *call, const kivi_request *given)
{
    kivi_request *request = &call->request;
    kivi_range *range = given->range ? &call->range : NULL;
    call->value_most = kvi_max_value(call->ctx.store);
    size_t size = given->key.size + size_of_value(call, given->value) + given->expected.size +
                  size_of_ops(call, given->count) + size_of(given->keys, given->count) +
                  size_of_values(call, given->values, given->count);
    if (range)
        size += range->prefix.size + range->after.size + range->cursor.size;
    if (kivi_buffer_reserve(&call->memory, size ? size : 1))
        return KIVI_NO_MEMORY;
    request->key = kvi_buffer_put(&call->memory, given->key);
    request->value = copied_value(call, given->value);
    request->expected = kvi_buffer_put(&call->memory, given->expected);
    if (range) {
        range->prefix = kvi_buffer_put(&call->memory, range->prefix);
        range->after = kvi_buffer_put(&call->memory, range->after);
        range->cursor = kvi_buffer_put(&call->memory, range->cursor);
        request->range = range;
    }
    return copy_lists(call, given);
}

static kivi_status check_lists(kvi_context *ctx, const kvi_verb_info *verb, const kivi_request *request)
{
    bool many = verb->shape == KVI_SHAPE_BATCH && request->count;
    if (many && (request->verb == KIVI_VERB_APPLY ? !request->ops : !request->keys))
        return kvi_context_fail(ctx, KIVI_INVALID, "%s: no keys given", verb->name);
    if (many && request->verb == KIVI_VERB_SET_MANY && !request->values)
        return kvi_context_fail(ctx, KIVI_INVALID, "set_many: no values given");
    return KIVI_OK;
}

/* The caller's own structs, which may be of another edition: as this library knows them. */
static kivi_status read_structs(kvi_queued *call, const kivi_request *given)
{
    kvi_context *ctx = &call->ctx;
    kivi_status status = KIVI_OK;
    if (given->range)
        status = kvi_struct_read(&call->range, sizeof(call->range), given->range, "kivi_range",
                                 &ctx->error);
    call->range.struct_size = sizeof(call->range);
    if (status || given->verb != KIVI_VERB_APPLY)
        return status;
    call->ops = calloc(given->count + 1, sizeof(kivi_op));
    if (!call->ops)
        return kvi_context_fail(ctx, KIVI_NO_MEMORY, "no memory to submit a call");
    for (size_t i = 0; i < given->count && !status; i++)
        status = kvi_op_read(ctx, given->ops, i, &call->ops[i]);
    return status;
}

/* What the call on a key itself would refuse at once. */
static kivi_status check_single(kvi_queued *call)
{
    kivi_request *request = &call->request;
    uint32_t flags = call->verb->flags;
    kivi_status status = kvi_check_layout(&call->ctx);
    if (!status)
        status = kvi_key_make(&call->ctx, request->key, &call->key);
    if (!status && flags & KVI_HAS_VALUE)
        status = kvi_value_check(&call->ctx, request->value);
    if (status || !(flags & KVI_HAS_TTL))
        return status;
    if (request->verb == KIVI_VERB_INCREMENT && request->ttl_ms == KIVI_TTL_KEEP)
        request->ttl_ms = KIVI_TTL_NONE;
    if (request->verb == KIVI_VERB_EXPIRE && request->ttl_ms == KIVI_TTL_NONE)
        return kvi_context_fail(&call->ctx, KIVI_INVALID,
                                "expire: a ttl of 0 ms; persist takes an expiry away");
    return kvi_ttl_check(&call->ctx, request->ttl_ms, flags & KVI_MAY_KEEP_TTL);
}

static bool is_one_key(const kvi_verb_info *verb)
{
    return verb->shape == KVI_SHAPE_READ || verb->shape == KVI_SHAPE_WRITE;
}

kivi_status kvi_queued_prepare(kvi_queued *call, const kivi_request *request)
{
    kvi_context *ctx = &call->ctx;
    kivi_status status = kvi_struct_read(&call->request, sizeof(call->request), request,
                                         "kivi_request", &ctx->error);
    if (status)
        return status;
    call->verb = kvi_verb_find(call->request.verb);
    if (!call->verb)
        return kvi_context_fail(ctx, KIVI_UNSUPPORTED, "submit: unknown verb %d",
                                (int)call->request.verb);
    ctx->verb = call->verb->name;
    kivi_request given = call->request;
    status = check_lists(ctx, call->verb, &given);
    if (!status)
        status = read_structs(call, &given);
    if (!status && copy_request(call, &given))
        status = kvi_context_fail(ctx, KIVI_NO_MEMORY, "no memory to submit a call");
    if (!status && is_one_key(call->verb))
        status = check_single(call);
    return status;
}

/* ---- single items ---- */

bool kvi_queued_is_single(const kvi_queued *call)
{
    const kivi_store *store = call->ctx.store;
    const kvi_verb_info *verb = call->verb;
    if (!is_one_key(verb))
        return false;
    if (verb->flags & KVI_CHANGES_NOTHING && kvi_reads_are_shared(store))
        return false; /* the worker reads them one after another, without lanes */
    return (store->flags & verb->needs) == verb->needs;
}

static kivi_read_item read_item(const kvi_queued *call)
{
    kivi_read_item item = {.key = call->key.stored,
                           .want = call->verb->want,
                           .then = call->verb->then,
                           .status = KIVI_PENDING};
    if (call->verb->flags & KVI_HAS_TTL)
        item.ttl_ms = call->request.ttl_ms;
    return item;
}

static kivi_write_item write_item(const kvi_queued *call)
{
    const kivi_request *request = &call->request;
    const kvi_verb_info *verb = call->verb;
    kivi_write_item item = {.key = call->key.stored,
                            .kind = verb->op_kind,
                            .condition = verb->condition,
                            .by = verb->op_kind == KIVI_OP_INCREMENT ? request->by : 0,
                            .status = KIVI_PENDING};
    if (verb->flags & KVI_HAS_VALUE)
        item.value = request->value;
    if (verb->flags & KVI_HAS_EXPECTED)
        item.expected = request->expected;
    if (verb->flags & KVI_HAS_TTL)
        item.ttl_ms = request->ttl_ms;
    if (verb->flags & KVI_SAYS_EXISTED)
        item.flags = request->flags & KIVI_OP_WANT_EXISTED;
    return item;
}

void kvi_queued_work(kvi_queued *call, kvi_work *work, kivi_read_vector *read_vector,
                     kivi_write_vector *write_vector, kivi_read_item *read, kivi_write_item *write)
{
    bool is_read = call->verb->shape == KVI_SHAPE_READ;
    *read = read_item(call);
    *write = write_item(call);
    *read_vector = (kivi_read_vector)KVI_READ_VECTOR(read, 1, NULL, NULL);
    *write_vector = (kivi_write_vector)KVI_WRITE_VECTOR(write, 1, 0);
    *work = (kvi_work){.kind = is_read ? KVI_READ : KVI_WRITE, .reads = read_vector, .writes = write_vector};
}

static kivi_status answer_read(kvi_queued *call)
{
    kvi_task *task = call->task;
    kivi_completion *end = &call->completion;
    end->status = task->read.status;
    end->error = task->read.error;
    task->read.error = NULL;
    if (call->request.verb == KIVI_VERB_EXISTS) {
        end->truth = end->status == KIVI_OK;
        end->status = end->status == KIVI_NOT_FOUND ? KIVI_OK : end->status;
    }
    if (call->request.verb == KIVI_VERB_TTL)
        end->integer = task->read.ttl_ms;
    if (end->status != KIVI_OK || !task->delivered)
        return end->status;
    end->value = kivi_buffer_slice(&task->value);
    if (task->read.want & KIVI_WANT_VERSION)
        end->version = task->version.size ? kivi_buffer_slice(&task->version) : end->value;
    return KIVI_OK;
}

kivi_status kvi_queued_answer(kvi_queued *call)
{
    kivi_completion *end = &call->completion;
    kivi_error_free(end->error);
    if (call->task->kind == KVI_READ)
        return answer_read(call);
    end->status = call->task->write.status;
    end->error = call->task->write.error;
    end->truth = call->task->write.existed;
    end->integer = call->task->write.integer;
    call->task->write.error = NULL;
    return end->status;
}

/* ---- as any caller would ---- */

static int is_over(void *user)
{
    kvi_queued *call = user;
    const kivi_call *given = &call->ctx.call_copy;
    if (atomic_load_explicit(&call->cancelled, memory_order_relaxed))
        return 1;
    return call->ctx.call == given && given->interrupt && kvi_interrupt_is_raised(given->interrupt);
}

/* The time that is left, for a call made now. */
static int64_t time_left_ms(kvi_queued *call)
{
    uint64_t deadline = kvi_deadline(&call->ctx), now = kvi_monotonic_ns();
    if (deadline == UINT64_MAX)
        return KIVI_NO_TIMEOUT;
    return deadline > now + (uint64_t)KVI_MS ? (int64_t)((deadline - now) / (uint64_t)KVI_MS) : 1;
}

void kvi_queued_run(kvi_queued *call)
{
    kivi_call how = KIVI_CALL_INIT;
    kivi_completion *end = &call->completion;
    how.timeout_ms = time_left_ms(call);
    how.flags = call->ctx.call->flags;
    how.interrupted = is_over;
    how.user = call;
    how.trace = call->ctx.call->trace;
    kvi_tell_retries(&call->ctx); /* of what was a task before */
    call->told = false;           /* the call inside counts and tells the hook */
    kivi_error_free(end->error);
    end->error = NULL;
    const kivi_request *ask = &call->request;
    if (call->in_line)
        end->status = kvi_increment_from_line(call->ctx.store, &how, &call->in_line->place, ask->key,
                                              ask->by, ask->ttl_ms, &end->integer, &end->error);
    else
        kvi_perform(call->ctx.store, &how, ask, &call->value, &call->version, end);
    if (end->status == KIVI_INTERRUPTED && atomic_load(&call->cancelled)) {
        kivi_error_free(end->error);
        end->error = kvi_error_new(KIVI_CANCELLED, 0, KIVI_RETRY_YES, "%s: cancelled", call->ctx.verb);
        end->status = KIVI_CANCELLED;
    }
}

void kvi_queued_free(kvi_queued *call)
{
    kivi_store *store = call->ctx.store;
    if (call->task)
        kvi_task_unref(store->lanes, call->task);
    kivi_error_free(call->completion.error);
    kivi_result_free(call->completion.result);
    kivi_page_free(call->completion.page);
    kivi_error_free(call->ctx.error);
    free(call->in_line);
    kvi_key_free(&call->key);
    kivi_buffer_free(&call->memory);
    kivi_buffer_free(&call->value);
    kivi_buffer_free(&call->version);
    free(call->keys);
    free(call->values);
    free(call->ops);
    free(call);
    kivi_store_unref(store);
}
