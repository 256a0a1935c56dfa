/* Names into addresses, on a helper thread that lives as long as that takes. */
#include "net_internal.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define STACK_SIZE (512 * 1024) /* plugins of the name service may want some */

/* Shared by the connection and the thread; whoever leaves last frees it, so that neither waits for the other. */
struct kvi_net_lookup {
    _Atomic int refs;
    _Atomic bool done; /* `code` and `found` are there */
    int fd;            /* readable when done */
    int code;          /* of getaddrinfo() */
    int system_code;   /* of the system, where that failed */
    struct addrinfo *found;
    char *host, *port;
};

static void lookup_free(kvi_net_lookup *lookup)
{
    if (lookup->found)
        freeaddrinfo(lookup->found);
    if (lookup->fd >= 0)
        close(lookup->fd);
    free(lookup->host);
    free(lookup->port);
    free(lookup);
}

static void lookup_unref(kvi_net_lookup *lookup)
{
    if (atomic_fetch_sub(&lookup->refs, 1) == 1)
        lookup_free(lookup);
}

static void *look_up(void *user)
{
    kvi_net_lookup *lookup = user;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    uint64_t one = 1;
    ssize_t written;

    errno = 0;
    lookup->code = getaddrinfo(lookup->host, lookup->port, &hints, &lookup->found);
    lookup->system_code = lookup->code ? errno : 0;
    atomic_store(&lookup->done, true);
    written = write(lookup->fd, &one, sizeof(one));
    (void)written; /* an eventfd that nobody filled takes it */
    lookup_unref(lookup);
    return NULL;
}

/* NULL with the system's code in `code`. */
static kvi_net_lookup *lookup_new(const kvi_net_target *target, int *code)
{
    kvi_net_lookup *lookup = calloc(1, sizeof(*lookup));

    *code = ENOMEM;
    if (!lookup)
        return NULL;
    lookup->refs = 2;
    target->core->guard_descriptors();
    lookup->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (lookup->fd < 0)
        *code = errno;
    lookup->host = strdup(target->host);
    lookup->port = strdup(target->port);
    if (lookup->fd >= 0 && lookup->host && lookup->port)
        return lookup;
    lookup_free(lookup);
    return NULL;
}

/* A detached thread that takes none of the process's signals. */
static int start_thread(kvi_net_lookup *lookup)
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

kivi_status kvi_net_lookup_begin(kvi_net *net, kivi_error **error)
{
    int code;
    kvi_net_lookup *lookup = lookup_new(net->target, &code);

    if (!lookup)
        return kvi_net_fail_local(net, code, "cannot resolve the name", error);
    code = start_thread(lookup);
    if (code) {
        lookup_free(lookup);
        return kvi_net_fail_local(net, code, "no thread to resolve the name", error);
    }
    net->lookup = lookup;
    return KIVI_PENDING;
}

int kvi_net_lookup_fd(const kvi_net_lookup *lookup)
{
    return lookup->fd;
}

static kivi_status lookup_failed(kvi_net *net, int code, int system_code, kivi_error **error)
{
    char place[300];
    kivi_retryable retryable = code == EAI_NONAME ? KIVI_RETRY_LATER : KIVI_RETRY_YES;

    if (code == EAI_MEMORY)
        return kvi_net_no_memory(net, error);
    if (kvi_net_is_local(system_code)) /* whatever getaddrinfo() makes of that: it may say that there is no such name */
        return kvi_net_fail_local(net, system_code, "cannot resolve the name", error);
    net->state = KVI_NET_BROKEN;
    *error = net->target->core->error(
        KIVI_UNAVAILABLE, code, retryable, "%s: the name has no address: %s",
        kvi_net_place(net->target, place, sizeof(place)), gai_strerror(code));
    return KIVI_UNAVAILABLE;
}

kivi_status kvi_net_lookup_end(kvi_net *net, kivi_error **error)
{
    kvi_net_lookup *lookup = net->lookup;
    int code, system_code;

    if (!atomic_load(&lookup->done))
        return KIVI_PENDING;
    code = lookup->code;
    system_code = lookup->system_code;
    net->addresses = net->next = lookup->found;
    lookup->found = NULL;
    net->lookup = NULL;
    lookup_unref(lookup);
    return code ? lookup_failed(net, code, system_code, error) : KIVI_OK;
}

/*
 * In a forked child: the thread is not in this process, but may have been anywhere inside the memory. Not inlined, where it
 * would share its end with lookup_free(): tsan.supp knows it by its name.
 */
__attribute__((noinline)) static void lookup_drop_inherited(kvi_net_lookup *lookup)
{
    close(lookup->fd);
    free(lookup->host);
    free(lookup->port);
    free(lookup);
}

void kvi_net_lookup_leave(kvi_net_lookup *lookup, bool inherited)
{
    if (!lookup)
        return;
    if (inherited)
        lookup_drop_inherited(lookup);
    else
        lookup_unref(lookup);
}
