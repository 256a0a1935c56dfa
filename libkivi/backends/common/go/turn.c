/* Who may use a file: one writer at a time, and with hold=call one process at a time. */
#include <errno.h>

#include "internal.h"

#define SLICE_NS UINT64_C(50000000)
#define FIRST_NAP_NS UINT64_C(100000)
#define LONGEST_NAP_NS UINT64_C(10000000)

/* Sleeps, and longer the next time. */
void kvi_go_nap(uint64_t *ns, uint64_t most_ns)
{
    struct timespec pause = kvi_timespec(*ns);
    nanosleep(&pause, NULL);
    *ns = *ns * 2 < most_ns ? *ns * 2 : most_ns;
}

static kivi_status gave_up(kivi_error **error, kivi_status status, const kvi_go_store *store,
                           const char *why)
{
    return KVI_GO_FAIL(error, status, 0, KIVI_RETRY_YES, "%s: gave up waiting: %s",
                       store->file->settings.path, why);
}

static kivi_status take_turn(kvi_go_store *store, kivi_wait *wait, kivi_error **error)
{
    pthread_mutex_t *turn = &store->file->turn;

    if (pthread_mutex_trylock(turn) == 0)
        return KIVI_OK;
    for (;;) {
        kivi_status status = kivi_wait_check(wait);
        uint64_t until = kvi_go_core->monotonic_ns() + SLICE_NS, end = kivi_wait_deadline(wait);
        if (status)
            return gave_up(error, status, store, "another thread uses the file");
        if (kvi_mutex_lock_until(turn, until < end ? until : end) == 0)
            return KIVI_OK;
    }
}

/* The file, for one verb: whoever only reads shares it with other readers. */
static kivi_status open_for_call(kvi_go_store *store, bool writes, kivi_wait *wait, kivi_error **error)
{
    kvi_go_file *file = store->file;
    kvi_go_settings settings = file->settings;
    kvi_go_failure failure = {0};
    uint64_t pause = FIRST_NAP_NS;
    int32_t foreign = 0;
    kivi_status status;

    settings.read_only = settings.read_only || !writes;
    kvi_go_core->guard_descriptors();
    while ((status = kvi_go_library->open(store->kind, &settings, &file->opened, &failure)) == KIVI_BUSY) {
        kivi_status why = kivi_wait_check(wait);
        if (why)
            return gave_up(error, why, store, "another process has the file open");
        kvi_go_nap(&pause, LONGEST_NAP_NS);
    }
    if (status)
        return kvi_go_fail(error, &failure);
    file->engine = file->opened.engine;
    status = kvi_go_library->attach(file->engine, store->name, &store->id, &foreign, &failure);
    store->foreign = foreign != 0;
    if (!status)
        return KIVI_OK;
    kvi_go_library->close(file->engine);
    file->engine = 0;
    return kvi_go_fail(error, &failure);
}

kivi_status kvi_go_begin(kvi_go_store *store, bool writes, kivi_wait *wait, kivi_error **error)
{
    kivi_status status = KIVI_OK;

    if (writes || store->file->by_call)
        status = take_turn(store, wait, error);
    if (status || !store->file->by_call)
        return status;
    status = open_for_call(store, writes, wait, error);
    if (status)
        pthread_mutex_unlock(&store->file->turn);
    return status;
}

void kvi_go_end(kvi_go_store *store, bool writes)
{
    kvi_go_file *file = store->file;

    if (file->by_call) {
        kvi_go_library->detach(store->id);
        kvi_go_library->close(file->engine);
        file->engine = 0;
    }
    if (writes || file->by_call)
        pthread_mutex_unlock(&file->turn);
}
