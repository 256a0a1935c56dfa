/* Names into addresses, on a helper thread that lives as long as that takes. */
#include "../../../core/base/platform.h"
#include "resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STACK_SIZE (512 * 1024) /* plugins of the name service may want some */

/* Shared by the connection and the thread; whoever leaves last frees it, so that neither waits for the other. */
typedef struct kvi_lookup {
    _Atomic int refs;
    _Atomic bool done; /* `code` and `found` are there */
    kvi_flag told;     /* raised when done */
    int code;          /* of getaddrinfo() */
    int system_code;   /* of the system, where that failed */
    struct addrinfo *found;
    char *host, *port;
} kvi_lookup;

static void lookup_free(kvi_lookup *lookup)
{
    if (lookup->found)
        freeaddrinfo(lookup->found);
    kvi_flag_close(&lookup->told);
    free(lookup->host);
    free(lookup->port);
    free(lookup);
}

static void lookup_unref(kvi_lookup *lookup)
{
    if (atomic_fetch_sub(&lookup->refs, 1) == 1)
        lookup_free(lookup);
}

static void *look_up(void *user)
{
    kvi_lookup *lookup = user;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};

    errno = 0;
    lookup->code = getaddrinfo(lookup->host, lookup->port, &hints, &lookup->found);
    lookup->system_code = lookup->code ? errno : 0;
    atomic_store(&lookup->done, true);
    kvi_flag_raise(&lookup->told);
    lookup_unref(lookup);
    return NULL;
}

/* NULL with the system's code in `code`. */
static kvi_lookup *lookup_new(const kvi_place *place, int *code)
{
    kvi_lookup *lookup = calloc(1, sizeof(*lookup));

    *code = ENOMEM;
    if (!lookup)
        return NULL;
    lookup->refs = 2;
    place->core->guard_descriptors();
    if (!kvi_flag_open(&lookup->told))
        *code = errno;
    lookup->host = strdup(place->host);
    lookup->port = strdup(place->port);
    if (lookup->told.fd >= 0 && lookup->host && lookup->port)
        return lookup;
    lookup_free(lookup);
    return NULL;
}

/* A detached thread that takes none of the process's signals. */
static int start_thread(kvi_lookup *lookup)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int code = pthread_attr_init(&attributes);

    if (code)
        return code;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    code = pthread_create(&thread, &attributes, look_up, lookup);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return code;
}

static kivi_status begin_lookup(kvi_resolve *walk, kivi_error **error)
{
    int code;
    kvi_lookup *lookup = lookup_new(walk->place, &code);

    if (!lookup)
        return kvi_place_fail_local(walk->place, code, "cannot resolve the name", error);
    code = start_thread(lookup);
    if (code) {
        lookup_free(lookup);
        return kvi_place_fail_local(walk->place, code, "no thread to resolve the name", error);
    }
    walk->lookup = lookup;
    return KIVI_PENDING;
}

/* ---- Beginning ---- */

/* Whether walk->addresses is there, without asking anybody. */
static bool read_numeric(kvi_resolve *walk)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};

    if (getaddrinfo(walk->place->host, walk->place->port, &hints, &walk->addresses)) {
        walk->addresses = NULL;
        return false;
    }
    walk->next = walk->addresses;
    return true;
}

kivi_status kvi_resolve_begin(kvi_resolve *walk, const kvi_place *place, kivi_error **error)
{
    *walk = (kvi_resolve){.place = place};
    return place->path || read_numeric(walk) ? KIVI_OK : begin_lookup(walk, error);
}

/* ---- The answer ---- */

int kvi_resolve_fd(const kvi_resolve *walk)
{
    return walk->lookup ? walk->lookup->told.fd : -1;
}

static kivi_status lookup_failed(const kvi_place *place, int code, int system_code, kivi_error **error)
{
    char text[KVI_PLACE_SIZE];
    kivi_retryable retryable = code == EAI_NONAME ? KIVI_RETRY_LATER : KIVI_RETRY_YES;

    if (code == EAI_MEMORY)
        return kvi_place_no_memory(place, error);
    if (kvi_place_is_local(system_code)) /* whatever getaddrinfo() makes of that: it may say that there is no such name */
        return kvi_place_fail_local(place, system_code, "cannot resolve the name", error);
    *error = place->core->error(KIVI_UNAVAILABLE, code, retryable, "%s: the name has no address: %s",
                                kvi_place_text(place, text), gai_strerror(code));
    return KIVI_UNAVAILABLE;
}

kivi_status kvi_resolve_advance(kvi_resolve *walk, kivi_error **error)
{
    kvi_lookup *lookup = walk->lookup;
    int code, system_code;

    if (!lookup)
        return KIVI_OK;
    if (!atomic_load(&lookup->done))
        return KIVI_PENDING;
    code = lookup->code;
    system_code = lookup->system_code;
    walk->addresses = lookup->found;
    walk->next = lookup->found;
    lookup->found = NULL;
    walk->lookup = NULL;
    lookup_unref(lookup);
    return code ? lookup_failed(walk->place, code, system_code, error) : KIVI_OK;
}

/* ---- The end ---- */

/*
 * In a forked child: the thread is not in this process, but may have been anywhere inside the memory. Not inlined, where it
 * would share its end with lookup_free(): tsan.supp knows it by its name.
 */
__attribute__((noinline)) static void lookup_drop_inherited(kvi_lookup *lookup)
{
    kvi_flag_close(&lookup->told);
    free(lookup->host);
    free(lookup->port);
    free(lookup);
}

void kvi_resolve_leave(kvi_resolve *walk, bool inherited)
{
    if (walk->lookup && inherited)
        lookup_drop_inherited(walk->lookup);
    else if (walk->lookup)
        lookup_unref(walk->lookup);
    if (walk->addresses)
        freeaddrinfo(walk->addresses);
    walk->lookup = NULL;
    walk->addresses = NULL;
    walk->next = walk->at = NULL;
}
