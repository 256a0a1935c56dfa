/* The options of memory stores: their table, and how they are read. */
#include <stdlib.h>

#include "memory.h"

#define NS_PER_MS UINT64_C(1000000)
#define MAX_STORED INT64_C(4294967295) /* sizes are kept in 32 bits */

#define OPTION(name, type, text, choices, min, max, help)                            \
    {                                                                                \
        sizeof(kivi_option_info), 0, name, type, text, NULL, choices, min, max, help \
    }
#define STRING(name, help) OPTION(name, KIVI_OPTION_STRING, NULL, NULL, 0, 0, help)
#define BOOL(name, text, help) OPTION(name, KIVI_OPTION_BOOL, text, NULL, 0, 0, help)
#define RATE(name, help) OPTION(name, KIVI_OPTION_FLOAT, "0", NULL, 0, 1, help)
#define CHOICE(name, text, choices, help) \
    OPTION(name, KIVI_OPTION_CHOICE, text, choices, 0, 0, help)
#define NUMBER(name, text, min, max, help) OPTION(name, KIVI_OPTION_INT, text, NULL, min, max, help)
#define SIZE(name, text, min, max, help) OPTION(name, KIVI_OPTION_SIZE, text, NULL, min, max, help)
#define DURATION(name, text, min, max, help) \
    OPTION(name, KIVI_OPTION_DURATION, text, NULL, min, max, help)

#define HOUR_MS INT64_C(3600000)

const kivi_option_info kvi_memory_options[] = {
    STRING("path", "name of the data: stores of one name in a process share it; none: private"),

    SIZE("max_key", "64KiB", 1, MAX_STORED, "longest stored key"),
    SIZE("max_value", "256MiB", 1, MAX_STORED, "longest stored value"),
    DURATION("max_ttl", "876600h", 1, KIVI_TTL_MAX, "longest TTL"),
    DURATION("ttl_resolution", "1ms", 1, HOUR_MS, "expiries are rounded up to multiples of it"),
    CHOICE("versions", "bytes", "bytes counter",
           "what a version is: the stored bytes, or a number of the store's own"),
    BOOL("atomic", "true", "false: no atomic batches"),
    BOOL("native", "true", "false: no increment and no take of its own, they are emulated"),
    CHOICE("order", "bytes", "bytes none", "none: scans come in an order of the store's own"),
    BOOL("text_keys", "false", "true: keys can only be UTF-8 without NUL, the rest is escaped"),
    BOOL("path_keys", "false", "true: keys are like URL paths, what a path loses is escaped"),
    STRING("reserved_prefix", "stored keys that begin so are the store's own, and escaped"),
    CHOICE("layout", "ours", "ours unmarked foreign", "whose the data is taken to be at open"),
    BOOL("evicts", "false", "true: it says that it drops keys when it is full, which it never does"),
    BOOL("learns", "false",
         "true: layout, limits, order and evicts are known only once a session has logged in"),
    NUMBER("max_items", "0", 0, INT32_MAX, "most keys of one vector; 0: any number"),
    SIZE("max_bytes", "0", 0, INT64_MAX, "most bytes of one vector; 0: any number"),
    NUMBER("max_lanes", "0", 0, 64, "sessions at once; 0: one for shape=shared, any number for the others"),

    CHOICE("shape", "shared", "shared blocking stepped",
           "how it answers: like an embedded engine, a blocking client, or a stepped connection"),
    NUMBER("seed", "1", 0, INT64_MAX, "start of the random sequence that decides what goes wrong"),
    NUMBER("steps", "3", 1, 1000, "shape=stepped: most steps that a vector takes"),
    DURATION("login", "0", 0, HOUR_MS, "time that each session takes to log in, before its first vector"),
    DURATION("latency", "0", 0, HOUR_MS, "time that each vector takes"),
    DURATION("latency_jitter", "0", 0, HOUR_MS, "up to so much more, at random"),
    RATE("fail_rate", "share of vectors that fail, whole or in one item, nothing applied"),
    CHOICE("fail_status", "unavailable", "unavailable refused denied busy io",
           "the failure of fail_rate and fail_keys; refused: no address answers"),
    STRING("fail_keys", "stored keys that begin so always fail, alone"),
    RATE("hang_rate", "share of vectors that never answer"),
    STRING("hang_keys", "vectors with a stored key that begins so never answer"),
    BOOL("hang_sent", "false", "true: a write that hangs was sent: it is uncertain, not timed out"),
    RATE("partial_rate", "share of vectors that leave some items to be asked again"),
    BOOL("partial_stall", "false", "true: such vectors make no progress at all"),
    RATE("uncertain_rate", "share of write vectors that are cut off, each item applied or not"),
    STRING("refuse_whole", "a write of several keys, one beginning so, is refused whole"),
    CHOICE("refuse_status", "invalid", "invalid busy",
           "the refusal of refuse_whole, of one such key alone too"),
    NUMBER("servers", "1", 1, 1000, "it plays so many servers, by hashes of keys"),
    NUMBER("silent_server", "0", 0, 1000, "the one of them that never answers, from 1; 0: none"),
    BOOL("at_work", "false", "true: shape=stepped says that the server is at work while it is silent"),
    BOOL("group_commit", "false", "true: each write has a high fixed cost"),
    DURATION("commit_time", "0", 0, HOUR_MS, "group_commit: time that each write vector takes"),
};
const size_t kvi_memory_option_count = sizeof(kvi_memory_options) / sizeof(kvi_memory_options[0]);

static const memory_failure failures[] = {
    {KIVI_UNAVAILABLE, KIVI_RETRY_YES, "mock: the connection broke", "unavailable"},
    {KIVI_UNAVAILABLE, KIVI_RETRY_LATER, "mock: connection refused", "refused"},
    {KIVI_DENIED, KIVI_RETRY_NO, "mock: not allowed", "denied"},
    {KIVI_BUSY, KIVI_RETRY_YES, "mock: something else holds the store", "busy"},
    {KIVI_IO, KIVI_RETRY_NO, "mock: input/output error", "io"},
};

/* ---- Reading ---- */

static int64_t number(const kivi_config *config, const char *name)
{
    return kvi_memory_host->option_int(config, name);
}

static bool flag(const kivi_config *config, const char *name)
{
    return number(config, name) != 0;
}

static uint64_t duration_ns(const kivi_config *config, const char *name)
{
    return (uint64_t)number(config, name) * NS_PER_MS;
}

static bool is_word(const kivi_config *config, const char *name, const char *word)
{
    const char *text = kvi_memory_host->option_text(config, name);

    return text && strcmp(text, word) == 0;
}

/* Which of the words (NULL-terminated) a choice is; 0 is its default. */
static int choice(const kivi_config *config, const char *name, const char *const words[])
{
    for (int i = 0; words[i]; i++)
        if (is_word(config, name, words[i]))
            return i;
    return 0;
}

/* A text of our own, NULL for none; false without memory. */
static bool copy_text(const kivi_config *config, const char *name, char **copy)
{
    const char *text = kvi_memory_host->option_text(config, name);

    *copy = NULL;
    if (!text || !*text)
        return true;
    *copy = strdup(text);
    return *copy != NULL;
}

static const memory_failure *read_failure(const kivi_config *config)
{
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
        if (is_word(config, "fail_status", failures[i].word))
            return &failures[i];
    return &failures[0];
}

static void read_store(memory_settings *settings, const kivi_config *config)
{
    static const char *const shapes[] = {"shared", "blocking", "stepped", NULL};
    static const char *const layouts[] = {"ours", "unmarked", "foreign", NULL};
    static const int32_t layout_of[] = {KIVI_LAYOUT_OURS, KIVI_LAYOUT_UNMARKED, KIVI_LAYOUT_FOREIGN};

    settings->shape = (memory_shape)choice(config, "shape", shapes);
    settings->layout = layout_of[choice(config, "layout", layouts)];
    settings->max_key = (uint64_t)number(config, "max_key");
    settings->max_value = (uint64_t)number(config, "max_value");
    settings->max_items = (uint64_t)number(config, "max_items");
    settings->max_bytes = (uint64_t)number(config, "max_bytes");
    settings->max_lanes = (uint64_t)number(config, "max_lanes");
    settings->max_ttl = number(config, "max_ttl");
    settings->ttl_resolution = number(config, "ttl_resolution");
    settings->sweep = (uint64_t)number(config, "sweep");
    settings->counted_versions = is_word(config, "versions", "counter");
    settings->native = flag(config, "native");
    settings->atomic = flag(config, "atomic");
    settings->byte_order = !is_word(config, "order", "none");
    settings->text_keys = flag(config, "text_keys");
    settings->path_keys = flag(config, "path_keys");
    settings->evicts = flag(config, "evicts");
    settings->learns = flag(config, "learns");
    if (settings->max_lanes == 0 && settings->shape == SHAPE_SHARED)
        settings->max_lanes = 1;
}

static void read_mock(memory_settings *settings, const kivi_config *config)
{
    settings->seed = (uint64_t)number(config, "seed");
    settings->steps = (uint64_t)number(config, "steps");
    settings->login_ns = duration_ns(config, "login");
    settings->latency_ns = duration_ns(config, "latency");
    settings->jitter_ns = duration_ns(config, "latency_jitter");
    settings->fail_rate = kvi_memory_host->option_float(config, "fail_rate");
    settings->failure = read_failure(config);
    settings->hang_rate = kvi_memory_host->option_float(config, "hang_rate");
    settings->hang_sent = flag(config, "hang_sent");
    settings->partial_rate = kvi_memory_host->option_float(config, "partial_rate");
    settings->partial_stall = flag(config, "partial_stall");
    settings->uncertain_rate = kvi_memory_host->option_float(config, "uncertain_rate");
    settings->refuse_busy = is_word(config, "refuse_status", "busy");
    settings->servers = (uint64_t)number(config, "servers");
    settings->silent_server = (uint64_t)number(config, "silent_server");
    settings->at_work = flag(config, "at_work");
    settings->group_commit = flag(config, "group_commit");
    settings->commit_ns = settings->group_commit ? duration_ns(config, "commit_time") : 0;
}

bool kvi_settings_read(memory_settings *settings, const kivi_config *config)
{
    bool copied;

    memset(settings, 0, sizeof(*settings));
    read_store(settings, config);
    read_mock(settings, config);
    copied = copy_text(config, "reserved_prefix", &settings->reserved_prefix) &&
             copy_text(config, "fail_keys", &settings->fail_keys) &&
             copy_text(config, "hang_keys", &settings->hang_keys) &&
             copy_text(config, "refuse_whole", &settings->refuse_whole);
    if (!copied) {
        kvi_settings_clear(settings);
        return false;
    }
    settings->waits = settings->login_ns || settings->latency_ns || settings->jitter_ns ||
                      settings->commit_ns || settings->hang_rate > 0 || settings->hang_keys ||
                      settings->silent_server;
    settings->mock = settings->waits || settings->learns || settings->fail_rate > 0 ||
                     settings->fail_keys || settings->partial_rate > 0 ||
                     settings->uncertain_rate > 0 || settings->refuse_whole || settings->max_items ||
                     settings->max_bytes || settings->text_keys || settings->path_keys ||
                     settings->reserved_prefix || settings->shape != SHAPE_SHARED;
    return true;
}

void kvi_settings_clear(memory_settings *settings)
{
    free(settings->reserved_prefix);
    free(settings->fail_keys);
    free(settings->hang_keys);
    free(settings->refuse_whole);
}
