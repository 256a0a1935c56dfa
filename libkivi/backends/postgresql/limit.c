/* How long the server may take: what waits for another's lock is refused in time, exactly, and nothing lands later. */
#include "pg.h"

#define NS_PER_MS UINT64_C(1000000)
#define GRACE_NS UINT64_C(500000000) /* for the answer of a statement whose time is over */
#define SHORT_LOCK_MS 100

static void put_limits(pg_session *session, uint32_t lock_ms, uint32_t limit_ms)
{
    kvi_pg_parameters_begin(session);
    kvi_pg_put_int8(session, lock_ms);
    kvi_pg_put_int8(session, limit_ms);
}

static kivi_status limit_session(pg_session *session, uint32_t limit_ms, kivi_error **error)
{
    kivi_status status;

    if (limit_ms == session->limit_ms)
        return KIVI_OK;
    session->limit_ms = limit_ms;
    if (!session->instance->settings.prepared) /* it is another's session in between: each transaction says it */
        return KIVI_OK;
    put_limits(session, kvi_sql_lock_limit(limit_ms), limit_ms);
    status = kvi_pg_send(session, PG_LIMIT, GROUP_LIMIT, error);
    return status ? status : kvi_pg_sync(session, GROUP_LIMIT, error);
}

/* What a read does not finish in time is only read for nothing: it is bound by no more than what was set before it. */
kivi_status kvi_pg_limit_verb(pg_session *session, kivi_error **error)
{
    const pg_settings *settings = &session->instance->settings;
    uint64_t now, deadline = session->deadline_ns;
    uint32_t limit;

    session->until_ns = 0;
    if (!kvi_sql_changes(&session->job)) {
        if (!session->limit_ms)
            return KIVI_OK;
        limit = kvi_sql_limit(deadline, kvi_pg_host->monotonic_ns(), session->limit_ms);
        return limit && limit <= session->limit_ms ? KIVI_OK : limit_session(session, limit, error);
    }
    now = kvi_pg_host->monotonic_ns();
    if (deadline == UINT64_MAX) /* the core's patience with a silent server is the limit */
        deadline = now + (uint64_t)settings->io_timeout_ms * NS_PER_MS;
    limit = kvi_sql_limit(deadline, now, session->limit_ms);
    session->until_ns = now + limit * NS_PER_MS + GRACE_NS;
    return limit_session(session, limit, error);
}

kivi_status kvi_pg_limit_transaction(pg_session *session, bool short_locks, kivi_error **error)
{
    uint32_t lock = kvi_sql_lock_limit(session->limit_ms);

    if (!short_locks && session->instance->settings.prepared)
        return KIVI_OK;
    if (short_locks && lock > SHORT_LOCK_MS)
        lock = SHORT_LOCK_MS;
    put_limits(session, lock, session->limit_ms);
    return kvi_pg_send(session, PG_LIMIT_LOCAL, GROUP_LIMIT, error);
}

bool kvi_pg_limit_is_over(const pg_session *session)
{
    return session->until_ns && session->limit_ms &&
           kvi_pg_host->monotonic_ns() + session->limit_ms * NS_PER_MS / 8 + GRACE_NS >= session->until_ns;
}
