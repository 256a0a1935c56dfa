/* From a name to a connection: servers in turn, the addresses of each, libpq's login; and the end of a connection. */
#include "../../core/base/platform.h"
#include "pg.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <locale.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static void silent(void *user, const PGresult *notice)
{
    (void)user, (void)notice; /* libpq would print it */
}

static const kvi_place *place_of(const pg_session *session)
{
    return kvi_turns_place(&session->turns);
}

/* ---- libpq's words are read, so they are English ---- */

static locale_t english;

static void make_english(void)
{
    english = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static locale_t speak_english(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_english);
    return english ? uselocale(english) : (locale_t)0;
}

static void speak_again(locale_t before)
{
    if (before)
        uselocale(before);
}

/* ---- One address ---- */

static kivi_status attempt(pg_session *session, kivi_error **error)
{
    char address[INET6_ADDRSTRLEN + 20] = "", *password = NULL;
    const struct addrinfo *at = session->walk.at;
    kivi_status status = kvi_endpoint_password(&session->instance->settings.endpoint, &password, error);

    if (status)
        return status;
    if (at && !place_of(session)->path)
        getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof(address), NULL, 0, NI_NUMERICHOST);
    kvi_pg_host->guard_descriptors();
    session->phase = PHASE_CONNECTING;
    session->reached = false;
    session->poll = PGRES_POLLING_WRITING;
    session->conn = kvi_pg_start(session, place_of(session), *address ? address : NULL, password);
    kvi_wipe(password);
    if (!session->conn)
        return kvi_pg_no_memory(error);
    PQsetErrorVerbosity(session->conn, PQERRORS_SQLSTATE); /* the login's failure as well: it has no other code */
    PQsetNoticeReceiver(session->conn, silent, NULL);
    return KIVI_PENDING;
}

static void drop(pg_session *session)
{
    if (session->conn)
        PQfinish(session->conn);
    session->conn = NULL;
    session->prepared = 0;
    session->unsent = false;
    session->limit_ms = 0;
    session->awaited_count = session->answered = 0;
}

/* ---- The addresses of a server ---- */

/* Why the attempt failed: by the address, so that the next is tried (PENDING), or by the server, which ends it all. */
static kivi_status attempt_failed(pg_session *session, int code, kivi_error **error)
{
    kivi_status status = KIVI_UNAVAILABLE;

    if (!code)
        status = kvi_pg_login_failed(session->conn, session->instance->settings.tls, &code, error);
    drop(session);
    if (status != KIVI_UNAVAILABLE || *error)
        return status;
    kvi_resolve_failed(&session->walk, session->reached ? ECONNRESET : code);
    return KIVI_PENDING;
}

static kivi_status try_addresses(pg_session *session, kivi_error **error)
{
    while (kvi_resolve_next(&session->walk)) {
        kivi_status status = attempt(session, error);
        if (status != KIVI_PENDING || PQstatus(session->conn) != CONNECTION_BAD)
            return status;
        status = attempt_failed(session, 0, error);
        if (status != KIVI_PENDING)
            return status;
    }
    return kvi_resolve_fail(&session->walk, error);
}

/* ---- Servers in turn ---- */

static kivi_status begin_server(pg_session *session, kivi_error **error)
{
    kivi_status status;

    kvi_resolve_leave(&session->walk, false);
    session->phase = PHASE_RESOLVING;
    status = kvi_resolve_begin(&session->walk, place_of(session), error);
    return status ? status : try_addresses(session, error);
}

kivi_status kvi_pg_next_server(pg_session *session, kivi_status status, kivi_error **error)
{
    while (status && status != KIVI_PENDING) {
        if (!kvi_turns_next(&session->turns, status, error)) {
            kvi_turns_fail(&session->turns, status, error);
            break;
        }
        drop(session);
        status = begin_server(session, error);
    }
    return status;
}

kivi_status kvi_pg_connect(pg_session *session, kivi_error **error)
{
    locale_t before = speak_english();
    kivi_status status;

    kvi_turns_begin(&session->turns, &session->instance->settings.endpoint,
                    atomic_load_explicit(&session->instance->first, memory_order_relaxed));
    status = kvi_pg_next_server(session, begin_server(session, error), error);
    speak_again(before);
    return status;
}

/* ---- Steps ---- */

static kivi_status server_silent(pg_session *session, kivi_error **error)
{
    drop(session);
    return kvi_turns_silent(&session->turns, error);
}

static kivi_status next_address(pg_session *session, int code, kivi_error **error)
{
    kivi_status status = attempt_failed(session, code, error);

    return status == KIVI_PENDING ? try_addresses(session, error) : status;
}

/* The connection is through, or why not: asked here, since libpq would keep the code for itself. 0: it is, or is under way. */
static int connect_code(pg_session *session, uint32_t revents)
{
    int code = 0;
    socklen_t size = sizeof(code);

    if (session->reached || !revents)
        return 0;
    if (getsockopt(PQsocket(session->conn), SOL_SOCKET, SO_ERROR, &code, &size))
        code = errno;
    session->reached = code == 0;
    return code;
}

static kivi_status established(pg_session *session, kivi_error **error)
{
    atomic_store_explicit(&session->instance->version, PQserverVersion(session->conn),
                          memory_order_relaxed);
    atomic_store_explicit(&session->instance->first, session->turns.server, memory_order_relaxed);
    kvi_resolve_leave(&session->walk, false);
    if (PQsetnonblocking(session->conn, 1) || !PQenterPipelineMode(session->conn))
        return kvi_pg_broken(error);
    session->phase = PHASE_LOGIN;
    return kvi_pg_login_begin(session, error);
}

static kivi_status step(pg_session *session, uint32_t revents, kivi_error **error)
{
    kivi_status status;
    int code;

    if (kvi_turns_left(&session->turns) == 0)
        return server_silent(session, error);
    if (session->phase == PHASE_RESOLVING) {
        status = kvi_resolve_advance(&session->walk, error);
        return status ? status : try_addresses(session, error);
    }
    if (!revents)
        return session->reached || kvi_resolve_left(&session->walk) != 0
                   ? KIVI_PENDING
                   : next_address(session, ETIMEDOUT, error);
    code = connect_code(session, revents);
    if (code)
        return next_address(session, code, error);
    session->poll = PQconnectPoll(session->conn);
    if (session->poll == PGRES_POLLING_FAILED)
        return next_address(session, 0, error);
    return session->poll == PGRES_POLLING_OK ? established(session, error) : KIVI_PENDING;
}

kivi_status kvi_pg_connect_step(pg_session *session, uint32_t revents, kivi_error **error)
{
    locale_t before = speak_english();
    kivi_status status = kvi_pg_next_server(session, step(session, revents, error), error);

    speak_again(before);
    return status;
}

void kvi_pg_connect_poll(pg_session *session, kivi_poll *poll)
{
    int64_t left = kvi_turns_left(&session->turns);

    poll->timeout_ns = left;
    if (session->phase == PHASE_RESOLVING) {
        poll->fd = kvi_resolve_fd(&session->walk);
        poll->events = POLLIN;
        return;
    }
    poll->fd = PQsocket(session->conn);
    poll->events = session->poll == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!session->reached) {
        int64_t address = kvi_resolve_left(&session->walk);
        if (address >= 0 && (left < 0 || address < left))
            poll->timeout_ns = address;
    }
}

/* ---- The end ---- */

void kvi_pg_disconnect(pg_session *session)
{
    drop(session);
    kvi_resolve_leave(&session->walk, false);
    session->phase = PHASE_CLOSED;
}

/* libpq knows no end without a goodbye: its socket is replaced by one that goes nowhere. */
void kvi_pg_connection_abandon(pg_session *session, bool in_verb)
{
    int fd = session->conn ? PQsocket(session->conn) : -1;
    int nowhere = fd < 0 ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);

    if (fd >= 0 && nowhere >= 0)
        kvi_descriptor_replace(fd, nowhere);
    else if (fd >= 0)
        close(fd); /* libpq will say its goodbye to nobody */
    if (nowhere >= 0)
        close(nowhere);
    if (in_verb)
        return;
    kvi_resolve_leave(&session->walk, true);
    if (session->conn && (nowhere >= 0 || fd < 0))
        PQfinish(session->conn);
}
