/* The line: who waits for a lane, reads and writes apart. */
#include "lanes.h"

void kvi_line_put(kvi_lanes *lanes, kvi_task *task, bool first)
{
    unsigned q = kvi_line_of(task->kind);
    kvi_task *before = first ? NULL : lanes->queues[q].tail;
    kvi_task *behind = first ? lanes->queues[q].head : NULL;
    task->previous = before;
    task->next = behind;
    *(before ? &before->next : &lanes->queues[q].head) = task;
    *(behind ? &behind->previous : &lanes->queues[q].tail) = task;
    lanes->queues[q].count++;
}

void kvi_line_take(kvi_lanes *lanes, kvi_task *task)
{
    unsigned q = kvi_line_of(task->kind);
    *(task->previous ? &task->previous->next : &lanes->queues[q].head) = task->next;
    *(task->next ? &task->next->previous : &lanes->queues[q].tail) = task->previous;
    task->previous = task->next = NULL;
    lanes->queues[q].count--;
}

kvi_task *kvi_line_oldest(kvi_lanes *lanes)
{
    kvi_task *read = lanes->queues[0].head, *write = lanes->queues[1].head;
    if (!read || !write)
        return read ? read : write;
    return read->ticket < write->ticket ? read : write;
}

uint32_t kvi_line_count(const kvi_lanes *lanes)
{
    return lanes->queues[0].count + lanes->queues[1].count;
}

void kvi_line_share_bell(kvi_lanes *lanes, kvi_task *task)
{
    unsigned q = kvi_line_of(task->kind);
    uint32_t number = lanes->queues[q].sharers++;
    task->bell = (kvi_bell){&lanes->queues[q].bells[lanes->queues[q].bell], UINT32_C(1) << number % 32};
}

bool kvi_lanes_enqueue(kvi_lanes *lanes, kvi_task *task)
{
    task->ticket = ++lanes->tickets;
    kvi_line_share_bell(lanes, task);
    kvi_line_put(lanes, task, false);
    if (!lanes->gather_want || lanes->queues[1].count < lanes->gather_want)
        return false;
    atomic_fetch_add_explicit(&lanes->gathered, 1, memory_order_relaxed);
    return true;
}

bool kvi_lanes_leave(kvi_lanes *lanes, kvi_task *task)
{
    pthread_mutex_lock(&lanes->mutex);
    bool waiting = atomic_load_explicit(&task->state, memory_order_acquire) == KVI_TASK_WAITING;
    if (waiting)
        kvi_line_take(lanes, task);
    pthread_mutex_unlock(&lanes->mutex);
    return waiting;
}
