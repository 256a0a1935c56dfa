/* Sessions: one lane's connection to the mock, with the descriptor that it waits on. */
#include <errno.h>

#include "memory.h"

/* True as well where none is needed. */
static bool open_descriptor(const memory_settings *settings, kvi_timer *timer)
{
    *timer = (kvi_timer)KVI_TIMER_CLOSED;
    if (settings->shape == SHAPE_STEPPED)
        return kvi_timer_open(timer);
    return !settings->waits || kvi_flag_open(&timer->flag);
}

kivi_status kvi_session_open(memory_instance *instance, memory_session **session, kivi_error **error)
{
    memory_session *made = calloc(1, sizeof(*made));
    if (!made) {
        *error = kvi_memory_error(KIVI_NO_MEMORY);
        return KIVI_NO_MEMORY;
    }
    made->instance = instance;
    if (!open_descriptor(&instance->settings, &made->timer)) {
        *error = kvi_memory_host->error(KIVI_IO, errno, KIVI_RETRY_YES,
                                        "no descriptor is left for a session");
        free(made);
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
    kvi_timer_close(&session->timer);
    free(session);
}

void kvi_session_abandon(memory_session *session, bool in_verb)
{
    if (!in_verb)
        kvi_session_close(session);
    else
        kvi_timer_close(&session->timer);
}

void kvi_session_interrupt(memory_session *session)
{
    if (session->instance->settings.shape != SHAPE_STEPPED && session->timer.flag.fd >= 0)
        kvi_flag_raise(&session->timer.flag);
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
