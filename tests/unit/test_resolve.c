/* Names into addresses, and the walk over them: the program's own getaddrinfo() says which there are. */
#include "failure.h"

#include "../../libkivi/backends/common/resolve/resolve.h"
#include "../../libkivi/core/plugins/plugins.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(resolve, .timeout = 60);

static kivi_error *error;

/* ---- A name service of our own ---- */

static struct {
    const char *addresses[4]; /* of the name "several" */
    int code, system_code;    /* of any name */
    sem_t *gate;              /* NULL: it answers at once */
} service;

static struct addrinfo *make_address(const char *text, struct addrinfo *next)
{
    struct addrinfo *made = calloc(1, sizeof(*made) + sizeof(struct sockaddr_in));
    struct sockaddr_in *address = (struct sockaddr_in *)(made + 1);

    address->sin_family = AF_INET;
    inet_pton(AF_INET, text, &address->sin_addr);
    *made = (struct addrinfo){.ai_family = AF_INET,
                              .ai_socktype = SOCK_STREAM,
                              .ai_addr = (struct sockaddr *)address,
                              .ai_addrlen = sizeof(*address),
                              .ai_next = next};
    return made;
}

__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *port,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **found)
{
    struct in_addr numeric;

    (void)port;
    *found = NULL;
    if (inet_pton(AF_INET, name, &numeric) == 1) {
        *found = make_address(name, NULL);
        return 0;
    }
    if (hints->ai_flags & AI_NUMERICHOST)
        return EAI_NONAME;
    if (service.gate)
        sem_wait(service.gate);
    errno = service.system_code;
    if (service.code)
        return service.code;
    for (int i = 3; i >= 0; i--)
        if (service.addresses[i])
            *found = make_address(service.addresses[i], *found);
    return 0;
}

__attribute__((visibility("default"))) void freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

static kvi_place place_of(const char *host)
{
    return (kvi_place){.core = &kvi_host_table, .host = host, .port = "1"};
}

static kivi_status resolve(kvi_resolve *walk, const kvi_place *place)
{
    kivi_status status = kvi_resolve_begin(walk, place, &error);

    while (status == KIVI_PENDING) {
        struct pollfd one = {kvi_resolve_fd(walk), POLLIN, 0};
        cr_assert_eq(poll(&one, 1, 20000), 1);
        status = kvi_resolve_advance(walk, &error);
    }
    return status;
}

static void expect_at(const kvi_resolve *walk, const char *text)
{
    char at[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)walk->at->ai_addr)->sin_addr, at,
              sizeof(at));
    cr_assert_str_eq(at, text);
}

/* ---- Looking up ---- */

Test(resolve, numeric_addresses_and_sockets_ask_nobody)
{
    kvi_place numeric = place_of("127.0.0.1"), local = {.core = &kvi_host_table, .path = "/a/socket"};
    kvi_resolve walk = {0};

    cr_assert_eq(kvi_resolve_begin(&walk, &numeric, &error), KIVI_OK);
    cr_assert(kvi_resolve_next(&walk));
    expect_at(&walk, "127.0.0.1");
    cr_assert_not(kvi_resolve_next(&walk));
    kvi_resolve_leave(&walk, false);
    cr_assert_eq(kvi_resolve_begin(&walk, &local, &error), KIVI_OK);
    cr_assert(kvi_resolve_next(&walk));
    cr_assert_null(walk.at);
    cr_assert_not(kvi_resolve_next(&walk), "a socket is tried once");
    kvi_resolve_leave(&walk, false);
}

Test(resolve, a_name_pends_until_it_is_found)
{
    kvi_place place = place_of("several");
    kvi_resolve walk;
    sem_t gate;

    sem_init(&gate, 0, 0);
    service.gate = &gate;
    service.addresses[0] = "10.0.0.1";
    cr_assert_eq(kvi_resolve_begin(&walk, &place, &error), KIVI_PENDING);
    cr_assert_eq(kvi_resolve_advance(&walk, &error), KIVI_PENDING);
    sem_post(&gate);
    struct pollfd one = {kvi_resolve_fd(&walk), POLLIN, 0};
    cr_assert_eq(poll(&one, 1, 20000), 1);
    cr_assert_eq(kvi_resolve_advance(&walk, &error), KIVI_OK);
    cr_assert_eq(kvi_resolve_fd(&walk), -1);
    cr_assert(kvi_resolve_next(&walk));
    expect_at(&walk, "10.0.0.1");
    kvi_resolve_leave(&walk, false);
}

/* No such name: at once. A name service that is away: perhaps later. Too little here: never mind what it says of the name. */
Test(resolve, failures)
{
    static const struct {
        int code, system_code;
        kivi_status status;
        kivi_retryable retryable;
    } cases[] = {
        {EAI_NONAME, 0, KIVI_UNAVAILABLE, KIVI_RETRY_LATER},
        {EAI_AGAIN, 0, KIVI_UNAVAILABLE, KIVI_RETRY_YES},
        {EAI_MEMORY, 0, KIVI_NO_MEMORY, KIVI_RETRY_NO},
        {EAI_NONAME, EMFILE, KIVI_IO, KIVI_RETRY_NO},
    };
    kvi_place place = place_of("nowhere");

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        kvi_resolve walk;
        service.code = cases[i].code;
        service.system_code = cases[i].system_code;
        cr_assert_eq(resolve(&walk, &place), cases[i].status, "case %zu", i);
        cr_assert_eq(kivi_error_retryable(error), cases[i].retryable, "case %zu", i);
        kivi_error_free(error);
        error = NULL;
        kvi_resolve_leave(&walk, false);
    }
}

/* ---- Walking ---- */

Test(resolve, each_address_in_turn_and_refusals_are_counted)
{
    kvi_place place = place_of("several");
    kvi_resolve walk;

    service.addresses[0] = "10.0.0.1";
    service.addresses[1] = "10.0.0.2";
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(resolve(&walk, &place), KIVI_OK);
        cr_assert(kvi_resolve_next(&walk));
        expect_at(&walk, "10.0.0.1");
        kvi_resolve_failed(&walk, round ? ETIMEDOUT : ECONNREFUSED);
        cr_assert(kvi_resolve_next(&walk));
        expect_at(&walk, "10.0.0.2");
        kvi_resolve_failed(&walk, ECONNREFUSED);
        cr_assert_not(kvi_resolve_next(&walk));
        cr_assert_eq(kvi_resolve_fail(&walk, &error), KIVI_UNAVAILABLE);
        cr_assert_eq(kivi_error_retryable(error), round ? KIVI_RETRY_YES : KIVI_RETRY_LATER);
        expect_failure(KIVI_UNAVAILABLE, &error, KIVI_UNAVAILABLE, "several:1: cannot connect");
        kvi_resolve_leave(&walk, false);
    }
}

Test(resolve, what_this_process_has_too_little_of_ends_the_walk)
{
    kvi_place place = place_of("several");
    kvi_resolve walk;

    service.addresses[0] = "10.0.0.1";
    service.addresses[1] = "10.0.0.2";
    cr_assert_eq(resolve(&walk, &place), KIVI_OK);
    cr_assert(kvi_resolve_next(&walk));
    kvi_resolve_failed(&walk, EMFILE);
    cr_assert_not(kvi_resolve_next(&walk), "another address would take a descriptor too");
    cr_assert_eq(kvi_resolve_fail(&walk, &error), KIVI_IO);
    expect_failure(KIVI_IO, &error, KIVI_IO, "cannot connect");
    kvi_resolve_leave(&walk, false);
}

/* An address has its time only where another is left. */
Test(resolve, the_last_address_has_all_the_time)
{
    kvi_place place = place_of("several");
    kvi_resolve walk;

    place.attempt_ms = 1;
    service.addresses[0] = "10.0.0.1";
    service.addresses[1] = "10.0.0.2";
    cr_assert_eq(resolve(&walk, &place), KIVI_OK);
    cr_assert(kvi_resolve_next(&walk));
    while (kvi_resolve_left(&walk) != 0)
        cr_assert_gt(kvi_resolve_left(&walk) + 1, 0);
    kvi_resolve_failed(&walk, ETIMEDOUT);
    cr_assert(kvi_resolve_next(&walk));
    cr_assert_lt(kvi_resolve_left(&walk), 0);
    kvi_resolve_leave(&walk, false);
    place.attempt_ms = 0;
    cr_assert_eq(resolve(&walk, &place), KIVI_OK);
    cr_assert(kvi_resolve_next(&walk));
    cr_assert_lt(kvi_resolve_left(&walk), 0, "0: only after a failure");
    kvi_resolve_leave(&walk, false);
}

/* ---- Leaving ---- */

/* Nobody waits for the thread: it is held until all have left, in this process and in a child. */
Test(resolve, leaving_waits_for_nobody)
{
    kvi_place place = place_of("several");
    kvi_resolve walk[8];
    sem_t gate;
    int ended = -1;

    sem_init(&gate, 0, 0);
    service.gate = &gate;
    for (int i = 0; i < 8; i++)
        cr_assert_eq(kvi_resolve_begin(&walk[i], &place, &error), KIVI_PENDING);
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 8; i++)
            kvi_resolve_leave(&walk[i], true);
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &ended, 0), pid);
    cr_assert_eq(ended, 0);
    for (int i = 0; i < 8; i++)
        kvi_resolve_leave(&walk[i], false);
    for (int i = 0; i < 8; i++)
        sem_post(&gate);
}
