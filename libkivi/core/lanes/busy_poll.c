/* Waiting awake: the choice, what it is made by, and the wait itself. */
#include "busy_poll.h"
#include "../base/platform.h"

#include "../base/base.h"

#include <sched.h>

#define WEIGHT 8  /* of the past in an average */
#define OUTLIER 4 /* times the average is the most that one flight counts */
#define MISSED_ALL 256
#define MISSED_MOST 64 /* more waits that looked in vain: awake is not worth it */
#define ASLEEP_TRIES \
    256                /* while awake is better, every so many-th flight sleeps (1 % of the time) */
#define AWAKE_TRIES 64 /* while asleep is better (less than 1 us of processor time a flight) */

/*
 * Awake must save a third: it holds a processor all the while. (A server in the next rack is not worth it.) And what it saves
 * must not come from chance, while it sleeps all the same after it has looked: then all that looking was on top. (Redis
 * beside two busy loops on two processors: twice the processor time.)
 */
static bool prefers_awake(const kvi_busy_poll *own)
{
    return own->missed < MISSED_MOST && own->awake_ns < own->asleep_ns - own->asleep_ns / 3;
}

void kvi_busy_poll_begin(kvi_busy_poll *own, bool calm)
{
    own->learns = calm;
    own->awake = false;
    if (!calm || !own->asleep_ns)
        return;
    own->awake = !own->awake_ns || prefers_awake(own);
    if (!own->awake_ns || ++own->flights < (own->awake ? ASLEEP_TRIES : AWAKE_TRIES))
        return;
    own->flights = 0;
    own->awake = !own->awake;
}

void kvi_busy_poll_learn(kvi_busy_poll *own, uint64_t took_ns)
{
    uint64_t *average = own->awake ? &own->awake_ns : &own->asleep_ns;

    if (!own->learns)
        return;
    if (!*average)
        *average = took_ns;
    if (took_ns > *average * OUTLIER)
        took_ns = *average * OUTLIER;
    *average = (*average * (WEIGHT - 1) + took_ns) / WEIGHT + 1; /* never 0 */
}

/*
 * Who else wants this processor has it: the wait then takes as long as it does, and the lane learns to sleep. (8 Ruby threads
 * under their global lock: 9.7 us a get with the yield, 14.3 without.)
 */
static bool look(struct pollfd *descriptor, uint64_t ns)
{
    uint64_t until = kvi_monotonic_ns() + ns;

    do {
        if (poll(descriptor, 1, 0) > 0)
            return true;
        sched_yield();
    } while (kvi_monotonic_ns() < until);
    return false;
}

bool kvi_busy_poll_wait(kvi_busy_poll *own, struct pollfd *descriptor, uint64_t ns)
{
    bool came = look(descriptor, ns);

    own->missed = (own->missed * (WEIGHT - 1) + (came ? 0 : MISSED_ALL)) / WEIGHT;
    return came;
}
