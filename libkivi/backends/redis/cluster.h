/* Redis Cluster: which node has which slot, sessions of a connection a node, and items that nodes send elsewhere. */
#ifndef KVI_REDIS_CLUSTER_H
#define KVI_REDIS_CLUSTER_H

#include "members.h"
#include "redis.h"

#include <pthread.h>

#define SLOTS 16384
#define NODES_MOST 1024      /* that a store knows at a time */
#define NODE_NONE UINT16_MAX /* nobody has the slot */
#define HOST_MOST 255

/* The slot of a key: of what stands between its first { and the next }, where that is not empty. (cluster_hash.c) */
uint16_t kvi_cluster_slot(kivi_slice key);

/* Whether all keys that begin so are in one slot. */
bool kvi_cluster_has_tag(kivi_slice prefix);

/* ---- What CLUSTER SLOTS says (cluster_slots.c) ---- */

typedef struct cluster_named {
    char host[HOST_MOST + 1];
    uint16_t port;
    uint64_t id;       /* a hash of its name in the cluster */
    uint16_t primary;  /* of the draft, whose replica it is; NODE_NONE: it is a primary */
    uint16_t replicas; /* how many it has */
} cluster_named;

/* A map as it is read. Zeroed but for `asked`: at the beginning of an answer. */
typedef struct cluster_draft {
    const char *asked;     /* the host that was asked: that of nodes which name none */
    uint16_t owner[SLOTS]; /* 1 + place in `nodes`; 0: nobody */
    cluster_named *nodes;
    size_t count, room;
    /* where it is in the answer */
    int64_t first, last;  /* of the range */
    uint32_t field, node; /* of the range, of the node */
    uint16_t primary;     /* of the range; NODE_NONE: not read yet */
    cluster_named read;   /* the node being read */
    bool left_out;        /* it has no address */
} cluster_draft;

/* OK, NO_MEMORY, or CORRUPT: it is none that CLUSTER SLOTS gives. */
kivi_status kvi_draft_take(cluster_draft *draft, const kvi_resp_token *token);
void kvi_draft_free(cluster_draft *draft); /* and the draft */

/* ---- What sessions of a store share (cluster_map.c) ---- */

typedef struct cluster_node {
    kvi_net_target target;
    char *host, *port;
    uint64_t id;    /* as of cluster_named; 0: not known */
    bool in_use;    /* in the map, or a node named it since */
    size_t holders; /* sessions that have a connection to it: the entry is not given to another */
    _Atomic uint64_t server; /* a hash of its run id, as its last login told */
} cluster_node;

typedef struct redis_cluster {
    kvi_endpoint *endpoint; /* the seeds: the first nodes, always there */
    kvi_members_rules rules;
    bool reads_replicas;
    pthread_mutex_t lock; /* of what follows but atomics */
    cluster_node *nodes[NODES_MOST];
    _Atomic size_t count;
    uint64_t turn; /* which replica of a node is read */
    _Atomic uint64_t away_until[NODES_MOST];
    _Atomic uint16_t owner[SLOTS], reader[SLOTS]; /* places in `nodes`; NODE_NONE */
    _Atomic uint32_t generation;                  /* of the map; 0: there is none yet */
    _Atomic bool stale, being_read;
    _Atomic uint64_t read_ns; /* when the map was read last */
    _Atomic uint64_t identity;
    _Atomic bool evicts, not_durable; /* some node does, or is not */
} redis_cluster;

/* NULL without memory. `endpoint` outlives it. */
redis_cluster *kvi_cluster_new(kvi_endpoint *endpoint, bool reads_replicas);
void kvi_cluster_free(redis_cluster *cluster);
/* The node at an address, a new one where none is; NODE_NONE: no memory, or too many nodes. */
uint16_t kvi_cluster_node_at(redis_cluster *cluster, const char *host, uint16_t port);
/* A node that has no slots yet, and so is in no map, has that name and that address. */
void kvi_cluster_add_named(redis_cluster *cluster, const cluster_named *named);
/* The place of the node of that name; NODE_NONE. */
uint16_t kvi_cluster_node_named(redis_cluster *cluster, uint64_t id);
/* The place of the node whose server is that one; NODE_NONE. */
uint16_t kvi_cluster_node_of(redis_cluster *cluster, uint64_t server);
/* A session has a connection to a node, or no more. */
cluster_node *kvi_cluster_hold(redis_cluster *cluster, uint16_t place);
void kvi_cluster_release(redis_cluster *cluster, uint16_t place);
/* Whether sessions still want the node. */
bool kvi_cluster_wants(redis_cluster *cluster, uint16_t place);
/* The draft is the map from now on. NO_MEMORY. */
kivi_status kvi_cluster_install(redis_cluster *cluster, const cluster_draft *draft, kivi_error **error);
/* One node says that another has the slot. */
void kvi_cluster_moved(redis_cluster *cluster, uint16_t slot, uint16_t place);
static inline void kvi_cluster_suspect(redis_cluster *cluster)
{
    atomic_store_explicit(&cluster->stale, true, memory_order_relaxed);
}
static inline uint16_t kvi_cluster_owner(const redis_cluster *cluster, uint16_t slot)
{
    return atomic_load_explicit(&cluster->owner[slot], memory_order_relaxed);
}
static inline bool kvi_cluster_has_map(const redis_cluster *cluster)
{
    return atomic_load_explicit(&cluster->generation, memory_order_acquire) != 0;
}
/* Whether this session is to read the map now: there is none, or it is stale, nobody else reads it, and it was not read just
 * before. Who is told so says when it has ended. */
bool kvi_cluster_begin_reading(redis_cluster *cluster);
void kvi_cluster_end_reading(redis_cluster *cluster);

/* ---- How far a scan is (cluster_walk.c) ---- */

typedef struct slot_set {
    uint8_t bits[SLOTS / 8];
} slot_set;

static inline bool slots_have(const slot_set *set, uint32_t slot)
{
    return set->bits[slot / 8] >> slot % 8 & 1;
}
static inline void slots_add(slot_set *set, uint32_t slot)
{
    set->bits[slot / 8] |= (uint8_t)(1u << slot % 8);
}
static inline void slots_remove(slot_set *set, uint32_t slot)
{
    set->bits[slot / 8] &= (uint8_t) ~(1u << slot % 8);
}

#define LEAVING_MOST 64

/* A slot whose keys were going to another node while its own was walked: what had gone is there. */
typedef struct slot_leaving {
    uint16_t slot;
    uint64_t target; /* the other node's id */
} slot_leaving;

/* Between pages it is the cursor. */
typedef struct cluster_walk {
    slot_set done;
    slot_set begun;  /* of the node that is walked now */
    uint64_t server; /* that node's, hashed; 0: none yet */
    bool inside;     /* `inner` says where in it */
    bool goes_on;    /* the page that ends now is not the node's last */
    bool delivered;  /* the page has something */
    redis_position inner;
    slot_leaving leaving[LEAVING_MOST];
    size_t leaving_count;
} cluster_walk;

/* False: no cursor of a cluster. Empty: the beginning. */
bool kvi_walk_read(cluster_walk *walk, kivi_slice cursor);
/* Returns its size. */
#define WALK_MOST (2 * (SLOTS + 1) + 80 + 12 * LEAVING_MOST)
size_t kvi_walk_write(const cluster_walk *walk, uint8_t to[WALK_MOST]);
/* The first slot that is not done; SLOTS: none is left. */
uint32_t kvi_walk_first(const cluster_walk *walk);

/* The slot that is looked for next. */
uint32_t kvi_walk_next(const cluster_walk *walk);

/* What a node says of itself in CLUSTER NODES: the slots that it has, and those that are leaving it, as far as they matter. */
typedef struct cluster_own {
    slot_set has;
    slot_leaving leaving[LEAVING_MOST];
    size_t leaving_count;
    uint64_t id;
} cluster_own;

/* `done`: slots of which it does not matter whether they leave. False: no answer of CLUSTER NODES. */
bool kvi_own_read(cluster_own *own, const slot_set *done, kivi_slice text);
/* The address of another node in that answer; `by_name`: its host name, where it has one. False: it has none, or is not there. */
bool kvi_own_find(cluster_named *named, uint64_t id, bool by_name, kivi_slice text);
/* Keys of the slot were passed over at this node: it is not done by walking it. */
void kvi_walk_lose(cluster_walk *walk, uint16_t slot);
/* The node is walked to its end: what is done by that. */
void kvi_walk_end_node(cluster_walk *walk, const cluster_own *own);

/* ---- A session (cluster_session.c) ---- */

typedef enum cluster_phase {
    PHASE_IDLE = 0,
    PHASE_MAP, /* reads the map first */
    PHASE_ITEMS,
    PHASE_PAGE,
    PHASE_OWN, /* the node was walked to its end: what does it say of itself? */
    PHASE_HEALTH
} cluster_phase;

/* Where an item is asked next. */
typedef struct cluster_turn {
    uint16_t place; /* NODE_NONE: where the map says */
    bool asks;      /* ASKING goes before each of its commands */
} cluster_turn;

typedef struct cluster_session {
    redis_instance *instance;
    redis_cluster *cluster;
    kvi_members members;
    redis_session **nodes; /* by place; NULL: no connection yet */
    size_t node_room;
    uint32_t generation; /* of the map that `nodes` were looked through for */
    redis_job job;
    cluster_phase phase;
    uint32_t rounds;
    /* reading the map */
    bool reads_map;
    uint32_t tried; /* candidates so far */
    uint16_t asked;
    cluster_draft *draft;
    /* of each item */
    cluster_turn *turns, *now;
    size_t turn_room;
    bool turned; /* some item has another turn */
    /* a scan */
    cluster_walk walk;
    cluster_own own;
    uint16_t walked;
} cluster_session;

kivi_status kvi_cluster_session_open(redis_instance *instance, cluster_session **session,
                                     kivi_error **error);
void kvi_cluster_session_close(cluster_session *session);
void kvi_cluster_session_abandon(cluster_session *session, bool in_verb);
kivi_status kvi_cluster_session_begin(cluster_session *session, const redis_job *job, kivi_error **error);
kivi_status kvi_cluster_session_step(cluster_session *session, uint32_t revents, kivi_poll *poll,
                                     kivi_error **error);

/* ---- Its connections (cluster_nodes.c) ---- */

/* A connection to the node, in `nodes` and `members`. */
kivi_status kvi_cluster_open_node(cluster_session *session, uint16_t place, kivi_error **error);
void kvi_cluster_close_node(cluster_session *session, uint16_t place);
/* Connections to nodes that are not in the map any more are closed. */
void kvi_cluster_look_through(cluster_session *session);

/* ---- Items (cluster_items.c) ---- */

/* "10.0.0.1:6381": the port is behind the last colon, the host may be empty. (cluster_turns.c) */
bool kvi_cluster_read_address(kivi_slice text, cluster_named *named);

static inline bool is_pending(const redis_job *job, size_t index)
{
    return job->reads ? read_item(job->reads, index)->status == KIVI_PENDING
                      : write_item(job->writes, index)->status == KIVI_PENDING;
}
/* Begins a round over the items that are still pending. */
kivi_status kvi_cluster_begin_items(cluster_session *session, kivi_error **error);
/* The round is over: PENDING where another one is to begin. */
kivi_status kvi_cluster_end_items(cluster_session *session);

/* ---- Scans (cluster_scan.c) ---- */

kivi_status kvi_cluster_begin_scan(cluster_session *session, kivi_error **error);
kivi_status kvi_cluster_begin_page(cluster_session *session, kivi_error **error);
/* The page's commands are answered. PENDING: PHASE_OWN is next. */
kivi_status kvi_cluster_end_page(cluster_session *session, kivi_error **error);
kivi_status kvi_cluster_end_node(cluster_session *session, kivi_error **error);

#endif
