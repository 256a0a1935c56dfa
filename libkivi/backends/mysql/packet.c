/* How much a request may have: vectors are cut by the server's max_allowed_packet, what fits none is refused here. */
#include "my.h"

#define PACKET_MARGIN \
    (UINT64_C(64) << 10) /* of a statement besides its values, twice what is needed */
#define ROW_MOST 200     /* of an item besides its key and value */

/* Of quotes and backslashes in a value a statement has two bytes each. */
uint64_t kvi_my_value_most(const my_session *session)
{
    uint64_t packet = session->login.table.packet;

    return packet > 2 * PACKET_MARGIN ? (packet - PACKET_MARGIN) / 2 : packet / 4;
}

static uint64_t room(const my_session *session)
{
    uint64_t packet = session->login.table.packet;

    return packet > 2 * PACKET_MARGIN ? packet - PACKET_MARGIN / 2 : packet / 4 * 3;
}

static uint64_t quoted(kivi_slice bytes, bool exactly)
{
    return exactly ? kvi_my_quoted_size(bytes) : 2 * (uint64_t)bytes.size + 2;
}

/* Of an item's key and value; the key may stand there twice. */
static uint64_t size_of(const kvi_sql_job *job, size_t at, bool exactly)
{
    const kivi_write_item *item;

    if (job->verb == KVI_SQL_READ)
        return quoted(kivi_read_item_at(job->reads, at)->key, exactly) + ROW_MOST;
    item = kivi_write_item_at(job->writes, at);
    return 2 * quoted(item->key, exactly) + quoted(item->value, exactly) + ROW_MOST;
}

/* So many from the first on fit together. */
static size_t fitting(const my_session *session, size_t count, bool exactly)
{
    uint64_t size = 0, most = room(session);
    size_t n = 0;

    while (n < count && (size += size_of(&session->job, n, exactly)) <= most)
        n++;
    return n;
}

static kivi_status too_large(kivi_error **error)
{
    *error = kvi_my_host->error(KIVI_TOO_LARGE, 0, KIVI_RETRY_YES,
                                "more than the server's max_allowed_packet takes at once");
    return KIVI_TOO_LARGE;
}

static void cut_to(my_session *session, size_t count)
{
    kvi_sql_job *job = &session->job;

    if (job->verb == KVI_SQL_READ) {
        session->part.reads = *job->reads;
        job->reads = &session->part.reads;
        job->reads->count = count;
    } else {
        session->part.writes = *job->writes;
        job->writes = &session->part.writes;
        job->writes->count = count;
    }
}

/* Items behind the cut have no answer: the core asks for them again. A vector that begins with what never fits it halves. */
kivi_status kvi_my_packet_cut(my_session *session, kivi_error **error)
{
    const kvi_sql_job *job = &session->job;
    size_t count, n;

    if (job->verb != KVI_SQL_READ && job->verb != KVI_SQL_WRITE)
        return KIVI_OK;
    count = job->verb == KVI_SQL_READ ? job->reads->count : job->writes->count;
    if (fitting(session, count, false) == count)
        return KIVI_OK;
    n = fitting(session, count, true);
    if (n == count)
        return KIVI_OK;
    if (!n || (job->verb == KVI_SQL_WRITE && job->writes->flags & KIVI_VECTOR_ATOMIC))
        return too_large(error);
    cut_to(session, n);
    return KIVI_OK;
}
