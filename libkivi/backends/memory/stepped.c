/* Verbs of the mock that answer in steps, as a connection does. */
#include <errno.h>
#include <poll.h>
#include <stdint.h>

#include "memory.h"

/*
 * A verb takes a random number of steps, up to `steps`; each comes when the session's timer is readable.
 * An item has three of them drawn: in `partly` its sending begins; in `wholly` it has left, and is looked
 * up or applied in that very step, so that nothing is read through its slices later; in `done` its answer
 * arrives. A session that is closed in between has applied what it never told.
 */

/* ---- The timer ---- */

static kivi_status arm(memory_session *session, uint64_t ns, kivi_error **error)
{
    if (kvi_timer_set(&session->timer, ns))
        return KIVI_OK;
    *error = kvi_memory_host->error(KIVI_IO, errno, KIVI_RETRY_NO, "the timer cannot be set");
    return KIVI_IO;
}

static kivi_status wait_on(const memory_session *session, kivi_poll *poll)
{
    poll->fd = session->timer.flag.fd;
    poll->events = POLLIN;
    poll->timeout_ns = kvi_timer_left(&session->timer);
    if (session->instance->settings.at_work)
        poll->flags |= KIVI_POLL_AT_WORK;
    return KIVI_PENDING;
}

/* ---- The course of a vector ---- */

static uint16_t draw_step(memory_session *session, uint64_t from)
{
    return (uint16_t)(from + kvi_random_below(session->instance, session->steps - from + 1));
}

/* Items of an atomic vector leave together. */
static void draw_courses(memory_session *session, size_t count)
{
    bool together = kvi_job_is_atomic(&session->job);

    for (size_t i = 0; i < count; i++) {
        memory_course *course = &session->courses[i];

        course->partly = together && i ? session->courses[0].partly : draw_step(session, 1);
        course->wholly = together && i ? session->courses[0].wholly : draw_step(session, course->partly);
        course->done = draw_step(session, course->wholly);
    }
}

static kivi_status no_memory(memory_session *session, kivi_error **error)
{
    kvi_session_forget(session);
    *error = kvi_memory_error(KIVI_NO_MEMORY);
    return KIVI_NO_MEMORY;
}

kivi_status kvi_stepped_begin(memory_session *session, const memory_job *job, kivi_error **error)
{
    memory_instance *instance = session->instance;
    size_t count = kvi_job_count(job);
    kivi_status status = kvi_session_check(session, error);

    if (status != KIVI_OK)
        return status;
    kvi_session_forget(session);
    session->job = *job;
    status = kvi_plan_make(instance, job, &session->plan, error);
    if (status != KIVI_OK)
        return status;
    session->active = true;
    session->answers = kvi_answers_new(count, NULL, 0);
    session->courses = calloc(count + 1, sizeof(*session->courses));
    session->picked = malloc(count + 1);
    if ((count && !session->answers) || !session->courses || !session->picked)
        return no_memory(session, error);
    session->step = 0;
    session->steps = 1 + kvi_random_below(instance, instance->settings.steps);
    session->step_ns = session->plan.delay_ns / session->steps;
    draw_courses(session, count);
    session->logs_in = !session->logged_in && (instance->settings.learns || instance->settings.login_ns);
    status = arm(session, session->logs_in ? instance->settings.login_ns : session->step_ns, error);
    if (status != KIVI_OK) {
        kvi_session_forget(session);
        return status;
    }
    return KIVI_PENDING;
}

/* ---- One step ---- */

static void set_sent(memory_session *session, size_t index, kivi_sent sent)
{
    if (session->job.verb == VERB_READ)
        kivi_read_item_at(session->job.reads, index)->sent = sent;
    else
        kivi_write_item_at(session->job.writes, index)->sent = sent;
}

/* Which items leave in this step; false: none of them is to be served. */
static bool pick(memory_session *session, size_t count)
{
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        bool served = session->plan.fates[i] == FATE_SERVE && session->courses[i].wholly == session->step;

        session->picked[i] = served ? FATE_SERVE : FATE_LEAVE;
        any = any || served;
    }
    return any;
}

static kivi_status serve(memory_session *session, kivi_error **error)
{
    memory_job *job = &session->job;

    if (job->verb == VERB_READ) {
        kvi_memory_look(session->instance, job->reads, session->picked, session->answers);
        return KIVI_OK;
    }
    return kvi_memory_apply(session->instance, job->writes, session->picked, session->answers, error);
}

/* Lost items never get further than partly. Those that fail or are left over do not leave. */
static void note_sent(memory_session *session, size_t index)
{
    const memory_course *course = &session->courses[index];
    uint8_t fate = session->plan.fates[index];

    if (fate != FATE_SERVE && fate != FATE_LOSE)
        return;
    if (course->partly == session->step)
        set_sent(session, index, KIVI_SENT_PARTLY);
    if (course->wholly == session->step && fate == FATE_SERVE)
        set_sent(session, index, KIVI_SENT_WHOLLY);
}

static void complete(memory_session *session, size_t index)
{
    memory_job *job = &session->job;

    if (session->courses[index].done != session->step)
        return;
    kvi_plan_fail_item(session->instance, job, &session->plan, index);
    if (job->verb == VERB_READ)
        kvi_memory_tell(session->instance, job->reads, kivi_read_item_at(job->reads, index),
                        &session->answers[index]);
    else if (!session->plan.uncertain)
        kvi_memory_confirm(kivi_write_item_at(job->writes, index), &session->answers[index]);
}

static kivi_status advance(memory_session *session, kivi_error **error)
{
    size_t count = kvi_job_count(&session->job);
    kivi_status status = KIVI_OK;
    size_t first;

    if (session->job.verb >= VERB_SCAN && session->step == session->steps)
        return kvi_memory_ask(session->instance, &session->job, NULL, error);
    if (count == 0)
        return KIVI_OK;
    if (pick(session, count))
        status = serve(session, error);
    if (status != KIVI_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        note_sent(session, i);
    first = kvi_random_below(session->instance, count);
    for (size_t i = 0; i < count; i++)
        complete(session, (first + i) % count);
    return KIVI_OK;
}

static kivi_status finish(memory_session *session, kivi_status status)
{
    kvi_session_note(session, status);
    kvi_session_forget(session);
    return status;
}

/* The timer stays silent from now on: only a deadline or a close ends it. */
static kivi_status hang(memory_session *session, kivi_poll *poll)
{
    if (session->instance->settings.hang_sent)
        for (size_t i = 0; i < kvi_job_count(&session->job); i++)
            set_sent(session, i, KIVI_SENT_WHOLLY);
    return wait_on(session, poll);
}

/* Nothing of the vector has left yet. */
static kivi_status end_login(memory_session *session, kivi_poll *poll, kivi_error **error)
{
    kivi_status status = kvi_memory_learn(session->instance, error);

    if (status == KIVI_OK)
        status = arm(session, session->step_ns, error);
    if (status != KIVI_OK)
        return finish(session, status);
    session->logs_in = false;
    session->logged_in = true;
    return wait_on(session, poll);
}

kivi_status kvi_stepped_go_on(memory_session *session, kivi_poll *poll, kivi_error **error)
{
    kivi_status status;

    if (!session->active) {
        *error = kvi_memory_host->error(KIVI_INTERNAL, 0, KIVI_RETRY_NO, "mock: no verb is pending");
        return finish(session, KIVI_INTERNAL);
    }
    if (!kvi_timer_take(&session->timer))
        return wait_on(session, poll);
    if (session->logs_in)
        return end_login(session, poll, error);
    session->step++;
    if (session->plan.hangs)
        return hang(session, poll);
    if (session->plan.fails || session->plan.refused)
        return finish(session, kvi_plan_fail(session->instance, &session->plan, error));
    status = advance(session, error);
    if (status == KIVI_OK && session->step < session->steps)
        status = arm(session, session->step_ns, error);
    else if (status == KIVI_OK && session->plan.silent)
        return hang(session, poll);
    else if (status == KIVI_OK)
        return finish(session, session->plan.uncertain ? kvi_plan_cut(error) : KIVI_OK);
    return status == KIVI_OK ? wait_on(session, poll) : finish(session, status);
}
