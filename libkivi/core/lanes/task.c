/* Tasks: what a caller that waits asks, copied, and its answer. */
#include "lanes.h"

#include <stdlib.h>

#define SPARES 256 /* tasks kept for reuse */

static kvi_task *take_spare(kvi_lanes *lanes)
{
    pthread_mutex_lock(&lanes->mutex);
    kvi_task *task = lanes->spare;
    if (task) {
        lanes->spare = task->next_free;
        lanes->spares--;
    }
    pthread_mutex_unlock(&lanes->mutex);
    return task;
}

static void free_task(kvi_task *task)
{
    kivi_buffer_free(&task->bytes);
    kivi_buffer_free(&task->value);
    kivi_buffer_free(&task->version);
    free(task);
}

void kvi_task_unref(kvi_lanes *lanes, kvi_task *task)
{
    if (atomic_fetch_sub_explicit(&task->refs, 1, memory_order_acq_rel) != 1)
        return;
    kivi_error_free(task->read.error);
    kivi_error_free(task->write.error);
    task->read.error = task->write.error = NULL;
    bool big = task->value.capacity > 64 * 1024 || task->bytes.capacity > 64 * 1024;
    pthread_mutex_lock(&lanes->mutex);
    bool keep = !big && lanes->spares < SPARES;
    if (keep) {
        task->next_free = lanes->spare;
        lanes->spare = task;
        lanes->spares++;
    }
    pthread_mutex_unlock(&lanes->mutex);
    if (!keep)
        free_task(task);
}

void kvi_lanes_free_spares(kvi_lanes *lanes)
{
    while (lanes->spare) {
        kvi_task *task = lanes->spare;
        lanes->spare = task->next_free;
        free_task(task);
    }
    lanes->spares = 0;
}

static kivi_status copy_work(kvi_task *task, const kvi_work *work)
{
    task->bytes.size = 0;
    if (work->kind == KVI_READ) {
        task->read = work->reads->items[0];
        if (kivi_buffer_reserve(&task->bytes, task->read.key.size))
            return KIVI_NO_MEMORY;
        task->read.key = kvi_buffer_put(&task->bytes, task->read.key);
        return KIVI_OK;
    }
    task->write = work->writes->items[0];
    size_t size = task->write.key.size + task->write.value.size + task->write.expected.size;
    if (kivi_buffer_reserve(&task->bytes, size))
        return KIVI_NO_MEMORY;
    task->write.key = kvi_buffer_put(&task->bytes, task->write.key);
    task->write.value = kvi_buffer_put(&task->bytes, task->write.value);
    task->write.expected = kvi_buffer_put(&task->bytes, task->write.expected);
    return KIVI_OK;
}

kvi_task *kvi_task_new(kvi_lanes *lanes, const kvi_work *work)
{
    kvi_task *task = take_spare(lanes);
    if (!task)
        task = calloc(1, sizeof(*task));
    if (!task)
        return NULL;
    atomic_store_explicit(&task->state, KVI_TASK_WAITING, memory_order_relaxed);
    atomic_store_explicit(&task->refs, 2, memory_order_relaxed); /* its caller's, and the flight's */
    task->kind = work->kind;
    task->mergeable = true;
    task->in_flight = task->delivered = task->alone = false;
    task->driver = NULL;
    task->deadline_ns = UINT64_MAX;
    task->bell = (kvi_bell){NULL, 0};
    task->value.size = task->version.size = 0;
    if (copy_work(task, work)) {
        free_task(task);
        return NULL;
    }
    return task;
}

static size_t work_size(const kvi_work *work)
{
    if (work->kind == KVI_READ)
        return work->reads->items[0].key.size;
    const kivi_write_item *item = &work->writes->items[0];
    return item->key.size + item->value.size + item->expected.size;
}

bool kvi_work_is_mergeable(const kvi_lanes *lanes, const kvi_work *work)
{
    if (kvi_is_question(work->kind))
        return false;
    size_t count = work->kind == KVI_READ ? work->reads->count : work->writes->count;
    if (count != 1 || (work->kind == KVI_WRITE && work->writes->flags & KIVI_VECTOR_ATOMIC))
        return false;
    uint64_t limit = lanes->store->instance.max_bytes;
    if (limit == 0 || limit > KVI_MERGE_BYTES)
        limit = KVI_MERGE_BYTES;
    return work_size(work) <= limit;
}

void kvi_task_answer(kvi_task *task, kvi_context *ctx, const kvi_work *work)
{
    ctx->alone = ctx->alone || task->alone;
    if (work->kind == KVI_READ) {
        kivi_read_item *item = &work->reads->items[0];
        item->ttl_ms = task->read.ttl_ms;
        item->sent = task->read.sent;
        item->error = task->read.error;
        item->status = task->read.status;
        task->read.error = NULL;
        if (item->status == KIVI_OK && task->delivered)
            item->status = work->reads->deliver(work->reads, item, kivi_buffer_slice(&task->value),
                                                kivi_buffer_slice(&task->version));
        return;
    }
    kivi_write_item *item = &work->writes->items[0];
    item->sent = task->write.sent;
    item->existed = task->write.existed;
    item->integer = task->write.integer;
    item->error = task->write.error;
    item->status = task->write.status;
    task->write.error = NULL;
}
