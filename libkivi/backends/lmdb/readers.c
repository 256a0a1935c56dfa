/* The pool of read transactions: one for each read in progress, whatever thread it is on. */
#include <errno.h>

#include "engine.h"

#define likely(x) __builtin_expect(!!(x), 1)

/*
 * Where a thread begins to look for a slot. Stacks lie a power of two apart, with or without a guard page
 * between them: one of the two parts differs from thread to thread.
 */
static inline unsigned hint(const kvi_lmdb_env *env)
{
    uintptr_t thread = (uintptr_t)__builtin_thread_pointer();
    return (unsigned)((thread >> 12) + (thread >> 23)) & (env->kept - 1);
}

static inline bool slot_take(kvi_lmdb_slot *slot)
{
    return atomic_exchange(&slot->taken, 1) == 0;
}

static inline void slot_give(kvi_lmdb_slot *slot)
{
    atomic_store_explicit(&slot->taken, 0, memory_order_release);
}

/* What the snapshot holds beside values: known as long as nobody else commits. */
static inline int look(kvi_lmdb_env *env, kvi_lmdb_slot *slot)
{
    size_t seen = atomic_load_explicit(&env->seen, memory_order_acquire);
    int rc;

    if (likely(seen >> 1 == mdb_txn_id(slot->txn))) {
        slot->expiries = seen & 1;
        slot->marked = env->expiries != 0;
        return 0;
    }
    rc = kvi_lmdb_expiries_ask(env, slot->txn, &slot->expiries, &slot->marked);
    if (rc == 0)
        kvi_lmdb_expiries_tell(env, mdb_txn_id(slot->txn), slot->expiries);
    return rc;
}

static inline void slot_end(kvi_lmdb_env *env, kvi_lmdb_slot *slot)
{
    if (likely(slot < env->slots + env->kept)) {
        mdb_txn_reset(slot->txn);
    } else {
        /* The lock table is shared with other processes: only a few places are kept. */
        mdb_txn_abort(slot->txn);
        slot->txn = NULL;
    }
}

void kvi_lmdb_leave(kvi_lmdb_env *env, kvi_lmdb_slot *slot)
{
    slot_end(env, slot);
    slot_give(slot);
}

/* Begins the transaction of a slot that was taken. */
static int slot_begin(kvi_lmdb_env *env, kvi_lmdb_slot *slot)
{
    int rc;

    if (!env->mdb)
        return MDB_PANIC;
    if (!slot->txn) {
        rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &slot->txn);
        if (rc != 0)
            slot->txn = NULL;
    } else {
        rc = mdb_txn_renew(slot->txn);
    }
    if (rc != 0)
        return rc;
    rc = look(env, slot);
    if (rc != 0)
        slot_end(env, slot);
    return rc;
}

/* A free slot, from the thread's own on; `begun`: only one that has its place in the lock table already. */
static kvi_lmdb_slot *slot_find(kvi_lmdb_env *env, bool begun)
{
    unsigned first = hint(env);

    for (unsigned i = 0; i < env->slot_count; i++) {
        /* First all that are kept, so that few others are begun. */
        kvi_lmdb_slot *slot = &env->slots[i < env->kept ? (first + i) & (env->kept - 1) : i];
        if (atomic_load_explicit(&slot->taken, memory_order_relaxed) || !slot_take(slot))
            continue;
        if (!begun || slot->txn)
            return slot;
        slot_give(slot);
    }
    return NULL;
}

/* Tries once. MDB_READERS_FULL: every place is taken. EBUSY: the gate is closed. */
static int try_enter(kvi_lmdb_env *env, bool begun, kvi_lmdb_slot **found)
{
    kvi_lmdb_slot *slot = slot_find(env, begun);
    int rc;

    if (!slot)
        return MDB_READERS_FULL;
    rc = atomic_load(&env->gate) ? EBUSY : slot_begin(env, slot);
    if (rc == 0)
        *found = slot;
    else
        slot_give(slot);
    return rc;
}

/* Sets right what keeps reads from beginning. BUSY: another read is in the way. */
static kivi_status set_right(kvi_lmdb_env *env, int rc, kivi_wait *wait)
{
    kivi_status status = kvi_lmdb_turn_take(env, wait, NULL);

    if (status != KIVI_OK)
        return status;
    if (rc == MDB_MAP_RESIZED) {
        status = kvi_lmdb_adopt_size(env, NULL);
    } else if (rc == KVI_LMDB_MARKED) {
        status = kvi_lmdb_adopt_mark(env, NULL);
    } else {
        env->broken = true;
        env->lost = env->lost || rc == MDB_BAD_RSLOT;
        status = kvi_lmdb_mend(env, NULL);
    }
    kvi_lmdb_turn_give(env);
    return status;
}

static bool can_set_right(int rc)
{
    return rc == MDB_MAP_RESIZED || rc == KVI_LMDB_MARKED || rc == MDB_PANIC || rc == MDB_BAD_RSLOT;
}

/* Gives back the places of processes that died; false: somebody is at work here, or there are none. */
static bool readers_clear(kvi_lmdb_env *env)
{
    int dead = 0;

    if (pthread_mutex_trylock(&env->turn) != 0)
        return false;
    if (env->mdb)
        mdb_reader_check(env->mdb, &dead);
    pthread_mutex_unlock(&env->turn);
    return dead > 0;
}

/* Once, by all means but waiting. */
static int enter_now(kvi_lmdb_env *env, bool clear, kvi_lmdb_slot **slot)
{
    int rc = try_enter(env, false, slot);

    if (rc == MDB_READERS_FULL && clear && readers_clear(env))
        rc = try_enter(env, false, slot);
    return rc == MDB_READERS_FULL ? try_enter(env, true, slot) : rc;
}

static kivi_status enter_waiting(kvi_lmdb_env *env, kivi_wait *wait, kvi_lmdb_slot **slot,
                                 kivi_error **error)
{
    uint64_t pause = 50000, waited = 0;
    unsigned repairs = 0;

    /* The time runs from here, not from the first look at it behind a wait for the gate. */
    (void)kivi_wait_deadline(wait);
    for (;;) {
        int rc = enter_now(env, waited % 64 == 0, slot);
        kivi_status status = KIVI_OK;

        if (rc == 0)
            return KIVI_OK;
        if (can_set_right(rc) && repairs++ < 64) {
            status = set_right(env, rc, wait);
            if (status == KIVI_OK)
                continue;
        } else if (rc != MDB_READERS_FULL && rc != EBUSY) {
            return kvi_lmdb_fail(error, rc, env->names.data, "cannot read");
        }
        if (status != KIVI_OK && status != KIVI_BUSY) {
            KVI_LMDB_ERROR(error, status, rc, KIVI_RETRY_YES, "%s: cannot read, nor recover from: %s",
                           env->names.data, mdb_strerror(rc));
            return status;
        }
        status = kivi_wait_check(wait);
        if (status != KIVI_OK)
            return kvi_lmdb_gave_up(error, status, env->names.data,
                                    rc == MDB_READERS_FULL ? "all readers are taken (max_readers)"
                                                           : "the map is growing");
        kvi_lmdb_sleep(pause);
        waited++;
        if (pause < 2000000)
            pause *= 2;
    }
}

kivi_status kvi_lmdb_enter(kvi_lmdb_env *env, kivi_wait *wait, kvi_lmdb_slot **slot, kivi_error **error)
{
    kvi_lmdb_slot *own = &env->slots[hint(env)];

    if (likely(slot_take(own))) {
        if (likely(!atomic_load(&env->gate) && own->txn && mdb_txn_renew(own->txn) == 0)) {
            if (likely(look(env, own) == 0)) {
                *slot = own;
                return KIVI_OK;
            }
            mdb_txn_reset(own->txn);
        }
        slot_give(own);
    }
    return enter_waiting(env, wait, slot, error);
}
