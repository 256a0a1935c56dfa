/* Verbs of the mock that are done before they answer, with all the waiting inside. */
#include "../../core/base/platform.h"
#include "memory.h"

#define FEW 8
#define NAP_NS UINT64_C(50000000) /* longest wait between two looks at interrupts */
#define FOR_EVER UINT64_MAX

/* ---- Waiting ---- */

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* INTERRUPTED: somebody asked the session to return. Signals end it early. */
static kivi_status nap(const memory_session *session, uint64_t ns)
{
    struct pollfd wake = {.fd = session ? session->timer.flag.fd : -1, .events = POLLIN};

    return kvi_poll_for(&wake, 1, ns) > 0 ? KIVI_INTERRUPTED : KIVI_OK;
}

static kivi_status pause_for(const memory_session *session, uint64_t ns, kivi_wait *wait)
{
    uint64_t now, end, deadline;
    kivi_status status = KIVI_OK;

    if (ns == 0)
        return KIVI_OK;
    deadline = kivi_wait_deadline(wait);
    now = kvi_memory_host->monotonic_ns();
    end = ns == FOR_EVER ? FOR_EVER : now + ns;
    while (now < end) {
        status = now >= deadline ? KIVI_TIMEOUT : kivi_wait_check(wait);
        if (status == KIVI_OK)
            status = nap(session, smaller(NAP_NS, smaller(end - now, deadline - now)));
        if (status != KIVI_OK)
            break;
        now = kvi_memory_host->monotonic_ns();
    }
    return status;
}

/* ---- Serving ---- */

static kivi_status serve_reads(memory_instance *instance, const memory_job *job,
                               const memory_plan *plan, memory_answer *answers)
{
    kvi_memory_look(instance, job->reads, plan->fates, answers);
    for (size_t i = 0; i < job->reads->count; i++) {
        kvi_plan_fail_item(instance, job, plan, i);
        kvi_memory_tell(instance, job->reads, kivi_read_item_at(job->reads, i), &answers[i]);
    }
    return KIVI_OK;
}

/* What is said of an item of a write that was cut off: that something of it left. */
static void cut_item(kivi_write_item *item, uint8_t fate)
{
    if (fate == FATE_SERVE)
        item->sent = KIVI_SENT_WHOLLY;
    else if (fate == FATE_LOSE)
        item->sent = KIVI_SENT_PARTLY;
}

static kivi_status serve_writes(memory_instance *instance, const memory_job *job,
                                const memory_plan *plan, memory_answer *answers, kivi_error **error)
{
    kivi_status status = kvi_memory_apply(instance, job->writes, plan->fates, answers, error);

    if (status != KIVI_OK)
        return status;
    for (size_t i = 0; i < job->writes->count; i++) {
        kvi_plan_fail_item(instance, job, plan, i);
        if (plan->uncertain)
            cut_item(kivi_write_item_at(job->writes, i), plan->fates[i]);
        else
            kvi_memory_confirm(kivi_write_item_at(job->writes, i), &answers[i]);
    }
    return plan->uncertain ? kvi_plan_cut(error) : KIVI_OK;
}

static kivi_status serve(memory_instance *instance, const memory_job *job, const memory_plan *plan,
                         kivi_wait *wait, kivi_error **error)
{
    size_t count = kvi_job_count(job);
    memory_answer few[FEW];
    memory_answer *answers;
    kivi_status status;

    if (job->verb >= VERB_SCAN)
        return kvi_memory_ask(instance, job, wait, error);
    answers = kvi_answers_new(count, few, FEW);
    if (!answers) {
        *error = kvi_memory_error(KIVI_NO_MEMORY);
        return KIVI_NO_MEMORY;
    }
    if (job->verb == VERB_READ)
        status = serve_reads(instance, job, plan, answers);
    else
        status = serve_writes(instance, job, plan, answers, error);
    kvi_answers_free(answers, count, few);
    return status;
}

/* ---- The verb ---- */

/* Nothing was applied; but where the request had left, the mock does not let on. */
static kivi_status wait_failed(kivi_status status, bool sent, kivi_error **error)
{
    *error = kvi_memory_host->error(status, 0, sent ? KIVI_RETRY_IF_IDEMPOTENT : KIVI_RETRY_YES,
                                    status == KIVI_TIMEOUT
                                        ? "mock: the deadline passed before the store answered"
                                        : "mock: the wait for an answer was ended");
    return status;
}

static void mark_sent(const memory_job *job)
{
    for (size_t i = 0; i < kvi_job_count(job); i++) {
        if (job->verb == VERB_READ)
            kivi_read_item_at(job->reads, i)->sent = KIVI_SENT_WHOLLY;
        else
            kivi_write_item_at(job->writes, i)->sent = KIVI_SENT_WHOLLY;
    }
}

/* The items of servers that answer have their answers: for the others it waits until nobody does any more. */
static kivi_status wait_for_silence(const memory_instance *instance, const memory_session *session,
                                    const memory_job *job, kivi_wait *wait, kivi_error **error)
{
    bool sent = instance->settings.hang_sent;

    if (sent)
        mark_sent(job);
    return wait_failed(pause_for(session, FOR_EVER, wait), sent, error);
}

/* Before the first vector of a session; reads without one have the login in common. */
static kivi_status log_in(memory_instance *instance, memory_session *session, kivi_wait *wait,
                          kivi_error **error)
{
    const memory_settings *settings = &instance->settings;
    bool done = session ? session->logged_in : atomic_load(&instance->met);
    kivi_status status;

    if (done || !(settings->learns || settings->login_ns))
        return KIVI_OK;
    status = pause_for(session, settings->login_ns, wait);
    if (status != KIVI_OK)
        status = wait_failed(status, false, error);
    else
        status = kvi_memory_learn(instance, error);
    kvi_session_note(session, status);
    if (status == KIVI_OK && session)
        session->logged_in = true;
    else if (status == KIVI_OK)
        atomic_store(&instance->met, true);
    return status;
}

kivi_status kvi_blocking_serve(memory_instance *instance, memory_session *session,
                               const memory_job *job, kivi_wait *wait, kivi_error **error)
{
    memory_plan plan;
    kivi_status status = kvi_session_check(session, error);
    bool sent;

    if (status == KIVI_OK)
        status = log_in(instance, session, wait, error);
    if (status == KIVI_OK)
        status = kvi_plan_make(instance, job, &plan, error);
    if (status != KIVI_OK)
        return status;
    sent = plan.hangs && instance->settings.hang_sent;
    if (sent)
        mark_sent(job);
    status = pause_for(session, plan.hangs ? FOR_EVER : plan.delay_ns, wait);
    if (status != KIVI_OK)
        status = wait_failed(status, sent, error);
    else if (plan.fails || plan.refused)
        status = kvi_plan_fail(instance, &plan, error);
    else
        status = serve(instance, job, &plan, wait, error);
    if (status == KIVI_OK && plan.silent)
        status = wait_for_silence(instance, session, job, wait, error);
    kvi_session_note(session, status);
    kvi_plan_clear(&plan);
    return status;
}
