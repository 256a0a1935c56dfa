/* Asking the sentinels for the primary, one after the other, and connecting to the server that they name. */
#include "sentinel.h"

#include <stdlib.h>

#define HOST_MOST 255
#define PORT_MOST 5

enum { STEP_AUTH = 0, STEP_WHERE };

/* Reasons, from what may be over soon to what somebody must mend. */
typedef enum redis_gravity {
    REASON_NONE = 0,
    REASON_AWAY,
    REASON_REFUSED,
    REASON_UNKNOWN
} redis_gravity;

struct redis_seek {
    redis_session *session;
    kvi_net_target primary; /* of the session's pipeline; changed while that is closed */
    kvi_pipeline pipeline;  /* to the sentinel that is asked */
    kvi_resp resp;
    bool asking, moved; /* moved: something new is waited for */
    size_t index, left; /* the sentinel that is asked, and how many are to be asked after it */
    uint64_t until_ns;  /* then it is given up, or the primary that does not answer its login */
    /* of the answer being read */
    uint32_t element;
    bool named, strange;
    bool refused;
    redis_refusal refusal;
    char host[HOST_MOST + 1], port[PORT_MOST + 1];
    /* why there is no primary so far */
    redis_gravity gravity;
    kivi_status why;
    kivi_error *reason;
    bool refuse_all; /* every sentinel asked so far refuses connections */
};

static redis_sentinels *sentinels_of(const redis_seek *seek)
{
    return seek->session->instance->settings.sentinels;
}

static const kvi_endpoint *endpoint_of(const redis_seek *seek)
{
    return &seek->session->instance->settings.endpoint;
}

/* ---- The question ---- */

static bool queue(redis_seek *seek, uint32_t step, const char *const *arguments, uint32_t count)
{
    kvi_pipeline *pipeline = &seek->pipeline;
    size_t most = KVI_REDIS_ARGUMENT;
    uint8_t *at, *begin;

    for (uint32_t i = 0; i < count; i++)
        most += strlen(arguments[i]) + KVI_REDIS_ARGUMENT;
    if (!kvi_pipeline_add(pipeline, REPLY_LOGIN, step, 1))
        return false;
    begin = at = kvi_net_room(&pipeline->net, most);
    if (!at)
        return false;
    at = kvi_redis_put_count(at, count);
    for (uint32_t i = 0; i < count; i++)
        at = kvi_redis_put_text(at, arguments[i]);
    kvi_net_wrote(&pipeline->net, (size_t)(at - begin));
    kvi_pipeline_added(pipeline);
    return true;
}

static bool queue_auth(redis_seek *seek, const char *password)
{
    const char *user = sentinels_of(seek)->login.user;
    const char *with[] = {"AUTH", user, password}, *without[] = {"AUTH", password};

    if (!password)
        return true;
    return user ? queue(seek, STEP_AUTH, with, 3) : queue(seek, STEP_AUTH, without, 2);
}

/* Both in one go: a sentinel that wants a login, or another one, refuses the question too. */
static kivi_status ask(void *owner, kivi_error **error)
{
    redis_seek *seek = owner;
    const char *where[] = {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinels_of(seek)->service};
    char *password;
    kivi_status status = kvi_endpoint_password(&sentinels_of(seek)->login, &password, error);
    bool queued;

    if (status)
        return status;
    seek->resp = (kvi_resp){0};
    seek->element = 0;
    seek->named = seek->strange = seek->refused = false;
    queued = queue_auth(seek, password) && queue(seek, STEP_WHERE, where, 3);
    kvi_wipe(password);
    return queued ? KIVI_OK : kvi_redis_no_memory(error);
}

/* ---- Its answer ---- */

static bool take_text(char *text, size_t most, const kvi_resp_token *token)
{
    if (token->kind != KVI_RESP_STRING || !token->bytes.size || token->bytes.size > most ||
        memchr(token->bytes.data, '\0', token->bytes.size))
        return false;
    memcpy(text, token->bytes.data, token->bytes.size);
    text[token->bytes.size] = '\0';
    return true;
}

/* An array of host and port, or nil where the service is not known. */
static void take_where(redis_seek *seek, const kvi_resp_token *token)
{
    bool fits;

    if (token->depth == 0) {
        seek->strange = token->kind != KVI_RESP_NIL &&
                        (token->kind != KVI_RESP_ARRAY || token->integer != 2);
        return;
    }
    fits = seek->element++ == 0 ? take_text(seek->host, HOST_MOST, token)
                                : take_text(seek->port, PORT_MOST, token);
    seek->strange = seek->strange || !fits;
    seek->named = seek->element == 2 && !seek->strange;
}

static kivi_status take_reply(void *owner, kvi_command *command, const uint8_t *bytes, size_t size,
                              kvi_portion *portion, kivi_error **error)
{
    redis_seek *seek = owner;
    kvi_resp_token token;
    kivi_status status = kvi_redis_token(&seek->resp, bytes, size, portion, &token, error);

    if (status)
        return status;
    if (token.depth == 0 && token.kind == KVI_RESP_ERROR) {
        if (!seek->refused) /* what comes after a refusal follows from it */
            seek->refusal = kvi_redis_judge(token.bytes);
        seek->refused = true;
    } else if (command->item == STEP_WHERE) {
        take_where(seek, &token);
    }
    return KIVI_OK;
}

static kivi_status answered(void *owner, kivi_error **error)
{
    (void)owner, (void)error;
    return KIVI_OK; /* what it says is looked at when the question has ended */
}

/* Nothing but its login is asked of a sentinel. */
static const kvi_protocol protocol = {
    .command_size = sizeof(kvi_command),
    .login = ask,
    .login_end = answered,
    .begin = answered,
    .reply = take_reply,
    .end = answered,
};

/* ---- Why there is none ---- */

/* Keeps the gravest; takes the error over. */
static void give_reason(redis_seek *seek, redis_gravity gravity, kivi_status status, kivi_error *reason)
{
    if (gravity <= seek->gravity) {
        kvi_redis_host->error_free(reason);
        return;
    }
    kvi_redis_host->error_free(seek->reason);
    seek->reason = reason;
    seek->why = status;
    seek->gravity = gravity;
}

static void forget_reason(redis_seek *seek)
{
    kvi_redis_host->error_free(seek->reason);
    seek->reason = NULL;
    seek->gravity = REASON_NONE;
    seek->refuse_all = true;
}

static const char *sentinel_text(const redis_seek *seek, char text[KVI_PLACE_SIZE])
{
    return kvi_place_text(&endpoint_of(seek)->targets[seek->index].place, text);
}

static void give_away(redis_seek *seek, const char *what)
{
    char place[KVI_PLACE_SIZE];

    give_reason(seek, REASON_AWAY, KIVI_UNAVAILABLE,
                kvi_redis_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_YES,
                                      "no sentinel of %zu names the primary: %s %s",
                                      endpoint_of(seek)->count, sentinel_text(seek, place), what));
}

static void give_refusal(redis_seek *seek)
{
    const redis_refusal *refusal = &seek->refusal;
    char place[KVI_PLACE_SIZE];
    kivi_status status = refusal->status == KIVI_DENIED ? KIVI_DENIED : KIVI_INVALID;
    kivi_error *error;

    if (refusal->status == KIVI_UNAVAILABLE || refusal->status == KIVI_BUSY) {
        give_away(seek, "does not serve");
        return;
    }
    error = kvi_redis_host->error(
        status, 0, KIVI_RETRY_NO, "the sentinel %s: %s", sentinel_text(seek, place),
        status == KIVI_DENIED ? refusal->text : "it does not know the question: no Redis Sentinel");
    if (refusal->code)
        kvi_redis_host->error_native_text(error, refusal->code);
    give_reason(seek, REASON_REFUSED, status, error);
}

static void give_strange(redis_seek *seek)
{
    char place[KVI_PLACE_SIZE];

    give_reason(
        seek, REASON_REFUSED, KIVI_INVALID,
        kvi_redis_host->error(KIVI_INVALID, 0, KIVI_RETRY_NO,
                              "the sentinel %s: its answer names no server: no Redis Sentinel",
                              sentinel_text(seek, place)));
}

static void give_unknown(redis_seek *seek)
{
    give_reason(seek, REASON_UNKNOWN, KIVI_INVALID,
                kvi_redis_host->error(KIVI_INVALID, 0, KIVI_RETRY_NO,
                                      "the sentinels know no service \"%.64s\"",
                                      sentinels_of(seek)->service));
}

/* No sentinel named a primary. */
static kivi_status fail(redis_seek *seek, kivi_error **error)
{
    if (seek->gravity == REASON_AWAY && seek->refuse_all) /* as of any server: the call fails at once */
        *error = kvi_redis_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_LATER,
                                       "all %zu sentinels refuse connections", endpoint_of(seek)->count);
    else
        *error = kvi_redis_host->error_copy(seek->reason);
    forget_reason(seek);
    seek->asking = false;
    return seek->why;
}

/* ---- The next sentinel, or the primary ---- */

static void pass_over(redis_seek *seek)
{
    seek->index = (seek->index + 1) % endpoint_of(seek)->count;
    seek->left--;
}

static uint64_t patience_end(const redis_seek *seek)
{
    return kvi_redis_host->monotonic_ns() + endpoint_of(seek)->server_timeout_ns;
}

/* What the question came to, once it has ended; the error is taken over where it is a sentinel's own. */
static kivi_status weigh(redis_seek *seek, kivi_status status, kivi_error **error)
{
    kivi_retryable retryable;

    if (status == KIVI_OK && seek->named)
        return KIVI_OK;
    retryable = status ? kvi_redis_host->error_retryable(*error) : KIVI_RETRY_NO;
    seek->refuse_all = seek->refuse_all && retryable == KIVI_RETRY_LATER;
    if (status == KIVI_DENIED) {
        give_reason(seek, REASON_REFUSED, status, *error);
        *error = NULL;
        return KIVI_PENDING;
    }
    if (status && status != KIVI_UNAVAILABLE && status != KIVI_CORRUPT)
        return status; /* of this process */
    if (status == KIVI_UNAVAILABLE)
        give_away(seek, retryable == KIVI_RETRY_LATER ? "refuses connections" : "broke the connection");
    else if (seek->refused)
        give_refusal(seek);
    else if (status == KIVI_CORRUPT || seek->strange)
        give_strange(seek);
    else
        give_unknown(seek);
    kvi_redis_host->error_free(*error);
    *error = NULL;
    return KIVI_PENDING;
}

/* Of a host that is a name, or not the one of the last time, the certificate must say so. */
static kivi_status set_primary(redis_seek *seek, kivi_error **error)
{
    const kvi_net_target *sentinel = &endpoint_of(seek)->targets[seek->index];
    kvi_net_target *primary = &seek->primary;

    kvi_net_tls_free(primary->tls);
    primary->tls = NULL;
    primary->place = (kvi_place){.core = kvi_redis_host,
                                 .host = seek->host,
                                 .port = seek->port,
                                 .attempt_ms = sentinel->place.attempt_ms};
    if (!sentinel->tls)
        return KIVI_OK;
    primary->tls = kvi_net_tls_for(sentinel->tls, seek->host);
    return primary->tls ? KIVI_OK : kvi_redis_no_memory(error);
}

/* It did not take the login: another sentinel may know better. */
static void distrust(redis_seek *seek)
{
    size_t next = (seek->index + 1) % endpoint_of(seek)->count;

    atomic_store_explicit(&sentinels_of(seek)->first, next, memory_order_relaxed);
}

/* During a failover the one that is named is gone, or not there yet: that is asked again. */
static kivi_status judge_primary(redis_seek *seek, kivi_status status, kivi_error **error)
{
    char place[KVI_PLACE_SIZE];

    if (status == KIVI_OK || status == KIVI_PENDING || status == KIVI_IO || status == KIVI_NO_MEMORY)
        return status;
    distrust(seek);
    if (status != KIVI_UNAVAILABLE || kvi_redis_host->error_retryable(*error) != KIVI_RETRY_LATER)
        return status;
    kvi_redis_host->error_free(*error);
    *error = kvi_redis_host->error(
        KIVI_UNAVAILABLE, 0, KIVI_RETRY_YES,
        "%s, which the sentinels name as the primary, refuses connections",
        kvi_place_text(&seek->primary.place, place));
    return KIVI_UNAVAILABLE;
}

static kivi_status connect_primary(redis_seek *seek, kivi_error **error)
{
    redis_session *session = seek->session;
    kivi_status status = set_primary(seek, error);

    seek->asking = false;
    forget_reason(seek);
    if (status)
        return status;
    atomic_store_explicit(&sentinels_of(seek)->first, seek->index, memory_order_relaxed);
    seek->until_ns = patience_end(seek);
    status = kvi_pipeline_begin(&session->pipeline, session->job.reads, session->job.writes, error);
    return judge_primary(seek, status, error);
}

/* From a question that ended with `status` on. PENDING: what was begun is waited for. */
static kivi_status go_on(redis_seek *seek, kivi_status status, kivi_error **error)
{
    for (;;) {
        if (status != KIVI_PENDING) {
            status = weigh(seek, status, error);
            kvi_pipeline_free(&seek->pipeline);
            if (status == KIVI_OK)
                return connect_primary(seek, error);
            if (status != KIVI_PENDING)
                return status;
            pass_over(seek);
        }
        if (!seek->left)
            return fail(seek, error);
        kvi_pipeline_init(&seek->pipeline, &protocol, seek, &endpoint_of(seek)->targets[seek->index],
                          seek->session->instance->reporter);
        seek->until_ns = patience_end(seek);
        status = kvi_pipeline_begin(&seek->pipeline, NULL, NULL, error);
        if (status == KIVI_PENDING)
            return status;
    }
}

kivi_status kvi_redis_seek_begin(redis_seek *seek, kivi_error **error)
{
    redis_session *session = seek->session;

    if (kvi_pipeline_is_ready(&session->pipeline))
        return kvi_pipeline_begin(&session->pipeline, session->job.reads, session->job.writes, error);
    seek->asking = true;
    seek->index = atomic_load_explicit(&sentinels_of(seek)->first, memory_order_relaxed);
    seek->left = endpoint_of(seek)->count;
    forget_reason(seek);
    return go_on(seek, KIVI_PENDING, error);
}

/* ---- Steps ---- */

/* Whether its time is over; else it is looked at again then. */
static bool is_late(const redis_seek *seek, kivi_poll *poll)
{
    uint64_t now = kvi_redis_host->monotonic_ns();
    int64_t left = (int64_t)(seek->until_ns - now);

    if (now >= seek->until_ns)
        return true;
    if (poll->timeout_ns < 0 || poll->timeout_ns > left)
        poll->timeout_ns = left;
    return false;
}

static kivi_status step_question(redis_seek *seek, uint32_t revents, kivi_poll *poll, kivi_error **error)
{
    kivi_status status = kvi_pipeline_step(&seek->pipeline, revents, poll, error);

    seek->moved = false;
    if (status == KIVI_PENDING) {
        if (!is_late(seek, poll))
            return status;
        kvi_pipeline_give_up(&seek->pipeline);
        give_away(seek, "says nothing");
        seek->refuse_all = false;
        kvi_pipeline_free(&seek->pipeline);
        pass_over(seek);
    }
    seek->moved = true;
    return go_on(seek, status, error);
}

static kivi_status step_primary(redis_seek *seek, uint32_t revents, kivi_poll *poll, kivi_error **error)
{
    kvi_pipeline *pipeline = &seek->session->pipeline;
    bool was_ready = pipeline->phase == KVI_PHASE_READY;
    kivi_status status = kvi_pipeline_step(pipeline, revents, poll, error);
    char place[KVI_PLACE_SIZE];

    seek->moved = false;
    if (was_ready)
        return status;
    if (status != KIVI_PENDING)
        return judge_primary(seek, status, error);
    if (pipeline->phase == KVI_PHASE_READY || !is_late(seek, poll))
        return status;
    kvi_pipeline_give_up(pipeline);
    distrust(seek);
    *error = kvi_redis_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_YES,
                                   "%s, which the sentinels name as the primary, says nothing",
                                   kvi_place_text(&seek->primary.place, place));
    return KIVI_UNAVAILABLE;
}

kivi_status kvi_redis_seek_step(redis_seek *seek, uint32_t revents, kivi_poll *poll, kivi_error **error)
{
    kivi_status status;

    do {
        status = seek->asking ? step_question(seek, revents, poll, error)
                              : step_primary(seek, revents, poll, error);
        revents = 0; /* they were of the connection before */
    } while (status == KIVI_PENDING && seek->moved);
    return status;
}

kivi_status kvi_redis_seek_refuse(const redis_seek *seek, redis_role role, kivi_error **error)
{
    char place[KVI_PLACE_SIZE];
    const char *host = kvi_place_text(&seek->primary.place, place);

    if (role == ROLE_UNKNOWN) {
        *error = kvi_redis_host->error(KIVI_DENIED, 0, KIVI_RETRY_NO,
                                       "%s does not tell whether it is a primary (HELLO and ROLE)",
                                       host);
        return KIVI_DENIED;
    }
    *error = kvi_redis_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_YES,
                                   "%s is a replica, though the sentinels name it as the primary", host);
    return KIVI_UNAVAILABLE;
}

/* ---- Beginning and end ---- */

redis_seek *kvi_redis_seek_new(redis_session *session)
{
    redis_seek *seek = calloc(1, sizeof(*seek));

    if (!seek)
        return NULL;
    seek->session = session;
    seek->primary.place.core = kvi_redis_host;
    kvi_pipeline_init(&seek->pipeline, &protocol, seek, &endpoint_of(seek)->targets[0],
                      session->instance->reporter);
    return seek;
}

const kvi_net_target *kvi_redis_seek_target(const redis_seek *seek)
{
    return &seek->primary;
}

static void free_seek(redis_seek *seek)
{
    kvi_net_tls_free(seek->primary.tls);
    kvi_redis_host->error_free(seek->reason);
    free(seek);
}

void kvi_redis_seek_free(redis_seek *seek)
{
    if (!seek)
        return;
    kvi_pipeline_free(&seek->pipeline);
    free_seek(seek);
}

void kvi_redis_seek_abandon(redis_seek *seek, bool whole)
{
    if (!seek)
        return;
    kvi_pipeline_abandon(&seek->pipeline, whole);
    if (whole)
        free_seek(seek);
}
