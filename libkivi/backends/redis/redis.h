/* The Redis backend's inside: an instance, its sessions, and what their verbs ask and expect. */
#ifndef KVI_REDIS_H
#define KVI_REDIS_H

#include "endpoint.h"
#include "pipeline.h"
#include "resp.h"

#include <stdatomic.h>

/* All that this backend may call of the core; set before anything else runs. */
extern const kivi_host *kvi_redis_host;

/* ---- settings.c ---- */

typedef struct redis_sentinels redis_sentinels; /* sentinel.h */
typedef struct redis_seek redis_seek;

/* What open() was told. */
typedef struct redis_settings {
    kvi_endpoint endpoint;      /* with sentinels its targets are theirs */
    redis_sentinels *sentinels; /* NULL: none */
    char *client_name;          /* NULL: none */
    int64_t db;
    int protocol; /* 2 or 3 */
} redis_settings;

kivi_status kvi_redis_settings_read(redis_settings *settings, const kivi_config *config,
                                    kivi_error **error);
void kvi_redis_settings_clear(redis_settings *settings); /* wipes secrets */
extern const kivi_option_info kvi_redis_options[];
extern const size_t kvi_redis_option_count;

/* ---- script.c ---- */

typedef enum redis_script {
    SCRIPT_ITEM = 0,      /* one conditional write */
    SCRIPT_ATOMIC = 1,    /* a whole batch: checks all before its first write */
    SCRIPT_TAKE = 2,      /* GETDEL and GETEX for servers without them */
    SCRIPT_INCREMENT = 3, /* adds to a msgpack integer */
    SCRIPT_COUNT
} redis_script;

/* Static text, and its SHA1 in hex. */
kivi_slice kvi_redis_script_text(redis_script script);
const char *kvi_redis_script_name(redis_script script);
/* Works out the names; false: this OpenSSL has no SHA1. Any number of times. */
bool kvi_redis_scripts_prepare(void);

/* ---- An instance ---- */

struct redis_cluster;
struct cluster_session;
struct kvi_member;

typedef struct redis_instance {
    redis_settings settings;
    struct redis_cluster *cluster; /* NULL: a single server */
    void *reporter;
    _Atomic uint32_t version; /* of the server met last: major * 10000 + minor * 100 + patch; 0: none yet */
} redis_instance;

/* ---- Commands in flight ---- */

typedef enum redis_reply {
    REPLY_LOGIN = 0,  /* login.c */
    REPLY_VALUE,      /* string or nil: a value for the item */
    REPLY_VALUES,     /* array of them, for `count` items */
    REPLY_FOUND,      /* 0 or 1: presence of the item */
    REPLY_TTL,        /* time left, which is all that was asked */
    REPLY_TTL_FIRST,  /* time left; the value comes with a later command */
    REPLY_DONE,       /* OK, for a write; nil: its condition (absent or present) did not hold */
    REPLY_DELETED,    /* how many keys went */
    REPLY_TOUCHED,    /* 1, or 0: the key is not there */
    REPLY_EXISTS,     /* 0 or 1: judges a write's condition */
    REPLY_CODE,       /* what SCRIPT_ITEM answers */
    REPLY_CODES,      /* what SCRIPT_ATOMIC answers */
    REPLY_SUM,        /* what SCRIPT_INCREMENT answers */
    REPLY_SCAN,       /* cursor and keys */
    REPLY_KEY_TTL,    /* time left of a key of the page */
    REPLY_KEY_VALUES, /* values of keys of the page */
    REPLY_KEY_VALUE,  /* value of a key of the page, asked for alone */
    REPLY_ASKING,     /* ASKING, before a command that a node of a cluster would else refuse */
    REPLY_ASKED       /* what a node of a cluster is asked that is for no key */
} redis_reply;

/* What is kept of a command in flight; `base.kind` is a redis_reply. */
typedef struct redis_command {
    kvi_command base;
    uint8_t script;         /* redis_script, where `rest` is set */
    bool is_eval;           /* sent with the script's text */
    bool refused;           /* NOSCRIPT: to be sent again */
    uint32_t arguments;     /* of the whole command */
    size_t rest, rest_size; /* a script's arguments in net.out, behind its name; rest_size 0: none */
} redis_command;

typedef enum redis_verb {
    VERB_NONE = 0,
    VERB_READ,
    VERB_WRITE,
    VERB_SCAN,
    VERB_MAP, /* of a cluster's nodes: who has which slot? */
    VERB_OWN, /* what do you have? */
    VERB_HEALTH
} redis_verb;

/* What is to be done; pointers are the core's and live until it is. */
typedef struct redis_job {
    redis_verb verb;
    kivi_read_vector *reads;
    kivi_write_vector *writes;
    const kivi_scan_range *range;
    kivi_scan_sink *sink;
} redis_job;

/* ---- A page of a scan (scan.c) ---- */

typedef struct redis_page_key {
    size_t at, size; /* in page.bytes */
    int64_t ttl_ms;  /* TTL_GONE: it is not there any more */
    bool asks; /* of a cluster: it lies at a node that has not got its slot, and is asked for behind ASKING */
} redis_page_key;

/* Where a page begins: a SCAN, and how many of its keys were delivered before. */
typedef struct redis_position {
    uint64_t cursor, count, skip;
    uint64_t print;  /* of the keys skipped, in their order */
    uint32_t barren; /* SCANs in a row, before this one, that found nothing */
} redis_position;

typedef struct redis_page {
    redis_position position; /* of the SCAN in flight, or of the keys below */
    uint64_t next;           /* the cursor that it answered; 0: the scan is over */
    uint32_t rounds;
    bool complete; /* the sink wants no more */
    uint8_t *bytes;
    size_t size, room;
    redis_page_key *keys;
    size_t key_count, key_room;
    size_t first, last; /* keys to deliver: [first, last) */
    size_t delivered;   /* keys up to here are done with */
} redis_page;

#define TTL_GONE INT64_MIN

/* ---- What servers refuse (reply.c) ---- */

/* What an error reply means. */
typedef struct redis_refusal {
    kivi_status status;
    kivi_retryable retryable;
    const char *text; /* static: what the server wrote may hold keys and values */
    bool condemns;    /* the connection is of no more use */
    bool is_noscript;
    const char *code; /* static: its first word is the server's; NULL: one that is not known */
} redis_refusal;

/* ---- A session ---- */

typedef enum redis_role { ROLE_UNKNOWN = 0, ROLE_PRIMARY, ROLE_REPLICA } redis_role;

/* What the server said of itself, and why it refused (login.c). */
typedef struct redis_login {
    redis_role role;
    bool plain;     /* without HELLO */
    int protocol;   /* asked for */
    uint32_t field; /* of HELLO's answer: which value comes next */
    bool is_cluster, is_sentinel;
    bool knows_memory, has_limit, drops; /* its settings, where it tells them */
    bool knows_disk, logs, syncs;
    uint32_t version;
    uint64_t server;  /* a hash of its run id; 0: it does not tell */
    bool no_hello;    /* the server does not know HELLO */
    bool no_protocol; /* it does not know the protocol */
    bool refused;     /* `refusal` is there: the first one */
    redis_refusal refusal;
} redis_login;

typedef struct redis_session {
    redis_instance *instance;
    redis_seek *seek; /* asks sentinels; NULL: there are none */
    kvi_pipeline pipeline;
    kvi_resp resp;
    redis_login login;
    bool has_keep;  /* SET KEEPTTL (6.0) */
    bool has_getex; /* GETEX and GETDEL (6.2) */
    redis_job job;
    uint32_t element; /* of the array reply being read */
    bool redo;        /* some are to be sent again */
    /* items of the vector, as commands name them; where each item's key lies in net.out */
    uint32_t *order;
    size_t *places;
    size_t order_room, order_count;
    uint32_t *again; /* items whose value must be asked for alone */
    size_t again_count;
    redis_page page;
    /* of a cluster's node */
    struct cluster_session *cluster; /* NULL: a single server */
    const struct kvi_member *member; /* which items are its own */
    uint16_t place;
} redis_session;

static inline redis_command *command_at(const redis_session *session, size_t index)
{
    return kvi_pipeline_command(&session->pipeline, index);
}

/* The item of a vector at a place: items may be longer than this backend knows. */
static inline kivi_read_item *read_item(const kivi_read_vector *vector, size_t index)
{
    return (kivi_read_item *)((char *)vector->items + index * vector->item_size);
}

static inline kivi_write_item *write_item(const kivi_write_vector *vector, size_t index)
{
    return (kivi_write_item *)((char *)vector->items + index * vector->item_size);
}

/* ---- command.c ---- */

/* Room for the session's lists of items; false without memory. */
bool kvi_redis_more_room(redis_session *session, size_t count);
static inline bool kvi_redis_room_for_items(redis_session *session, size_t count)
{
    return count <= session->order_room || kvi_redis_more_room(session, count);
}
/* How many items of a vector are the session's, and which they are. */
size_t kvi_redis_own_count(const redis_session *session, size_t count);
uint32_t kvi_redis_own_item(const redis_session *session, size_t at);
/*
 * A command is begun with the number of its arguments and the most bytes that they can take, put together
 * at the pointer, and ended with the pointer behind it. NULL: no memory.
 */
uint8_t *kvi_redis_begin(redis_session *session, redis_reply reply, uint32_t item, uint32_t count,
                         uint32_t arguments, size_t most);
void kvi_redis_end(redis_session *session, uint8_t *at);
/* Arguments at `at`; the pointer behind them is answered. An argument takes its size and KVI_REDIS_ARGUMENT. */
#define KVI_REDIS_ARGUMENT 32
uint8_t *kvi_redis_put(uint8_t *at, kivi_slice argument);
uint8_t *kvi_redis_put_count(uint8_t *at, size_t count); /* of a command's arguments, which follow */
uint8_t *kvi_redis_put_size(uint8_t *at, size_t size);   /* of an argument whose bytes follow */
uint8_t *kvi_redis_put_text(uint8_t *at, const char *argument);
uint8_t *kvi_redis_put_number(uint8_t *at, int64_t number);
uint8_t *kvi_redis_put_unsigned(uint8_t *at, uint64_t number);
/* A script's name, and from here on what is sent again where the server does not know it. */
uint8_t *kvi_redis_put_script(redis_session *session, uint8_t *at, redis_script script);
/* The server does not know the command's script: it is sent again. False: it was sent with its text. */
bool kvi_redis_refuse_script(redis_session *session, redis_command *command);
/* Queues the refused commands again, each script once with its text. False without memory. */
bool kvi_redis_repeat(redis_session *session);

/* ---- reply.c ---- */

redis_refusal kvi_redis_judge(kivi_slice text);
/* The failure as an error. */
kivi_error *kvi_redis_refused(const redis_refusal *refusal);
/* The same for an item or a login; also where the session is to be closed for it. */
kivi_error *kvi_redis_refusal_error(redis_session *session, const redis_refusal *refusal);
/*
 * A server that became a replica did nothing. With sentinels the item is sent again within the call, to the primary of now. So
 * it is with what a cluster does not do just now (CLUSTERDOWN, TRYAGAIN).
 */
void kvi_redis_take_back(const redis_session *session, const redis_refusal *refusal, int32_t *sent);
#define KVI_REDIS_BREACH                                                                  \
    "the server's answer is not one that this command can have: no Redis, or bytes were " \
    "lost on the way"
/* The next token of what has come, as kvi_resp_next(); bytes that are no RESP are a breach. */
kivi_status kvi_redis_token(kvi_resp *resp, const uint8_t *bytes, size_t size, kvi_portion *portion,
                            kvi_resp_token *token, kivi_error **error);
/* A reply that the command cannot have: *error is set. The stream is not to be trusted any more. */
kivi_status kvi_redis_breach(redis_session *session, kivi_error **error);
kivi_status kvi_redis_no_memory(kivi_error **error);

/* ---- login.c ---- */

kivi_status kvi_redis_login_begin(redis_session *session, kivi_error **error);
kivi_status kvi_redis_login_reply(redis_session *session, const redis_command *command,
                                  const kvi_resp_token *token, kivi_error **error);
/* All replies are there. OK: logged in; PENDING: another round; or why not. */
kivi_status kvi_redis_login_end(redis_session *session, kivi_error **error);

/*
 * ---- read.c, write.c, scan.c ----
 * begin queues the first commands; reply takes one token of the reply to a command; end, when all replies
 * are there, answers OK, or PENDING where it queued another round.
 */
kivi_status kvi_redis_read_begin(redis_session *session, kivi_error **error);
kivi_status kvi_redis_read_reply(redis_session *session, redis_command *command,
                                 const kvi_resp_token *token, kivi_error **error);
kivi_status kvi_redis_read_end(redis_session *session, kivi_error **error);
kivi_status kvi_redis_write_begin(redis_session *session, kivi_error **error);
kivi_status kvi_redis_write_reply(redis_session *session, redis_command *command,
                                  const kvi_resp_token *token, kivi_error **error);
kivi_status kvi_redis_write_end(redis_session *session, kivi_error **error);
kivi_status kvi_redis_scan_begin(redis_session *session, kivi_error **error);
kivi_status kvi_redis_scan_reply(redis_session *session, redis_command *command,
                                 const kvi_resp_token *token, kivi_error **error);
kivi_status kvi_redis_scan_end(redis_session *session, kivi_error **error);

/* ---- session.c ---- */

/* A session of one node of a cluster, its fields for that zero. */
kivi_status kvi_redis_node_open(redis_instance *instance, const kvi_net_target *target,
                                redis_session **session, kivi_error **error);
kivi_status kvi_redis_session_open(redis_instance *instance, redis_session **session, kivi_error **error);
void kvi_redis_session_close(redis_session *session);
void kvi_redis_session_abandon(redis_session *session, bool in_verb);
kivi_status kvi_redis_session_begin(redis_session *session, const redis_job *job, kivi_error **error);
kivi_status kvi_redis_session_step(redis_session *session, uint32_t revents, kivi_poll *poll,
                                   kivi_error **error);

/* ---- cluster_turns.c, cluster_page.c, cluster_map.c, cluster_questions.c: for sessions of a cluster's nodes; of a single server they say no ---- */

/* The error is a node's that sends the command's items elsewhere, and they will be asked again: they stay pending. */
bool kvi_cluster_turns(redis_session *node, const redis_command *command, kivi_slice text);
bool kvi_cluster_has_turned(const redis_session *node, uint32_t item);
/* Whether commands of the item, or of the key of a page, need ASKING before them. */
bool kvi_cluster_asks(const redis_session *node, redis_reply reply, uint32_t item);
/* A key that SCAN gave lies at the node while its slot is another's. */
bool kvi_cluster_is_stranger(const redis_session *node, kivi_slice key);
/* A key that is no stranger was MOVED: its slot is not done by this walk. */
void kvi_cluster_lost_key(redis_session *node, kivi_slice key);
/* Where the page begins, and where the next one does. */
redis_position kvi_cluster_position(redis_session *node);
kivi_status kvi_cluster_give_cursor(redis_session *node, const redis_position *position);
/* The page has a pair. */
void kvi_cluster_delivered(redis_session *node);
/* The login of a node is done: what it said of itself. */
void kvi_cluster_logged_in(redis_session *node);
/* What all nodes have in common, of what one told. */
void kvi_cluster_learn(const redis_session *node, kivi_learned *learned);
/* The verbs of a node that are for no key. */
kivi_status kvi_cluster_question_begin(redis_session *node, kivi_error **error);
kivi_status kvi_cluster_question_reply(redis_session *node, const kvi_resp_token *token,
                                       kivi_error **error);

#endif
