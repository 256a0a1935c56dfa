/* The options that networked stores share: their rows, and one reader of them. */
#ifndef KVI_ENDPOINT_H
#define KVI_ENDPOINT_H

#include "net.h"

/* ---- Rows of a backend's table: in a brace of kivi_option_info, each with a comma behind it ---- */

#define KVI_OPTION(name, type, flags, text, choices, min, max, help)                     \
    {                                                                                    \
        sizeof(kivi_option_info), flags, name, type, text, NULL, choices, min, max, help \
    }
#define KVI_OPTION_TEXT(name, text, help) \
    KVI_OPTION(name, KIVI_OPTION_STRING, 0, text, NULL, 0, 0, help)
#define KVI_OPTION_TIME(name, text, help) \
    KVI_OPTION(name, KIVI_OPTION_DURATION, 0, text, NULL, 0, 3600000, help)

/* Stores of one server, and of several: with its port in quotes. */
#define KVI_ENDPOINT_PLACE(port)                                                  \
    KVI_OPTION_TEXT("host", "127.0.0.1", "the server's name or address"),         \
        KVI_OPTION("port", KIVI_OPTION_INT, 0, port, NULL, 1, 65535, "its port"), \
        KVI_ENDPOINT_ADDRESS_TIMEOUT
#define KVI_ENDPOINT_PLACES(port)                                                              \
    KVI_OPTION_TEXT("host", "127.0.0.1",                                                       \
                    "the server's name or address, or those of several: HOST:PORT,HOST:PORT"), \
        KVI_OPTION("port", KIVI_OPTION_INT, 0, port, NULL, 1, 65535,                           \
                   "its port, and that of servers which name none"),                           \
        KVI_ENDPOINT_ADDRESS_TIMEOUT,                                                          \
        KVI_OPTION("server_timeout", KIVI_OPTION_DURATION, 0, "500ms", NULL, 1,                \
                   3600000, "a server that says nothing for so long is given up, alone; the others serve on")
#define KVI_ENDPOINT_ADDRESS_TIMEOUT \
    KVI_OPTION_TIME(                 \
        "address_timeout", "1s",     \
        "a name with several addresses: the next is tried after so long; 0: only after a failure")
/* Who logs in. */
#define KVI_ENDPOINT_LOGIN                                                                                \
    KVI_OPTION_TEXT("user", NULL, "name to log in with; not set: the default user"),                      \
        KVI_OPTION("password", KIVI_OPTION_STRING, KIVI_OPTION_SECRET, NULL, NULL, 0, 0,                  \
                   "password to log in with"),                                                            \
        KVI_OPTION_TEXT("password_file", NULL, "file that holds the password, read again at each login"), \
        KVI_OPTION_TEXT("password_env", NULL,                                                             \
                        "environment variable that holds the password, read again at each login")
/* `when`: in which stores they count, as "rediss: ". */
#define KVI_ENDPOINT_TLS(when)                                                                                    \
    KVI_OPTION_TEXT("tls_ca_file", NULL, when "file of the authorities to trust; not set: the system's"),         \
        KVI_OPTION_TEXT("tls_ca_dir", NULL, when "directory of the authorities to trust"),                        \
        KVI_OPTION_TEXT(                                                                                          \
            "tls_crl_file",                                                                                       \
            NULL, when "file of the certificates that authorities revoked: a list of each authority in a chain"), \
        KVI_OPTION_TEXT("tls_cert_file", NULL, when "this client's certificate, with its chain"),                 \
        KVI_OPTION_TEXT("tls_key_file", NULL, when "its key; not set: in tls_cert_file as well"),                 \
        KVI_OPTION_TEXT("tls_server_name", NULL,                                                                  \
                        when "the name in the server's certificate; not set: the host"),                          \
        KVI_OPTION("tls_verify", KIVI_OPTION_BOOL, 0, "true", NULL, 0, 0,                                         \
                   when "false: do not verify the server's certificate")

/* ---- Reading them ---- */

/* What this backend has of them, and how this store is reached. Texts are static. */
typedef struct kvi_endpoint_rules {
    const char *socket_form; /* the store is behind a unix socket, `path`, which is written so; NULL: hosts */
    const char *list; /* HOST:PORT,HOST:PORT, known to the backend from elsewhere; NULL: options host and port say it */
    const char *single; /* why several servers are refused; NULL: the table has KVI_ENDPOINT_PLACES */
    const char *port; /* of servers that name none, where the option is not set; NULL: the table's */
    const char *tls_form; /* who may give tls_ options, as "rediss: URLs"; NULL: the table has none */
    bool is_tls;
    bool user_has_password; /* a user without a password is a mistake */
} kvi_endpoint_rules;

typedef struct kvi_endpoint {
    const kivi_host *core;
    kvi_net_target *targets; /* in the order of the URL; at least one */
    size_t count;
    char *user, *password, *password_file, *password_env; /* NULL where not said */
    uint64_t server_timeout_ns;                           /* 0: the table has none */
} kvi_endpoint;

/* INVALID, UNSUPPORTED and NO_MEMORY leave it to be cleared all the same. */
kivi_status kvi_endpoint_read(kvi_endpoint *endpoint, const kivi_host *core, const kivi_config *config,
                              const kvi_endpoint_rules *rules, kivi_error **error);
void kvi_endpoint_clear(kvi_endpoint *endpoint); /* wipes secrets; zeroed is nothing */

/* The password of a login that begins now: *password NULL: none. Wipe it. DENIED: there is none where it should be. */
kivi_status kvi_endpoint_password(const kvi_endpoint *endpoint, char **password, kivi_error **error);
void kvi_wipe(char *text); /* wipes and frees; NULL is nothing */

/* ---- Servers in turn (turns.c): of which one will do ---- */

/*
 * Connecting tries them from the last that worked on, each once:
 *
 *   begin -> try kvi_turns_place() -> it fails: kvi_turns_next() -> true: the next is to be tried
 *                                                                   false: kvi_turns_fail() says why
 */
typedef struct kvi_turns {
    const kvi_endpoint *endpoint;
    uint32_t server, tried; /* the one being tried, and how many were before it */
    uint64_t begun_ns;      /* when it was begun */
    bool vague;             /* some server did more than refuse */
} kvi_turns;

void kvi_turns_begin(kvi_turns *turns, const kvi_endpoint *endpoint, uint32_t first);
/* Whether another server is to be tried after the failure, which is then forgotten. */
bool kvi_turns_next(kvi_turns *turns, kivi_status status, kivi_error **error);
/* No other server is left: what the last failure is for the whole. */
void kvi_turns_fail(const kvi_turns *turns, kivi_status status, kivi_error **error);
/* How long this server still has, where another is left, in ns; negative: no limit. */
int64_t kvi_turns_left(const kvi_turns *turns);
/* Its time was over: UNAVAILABLE. */
kivi_status kvi_turns_silent(const kvi_turns *turns, kivi_error **error);
static inline const kvi_place *kvi_turns_place(const kvi_turns *turns)
{
    return &turns->endpoint->targets[turns->server].place;
}

/* ---- For the backend's own options ---- */

/* NULL for none and for an empty one. */
const char *kvi_option_given(const kivi_host *core, const kivi_config *config, const char *name);
/* A copy; *copy NULL for none. False without memory. */
bool kvi_option_copy(const kivi_host *core, const kivi_config *config, const char *name, char **copy);
/* The status as an error, final, in these words. */
kivi_status kvi_option_refuse(const kivi_host *core, kivi_status status, const char *text,
                              kivi_error **error);

#endif
