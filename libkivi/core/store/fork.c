/* Fork: open stores are whole in the child, which then gets sessions and instances of its own. */
#include "../lanes/context.h"
#include "../lanes/lanes.h"
#include "computing.h"
#include "instance.h"
#include "places.h"

static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static kivi_store *registry;
static _Atomic uint32_t generation; /* forks that this process came from */
static pthread_once_t handlers_once = PTHREAD_ONCE_INIT;

/* Whether the instance is this process's own: a private copy is, also of a store that a child has not used yet. */
static bool owns_instance(const kivi_store *store)
{
    bool inherited = atomic_load(&store->gate) & KVI_GATE_FORKED;
    return store->instance_open && (!inherited || store->flags & KIVI_BACKEND_FORK_PRIVATE);
}

/* Two stores may share one engine: its hooks are called for the first of them only. */
static bool is_first_of_instance(const kivi_store *store)
{
    for (const kivi_store *other = registry; other != store; other = other->next)
        if (other->backend == store->backend && other->instance.handle == store->instance.handle &&
            owns_instance(other))
            return false;
    return owns_instance(store);
}

static void call_hook(const kivi_store *store, void (*hook)(void *))
{
    if (hook && is_first_of_instance(store))
        hook(store->instance.handle);
}

/* tests/standin/tsan.supp knows it by its name. */
static void before_fork(void)
{
    pthread_mutex_lock(&registry_mutex);
    kvi_computing_lock();
    for (kivi_store *store = registry; store; store = store->next) {
        pthread_mutex_lock(&store->lanes->mutex);
        call_hook(store, store->backend->fork_prepare);
    }
}

static void in_parent(void)
{
    for (kivi_store *store = registry; store; store = store->next) {
        call_hook(store, store->backend->fork_parent);
        pthread_mutex_unlock(&store->lanes->mutex);
    }
    kvi_computing_unlock();
    pthread_mutex_unlock(&registry_mutex);
}

static void in_child(void)
{
    for (kivi_store *store = registry; store; store = store->next) {
        call_hook(store, store->backend->fork_child);
        pthread_mutex_unlock(&store->lanes->mutex);
        /* a thread of the parent may have held it */
        pthread_mutex_init(&store->fork_mutex, NULL);
        kvi_places_forget(store->places);
    }
    for (kivi_store *store = registry; store; store = store->next) {
        atomic_fetch_or(&store->gate, KVI_GATE_FORKED);
        atomic_fetch_add(&store->generation, 1);
    }
    atomic_fetch_add(&generation, 1);
    kvi_computing_forget();
    kvi_computing_unlock();
    pthread_mutex_unlock(&registry_mutex);
}

static void install_handlers(void)
{
    pthread_atfork(before_fork, in_parent, in_child);
}

uint32_t kvi_fork_generation(void)
{
    pthread_once(&handlers_once, install_handlers);
    return atomic_load_explicit(&generation, memory_order_relaxed);
}

void kvi_fork_register(kivi_store *store)
{
    pthread_once(&handlers_once, install_handlers);
    pthread_mutex_lock(&registry_mutex);
    store->next = registry;
    if (registry)
        registry->previous = store;
    registry = store;
    pthread_mutex_unlock(&registry_mutex);
}

void kvi_fork_unregister(kivi_store *store)
{
    pthread_mutex_lock(&registry_mutex);
    *(store->previous ? &store->previous->next : &registry) = store->next;
    if (store->next)
        store->next->previous = store->previous;
    pthread_mutex_unlock(&registry_mutex);
}

/* The engine anew, unless the child goes on with its private copy. */
static kivi_status own_instance(kvi_context *ctx, kivi_store *store)
{
    if (store->flags & KIVI_BACKEND_FORK_PRIVATE)
        return KIVI_OK;
    bool inherited = store->instance_open;
    store->instance_open = false; /* first: another thread may fork in between */
    if (inherited && store->backend->abandon)
        store->backend->abandon(store->instance.handle);
    return kvi_instance_open(store, &ctx->wait, &ctx->error);
}

/* Another thread may have it for as long as the engine takes to open, which that thread's call says: ask our own. */
static kivi_status take_fork_mutex(kvi_context *ctx)
{
    while (pthread_mutex_trylock(&ctx->store->fork_mutex)) {
        kivi_status status = kvi_pause(ctx, KVI_MS);
        if (status)
            return status;
    }
    return KIVI_OK;
}

kivi_status kvi_fork_reopen(kvi_context *ctx)
{
    kivi_store *store = ctx->store;
    kivi_status status = take_fork_mutex(ctx);
    if (status)
        return status;
    if (!(atomic_load(&store->gate) & KVI_GATE_FORKED))
        goto out;
    if (store->flags & KIVI_BACKEND_FORK_REFUSED) {
        status = kvi_context_fail(
            ctx, KIVI_FORKED, "opened before the fork; %s cannot be used by both parent and child",
            store->backend->name);
        goto out;
    }
    kvi_lanes_abandon(store->lanes);
    status = own_instance(ctx, store);
    if (status == KIVI_OK)
        atomic_fetch_and(&store->gate, ~(uint32_t)KVI_GATE_FORKED);
out:
    pthread_mutex_unlock(&store->fork_mutex);
    return status;
}
