/* A backend outside the tree that connects with what is installed, and asks nothing: its server is never there. */
#include <endpoint.h>
#include <net_set.h>
#include <pipeline.h>
#include <stdlib.h>

static const kivi_host *core;

static const kivi_option_info options[] = {
    KVI_ENDPOINT_PLACES("4000"),
    KVI_ENDPOINT_LOGIN,
    KVI_ENDPOINT_TLS("tls=true: "),
};

static kivi_status nothing(void *owner, kivi_error **error)
{
    (void)owner, (void)error;
    return KIVI_OK;
}

static kivi_status no_reply(void *owner, kvi_command *command, const uint8_t *bytes, size_t size,
                            kvi_portion *portion, kivi_error **error)
{
    (void)owner, (void)command, (void)bytes, (void)size, (void)portion, (void)error;
    return KIVI_PENDING;
}

static const kvi_protocol protocol = {
    .command_size = sizeof(kvi_command), .begin = nothing, .reply = no_reply, .end = nothing};

static void far_close(void *instance)
{
    kvi_endpoint_clear(instance);
    free(instance);
}

static kivi_status far_open(const kivi_config *config, kivi_wait *wait, kivi_instance *instance,
                            kivi_error **error)
{
    const kvi_endpoint_rules rules = {.tls_form = "nobody"};
    kvi_endpoint *far = calloc(1, sizeof(*far));
    kivi_status status;

    (void)wait;
    if (!far) {
        *error = core->error(KIVI_NO_MEMORY, 0, KIVI_RETRY_NO, "no memory");
        return KIVI_NO_MEMORY;
    }
    status = kvi_endpoint_read(far, core, config, &rules, error);
    if (status) {
        far_close(far);
        return status;
    }
    instance->handle = far;
    instance->max_stored_key = instance->capabilities.max_value = 1000;
    instance->capabilities.max_ttl_ms = KIVI_TTL_MAX;
    instance->capabilities.ttl_resolution_ms = instance->capabilities.atomic_max = 1;
    return KIVI_OK;
}

static kivi_status far_session_open(void *instance, void **session, kivi_error **error)
{
    kvi_endpoint *far = instance;
    kvi_pipeline *made = calloc(1, sizeof(*made));

    if (!made) {
        *error = core->error(KIVI_NO_MEMORY, 0, KIVI_RETRY_NO, "no memory");
        return KIVI_NO_MEMORY;
    }
    kvi_pipeline_init(made, &protocol, made, &far->targets[0], NULL);
    *session = made;
    return KIVI_OK;
}

static void far_session_close(void *instance, void *session)
{
    (void)instance;
    kvi_pipeline_free(session);
    free(session);
}

static void far_session_abandon(void *instance, void *session, bool in_verb)
{
    (void)instance;
    kvi_pipeline_abandon(session, !in_verb);
}

static kivi_status far_read(void *instance, void *session, kivi_read_vector *vector,
                            kivi_wait *wait, kivi_error **error)
{
    (void)instance, (void)wait;
    return kvi_pipeline_begin(session, vector, NULL, error);
}

static kivi_status far_write(void *instance, void *session, kivi_write_vector *vector,
                             kivi_wait *wait, kivi_error **error)
{
    (void)instance, (void)wait;
    return kvi_pipeline_begin(session, NULL, vector, error);
}

static kivi_status far_step(void *instance, void *session, uint32_t revents, kivi_poll *poll,
                            kivi_error **error)
{
    (void)instance;
    return kvi_pipeline_step(session, revents, poll, error);
}

static const kivi_backend table = {
    .struct_size = sizeof(kivi_backend),
    .abi = KIVI_BACKEND_ABI,
    .name = "far",
    .schemes = "far",
    .summary = "far away",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .open = far_open,
    .close = far_close,
    .abandon = far_close,
    .session_open = far_session_open,
    .session_close = far_session_close,
    .session_abandon = far_session_abandon,
    .read = far_read,
    .write = far_write,
    .step = far_step,
};

const kivi_backend *kivi_plugin(uint32_t host_abi, const kivi_host *host)
{
    core = host;
    return host_abi == KIVI_BACKEND_ABI && host->struct_size >= sizeof(*host) ? &table : NULL;
}
