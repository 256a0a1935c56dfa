/* Processes that have closed standard input, output or error. */
#include "closed.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "faults.h"

typedef struct closed_case {
    const char *url;
    unsigned places; /* bits */
} closed_case;

/* Its message has nowhere to go: the parent is told of the line. */
#define KEEP(condition)      \
    do {                     \
        if (!(condition))    \
            return __LINE__; \
    } while (0)

static int look(unsigned places)
{
    for (int place = 0; place < 3; place++) {
        char byte = 'x';
        if (!(places & 1u << place))
            continue;
        errno = 0;
        KEEP((place ? write(place, &byte, 1) : read(place, &byte, 1)) == -1);
        KEEP(errno == EBADF);
    }
    return 0;
}

static int use_queue(kivi_store *store, unsigned places)
{
    kivi_queue *queue = NULL;
    kivi_request request = KIVI_REQUEST_INIT;
    kivi_completion done = KIVI_COMPLETION_INIT;
    int bad;

    KEEP(kivi_queue_new(&queue, NULL) == KIVI_OK);
    KEEP(kivi_queue_descriptor(queue) > 2);
    request.verb = KIVI_VERB_GET;
    request.key = kivi_str("key");
    KEEP(kivi_queue_submit(queue, store, NULL, &request, NULL, NULL) == KIVI_OK);
    struct pollfd ready = {.fd = kivi_queue_descriptor(queue), .events = POLLIN};
    KEEP(poll(&ready, 1, 30000) == 1);
    KEEP(kivi_queue_take(queue, &done, 1) == 1 && done.status == KIVI_OK);
    kivi_completion_release(&done);
    bad = look(places);
    kivi_queue_close(queue);
    return bad;
}

static int use_store(const closed_case *closed)
{
    kivi_store *store = NULL;
    kivi_buffer value = KIVI_BUFFER_INIT;
    int bad;

    for (int place = 0; place < 3; place++)
        if (closed->places & 1u << place)
            close(place);
    KEEP(kivi_store_open(closed->url, NULL, NULL, &store, NULL) == KIVI_OK);
    KEEP(kivi_store_set(store, NULL, kivi_str("key"), kivi_str("value"), KIVI_TTL_NONE, NULL) == KIVI_OK);
    bad = look(closed->places);
    KEEP(bad == 0 && kivi_store_get(store, NULL, kivi_str("key"), &value, NULL) == KIVI_OK);
    kivi_buffer_free(&value);
    bad = use_queue(store, closed->places);
    KEEP(bad != 0 ||
         kivi_store_set(store, NULL, kivi_str("end"), kivi_str("1"), KIVI_TTL_NONE, NULL) == KIVI_OK);
    kivi_store_unref(store);
    return bad;
}

static void in_child(int in, int out, void *user)
{
    int line = use_store(user);

    (void)in;
    tell(out, &line, sizeof(line));
}

void closed_expect(const char *url)
{
    for (unsigned places = 1; places < 8; places++) {
        closed_case closed = {url, places};
        child c = child_start(in_child, &closed);
        int line;
        hear(c.from, &line, sizeof(line));
        CHECK_SAYING(line == 0, "%s, closed are %u: line %d of closed.c", url, places, line);
        child_ends(&c);
    }
}
