/* Writes: one transaction a vector. What is plain goes as one statement, all else is locked and judged. */
#include "pg.h"

static bool is_plain(const kivi_write_item *item, int32_t kind, int32_t condition)
{
    return item->kind == kind && item->condition == condition &&
           (kind != KIVI_OP_SET || item->ttl_ms != KIVI_TTL_KEEP);
}

static bool all_plain(const kivi_write_vector *vector, int32_t kind, int32_t condition, bool tells)
{
    for (size_t i = 0; i < vector->count; i++) {
        const kivi_write_item *item = kivi_write_item_at(vector, i);
        if (!is_plain(item, kind, condition) || (!tells && item->flags & KIVI_OP_WANT_EXISTED))
            return false;
    }
    return true;
}

static bool is_atomic(const kivi_write_vector *vector)
{
    return vector->flags & KIVI_VECTOR_ATOMIC && vector->count > 1;
}

static pg_way choose(const kivi_write_vector *vector)
{
    if (all_plain(vector, KIVI_OP_SET, KIVI_IF_ALWAYS, false))
        return WAY_SET;
    if (all_plain(vector, KIVI_OP_DELETE, KIVI_IF_ALWAYS, true))
        return WAY_DELETE;
    if (all_plain(vector, KIVI_OP_SET, KIVI_IF_ABSENT, true) && !is_atomic(vector))
        return WAY_ADD;
    return WAY_JUDGE;
}

/* ---- Parameters ---- */

static void put_keys(pg_session *session, const kivi_write_vector *vector)
{
    kvi_pg_array_begin(session, PG_TEXT, vector->count);
    for (size_t i = 0; i < vector->count; i++)
        kvi_pg_array_bytes(session, kivi_write_item_at(vector, i)->key);
}

static void put_values(pg_session *session, const kivi_write_vector *vector)
{
    kvi_pg_array_begin(session, PG_BYTEA, vector->count);
    for (size_t i = 0; i < vector->count; i++)
        kvi_pg_array_bytes(session, kvi_sql_as_judged(&session->judging, i).value);
}

/* Without a TTL NULL; KIVI_TTL_KEEP as it is. */
static void put_ttls(pg_session *session, const kivi_write_vector *vector)
{
    kvi_pg_array_begin(session, PG_INT8, vector->count);
    for (size_t i = 0; i < vector->count; i++) {
        int64_t ttl_ms = kvi_sql_as_judged(&session->judging, i).ttl_ms;
        if (ttl_ms == KIVI_TTL_NONE)
            kvi_pg_array_null(session);
        else
            kvi_pg_array_int8(session, ttl_ms);
    }
}

static void put_rows(pg_session *session, const kivi_write_vector *vector)
{
    kvi_pg_parameters_begin(session);
    put_keys(session, vector);
    put_values(session, vector);
    put_ttls(session, vector);
}

/* ---- Asking ---- */

static kivi_status send_set(pg_session *session, kivi_error **error)
{
    const kivi_write_vector *vector = session->job.writes;
    const kivi_write_item *item = kivi_write_item_at(vector, 0);

    if (vector->count > 1) {
        put_rows(session, vector);
        return kvi_pg_send(session, PG_MSET, GROUP_VERB, error);
    }
    kvi_pg_parameters_begin(session);
    kvi_pg_put_slice(session, item->key);
    kvi_pg_put_slice(session, item->value);
    if (item->ttl_ms == KIVI_TTL_NONE)
        kvi_pg_put_null(session);
    else
        kvi_pg_put_int8(session, item->ttl_ms);
    return kvi_pg_send(session, PG_SET, GROUP_VERB, error);
}

static kivi_status send_delete(pg_session *session, kivi_error **error)
{
    const kivi_write_vector *vector = session->job.writes;
    const kivi_write_item *item = kivi_write_item_at(vector, 0);
    bool alone = vector->count == 1 && !(item->flags & KIVI_OP_WANT_EXISTED);

    kvi_pg_parameters_begin(session);
    if (alone)
        kvi_pg_put_slice(session, item->key);
    else
        put_keys(session, vector);
    return kvi_pg_send(session, alone ? PG_DELETE : PG_MDELETE, GROUP_VERB, error);
}

static kivi_status send_lock(pg_session *session, kivi_error **error)
{
    kivi_status status;

    kvi_pg_parameters_begin(session);
    put_keys(session, session->job.writes);
    status = kvi_pg_send(session, PG_LOCK, GROUP_VERB, error);
    if (status || !session->counts)
        return status;
    kvi_pg_parameters_begin(session);
    put_keys(session, session->job.writes);
    return kvi_pg_send(session, PG_FETCH, GROUP_VERB, error);
}

static kivi_status send_judge(pg_session *session, kivi_error **error)
{
    const kivi_write_vector *vector = session->job.writes;

    kvi_pg_parameters_begin(session);
    put_keys(session, vector);
    kvi_pg_array_begin(session, PG_INT2, vector->count);
    for (size_t i = 0; i < vector->count; i++)
        kvi_pg_array_int2(session, (int16_t)kvi_sql_as_judged(&session->judging, i).kind);
    kvi_pg_array_begin(session, PG_INT2, vector->count);
    for (size_t i = 0; i < vector->count; i++)
        kvi_pg_array_int2(session, (int16_t)kivi_write_item_at(vector, i)->condition);
    put_values(session, vector);
    kvi_pg_array_begin(session, PG_BYTEA, vector->count);
    for (size_t i = 0; i < vector->count; i++)
        kvi_pg_array_bytes(session, kivi_write_item_at(vector, i)->expected);
    put_ttls(session, vector);
    kvi_pg_put_bool(session, is_atomic(vector));
    return kvi_pg_send(session, PG_JUDGE, GROUP_VERB, error);
}

static kivi_status send_verb(pg_session *session, kivi_error **error)
{
    const kivi_write_vector *vector = session->job.writes;
    kivi_status status;

    switch (session->way) {
    case WAY_SET:
        return send_set(session, error);
    case WAY_DELETE:
        return send_delete(session, error);
    case WAY_ADD:
        put_rows(session, vector);
        return kvi_pg_send(session, PG_ADD, GROUP_VERB, error);
    default:
        status = send_lock(session, error);
        return status || session->counts ? status : send_judge(session, error);
    }
}

static kivi_status send_sweep(pg_session *session, kivi_error **error)
{
    pg_instance *instance = session->instance;
    kivi_status status;

    if (!instance->settings.sweep ||
        !kvi_sql_sweep_is_due(&instance->swept_ns, kvi_pg_host->monotonic_ns()))
        return KIVI_OK;
    kvi_pg_parameters_begin(session);
    kvi_pg_put_int8(session, instance->settings.sweep);
    status = kvi_pg_send(session, PG_SWEEP, GROUP_SWEEP, error);
    return status ? status : kvi_pg_sync(session, GROUP_SWEEP, error);
}

static void tell_sent(const kivi_write_vector *vector, int32_t sent)
{
    for (size_t i = 0; i < vector->count; i++)
        kivi_write_item_at(vector, i)->sent = sent;
}

static kivi_status close_transaction(pg_session *session, kivi_error **error)
{
    kivi_status status = kvi_pg_sync(session, GROUP_VERB, error);

    if (status)
        return status;
    tell_sent(session->job.writes, KIVI_SENT_WHOLLY); /* libpq has copied it */
    return send_sweep(session, error);
}

kivi_status kvi_pg_write_second(pg_session *session, kivi_error **error)
{
    kivi_status status = KIVI_OK;

    if (session->judging.failed)
        return kvi_pg_no_memory(error);
    if (!session->refusal.told)
        status = send_judge(session, error);
    return status ? status : close_transaction(session, error);
}

kivi_status kvi_pg_write_begin(pg_session *session, kivi_error **error)
{
    kivi_write_vector *vector = session->job.writes;
    kivi_status status;

    if (!kvi_sql_judging_begin(&session->judging, vector))
        return kvi_pg_no_memory(error);
    session->way = choose(vector);
    session->counts = kvi_sql_has_increments(vector);
    /* One key that somebody holds shall not hold up all others: the core halves the vector. */
    status = kvi_pg_limit_transaction(session, vector->count > 1 && !is_atomic(vector), error);
    if (status)
        return status;
    tell_sent(vector, KIVI_SENT_PARTLY);
    status = send_verb(session, error);
    if (status)
        return status;
    if (session->counts) /* its rows come without the end of the transaction */
        return PQsendFlushRequest(session->conn) ? KIVI_OK : kvi_pg_broken(error);
    return close_transaction(session, error);
}

/* ---- Answers ---- */

static void take_fetched(pg_session *session, const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++) {
        int64_t n = kvi_pg_int8(result, row, 0);
        if (n >= 1 && (uint64_t)n <= session->job.writes->count)
            kvi_sql_add_up(&session->judging, (size_t)n - 1, *PQgetvalue(result, row, 1),
                           kvi_pg_slice(result, row, 2));
    }
}

static void take_judged(pg_session *session, const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++) {
        int64_t n = kvi_pg_int8(result, row, 0);
        if (n >= 1 && (uint64_t)n <= session->job.writes->count)
            session->judging.marks[n - 1] = (uint8_t)(KVI_SQL_SEEN |
                                                      (*PQgetvalue(result, row, 1) ? KVI_SQL_THERE : 0) |
                                                      (*PQgetvalue(result, row, 2) ? KVI_SQL_HOLDS : 0));
    }
}

/* Keys that a statement wrote: those added, or deleted, and whether they were there. */
static void take_written(pg_session *session, const PGresult *result)
{
    const kivi_write_vector *vector = session->job.writes;

    for (int row = 0; row < PQntuples(result); row++) {
        size_t at = kvi_sql_find_item(vector->items, vector->item_size, vector->count,
                                      kvi_pg_slice(result, row, 0));
        if (at < vector->count)
            session->judging.marks[at] = (uint8_t)(KVI_SQL_SEEN |
                                                   (*PQgetvalue(result, row, 1) ? KVI_SQL_THERE : 0));
    }
}

void kvi_pg_write_rows(pg_session *session, const PGresult *result, int statement)
{
    if (statement == PG_FETCH)
        take_fetched(session, result);
    else if (statement == PG_JUDGE)
        take_judged(session, result);
    else if (PQnfields(result) == 2)
        take_written(session, result);
}

kivi_status kvi_pg_write_committed(pg_session *session, kivi_error **error)
{
    const kivi_write_vector *vector = session->job.writes;

    if (session->way == WAY_JUDGE) {
        if (kvi_sql_answer(&session->judging))
            return KIVI_OK;
        *error = kvi_pg_host->error(KIVI_INTERNAL, 0, KIVI_RETRY_IF_IDEMPOTENT, "the server lost a key");
        return KIVI_INTERNAL;
    }
    for (size_t i = 0; i < vector->count; i++) {
        kivi_write_item *item = kivi_write_item_at(vector, i);
        uint8_t mark = session->judging.marks[i];
        bool added = session->way == WAY_ADD && mark & KVI_SQL_SEEN;
        item->existed = session->way == WAY_ADD ? !added : (mark & KVI_SQL_THERE) != 0;
        item->status = session->way == WAY_ADD && !added ? KIVI_CONDITION : KIVI_OK;
    }
    return KIVI_OK;
}
