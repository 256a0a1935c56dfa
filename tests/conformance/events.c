/* Events: what the owner's hook is told of calls, and that it may call the store. */
#include "suite.h"

/* What a hook heard; it runs on the thread of the call, or for vectors of a queue on one that the queue's end joins. */
typedef struct heard {
    kivi_store *store; /* to be called from inside, or NULL */
    kivi_event call;   /* the last one of a call, its key taken along */
    kivi_buffer key;
    kivi_slice look_up; /* what is read from inside */
    kivi_status found;
    uint64_t calls, inside;
    _Atomic uint64_t vectors; /* a queue tells of these on a thread of its own */
} heard;

static void hear(const kivi_event *event, void *user)
{
    heard *h = user;
    if (event->type == KIVI_EVENT_VECTOR)
        h->vectors++;
    if (event->type != KIVI_EVENT_CALL || h->inside)
        return;
    h->calls++;
    h->call = *event;
    kivi_buffer_assign(&h->key, event->key);
    if (!h->store)
        return;
    kivi_buffer value = KIVI_BUFFER_INIT;
    h->inside++;
    h->found = kivi_store_get(h->store, NULL, h->look_up, &value, NULL);
    h->inside--;
    kivi_buffer_free(&value);
}

/* The same data by a handle with the hook. */
static kivi_store *listening(subject *s, heard *h, bool with_keys)
{
    kivi_store *store = NULL;
    kivi_options *options = kivi_options_new();
    EXPECT(options != NULL);
    kivi_options_on_event(options, hear, h);
    OK(kivi_options_set_bool(options, "event_keys", with_keys, E));
    OK(kivi_store_open(s->url, NULL, options, &store, E));
    kivi_options_free(options);
    return store;
}

static void expect_call(subject *s, const heard *h, const char *verb, kivi_status status)
{
    EXPECT_SAYING(strcmp(h->call.verb, verb) == 0, "told of %s", h->call.verb);
    EXPECT_NUMBER(h->call.status, status);
    EXPECT_NUMBER(h->call.items, 1);
    EXPECT(h->call.struct_size >= sizeof(kivi_event));
    EXPECT(h->call.duration_ns > 0 && *h->call.backend);
}

CASE(events, tell_of_calls)
{
    heard h = {.store = NULL};
    kivi_store *store = listening(s, &h, false);
    kivi_call call = KIVI_CALL_INIT;
    kivi_slice k = key(s, "k");
    call.trace = &h;
    OK(kivi_store_set(store, &call, k, text(s, "v"), KIVI_TTL_NONE, E));
    expect_call(s, &h, "set", KIVI_OK);
    EXPECT(h.call.trace == &h);
    via_end();
    EXPECT(h.vectors >= 1);
    ANSWERS(KIVI_NOT_FOUND, kivi_store_get(store, NULL, key(s, "none"), &s->value, E));
    expect_call(s, &h, "get", KIVI_NOT_FOUND);
    EXPECT(h.call.trace == NULL);
    ANSWERS(KIVI_INVALID, kivi_store_get(store, NULL, kivi_str(""), &s->value, E));
    EXPECT_NUMBER(h.call.status, KIVI_INVALID);
    EXPECT_NUMBER(h.calls, 3);
    EXPECT_NUMBER(h.key.size, 0);
    kivi_store_unref(store);
    via_end();
    kivi_buffer_free(&h.key);
}

CASE(events, show_keys_when_asked)
{
    heard h = {.store = NULL};
    kivi_store *store = listening(s, &h, true);
    kivi_slice k = key(s, "k");
    OK(kivi_store_set(store, NULL, k, text(s, "v"), KIVI_TTL_NONE, E));
    EXPECT_BYTES(kivi_buffer_slice(&h.key), k);
    OK(kivi_store_get(store, NULL, k, &s->value, E));
    EXPECT_BYTES(kivi_buffer_slice(&h.key), k);
    kivi_store_unref(store);
    via_end();
    kivi_buffer_free(&h.key);
}

/* No lock and no lane is held: a store of one lane answers from inside its own hook. */
CASE(events, may_call_the_store)
{
    heard h = {.look_up = key(s, "k"), .found = KIVI_INTERNAL};
    kivi_store *store = listening(s, &h, false);
    h.store = store;
    OK(kivi_store_set(store, NULL, h.look_up, text(s, "v"), KIVI_TTL_NONE, E));
    EXPECT_NUMBER(h.found, KIVI_OK);
    OK(kivi_store_delete(store, NULL, h.look_up, NULL, E));
    EXPECT_NUMBER(h.found, KIVI_NOT_FOUND);
    kivi_store_unref(store);
    via_end();
    kivi_buffer_free(&h.key);
}
