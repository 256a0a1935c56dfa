/* Computations that fail: what the language raised reaches all who waited for them. */
#include "bindings.h"

static bool is_same_key(const kvb_answer *a, const kvb_answer *b)
{
    kivi_slice left = a->request.key, right = b->request.key;
    return left.size == right.size && !memcmp(left.data, right.data, left.size);
}

static void give(kvb_answer *to, const kvb_answer *from)
{
    if (to->failure || to == from || !is_same_key(to, from))
        return;
    from->hold(from->shared);
    to->failure = from->shared;
}

void kvb_answer_share(kvb_answer *answer, void *failure, void (*hold)(void *))
{
    answer->shared = failure;
    answer->hold = hold;
    for (kvb_answer *other = answer->store->computing; other; other = other->next_computing)
        give(other, answer);
}

void kvb_share_begin(kvb_answer *answer)
{
    kvb_answer **first = &answer->store->computing;
    if (answer->request.verb != KVB_VERB_GET_OR_SET)
        return;
    /* A computation that failed a moment ago may still be the one that this call will wait for. */
    for (kvb_answer *other = *first; other; other = other->next_computing)
        if (other->shared)
            give(answer, other);
    answer->next_computing = *first;
    *first = answer;
}

void kvb_share_end(kvb_answer *answer)
{
    kvb_answer **link = &answer->store->computing;
    if (answer->request.verb != KVB_VERB_GET_OR_SET)
        return;
    while (*link != answer)
        link = &(*link)->next_computing;
    *link = answer->next_computing;
    answer->next_computing = NULL;
}
