/* One open store for each case, and what the expectations of the cases rest on. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "suite.h"

/* Each case has a process, and so this, to itself. */
static subject the_subject;

/* There where the suite is built with a sanitizer that knows leaks. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* ---- opening ---- */

/* Replaces {dir} and {name} in the row's URL. */
static void fill_in_url(subject *s, const char *name)
{
    const char *folder = getenv("KIVI_CONFORMANCE_FOLDER");
    char made[512];
    snprintf(made, sizeof made, "%s/%s", folder, name);
    size_t used = 0;
    for (const char *at = s->row->url; *at;) {
        const char *put_in = NULL;
        if (strncmp(at, "{dir}", 5) == 0) {
            cr_assert(mkdir(made, 0700) == 0 || errno == EEXIST, "%s: mkdir %s: %s", s->row->name,
                      made, strerror(errno));
            put_in = made;
        } else if (strncmp(at, "{name}", 6) == 0) {
            put_in = name;
        }
        int size = put_in ? snprintf(s->url + used, sizeof s->url - used, "%s", put_in)
                          : snprintf(s->url + used, sizeof s->url - used, "%c", *at);
        used += (size_t)size;
        cr_assert(used < sizeof s->url, "%s: its URL is too long", s->row->name);
        at += put_in ? (put_in == name ? 6 : 5) : 1;
    }
}

/* Whether the keys of the case must lie together: its batches are atomic. */
static bool needs_a_tag(const subject *s)
{
    return s->can.atomic_by_tag &&
           (strncmp(s->title, "atomic", 6) == 0 || strncmp(s->title, "random", 6) == 0);
}

static void tag_prefix(subject *s)
{
    size_t size = strlen(s->prefix);
    memmove(s->prefix + 1, s->prefix, size);
    s->prefix[0] = '{';
    s->prefix[size] = '}';
    s->prefix[size + 1] = '.';
    s->prefix[size + 2] = '\0';
}

static void make_prefix(subject *s)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t mixed = (uint64_t)now.tv_sec * 1000000007u ^ (uint64_t)now.tv_nsec << 20 ^
                     (uint64_t)getpid();
    mixed *= UINT64_C(0x9E3779B97F4A7C15);
    snprintf(s->prefix, sizeof s->prefix, "kc%010llx.", (unsigned long long)(mixed >> 24));
}

/* ---- time limits ---- */

static char over_time[256];

static void end_in_time(int number)
{
    (void)number;
    if (write(STDERR_FILENO, over_time, strlen(over_time)) < 0)
        _exit(3);
    abort();
}

/* A sanitizer makes all of it slow; the limit only ends what hangs. */
static void begin_limit(const subject *s, unsigned seconds)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    seconds *= 10;
#endif
    const char *given = getenv("KIVI_CONFORMANCE_TIMEOUT");
    int times = s->row->traits & ROW_SLOW ? atoi(given && *given ? given : "4") : 1;
    seconds *= times > 1 ? (unsigned)times : 1;
    snprintf(over_time, sizeof over_time, "%s on %s: it was not over after %u s\n", s->title,
             s->row->name, seconds);
    signal(SIGALRM, end_in_time);
    alarm(seconds);
}

void learn_can(subject *s, kivi_store *store, kivi_capabilities *can)
{
    kivi_health health = {.struct_size = sizeof health};
    OK(kivi_store_health(store, NULL, &health, E));
    memset(can, 0, sizeof *can);
    can->struct_size = sizeof *can;
    OK(kivi_store_capabilities(store, can, E));
}

subject *subject_begin(const row *parameter, const char *title, unsigned seconds)
{
    subject *s = &the_subject;
    s->row = parameter;
    s->title = title;
    begin_limit(s, seconds);
    if (getenv("KIVI_CONFORMANCE_VERBOSE"))
        fprintf(stderr, "%s on %s\n", title, parameter->name);
    make_prefix(s);
    char name[64];
    snprintf(name, sizeof name, "d%.*s", (int)strlen(s->prefix) - 1, s->prefix);
    fill_in_url(s, name);
    OK(kivi_store_open(s->url, NULL, NULL, &s->store, E));
    via_use_queue(parameter->traits & ROW_QUEUE);
    learn_can(s, s->store, &s->can);
    if (needs_a_tag(s))
        tag_prefix(s);
    s->codec = kivi_store_codec(s->store);
    return s;
}

/* ---- ending ---- */

static void delete_remembered(subject *s)
{
    if (s->key_count)
        kivi_store_delete_many(s->store, NULL, s->keys, s->key_count, NULL, NULL, NULL);
}

static void clean_up(subject *s)
{
    if (!s->store)
        return;
    if (!(s->row->traits & ROW_OWN)) {
        delete_remembered(s);
        if (s->can.scan != KIVI_ABSENT)
            kivi_store_clear(s->store, NULL, kivi_str(s->prefix), 0, NULL, NULL);
    }
    kivi_store_unref(s->store);
    s->store = NULL;
    via_end();
}

static void free_all(subject *s)
{
    for (size_t i = 0; i < s->block_count; i++)
        free(s->blocks[i]);
    free(s->blocks);
    free(s->keys);
    kivi_buffer_free(&s->value);
    kivi_error_free(s->error);
    s->blocks = NULL;
    s->keys = NULL;
    s->block_count = s->block_room = s->key_count = s->key_room = 0;
    s->error = NULL;
}

/* The end of a case that passed: nothing may be left, of memory neither. */
void subject_done(subject *s)
{
    clean_up(s);
    free_all(s);
    if (__lsan_do_recoverable_leak_check)
        EXPECT(__lsan_do_recoverable_leak_check() == 0);
}

/* The end of any case. */
void subject_end(void)
{
    clean_up(&the_subject);
    free_all(&the_subject);
}

/* ---- expectations ---- */

kivi_error **subject_error(subject *s)
{
    kivi_error_free(s->error);
    s->error = NULL;
    return &s->error;
}

static bool is_answer(kivi_status status)
{
    return status == KIVI_OK || status == KIVI_NOT_FOUND || status == KIVI_CONDITION || status == KIVI_END;
}

/* One line of text without a final full stop, of the status that was answered. */
static const char *judge_error(const kivi_error *error, kivi_status status)
{
    if (kivi_error_status(error) != status)
        return "its error has another status";
    const char *message = kivi_error_message(error);
    if (!message || !*message)
        return "its error has no message";
    if (strchr(message, '\n') || message[strlen(message) - 1] == '.')
        return "its message is not one line without a full stop";
    if (!kivi_error_backend(error))
        return "its error has no backend, not even an empty one";
    return NULL;
}

const char *subject_judge(subject *s, kivi_status got, kivi_status wanted)
{
    char *said = keep(s, 768);
    const char *message = s->error ? kivi_error_message(s->error) : "no error";
    if (got != wanted) {
        snprintf(said, 768, "answered %s instead of %s (%s)", kivi_status_name(got),
                 kivi_status_name(wanted), message);
        return said;
    }
    if (is_answer(got))
        return s->error ? "an answer came with an error" : NULL;
    if (!s->error)
        return "a failure came without an error";
    const char *fault = judge_error(s->error, got);
    if (!fault)
        return NULL;
    snprintf(said, 768, "%s (%s)", fault, message);
    return said;
}

traffic traffic_of(subject *s)
{
    via_end(); /* a flight of a queue is counted after its calls have their answers */
    kivi_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;
    kivi_status status = kivi_store_stats(s->store, &stats, NULL);
    cr_assert(status == KIVI_OK, "%s: stats answer %s", s->row->name, kivi_status_name(status));
    traffic seen = {stats.reads, stats.writes, stats.vectors, stats.vector_items};
    return seen;
}

bool traffic_is(subject *s, traffic before)
{
    traffic now = traffic_of(s);
    return now.reads == before.reads && now.writes == before.writes &&
           now.vectors == before.vectors && now.items == before.items;
}

bool same_bytes(kivi_slice a, kivi_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

int compare_bytes(kivi_slice a, kivi_slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size ? memcmp(a.data, b.data, size) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

bool holds(subject *s, kivi_slice key)
{
    bool there = false;
    OK(kivi_store_exists(s->store, NULL, key, &there, E));
    return there;
}

const char *shown(subject *s, kivi_slice bytes)
{
    size_t count = bytes.size < 120 ? bytes.size : 120;
    char *out = keep(s, 4 * count + 48), *at = out;
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = ((const unsigned char *)bytes.data)[i];
        bool plain = byte > ' ' && byte < 127 && byte != '\\';
        at += sprintf(at, plain ? "%c" : "\\x%02x", byte);
    }
    sprintf(at, bytes.size > count ? "... (%zu bytes)" : " (%zu bytes)", bytes.size);
    return out;
}

/* ---- who else may use a store ---- */

bool is_private(subject *s)
{
    if (!(s->row->traits & ROW_PRIVATE))
        return false;
    put(s, key(s, "mine"), text(s, "v"), KIVI_TTL_NONE);
    kivi_buffer out = KIVI_BUFFER_INIT;
    EXPECT_NUMBER(peer(s, "get", key(s, "mine"), kivi_bytes(NULL, 0), &out), KIVI_NOT_FOUND);
    EXPECT_NUMBER(peer(s, "set", key(s, "theirs"), text(s, "v"), &out), KIVI_OK);
    EXPECT_MISSING(key(s, "theirs"));
    kivi_buffer_free(&out);
    return true;
}

const char *reserved_of(subject *s)
{
    return s->row->reserved[0] ? s->row->reserved : "kivi";
}

/* Another process opens it in vain: some wait as long as they may, so a second must do. */
static void expect_busy(subject *s, const char *verb, kivi_slice key, kivi_slice value)
{
    size_t used = strlen(s->url);
    EXPECT((size_t)snprintf(s->url + used, sizeof s->url - used, "%ctimeout=1s",
                            strchr(s->url, '?') ? '&' : '?') < sizeof s->url - used);
    EXPECT_NUMBER(peer(s, verb, key, value, NULL), KIVI_BUSY);
    s->url[used] = 0;
}

bool is_single(subject *s)
{
    if (!(s->row->traits & ROW_SINGLE))
        return false;
    put(s, key(s, "mine"), text(s, "v"), KIVI_TTL_NONE);
    expect_busy(s, "get", key(s, "mine"), kivi_bytes(NULL, 0));
    expect_busy(s, "set", key(s, "theirs"), text(s, "v"));
    EXPECT_HOLDS(key(s, "mine"), text(s, "v"));
    /* Once it is closed here, the other has it. */
    kivi_store_unref(s->store);
    EXPECT_NUMBER(peer(s, "set", key(s, "theirs"), text(s, "w"), NULL), KIVI_OK);
    s->store = reopened(s, NULL, NULL);
    EXPECT_HOLDS(key(s, "mine"), text(s, "v"));
    EXPECT_HOLDS(key(s, "theirs"), text(s, "w"));
    return true;
}

/* ---- what a store lacks ---- */

bool lacks_scan(subject *s)
{
    if (s->can.scan != KIVI_ABSENT)
        return false;
    kivi_page *page = NULL;
    kivi_scan *scan = NULL;
    uint64_t count = 0;
    REFUSED(KIVI_UNSUPPORTED, kivi_store_page(s->store, NULL, NULL, &page, E));
    /* A scan reads nothing before its first pair, and may wait so long with its refusal. */
    if (kivi_store_scan(s->store, NULL, &scan, E) == KIVI_OK) {
        kivi_pair pair = KIVI_PAIR_INIT;
        REFUSED(KIVI_UNSUPPORTED, kivi_scan_next(scan, NULL, &pair, E));
        kivi_scan_free(scan);
    } else {
        REFUSED(KIVI_UNSUPPORTED, kivi_store_scan(s->store, NULL, &scan, E));
    }
    REFUSED(KIVI_UNSUPPORTED, kivi_store_count(s->store, NULL, all(s), &count, E));
    REFUSED(KIVI_UNSUPPORTED, kivi_store_clear(s->store, NULL, all(s), 0, NULL, E));
    EXPECT(page == NULL);
    return true;
}

bool lacks_ttl(subject *s)
{
    if (s->can.ttl != KIVI_ABSENT)
        return false;
    kivi_slice k = key(s, "ttl"), v = text(s, "v");
    REFUSED(KIVI_UNSUPPORTED, kivi_store_set(s->store, NULL, k, v, 1000, E));
    REFUSED(KIVI_UNSUPPORTED, kivi_store_add(s->store, NULL, k, v, 1000, E));
    REFUSED(KIVI_UNSUPPORTED, kivi_store_expire(s->store, NULL, k, 1000, E));
    EXPECT_MISSING(k);
    return true;
}

bool lacks_increment(subject *s)
{
    if (s->can.increment != KIVI_ABSENT)
        return false;
    kivi_slice k = key(s, "increment");
    REFUSED(KIVI_UNSUPPORTED, kivi_store_increment(s->store, NULL, k, 1, KIVI_TTL_NONE, NULL, E));
    EXPECT_MISSING(k);
    return true;
}

bool lacks_conditions(subject *s)
{
    if (s->can.conditions != KIVI_ABSENT)
        return false;
    kivi_slice k = key(s, "conditions"), v = text(s, "v");
    REFUSED(KIVI_UNSUPPORTED, kivi_store_add(s->store, NULL, k, v, KIVI_TTL_NONE, E));
    REFUSED(KIVI_UNSUPPORTED, kivi_store_replace(s->store, NULL, k, v, KIVI_TTL_NONE, E));
    REFUSED(KIVI_UNSUPPORTED, kivi_store_compare_and_set(s->store, NULL, k, v, v, KIVI_TTL_NONE, E));
    EXPECT_MISSING(k);
    return true;
}

bool lacks_atomic(subject *s, size_t operations)
{
    if (s->can.atomic_max >= operations)
        return false;
    kivi_op *ops = keep(s, (operations + 1) * sizeof *ops);
    for (size_t i = 0; i < operations; i++) {
        kivi_op set = KIVI_OP_INIT;
        set.kind = KIVI_OP_SET;
        set.key = key_number(s, "atomic", i);
        set.value = text(s, "v");
        ops[i] = set;
    }
    kivi_result *result = NULL;
    REFUSED(KIVI_UNSUPPORTED,
            kivi_store_apply(s->store, NULL, ops, operations, KIVI_APPLY_ATOMIC, &result, E));
    EXPECT(result == NULL);
    EXPECT_MISSING(ops[0].key);
    return true;
}
