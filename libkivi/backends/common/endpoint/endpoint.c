/* Reads the options of networked stores, and makes a target of each server. */
#include "endpoint_internal.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

/* ---- Texts ---- */

const char *kvi_option_given(const kivi_host *core, const kivi_config *config, const char *name)
{
    const char *text = core->option_text(config, name);

    return text && *text ? text : NULL;
}

bool kvi_option_copy(const kivi_host *core, const kivi_config *config, const char *name, char **copy)
{
    const char *text = kvi_option_given(core, config, name);

    *copy = text ? strdup(text) : NULL;
    return !text || *copy;
}

/* ---- Where ---- */

static kivi_status read_socket(kvi_endpoint *endpoint, const kivi_config *config, const char *form,
                               kivi_error **error)
{
    const kivi_host *core = endpoint->core;
    const char *path = kvi_option_given(core, config, "path");

    if (!path) {
        *error = core->error(KIVI_INVALID, 0, KIVI_RETRY_NO, "no socket: write %s", form);
        return KIVI_INVALID;
    }
    endpoint->targets = calloc(1, sizeof(*endpoint->targets));
    if (!endpoint->targets)
        return kvi_endpoint_no_memory(core, error);
    endpoint->count = 1;
    endpoint->targets[0].place = (kvi_place){.core = core, .path = strdup(path)};
    return endpoint->targets[0].place.path ? KIVI_OK : kvi_endpoint_no_memory(core, error);
}

static kivi_status read_places(kvi_endpoint *endpoint, const kivi_config *config,
                               const kvi_endpoint_rules *rules, kivi_error **error)
{
    const kivi_host *core = endpoint->core;
    const char *hosts = rules->list ? rules->list : kvi_option_given(core, config, "host");
    const char *port = rules->port && !core->option_is_set(config, "port")
                           ? rules->port
                           : core->option_text(config, "port");
    kivi_status status;

    if (rules->socket_form)
        return read_socket(endpoint, config, rules->socket_form, error);
    if (!hosts)
        return kvi_option_refuse(core, KIVI_INVALID, "no host", error);
    if (rules->single && strchr(hosts, ','))
        return kvi_option_refuse(core, KIVI_UNSUPPORTED, rules->single, error);
    status = kvi_endpoint_list(endpoint, hosts, port, rules->list != NULL, error);
    for (size_t i = 0; i < endpoint->count; i++)
        endpoint->targets[i].place.attempt_ms = (uint32_t)core->option_int(config,
                                                                           "address_timeout");
    return status;
}

/* ---- Who ---- */

static kivi_status read_login(kvi_endpoint *endpoint, const kivi_config *config,
                              const kvi_endpoint_rules *rules, kivi_error **error)
{
    const kivi_host *core = endpoint->core;
    int ways;

    if (!kvi_option_copy(core, config, "user", &endpoint->user) ||
        !kvi_option_copy(core, config, "password", &endpoint->password) ||
        !kvi_option_copy(core, config, "password_file", &endpoint->password_file) ||
        !kvi_option_copy(core, config, "password_env", &endpoint->password_env))
        return kvi_endpoint_no_memory(core, error);
    ways = (endpoint->password != NULL) + (endpoint->password_file != NULL) +
           (endpoint->password_env != NULL);
    if (ways > 1)
        return kvi_option_refuse(core, KIVI_INVALID,
                                 "give one of password, password_file and password_env", error);
    if (rules->user_has_password && endpoint->user && ways == 0)
        return kvi_option_refuse(core, KIVI_INVALID, "a user without a password", error);
    return KIVI_OK;
}

/* ---- TLS ---- */

static kvi_net_tls_settings tls_settings(const kivi_host *core, const kivi_config *config)
{
    return (kvi_net_tls_settings){
        .ca_file = kvi_option_given(core, config, "tls_ca_file"),
        .ca_dir = kvi_option_given(core, config, "tls_ca_dir"),
        .crl_file = kvi_option_given(core, config, "tls_crl_file"),
        .cert_file = kvi_option_given(core, config, "tls_cert_file"),
        .key_file = kvi_option_given(core, config, "tls_key_file"),
        .server_name = kvi_option_given(core, config, "tls_server_name"),
        .verify = core->option_int(config, "tls_verify") != 0,
    };
}

static bool are_given(const kvi_net_tls_settings *tls)
{
    return tls->ca_file || tls->ca_dir || tls->crl_file || tls->cert_file || tls->key_file ||
           tls->server_name || !tls->verify;
}

/* Each server has its own: the name to expect is its host. */
static kivi_status read_tls(kvi_endpoint *endpoint, const kivi_config *config,
                            const kvi_endpoint_rules *rules, kivi_error **error)
{
    const kivi_host *core = endpoint->core;
    kivi_status status = KIVI_OK;

    if (!rules->tls_form)
        return KIVI_OK;
    kvi_net_tls_settings tls = tls_settings(core, config);
    if (!rules->is_tls && are_given(&tls)) {
        *error = core->error(KIVI_INVALID, 0, KIVI_RETRY_NO, "tls_ options are for %s", rules->tls_form);
        return KIVI_INVALID;
    }
    for (size_t i = 0; rules->is_tls && status == KIVI_OK && i < endpoint->count; i++)
        status = kvi_net_tls_new(core, &tls, endpoint->targets[i].place.host,
                                 &endpoint->targets[i].tls, error);
    return status;
}

/* ---- The whole ---- */

kivi_status kvi_endpoint_read(kvi_endpoint *endpoint, const kivi_host *core, const kivi_config *config,
                              const kvi_endpoint_rules *rules, kivi_error **error)
{
    kivi_status status;

    *endpoint = (kvi_endpoint){.core = core};
    status = read_places(endpoint, config, rules, error);
    if (status == KIVI_OK)
        status = read_login(endpoint, config, rules, error);
    if (status == KIVI_OK)
        status = read_tls(endpoint, config, rules, error);
    if (!rules->single)
        endpoint->server_timeout_ns = (uint64_t)core->option_int(config, "server_timeout") * NS_PER_MS;
    return status;
}

void kvi_endpoint_clear(kvi_endpoint *endpoint)
{
    for (size_t i = 0; i < endpoint->count; i++) {
        kvi_net_target *target = &endpoint->targets[i];
        kvi_net_tls_free(target->tls);
        free((char *)(uintptr_t)target->place.host);
        free((char *)(uintptr_t)target->place.port);
        free((char *)(uintptr_t)target->place.path);
    }
    free(endpoint->targets);
    kvi_wipe(endpoint->password);
    free(endpoint->user);
    free(endpoint->password_file);
    free(endpoint->password_env);
    *endpoint = (kvi_endpoint){0};
}
