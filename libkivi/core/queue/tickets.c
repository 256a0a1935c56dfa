/* Calls in flight by their tickets: chains of a table that is about as long as there are calls. */
#include "queue.h"

#include <stdlib.h>

#define FIRST_ROOM 64

static kvi_queued **chain_of(const kvi_tickets *tickets, uint64_t ticket)
{
    return &tickets->chains[ticket & (tickets->room - 1)]; /* they are numbered in turn: no hash needed */
}

static void put(kvi_tickets *tickets, kvi_queued *call)
{
    kvi_queued **chain = chain_of(tickets, call->ticket);
    call->chain_next = *chain;
    *chain = call;
}

/* Twice as long; without memory it stays as it is, if there is one. */
static bool grow(kvi_tickets *tickets)
{
    kvi_tickets grown = {.room = tickets->room ? 2 * tickets->room : FIRST_ROOM, .count = tickets->count};
    grown.chains = calloc(grown.room, sizeof(kvi_queued *));
    if (!grown.chains)
        return tickets->room != 0;
    for (size_t i = 0; i < tickets->room; i++) {
        kvi_queued *next;
        for (kvi_queued *call = tickets->chains[i]; call; call = next) {
            next = call->chain_next;
            put(&grown, call);
        }
    }
    free(tickets->chains);
    *tickets = grown;
    return true;
}

bool kvi_tickets_add(kvi_tickets *tickets, kvi_queued *call)
{
    if (tickets->count >= tickets->room && !grow(tickets))
        return false;
    put(tickets, call);
    tickets->count++;
    return true;
}

void kvi_tickets_remove(kvi_tickets *tickets, kvi_queued *call)
{
    kvi_queued **place = chain_of(tickets, call->ticket);
    while (*place != call)
        place = &(*place)->chain_next;
    *place = call->chain_next;
    tickets->count--;
}

kvi_queued *kvi_tickets_find(const kvi_tickets *tickets, uint64_t ticket)
{
    if (!tickets->room)
        return NULL;
    kvi_queued *call = *chain_of(tickets, ticket);
    while (call && call->ticket != ticket)
        call = call->chain_next;
    return call;
}

void kvi_tickets_free(kvi_tickets *tickets)
{
    free(tickets->chains);
    *tickets = (kvi_tickets){0};
}
