/* Logging in: who we are, and what the server is. One pipeline. */
#include "memcached.h"

/* ---- Asking ---- */

static bool queue_auth(mc_server *server, const char *user, const char *password)
{
    size_t size = strlen(user) + 1 + strlen(password);
    uint8_t *at = kvi_mc_begin(server, REPLY_AUTH, 0, size);

    if (!at)
        return false;
    at = kvi_mc_put_number(kvi_mc_put_text(at, "set auth 0 0 "), size);
    at = kvi_mc_put_text(kvi_mc_put_text(kvi_mc_put_text(at, "\r\n"), user), " ");
    kvi_mc_end(server, kvi_mc_put_text(kvi_mc_put_text(at, password), "\r\n"))->unasked = true;
    return true;
}

static bool queue_line(mc_server *server, mc_reply reply, const char *line)
{
    uint8_t *at = kvi_mc_begin(server, reply, 0, 0);

    if (at)
        kvi_mc_end(server, kvi_mc_put_text(at, line))->unasked = true;
    return at != NULL;
}

bool kvi_mc_ask_version(mc_server *server)
{
    return queue_line(server, REPLY_VERSION, "version\r\n");
}

static mc_place *place_of(const mc_server *server)
{
    return &server->session->instance->places[server->index];
}

void kvi_mc_login_forget(mc_server *server)
{
    if (server->unheard)
        atomic_store_explicit(&place_of(server)->mute, true, memory_order_relaxed);
    server->unheard = false;
}

static bool was_mute(mc_server *server)
{
    bool mute;

    kvi_mc_login_forget(server);
    mute = atomic_exchange_explicit(&place_of(server)->mute, false, memory_order_relaxed);
    server->unheard = !mute;
    return mute;
}

static kivi_status ask_in_binary(mc_server *server, kivi_error **error)
{
    return kvi_mc_binary_ask(server) ? KIVI_OK : kvi_mc_no_memory(error);
}

kivi_status kvi_mc_login_begin(mc_server *server, kivi_error **error)
{
    const kvi_endpoint *endpoint = &server->session->instance->endpoint;
    char *password;
    kivi_status status;
    bool queued;

    if (was_mute(server))
        return ask_in_binary(server, error);
    status = kvi_endpoint_password(endpoint, &password, error);
    if (status)
        return status;
    server->item_most = server->time_s = server->uptime_s = server->process = 0;
    server->asked_ms = (int64_t)(kvi_mc_host->monotonic_ns() / 1000000);
    queued = (!password || queue_auth(server, endpoint->user, password)) &&
             kvi_mc_ask_version(server) && queue_line(server, REPLY_META, "mn\r\n") &&
             queue_line(server, REPLY_SETTINGS, "stats settings\r\n") &&
             queue_line(server, REPLY_STATS, "stats\r\n");
    kvi_wipe(password);
    return queued ? KIVI_OK : kvi_mc_no_memory(error);
}

/* ---- Answers ---- */

/* One that took "ms" for an error would take the value for commands. */
static kivi_status no_meta(kivi_error **error)
{
    *error = kvi_mc_host->error(
        KIVI_UNSUPPORTED, 0, KIVI_RETRY_NO,
        "the server, or a proxy before it, has no meta commands: Memcached 1.6 or later is needed");
    return KIVI_UNSUPPORTED;
}

static kivi_status take_version(mc_server *server, kivi_slice text, kivi_error **error)
{
    const char *at = (const char *)text.data + strlen("VERSION "),
               *end = (const char *)text.data + text.size;
    uint64_t parts[3] = {0, 0, 0};

    for (int i = 0; i < 3 && kvi_mc_digits(&at, end, &parts[i]) && at < end && *at == '.'; i++)
        at++;
    if (parts[0] < 1 || (parts[0] == 1 && parts[1] < 6))
        return no_meta(error);
    atomic_store_explicit(&server->session->instance->version,
                          (uint32_t)(parts[0] * 10000 + parts[1] % 100 * 100 + parts[2] % 100),
                          memory_order_relaxed);
    return KIVI_OK;
}

static kivi_status take_meta(kivi_slice text, kivi_error **error)
{
    if (kvi_mc_begins(text, "MN"))
        return KIVI_OK;
    return kvi_mc_begins(text, "ERROR") ? no_meta(error) : kvi_mc_breach(error);
}

static void take_number(kivi_slice text, const char *name, uint64_t *number)
{
    const char *at = (const char *)text.data + strlen(name);

    if (kvi_mc_begins(text, name))
        kvi_mc_digits(&at, (const char *)text.data + text.size, number);
}

static void take_stat(mc_server *server, mc_reply reply, kivi_slice text)
{
    mc_place *place = place_of(server);

    if (reply == REPLY_SETTINGS) {
        take_number(text, "STAT item_size_max ", &server->item_most);
        if (kvi_mc_begins(text, "STAT evictions "))
            atomic_store_explicit(&place->evicts, kvi_mc_begins(text, "STAT evictions on"),
                                  memory_order_relaxed);
        return;
    }
    take_number(text, "STAT pid ", &server->process);
    take_number(text, "STAT uptime ", &server->uptime_s);
    take_number(text, "STAT time ", &server->time_s);
}

static kivi_status refused(kivi_slice text, kivi_error **error)
{
    if (!kvi_mc_begins(text, "CLIENT_ERROR") && !kvi_mc_begins(text, "ERROR"))
        return kvi_mc_breach(error);
    *error = kvi_mc_host->error(KIVI_DENIED, 0, KIVI_RETRY_NO,
                                "the server wants a login, or refused this one");
    return KIVI_DENIED;
}

kivi_status kvi_mc_login_line(mc_server *server, mc_reply reply, kivi_slice text, bool *last,
                              kivi_error **error)
{
    *last = true;
    server->unheard = false;
    if (reply == REPLY_META)
        return take_meta(text, error);
    if (reply == REPLY_AUTH)
        return kvi_mc_begins(text, "STORED") ? KIVI_OK : refused(text, error);
    if (reply == REPLY_VERSION)
        return kvi_mc_begins(text, "VERSION ") ? take_version(server, text, error)
                                               : refused(text, error);
    *last = kvi_mc_begins(text, "END");
    if (!*last && !kvi_mc_begins(text, "STAT "))
        return refused(text, error);
    take_stat(server, reply, text);
    return KIVI_OK;
}

/* ---- The end ---- */

/* A server that was started anew has lost what it had, and counts versions from the beginning. */
static void notice_start(mc_server *server)
{
    mc_instance *mc = server->session->instance;
    uint64_t before;

    server->boot = (server->time_s - server->uptime_s) << 32 | (server->process & UINT32_MAX);
    before = atomic_exchange_explicit(&mc->places[server->index].boot, server->boot, memory_order_relaxed);
    if (before && before != server->boot)
        atomic_fetch_add_explicit(&mc->emptied, 1, memory_order_relaxed);
}

/* What every server of the ring takes, as far as they are known. */
static kivi_status tell_core(mc_server *server, kivi_error **error)
{
    mc_instance *mc = server->session->instance;
    kivi_learned learned = {.struct_size = sizeof(learned),
                            .fields = KIVI_LEARNED_MAX_VALUE | KIVI_LEARNED_EVICTS};
    uint64_t least = server->item_most;

    for (size_t i = 0; i < mc->rules.count; i++) {
        uint64_t most = atomic_load_explicit(&mc->places[i].item_most, memory_order_relaxed);
        least = most && most < least ? most : least;
        learned.evicts = learned.evicts ||
                         atomic_load_explicit(&mc->places[i].evicts, memory_order_relaxed);
    }
    learned.max_value = least > KEY_MOST + ITEM_EXTRA ? least - KEY_MOST - ITEM_EXTRA : 1;
    return kvi_mc_host->learned(mc->reporter, &learned, error);
}

kivi_status kvi_mc_login_end(mc_server *server, kivi_error **error)
{
    if (!server->item_most || !server->time_s || !server->process)
        return kvi_mc_breach(error);
    /* Its clock was at `time_s` after it was asked; it may have been late by a tick, and shows no part of a second. */
    server->ahead_ms = ((int64_t)server->time_s + 2) * 1000 - server->asked_ms;
    atomic_store_explicit(&server->session->instance->places[server->index].item_most,
                          server->item_most, memory_order_relaxed);
    notice_start(server);
    return tell_core(server, error);
}
