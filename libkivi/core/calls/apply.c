/* set_many, delete_many and apply: operations judged in order, sent as sorted vectors of each key once. */
#include "apply.h"
#include "../base/limits.h"
#include "../lanes/run.h"
#include "../store/begin.h"
#include "../store/keys.h"
#include "read_modify_write.h"
#include "result.h"

#include <stdlib.h>

typedef struct writing {
    kvi_context *ctx;
    kivi_result *result;
    kivi_buffer keys; /* stored keys, where they are not the caller's */
    kivi_write_item *items;
    size_t count;
    bool atomic, sent;
} writing;

/* Those of one key, in order, that have not been sent yet: a stretch of the sorted pointers. */
typedef struct group {
    size_t begin, end;
} group;

/* ---- what the caller asks ---- */

static kivi_status check_op(kvi_context *ctx, const kivi_op *op, bool atomic, size_t index)
{
    if (op->kind < KIVI_OP_SET || op->kind > KIVI_OP_INCREMENT)
        return kvi_context_fail(ctx, KIVI_INVALID, "operation %zu: unknown kind %d", index,
                                (int)op->kind);
    if (op->condition < KIVI_IF_ALWAYS || op->condition > KIVI_IF_VERSION)
        return kvi_context_fail(ctx, KIVI_INVALID, "operation %zu: unknown condition %d", index,
                                (int)op->condition);
    if (op->flags & ~(uint32_t)KIVI_OP_WANT_EXISTED)
        return kvi_context_fail(ctx, KIVI_UNSUPPORTED, "operation %zu: unknown flags 0x%x", index,
                                op->flags);
    if (op->kind == KIVI_OP_INCREMENT && atomic)
        return kvi_context_fail(ctx, KIVI_INVALID, "operation %zu: increment in an atomic batch", index);
    if (op->kind == KIVI_OP_INCREMENT && op->condition != KIVI_IF_ALWAYS)
        return kvi_context_fail(ctx, KIVI_INVALID, "operation %zu: increment takes no condition", index);
    bool has_ttl = op->kind == KIVI_OP_SET || op->kind == KIVI_OP_TOUCH || op->kind == KIVI_OP_INCREMENT;
    kivi_status status = has_ttl ? kvi_ttl_check(ctx, op->ttl_ms, op->kind != KIVI_OP_TOUCH) : KIVI_OK;
    return status ? status : kvi_value_check(ctx, op->value);
}

static kivi_write_item item_of_op(const kivi_op *op)
{
    kivi_write_item item = {.kind = op->kind,
                            .condition = op->condition,
                            .status = KIVI_PENDING,
                            .flags = op->flags,
                            .by = op->by};
    if (op->kind == KIVI_OP_SET)
        item.value = op->value;
    if (op->condition == KIVI_IF_EQUAL || op->condition == KIVI_IF_VERSION)
        item.expected = op->expected;
    if (op->kind == KIVI_OP_INCREMENT)
        item.ttl_ms = op->ttl_ms == KIVI_TTL_KEEP ? KIVI_TTL_NONE : op->ttl_ms;
    else if (op->kind == KIVI_OP_SET || op->kind == KIVI_OP_TOUCH)
        item.ttl_ms = op->ttl_ms;
    return item;
}

/* Gives each item its stored key. */
static kivi_status collect_keys(writing *all, const kivi_slice *keys)
{
    kvi_context *ctx = all->ctx;
    bool plain = ctx->store->plain_keys;
    for (size_t i = 0; i < all->count; i++) {
        kvi_key made = {.heap = KIVI_BUFFER_INIT};
        size_t offset = all->keys.size;
        kivi_status status = plain ? kvi_key_make(ctx, keys[i], &made)
                                   : kvi_key_append(ctx, keys[i], &all->keys);
        if (status) {
            kvi_error_set_index(ctx->error, i);
            return status;
        }
        /* the memory moves while it grows: place and size now, the pointer afterwards */
        all->items[i].key = plain ? keys[i] : kivi_bytes((const void *)offset, all->keys.size - offset);
    }
    for (size_t i = 0; i < all->count && !plain; i++)
        all->items[i].key.data = all->keys.data + (uintptr_t)all->items[i].key.data;
    return KIVI_OK;
}

static kivi_status prepare(writing *all)
{
    all->items = calloc(all->count + 1, sizeof(kivi_write_item)); /* of an empty batch too */
    all->result = kvi_result_new(all->ctx->store, all->count);
    if (!all->items || !all->result)
        return kvi_context_fail(all->ctx, KIVI_NO_MEMORY, "no memory for a batch of %zu keys", all->count);
    return KIVI_OK;
}

/* ---- sending ---- */

/* Items lie in the caller's order, so that their addresses tell it. */
static int compare_items(const void *a, const void *b)
{
    const kivi_write_item *left = *(kivi_write_item *const *)a, *right = *(kivi_write_item *const *)b;
    int order = kvi_slice_compare(left->key, right->key);
    return order ? order : (left > right) - (left < right);
}

static bool is_sorted_and_unique(const writing *all)
{
    for (size_t i = 1; i < all->count; i++)
        if (kvi_slice_compare(all->items[i - 1].key, all->items[i].key) >= 0)
            return false;
    return true;
}

static bool needs_emulation(const writing *all, const kivi_write_item *item)
{
    return item->kind == KIVI_OP_INCREMENT && !(all->ctx->store->flags & KIVI_BACKEND_INCREMENTS);
}

static void increment_item(writing *all, kivi_write_item *item)
{
    kvi_context *ctx = all->ctx;
    item->status = kvi_increment(ctx, item->key, item->by, item->ttl_ms, &item->integer);
    item->error = ctx->error;
    ctx->error = NULL;
}

static void run_items(writing *all, kivi_write_item *items, size_t count)
{
    kivi_write_vector vector = KVI_WRITE_VECTOR(items, count, all->atomic ? KIVI_VECTOR_ATOMIC : 0);
    kvi_run_writes(all->ctx, &vector);
}

/* Additions that went over int64 together: one by one, in order. */
static void run_singly(writing *all, kivi_write_item **items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        items[i]->status = KIVI_PENDING;
        run_items(all, items[i], 1);
    }
}

/* One vector with the next of every key; answers whether there was any. */
static bool send_round(writing *all, kivi_write_item **sorted, group *groups, size_t group_count,
                       kivi_write_item *folded, size_t *taken)
{
    bool any = false;
    size_t count = 0;
    for (size_t g = 0; g < group_count; g++) {
        kivi_write_item **first = sorted + groups[g].begin;
        size_t rest = groups[g].end - groups[g].begin;
        taken[g] = 0;
        any = any || rest;
        if (rest && needs_emulation(all, *first)) {
            increment_item(all, *first);
            groups[g].begin++;
        } else if (rest) {
            taken[g] = kvi_fold_writes(first, rest, &folded[count++]);
        }
    }
    if (count)
        run_items(all, folded, count);
    for (size_t g = 0, f = 0; g < group_count; g++) {
        kivi_write_item **first = sorted + groups[g].begin;
        if (taken[g] && !kvi_unfold_writes(&folded[f++], first, taken[g]))
            run_singly(all, first, taken[g]);
        groups[g].begin += taken[g];
    }
    return any;
}

static size_t make_groups(kivi_write_item **sorted, size_t count, group *groups)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (i && !kvi_slice_compare(sorted[i - 1]->key, sorted[i]->key))
            groups[n - 1].end = i + 1;
        else
            groups[n++] = (group){i, i + 1};
    return n;
}

/* The error's index is that of the later one. */
static kivi_status refuse_twice(const writing *all, kivi_write_item **sorted)
{
    size_t i = 1;
    while (kvi_slice_compare(sorted[i - 1]->key, sorted[i]->key))
        i++;
    kvi_context_fail(all->ctx, KIVI_INVALID, "apply: an atomic batch names a key twice");
    kvi_error_set_index(all->ctx->error, (size_t)(sorted[i] - all->items));
    return KIVI_INVALID;
}

static kivi_status send_in_rounds(writing *all)
{
    kivi_status status = KIVI_OK;
    kivi_write_item **sorted = malloc(all->count * sizeof(*sorted));
    group *groups = malloc(all->count * sizeof(*groups));
    size_t *taken = malloc(all->count * sizeof(*taken));
    kivi_write_item *folded = malloc(all->count * sizeof(*folded));
    if (!sorted || !groups || !taken || !folded) {
        status = kvi_context_fail(all->ctx, KIVI_NO_MEMORY, "no memory for a batch of %zu keys",
                                  all->count);
        goto out;
    }
    for (size_t i = 0; i < all->count; i++)
        sorted[i] = &all->items[i];
    qsort(sorted, all->count, sizeof(*sorted), compare_items);
    size_t group_count = make_groups(sorted, all->count, groups);
    if (all->atomic && group_count < all->count) {
        status = refuse_twice(all, sorted);
        goto out;
    }
    while (send_round(all, sorted, groups, group_count, folded, taken))
        ;
out:
    free(sorted);
    free(groups);
    free(taken);
    free(folded);
    return status;
}

static bool is_any_emulated(const writing *all)
{
    for (size_t i = 0; i < all->count; i++)
        if (needs_emulation(all, &all->items[i]))
            return true;
    return false;
}

/* An atomic batch cannot be cut. */
static kivi_status check_atomic_size(writing *all)
{
    uint64_t room = all->ctx->store->instance.max_bytes, size = 0;
    if (!all->atomic || room == 0)
        return KIVI_OK;
    for (size_t i = 0; i < all->count; i++)
        size += all->items[i].key.size + all->items[i].value.size + all->items[i].expected.size;
    if (size <= room)
        return KIVI_OK;
    return kvi_context_fail(all->ctx, KIVI_TOO_LARGE,
                            "apply: an atomic batch of %llu bytes; this store takes %llu",
                            (unsigned long long)size, (unsigned long long)room);
}

static kivi_status send(writing *all)
{
    kivi_status status = check_atomic_size(all);
    if (status)
        return status;
    if (is_sorted_and_unique(all) && !is_any_emulated(all)) {
        run_items(all, all->items, all->count);
        return KIVI_OK;
    }
    return send_in_rounds(all);
}

/* Of an atomic batch that did not happen: the status of the operation that is the reason. */
static kivi_status atomic_verdict(writing *all)
{
    for (size_t i = 0; i < all->count; i++) {
        kivi_status status = all->items[i].status;
        if (status == KIVI_OK || status == KIVI_NOT_FOUND || status == KIVI_ABORTED)
            continue; /* a touch of a missing key stops nothing */
        const kivi_error *error = kivi_result_error(all->result, i);
        kivi_error_free(all->ctx->error);
        all->ctx->error = error ? kvi_error_copy(error) : NULL;
        kvi_error_set_index(all->ctx->error, i);
        return status;
    }
    return kvi_result_verdict(all->ctx, all->result);
}

static kivi_status answer(writing *all)
{
    for (size_t i = 0; i < all->count; i++) {
        kivi_write_item *item = &all->items[i];
        kvi_result_set(all->result, i, item->status, item->error);
        kvi_result_set_write(all->result, i, item->existed && item->flags & KIVI_OP_WANT_EXISTED,
                             item->integer);
    }
    return all->atomic ? atomic_verdict(all) : kvi_result_verdict(all->ctx, all->result);
}

static kivi_status write_all(writing *all, const kivi_slice *keys)
{
    kivi_status status = collect_keys(all, keys);
    if (!status && all->count)
        status = send(all);
    if (status)
        return status;
    all->sent = true;
    return answer(all);
}

/* Ends the call; there is a result only where something was sent. */
static kivi_status end(writing *all, kivi_status status, kivi_result **result)
{
    all->ctx->key = kivi_bytes(NULL, 0);
    if (result)
        *result = all->sent ? all->result : NULL;
    if (!result || !all->sent)
        kivi_result_free(all->result);
    kivi_buffer_free(&all->keys);
    free(all->items);
    return kvi_end(all->ctx, status);
}

/* ---- the public calls ---- */

kivi_status kivi_store_set_many(kivi_store *store, const kivi_call *call, const kivi_slice *keys,
                                const kivi_slice *values, size_t count, int64_t ttl_ms,
                                kivi_result **result, kivi_error **error)
{
    kvi_context ctx;
    writing all = {.ctx = &ctx, .count = count};
    kivi_status status = kvi_begin(&ctx, store, call, "set_many", error);
    ctx.items = count;
    if (!status)
        status = kvi_ttl_check(&ctx, ttl_ms, true);
    for (size_t i = 0; i < count && !status; i++) {
        status = kvi_value_check(&ctx, values[i]);
        kvi_error_set_index(ctx.error, i);
    }
    if (!status)
        status = prepare(&all);
    for (size_t i = 0; i < count && !status; i++)
        all.items[i] = (kivi_write_item){
            .kind = KIVI_OP_SET, .value = values[i], .ttl_ms = ttl_ms, .status = KIVI_PENDING};
    if (!status)
        status = write_all(&all, keys);
    return end(&all, status, result);
}

kivi_status kivi_store_delete_many(kivi_store *store, const kivi_call *call, const kivi_slice *keys,
                                   size_t count, uint64_t *existed, kivi_result **result,
                                   kivi_error **error)
{
    kvi_context ctx;
    writing all = {.ctx = &ctx, .count = count};
    if (existed)
        *existed = 0;
    kivi_status status = kvi_begin(&ctx, store, call, "delete_many", error);
    ctx.items = count;
    if (!status)
        status = prepare(&all);
    for (size_t i = 0; i < count && !status; i++)
        all.items[i] = (kivi_write_item){.kind = KIVI_OP_DELETE,
                                         .status = KIVI_PENDING,
                                         .flags = existed ? KIVI_OP_WANT_EXISTED : 0};
    if (!status)
        status = write_all(&all, keys);
    for (size_t i = 0; existed && all.sent && i < count; i++)
        *existed += kivi_result_existed(all.result, i);
    return end(&all, status, result);
}

kivi_status kvi_op_read(kvi_context *ctx, const kivi_op *ops, size_t index, kivi_op *op)
{
    uint32_t step = ops->struct_size;
    const char *given = (const char *)ops + index * step;
    kivi_status status = kvi_struct_read(op, sizeof(*op), given, "kivi_op", &ctx->error);
    if (!status && op->struct_size != step)
        return kvi_context_fail(ctx, KIVI_INVALID,
                                "operation %zu: struct_size is not the first one's", index);
    op->struct_size = sizeof(*op);
    return status;
}

/* The caller's operations, checked, as items; `keys` gets their keys. */
static kivi_status read_ops(writing *all, const kivi_op *ops, kivi_slice *keys)
{
    kvi_context *ctx = all->ctx;
    for (size_t i = 0; i < all->count; i++) {
        kivi_op op;
        kivi_status status = kvi_op_read(ctx, ops, i, &op);
        if (!status)
            status = check_op(ctx, &op, all->atomic, i);
        if (status) {
            kvi_error_set_index(ctx->error, i);
            return status;
        }
        all->items[i] = item_of_op(&op);
        keys[i] = op.key;
    }
    return KIVI_OK;
}

static kivi_status check_apply(kvi_context *ctx, size_t count, uint32_t flags)
{
    if (flags & ~(uint32_t)KIVI_APPLY_ATOMIC)
        return kvi_context_fail(ctx, KIVI_UNSUPPORTED, "apply: unknown flags 0x%x", flags);
    uint64_t most = kvi_atomic_max(ctx->store);
    if (!(flags & KIVI_APPLY_ATOMIC) || count <= most)
        return KIVI_OK;
    if (most == 0)
        return kvi_context_fail(ctx, KIVI_UNSUPPORTED, "apply: this store has no atomic batches");
    return kvi_context_fail(ctx, KIVI_UNSUPPORTED,
                            "apply: %zu operations; this store takes %llu in an atomic batch",
                            count, (unsigned long long)most);
}

kivi_status kivi_store_apply(kivi_store *store, const kivi_call *call, const kivi_op *ops,
                             size_t count, uint32_t flags, kivi_result **result, kivi_error **error)
{
    kvi_context ctx;
    writing all = {.ctx = &ctx, .count = count, .atomic = flags & KIVI_APPLY_ATOMIC};
    kivi_slice *keys = NULL;
    kivi_status status = kvi_begin(&ctx, store, call, "apply", error);
    ctx.items = count;
    if (!status)
        status = check_apply(&ctx, count, flags);
    if (!status)
        status = prepare(&all);
    if (!status) {
        keys = malloc((count + 1) * sizeof(*keys));
        if (!keys)
            status = kvi_context_fail(&ctx, KIVI_NO_MEMORY, "no memory for a batch of %zu keys", count);
    }
    if (!status)
        status = read_ops(&all, ops, keys);
    if (!status)
        status = write_all(&all, keys);
    free(keys);
    return end(&all, status, result);
}
