/* get_or_set: the keys being computed in this process, for all its stores. */
#ifndef KVI_COMPUTING_H
#define KVI_COMPUTING_H

#include "../core.h"

/* A key that somebody computes. Counted: the computing caller and those that wait hold it. */
typedef struct kvi_computing {
    struct kvi_computing *next;
    uint64_t identity;
    kivi_slice key; /* stored form, in the memory behind */
    pthread_t owner;
    uint32_t refs;         /* under the mutex */
    _Atomic uint32_t done; /* a futex; what follows is there when it is set */
    kivi_status status;    /* how the function failed, for those who waited; OK: they look again */
} kvi_computing;

/* The entry of a key, with a reference; `*mine`: the caller is the one to compute. NULL: no memory. */
kvi_computing *kvi_computing_join(const kivi_store *store, kivi_slice key, bool *mine);
/* The computation is over: those that wait look again, or fail with `failed` if that is not OK. Gives the reference back. */
void kvi_computing_finish(kvi_computing *one, kivi_status failed);
void kvi_computing_unref(kvi_computing *one);

/* ---- for forks ---- */

void kvi_computing_lock(void);
void kvi_computing_unlock(void);
/* In a child, locked: nobody computes any more. */
void kvi_computing_forget(void);

#endif
