/* take and get_and_expire of values that are decoded, in two steps: what cannot be handed over stays where it is. */
#include "bindings.h"

bool kvb_answer_is_unconfirmed(const kvb_answer *answer)
{
    return kvb_is_first_step(answer) && answer->done.status == KIVI_OK;
}

bool kvb_answer_is_confirmed(const kvb_answer *answer)
{
    return kvb_is_second_step(answer) && answer->done.status == KIVI_OK;
}

void kvb_take_prepare(kvb_answer *answer)
{
    int32_t *verb = &answer->request.verb;
    if ((*verb != KIVI_VERB_TAKE && *verb != KIVI_VERB_GET_AND_EXPIRE) ||
        (!answer->store->decodes && !strcmp(answer->store->codec, "raw")))
        return;
    *verb = *verb == KIVI_VERB_TAKE ? KIVI_VERB_TAKE_BEGIN : KIVI_VERB_GET_AND_EXPIRE_BEGIN;
    if (!answer->timeout_ms)
        answer->timeout_ms = kivi_store_timeout(answer->store->store);
}

/* Takes a step's time off; that of the language between the steps does not count. False: there is none left. */
static bool spend_time(kvb_answer *answer)
{
    int64_t left = answer->timeout_ms - (kvb_now_ms() - answer->began_ms);
    if (answer->timeout_ms <= 0)
        return true;
    answer->timeout_ms = left > 0 ? left : 1;
    return left > 0;
}

static void make_step(kvb_answer *answer, int32_t verb, kivi_slice expected)
{
    void *missing = answer->missing;
    answer->request.verb = verb;
    answer->request.expected = expected;
    answer->done = (kivi_completion)KIVI_COMPLETION_INIT;
    kvb_answer_make(answer);
    answer->missing = missing;
}

/* Somebody else wrote in between. */
static bool was_lost(const kvb_answer *answer)
{
    kivi_status status = answer->done.status;
    return kvb_is_second_step(answer) && (status == KIVI_CONDITION || status == KIVI_NOT_FOUND);
}

static void read_again(kvb_answer *answer)
{
    kivi_completion lost = answer->done, read = answer->read;
    answer->read = (kivi_completion)KIVI_COMPLETION_INIT;
    make_step(answer, answer->request.verb - 1, kivi_bytes(NULL, 0));
    kivi_completion_release(&lost);
    kivi_completion_release(&read);
}

bool kvb_take_arrived(kvb_answer *answer)
{
    bool in_time = (!kvb_is_first_step(answer) && !kvb_is_second_step(answer)) || spend_time(answer);
    if (!was_lost(answer))
        return true;
    if (!in_time) {
        answer->done.status = KIVI_TIMEOUT;
        return true;
    }
    read_again(answer);
    if (answer->pending)
        return false;
    spend_time(answer);
    return true;
}

void kvb_answer_confirm(kvb_answer *answer)
{
    kivi_completion_release(&answer->read);
    answer->read = answer->done; /* its version is asked for, and a queue's request has its key */
    make_step(answer, answer->request.verb + 1, answer->read.version);
    if (!answer->pending)
        kvb_take_arrived(answer);
}
