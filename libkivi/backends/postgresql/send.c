/* Statements on their way: their parameters, in binary, and what is awaited for them. */
#include "pg.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Parameters ---- */

void kvi_pg_parameters_begin(pg_session *session)
{
    session->parameters.count = 0;
    session->parameters.failed = false;
}

static pg_bytes *next_made(pg_session *session)
{
    pg_parameters *all = &session->parameters;

    all->is_made[all->count] = true;
    all->made[all->count].size = 0;
    return &all->made[all->count++];
}

static void append(pg_session *session, const void *data, size_t size)
{
    pg_parameters *all = &session->parameters;
    pg_bytes *bytes = &all->made[all->count - 1];

    if (bytes->size + size > bytes->room) {
        size_t room = bytes->room ? bytes->room : 256;
        char *grown;
        while (room < bytes->size + size)
            room *= 2;
        grown = realloc(bytes->data, room);
        if (!grown) {
            all->failed = true;
            return;
        }
        bytes->data = grown;
        bytes->room = room;
    }
    if (size)
        memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static void append_int4(pg_session *session, uint32_t number)
{
    uint32_t wire = htonl(number);

    append(session, &wire, 4);
}

static void put(pg_session *session, const char *value, size_t size)
{
    pg_parameters *all = &session->parameters;

    all->is_made[all->count] = false;
    all->values[all->count] = value;
    all->sizes[all->count++] = (int)size;
}

void kvi_pg_put_slice(pg_session *session, kivi_slice bytes)
{
    put(session, bytes.size ? bytes.data : "", bytes.size);
}

void kvi_pg_put_null(pg_session *session)
{
    put(session, NULL, 0);
}

void kvi_pg_put_int8(pg_session *session, int64_t number)
{
    uint64_t wire = htobe64((uint64_t)number);

    next_made(session);
    append(session, &wire, 8);
}

void kvi_pg_put_int4(pg_session *session, int32_t number)
{
    next_made(session);
    append_int4(session, (uint32_t)number);
}

void kvi_pg_put_bool(pg_session *session, bool truth)
{
    put(session, truth ? "\1" : "\0", 1);
}

void kvi_pg_array_begin(pg_session *session, Oid element, size_t count)
{
    next_made(session);
    append_int4(session, count ? 1 : 0); /* dimensions */
    append_int4(session, 1);             /* may hold NULL */
    append_int4(session, element);
    append_int4(session, (uint32_t)count);
    append_int4(session, 1); /* lower bound */
}

void kvi_pg_array_bytes(pg_session *session, kivi_slice bytes)
{
    append_int4(session, (uint32_t)bytes.size);
    append(session, bytes.data, bytes.size);
}

void kvi_pg_array_null(pg_session *session)
{
    append_int4(session, UINT32_MAX);
}

void kvi_pg_array_int2(pg_session *session, int16_t number)
{
    uint16_t wire = htons((uint16_t)number);

    kvi_pg_array_bytes(session, kivi_bytes(&wire, 2));
}

void kvi_pg_array_int8(pg_session *session, int64_t number)
{
    uint64_t wire = htobe64((uint64_t)number);

    kvi_pg_array_bytes(session, kivi_bytes(&wire, 8));
}

int64_t kvi_pg_int8(const PGresult *result, int row, int column)
{
    uint64_t wire = 0;

    if (PQgetlength(result, row, column) == 8)
        memcpy(&wire, PQgetvalue(result, row, column), 8);
    return (int64_t)be64toh(wire);
}

/* ---- Statements ---- */

static bool await(pg_session *session, pg_awaited_kind kind, int statement, uint16_t group)
{
    if (session->awaited_count == session->awaited_room) {
        size_t room = session->awaited_room ? 2 * session->awaited_room : 16;
        pg_awaited *grown = realloc(session->awaited, room * sizeof(*grown));
        if (!grown)
            return false;
        session->awaited = grown;
        session->awaited_room = room;
    }
    session->awaited[session->awaited_count++] = (pg_awaited){(uint8_t)kind, (uint8_t)statement, group};
    return true;
}

/* Parameters that were put together lie where the last of them let them lie. */
static void point_at_made(pg_parameters *all)
{
    for (int i = 0; i < all->count; i++)
        if (all->is_made[i]) {
            all->values[i] = all->made[i].data;
            all->sizes[i] = (int)all->made[i].size;
        }
}

static kivi_status prepare(pg_session *session, int statement, const char *name, uint16_t group,
                           kivi_error **error)
{
    if (session->prepared >> statement & 1)
        return KIVI_OK;
    if (!await(session, AWAIT_PREPARED, statement, group))
        return kvi_pg_no_memory(error);
    if (!PQsendPrepare(session->conn, name, session->instance->sql[statement], 0, NULL))
        return kvi_pg_broken(error);
    session->prepared |= UINT64_C(1) << statement; /* forgotten again where it fails */
    return KIVI_OK;
}

kivi_status kvi_pg_send(pg_session *session, int statement, uint16_t group, kivi_error **error)
{
    static const int binary[PARAMETERS] = {1, 1, 1, 1, 1, 1, 1, 1};
    pg_parameters *all = &session->parameters;
    bool prepared = session->instance->settings.prepared;
    char name[8];
    kivi_status status = KIVI_OK;
    int sent;

    if (all->failed)
        return kvi_pg_no_memory(error);
    point_at_made(all);
    snprintf(name, sizeof(name), "k%d", statement);
    if (prepared)
        status = prepare(session, statement, name, group, error);
    if (status)
        return status;
    if (!await(session, AWAIT_ROWS, statement, group))
        return kvi_pg_no_memory(error);
    if (prepared)
        sent = PQsendQueryPrepared(session->conn, name, all->count, all->values, all->sizes, binary, 1);
    else
        sent = PQsendQueryParams(session->conn, session->instance->sql[statement], all->count, NULL,
                                 all->values, all->sizes, binary, 1);
    return sent ? KIVI_OK : kvi_pg_broken(error);
}

kivi_status kvi_pg_send_once(pg_session *session, const char *sql, const char *value, kivi_error **error)
{
    if (!await(session, AWAIT_ROWS, 0, GROUP_LOGIN))
        return kvi_pg_no_memory(error);
    return PQsendQueryParams(session->conn, sql, value != NULL, NULL, &value, NULL, NULL, 0)
               ? KIVI_OK
               : kvi_pg_broken(error);
}

kivi_status kvi_pg_sync(pg_session *session, uint16_t group, kivi_error **error)
{
    if (!await(session, AWAIT_SYNC, 0, group))
        return kvi_pg_no_memory(error);
    return PQpipelineSync(session->conn) ? KIVI_OK : kvi_pg_broken(error);
}
