/* shelf: a server's shelves of pairs, as a whole stepped backend. See libkivi/docs/add-a-backend.md. */
#include <endpoint.h>
#include <pipeline.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_MOST 1024
#define VALUE_MOST (UINT64_C(16) << 20)

typedef struct store {
    kvi_endpoint endpoint;
    char *name; /* of the shelf */
    void *reporter;
} store;

typedef struct session {
    store *store;
    kvi_pipeline pipeline;
    const kivi_scan_range *range; /* of the scan in flight, if there is one */
    kivi_scan_sink *sink;
    char last[KEY_MOST]; /* the key delivered last */
    size_t last_size;
    bool full; /* the sink wants no more pairs */
} session;

static const kivi_host *host;
static const kivi_slice nothing;

/* The line that ends a page, or is the whole answer to anything else: "CODE NUMBER KEY VALUE\n" and so many bytes. */
typedef struct answer {
    char code; /* '=' done, '-' not there, '!' the condition did not hold, '+' a pair of a page, '>' more pages */
    int64_t number;
    kivi_slice key, value;
} answer;

static kivi_status no_memory(kivi_error **error)
{
    *error = host->error(KIVI_NO_MEMORY, 0, KIVI_RETRY_YES, "no memory");
    return KIVI_NO_MEMORY;
}

/* ---- Asking ---- */

/* Every request: "VERB A B NUMBER KEY VALUE EXPECTED\n", the last three being sizes of what follows. */
static kivi_status ask(session *to, char verb, size_t item, int a, int b, int64_t number,
                       kivi_slice key, kivi_slice value, kivi_slice expected, kivi_error **error)
{
    const kivi_slice parts[] = {key, value, expected};
    kvi_command *command = kvi_pipeline_add(&to->pipeline, (uint8_t)verb, (uint32_t)item, 1);
    size_t size = 128 + key.size + value.size + expected.size;
    uint8_t *room = command ? kvi_net_room(&to->pipeline.net, size) : NULL, *at = room;

    if (!room)
        return no_memory(error);
    command->unasked = verb == 'l' || verb == 's';
    at += snprintf((char *)at, 128, "%c %d %d %" PRId64 " %zu %zu %zu\n", verb, a, b, number,
                   key.size, value.size, expected.size);
    for (int i = 0; i < 3; i++) {
        if (parts[i].size)
            memcpy(at, parts[i].data, parts[i].size);
        at += parts[i].size;
    }
    kvi_net_wrote(&to->pipeline.net, (size_t)(at - room));
    kvi_pipeline_added(&to->pipeline);
    return KIVI_OK;
}

static kivi_status login(void *owner, kivi_error **error)
{
    session *to = owner;
    kivi_slice name = kivi_str(to->store->name ? to->store->name : "");

    return ask(to, 'l', 0, 0, 0, 0, name, nothing, nothing, error);
}

static kivi_status begin(void *owner, kivi_error **error)
{
    session *to = owner;
    const kivi_read_vector *reads = to->pipeline.reads;
    const kivi_write_vector *writes = to->pipeline.writes;
    const kivi_scan_range *range = to->range;
    kivi_status status = KIVI_OK;

    for (size_t i = 0; reads && i < reads->count && !status; i++) {
        const kivi_read_item *item = kivi_read_item_at(reads, i);
        status = ask(to, 'r', i, (int)item->want, 0, 0, item->key, nothing, nothing, error);
    }
    for (size_t i = 0; writes && i < writes->count && !status; i++) {
        const kivi_write_item *item = kivi_write_item_at(writes, i);
        status = ask(to, 'w', i, item->kind, item->condition, item->ttl_ms, item->key, item->value,
                     item->expected, error);
    }
    if (reads || writes)
        return status;
    to->last_size = to->full = 0;
    return ask(to, 's', 0, range->flags & KIVI_SCAN_KEYS, 0,
               (int64_t)(range->limit < 1000 ? range->limit : 1000), range->prefix,
               range->cursor.size ? range->cursor : range->after, nothing, error);
}

/* ---- Answers ---- */

static kivi_status logged_in(session *to, int64_t max_value, kivi_error **error)
{
    kivi_learned learned = {.struct_size = sizeof(learned), .fields = KIVI_LEARNED_MAX_VALUE};

    learned.max_value = (uint64_t)max_value;
    return host->learned(to->store->reporter, &learned, error);
}

static void take_read(session *to, const answer *got, kivi_read_item *item)
{
    kivi_status status = got->code == '=' ? KIVI_OK : KIVI_NOT_FOUND;

    item->ttl_ms = got->number;
    if (!status && item->want & (KIVI_WANT_VALUE | KIVI_WANT_VERSION))
        status = to->pipeline.reads->deliver(to->pipeline.reads, item, got->value, nothing);
    item->status = status;
}

static void take_write(const answer *got, kivi_write_item *item)
{
    item->existed = got->number != 0;
    item->status = got->code == '=' ? KIVI_OK : got->code == '-' ? KIVI_NOT_FOUND : KIVI_CONDITION;
}

static kivi_status take_pair(session *to, const answer *got)
{
    bool asked = to->range->flags & KIVI_SCAN_WANT_EXPIRY;
    kivi_status status = to->sink->pair(to->sink, got->key, got->value,
                                        asked ? got->number : KIVI_TTL_NONE);

    memcpy(to->last, got->key.data, got->key.size);
    to->last_size = got->key.size;
    to->full = status == KIVI_END;
    return to->full ? KIVI_OK : status;
}

static kivi_status take_page(session *to, const answer *got)
{
    if (got->code == '+' && !to->full)
        return take_pair(to, got);
    if ((got->code == '+' || got->code == '>') && to->last_size) {
        kivi_slice last = kivi_bytes(to->last, to->last_size);
        to->last_size = 0; /* the cursor is given once; what else comes of the page is left out */
        return to->sink->cursor(to->sink, last);
    }
    return KIVI_OK;
}

/* Whether the line is one, and the answer whole. Sizes are the peer's word: they are checked before they are used. */
static kivi_status read_answer(const uint8_t *bytes, size_t size, kvi_portion *portion, answer *got)
{
    char line[80] = "";
    size_t most = size < sizeof(line) ? size : sizeof(line) - 1, key, value, begin;
    const uint8_t *end = memchr(bytes, '\n', most);

    if (!end)
        return size < sizeof(line) ? KIVI_PENDING : KIVI_CORRUPT;
    memcpy(line, bytes, (size_t)(end - bytes));
    if (sscanf(line, "%c %" SCNd64 " %zu %zu", &got->code, &got->number, &key, &value) != 4 ||
        !strchr("=-!+>", got->code) || key > KEY_MOST || value > VALUE_MOST)
        return KIVI_CORRUPT;
    begin = (size_t)(end + 1 - bytes);
    portion->need = begin + key + value;
    if (size < portion->need)
        return KIVI_PENDING;
    portion->used = portion->need;
    portion->last = got->code != '+';
    got->key = kivi_bytes(bytes + begin, key);
    got->value = kivi_bytes(bytes + begin + key, value);
    return KIVI_OK;
}

static kivi_status reply(void *owner, kvi_command *command, const uint8_t *bytes, size_t size,
                         kvi_portion *portion, kivi_error **error)
{
    session *to = owner;
    answer got;
    kivi_status status = read_answer(bytes, size, portion, &got);

    if (status == KIVI_CORRUPT || (!status && got.code == '+' && command->kind != 's')) {
        *error = host->error(KIVI_CORRUPT, 0, KIVI_RETRY_NO, "the server's answer is none");
        return KIVI_CORRUPT;
    }
    if (status)
        return status;
    if (command->kind == 'l')
        return logged_in(to, got.number, error);
    if (command->kind == 's')
        return take_page(to, &got);
    if (command->kind == 'r')
        take_read(to, &got, kivi_read_item_at(to->pipeline.reads, command->item));
    else
        take_write(&got, kivi_write_item_at(to->pipeline.writes, command->item));
    return KIVI_OK;
}

static kivi_status done(void *owner, kivi_error **error)
{
    (void)owner, (void)error;
    return KIVI_OK;
}

static const kvi_protocol protocol = {
    .command_size = sizeof(kvi_command),
    .login = login,
    .login_end = done,
    .begin = begin,
    .reply = reply,
    .end = done,
    .breach = "the server's answer is none",
};

/* ---- Sessions ---- */

static kivi_status shelf_session_open(void *instance, void **opened, kivi_error **error)
{
    session *made = calloc(1, sizeof(*made));

    if (!made)
        return no_memory(error);
    made->store = instance;
    kvi_pipeline_init(&made->pipeline, &protocol, made, made->store->endpoint.targets,
                      made->store->reporter);
    *opened = made;
    return KIVI_OK;
}

static void shelf_session_close(void *instance, void *closed)
{
    session *gone = closed;

    (void)instance;
    kvi_pipeline_free(&gone->pipeline);
    free(gone);
}

static void shelf_session_abandon(void *instance, void *closed, bool in_verb)
{
    session *gone = closed;

    (void)instance;
    kvi_pipeline_abandon(&gone->pipeline, !in_verb);
    if (!in_verb)
        free(gone);
}

static kivi_status shelf_read(void *instance, void *by, kivi_read_vector *vector, kivi_wait *wait,
                              kivi_error **error)
{
    (void)instance, (void)wait;
    return kvi_pipeline_begin(&((session *)by)->pipeline, vector, NULL, error);
}

static kivi_status shelf_write(void *instance, void *by, kivi_write_vector *vector, kivi_wait *wait,
                               kivi_error **error)
{
    (void)instance, (void)wait;
    return kvi_pipeline_begin(&((session *)by)->pipeline, NULL, vector, error);
}

static kivi_status shelf_scan(void *instance, void *by, const kivi_scan_range *range,
                              kivi_scan_sink *sink, kivi_wait *wait, kivi_error **error)
{
    session *to = by;

    (void)instance, (void)wait;
    to->range = range;
    to->sink = sink;
    return kvi_pipeline_begin(&to->pipeline, NULL, NULL, error);
}

static kivi_status shelf_step(void *instance, void *by, uint32_t revents, kivi_poll *poll,
                              kivi_error **error)
{
    (void)instance;
    return kvi_pipeline_step(&((session *)by)->pipeline, revents, poll, error);
}

/* ---- Open, and the table ---- */

static void shelf_close(void *instance)
{
    store *gone = instance;

    kvi_endpoint_clear(&gone->endpoint);
    free(gone->name);
    free(gone);
}

static kivi_status shelf_open(const kivi_config *config, kivi_wait *wait, kivi_instance *instance,
                              kivi_error **error)
{
    const kvi_endpoint_rules rules = {.single = "a shelf is in one server"};
    store *made = calloc(1, sizeof(*made));
    kivi_status status = made ? kvi_endpoint_read(&made->endpoint, host, config, &rules, error)
                              : no_memory(error);

    (void)wait;
    if (!status && !kvi_option_copy(host, config, "path", &made->name))
        status = no_memory(error);
    if (status) {
        if (made)
            shelf_close(made);
        return status;
    }
    made->reporter = host->reporter(config);
    instance->handle = made;
    instance->max_stored_key = KEY_MOST;
    instance->max_items = 1000;
    instance->max_bytes = 4 << 20;
    kivi_capabilities *can = &instance->capabilities;
    can->consistency = KIVI_LINEARIZABLE;
    can->max_value = VALUE_MOST;
    can->ttl = can->scan = can->conditions = KIVI_NATIVE;
    can->ttl_clock = KIVI_CLOCK_STORE;
    can->ttl_resolution_ms = 1;
    can->increment = KIVI_EMULATED;
    can->order = KIVI_ORDER_BYTES;
    can->scan_once = true;
    return KIVI_OK;
}

static const kivi_option_info options[] = {
    KVI_ENDPOINT_PLACE("4150"),
    KVI_OPTION_TEXT("path", NULL, "the name of the shelf"),
};

static const kivi_backend table = {
    .struct_size = sizeof(kivi_backend),
    .abi = KIVI_BACKEND_ABI,
    .name = "shelf",
    .schemes = "shelf",
    .summary = "an example: shelves of pairs in a server",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .open = shelf_open,
    .close = shelf_close,
    .abandon = shelf_close,
    .session_open = shelf_session_open,
    .session_close = shelf_session_close,
    .session_abandon = shelf_session_abandon,
    .read = shelf_read,
    .write = shelf_write,
    .scan = shelf_scan,
    .step = shelf_step,
};

const kivi_backend *kivi_plugin(uint32_t host_abi, const kivi_host *its_host)
{
    if (host_abi != KIVI_BACKEND_ABI || its_host->struct_size < sizeof(*its_host))
        return NULL;
    host = its_host;
    return &table;
}
