/* libmariadb's operations in steps, and requests: statements that go together, answered one behind the other. */
#include "my.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

/* ---- SIGPIPE ---- */

/* Under TLS libmariadb's writes raise it where the peer is gone: none is seen, and one that was there before stays. */
typedef struct quiet {
    sigset_t before;
    bool blocked;
} quiet;

static void be_quiet(const my_session *session, quiet *q)
{
    sigset_t pipe, pending;

    q->blocked = session->instance->settings.tls && sigpending(&pending) == 0 &&
                 !sigismember(&pending, SIGPIPE);
    if (!q->blocked)
        return;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &q->before);
}

static void be_as_before(quiet *q)
{
    static const struct timespec now = {0, 0};
    sigset_t pipe;

    if (!q->blocked)
        return;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR)
        ;
    pthread_sigmask(SIG_SETMASK, &q->before, NULL);
}

void kvi_my_end(my_session *session)
{
    quiet q;

    be_quiet(session, &q);
    mysql_close(&session->my);
    be_as_before(&q);
    session->has_my = false;
}

/* ---- Operations ---- */

void kvi_my_operate(my_session *session, my_operation operation)
{
    const my_bytes *text = &session->request.text;
    quiet q;

    be_quiet(session, &q);
    session->operation = operation;
    switch (operation) {
    case OP_QUERY:
        session->waits = mysql_real_query_start(&session->failed, &session->my, text->data, text->size);
        break;
    case OP_STORE:
        session->waits = mysql_store_result_start(&session->result, &session->my);
        break;
    case OP_NEXT:
        session->waits = mysql_next_result_start(&session->failed, &session->my);
        break;
    default:
        break; /* OP_CONNECT is begun by who knows whereto */
    }
    be_as_before(&q);
}

void kvi_my_operate_on(my_session *session, int ready)
{
    quiet q;

    be_quiet(session, &q);
    switch (session->operation) {
    case OP_CONNECT:
        ERR_clear_error(); /* failure.c looks at what this step leaves */
        session->waits = mysql_real_connect_cont(&session->connected, &session->my, ready);
        break;
    case OP_QUERY:
        session->waits = mysql_real_query_cont(&session->failed, &session->my, ready);
        break;
    case OP_STORE:
        session->waits = mysql_store_result_cont(&session->result, &session->my, ready);
        break;
    case OP_NEXT:
        session->waits = mysql_next_result_cont(&session->failed, &session->my, ready);
        break;
    default:
        session->waits = 0;
        break;
    }
    be_as_before(&q);
}

int kvi_my_socket(const my_session *session)
{
    return session->has_my ? (int)mysql_get_socket((MYSQL *)(uintptr_t)&session->my) : -1;
}

int kvi_my_ready(const my_session *session, uint32_t revents)
{
    int ready = 0;

    if (revents & (POLLIN | POLLHUP | POLLERR | POLLNVAL))
        ready |= MYSQL_WAIT_READ;
    if (revents & (POLLOUT | POLLHUP | POLLERR | POLLNVAL))
        ready |= MYSQL_WAIT_WRITE;
    if (revents & POLLPRI)
        ready |= MYSQL_WAIT_EXCEPT;
    return ready & session->waits;
}

void kvi_my_operation_poll(const my_session *session, kivi_poll *poll)
{
    poll->fd = kvi_my_socket(session);
    poll->events = (session->waits & MYSQL_WAIT_READ ? POLLIN : 0) |
                   (session->waits & MYSQL_WAIT_WRITE ? POLLOUT : 0) |
                   (session->waits & MYSQL_WAIT_EXCEPT ? POLLPRI : 0);
}

/* ---- Putting a request together ---- */

void kvi_my_request_begin(my_session *session)
{
    my_request *request = &session->request;

    request->text.size = 0;
    request->text.failed = false;
    request->count = request->answered = 0;
    request->refused = 0;
}

void kvi_my_statement(my_session *session, uint8_t group)
{
    my_request *request = &session->request;

    if (request->count)
        kvi_my_put(session, "; ");
    request->groups[request->count++] = group;
}

/* ---- Answers ---- */

/* A statement was refused, what is behind it is not done; or the connection is gone. */
static kivi_status refused(my_session *session, kivi_error **error)
{
    unsigned code = mysql_errno(&session->my);

    if (!code || kvi_my_is_loss(code))
        return kvi_my_broken(error);
    session->request.refused = code;
    return KIVI_OK;
}

/* Rows that a statement found or made; of an update also those that were so before. */
static uint64_t changed(my_session *session)
{
    static const char matched[] = "Rows matched: ";
    const char *info = mysql_info(&session->my);

    if (info && strncmp(info, matched, sizeof(matched) - 1) == 0)
        return strtoull(info + sizeof(matched) - 1, NULL, 10);
    return mysql_affected_rows(&session->my);
}

static void take(my_session *session)
{
    my_request *request = &session->request;
    MYSQL_RES *rows = session->result;

    session->result = NULL;
    session->take(session, request->groups[request->answered++], &rows, rows ? 0 : changed(session));
    mysql_free_result(rows);
}

/* An operation is done: what comes next. OK: the request is. */
static kivi_status operated(my_session *session, kivi_error **error)
{
    bool stored = session->operation == OP_STORE;

    if (!stored && session->failed)
        return refused(session, error);
    if (!stored && mysql_field_count(&session->my)) {
        kvi_my_operate(session, OP_STORE);
        return KIVI_PENDING;
    }
    if (stored && !session->result)
        return refused(session, error);
    take(session);
    if (session->request.answered == session->request.count)
        return mysql_more_results(&session->my) ? kvi_my_broken(error) : KIVI_OK;
    if (!mysql_more_results(&session->my))
        return kvi_my_broken(error);
    kvi_my_operate(session, OP_NEXT);
    return KIVI_PENDING;
}

static kivi_status go_on(my_session *session, kivi_error **error)
{
    kivi_status status = KIVI_PENDING;

    while (status == KIVI_PENDING && !session->waits)
        status = operated(session, error);
    if (status != KIVI_PENDING)
        session->operation = OP_NONE;
    return status;
}

kivi_status kvi_my_request_send(my_session *session, kivi_error **error)
{
    if (session->request.text.failed)
        return kvi_my_no_memory(error);
    kvi_my_operate(session, OP_QUERY);
    return go_on(session, error);
}

kivi_status kvi_my_request_step(my_session *session, uint32_t revents, kivi_error **error)
{
    int ready = kvi_my_ready(session, revents);

    if (!ready)
        return KIVI_PENDING;
    kvi_my_operate_on(session, ready);
    return go_on(session, error);
}

/* ---- Rows ---- */

kivi_slice kvi_my_column(MYSQL_RES *rows, MYSQL_ROW row, unsigned column)
{
    const unsigned long *lengths = mysql_fetch_lengths(rows);

    return kivi_bytes(row[column], row[column] ? lengths[column] : 0);
}

int64_t kvi_my_number(MYSQL_ROW row, unsigned column)
{
    return row[column] ? strtoll(row[column], NULL, 10) : 0;
}
