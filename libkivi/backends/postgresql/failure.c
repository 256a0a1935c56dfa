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
typedef struct login_words {
    const char *words;
    kivi_status status;
    const char *text;
} login_words;

static const char no_service[] =
    "libpq does not find the service of PGSERVICE, which no option shuts off";
static const login_words environment_words[] = {
    {"definition of service", KIVI_INVALID, no_service},
    {"service file", KIVI_INVALID, no_service},
    {"channel binding required", KIVI_DENIED,
     "the server has not the channel binding that PGCHANNELBINDING requires"},
    {"requirepeer specifies", KIVI_DENIED, "the server's process is not whom PGREQUIREPEER wants"},
};

static const login_words tls_words[] = {
    {"certificate verify failed", KIVI_DENIED,
     "TLS: the server's certificate is not accepted: unknown authority, expired or revoked"},
    {"does not match host name", KIVI_DENIED, "TLS: the server's certificate is for another name"},
    {"does not support SSL", KIVI_DENIED, "TLS: the server does not offer it"},
    {"certificate", KIVI_DENIED, "TLS: a certificate is not accepted"},
    {"alert", KIVI_DENIED, "TLS: the server does not accept this client"},
    {"private key", KIVI_INVALID, "TLS: the private key cannot be used"},
};

static const int system_codes[] = {ECONNREFUSED,  ENOENT,       EACCES,   EPERM,        EMFILE,
                                   ENFILE,        ENOMEM,       ENOBUFS,  EHOSTUNREACH, ENETUNREACH,
                                   EADDRNOTAVAIL, EAFNOSUPPORT, ETIMEDOUT};

static const login_words *find_words(const login_words *all, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strstr(text, all[i].words))
            return &all[i];
    return NULL;
}

static const char no_password[] = "the server wants a password";

static kivi_status say(kivi_status status, const char *text, kivi_error **error)
{
    *error = kvi_pg_host->error(status, 0, KIVI_RETRY_NO, "%s", text);
    return status;
}

/* A login has neither keys nor values yet: what is wrong is a setting that libpq sent along. */
static kivi_status login_refused(const PGconn *conn, const char *state, kivi_error **error)
{
    kvi_sql_code meaning = meaning_of(state);
    const char *password = PQpass(conn);

    if (meaning.status == KIVI_DENIED && password && strcmp(password, PG_NO_PASSWORD) == 0)
        meaning.text = no_password;
    if (strncmp(state, "22", 2) == 0 || strncmp(state, "42", 2) == 0) {
        meaning.status = KIVI_INVALID;
        meaning.retryable = KIVI_RETRY_NO;
        meaning.text =
            "the server does not take a setting of PGOPTIONS, PGTZ, PGDATESTYLE or PGGEQO";
    }
    return fail(&meaning, state, error);
}

kivi_status kvi_pg_login_failed(const PGconn *conn, bool tls, int *code, kivi_error **error)
{
    const char *text = PQerrorMessage(conn);
    const login_words *found = NULL;
    char state[6], reason[100];

    *code = 0;
    if (PQconnectionNeedsPassword(conn))
        return say(KIVI_DENIED, no_password, error);
    if (login_state(text, state))
        return login_refused(conn, state, error);
    if (tls)
        found = find_words(tls_words, sizeof(tls_words) / sizeof(tls_words[0]), text);
    if (!found)
        found = find_words(environment_words,
                           sizeof(environment_words) / sizeof(environment_words[0]), text);
    if (found)
        return say(found->status, found->text, error);
    if (strncmp(text, "invalid ", 8) == 0) /* all that happens on the way begins with where it was going */
        return say(KIVI_INVALID, "libpq does not take the value of one of its variables, PG...", error);
    for (size_t i = 0; i < sizeof(system_codes) / sizeof(system_codes[0]); i++)
        if (strstr(text, strerror_r(system_codes[i], reason, sizeof(reason)))) {
            *code = system_codes[i];
            break;
        }
    return KIVI_UNAVAILABLE;
}
