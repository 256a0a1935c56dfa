/* What servers refuse, by SQLSTATE: never by their words, which may hold keys and values. */
#include "pg.h"

#include <errno.h>

kivi_status kvi_pg_no_memory(kivi_error **error)
{
    *error = kvi_pg_host->error(KIVI_NO_MEMORY, 0, KIVI_RETRY_YES, "no memory");
    return KIVI_NO_MEMORY;
}

kivi_status kvi_pg_broken(kivi_error **error)
{
    *error = kvi_pg_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_IF_IDEMPOTENT,
                                "the connection ended before the answer came");
    return KIVI_UNAVAILABLE;
}

#define CANCELLED "57014"

/* Codes of five letters come before their class. */
static const kvi_sql_code codes[] = {
    {"40", KIVI_PENDING, KIVI_RETRY_YES, "another transaction was in the way"},
    {"55P03", KIVI_BUSY, KIVI_RETRY_YES, "another transaction holds the key"},
    {CANCELLED, KIVI_BUSY, KIVI_RETRY_YES, "the server cancelled the statement"},
    {"57P", KIVI_UNAVAILABLE, KIVI_RETRY_YES, "the server is starting or shutting down"},
    {"08", KIVI_UNAVAILABLE, KIVI_RETRY_YES, "the connection was given up"},
    {"53100", KIVI_IO, KIVI_RETRY_YES, "the server's disk is full"},
    {"53200", KIVI_NO_MEMORY, KIVI_RETRY_YES, "the server has no memory"},
    {"53300", KIVI_UNAVAILABLE, KIVI_RETRY_YES, "the server has too many connections"},
    {"53", KIVI_BUSY, KIVI_RETRY_YES, "the server lacks resources"},
    {"54", KIVI_TOO_LARGE, KIVI_RETRY_YES, "a key or value over the server's limit"},
    {"42501", KIVI_DENIED, KIVI_RETRY_NO, "the user may not do that"},
    {"25006", KIVI_DENIED, KIVI_RETRY_NO, "the server is read-only"},
    {"3D000", KIVI_INVALID, KIVI_RETRY_NO, "no such database"},
    {"3F000", KIVI_INVALID, KIVI_RETRY_NO, "no such schema"},
    {"26000", KIVI_UNAVAILABLE, KIVI_RETRY_YES,
     "the server forgot a prepared statement; a pooler needs prepared=false"},
    {"42P05", KIVI_UNAVAILABLE, KIVI_RETRY_YES,
     "a prepared statement is another's; a pooler needs prepared=false"},
    {"0A000", KIVI_UNAVAILABLE, KIVI_RETRY_YES,
     "the table was changed, or the server does not know a statement"},
    {"42P01", KIVI_UNAVAILABLE, KIVI_RETRY_YES, "the table is gone"},
    {"42703", KIVI_UNAVAILABLE, KIVI_RETRY_YES, "a column of the table is gone"},
    {"42P10", KIVI_UNSUPPORTED, KIVI_RETRY_NO, "the table has no unique index on key_name"},
    {"42", KIVI_UNSUPPORTED, KIVI_RETRY_NO, "the server does not know a statement"},
    {"22", KIVI_INVALID, KIVI_RETRY_YES, "the server did not take a key or value"},
    {"23", KIVI_INVALID, KIVI_RETRY_YES, "a constraint of the table does not hold"},
    {"28", KIVI_DENIED, KIVI_RETRY_NO, "the login was refused"},
    {"58", KIVI_IO, KIVI_RETRY_YES, "the server's system failed"},
};

static kvi_sql_code meaning_of(const char *state)
{
    static const kvi_sql_code unknown = {"", KIVI_INTERNAL, KIVI_RETRY_NO, "the server refused"};
    const kvi_sql_code *found = kvi_sql_find_code(codes, sizeof(codes) / sizeof(codes[0]), state);

    return found ? *found : unknown;
}

static kivi_status fail(const kvi_sql_code *meaning, const char *state, kivi_error **error)
{
    *error = kvi_pg_host->error(meaning->status, kvi_sql_code_number(state), meaning->retryable,
                                "%s (SQLSTATE %s)", meaning->text, state);
    kvi_pg_host->error_native_text(*error, state);
    return meaning->status;
}

bool kvi_pg_is_conflict(const char *state)
{
    return meaning_of(state).status == KIVI_PENDING;
}

kivi_status kvi_pg_refuse(const pg_refusal *refusal, bool limit_over, kivi_error **error)
{
    kvi_sql_code meaning = meaning_of(refusal->state);

    if (strcmp(refusal->state, CANCELLED) == 0 && limit_over) {
        meaning.status = KIVI_TIMEOUT;
        meaning.text = "the time was over before the server had done it";
    }
    if (meaning.status == KIVI_PENDING)
        meaning.status = KIVI_BUSY;
    /* The server gave the connection up. Before the last statement of a transaction was done, none of it is applied. */
    if (refusal->fatal && meaning.status != KIVI_DENIED) {
        meaning.status = KIVI_UNAVAILABLE;
        meaning.retryable = refusal->at_end ? KIVI_RETRY_IF_IDEMPOTENT : KIVI_RETRY_YES;
    }
    return fail(&meaning, refusal->state, error);
}

/* ---- Logins ---- */

/* The SQLSTATE in "... FATAL:  28P01", which is all that libpq was told to say; false: none, the server did not say why. */
static bool login_state(const char *text, char state[6])
{
    const char *at = text + strlen(text);
    size_t size = 0;

    while (at > text && (at[-1] == '\n' || at[-1] == ' '))
        at--;
    for (; at > text && size < 6 && at[-1] != ' '; at--)
        size++;
    if (size != 5 || strspn(at, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") < 5)
        return false;
    memcpy(state, at, 5);
    state[5] = '\0';
    return true;
}

/* libpq's own words, in English: the locale is set while it connects. */
static const struct {
    const char *words;
    kivi_status status;
    const char *text;
} tls_words[] = {
    {"certificate verify failed", KIVI_DENIED, "TLS: the server's certificate is not accepted"},
    {"does not match host name", KIVI_DENIED, "TLS: the server's certificate is for another name"},
    {"does not support SSL", KIVI_DENIED, "TLS: the server does not offer it"},
    {"certificate", KIVI_DENIED, "TLS: a certificate is not accepted"},
    {"alert", KIVI_DENIED, "TLS: the server does not accept this client"},
    {"private key", KIVI_INVALID, "TLS: the private key cannot be used"},
};

static const int system_codes[] = {ECONNREFUSED,  ENOENT,       EACCES,   EPERM,        EMFILE,
                                   ENFILE,        ENOMEM,       ENOBUFS,  EHOSTUNREACH, ENETUNREACH,
                                   EADDRNOTAVAIL, EAFNOSUPPORT, ETIMEDOUT};

kivi_status kvi_pg_login_failed(const PGconn *conn, bool tls, int *code, kivi_error **error)
{
    const char *text = PQerrorMessage(conn);
    char state[6], reason[100];

    *code = 0;
    if (login_state(text, state)) {
        kvi_sql_code meaning = meaning_of(state);
        return fail(&meaning, state, error);
    }
    if (PQconnectionNeedsPassword(conn)) {
        *error = kvi_pg_host->error(KIVI_DENIED, 0, KIVI_RETRY_NO, "the server wants a password");
        return KIVI_DENIED;
    }
    for (size_t i = 0; tls && i < sizeof(tls_words) / sizeof(tls_words[0]); i++)
        if (strstr(text, tls_words[i].words)) {
            *error = kvi_pg_host->error(tls_words[i].status, 0, KIVI_RETRY_NO, "%s", tls_words[i].text);
            return tls_words[i].status;
        }
    for (size_t i = 0; i < sizeof(system_codes) / sizeof(system_codes[0]); i++)
        if (strstr(text, strerror_r(system_codes[i], reason, sizeof(reason)))) {
            *code = system_codes[i];
            break;
        }
    return KIVI_UNAVAILABLE;
}
