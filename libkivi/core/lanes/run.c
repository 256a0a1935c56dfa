/* Running vectors: cut to the store's limits, sent again while the contract allows, until each item has its answer. */
#include "run.h"

#include "../base/counters.h"
#include "lanes.h"

#include <stdlib.h>

/* ---- one attempt ---- */

static kivi_status attempt(kvi_context *ctx, const kvi_work *work)
{
    kivi_store *store = ctx->store;
    const kivi_backend *backend = store->backend;
    void *handle = store->instance.handle;
    if (kvi_reads_are_shared(store) && kvi_is_question(work->kind))
        return kvi_ask(store, NULL, work, &ctx->wait, &ctx->error);
    if (!kvi_reads_are_shared(store) || work->kind != KVI_READ)
        return kvi_lanes_run(store->lanes, ctx, work);
    for (size_t i = 0; i < work->reads->count; i++)
        if (work->reads->items[i].then != KIVI_THEN_NOTHING)
            return kvi_lanes_run(store->lanes, ctx, work);
    kivi_error *error = NULL;
    kivi_status status = backend->read(handle, NULL, work->reads, &ctx->wait, &error);
    for (size_t i = 0; i < work->reads->count; i++) {
        kivi_read_item *item = &work->reads->items[i];
        if (status && item->status == KIVI_PENDING) {
            item->status = status;
            item->error = error ? kvi_error_copy(error) : NULL;
        }
        kvi_flight_judge_read(item);
    }
    kivi_error_free(error);
    return KIVI_OK;
}

/* ---- items of either kind ---- */

static size_t work_count(const kvi_work *work)
{
    return work->kind == KVI_READ ? work->reads->count : work->writes->count;
}

static kivi_status *item_status(const kvi_work *work, size_t i)
{
    return work->kind == KVI_READ ? &work->reads->items[i].status : &work->writes->items[i].status;
}

static kivi_error **item_error(const kvi_work *work, size_t i)
{
    return work->kind == KVI_READ ? &work->reads->items[i].error : &work->writes->items[i].error;
}

static size_t item_size(const kvi_work *work)
{
    return work->kind == KVI_READ ? sizeof(kivi_read_item) : sizeof(kivi_write_item);
}

static void *item_at(const kvi_work *work, size_t i)
{
    return work->kind == KVI_READ ? (void *)&work->reads->items[i] : (void *)&work->writes->items[i];
}

static size_t count_pending(const kvi_work *work)
{
    size_t pending = 0;
    for (size_t i = 0; i < work_count(work); i++)
        pending += *item_status(work, i) == KIVI_PENDING;
    return pending;
}

/* ---- again ---- */

/* Gives up on what has no answer: the call ended with `why`, or the reason of the last attempt stands. */
static void give_up(kvi_context *ctx, const kvi_work *work, kivi_status why)
{
    for (size_t i = 0; i < work_count(work); i++) {
        kivi_status *status = item_status(work, i);
        kivi_error **error = item_error(work, i);
        if (*status != KIVI_PENDING)
            continue;
        kivi_status reason = kivi_error_status(*error);
        /* That a session broke says more than that time is over; but who led the vector may have been interrupted. */
        if (*error && (reason == why || (why == KIVI_TIMEOUT && reason == KIVI_UNAVAILABLE))) {
            *status = reason;
            continue;
        }
        kivi_error_free(*error);
        *error = kvi_wait_error(ctx, why);
        *status = why;
    }
}

/* What is asked again begins anew: nothing of it was sent. */
static void begin_anew(const kvi_work *work)
{
    for (size_t i = 0; i < work_count(work); i++) {
        if (*item_status(work, i) != KIVI_PENDING)
            continue;
        *(work->kind == KVI_READ ? &work->reads->items[i].sent
                                 : &work->writes->items[i].sent) = KIVI_SENT_NOTHING;
        kivi_error_free(*item_error(work, i));
        *item_error(work, i) = NULL;
    }
}

/* Waits before attempt `number` (1: the first repeat): OK, or why there will be none. */
static kivi_status before_repeat(kvi_context *ctx, uint32_t number)
{
    kivi_status why = kvi_check(ctx);
    if (why)
        return why;
    uint64_t pause = kvi_backoff_ns(number);
    uint64_t deadline = kvi_deadline(ctx);
    if (deadline != UINT64_MAX && kvi_monotonic_ns() + pause >= deadline)
        pause = UINT64_MAX; /* would end after it: the reason is worth more than the wait */
    if (pause == UINT64_MAX)
        return KIVI_TIMEOUT;
    why = pause ? kvi_pause(ctx, pause) : KIVI_OK;
    if (why)
        return why;
    ctx->retries++;
    atomic_fetch_add_explicit(&ctx->store->retries, 1, memory_order_relaxed);
    return KIVI_OK;
}

/* Runs the items that have no answer, packed together in memory of their own. */
static kivi_status attempt_rest(kvi_context *ctx, const kvi_work *work, size_t pending)
{
    size_t count = work_count(work), size = item_size(work);
    if (pending == count)
        return attempt(ctx, work);
    char *packed = malloc(pending * size);
    if (!packed)
        return kvi_context_fail(ctx, KIVI_NO_MEMORY, "no memory to send %zu items again", pending);
    kivi_read_vector reads;
    kivi_write_vector writes;
    kvi_work rest = *work;
    if (work->kind == KVI_READ) {
        reads = *work->reads;
        reads.items = (kivi_read_item *)(void *)packed;
        reads.count = pending;
        rest.reads = &reads;
    } else {
        writes = *work->writes;
        writes.items = (kivi_write_item *)(void *)packed;
        writes.count = pending;
        rest.writes = &writes;
    }
    for (size_t i = 0, n = 0; i < count; i++)
        if (*item_status(work, i) == KIVI_PENDING)
            memcpy(packed + n++ * size, item_at(work, i), size);
    kivi_status status = attempt(ctx, &rest);
    for (size_t i = 0, n = 0; i < count; i++)
        if (*item_status(work, i) == KIVI_PENDING)
            memcpy(item_at(work, i), packed + n++ * size, size);
    free(packed);
    return status;
}

/* An attempt that failed before any item was touched. */
static void fail_all(kvi_context *ctx, const kvi_work *work, kivi_status status)
{
    for (size_t i = 0; i < work_count(work); i++) {
        if (*item_status(work, i) != KIVI_PENDING)
            continue;
        kivi_error_free(*item_error(work, i));
        *item_error(work, i) = ctx->error ? kvi_error_copy(ctx->error) : kvi_wait_error(ctx, status);
        *item_status(work, i) = status;
    }
}

/* Runs one vector that fits until each item has its answer. */
static void run(kvi_context *ctx, const kvi_work *work)
{
    size_t pending = work_count(work);
    for (uint32_t number = 0; pending;) {
        begin_anew(work);
        kivi_status status = attempt_rest(ctx, work, pending);
        if (status && status != KIVI_PENDING) {
            fail_all(ctx, work, status);
            return;
        }
        size_t left = count_pending(work);
        if (left == 0)
            return;
        if (left < work_count(work) && work->kind == KVI_WRITE &&
            work->writes->flags & KIVI_VECTOR_ATOMIC) {
            fail_all(ctx, work, KIVI_INTERNAL); /* a part of it cannot be asked again */
            return;
        }
        number = left < pending ? 1 : number + 1; /* progress: again at once */
        pending = left;
        kivi_status why = before_repeat(ctx, number);
        if (why) {
            give_up(ctx, work, why);
            return;
        }
    }
}

/* ---- cutting ---- */

static uint64_t item_bytes(const kvi_work *work, size_t i)
{
    if (work->kind == KVI_READ)
        return work->reads->items[i].key.size;
    const kivi_write_item *item = &work->writes->items[i];
    return item->key.size + item->value.size + item->expected.size;
}

/* How many items from `begin` on fit one vector of the store; at least 1. */
static size_t fitting(const kivi_store *store, const kvi_work *work, size_t begin)
{
    size_t count = work_count(work);
    uint64_t most = store->instance.max_items ? store->instance.max_items : UINT64_MAX;
    uint64_t room = store->instance.max_bytes ? store->instance.max_bytes : UINT64_MAX;
    if (most == UINT64_MAX && room == UINT64_MAX)
        return count - begin;
    uint64_t size = 0;
    size_t n = 0;
    while (begin + n < count && n < most) {
        size += item_bytes(work, begin + n);
        if (n && size > room)
            break;
        n++;
    }
    return n;
}

/* Before all but the first vector of a call: whether it may go on. What it may not send any more fails. */
static bool goes_on(kvi_context *ctx, const kvi_work *work, bool first)
{
    kivi_status why = first ? KIVI_OK : kvi_check(ctx);
    if (why)
        give_up(ctx, work, why);
    return !why;
}

void kvi_run_reads(kvi_context *ctx, kivi_read_vector *vector)
{
    kvi_work work = {.kind = KVI_READ, .reads = vector};
    bool first = !ctx->reached;
    ctx->reached = true;
    kvi_shard *shard = kvi_shard_of(ctx->store);
    if (!ctx->single_read)
        atomic_fetch_add_explicit(&shard->reads, vector->count, memory_order_relaxed);
    for (size_t begin = 0; begin < vector->count;) {
        size_t n = fitting(ctx->store, &work, begin);
        kivi_read_vector part = *vector;
        part.items += begin;
        part.count = n;
        kvi_work piece = {.kind = KVI_READ, .reads = &part};
        if (goes_on(ctx, &piece, first))
            run(ctx, &piece);
        first = false;
        begin += n;
    }
}

void kvi_run_writes(kvi_context *ctx, kivi_write_vector *vector)
{
    kvi_work work = {.kind = KVI_WRITE, .writes = vector};
    bool first = !ctx->reached;
    ctx->reached = true;
    kvi_shard *shard = kvi_shard_of(ctx->store);
    atomic_fetch_add_explicit(&shard->writes, vector->count, memory_order_relaxed);
    kvi_writes_setup(ctx->store, vector);
    bool atomic = vector->flags & KIVI_VECTOR_ATOMIC;
    for (size_t begin = 0; begin < vector->count;) {
        size_t n = atomic ? vector->count : fitting(ctx->store, &work, begin);
        kivi_write_vector part = *vector;
        part.items += begin;
        part.count = n;
        kvi_work piece = {.kind = KVI_WRITE, .writes = &part};
        if (goes_on(ctx, &piece, first))
            run(ctx, &piece);
        first = false;
        begin += n;
    }
}

/* Whether a question that failed may find an answer later; a server that works may be done soon. */
static bool asks_again(const kivi_store *store, kivi_status status, const kivi_error *error)
{
    kivi_retryable retryable = error ? kivi_error_retryable(error) : KIVI_RETRY_NO;
    switch (status) {
    case KIVI_PENDING:
    case KIVI_TIMEOUT:
    case KIVI_INTERRUPTED:
        return true;
    case KIVI_BUSY:
        return retryable == KIVI_RETRY_YES && !kvi_reads_are_shared(store);
    case KIVI_UNAVAILABLE:
        return retryable != KIVI_RETRY_NO && retryable != KIVI_RETRY_LATER;
    default:
        return false;
    }
}

/* Asks until there is an answer, or no more time; `forget` takes back what came of it before it is asked again. */
static kivi_status run_question(kvi_context *ctx, const kvi_work *work, void (*forget)(void *owner),
                                void *owner)
{
    ctx->reached = true;
    for (uint32_t number = 1;; number++) {
        kivi_error_free(ctx->error);
        ctx->error = NULL;
        forget(owner);
        kivi_status status = attempt(ctx, work);
        if (!asks_again(ctx->store, status, ctx->error))
            return status;
        kivi_status why = before_repeat(ctx, number);
        if (why == KIVI_OK)
            continue;
        if (why == KIVI_TIMEOUT && ctx->error)
            return kivi_error_status(ctx->error);
        kivi_error_free(ctx->error);
        ctx->error = kvi_wait_error(ctx, why);
        return why;
    }
}

kivi_status kvi_run_scan(kvi_context *ctx, const kivi_scan_range *range, kivi_scan_sink *sink,
                         void (*reset)(void *owner))
{
    kvi_work work = {.kind = KVI_SCAN, .range = range, .sink = sink};
    return run_question(ctx, &work, reset, sink->owner);
}

static void forget_count(void *owner)
{
    kivi_count *count = owner;
    count->names = count->escaped = 0;
}

kivi_status kvi_run_count(kvi_context *ctx, kivi_count *count)
{
    kvi_work work = {.kind = KVI_COUNT, .count = count};
    return run_question(ctx, &work, forget_count, count);
}

static void forget_nothing(void *owner)
{
    (void)owner;
}

kivi_status kvi_run_health(kvi_context *ctx)
{
    kvi_work work = {.kind = KVI_HEALTH};
    return run_question(ctx, &work, forget_nothing, NULL);
}

/* ---- one item ---- */

kivi_status kvi_read_one(kvi_context *ctx, kivi_read_item *item,
                         kivi_status (*deliver)(kivi_read_vector *, kivi_read_item *, kivi_slice,
                                                kivi_slice),
                         void *owner)
{
    kivi_store *store = ctx->store;
    kivi_read_vector vector = KVI_READ_VECTOR(item, 1, deliver, owner);
    item->status = KIVI_PENDING;
    if (KVI_LIKELY(kvi_reads_are_shared(store) && item->then == KIVI_THEN_NOTHING)) {
        ctx->reached = true;
        kivi_status status = store->backend->read(store->instance.handle, NULL, &vector, &ctx->wait,
                                                  &ctx->error);
        if (KVI_LIKELY(status == KIVI_OK && item->status != KIVI_PENDING &&
                       item->status != KIVI_UNAVAILABLE)) {
            if (KVI_UNLIKELY(!ctx->single_read))
                atomic_fetch_add_explicit(&kvi_shard_of(store)->reads, 1, memory_order_relaxed);
            ctx->error = item->error;
            item->error = NULL;
            return item->status;
        }
        /* Once more the long way, which knows what may be repeated. */
        kivi_error_free(item->error);
        kivi_error_free(ctx->error);
        item->error = ctx->error = NULL;
        item->status = KIVI_PENDING;
    }
    kvi_run_reads(ctx, &vector);
    kivi_error_free(ctx->error);
    ctx->error = item->error;
    item->error = NULL;
    return item->status;
}

kivi_status kvi_write_one(kvi_context *ctx, kivi_write_item *item)
{
    kivi_write_vector vector = KVI_WRITE_VECTOR(item, 1, 0);
    item->status = KIVI_PENDING;
    kvi_run_writes(ctx, &vector);
    kivi_error_free(ctx->error);
    ctx->error = item->error;
    item->error = NULL;
    return item->status;
}

kivi_status kvi_receive(kivi_read_vector *vector, kivi_read_item *item, kivi_slice value, kivi_slice version)
{
    const kvi_receiver *to = vector->owner;
    kivi_buffer *out = to->value;
    /* What kivi_buffer_assign() does where there is room, without the call: it is part of every get. */
    if (KVI_LIKELY(out && !to->version && item->want & KIVI_WANT_VALUE && value.size &&
                   value.size <= out->capacity)) {
        memcpy(out->data, value.data, value.size);
        out->size = value.size;
        return KIVI_OK;
    }
    if (out && item->want & KIVI_WANT_VALUE && kivi_buffer_assign(out, value))
        return KIVI_NO_MEMORY;
    if (!to->version)
        return KIVI_OK;
    /* A store without versions of its own: the stored bytes are it. */
    return kivi_buffer_assign(to->version, version.size ? version : value);
}

kivi_status kvi_fetch(kvi_context *ctx, kivi_slice stored, kivi_buffer *value, kivi_buffer *version)
{
    kvi_receiver to = {value, version};
    kivi_read_item item = {.key = stored};
    if (value)
        item.want |= KIVI_WANT_VALUE;
    if (version)
        item.want |= KIVI_WANT_VERSION;
    return kvi_read_one(ctx, &item, kvi_receive, &to);
}
