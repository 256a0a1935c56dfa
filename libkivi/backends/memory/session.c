/* Sessions: one lane's connection to the mock, with the descriptor that it waits on. */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "memory.h"

/* -1 with errno 0: none is needed. */
static int descriptor(const memory_settings *settings)
{
    errno = 0;
    if (settings->shape == SHAPE_STEPPED)
        return timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (settings->waits)
        return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return -1;
}

kivi_status kvi_session_open(memory_instance *instance, memory_session **session, kivi_error **error)
{
    memory_session *made = calloc(1, sizeof(*made));
    int code;

    if (!made) {
        *error = kvi_memory_error(KIVI_NO_MEMORY);
        return KIVI_NO_MEMORY;
    }
    made->instance = instance;
    made->fd = descriptor(&instance->settings);
    code = errno;
    if (made->fd < 0 && code) {
        free(made);
        *error = kvi_memory_host->error(KIVI_IO, code, KIVI_RETRY_YES,
                                        "no descriptor can be had for a session");
        return KIVI_IO;
    }
    *session = made;
    return KIVI_OK;
}

void kvi_session_forget(memory_session *session)
{
    if (!session->active)
        return;
    kvi_answers_free(session->answers, kvi_job_count(&session->job), NULL);
    free(session->courses);
    free(session->picked);
    kvi_plan_clear(&session->plan);
    session->answers = NULL;
    session->courses = NULL;
    session->picked = NULL;
    session->active = false;
}

void kvi_session_close(memory_session *session)
{
    kvi_session_forget(session);
    if (session->fd >= 0)
        close(session->fd);
    free(session);
}

void kvi_session_abandon(memory_session *session, bool in_verb)
{
    if (!in_verb)
        kvi_session_close(session);
    else if (session->fd >= 0)
        close(session->fd);
}

void kvi_session_interrupt(memory_session *session)
{
    uint64_t one = 1;

    if (session->instance->settings.shape == SHAPE_STEPPED || session->fd < 0)
        return;
    while (write(session->fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

kivi_status kvi_session_check(const memory_session *session, kivi_error **error)
{
    if (!session || !session->broken)
        return KIVI_OK;
    *error = kvi_memory_host->error(KIVI_INTERNAL, 0, KIVI_RETRY_NO,
                                    "mock: a session was used again after it broke");
    return KIVI_INTERNAL;
}

void kvi_session_note(memory_session *session, kivi_status status)
{
    if (!session)
        return;
    switch (status) {
    case KIVI_UNAVAILABLE:
    case KIVI_TIMEOUT:
    case KIVI_INTERRUPTED:
    case KIVI_CLOSED:
    case KIVI_DENIED:
    case KIVI_IO:
    case KIVI_INTERNAL:
        session->broken = true;
        break;
    default:
        break;
    }
}
