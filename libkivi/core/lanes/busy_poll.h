/* Whether a wait for an answer is spent awake, looking again and again, or asleep. */
#ifndef KVI_BUSY_POLL_H
#define KVI_BUSY_POLL_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

/* The longest wait awake: what the kernel's manual advises for busy_read (admin-guide/sysctl/net). */
#define KVI_BUSY_POLL_NS UINT64_C(50000)

/*
 * To fall asleep and be woken can cost more than the whole answer (Redis beside its client on a virtual machine: 80 us
 * asleep, 28 awake, for the same processor time). Which of the two is faster depends on machine, network and who else
 * computes, so that each lane tries both and goes by what it measured. One thread at a time.
 */
typedef struct kvi_busy_poll {
    uint64_t awake_ns, asleep_ns; /* what a flight of one wait takes: moving averages; 0: not tried */
    uint32_t flights;             /* since the slower way was tried */
    uint32_t missed; /* of 256 waits awake so many ended asleep all the same: a moving average */
    bool awake;      /* how the flight in progress waits */
    bool learns;     /* whether it says something of that way */
} kvi_busy_poll;

/* Decides how a flight waits; `calm`: there are processors enough to hold one for it. */
void kvi_busy_poll_begin(kvi_busy_poll *own, bool calm);
/* How long the flight took, with one wait in it. */
void kvi_busy_poll_learn(kvi_busy_poll *own, uint64_t took_ns);
/* Looks at a descriptor for `ns`, letting other threads run but never asleep: true: something came. Counts those for nothing. */
bool kvi_busy_poll_wait(kvi_busy_poll *own, struct pollfd *descriptor, uint64_t ns);

#endif
