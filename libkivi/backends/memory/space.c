/* Spaces: where records live, by name or private. */
#include "space.h"
#include "../../core/base/platform.h"
#include "memory.h"

static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static memory_space *registry;        /* named spaces; under the mutex */
static unsigned registry_forks;       /* as memory_space.forks; under the mutex */
static _Atomic(pthread_t) fork_owner; /* the thread that forks, 0: none */

/* ---- Open and close ---- */

static memory_space *space_new(const char *name)
{
    size_t size = strlen(name) + 1;
    memory_space *space = calloc(1, sizeof(*space) + size);

    if (!space)
        return NULL;
    /* A stream of readers does not keep writers out. No reader waits for another call inside it. */
    kvi_rwlock_init(&space->lock);
    memcpy(space->name, name, size);
    space->users = 1;
    return space;
}

static memory_space *registry_find(const char *name)
{
    for (memory_space *space = registry; space; space = space->next)
        if (strcmp(space->name, name) == 0)
            return space;
    return NULL;
}

memory_space *kvi_space_open(const char *name)
{
    memory_space *space;

    if (!name || !*name)
        return space_new("");
    pthread_mutex_lock(&registry_mutex);
    space = registry_find(name);
    if (space) {
        space->users++;
    } else {
        space = space_new(name);
        if (space) {
            space->next = registry;
            registry = space;
        }
    }
    pthread_mutex_unlock(&registry_mutex);
    return space;
}

static void registry_remove(const memory_space *space)
{
    memory_space **at = &registry;

    while (*at && *at != space)
        at = &(*at)->next;
    if (*at)
        *at = space->next;
}

void kvi_space_close(memory_space *space)
{
    bool last;

    pthread_mutex_lock(&registry_mutex);
    last = --space->users == 0;
    if (last)
        registry_remove(space);
    pthread_mutex_unlock(&registry_mutex);
    if (!last)
        return;
    kvi_tree_clear(&space->tree);
    kvi_heap_free(&space->heap);
    pthread_rwlock_destroy(&space->lock);
    free(space);
}

/* ---- Expiry ---- */

int64_t kvi_clock_now(memory_clock *clock)
{
    if (!clock->known) {
        clock->now = kvi_memory_host->clock_ms();
        clock->known = true;
    }
    return clock->now;
}

/*
 * The clock drops what is below a millisecond, so the last one still counts as life: of a TTL that began
 * late within a millisecond some is left when the clock shows its end.
 */
bool kvi_space_expired(const memory_record *record, memory_clock *clock)
{
    return record->expires && kvi_clock_now(clock) > record->expires;
}

int64_t kvi_space_ttl(const memory_record *record, memory_clock *clock)
{
    int64_t left;

    if (!record->expires)
        return KIVI_TTL_NONE;
    left = record->expires - kvi_clock_now(clock);
    return left > 0 ? left : 1;
}

memory_record *kvi_space_live(const memory_space *space, kivi_slice key, memory_clock *clock)
{
    memory_record **place = kvi_tree_find(&space->tree, key);

    if (!place || kvi_space_expired(*place, clock))
        return NULL;
    return *place;
}

void kvi_space_expire(memory_space *space, memory_record *record, int64_t expires)
{
    kvi_heap_remove(&space->heap, record);
    record->expires = expires;
    if (expires)
        kvi_heap_push(&space->heap, record);
}

/* ---- Changes ---- */

static void space_let_go(memory_space *space, memory_record *record, memory_record **gone)
{
    kvi_heap_remove(&space->heap, record);
    atomic_fetch_sub_explicit(&space->bytes, record_size(record), memory_order_relaxed);
    record->next = *gone;
    *gone = record;
}

bool kvi_space_put(memory_space *space, memory_record *record, memory_record **gone)
{
    memory_record **place = kvi_tree_find(&space->tree, record_key(record));

    if (place) {
        space_let_go(space, *place, gone);
        *place = record;
    } else {
        if (!kvi_tree_insert(&space->tree, record))
            return false;
        atomic_fetch_add_explicit(&space->keys, 1, memory_order_relaxed);
    }
    record->version = ++space->version;
    atomic_fetch_add_explicit(&space->bytes, record_size(record), memory_order_relaxed);
    if (record->expires)
        kvi_heap_push(&space->heap, record);
    return true;
}

void kvi_space_remove(memory_space *space, kivi_slice key, memory_record **gone)
{
    memory_record *record = kvi_tree_remove(&space->tree, key);

    if (!record)
        return;
    atomic_fetch_sub_explicit(&space->keys, 1, memory_order_relaxed);
    space_let_go(space, record, gone);
}

uint64_t kvi_space_sweep(memory_space *space, uint64_t most, memory_clock *clock, memory_record **gone)
{
    uint64_t swept = 0;

    while (swept < most) {
        memory_record *record = kvi_heap_first(&space->heap);

        if (!record || !kvi_space_expired(record, clock))
            break;
        kvi_space_remove(space, record_key(record), gone);
        swept++;
    }
    return swept;
}

void kvi_space_drop(memory_record *gone)
{
    while (gone) {
        memory_record *next = gone->next;

        record_unref(gone);
        gone = next;
    }
}

/* ---- Fork ---- */

/*
 * Several stores may share a space, and each is told of the fork: the first one locks, the last one
 * unlocks. `fork_owner` tells whether the registry is already held by this very thread.
 */
static bool forking_here(void)
{
    return pthread_equal(atomic_load(&fork_owner), pthread_self());
}

void kvi_space_fork_prepare(memory_space *space)
{
    if (!forking_here()) {
        pthread_mutex_lock(&registry_mutex);
        atomic_store(&fork_owner, pthread_self());
    }
    registry_forks++;
    if (space->forks++ == 0)
        pthread_rwlock_wrlock(&space->lock);
}

void kvi_space_fork_parent(memory_space *space)
{
    if (--space->forks == 0)
        pthread_rwlock_unlock(&space->lock);
    if (--registry_forks == 0) {
        atomic_store(&fork_owner, (pthread_t)0);
        pthread_mutex_unlock(&registry_mutex);
    }
}

/*
 * The child's only thread is a copy of the one that locked, so it may unlock. But the locks still count
 * the parent's threads that waited for them: they are made anew.
 */
void kvi_space_fork_child(memory_space *space)
{
    if (--space->forks == 0) {
        pthread_rwlock_unlock(&space->lock);
        /* A stream of readers does not keep writers out. No reader waits for another call inside it. */
        kvi_rwlock_init(&space->lock);
    }
    if (--registry_forks == 0) {
        atomic_store(&fork_owner, (pthread_t)0);
        pthread_mutex_unlock(&registry_mutex);
        pthread_mutex_init(&registry_mutex, NULL);
    }
}
