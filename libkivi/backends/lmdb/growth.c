/* The gate: what may only happen while no read of this process is inside the map. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"

/*
 * A reader first takes its slot, then looks at the gate; whoever closes the gate first closes it, then looks
 * at the slots. Both steps are sequentially consistent, so one of the two sees the other.
 */
bool kvi_lmdb_gate_close(kvi_lmdb_env *env)
{
    uint64_t until = 0, pause = 20000;

    atomic_store(&env->gate, 1);
    for (unsigned i = 0; i < env->slot_count; i++) {
        while (atomic_load(&env->slots[i].taken)) {
            uint64_t now = kvi_lmdb_host->monotonic_ns();
            if (!until)
                until = now + KVI_LMDB_GATE_NS;
            if (now >= until) {
                atomic_store(&env->gate, 0);
                return false;
            }
            kvi_lmdb_sleep(pause);
            if (pause < 1000000)
                pause *= 2;
        }
    }
    return true;
}

void kvi_lmdb_gate_open(kvi_lmdb_env *env)
{
    atomic_store(&env->gate, 0);
}

kivi_status kvi_lmdb_busy(kvi_lmdb_env *env, const char *what, kivi_error **error)
{
    KVI_LMDB_ERROR(error, KIVI_BUSY, MDB_MAP_FULL, KIVI_RETRY_YES,
                   "%s: cannot %s while a read of this process is in progress", env->names.data, what);
    return KIVI_BUSY;
}

/* Whether there is so much address space; trying it with the map itself would lose the map. */
static bool is_room(uint64_t size)
{
    void *at;

    if (size > SIZE_MAX / 2)
        return false;
    at = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return false;
    munmap(at, size);
    return true;
}

/* The next size of the map, or 0 when there is no room for any that would help. */
static uint64_t next_size(const kvi_lmdb_env *env, uint64_t need)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), old = env->map_size;
    uint64_t least = old + need + 64 * page;
    uint64_t steps[] = {old * 2, old + old / 2, old + old / 8};

    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        uint64_t size = (steps[i] > least ? steps[i] : least) / page * page;
        /* The old map goes before the new one comes: its room counts. */
        if (is_room(size - old))
            return size;
    }
    return 0;
}

/* Closes the gate, and keeps the helper of writers out of LMDB as well. */
static bool shut(kvi_lmdb_env *env)
{
    if (!kvi_lmdb_helper_stop(env))
        return false;
    if (kvi_lmdb_gate_close(env))
        return true;
    kvi_lmdb_helper_go_on(env);
    return false;
}

static void unshut(kvi_lmdb_env *env)
{
    kvi_lmdb_gate_open(env);
    kvi_lmdb_helper_go_on(env);
}

/* Sets the map's size with the gate closed. LMDB that has lost its map is opened afresh. */
static kivi_status resize(kvi_lmdb_env *env, uint64_t size, kivi_error **error)
{
    MDB_envinfo info;
    int rc = mdb_env_set_mapsize(env->mdb, size);

    if (rc != 0) {
        env->broken = true;
        return kvi_lmdb_env_reopen(env, error);
    }
    mdb_env_info(env->mdb, &info);
    env->map_size = info.me_mapsize;
    return KIVI_OK;
}

kivi_status kvi_lmdb_grow(kvi_lmdb_env *env, uint64_t need, kivi_error **error)
{
    uint64_t size;
    kivi_status status;

    if (!env->mdb)
        return kvi_lmdb_mend(env, error);
    size = next_size(env, need);
    if (!size) {
        KVI_LMDB_ERROR(error, KIVI_NO_MEMORY, ENOMEM, KIVI_RETRY_YES,
                       "%s: the map is full, and no address space is left to grow it", env->names.data);
        return KIVI_NO_MEMORY;
    }
    if (!shut(env))
        return kvi_lmdb_busy(env, "grow the map", error);
    status = resize(env, size, error);
    unshut(env);
    return status;
}

kivi_status kvi_lmdb_adopt_size(kvi_lmdb_env *env, kivi_error **error)
{
    kivi_status status = KIVI_OK;

    if (!shut(env))
        return kvi_lmdb_busy(env, "follow a map that another process made larger", error);
    if (env->mdb)
        status = resize(env, 0, error);
    unshut(env);
    return status;
}

kivi_status kvi_lmdb_adopt_mark(kvi_lmdb_env *env, kivi_error **error)
{
    int rc = 0;

    if (!kvi_lmdb_gate_close(env))
        return kvi_lmdb_busy(env, "open the database of expiries", error);
    if (env->mdb && !env->expiries)
        rc = kvi_lmdb_env_mark(env);
    kvi_lmdb_gate_open(env);
    return rc == 0 ? KIVI_OK : kvi_lmdb_fail(error, rc, env->names.data, "cannot keep expiries");
}

int kvi_lmdb_make_mark(kvi_lmdb_env *env, kivi_wait *wait, bool *wanted)
{
    MDB_txn *txn;
    int rc = kvi_lmdb_write_begin(env, wait, wanted, &txn);

    if (rc != 0)
        return rc;
    if (!kvi_lmdb_gate_close(env)) {
        kvi_lmdb_write_abort(env, txn);
        return KVI_LMDB_INSIDE;
    }
    rc = kvi_lmdb_env_mark_make(env, txn);
    kvi_lmdb_gate_open(env);
    return rc;
}

kivi_status kvi_lmdb_mend(kvi_lmdb_env *env, kivi_error **error)
{
    kivi_status status = KIVI_OK;

    if (env->mdb && !env->broken)
        return KIVI_OK;
    if (!shut(env))
        return kvi_lmdb_busy(env, "open the file again after a failure", error);
    status = kvi_lmdb_env_reopen(env, error);
    unshut(env);
    return status;
}
