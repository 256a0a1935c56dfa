/* Sessions: one lane's connection, from connecting to the last answer of a verb. */
#include "../../core/base/platform.h"
#include "my.h"

#include <poll.h>
#include <stdlib.h>

#define IDLE_NS \
    UINT64_C(50000000) /* after so long without use it is asked whether the server is still there */

/* ---- Answers ---- */

static void take_rows(my_session *session, uint8_t group, MYSQL_RES **rows, uint64_t changed)
{
    switch (group) {
    case GROUP_LIMIT:
        return;
    case GROUP_LOGIN:
        kvi_my_login_rows(session, *rows);
        return;
    case GROUP_SWEEP:
        if (changed)
            kvi_my_host->report(session->instance->reporter, KIVI_EVENT_SWEEP, KIVI_OK, changed);
        return;
    case GROUP_BEGIN:
        session->in_transaction = true;
        return;
    case GROUP_COMMIT:
    case GROUP_ROLLBACK:
        session->in_transaction = false;
        return;
    default:
        break;
    }
    if (session->job.verb == KVI_SQL_WRITE)
        kvi_my_write_rows(session, group, rows, changed);
    else if (*rows && session->job.verb == KVI_SQL_READ)
        kvi_my_read_rows(session, group, rows);
    else if (*rows && session->job.verb == KVI_SQL_COUNT)
        kvi_my_count_rows(session, *rows);
    else if (*rows)
        kvi_my_scan_rows(session, *rows);
}

/* ---- Beginning and end of a session ---- */

kivi_status kvi_my_session_open(my_instance *instance, my_session **session, kivi_error **error)
{
    *session = calloc(1, sizeof(**session));
    if (!*session)
        return kvi_my_no_memory(error);
    (*session)->instance = instance;
    (*session)->take = take_rows;
    return KIVI_OK;
}

static void forget_verdict(my_session *session)
{
    kvi_my_host->error_free(session->why);
    session->why = NULL;
    session->verdict = KIVI_OK;
    session->sink_status = KIVI_OK;
    mysql_free_result(session->held);
    session->held = NULL;
}

static void free_session(my_session *session)
{
    forget_verdict(session);
    free(session->request.text.data);
    free(session->found);
    kvi_sql_judging_free(&session->judging);
    free(session);
}

void kvi_my_session_close(my_session *session)
{
    kvi_my_disconnect(session);
    free_session(session);
}

void kvi_my_session_abandon(my_session *session, bool in_verb)
{
    kvi_my_connection_abandon(session, in_verb);
    if (!in_verb)
        free_session(session);
}

/* ---- Verbs ---- */

static bool has_short_locks(const my_session *session)
{
    const kivi_write_vector *writes = session->job.writes;

    return session->job.verb == KVI_SQL_WRITE && writes->count > 1 &&
           !(writes->flags & KIVI_VECTOR_ATOMIC);
}

static kivi_status begin_verb(my_session *session, kivi_error **error)
{
    kivi_status status = kvi_my_packet_cut(session, error);

    if (status)
        return status;
    forget_verdict(session);
    session->round = 0;
    session->undoing = false;
    kvi_my_request_begin(session);
    kvi_my_limit_verb(session, has_short_locks(session));
    switch (session->job.verb) {
    case KVI_SQL_READ:
        kvi_my_read_begin(session);
        return KIVI_OK;
    case KVI_SQL_WRITE:
        return kvi_my_write_begin(session, error);
    case KVI_SQL_COUNT:
        return kvi_my_count_begin(session, error);
    default:
        return kvi_my_scan_begin(session, error);
    }
}

/* What the server refused: the verb's failure, or, where another was in the way, leftovers that are asked again. */
static void note_refusal(my_session *session)
{
    const my_request *request = &session->request;

    if (request->groups[request->answered] == GROUP_SWEEP)
        return;
    if (kvi_my_is_conflict(request->refused) && kvi_sql_changes(&session->job))
        return;
    session->verdict = kvi_my_refuse(session, request->refused, kvi_my_limit_is_over(session),
                                     &session->why);
}

static bool is_done(const my_session *session)
{
    const my_request *request = &session->request;

    return !request->refused || request->groups[request->answered] == GROUP_SWEEP;
}

/* A request of the verb is answered. OK: so is the verb; PENDING: there is another to send. */
static kivi_status next_request(my_session *session, kivi_error **error)
{
    kivi_status status = KIVI_OK;

    if (is_done(session) && !session->undoing) {
        if (session->job.verb == KVI_SQL_WRITE)
            status = kvi_my_write_next(session, error);
        else if (session->job.verb == KVI_SQL_READ)
            status = kvi_my_read_next(session);
        session->round++;
        return status;
    }
    if (!is_done(session))
        note_refusal(session);
    if (!session->in_transaction)
        return KIVI_OK;
    session->undoing = true;
    kvi_my_request_begin(session);
    kvi_my_statement(session, GROUP_ROLLBACK);
    kvi_my_put(session, "ROLLBACK");
    return KIVI_PENDING;
}

/* What the verb came to, all answers being there. */
static kivi_status conclude(my_session *session, kivi_error **error)
{
    kivi_status status = session->verdict;

    if (!status)
        return session->sink_status;
    *error = session->why;
    session->why = NULL;
    return status;
}

/* Goes on from what a request came to. */
static kivi_status go_on(my_session *session, kivi_status status, kivi_error **error)
{
    while (status == KIVI_OK) {
        status = next_request(session, error);
        if (status == KIVI_OK)
            return conclude(session, error);
        if (status == KIVI_PENDING)
            status = kvi_my_request_send(session, error);
    }
    return status;
}

static kivi_status start(my_session *session, kivi_error **error)
{
    kivi_status status = begin_verb(session, error);

    if (!status)
        status = kvi_my_request_send(session, error);
    return go_on(session, status, error);
}

/* ---- Steps ---- */

/* A round of the login is over, or there is none yet. */
static kivi_status log_in(my_session *session, kivi_status status, kivi_error **error);

/* Connected at once, or by a step: the login goes on. */
static kivi_status connected(my_session *session, kivi_status status, kivi_error **error)
{
    if (status || session->phase != PHASE_LOGIN)
        return status;
    return log_in(session, kvi_my_login_begin(session, error), error);
}

static kivi_status log_in(my_session *session, kivi_status status, kivi_error **error)
{
    if (status == KIVI_OK) {
        session->phase = PHASE_READY;
        return start(session, error);
    }
    return status == KIVI_PENDING
               ? status
               : connected(session, kvi_my_next_server(session, status, error), error);
}

/* Whether the server answered all that was asked, so that the session is in order whatever the verb came to. */
static bool is_whole(const my_session *session, kivi_status status)
{
    return session->phase == PHASE_READY && session->operation == OP_NONE &&
           !session->in_transaction && status != KIVI_UNAVAILABLE;
}

static kivi_status settle(my_session *session, kivi_status status)
{
    if (status == KIVI_PENDING)
        return status;
    if (status && !is_whole(session, status))
        kvi_my_disconnect(session);
    forget_verdict(session);
    session->job.verb = KVI_SQL_NONE;
    session->used_ns = kvi_coarse_ns();
    return status;
}

/* Bytes that nobody asked for, or an end that was not noticed while it was idle. */
static bool is_stale(const my_session *session)
{
    struct pollfd look = {.fd = kvi_my_socket(session), .events = POLLIN | POLLRDHUP};

    return kvi_coarse_ns() - session->used_ns > IDLE_NS && poll(&look, 1, 0) > 0;
}

static bool is_connecting(const my_session *session)
{
    return session->phase == PHASE_RESOLVING || session->phase == PHASE_CONNECTING;
}

kivi_status kvi_my_session_begin(my_session *session, const kvi_sql_job *job, kivi_wait *wait,
                                 kivi_error **error)
{
    kivi_status status;

    session->job = *job;
    session->deadline_ns = kivi_wait_deadline(wait);
    if (session->phase == PHASE_READY && is_stale(session)) {
        kvi_my_disconnect(session);
        kvi_my_host->report(session->instance->reporter, KIVI_EVENT_RECONNECT, KIVI_OK, 1);
    }
    status = session->phase == PHASE_READY ? start(session, error)
                                           : connected(session, kvi_my_connect(session, error), error);
    return settle(session, status);
}

static kivi_status step(my_session *session, uint32_t revents, kivi_error **error)
{
    kivi_status status;

    if (is_connecting(session))
        return connected(session, kvi_my_connect_step(session, revents, error), error);
    if (!revents)
        return KIVI_PENDING;
    status = kvi_my_request_step(session, revents, error);
    if (session->phase == PHASE_LOGIN)
        return log_in(session, status ? status : kvi_my_login_end(session, error), error);
    return go_on(session, status, error);
}

/* A write whose time is not over at the server may wait there for another's lock. */
static void wait_for_work(const my_session *session, kivi_poll *poll)
{
    uint64_t now;

    if (!session->until_ns)
        return;
    now = kvi_my_host->monotonic_ns();
    if (now >= session->until_ns)
        return;
    poll->flags |= KIVI_POLL_AT_WORK;
    poll->timeout_ns = (int64_t)(session->until_ns - now);
}

kivi_status kvi_my_session_step(my_session *session, uint32_t revents, kivi_poll *poll, kivi_error **error)
{
    kivi_status status = settle(session, step(session, revents, error));

    if (status != KIVI_PENDING)
        return status;
    if (is_connecting(session)) {
        kvi_my_connect_poll(session, poll);
        return KIVI_PENDING;
    }
    kvi_my_operation_poll(session, poll);
    if (session->phase == PHASE_READY)
        wait_for_work(session, poll);
    return KIVI_PENDING;
}
