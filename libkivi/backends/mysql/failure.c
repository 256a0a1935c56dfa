/* What servers refuse, by number: never by their words, which may hold keys and values. */
#include "my.h"

#if __has_include(<mariadb/errmsg.h>)
#include <mariadb/errmsg.h>
#else
#include <errmsg.h>
#endif
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

kivi_status kvi_my_no_memory(kivi_error **error)
{
    *error = kvi_my_host->error(KIVI_NO_MEMORY, 0, KIVI_RETRY_YES, "no memory");
    return KIVI_NO_MEMORY;
}

kivi_status kvi_my_broken(kivi_error **error)
{
    *error = kvi_my_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_IF_IDEMPOTENT,
                                "the connection ended before the answer came");
    return KIVI_UNAVAILABLE;
}

/* Numbers end with a space, so that none is the beginning of another. */
static const kvi_sql_code codes[] = {
    {"1213 ", KIVI_PENDING, KIVI_RETRY_YES, "another transaction was in the way"},
    {"1020 ", KIVI_PENDING, KIVI_RETRY_YES, "another transaction was in the way"},
    {"1205 ", KIVI_BUSY, KIVI_RETRY_YES, "another transaction holds the key"},
    {"3572 ", KIVI_BUSY, KIVI_RETRY_YES, "another transaction holds the key"},
    {"1969 ", KIVI_BUSY, KIVI_RETRY_YES, "the time was over before the server had done it"},
    {"3024 ", KIVI_BUSY, KIVI_RETRY_YES, "the time was over before the server had done it"},
    {"1317 ", KIVI_BUSY, KIVI_RETRY_YES, "the server cancelled the statement"},
    {"1021 ", KIVI_IO, KIVI_RETRY_YES, "the server's disk is full"},
    {"1026 ", KIVI_IO, KIVI_RETRY_YES, "the server's disk is full"},
    {"1114 ", KIVI_IO, KIVI_RETRY_YES, "the server's disk is full"},
    {"1037 ", KIVI_NO_MEMORY, KIVI_RETRY_YES, "the server has no memory"},
    {"1038 ", KIVI_NO_MEMORY, KIVI_RETRY_YES, "the server has no memory"},
    {"1041 ", KIVI_NO_MEMORY, KIVI_RETRY_YES, "the server has no memory"},
    {"1040 ", KIVI_UNAVAILABLE, KIVI_RETRY_YES, "the server has too many connections"},
    {"1203 ", KIVI_UNAVAILABLE, KIVI_RETRY_YES, "the user has too many connections"},
    {"1226 ", KIVI_UNAVAILABLE, KIVI_RETRY_YES, "the user has too many connections"},
    {"1129 ", KIVI_UNAVAILABLE, KIVI_RETRY_YES, "the server blocks this host"},
    {"1053 ", KIVI_UNAVAILABLE, KIVI_RETRY_YES, "the server is shutting down"},
    {"1146 ", KIVI_UNAVAILABLE, KIVI_RETRY_YES, "the table is gone"},
    {"1054 ", KIVI_UNAVAILABLE, KIVI_RETRY_YES, "a column of the table is gone"},
    {"1412 ", KIVI_UNAVAILABLE, KIVI_RETRY_YES, "the table was changed"},
    {"1044 ", KIVI_DENIED, KIVI_RETRY_NO, "the user may not use the database"},
    {"1045 ", KIVI_DENIED, KIVI_RETRY_NO, "the login was refused"},
    {"1130 ", KIVI_DENIED, KIVI_RETRY_NO, "the server does not take this host"},
    {"1142 ", KIVI_DENIED, KIVI_RETRY_NO, "the user may not do that"},
    {"1143 ", KIVI_DENIED, KIVI_RETRY_NO, "the user may not do that"},
    {"1227 ", KIVI_DENIED, KIVI_RETRY_NO, "the user may not do that"},
    {"1251 ", KIVI_DENIED, KIVI_RETRY_NO, "the server wants another way to log in"},
    {"1698 ", KIVI_DENIED, KIVI_RETRY_NO, "the login was refused"},
    {"1820 ", KIVI_DENIED, KIVI_RETRY_NO, "the password has expired"},
    {"1862 ", KIVI_DENIED, KIVI_RETRY_NO, "the password has expired"},
    {"4151 ", KIVI_DENIED, KIVI_RETRY_NO, "the account is locked"},
    {"3118 ", KIVI_DENIED, KIVI_RETRY_NO, "the account is locked"},
    {"3159 ", KIVI_DENIED, KIVI_RETRY_NO, "the server takes no connection without TLS"},
    {"1290 ", KIVI_DENIED, KIVI_RETRY_NO, "the server is read-only"},
    {"1792 ", KIVI_DENIED, KIVI_RETRY_NO, "the server is read-only"},
    {"1836 ", KIVI_DENIED, KIVI_RETRY_NO, "the server is read-only"},
    {"1049 ", KIVI_INVALID, KIVI_RETRY_NO, "no such database"},
    {"1153 ", KIVI_TOO_LARGE, KIVI_RETRY_YES, "a key or value over the server's max_allowed_packet"},
    {"1301 ", KIVI_TOO_LARGE, KIVI_RETRY_YES, "a key or value over the server's max_allowed_packet"},
    {"1406 ", KIVI_TOO_LARGE, KIVI_RETRY_YES, "a key or value over the column's width"},
    {"1118 ", KIVI_TOO_LARGE, KIVI_RETRY_YES, "a key or value over the server's limit"},
    {"1665 ", KIVI_UNSUPPORTED, KIVI_RETRY_NO,
     "the server writes its binary log by statements: it wants binlog_format=ROW or MIXED"},
    {"1064 ", KIVI_UNSUPPORTED, KIVI_RETRY_NO, "the server does not know a statement"},
    {"1193 ", KIVI_UNSUPPORTED, KIVI_RETRY_NO, "the server does not know a setting"},
    {"1305 ", KIVI_UNSUPPORTED, KIVI_RETRY_NO, "the server does not know a function"},
};

static kvi_sql_code meaning_of(unsigned number)
{
    static const kvi_sql_code unknown = {"", KIVI_INTERNAL, KIVI_RETRY_NO, "the server refused"};
    /* Of the server's files: such as a temporary table that another server took away as it started. */
    static const kvi_sql_code system = {"", KIVI_UNAVAILABLE, KIVI_RETRY_YES,
                                        "the server's system failed"};
    char text[16];
    const kvi_sql_code *found;

    if (number < 1000)
        return system;
    snprintf(text, sizeof(text), "%u ", number);
    found = kvi_sql_find_code(codes, sizeof(codes) / sizeof(codes[0]), text);
    return found ? *found : unknown;
}

static kivi_status fail(const kvi_sql_code *meaning, unsigned number, const char *state, kivi_error **error)
{
    *error = kvi_my_host->error(meaning->status, number, meaning->retryable, "%s (%u)",
                                meaning->text, number);
    kvi_my_host->error_native_text(*error, state);
    return meaning->status;
}

bool kvi_my_is_conflict(unsigned code)
{
    return meaning_of(code).status == KIVI_PENDING;
}

bool kvi_my_is_loss(unsigned code)
{
    return (code >= CR_MIN_ERROR && code <= CR_MAX_ERROR) ||
           (code >= CR_ERR_NET_READ && code <= CR_MARIADB_LAST_ERROR) || code == 1927 ||
           code == 1158 || code == 1159 || code == 1160 || code == 1161;
}

kivi_status kvi_my_refuse(const my_session *session, unsigned code, bool late, kivi_error **error)
{
    kvi_sql_code meaning = meaning_of(code);

    if (meaning.status == KIVI_PENDING)
        meaning.status = KIVI_BUSY;
    if ((code == 1969 || code == 3024) && late)
        meaning.status = KIVI_TIMEOUT;
    return fail(&meaning, code, mysql_sqlstate((MYSQL *)(uintptr_t)&session->my), error);
}

/* ---- Logins ---- */

/* libmariadb's own words, of OpenSSL and of itself. */
typedef struct login_words {
    const char *words, *text;
} login_words;

#define UNKNOWN_AUTHORITY \
    "TLS: the server's certificate is not accepted: unknown authority, expired or revoked"

#define NOT_ACCEPTED "TLS: the server does not accept this client"

static const login_words tls_words[] = {
    {"self-signed", UNKNOWN_AUTHORITY},
    {"self signed", UNKNOWN_AUTHORITY},
    {"unable to get", UNKNOWN_AUTHORITY},
    {"verify failed", UNKNOWN_AUTHORITY},
    {"certificate has expired", "TLS: the server's certificate has expired"},
    {"Validation of SSL server certificate", "TLS: the server's certificate is for another name"},
    {"doesn't support it", "TLS: the server does not offer it"},
    {"does not support", "TLS: the server does not offer it"},
    {"alert", NOT_ACCEPTED},
    {"certificate", "TLS: a certificate is not accepted"},
    {"key", "TLS: the private key cannot be used"},
};

static kivi_status say(kivi_status status, unsigned number, const char *text, kivi_error **error)
{
    *error = kvi_my_host->error(status, number, KIVI_RETRY_NO, "%s", text);
    return status;
}

static kivi_status tls_failed(my_session *session, kivi_error **error)
{
    const char *text = mysql_error(&session->my);

    for (size_t i = 0; i < sizeof(tls_words) / sizeof(tls_words[0]); i++)
        if (strstr(text, tls_words[i].words))
            return say(KIVI_DENIED, CR_SSL_CONNECTION_ERROR, tls_words[i].text, error);
    return KIVI_UNAVAILABLE; /* it was cut off */
}

/*
 * By TLS 1.3 a server judges the client's certificate when the client takes itself for connected: libmariadb says that the
 * connection is lost. Why is in OpenSSL's queue, which was empty before this step; a reset can overtake it, then not.
 */
static bool was_not_accepted(const my_session *session)
{
    bool alert = false;
    unsigned long found;

    while (session->instance->settings.tls && (found = ERR_get_error()))
        alert = alert ||
                (ERR_GET_LIB(found) == ERR_LIB_SSL && ERR_GET_REASON(found) >= SSL_AD_REASON_OFFSET);
    return alert;
}

kivi_status kvi_my_login_failed(my_session *session, kivi_error **error)
{
    unsigned code = mysql_errno(&session->my);
    kvi_sql_code meaning;

    switch (code) {
    case CR_SSL_CONNECTION_ERROR:
        return tls_failed(session, error);
    case CR_AUTH_PLUGIN_CANNOT_LOAD:
    case CR_AUTH_PLUGIN_ERR:
        return say(KIVI_DENIED, code, "the server wants a way to log in that libmariadb has not", error);
    case CR_OUT_OF_MEMORY:
        return kvi_my_no_memory(error);
    case CR_VERSION_ERROR:
        return say(KIVI_UNSUPPORTED, code, "the server's protocol is not known", error);
    default:
        break;
    }
    if ((!code || kvi_my_is_loss(code)) && was_not_accepted(session))
        return say(KIVI_DENIED, CR_SSL_CONNECTION_ERROR, NOT_ACCEPTED, error);
    if (!code || kvi_my_is_loss(code))
        return KIVI_UNAVAILABLE;
    meaning = meaning_of(code);
    return fail(&meaning, code, mysql_sqlstate(&session->my), error);
}
