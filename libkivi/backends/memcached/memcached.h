/* The Memcached backend's inside: an instance, its sessions, and a pipeline for each server of the ring. */
#ifndef KVI_MEMCACHED_H
#define KVI_MEMCACHED_H

#include "dump.h"
#include "endpoint.h"
#include "members.h"

extern const kivi_host *kvi_mc_host;

#define KEY_MOST 250
#define ITEM_EXTRA 100 /* what a server adds to key and value of an item, at most */

/* ---- Settings (settings.c) ---- */

/* Which server a key is on (ring.c): libmemcached's, which opens no socket. */
typedef struct mc_ring mc_ring;

/* What is known of a server, by all sessions. */
typedef struct mc_place {
    _Atomic uint64_t boot;      /* which start of it was seen last; 0: none yet */
    _Atomic uint64_t item_most; /* its item_size_max; 0: not known yet */
    _Atomic bool evicts;
    _Atomic bool mute; /* the last login ended without a byte of it */
} mc_place;

typedef struct mc_instance {
    kvi_endpoint endpoint;
    mc_ring *ring; /* NULL: a single server */
    mc_place *places;
    bool scans; /* scan=metadump */
    mc_dumps dumps;
    kvi_members_rules rules;
    void *reporter;
    _Atomic uint32_t version; /* 10618 is 1.6.18; 0: not known yet */
    _Atomic uint64_t emptied; /* how often a server came back from a new start */
} mc_instance;

extern const kivi_option_info kvi_mc_options[];
extern const size_t kvi_mc_option_count;

kivi_status kvi_mc_settings_read(mc_instance *mc, const kivi_config *config, kivi_error **error);
void kvi_mc_settings_clear(mc_instance *mc);

/* ---- ring.c ---- */

typedef struct mc_ring_rules {
    const char *distribution; /* "modula", "consistent", "ketama", "weighted" */
    const char *hash;         /* libmemcached's name for it in lower case */
    const char *weights;      /* of each server, separated by commas; NULL: all 1 */
} mc_ring_rules;

kivi_status kvi_mc_ring_new(const kvi_endpoint *endpoint, const mc_ring_rules *rules,
                            mc_ring **ring, kivi_error **error);
/* As a configuration string says; *servers: "HOST:PORT,HOST:PORT" as it names them, to be freed. */
kivi_status kvi_mc_ring_configured(const char *text, mc_ring **ring, char **servers, kivi_error **error);
void kvi_mc_ring_free(mc_ring *ring);
uint32_t kvi_mc_ring_place(const mc_ring *ring, kivi_slice key); /* any thread */

/* ---- configuration.c ---- */

/* The words of a configuration string of libmemcached's that say where keys are, as it takes them. What would put them
 * elsewhere than here, and what is no word of it, is refused by its name. */
kivi_status kvi_mc_configuration_read(const char *text, char **words, kivi_error **error);

/* ---- Replies (line.c) ---- */

/* The first line of a reply. */
typedef struct mc_line {
    char code[2]; /* of the meta protocol; zero: words */
    bool has_cas, has_left, has_flags;
    uint32_t flags;
    uint64_t size; /* of the value behind the line */
    uint64_t cas;
    int64_t left; /* seconds; -1: never expires */
    kivi_slice text;
} mc_line;

/* `text` without the line's end. False: neither an answer of the meta protocol nor words of a failure. */
bool kvi_mc_line_read(mc_line *line, kivi_slice text);
static inline bool line_is(const mc_line *line, const char *code)
{
    return line->code[0] == code[0] && line->code[1] == code[1];
}
bool kvi_mc_begins(kivi_slice text, const char *with);
/* Digits from *at on, which moves behind them; false: there are none, or too many. */
bool kvi_mc_digits(const char **at, const char *end, uint64_t *number);
/* A refusal in words: what it means for an item. */
kivi_status kvi_mc_refusal(kivi_slice text, kivi_error **error);

/* ---- Sessions ---- */

typedef enum mc_reply {
    REPLY_BINARY = 0, /* of a server that was mute */
    REPLY_AUTH,
    REPLY_VERSION,
    REPLY_META,
    REPLY_SETTINGS,
    REPLY_STATS,
    REPLY_READ,        /* mg of a read */
    REPLY_LOOK,        /* mg that a write begins with */
    REPLY_CLOCK,       /* mg of the clock key, before a look */
    REPLY_CLOCK_AGAIN, /* ... and behind it */
    REPLY_CLOCK_MADE,
    REPLY_TOUCH,  /* mg T of a write */
    REPLY_STORE,  /* ms */
    REPLY_DELETE, /* md */
    REPLY_DUMP,
    REPLY_PAIR /* mg of a scan */
} mc_reply;

/* What is known of an item of a write between two commands. */
typedef struct mc_item {
    uint8_t stage; /* what is sent next (write.c) */
    bool todo;     /* ... in the next round */
    uint32_t flags;
    uint64_t cas;
    int64_t left;  /* seconds, as seen; absolute in the end; -1: never expires */
    int64_t clock; /* what the clock key had left; CLOCK_MISSING, CLOCK_UNNEEDED */
    uint8_t *copy; /* of the value, to write it again */
    size_t copy_size;
} mc_item;

#define CLOCK_MISSING (-1)
#define CLOCK_UNNEEDED (-2)

typedef struct mc_session mc_session;

/* One server of a session. */
typedef struct mc_server {
    mc_session *session;
    uint32_t index;
    kvi_pipeline pipeline;
    bool unheard;    /* a login has begun, and nothing of it was answered */
    uint64_t sealed; /* TLS: how much had been queued when the last record was ended */
    /* learned at the login */
    uint64_t item_most;
    uint64_t boot;    /* which start of the server this is: part of every version */
    int64_t ahead_ms; /* its clock, at most, less the monotonic one here */
    int64_t asked_ms;
    uint64_t time_s, uptime_s, process;
} mc_server;

/* The page of a scan. */
typedef struct mc_page {
    const kivi_scan_range *range; /* NULL: no scan is in flight */
    kivi_scan_sink *sink;
    mc_dump *dump;
    size_t given; /* keys of it that are done with */
    bool enough, by_lists;
} mc_page;

struct mc_session {
    mc_instance *instance;
    kvi_members members;
    kivi_read_vector *reads; /* the verb in flight */
    kivi_write_vector *writes;
    mc_item *items; /* of a write */
    size_t item_room;
    mc_page page;
    mc_server servers[];
};

static inline const kvi_member *member_of(const mc_server *server)
{
    return &server->session->members.all[server->index];
}

/* ---- failure.c ---- */

kivi_status kvi_mc_no_memory(kivi_error **error);
#define KVI_MC_BREACH                                                                             \
    "the server's answer is not one that this command can have: no Memcached 1.6, or bytes were " \
    "lost on the way"
/* A reply that the command cannot have: the stream is not to be trusted any more. */
kivi_status kvi_mc_breach(kivi_error **error);

/* ---- command.c ---- */

/* A command is begun with room for `most` bytes beyond 192 of its own, put together at the pointer, and ended. NULL: no memory. */
uint8_t *kvi_mc_begin(mc_server *server, mc_reply reply, uint32_t item, size_t most);
kvi_command *kvi_mc_end(mc_server *server, uint8_t *at);
/* The bytes behind `at` are `value`, referred to: they stay until they have left. */
uint8_t *kvi_mc_refer(mc_server *server, uint8_t *at, kivi_slice value);
uint8_t *kvi_mc_put(uint8_t *at, kivi_slice bytes);
uint8_t *kvi_mc_put_text(uint8_t *at, const char *text);
uint8_t *kvi_mc_put_number(uint8_t *at, uint64_t number);

/* A TTL as the server takes it: 0 for none. False: it would end beyond the server's time. */
bool kvi_mc_seconds(const mc_server *server, int64_t ttl_ms, uint64_t *seconds);
#define SECONDS_END UINT64_C(2147483640) /* the last second of an item's time, short of INT32_MAX */

/* A version: the cas, and which start of the server counted it. */
#define VERSION_SIZE 16
void kvi_mc_version_put(const mc_server *server, uint64_t cas, uint8_t version[VERSION_SIZE]);
/* False: of no value that this start of the server has. */
bool kvi_mc_version_read(const mc_server *server, kivi_slice version, uint64_t *cas);

/* ---- login.c ---- */

/* "version" alone: whether the server is well. False without memory. */
bool kvi_mc_ask_version(mc_server *server);
kivi_status kvi_mc_login_begin(mc_server *server, kivi_error **error);
/* A line of a login's replies; `last`: the reply ends with it. */
kivi_status kvi_mc_login_line(mc_server *server, mc_reply reply, kivi_slice text, bool *last,
                              kivi_error **error);
kivi_status kvi_mc_login_end(mc_server *server, kivi_error **error);
/* Notes a login of which nothing was answered; before its session is closed, too. */
void kvi_mc_login_forget(mc_server *server);

/* ---- binary.c: a server that ends connections at their first line may speak the binary protocol alone (-S, -B binary) ---- */

/* Asks it in that protocol. False without memory. */
bool kvi_mc_binary_ask(mc_server *server);
/* Takes a packet. Never OK in the end: UNSUPPORTED where it is so, else UNAVAILABLE, and the next login is the usual one. */
kivi_status kvi_mc_binary_reply(mc_server *server, const uint8_t *bytes, size_t size,
                                kvi_portion *portion, kivi_error **error);

/* ---- read.c, write.c, judge.c: queue the commands of one item; take one reply. False without memory, or of a breach. ---- */

bool kvi_mc_read_queue(mc_server *server, uint32_t index);
bool kvi_mc_read_reply(mc_server *server, uint32_t index, const mc_line *line, kivi_slice value);

/* What a line says that is left, in ms; never 0. */
int64_t kvi_mc_ttl(const mc_line *line);

enum {
    STAGE_SIMPLE = 0, /* the one command that does it all */
    STAGE_ADD,        /* a set that asks `existed`: absent? */
    STAGE_REPLACE,    /* ... or present? */
    STAGE_LOOK,       /* what is there? */
    STAGE_CLOCK,      /* the clock key is not there: made */
    STAGE_UNDER_CAS,  /* the write, under what was seen */
    STAGE_FRESH       /* the same where nothing was */
};

void kvi_mc_write_plan(const kivi_write_item *item, mc_item *own);
bool kvi_mc_write_queue(mc_server *server, uint32_t index);
bool kvi_mc_write_reply(mc_server *server, mc_reply reply, uint32_t index, const mc_line *line,
                        kivi_slice value);
/* Whether the write needs to know the item's very second. */
bool kvi_mc_write_keeps(const kivi_write_item *item);
/* The store's own key. */
bool kvi_mc_is_clock(kivi_slice key);

/* ---- scan.c ---- */

kivi_status kvi_mc_scan_begin(mc_server *server, kivi_error **error);
/* A line of the dump; `last`: it ends with it. */
kivi_status kvi_mc_scan_line(mc_server *server, kivi_slice text, bool *last, kivi_error **error);
kivi_status kvi_mc_scan_pair(mc_server *server, const mc_line *line, kivi_slice value, kivi_error **error);
kivi_status kvi_mc_scan_end(mc_server *server, kivi_error **error);
/* A page that failed, if there is one, is over. */
void kvi_mc_scan_drop(mc_session *session);

/* ---- session.c ---- */

kivi_status kvi_mc_session_open(mc_instance *instance, mc_session **session, kivi_error **error);
void kvi_mc_session_close(mc_session *session);
void kvi_mc_session_abandon(mc_session *session, bool in_verb);
kivi_status kvi_mc_session_read(mc_session *session, kivi_read_vector *vector, kivi_error **error);
kivi_status kvi_mc_session_write(mc_session *session, kivi_write_vector *vector, kivi_error **error);
kivi_status kvi_mc_session_scan(mc_session *session, const kivi_scan_range *range,
                                kivi_scan_sink *sink, kivi_error **error);
kivi_status kvi_mc_session_health(mc_session *session, kivi_error **error); /* of every server */

#endif
