/* What TLS connections share: whom they trust, and who they are. */
#include "../../../core/base/platform.h"
#include "../../../core/base/regular.h"
#include "net_internal.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MOST (UINT64_C(64) << 20)

static kivi_status refuse(const kivi_host *core, const char *what, const char *name,
                          const char *reason, kivi_error **error)
{
    *error = core->error(KIVI_INVALID, 0, KIVI_RETRY_NO, "TLS: %s %s: %s", what, name, reason);
    ERR_clear_error();
    return KIVI_INVALID;
}

/* The cause that a code of OpenSSL's queue tells in words of its own; NULL: not in plain ones. */
static const char *plain_words(unsigned long code)
{
    if (ERR_GET_LIB(code) != ERR_LIB_PEM)
        return NULL;
    switch (ERR_GET_REASON(code)) {
    case PEM_R_NO_START_LINE:
        return "it holds none in PEM form";
    case PEM_R_BAD_PASSWORD_READ:
    case PEM_R_PROBLEMS_GETTING_PASSWORD:
        return "it is encrypted";
    default:
        return NULL;
    }
}

/* OpenSSL's reason, in words for who wrote the option; never what a file holds. */
static kivi_status refuse_content(const kivi_host *core, const char *what, const char *path,
                                  kivi_error **error)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error()), *plain = NULL;
    unsigned long code;

    while (!plain && (code = ERR_get_error()))
        plain = plain_words(code);
    if (plain)
        reason = plain;
    return refuse(core, what, path, reason ? reason : "it holds none that can be read", error);
}

static kivi_status no_memory(const kivi_host *core, kivi_error **error)
{
    ERR_clear_error();
    *error = core->error(KIVI_NO_MEMORY, 0, KIVI_RETRY_NO, "no memory for TLS");
    return KIVI_NO_MEMORY;
}

/* Before OpenSSL opens it by its name, which would wait for a FIFO. */
static kivi_status check_file(const kivi_host *core, const char *what, const char *path, kivi_error **error)
{
    char problem[KVI_REGULAR_PROBLEM];
    int fd = kvi_regular_open(path, FILE_MOST, problem);

    if (fd < 0)
        return refuse(core, what, path, problem, error);
    close(fd);
    return KIVI_OK;
}

/* ---- Whom to trust ---- */

static kivi_status load_authority(const kivi_host *core, SSL_CTX *context, const char *path,
                                  kivi_error **error)
{
    kivi_status status = check_file(core, "CA file", path, error);

    if (status == KIVI_OK && !SSL_CTX_load_verify_file(context, path))
        status = refuse_content(core, "CA file", path, error);
    return status;
}

/* The names that `openssl rehash` gives to certificates: 1a2b3c4d.0 */
static int is_hash_name(const struct dirent *entry)
{
    static const char hex[] = "0123456789abcdef", digits[] = "0123456789";
    const char *name = entry->d_name;

    return strspn(name, hex) == 8 && name[8] == '.' && name[9] && !name[9 + strspn(name + 9, digits)];
}

static kivi_status load_entries(const kivi_host *core, SSL_CTX *context, const char *folder,
                                struct dirent **entries, int count, kivi_error **error)
{
    kivi_status status = KIVI_OK;

    for (int i = 0; i < count && status == KIVI_OK; i++) {
        char *path;
        if (asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0)
            return no_memory(core, error);
        status = load_authority(core, context, path, error);
        free(path);
    }
    return status;
}

/* All of them now: what cannot be read is told of at open, and no handshake reads files. */
static kivi_status load_authorities_of(const kivi_host *core, SSL_CTX *context, const char *folder,
                                       kivi_error **error)
{
    struct dirent **entries;
    char text[100];
    int count = scandir(folder, &entries, is_hash_name, alphasort), code = errno;
    kivi_status status;

    if (count < 0 && code == ENOMEM)
        return no_memory(core, error);
    if (count < 0)
        return refuse(core, "CA directory", folder,
                      code == ENOENT ? "no such directory" : kvi_errno_text(code, text, sizeof(text)),
                      error);
    if (count == 0)
        status = refuse(
            core, "CA directory", folder,
            "it holds no certificate that is named by its hash (openssl rehash names them)", error);
    else
        status = load_entries(core, context, folder, entries, count, error);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return status;
}

/* Each authority in a chain must have its list there, and one that is not out of date. */
static kivi_status load_revoked(const kivi_host *core, SSL_CTX *context, const char *path,
                                kivi_error **error)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    X509_LOOKUP *lookup;
    kivi_status status = check_file(core, "CRL file", path, error);

    if (status)
        return status;
    lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (!lookup)
        return no_memory(core, error);
    if (X509_load_crl_file(lookup, path, X509_FILETYPE_PEM) < 1)
        return refuse_content(core, "CRL file", path, error);
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return KIVI_OK;
}

static kivi_status load_trust(const kivi_host *core, SSL_CTX *context,
                              const kvi_net_tls_settings *settings, kivi_error **error)
{
    kivi_status status = KIVI_OK;

    if (settings->ca_file)
        status = load_authority(core, context, settings->ca_file, error);
    if (status == KIVI_OK && settings->ca_dir)
        status = load_authorities_of(core, context, settings->ca_dir, error);
    if (!settings->ca_file && !settings->ca_dir && !SSL_CTX_set_default_verify_paths(context))
        status = refuse_content(core, "the system's", "CA files", error);
    if (status == KIVI_OK && settings->crl_file)
        status = load_revoked(core, context, settings->crl_file, error);
    return status;
}

/* ---- Who we are ---- */

static kivi_status load_identity(const kivi_host *core, SSL_CTX *context,
                                 const kvi_net_tls_settings *settings, kivi_error **error)
{
    const char *key = settings->key_file ? settings->key_file : settings->cert_file;
    kivi_status status;

    if (!key)
        return KIVI_OK;
    if (!settings->cert_file)
        return refuse(core, "key file", key, "a key without its certificate", error);
    status = check_file(core, "certificate file", settings->cert_file, error);
    if (status)
        return status;
    if (SSL_CTX_use_certificate_chain_file(context, settings->cert_file) != 1)
        return refuse_content(core, "certificate file", settings->cert_file, error);
    status = check_file(core, "key file", key, error);
    if (status)
        return status;
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return refuse_content(core, "key file", key, error);
    return KIVI_OK;
}

/* ---- Whom to expect ---- */

static kivi_status check_name(const kivi_host *core, const kvi_net_tls_settings *settings,
                              const char *name, kivi_error **error)
{
    if (settings->verify && !name) {
        *error = core->error(KIVI_INVALID, 0, KIVI_RETRY_NO, "TLS: no server name to verify");
        return KIVI_INVALID;
    }
    /* OpenSSL takes it for any name below. */
    if (name && *name == '.')
        return refuse(core, "server name", name, "it begins with a dot; give one whole name", error);
    if (settings->crl_file && !settings->verify)
        return refuse(core, "CRL file", settings->crl_file,
                      "without verification no certificate is refused", error);
    return KIVI_OK;
}

/* Each with its length before it, as ALPN has them. */
static kivi_status offer_protocols(const kivi_host *core, SSL_CTX *context, const char *names,
                                   kivi_error **error)
{
    uint8_t wire[256];
    size_t size = 0;

    for (names += strspn(names, " "); *names; names += strspn(names, " ")) {
        size_t length = strcspn(names, " ");
        if (size + 1 + length > sizeof(wire) || length > UINT8_MAX)
            return refuse(core, "the protocols", "of ALPN", "too long", error);
        wire[size++] = (uint8_t)length;
        memcpy(wire + size, names, length);
        size += length;
        names += length;
    }
    return SSL_CTX_set_alpn_protos(context, wire, (unsigned)size) ? no_memory(core, error) : KIVI_OK;
}

static bool is_numeric_address(const char *name)
{
    uint8_t address[16];

    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

/* An encrypted key would else be asked for on the terminal. */
static int no_passphrase(char *text, int size, int writing, void *user)
{
    (void)text, (void)size, (void)writing, (void)user;
    return -1;
}

static void set_up(SSL_CTX *context, bool verify)
{
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Nothing is kept between connections: a child of a fork finds no lock taken when it frees this. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
}

kivi_status kvi_net_tls_new(const kivi_host *core, const kvi_net_tls_settings *settings,
                            const char *host, kvi_net_tls **tls, kivi_error **error)
{
    const char *name = settings->server_name ? settings->server_name : host;
    kvi_net_tls *made = calloc(1, sizeof(*made));
    kivi_status status = KIVI_OK;

    *tls = NULL;
    if (!made)
        return no_memory(core, error);
    ERR_clear_error();
    made->verify = settings->verify;
    made->context = SSL_CTX_new(TLS_client_method());
    made->name = name ? strdup(name) : NULL;
    if (!made->context || (name && !made->name)) {
        status = no_memory(core, error);
        goto out;
    }
    made->is_address = name && is_numeric_address(name);
    made->named = settings->server_name != NULL;
    set_up(made->context, settings->verify);
    status = check_name(core, settings, name, error);
    if (status == KIVI_OK && settings->verify)
        status = load_trust(core, made->context, settings, error);
    if (status == KIVI_OK)
        status = load_identity(core, made->context, settings, error);
    if (status == KIVI_OK && settings->protocols)
        status = offer_protocols(core, made->context, settings->protocols, error);
out:
    if (status)
        kvi_net_tls_free(made);
    else
        *tls = made;
    return status;
}

kvi_net_tls *kvi_net_tls_for(const kvi_net_tls *tls, const char *host)
{
    kvi_net_tls *made = calloc(1, sizeof(*made));

    if (!made)
        return NULL;
    *made = *tls;
    made->name = strdup(tls->named ? tls->name : host);
    if (!made->name || !SSL_CTX_up_ref(tls->context)) {
        free(made->name);
        free(made);
        return NULL;
    }
    made->is_address = is_numeric_address(made->name);
    return made;
}

void kvi_net_tls_free(kvi_net_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    free(tls->name);
    free(tls);
}
