/* How one call is to be made: its time limit, who may end it, and its trace. */
#ifndef KIVI_CALL_H
#define KIVI_CALL_H

#include <kivi/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A flag that ends waiting calls from outside. Raising is one atomic store: any thread or signal
 * handler may do it. Calls given the interrupt see it within 50 ms of waiting and return
 * KIVI_INTERRUPTED (or KIVI_UNCERTAIN, for a write of which something was sent). It stays raised until
 * cleared; a call that needs no waiting does not look at it. Must outlive the calls that name it.
 */
typedef struct kivi_interrupt kivi_interrupt;

/** A new interrupt, not raised; NULL without memory. Since 0.1. */
KIVI_API kivi_interrupt *kivi_interrupt_new(void);
/** Raises it. Async-signal-safe. Since 0.1. */
KIVI_API void kivi_interrupt_raise(kivi_interrupt *interrupt);
/** Lowers it again for the next call. Since 0.1. */
KIVI_API void kivi_interrupt_clear(kivi_interrupt *interrupt);
/** Frees it; NULL is nothing. Since 0.1. */
KIVI_API void kivi_interrupt_free(kivi_interrupt *interrupt);

/** For `timeout_ms`: wait as long as it takes. */
#define KIVI_NO_TIMEOUT INT64_C(-1)

enum {
    /**
     * The call is made inside a function of kivi_store_update() or kivi_store_get_or_set(), though by another thread than
     * the one that runs it: it waits for nobody's turn at a key. (On that thread itself the library knows.)
     */
    KIVI_CALL_INSIDE = 1 << 0
};

/**
 * Options of one call. Pass NULL for the defaults, or start from KIVI_CALL_INIT and set what you need:
 * `kivi_call call = KIVI_CALL_INIT; call.timeout_ms = 250;`
 * Bytes beyond what the library knows must be zero, else KIVI_UNSUPPORTED before anything is sent.
 */
typedef struct kivi_call {
    uint32_t struct_size; /**< sizeof(kivi_call) */
    uint32_t flags;       /**< KIVI_CALL_* */
    int64_t timeout_ms; /**< from the start of the call; 0: the store's `timeout`; KIVI_NO_TIMEOUT */
    kivi_interrupt *interrupt; /**< ends the call when raised; may be NULL */
    /** Asked on EINTR and at least every 50 ms of waiting, with no lock held, on the waiting thread:
     *  non-zero ends the call with KIVI_INTERRUPTED. A binding checks its signals here. The time that it takes
     *  does not count against the deadline. May be NULL. */
    int (*interrupted)(void *user);
    void *user;        /**< given to `interrupted` */
    const void *trace; /**< handed unread to the event hook; may be NULL */
} kivi_call;

#define KIVI_CALL_INIT                                  \
    {                                                   \
        sizeof(kivi_call), 0, 0, NULL, NULL, NULL, NULL \
    }

#ifdef __cplusplus
}
#endif
#endif
