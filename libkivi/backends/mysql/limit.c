/* How long the server may take: what waits for another's lock is refused in time, exactly, and nothing lands later. */
#include "my.h"

#include <stdio.h>

#define NS_PER_MS UINT64_C(1000000)
#define GRACE_NS UINT64_C(500000000) /* for the answer of a statement whose time is over */
#define SHORT_MS 100

/* Of a lock alone only whole seconds can be said: what is shorter is the statement's time, which MariaDB alone bounds. */
static void say(my_session *session, uint32_t limit_ms)
{
    uint32_t lock_s = kvi_sql_lock_limit(limit_ms) / 1000;
    char text[160];

    if (limit_ms == session->limit_ms)
        return;
    session->limit_ms = limit_ms;
    snprintf(
        text, sizeof(text),
        "SET SESSION innodb_lock_wait_timeout = %u /*M!100101 , max_statement_time = %u.%03u */",
        limit_ms && lock_s < 1 ? 1
        : limit_ms             ? lock_s
                               : 50,
        limit_ms / 1000, limit_ms % 1000);
    kvi_my_statement(session, GROUP_LIMIT);
    kvi_my_put(session, text);
}

/* One key that somebody holds shall not hold up all others: the core halves the vector, in the time that is left. */
static uint32_t shorten(uint32_t limit_ms)
{
    return limit_ms <= SHORT_MS ? limit_ms : limit_ms / 4 < SHORT_MS ? SHORT_MS : limit_ms / 4;
}

/* What a read does not finish in time is only read for nothing: it is bound by no more than what was set before it. */
void kvi_my_limit_verb(my_session *session, bool short_locks)
{
    const my_settings *settings = &session->instance->settings;
    uint64_t now, deadline = session->deadline_ns;
    uint32_t limit;

    session->until_ns = 0;
    if (!kvi_sql_changes(&session->job)) {
        if (!session->limit_ms)
            return;
        limit = kvi_sql_limit(deadline, kvi_my_host->monotonic_ns(), session->limit_ms);
        if (!limit || limit > session->limit_ms)
            say(session, limit);
        return;
    }
    now = kvi_my_host->monotonic_ns();
    if (deadline == UINT64_MAX) /* the core's patience with a silent server is the limit */
        deadline = now + (uint64_t)settings->io_timeout_ms * NS_PER_MS;
    limit = kvi_sql_limit(deadline, now, session->limit_ms);
    session->until_ns = now + limit * NS_PER_MS + GRACE_NS;
    say(session, short_locks ? shorten(limit) : limit);
}

bool kvi_my_limit_is_over(const my_session *session)
{
    return session->until_ns && session->limit_ms &&
           kvi_my_host->monotonic_ns() + session->limit_ms * NS_PER_MS / 8 + GRACE_NS >= session->until_ns;
}
