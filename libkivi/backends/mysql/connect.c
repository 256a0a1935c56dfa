/* From a name to a connection: servers in turn, the addresses of each, libmariadb's login; and the end of a connection. */
#include "../../core/base/platform.h"
#include "my.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const kvi_place *place_of(const my_session *session)
{
    return kvi_turns_place(&session->turns);
}

/* ---- The end ---- */

static void clear_held(my_session *session)
{
    mysql_free_result(session->result);
    session->result = NULL;
    mysql_free_result(session->held);
    session->held = NULL;
}

/* What is written from now on goes nowhere, and what is read is the end. */
static void mute(int fd)
{
    int nowhere = fd < 0 ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);

    if (nowhere < 0)
        return;
    kvi_descriptor_replace(fd, nowhere);
    close(nowhere);
}

/* libmariadb leaks what an operation holds that does not come to its end. */
static void end_operation(my_session *session)
{
    for (int i = 0; session->waits && i < 1000; i++)
        kvi_my_operate_on(session, session->waits);
    session->operation = OP_NONE;
    session->waits = 0;
}

static void drop(my_session *session)
{
    int fd = kvi_my_socket(session);

    if (session->has_my && session->waits) {
        if (fd >= 0)
            shutdown(fd, SHUT_RDWR);
        mute(fd);
        end_operation(session);
    }
    clear_held(session);
    if (session->has_my)
        kvi_my_end(session);
    kvi_wipe(session->password);
    session->password = NULL;
    session->limit_ms = 0;
    session->in_transaction = false;
    session->operation = OP_NONE;
    session->waits = 0;
}

void kvi_my_disconnect(my_session *session)
{
    drop(session);
    kvi_resolve_leave(&session->walk, false);
    session->phase = PHASE_CLOSED;
}

void kvi_my_connection_abandon(my_session *session, bool in_verb)
{
    int fd = kvi_my_socket(session);

    mute(fd); /* libmariadb knows no end without a goodbye */
    if (in_verb)
        return;
    if (session->has_my) {
        end_operation(session);
        clear_held(session);
        kvi_my_end(session);
    }
    kvi_wipe(session->password);
    session->password = NULL;
    kvi_resolve_leave(&session->walk, true);
}

/* ---- One address ---- */

static void set_tls(MYSQL *my, const my_settings *settings)
{
    my_bool yes = 1, verify = settings->verify;

    if (!settings->tls)
        return;
    mysql_optionsv(my, MYSQL_OPT_SSL_ENFORCE, &yes);
    mysql_optionsv(my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    mysql_optionsv(my, MARIADB_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3");
    if (settings->verify && settings->ca_file)
        mysql_optionsv(my, MYSQL_OPT_SSL_CA, settings->ca_file);
    if (settings->verify && settings->ca_dir)
        mysql_optionsv(my, MYSQL_OPT_SSL_CAPATH, settings->ca_dir);
    if (settings->crl_file)
        mysql_optionsv(my, MYSQL_OPT_SSL_CRL, settings->crl_file);
    if (settings->cert_file) {
        mysql_optionsv(my, MYSQL_OPT_SSL_CERT, settings->cert_file);
        mysql_optionsv(my, MYSQL_OPT_SSL_KEY,
                       settings->key_file ? settings->key_file : settings->cert_file);
    }
}

/* Nothing is done behind the core, no file of the client is given away, and characters are bytes. */
static bool prepare(my_session *session, bool socket)
{
    const my_settings *settings = &session->instance->settings;
    MYSQL *my = &session->my;
    my_bool no = 0;
    unsigned none = 0, protocol = socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;

    if (!mysql_init(my))
        return false;
    session->has_my = true;
    if (mysql_optionsv(my, MYSQL_OPT_NONBLOCK, NULL))
        return false;
    mysql_optionsv(my, MYSQL_OPT_RECONNECT, &no);
    mysql_optionsv(my, MYSQL_OPT_LOCAL_INFILE, &none);
    mysql_optionsv(my, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_optionsv(my, MYSQL_SET_CHARSET_NAME, "binary");
    /* Whoever answers could ask for the password as it is. */
    if (!settings->tls || !settings->verify)
        mysql_optionsv(
            my, MARIADB_OPT_RESTRICTED_AUTH,
            "mysql_native_password,client_ed25519,caching_sha2_password,sha256_password");
    set_tls(my, settings);
    return true;
}

/*
 * libmariadb takes the host that it is given for the address to connect to, and copies it when the server has answered, for
 * the name to expect in its certificate: between the two the text is exchanged, so that it never looks a name up.
 */
static void name_the_server(my_session *session)
{
    const char *name = session->instance->settings.server_name;

    if (place_of(session)->path)
        return;
    snprintf(session->host, sizeof(session->host), "%s", name ? name : place_of(session)->host);
}

static kivi_status attempt(my_session *session, kivi_error **error)
{
    const kvi_endpoint *endpoint = &session->instance->settings.endpoint;
    const kvi_place *place = place_of(session);
    const struct addrinfo *at = session->walk.at;
    kivi_status status = kvi_endpoint_password(endpoint, &session->password, error);

    if (status)
        return status;
    snprintf(session->host, sizeof(session->host), "localhost");
    if (at && !place->path)
        getnameinfo(at->ai_addr, at->ai_addrlen, session->host, sizeof(session->host), NULL, 0,
                    NI_NUMERICHOST);
    kvi_my_host->guard_descriptors();
    session->phase = PHASE_CONNECTING;
    session->reached = false;
    if (!prepare(session, place->path))
        return kvi_my_no_memory(error);
    session->operation = OP_CONNECT;
    session->waits = mysql_real_connect_start(
        &session->connected, &session->my, session->host, endpoint->user ? endpoint->user : "",
        session->password ? session->password : "", session->instance->settings.database,
        place->path ? 0 : (unsigned)strtoul(place->port, NULL, 10), place->path,
        CLIENT_MULTI_STATEMENTS);
    name_the_server(session);
    return KIVI_PENDING;
}

/* ---- The addresses of a server ---- */

/* Why the attempt failed: by the address, so that the next is tried (PENDING), or by the server, which ends it all. */
static kivi_status attempt_failed(my_session *session, int code, kivi_error **error)
{
    kivi_status status = KIVI_UNAVAILABLE;

    if (!code)
        status = kvi_my_login_failed(session, error);
    drop(session);
    if (status != KIVI_UNAVAILABLE || *error)
        return status;
    kvi_resolve_failed(&session->walk, session->reached ? ECONNRESET : code ? code : ECONNREFUSED);
    return KIVI_PENDING;
}

static kivi_status established(my_session *session)
{
    my_instance *instance = session->instance;

    session->operation = OP_NONE;
    atomic_store_explicit(&instance->version, mysql_get_server_version(&session->my),
                          memory_order_relaxed);
    atomic_store_explicit(&instance->first, session->turns.server, memory_order_relaxed);
    kvi_resolve_leave(&session->walk, false);
    kvi_wipe(session->password);
    session->password = NULL;
    session->phase = PHASE_LOGIN;
    return KIVI_OK;
}

static kivi_status try_addresses(my_session *session, kivi_error **error)
{
    while (kvi_resolve_next(&session->walk)) {
        kivi_status status = attempt(session, error);
        if (status != KIVI_PENDING || session->waits)
            return status;
        if (session->connected)
            return established(session);
        status = attempt_failed(session, 0, error);
        if (status != KIVI_PENDING)
            return status;
    }
    return kvi_resolve_fail(&session->walk, error);
}

/* ---- Servers in turn ---- */

static kivi_status begin_server(my_session *session, kivi_error **error)
{
    kivi_status status;

    kvi_resolve_leave(&session->walk, false);
    session->phase = PHASE_RESOLVING;
    status = kvi_resolve_begin(&session->walk, place_of(session), error);
    return status ? status : try_addresses(session, error);
}

kivi_status kvi_my_next_server(my_session *session, kivi_status status, kivi_error **error)
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

kivi_status kvi_my_connect(my_session *session, kivi_error **error)
{
    kvi_turns_begin(&session->turns, &session->instance->settings.endpoint,
                    atomic_load_explicit(&session->instance->first, memory_order_relaxed));
    return kvi_my_next_server(session, begin_server(session, error), error);
}

/* ---- Steps ---- */

static kivi_status server_silent(my_session *session, kivi_error **error)
{
    drop(session);
    return kvi_turns_silent(&session->turns, error);
}

static kivi_status next_address(my_session *session, int code, kivi_error **error)
{
    kivi_status status = attempt_failed(session, code, error);

    return status == KIVI_PENDING ? try_addresses(session, error) : status;
}

/* The connection is through, or why not: asked here, since libmariadb would keep the code for itself. 0: it is, or is under way. */
static int connect_code(my_session *session)
{
    int code = 0;
    socklen_t size = sizeof(code);

    if (session->reached)
        return 0;
    if (getsockopt(kvi_my_socket(session), SOL_SOCKET, SO_ERROR, &code, &size))
        code = errno;
    session->reached = code == 0;
    return code;
}

static kivi_status step(my_session *session, uint32_t revents, kivi_error **error)
{
    kivi_status status;
    int ready, code;

    if (kvi_turns_left(&session->turns) == 0)
        return server_silent(session, error);
    if (session->phase == PHASE_RESOLVING) {
        status = kvi_resolve_advance(&session->walk, error);
        return status ? status : try_addresses(session, error);
    }
    ready = kvi_my_ready(session, revents);
    if (!ready)
        return session->reached || kvi_resolve_left(&session->walk) != 0
                   ? KIVI_PENDING
                   : next_address(session, ETIMEDOUT, error);
    code = connect_code(session);
    if (code)
        return next_address(session, code, error);
    kvi_my_operate_on(session, ready);
    if (session->waits)
        return KIVI_PENDING;
    return session->connected ? established(session) : next_address(session, 0, error);
}

kivi_status kvi_my_connect_step(my_session *session, uint32_t revents, kivi_error **error)
{
    return kvi_my_next_server(session, step(session, revents, error), error);
}

void kvi_my_connect_poll(my_session *session, kivi_poll *poll)
{
    int64_t left = kvi_turns_left(&session->turns);

    poll->timeout_ns = left;
    if (session->phase == PHASE_RESOLVING) {
        poll->fd = kvi_resolve_fd(&session->walk);
        poll->events = POLLIN;
        return;
    }
    kvi_my_operation_poll(session, poll);
    if (!session->reached) {
        int64_t address = kvi_resolve_left(&session->walk);
        if (address >= 0 && (left < 0 || address < left))
            poll->timeout_ns = address;
    }
}
