/* The instance of an open store, and what a fork does to it. */
#ifndef KVI_INSTANCE_H
#define KVI_INSTANCE_H

#include "../core.h"

/* Opens (or opens anew) the instance by the store's configuration. */
kivi_status kvi_instance_open(kivi_store *store, kivi_wait *wait, kivi_error **error);

/* ---- fork.c ---- */

/* A number that moves on with every fork, in the child. */
uint32_t kvi_fork_generation(void);
void kvi_fork_register(kivi_store *store);
void kvi_fork_unregister(kivi_store *store);
/* In a child: gives the store its own sessions and instance. OK, FORKED, or why opening failed. */
kivi_status kvi_fork_reopen(kvi_context *ctx);

#endif
