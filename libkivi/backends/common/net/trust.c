/* What TLS connections share: whom they trust, and who they are. */
#include "net_internal.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

static const char *last_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    return reason ? reason : "it cannot be read";
}

static kivi_status refuse_file(const kivi_host *core, const char *what, const char *path,
                               kivi_error **error)
{
    *error = core->error(KIVI_INVALID, (int64_t)ERR_peek_last_error(), KIVI_RETRY_NO,
                         "TLS: %s %s: %s", what, path, last_reason());
    ERR_clear_error();
    return KIVI_INVALID;
}

static kivi_status no_memory(const kivi_host *core, kivi_error **error)
{
    ERR_clear_error();
    *error = core->error(KIVI_NO_MEMORY, 0, KIVI_RETRY_NO, "no memory for TLS");
    return KIVI_NO_MEMORY;
}

static kivi_status load_authorities(const kivi_host *core, SSL_CTX *context,
                                    const kvi_net_tls_settings *settings, kivi_error **error)
{
    if (settings->ca_file && !SSL_CTX_load_verify_file(context, settings->ca_file))
        return refuse_file(core, "the CA file", settings->ca_file, error);
    if (settings->ca_dir && !SSL_CTX_load_verify_dir(context, settings->ca_dir))
        return refuse_file(core, "the CA directory", settings->ca_dir, error);
    if (!settings->ca_file && !settings->ca_dir && !SSL_CTX_set_default_verify_paths(context))
        return refuse_file(core, "the system's", "CA files", error);
    return KIVI_OK;
}

static kivi_status load_identity(const kivi_host *core, SSL_CTX *context,
                                 const kvi_net_tls_settings *settings, kivi_error **error)
{
    const char *key = settings->key_file ? settings->key_file : settings->cert_file;

    if (!key)
        return KIVI_OK;
    if (!settings->cert_file) {
        *error = core->error(KIVI_INVALID, 0, KIVI_RETRY_NO, "TLS: a key without its certificate");
        return KIVI_INVALID;
    }
    if (SSL_CTX_use_certificate_chain_file(context, settings->cert_file) != 1)
        return refuse_file(core, "the certificate", settings->cert_file, error);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return refuse_file(core, "the key", key, error);
    return KIVI_OK;
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
    set_up(made->context, settings->verify);
    if (settings->verify && !name) {
        *error = core->error(KIVI_INVALID, 0, KIVI_RETRY_NO, "TLS: no server name to verify");
        status = KIVI_INVALID;
        goto out;
    }
    if (settings->verify)
        status = load_authorities(core, made->context, settings, error);
    if (status == KIVI_OK)
        status = load_identity(core, made->context, settings, error);
out:
    if (status)
        kvi_net_tls_free(made);
    else
        *tls = made;
    return status;
}

void kvi_net_tls_free(kvi_net_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    free(tls->name);
    free(tls);
}
