/* Error replies as typed failures. What the server wrote is matched, never passed on. */
#include "redis.h"

typedef struct refusal_row {
    const char *code; /* the reply begins with it; after a blank, with that text */
    redis_refusal refusal;
} refusal_row;

#define ROW(code, status, retryable, text, condemns)       \
    {                                                      \
        code,                                              \
        {                                                  \
            status, retryable, text, condemns, false, NULL \
        }                                                  \
    }
#define CLUSTER "the server is part of a Redis Cluster: write redis+cluster://HOST:PORT,HOST:PORT/"

static const refusal_row rows[] = {
    ROW("WRONGTYPE", KIVI_WRONG_TYPE, KIVI_RETRY_NO, "the key holds no plain value", false),
    {"NOSCRIPT",
     {KIVI_INTERNAL, KIVI_RETRY_NO, "the server does not keep scripts (NOSCRIPT)", false, true, NULL}},
    ROW("OOM", KIVI_IO, KIVI_RETRY_NO, "the server is out of memory (OOM: maxmemory, noeviction)", false),
    ROW("MISCONF", KIVI_IO, KIVI_RETRY_NO,
        "the server refuses writes: it cannot save to its disk (MISCONF)", false),
    ROW("READONLY", KIVI_UNAVAILABLE, KIVI_RETRY_YES, "the server is a read-only replica (READONLY)", true),
    ROW("LOADING", KIVI_UNAVAILABLE, KIVI_RETRY_YES, "the server is loading its data (LOADING)", false),
    ROW("MASTERDOWN", KIVI_UNAVAILABLE, KIVI_RETRY_YES,
        "the server is a replica that lost its master (MASTERDOWN)", false),
    ROW("NOREPLICAS", KIVI_UNAVAILABLE, KIVI_RETRY_YES,
        "the server has too few replicas (NOREPLICAS)", false),
    ROW("BUSY", KIVI_BUSY, KIVI_RETRY_YES, "the server runs a script that takes long (BUSY)", false),
    ROW("UNKILLABLE", KIVI_BUSY, KIVI_RETRY_YES,
        "the server runs a script that takes long (UNKILLABLE)", false),
    ROW("NOAUTH", KIVI_DENIED, KIVI_RETRY_NO, "the server wants a login (NOAUTH)", true),
    ROW("WRONGPASS", KIVI_DENIED, KIVI_RETRY_NO, "the server refused user and password (WRONGPASS)", true),
    ROW("NOPERM", KIVI_DENIED, KIVI_RETRY_NO,
        "the user may not do this, or not with this key (NOPERM)", false),
    ROW("DENIED", KIVI_DENIED, KIVI_RETRY_NO, "the server runs in protected mode (DENIED)", true),
    ROW("MOVED", KIVI_UNSUPPORTED, KIVI_RETRY_NO, CLUSTER " (MOVED)", false),
    ROW("ASK", KIVI_UNSUPPORTED, KIVI_RETRY_NO, CLUSTER " (ASK)", false),
    ROW("CROSSSLOT", KIVI_UNSUPPORTED, KIVI_RETRY_NO, CLUSTER " (CROSSSLOT)", false),
    ROW("CLUSTERDOWN", KIVI_UNAVAILABLE, KIVI_RETRY_YES,
        "the cluster is down, or a part of it (CLUSTERDOWN)", false),
    ROW("TRYAGAIN", KIVI_UNAVAILABLE, KIVI_RETRY_YES,
        "the keys of the batch are moving to another node (TRYAGAIN)", false),
    ROW("ERR This instance has cluster support disabled", KIVI_UNSUPPORTED, KIVI_RETRY_NO,
        "the server is no part of a Redis Cluster: write redis://HOST:PORT", true),
    ROW("NOPROTO", KIVI_UNSUPPORTED, KIVI_RETRY_NO,
        "the server does not speak this protocol (NOPROTO)", true),
    ROW("ERR max number of clients", KIVI_UNAVAILABLE, KIVI_RETRY_YES,
        "the server has all the clients it takes (maxclients)", true),
    ROW("ERR invalid password", KIVI_DENIED, KIVI_RETRY_NO, "the server refused the password", true),
    ROW("ERR Client sent AUTH, but no password", KIVI_DENIED, KIVI_RETRY_NO,
        "a password was given, but the server has none", true),
    ROW("ERR AUTH <password> called without any password", KIVI_DENIED, KIVI_RETRY_NO,
        "a password was given, but the server has none", true),
    ROW("ERR DB index is out of range", KIVI_INVALID, KIVI_RETRY_NO,
        "the server has no database of that number", true),
    ROW("ERR string exceeds maximum", KIVI_TOO_LARGE, KIVI_RETRY_NO,
        "the value is longer than the server takes (proto-max-bulk-len)", false),
    ROW("ERR Protocol error", KIVI_TOO_LARGE, KIVI_RETRY_NO,
        "the request is longer than the server takes (proto-max-bulk-len)", true),
    ROW("ERR unknown command", KIVI_UNSUPPORTED, KIVI_RETRY_NO,
        "the server does not know a command that this needs", false),
    ROW("ERR Server closed the connection", KIVI_UNAVAILABLE, KIVI_RETRY_YES,
        "the server closed the connection", true),
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static bool begins(kivi_slice text, const char *with)
{
    size_t size = strlen(with);

    return text.size >= size && memcmp(text.data, with, size) == 0;
}

/* A code is a whole word: BUSY is not BUSYKEY. */
static bool matches(kivi_slice text, const char *code)
{
    size_t size = strlen(code);

    if (!begins(text, code))
        return false;
    return strchr(code, ' ') || text.size == size || ((const char *)text.data)[size] == ' ';
}

/* Before version 7 a script's failure is wrapped: "ERR Error running script (...): -READONLY ...". */
static kivi_slice unwrap(kivi_slice text)
{
    static const char *const codes[] = {"READONLY",   "OOM",    "MISCONF",
                                        "NOREPLICAS", "NOPERM", "WRONGTYPE"};
    const char *data = text.data;

    if (!begins(text, "ERR Error running script"))
        return text;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        const char *found = memmem(data, text.size, codes[i], strlen(codes[i]));
        if (found)
            return kivi_bytes(found, text.size - (size_t)(found - data));
    }
    return text;
}

redis_refusal kvi_redis_judge(kivi_slice text)
{
    text = unwrap(text);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        redis_refusal refusal = rows[i].refusal;
        if (!matches(text, rows[i].code))
            continue;
        refusal.code = rows[i].code;
        return refusal;
    }
    return (redis_refusal){KIVI_INTERNAL, KIVI_RETRY_NO, "the server refused the command",
                           false,         false,         NULL};
}

kivi_error *kvi_redis_refused(const redis_refusal *refusal)
{
    kivi_error *error = kvi_redis_host->error(refusal->status, 0, refusal->retryable, "%s",
                                              refusal->text);

    if (refusal->code)
        kvi_redis_host->error_native_text(error, refusal->code);
    return error;
}

kivi_error *kvi_redis_refusal_error(redis_session *session, const redis_refusal *refusal)
{
    if (refusal->condemns)
        kvi_pipeline_condemn(&session->pipeline, refusal->status);
    return kvi_redis_refused(refusal);
}

static bool is_code(const redis_refusal *refusal, const char *code)
{
    return refusal->code && strcmp(refusal->code, code) == 0;
}

void kvi_redis_take_back(const redis_session *session, const redis_refusal *refusal, int32_t *sent)
{
    if ((session->seek && is_code(refusal, "READONLY")) ||
        (session->cluster && (is_code(refusal, "CLUSTERDOWN") || is_code(refusal, "TRYAGAIN"))))
        *sent = KIVI_SENT_NOTHING;
}

kivi_status kvi_redis_breach(redis_session *session, kivi_error **error)
{
    (void)session;
    *error = kvi_redis_host->error(KIVI_CORRUPT, 0, KIVI_RETRY_NO, "%s", KVI_REDIS_BREACH);
    return KIVI_CORRUPT;
}

kivi_status kvi_redis_token(kvi_resp *resp, const uint8_t *bytes, size_t size, kvi_portion *portion,
                            kvi_resp_token *token, kivi_error **error)
{
    kivi_status status = kvi_resp_next(resp, bytes, size, &portion->used, token);

    if (status == KIVI_PENDING)
        portion->need = resp->need;
    if (status == KIVI_CORRUPT)
        return kvi_redis_breach(NULL, error);
    portion->last = status == KIVI_OK && token->last;
    return status;
}

kivi_status kvi_redis_no_memory(kivi_error **error)
{
    *error = kvi_redis_host->error(KIVI_NO_MEMORY, 0, KIVI_RETRY_NO, "no memory for the redis backend");
    return KIVI_NO_MEMORY;
}
