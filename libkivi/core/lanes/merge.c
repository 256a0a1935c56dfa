/* Merging: waiting tasks into one vector with each key once, and its answers back to the tasks. */
#include "lanes.h"
#include "run.h"

#include <stdlib.h>

/* ---- building the vector ---- */

static kivi_slice task_key(const kvi_task *task)
{
    return task->kind == KVI_READ ? task->read.key : task->write.key;
}

static int compare_tasks(const void *a, const void *b)
{
    const kvi_task *left = *(kvi_task *const *)a, *right = *(kvi_task *const *)b;
    int order = kvi_slice_compare(task_key(left), task_key(right));
    return order ? order : (left->ticket > right->ticket) - (left->ticket < right->ticket);
}

/* Those that queue from now on share another bell: others will take them. */
static void change_bell(kvi_lanes *lanes, unsigned q)
{
    lanes->queues[q].bell = (lanes->queues[q].bell + 1) % KVI_BELLS;
    lanes->queues[q].sharers = 0;
}

/* Takes the leader and what waits, oldest first, up to the limits of a merged vector. */
static size_t collect(kvi_lane *lane, kvi_task *lead, kvi_task **tasks)
{
    kvi_lanes *lanes = lane->lanes;
    uint64_t most = lanes->store->instance.max_items;
    if (most == 0 || most > KVI_MERGE_ITEMS)
        most = KVI_MERGE_ITEMS;
    uint64_t room = lanes->store->instance.max_bytes;
    if (room == 0 || room > KVI_MERGE_BYTES)
        room = KVI_MERGE_BYTES;
    size_t count = 0;
    uint64_t size = lead->bytes.size;
    tasks[count++] = lead;
    pthread_mutex_lock(&lanes->mutex);
    kvi_task *task = lanes->queues[kvi_line_of(lead->kind)].head;
    while (task && count < most) {
        kvi_task *next = task->next;
        if (task->mergeable) {
            size += task->bytes.size;
            if (size > room)
                break;
            kvi_line_take(lanes, task);
            atomic_store_explicit(&task->state, KVI_TASK_TAKEN, memory_order_release);
            tasks[count++] = task;
        }
        task = next;
    }
    change_bell(lanes, kvi_line_of(lead->kind));
    lane->callers += (uint32_t)count - 1;
    lanes->callers += (uint32_t)count - 1;
    pthread_mutex_unlock(&lanes->mutex);
    return count;
}

static kivi_status deliver_merged(kivi_read_vector *vector, kivi_read_item *item, kivi_slice value,
                                  kivi_slice version)
{
    kvi_flight *flight = vector->owner;
    size_t index = (size_t)(item - flight->merged_reads);
    for (size_t t = flight->first_task[index]; t < flight->first_task[index + 1]; t++) {
        kvi_task *task = flight->tasks[t];
        if (!(task->read.want & (KIVI_WANT_VALUE | KIVI_WANT_VERSION)))
            continue;
        if (kivi_buffer_assign(&task->value, value) || kivi_buffer_assign(&task->version, version))
            return KIVI_NO_MEMORY;
        task->delivered = true;
    }
    return KIVI_OK;
}

/* How many of the tasks of one key, in order, go as the item. */
static size_t fold_tasks(kvi_flight *flight, kvi_task **tasks, size_t count)
{
    if (flight->kind == KVI_READ) {
        kivi_read_item *item = &flight->merged_reads[flight->count];
        *item = tasks[0]->read;
        size_t n = 1;
        while (n < count && kvi_reads_fold(&tasks[0]->read, &tasks[n]->read))
            item->want |= tasks[n++]->read.want;
        return n;
    }
    kivi_write_item *items[KVI_MERGE_ITEMS] = {&tasks[0]->write};
    for (size_t i = 1; i < count; i++)
        items[i] = &tasks[i]->write;
    return kvi_fold_writes(items, count, &flight->merged_writes[flight->count]);
}

/* Bells to be rung when all answers are there, each once. */
typedef struct peal {
    kvi_bell bells[4];
    unsigned count;
} peal;

static void ring_all(peal *all)
{
    for (unsigned i = 0; i < all->count; i++)
        kvi_bell_ring(all->bells[i]);
    all->count = 0;
}

static void add_bell(peal *all, kvi_bell bell)
{
    for (unsigned i = 0; i < all->count; i++)
        if (all->bells[i].word == bell.word) {
            all->bells[i].bits |= bell.bits;
            return;
        }
    if (all->count == sizeof(all->bells) / sizeof(all->bells[0]))
        ring_all(all);
    all->bells[all->count++] = bell;
}

static void tell_task(kvi_lanes *lanes, kvi_task *task, const kvi_task *self, peal *bells)
{
    uint32_t taken = KVI_TASK_TAKEN;
    if (task == self)
        atomic_store_explicit(&task->state, KVI_TASK_DONE, memory_order_release);
    else if (!atomic_compare_exchange_strong(&task->state, &taken, KVI_TASK_DONE) &&
             (taken != KVI_TASK_LEAVING ||
              !atomic_compare_exchange_strong(&task->state, &taken, KVI_TASK_DONE)))
        ; /* its caller went away */
    else if (task->driver)
        task->driver->done(task);
    else
        add_bell(bells, task->bell);
    kvi_task_unref(lanes, task);
}

/* Puts back what must wait for the next vector; those that went away meanwhile are dropped. */
static void put_back(kvi_lane *lane, kvi_task **tasks, size_t count)
{
    kvi_lanes *lanes = lane->lanes;
    peal bells = {.count = 0};
    for (size_t i = count; i-- > 0;) {
        kvi_task *task = tasks[i];
        uint32_t taken = KVI_TASK_TAKEN;
        pthread_mutex_lock(&lanes->mutex);
        lane->callers--;
        lanes->callers--;
        bool back = atomic_compare_exchange_strong(&task->state, &taken, KVI_TASK_WAITING);
        if (back)
            kvi_line_put(lanes, task, true);
        pthread_mutex_unlock(&lanes->mutex);
        if (!back)
            tell_task(lanes, task, NULL, &bells); /* who stayed to hear it: nothing was sent */
    }
    ring_all(&bells);
}

void kvi_merge_tasks(kvi_lane *lane, kvi_task *lead)
{
    kvi_lanes *lanes = lane->lanes;
    kvi_flight *flight = lane->flight;
    kvi_task *later[KVI_MERGE_ITEMS];
    size_t later_count = 0, used = 0;
    size_t count = collect(lane, lead, flight->tasks);
    lead->ticket = 0; /* the first of its key: a leader flies itself */
    flight->kind = lead->kind;
    flight->merged = true;
    flight->count = 0;
    if (count > 1)
        qsort(flight->tasks, count, sizeof(flight->tasks[0]), compare_tasks);
    for (size_t begin = 0; begin < count;) {
        size_t end = begin + 1;
        while (end < count &&
               !kvi_slice_compare(task_key(flight->tasks[begin]), task_key(flight->tasks[end])))
            end++;
        size_t folded = fold_tasks(flight, flight->tasks + begin, end - begin);
        flight->first_task[flight->count] = used;
        flight->settled[flight->count++] = false;
        for (size_t i = begin; i < end; i++)
            if (i < begin + folded)
                flight->tasks[used++] = flight->tasks[i];
            else
                later[later_count++] = flight->tasks[i];
        begin = end;
    }
    flight->first_task[flight->count] = used;
    flight->task_count = used;
    put_back(lane, later, later_count);
    flight->read_items = flight->merged_reads;
    flight->write_items = flight->merged_writes;
    flight->reads = (kivi_read_vector)KVI_READ_VECTOR(flight->merged_reads, flight->count,
                                                      deliver_merged, flight);
    flight->writes = (kivi_write_vector)KVI_WRITE_VECTOR(flight->merged_writes, flight->count, 0);
    kvi_writes_setup(lanes->store, &flight->writes);
}

/* ---- answers ---- */

static void unfold_read(kivi_read_item *item, kvi_task **tasks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        kivi_read_item *own = &tasks[i]->read;
        own->ttl_ms = item->ttl_ms;
        own->sent = item->sent;
        own->error = i + 1 < count && item->error ? kvi_error_copy(item->error) : item->error;
        own->status = item->status;
        kvi_flight_judge_read(own);
    }
    item->error = NULL;
}

static void unfold_write(kivi_write_item *item, kvi_task **tasks, size_t count)
{
    kivi_write_item *members[KVI_MERGE_ITEMS] = {&tasks[0]->write};
    for (size_t i = 1; i < count; i++)
        members[i] = &tasks[i]->write;
    bool told = kvi_unfold_writes(item, members, count);
    for (size_t i = 0; i < count; i++) {
        tasks[i]->alone = !told;
        kvi_flight_judge_write(members[i]);
    }
}

size_t kvi_flight_settle(kvi_lane *lane, kvi_task *self)
{
    kvi_flight *flight = lane->flight;
    bool landed = !flight->active && flight->part_count == 0;
    size_t left = 0;
    peal bells = {.count = 0};
    for (size_t i = 0; i < flight->count; i++) {
        if (flight->settled[i])
            continue;
        kvi_task **tasks = flight->tasks + flight->first_task[i];
        size_t count = flight->first_task[i + 1] - flight->first_task[i];
        kivi_status status = flight->kind == KVI_READ ? flight->merged_reads[i].status
                                                      : flight->merged_writes[i].status;
        if (status == KIVI_PENDING && !landed) {
            left++;
            continue;
        }
        flight->settled[i] = true;
        /* Judged as the tasks' own: while the verb goes on, what the backend answered in its vector stays. */
        if (flight->kind == KVI_READ)
            unfold_read(&flight->merged_reads[i], tasks, count);
        else
            unfold_write(&flight->merged_writes[i], tasks, count);
        for (size_t t = 0; t < count; t++)
            tell_task(lane->lanes, tasks[t], self, &bells);
    }
    ring_all(&bells);
    return left;
}
