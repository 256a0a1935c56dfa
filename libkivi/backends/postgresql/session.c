/* Sessions: one lane's connection, from connecting to the last answer of a verb. */
#include "../../core/base/platform.h"
#include "pg.h"

#include <poll.h>
#include <stdlib.h>

#define IDLE_NS \
    UINT64_C(50000000) /* after so long without use it is asked whether the server is still there */

/* ---- Beginning and end of a session ---- */

kivi_status kvi_pg_session_open(pg_instance *instance, pg_session **session, kivi_error **error)
{
    *session = calloc(1, sizeof(**session));
    if (!*session)
        return kvi_pg_no_memory(error);
    (*session)->instance = instance;
    return KIVI_OK;
}

static void forget_verdict(pg_session *session)
{
    kvi_pg_host->error_free(session->why);
    session->why = NULL;
    session->verdict = KIVI_OK;
    session->sink_status = KIVI_OK;
    session->refusal = (pg_refusal){.told = false};
    for (int i = 0; i < PG_HELD; i++) {
        PQclear(session->held[i]);
        session->held[i] = NULL;
    }
}

static void free_session(pg_session *session)
{
    forget_verdict(session);
    for (int i = 0; i < PARAMETERS; i++)
        free(session->parameters.made[i].data);
    free(session->awaited);
    kvi_sql_judging_free(&session->judging);
    free(session);
}

void kvi_pg_session_close(pg_session *session)
{
    kvi_pg_disconnect(session);
    free_session(session);
}

void kvi_pg_session_abandon(pg_session *session, bool in_verb)
{
    kvi_pg_connection_abandon(session, in_verb);
    if (!in_verb)
        free_session(session);
}

/* ---- Sending ---- */

static kivi_status push(pg_session *session, kivi_error **error)
{
    int left = PQflush(session->conn);

    session->unsent = left > 0;
    return left < 0 ? kvi_pg_broken(error) : KIVI_OK;
}

static kivi_status begin_verb(pg_session *session, kivi_error **error)
{
    kivi_status status;

    session->awaited_count = session->answered = 0;
    forget_verdict(session);
    status = kvi_pg_limit_verb(session, error);
    if (status)
        return status;
    switch (session->job.verb) {
    case KVI_SQL_READ:
        return kvi_pg_read_begin(session, error);
    case KVI_SQL_WRITE:
        return kvi_pg_write_begin(session, error);
    case KVI_SQL_COUNT:
        return kvi_pg_count_begin(session, error);
    default:
        return kvi_pg_scan_begin(session, error);
    }
}

static kivi_status start(pg_session *session, kivi_error **error)
{
    kivi_status status = begin_verb(session, error);

    if (!status)
        status = push(session, error);
    return status ? status : KIVI_PENDING;
}

/* ---- Answers ---- */

/* The first refusal of a transaction. False: it has no code, libpq says that the connection is gone. */
static bool note_refusal(pg_session *session, const PGresult *result, const pg_awaited *awaited)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    bool fatal = !severity || strcmp(severity, "ERROR") != 0;

    if (!state || strlen(state) != 5)
        return false;
    if (session->refusal.told && !fatal)
        return true;
    session->refusal = (pg_refusal){
        .told = true, .fatal = fatal, .at_end = awaited->kind == AWAIT_SYNC && awaited->group >= GROUP_VERB};
    memcpy(session->refusal.state, state, 6);
    return true;
}

static void take_rows(pg_session *session, PGresult **result, const pg_awaited *awaited)
{
    uint64_t gone;

    switch (awaited->group) {
    case GROUP_LIMIT:
        return;
    case GROUP_LOGIN:
        kvi_pg_login_rows(session, *result);
        return;
    case GROUP_SWEEP:
        gone = strtoull(PQcmdTuples(*result), NULL, 10);
        if (gone)
            kvi_pg_host->report(session->instance->reporter, KIVI_EVENT_SWEEP, KIVI_OK, gone);
        return;
    default:
        break;
    }
    if (session->job.verb == KVI_SQL_READ)
        kvi_pg_read_rows(session, result, awaited->group);
    else if (session->job.verb == KVI_SQL_WRITE)
        kvi_pg_write_rows(session, *result, awaited->statement);
    else if (session->job.verb == KVI_SQL_COUNT)
        kvi_pg_count_rows(session, *result);
    else
        kvi_pg_scan_rows(session, *result);
}

/* A transaction of the verb is over. Its refusal is told when all other answers are there. */
static kivi_status end_transaction(pg_session *session, kivi_error **error)
{
    pg_refusal refusal = session->refusal;

    session->refusal = (pg_refusal){.told = false};
    if (!refusal.told && session->job.verb == KVI_SQL_READ)
        kvi_pg_read_committed(session);
    if (!refusal.told)
        return session->job.verb == KVI_SQL_WRITE ? kvi_pg_write_committed(session, error) : KIVI_OK;
    if (kvi_pg_is_conflict(refusal.state) && kvi_sql_changes(&session->job))
        return KIVI_OK; /* what has no answer is a leftover, to be asked again */
    session->verdict = kvi_pg_refuse(&refusal, kvi_pg_limit_is_over(session), &session->why);
    return KIVI_OK;
}

static kivi_status synced(pg_session *session, uint16_t group, kivi_error **error)
{
    if (group >= GROUP_VERB)
        return end_transaction(session, error);
    if (group == GROUP_LOGIN)
        return KIVI_OK; /* kvi_pg_login_end() looks at the refusal */
    if (group == GROUP_LIMIT && session->refusal.told)
        session->limit_ms = 0;
    session->refusal = (pg_refusal){.told = false};
    return KIVI_OK;
}

/* Takes *result where it is kept for later. */
static kivi_status take_result(pg_session *session, PGresult **result, kivi_error **error)
{
    const pg_awaited awaited = session->awaited[session->answered];
    ExecStatusType status = PQresultStatus(*result);

    if (awaited.kind == AWAIT_PREPARED && status != PGRES_COMMAND_OK)
        session->prepared &= ~(UINT64_C(1) << awaited.statement);
    switch (status) {
    case PGRES_PIPELINE_SYNC:
        session->answered++;
        return awaited.kind == AWAIT_SYNC ? synced(session, awaited.group, error) : kvi_pg_broken(error);
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        if (awaited.kind == AWAIT_ROWS)
            take_rows(session, result, &awaited);
        return KIVI_OK;
    case PGRES_PIPELINE_ABORTED:
        return KIVI_OK;
    case PGRES_FATAL_ERROR:
        if (!note_refusal(session, *result, &awaited))
            return kvi_pg_broken(error);
        return session->refusal.fatal ? kvi_pg_refuse(&session->refusal, false, error) : KIVI_OK;
    default:
        return kvi_pg_broken(error);
    }
}

/* The end of one statement's results. */
static kivi_status end_statement(pg_session *session, kivi_error **error)
{
    const pg_awaited awaited = session->awaited[session->answered];
    kivi_status status;

    if (awaited.kind == AWAIT_SYNC)
        return PQstatus(session->conn) == CONNECTION_BAD ? kvi_pg_broken(error) : KIVI_OK;
    session->answered++;
    if (awaited.kind != AWAIT_ROWS || awaited.group < GROUP_VERB)
        return KIVI_OK;
    if (session->job.verb == KVI_SQL_READ && !session->refusal.told)
        kvi_pg_read_done(session, awaited.group);
    if (awaited.statement != PG_FETCH)
        return KIVI_OK;
    status = kvi_pg_write_second(session, error);
    return status ? status : push(session, error);
}

/* OK: all that are awaited are there; PENDING: more must come. */
static kivi_status take(pg_session *session, kivi_error **error)
{
    kivi_status status = KIVI_OK;
    size_t nothing = 0;

    while (!status && session->answered < session->awaited_count) {
        PGresult *result;
        if (PQisBusy(session->conn))
            return KIVI_PENDING;
        result = PQgetResult(session->conn);
        if (result)
            status = take_result(session, &result, error);
        else
            status = ++nothing > session->awaited_count + 4 ? kvi_pg_broken(error)
                                                            : end_statement(session, error);
        PQclear(result);
    }
    return status;
}

/* A round of the login is over. */
static kivi_status end_login(pg_session *session, kivi_error **error)
{
    kivi_status status = kvi_pg_login_end(session, error);

    if (status == KIVI_OK) {
        session->phase = PHASE_READY;
        return start(session, error);
    }
    if (status == KIVI_PENDING) {
        status = push(session, error);
        return status ? status : KIVI_PENDING;
    }
    return kvi_pg_next_server(session, status, error);
}

/* What the verb came to, all answers being there. */
static kivi_status conclude(pg_session *session, kivi_error **error)
{
    kivi_status status = session->verdict;

    if (!status)
        return session->sink_status;
    *error = session->why;
    session->why = NULL;
    return status;
}

static kivi_status receive(pg_session *session, kivi_error **error)
{
    bool ended = !PQconsumeInput(session->conn);
    kivi_status status = take(session, error);

    if (status == KIVI_OK)
        return session->phase == PHASE_LOGIN ? end_login(session, error) : conclude(session, error);
    return status == KIVI_PENDING && ended ? kvi_pg_broken(error) : status;
}

/* ---- Steps ---- */

/* Whether the server answered all that was asked, so that the session is in order whatever the verb came to. */
static bool is_whole(const pg_session *session, kivi_status status)
{
    return session->phase == PHASE_READY && session->answered == session->awaited_count &&
           status != KIVI_UNAVAILABLE && session->conn && PQstatus(session->conn) == CONNECTION_OK;
}

static kivi_status settle(pg_session *session, kivi_status status)
{
    if (status == KIVI_PENDING)
        return status;
    if (status && !is_whole(session, status))
        kvi_pg_disconnect(session);
    forget_verdict(session);
    session->job.verb = KVI_SQL_NONE;
    session->used_ns = kvi_coarse_ns();
    return status;
}

/* Bytes that nobody asked for, or an end that was not noticed while it was idle. */
static bool is_stale(const pg_session *session)
{
    struct pollfd look = {.fd = PQsocket(session->conn), .events = POLLIN | POLLRDHUP};

    return kvi_coarse_ns() - session->used_ns > IDLE_NS && poll(&look, 1, 0) > 0;
}

kivi_status kvi_pg_session_begin(pg_session *session, const kvi_sql_job *job, kivi_wait *wait,
                                 kivi_error **error)
{
    kivi_status status;

    session->job = *job;
    session->deadline_ns = kivi_wait_deadline(wait);
    if (session->phase == PHASE_READY && is_stale(session)) {
        kvi_pg_disconnect(session);
        kvi_pg_host->report(session->instance->reporter, KIVI_EVENT_RECONNECT, KIVI_OK, 1);
    }
    status = session->phase == PHASE_READY ? start(session, error) : kvi_pg_connect(session, error);
    return settle(session, status);
}

static bool is_connecting(const pg_session *session)
{
    return session->phase == PHASE_RESOLVING || session->phase == PHASE_CONNECTING;
}

static kivi_status step_connecting(pg_session *session, uint32_t revents, kivi_error **error)
{
    kivi_status status = kvi_pg_connect_step(session, revents, error);

    if (status || session->phase != PHASE_LOGIN)
        return status;
    status = push(session, error);
    return status ? status : KIVI_PENDING;
}

static kivi_status step_open(pg_session *session, kivi_error **error)
{
    kivi_status status = session->unsent ? push(session, error) : KIVI_OK;

    return status ? status : receive(session, error);
}

/* A write whose time is not over at the server may wait there for another's lock. */
static void wait_for_work(const pg_session *session, kivi_poll *poll)
{
    uint64_t now;

    if (!session->until_ns)
        return;
    now = kvi_pg_host->monotonic_ns();
    if (now >= session->until_ns)
        return;
    poll->flags |= KIVI_POLL_AT_WORK;
    poll->timeout_ns = (int64_t)(session->until_ns - now);
}

kivi_status kvi_pg_session_step(pg_session *session, uint32_t revents, kivi_poll *poll, kivi_error **error)
{
    kivi_status status = KIVI_PENDING;

    if (is_connecting(session))
        status = step_connecting(session, revents, error);
    else if (revents)
        status = step_open(session, error);
    status = settle(session, status);
    if (status != KIVI_PENDING)
        return status;
    if (is_connecting(session)) {
        kvi_pg_connect_poll(session, poll);
        return KIVI_PENDING;
    }
    poll->fd = PQsocket(session->conn);
    poll->events = POLLIN | (session->unsent ? POLLOUT : 0);
    if (session->phase == PHASE_READY)
        wait_for_work(session, poll);
    return KIVI_PENDING;
}
