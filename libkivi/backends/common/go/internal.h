/* What the files of this folder share. */
#ifndef KVI_GO_INTERNAL_H
#define KVI_GO_INTERNAL_H

#include <signal.h>

#include "../../../core/base/platform.h"
#include "go.h"

/* Makes an error whose kind is known and returns it. */
#define KVI_GO_FAIL(error, status, native, retryable, ...) \
    (*(error) = kvi_go_core->error(status, native, retryable, __VA_ARGS__), (status))

/* ---- The library (load.c) ---- */

/* What the library exports; NULL until it is loaded. */
extern const kvi_go_engines *kvi_go_library;
kivi_status kvi_go_load(kivi_error **error);

/* ---- Signals (signals.c) ---- */

/* Around the start of a Go runtime: its threads get no signal of the program's, and the program keeps its own handlers. */
#define KVI_GO_GIVEN_BACK 6
typedef struct kvi_go_signals {
    sigset_t mask;
    struct sigaction kept[KVI_GO_GIVEN_BACK];
} kvi_go_signals;
void kvi_go_signals_before(kvi_go_signals *signals);
void kvi_go_signals_after(const kvi_go_signals *signals);
/* Go's own threads do not block all signals: makes sure that a handler of the program's would not run on their small stacks. */
void kvi_go_mind_handlers(void);

/* ---- Failures (failure.c) ---- */

/* The error of a failure that Go told of. */
kivi_status kvi_go_fail(kivi_error **error, const kvi_go_failure *failure);
kivi_status kvi_go_no_memory(kivi_error **error);

/* ---- Turns (turn.c) ---- */

/* The turn to write; with by_call of any verb, the file is opened as well. */
kivi_status kvi_go_begin(kvi_go_store *store, bool writes, kivi_wait *wait, kivi_error **error);
void kvi_go_end(kvi_go_store *store, bool writes);
void kvi_go_nap(uint64_t *ns, uint64_t most_ns);

/* ---- What Go calls (host.c) ---- */

extern const kvi_go_host kvi_go_callbacks;

#endif
