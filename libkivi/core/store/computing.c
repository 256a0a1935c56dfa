/* The keys being computed in this process, for all its stores. */
#include "computing.h"

#include "../base/platform.h"

#include <stdlib.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static kvi_computing *list;

void kvi_computing_lock(void)
{
    pthread_mutex_lock(&mutex);
}

void kvi_computing_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

void kvi_computing_forget(void)
{
    /* The memory stays: the one thread of the child may be inside a computation. */
    list = NULL;
}

static kvi_computing *find(const kivi_store *store, kivi_slice key)
{
    for (kvi_computing *one = list; one; one = one->next)
        if (one->identity == store->identity && !kvi_slice_compare(one->key, key))
            return one;
    return NULL;
}

void kvi_computing_unref(kvi_computing *one)
{
    pthread_mutex_lock(&mutex);
    bool last = --one->refs == 0;
    pthread_mutex_unlock(&mutex);
    if (last)
        free(one);
}

kvi_computing *kvi_computing_join(const kivi_store *store, kivi_slice key, bool *mine)
{
    pthread_mutex_lock(&mutex);
    kvi_computing *one = find(store, key);
    *mine = !one;
    if (!one) {
        one = malloc(sizeof(*one) + key.size);
        if (one) {
            *one = (kvi_computing){.next = list, .identity = store->identity, .owner = pthread_self()};
            one->key = kivi_bytes(memcpy(one + 1, key.data, key.size), key.size);
            list = one;
        }
    }
    if (one)
        one->refs++;
    pthread_mutex_unlock(&mutex);
    return one;
}

void kvi_computing_finish(kvi_computing *one, kivi_status failed)
{
    pthread_mutex_lock(&mutex);
    for (kvi_computing **link = &list; *link; link = &(*link)->next)
        if (*link == one) {
            *link = one->next;
            break;
        }
    pthread_mutex_unlock(&mutex);
    one->status = failed;
    atomic_store(&one->done, 1);
    kvi_futex_wake(&one->done, INT32_MAX);
    kvi_computing_unref(one);
}
