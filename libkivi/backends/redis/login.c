/* Logging in: who we are, which protocol and database, and what the server is. One pipeline. */
#include "cluster.h"
#include "sentinel.h"

/* Values that matter, of the answers of HELLO and CONFIG GET. */
enum {
    FIELD_NONE = 0,
    FIELD_VERSION,
    FIELD_MODE,
    FIELD_ROLE,
    FIELD_LIMIT,
    FIELD_POLICY,
    FIELD_LOGS,
    FIELD_SYNCS
};
static const char *const fields[] = {"",          "version",          "mode",       "role",
                                     "maxmemory", "maxmemory-policy", "appendonly", "appendfsync"};

/* Which command of the pipeline a reply is for: the item of the command. */
enum {
    STEP_HELLO = 0,
    STEP_AUTH,
    STEP_SELECT,
    STEP_NAME,
    STEP_SETTINGS,
    STEP_SERVER,
    STEP_ROLE,
    STEP_READONLY
};

/* ---- Asking ---- */

static bool queue_hello(redis_session *session, const char *password)
{
    const redis_settings *settings = &session->instance->settings;
    const char *user = settings->endpoint.user ? settings->endpoint.user : "default";
    const char *name = settings->client_name;
    uint32_t arguments = 2 + (password ? 3 : 0) + (name ? 2 : 0);
    size_t most = 7 * KVI_REDIS_ARGUMENT + (password ? strlen(user) + strlen(password) : 0) +
                  (name ? strlen(name) : 0);
    uint8_t *at = kvi_redis_begin(session, REPLY_LOGIN, STEP_HELLO, 1, arguments, most);

    if (!at)
        return false;
    at = kvi_redis_put_text(at, "HELLO");
    at = kvi_redis_put_number(at, session->login.protocol);
    if (password) {
        at = kvi_redis_put_text(at, "AUTH");
        at = kvi_redis_put_text(at, user);
        at = kvi_redis_put_text(at, password);
    }
    if (name) {
        at = kvi_redis_put_text(at, "SETNAME");
        at = kvi_redis_put_text(at, name);
    }
    kvi_redis_end(session, at);
    return true;
}

static bool queue_auth(redis_session *session, const char *password)
{
    const char *user = session->instance->settings.endpoint.user;
    size_t most = 3 * KVI_REDIS_ARGUMENT + strlen(password) + (user ? strlen(user) : 0);
    uint8_t *at = kvi_redis_begin(session, REPLY_LOGIN, STEP_AUTH, 1, user ? 3 : 2, most);

    if (!at)
        return false;
    at = kvi_redis_put_text(at, "AUTH");
    if (user)
        at = kvi_redis_put_text(at, user);
    at = kvi_redis_put_text(at, password);
    kvi_redis_end(session, at);
    return true;
}

static bool queue_name(redis_session *session)
{
    const char *name = session->instance->settings.client_name;
    uint8_t *at = kvi_redis_begin(session, REPLY_LOGIN, STEP_NAME, 1, 3,
                                  3 * KVI_REDIS_ARGUMENT + strlen(name));

    if (!at)
        return false;
    at = kvi_redis_put_text(at, "CLIENT");
    at = kvi_redis_put_text(at, "SETNAME");
    kvi_redis_end(session, kvi_redis_put_text(at, name));
    return true;
}

static bool queue_select(redis_session *session)
{
    uint8_t *at;

    if (session->instance->settings.db == 0)
        return true;
    at = kvi_redis_begin(session, REPLY_LOGIN, STEP_SELECT, 1, 2, 2 * KVI_REDIS_ARGUMENT);
    if (!at)
        return false;
    at = kvi_redis_put_text(at, "SELECT");
    kvi_redis_end(session, kvi_redis_put_number(at, session->instance->settings.db));
    return true;
}

static bool queue_settings_of(redis_session *session, const char *pattern)
{
    uint8_t *at = kvi_redis_begin(session, REPLY_LOGIN, STEP_SETTINGS, 1, 3, 3 * KVI_REDIS_ARGUMENT);

    if (!at)
        return false;
    at = kvi_redis_put_text(at, "CONFIG");
    at = kvi_redis_put_text(at, "GET");
    kvi_redis_end(session, kvi_redis_put_text(at, pattern));
    return true;
}

/* Whether it drops keys when it is full, and what it has on disk when it acknowledges: in the same round trip. */
static bool queue_settings(redis_session *session)
{
    return queue_settings_of(session, "maxmemory*") && queue_settings_of(session, "append*");
}

/* Which server it is, whatever name led there. */
static bool queue_server(redis_session *session)
{
    uint8_t *at = kvi_redis_begin(session, REPLY_LOGIN, STEP_SERVER, 1, 2, 2 * KVI_REDIS_ARGUMENT);

    if (!at)
        return false;
    at = kvi_redis_put_text(at, "INFO");
    kvi_redis_end(session, kvi_redis_put_text(at, "server"));
    return true;
}

/* HELLO says it, too. */
static bool queue_role(redis_session *session)
{
    uint8_t *at = kvi_redis_begin(session, REPLY_LOGIN, STEP_ROLE, 1, 1, KVI_REDIS_ARGUMENT);

    if (!at)
        return false;
    kvi_redis_end(session, kvi_redis_put_text(at, "ROLE"));
    return true;
}

/* Reads of a cluster's replicas are refused without it. */
static bool queue_readonly(redis_session *session)
{
    uint8_t *at;

    if (!session->cluster || !session->cluster->cluster->reads_replicas)
        return true;
    at = kvi_redis_begin(session, REPLY_LOGIN, STEP_READONLY, 1, 1, KVI_REDIS_ARGUMENT);
    if (!at)
        return false;
    kvi_redis_end(session, kvi_redis_put_text(at, "READONLY"));
    return true;
}

/* Without HELLO, which older servers do not know, and which a user may not be allowed. */
static bool queue_plain(redis_session *session, const char *password)
{
    return (!password || queue_auth(session, password)) &&
           (!session->instance->settings.client_name || queue_name(session)) &&
           queue_select(session) && (!session->seek || queue_role(session));
}

static kivi_status queue_round(redis_session *session, kivi_error **error)
{
    char *password;
    kivi_status status = kvi_endpoint_password(&session->instance->settings.endpoint, &password, error);
    bool queued;

    if (status)
        return status;
    if (session->login.plain)
        queued = queue_plain(session, password);
    else
        queued = queue_hello(session, password) && queue_select(session);
    kvi_wipe(password);
    queued = queued && queue_settings(session) && queue_server(session) && queue_readonly(session);
    return queued ? KIVI_OK : kvi_redis_no_memory(error);
}

kivi_status kvi_redis_login_begin(redis_session *session, kivi_error **error)
{
    session->login = (redis_login){.protocol = session->instance->settings.protocol};
    session->has_keep = session->has_getex = false;
    return queue_round(session, error);
}

/* ---- Answers ---- */

static bool is(kivi_slice bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

/* "7.0.15" as 70015. */
static uint32_t read_version(kivi_slice text)
{
    const char *data = text.data;
    uint32_t parts[3] = {0, 0, 0};
    size_t part = 0;

    for (size_t i = 0; i < text.size && part < 3; i++) {
        if (data[i] == '.')
            part++;
        else if (data[i] >= '0' && data[i] <= '9' && parts[part] < 1000)
            parts[part] = parts[part] * 10 + (uint32_t)(data[i] - '0');
        else
            break;
    }
    return parts[0] * 10000 + (parts[1] < 99 ? parts[1] : 99) * 100 + (parts[2] < 99 ? parts[2] : 99);
}

static void take_field(redis_login *login, const kvi_resp_token *token)
{
    kivi_slice value = token->bytes;

    if (token->kind != KVI_RESP_STRING)
        return;
    switch (login->field) {
    case FIELD_VERSION:
        login->version = read_version(value);
        break;
    case FIELD_MODE:
        login->is_cluster = is(value, "cluster");
        login->is_sentinel = is(value, "sentinel");
        break;
    case FIELD_ROLE:
        login->role = is(value, "master") ? ROLE_PRIMARY : ROLE_REPLICA;
        break;
    case FIELD_LIMIT:
        login->has_limit = !is(value, "0");
        break;
    case FIELD_POLICY:
        login->knows_memory = true;
        login->drops = !is(value, "noeviction");
        break;
    case FIELD_LOGS:
        login->logs = is(value, "yes");
        break;
    case FIELD_SYNCS:
        login->knows_disk = true;
        login->syncs = is(value, "always");
        break;
    default:
        break;
    }
}

/* Names and values of an answer in turn; what lies deeper belongs to a value. */
static void take_pair(redis_session *session, const kvi_resp_token *token)
{
    redis_login *login = &session->login;

    if (token->depth != 1)
        return;
    if (session->element++ % 2 == 1) {
        take_field(login, token);
        return;
    }
    login->field = FIELD_NONE;
    for (uint32_t i = FIELD_VERSION; i <= FIELD_SYNCS && token->kind == KVI_RESP_STRING; i++)
        if (is(token->bytes, fields[i]))
            login->field = i;
}

/* The first word of ROLE's answer; what follows is of replicas. */
static void take_role(redis_session *session, const kvi_resp_token *token)
{
    if (token->depth == 1 && session->element++ == 0 && token->kind == KVI_RESP_STRING)
        session->login.role = is(token->bytes, "master") ? ROLE_PRIMARY : ROLE_REPLICA;
}

/* Its run id, of lines such as "run_id:5f8e". A database of the server has data of its own. */
static void take_server(redis_session *session, const kvi_resp_token *token)
{
    static const char name[] = "\nrun_id:";
    kivi_slice text = token->bytes;
    const char *at = token->kind == KVI_RESP_STRING ? memmem(text.data, text.size, name, strlen(name))
                                                    : NULL;

    if (!at)
        return;
    at += strlen(name);
    size_t size = 0, most = text.size - (size_t)(at - (const char *)text.data);
    while (size < most && at[size] != '\r' && at[size] != '\n')
        size++;
    if (size)
        session->login.server = kvi_redis_host->hash64(kivi_bytes(at, size));
}

static bool begins(kivi_slice text, const char *with)
{
    size_t size = strlen(with);

    return text.size >= size && memcmp(text.data, with, size) == 0;
}

static void take_refusal(redis_session *session, uint32_t step, kivi_slice text)
{
    redis_login *login = &session->login;
    redis_refusal refusal = kvi_redis_judge(text);

    if (step == STEP_NAME && refusal.status != KIVI_UNAVAILABLE)
        return; /* only a convenience */
    if (step == STEP_HELLO && begins(text, "NOPROTO"))
        login->no_protocol = true;
    else if (step == STEP_HELLO && (begins(text, "ERR unknown command") || begins(text, "NOPERM")))
        login->no_hello = true;
    if (login->refused)
        return; /* what comes after a refusal follows from it */
    login->refused = true;
    login->refusal = refusal;
}

static kivi_status refuse(redis_session *session, kivi_error **error)
{
    *error = kvi_redis_refusal_error(session, &session->login.refusal);
    return session->login.refusal.status;
}

/* By a server that has no place for one more client, say: it closes the connection, and the other replies never come. */
static bool is_turned_away(const redis_login *login)
{
    return login->refused && !login->no_hello && !login->no_protocol &&
           login->refusal.status == KIVI_UNAVAILABLE;
}

kivi_status kvi_redis_login_reply(redis_session *session, const redis_command *command,
                                  const kvi_resp_token *token, kivi_error **error)
{
    uint32_t step = command->base.item;

    if (token->depth > 0) {
        step == STEP_ROLE ? take_role(session, token) : take_pair(session, token);
        return KIVI_OK;
    }
    session->element = 0;
    if (step == STEP_SERVER)
        take_server(session, token);
    if (step >= STEP_SETTINGS)
        return KIVI_OK; /* not every user may ask, and not every server knows */
    if (token->kind == KVI_RESP_ERROR) {
        take_refusal(session, step, token->bytes);
        return is_turned_away(&session->login) ? refuse(session, error) : KIVI_OK;
    }
    if (step == STEP_HELLO ? token->kind == KVI_RESP_ARRAY
                           : token->kind == KVI_RESP_STATUS && is(token->bytes, "OK"))
        return KIVI_OK;
    return kvi_redis_breach(session, error);
}

/* ---- What comes of it ---- */

static kivi_status refuse_mode(const char *mode, kivi_error **error)
{
    *error = kvi_redis_host->error(KIVI_UNSUPPORTED, 0, KIVI_RETRY_NO, "the server is %s", mode);
    return KIVI_UNSUPPORTED;
}

static kivi_status again(redis_session *session, kivi_error **error)
{
    redis_login *login = &session->login;
    kivi_status status;

    if (login->no_protocol && login->protocol == 3)
        login->protocol = 2;
    else
        login->plain = true;
    login->no_hello = login->no_protocol = login->refused = false;
    status = queue_round(session, error);
    return status ? status : KIVI_PENDING;
}

static kivi_status tell_settings(const redis_session *session, kivi_error **error)
{
    const redis_login *login = &session->login;
    kivi_learned learned = {.struct_size = sizeof(learned)};

    if (login->knows_memory)
        learned.fields |= KIVI_LEARNED_EVICTS;
    if (login->knows_disk)
        learned.fields |= KIVI_LEARNED_DURABLE;
    if (login->server)
        learned.fields |= KIVI_LEARNED_IDENTITY;
    learned.evicts = login->has_limit && login->drops;
    learned.durable = login->logs && login->syncs;
    learned.identity = login->server + (uint64_t)session->instance->settings.db;
    if (session->cluster)
        kvi_cluster_learn(session, &learned);
    return kvi_redis_host->learned(session->instance->reporter, &learned, error);
}

kivi_status kvi_redis_login_end(redis_session *session, kivi_error **error)
{
    redis_login *login = &session->login;

    if (login->no_hello || login->no_protocol)
        return again(session, error);
    if (login->refused)
        return refuse(session, error);
    if (login->is_sentinel)
        return refuse_mode("a Redis Sentinel: write redis+sentinel://HOST:PORT/SERVICE", error);
    if (login->is_cluster && !session->cluster)
        return refuse_mode("part of a Redis Cluster: write redis+cluster://HOST:PORT,HOST:PORT/", error);
    if (session->cluster && !login->is_cluster && !login->plain)
        return refuse_mode("no part of a Redis Cluster: write redis://HOST:PORT", error);
    if (session->seek && login->role != ROLE_PRIMARY)
        return kvi_redis_seek_refuse(session->seek, login->role, error);
    session->has_keep = !login->plain;
    session->has_getex = login->version >= 60200;
    if (session->cluster)
        kvi_cluster_logged_in(session);
    atomic_store_explicit(&session->instance->version, login->version, memory_order_relaxed);
    return tell_settings(session, error);
}
