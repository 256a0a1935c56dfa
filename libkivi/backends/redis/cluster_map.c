/* Which node has which slot, as all sessions of a store know it; and the nodes, which come and go. */
#include "cluster.h"

#include <stdio.h>
#include <stdlib.h>

#define READ_NS \
    UINT64_C(200000000) /* a map is read again after so long, however many nodes say that it is wrong */
#define AGE_NS \
    UINT64_C(5000000000) /* and where replicas are read, who come unnoticed, after so long anyway */
#define RETRY_NS UINT64_C(1000000000) /* who refused, or said nothing, is left alone for so long */

/* ---- Nodes: with the lock held ---- */

static void clear_node(cluster_node *node)
{
    kvi_net_tls_free(node->target.tls);
    free(node->host);
    free(node->port);
    *node = (cluster_node){.id = 0};
}

static bool fill_node(const redis_cluster *cluster, cluster_node *node, const char *host, const char *port)
{
    const kvi_net_target *like = &cluster->endpoint->targets[0];

    node->host = strdup(host);
    node->port = strdup(port);
    if (like->tls)
        node->target.tls = kvi_net_tls_for(like->tls, host);
    if (!node->host || !node->port || (like->tls && !node->target.tls)) {
        clear_node(node);
        return false;
    }
    node->target.place = (kvi_place){.core = like->place.core,
                                     .host = node->host,
                                     .port = node->port,
                                     .attempt_ms = like->place.attempt_ms};
    return true;
}

/* An entry for a new node: one that nobody wants any more, or the next. */
static uint16_t find_room(redis_cluster *cluster)
{
    size_t count = atomic_load_explicit(&cluster->count, memory_order_relaxed);

    for (size_t i = cluster->endpoint->count; i < count; i++)
        if (!cluster->nodes[i]->in_use && cluster->nodes[i]->holders == 0)
            return (uint16_t)i;
    if (count == NODES_MOST)
        return NODE_NONE;
    if (!cluster->nodes[count])
        cluster->nodes[count] = calloc(1, sizeof(*cluster->nodes[count]));
    return cluster->nodes[count] ? (uint16_t)count : NODE_NONE;
}

static uint16_t add_node(redis_cluster *cluster, const char *host, const char *port)
{
    uint16_t place = find_room(cluster);

    if (place == NODE_NONE)
        return NODE_NONE;
    clear_node(cluster->nodes[place]);
    if (!fill_node(cluster, cluster->nodes[place], host, port))
        return NODE_NONE;
    atomic_store_explicit(&cluster->away_until[place], 0, memory_order_relaxed);
    if (place == atomic_load_explicit(&cluster->count, memory_order_relaxed))
        atomic_store_explicit(&cluster->count, (size_t)place + 1, memory_order_release);
    return place;
}

static uint16_t node_at(redis_cluster *cluster, const char *host, uint16_t port)
{
    size_t count = atomic_load_explicit(&cluster->count, memory_order_relaxed);
    char digits[8];

    snprintf(digits, sizeof(digits), "%u", (unsigned)port);
    for (size_t i = 0; i < count; i++) {
        const cluster_node *node = cluster->nodes[i];
        if (node->host && strcmp(node->host, host) == 0 && strcmp(node->port, digits) == 0)
            return (uint16_t)i;
    }
    return add_node(cluster, host, digits);
}

/* ---- Nodes ---- */

uint16_t kvi_cluster_node_at(redis_cluster *cluster, const char *host, uint16_t port)
{
    uint16_t place;

    pthread_mutex_lock(&cluster->lock);
    place = node_at(cluster, host, port);
    if (place != NODE_NONE)
        cluster->nodes[place]->in_use = true; /* until the next map, which need not name it */
    pthread_mutex_unlock(&cluster->lock);
    return place;
}

void kvi_cluster_add_named(redis_cluster *cluster, const cluster_named *named)
{
    uint16_t place;

    pthread_mutex_lock(&cluster->lock);
    place = node_at(cluster, named->host, named->port);
    if (place != NODE_NONE) {
        cluster->nodes[place]->in_use = true;
        cluster->nodes[place]->id = named->id;
    }
    pthread_mutex_unlock(&cluster->lock);
}

static bool is_named(const cluster_node *node, uint64_t id)
{
    return node->id == id;
}

static bool is_server(const cluster_node *node, uint64_t server)
{
    return node->in_use && atomic_load_explicit(&node->server, memory_order_relaxed) == server;
}

/* 0 is of nobody. */
static uint16_t find_node(redis_cluster *cluster,
                          bool (*is)(const cluster_node *node, uint64_t hash), uint64_t hash)
{
    uint16_t place = NODE_NONE;

    pthread_mutex_lock(&cluster->lock);
    size_t count = atomic_load_explicit(&cluster->count, memory_order_relaxed);
    for (size_t i = 0; i < count && hash && place == NODE_NONE; i++)
        if (is(cluster->nodes[i], hash))
            place = (uint16_t)i;
    pthread_mutex_unlock(&cluster->lock);
    return place;
}

uint16_t kvi_cluster_node_named(redis_cluster *cluster, uint64_t id)
{
    return find_node(cluster, is_named, id);
}

uint16_t kvi_cluster_node_of(redis_cluster *cluster, uint64_t server)
{
    return find_node(cluster, is_server, server);
}

cluster_node *kvi_cluster_hold(redis_cluster *cluster, uint16_t place)
{
    pthread_mutex_lock(&cluster->lock);
    cluster->nodes[place]->holders++;
    pthread_mutex_unlock(&cluster->lock);
    return cluster->nodes[place];
}

void kvi_cluster_release(redis_cluster *cluster, uint16_t place)
{
    pthread_mutex_lock(&cluster->lock);
    cluster->nodes[place]->holders--;
    pthread_mutex_unlock(&cluster->lock);
}

bool kvi_cluster_wants(redis_cluster *cluster, uint16_t place)
{
    bool wants;

    pthread_mutex_lock(&cluster->lock);
    wants = cluster->nodes[place]->in_use;
    pthread_mutex_unlock(&cluster->lock);
    return wants;
}

/* ---- The map ---- */

/* Of each node of the draft, its entry here. */
static void take_nodes(redis_cluster *cluster, const cluster_draft *draft, uint16_t *places)
{
    size_t count = atomic_load_explicit(&cluster->count, memory_order_relaxed);
    uint64_t identity = 0;

    for (size_t i = 0; i < count; i++)
        cluster->nodes[i]->in_use = false;
    for (size_t i = 0; i < draft->count; i++) {
        const cluster_named *named = &draft->nodes[i];
        places[i] = node_at(cluster, named->host, named->port);
        if (places[i] == NODE_NONE)
            continue;
        cluster->nodes[places[i]]->in_use = true;
        cluster->nodes[places[i]]->id = named->id;
        if (named->id && (!identity || named->id < identity))
            identity = named->id;
    }
    atomic_store_explicit(&cluster->identity, identity, memory_order_relaxed);
}

/* Who is read instead of a primary: its replicas in turn, itself where it has none. */
static uint16_t choose_reader(const redis_cluster *cluster, const cluster_draft *draft, uint16_t primary)
{
    const cluster_named *named = &draft->nodes[primary];
    uint64_t left = named->replicas ? cluster->turn % named->replicas : 0;

    if (!cluster->reads_replicas || !named->replicas)
        return primary;
    for (size_t i = 0; i < draft->count; i++)
        if (draft->nodes[i].primary == primary && left-- == 0)
            return (uint16_t)i;
    return primary;
}

static void take_slots(redis_cluster *cluster, const cluster_draft *draft, const uint16_t *places)
{
    uint16_t primary = NODE_NONE, reader = NODE_NONE;

    cluster->turn++;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        uint16_t owner = (uint16_t)(draft->owner[slot] - 1); /* 0 becomes NODE_NONE */
        if (owner != NODE_NONE && owner != primary) {
            primary = owner;
            reader = choose_reader(cluster, draft, primary);
        }
        atomic_store_explicit(&cluster->owner[slot], owner == NODE_NONE ? NODE_NONE : places[owner],
                              memory_order_relaxed);
        atomic_store_explicit(&cluster->reader[slot],
                              owner == NODE_NONE ? NODE_NONE : places[reader], memory_order_relaxed);
    }
}

kivi_status kvi_cluster_install(redis_cluster *cluster, const cluster_draft *draft, kivi_error **error)
{
    uint16_t *places = malloc((draft->count ? draft->count : 1) * sizeof(*places));

    if (!places)
        return kvi_redis_no_memory(error);
    pthread_mutex_lock(&cluster->lock);
    take_nodes(cluster, draft, places);
    take_slots(cluster, draft, places);
    atomic_store_explicit(&cluster->stale, false, memory_order_relaxed);
    atomic_store_explicit(&cluster->read_ns, kvi_redis_host->monotonic_ns(), memory_order_relaxed);
    atomic_fetch_add_explicit(&cluster->generation, 1, memory_order_release);
    pthread_mutex_unlock(&cluster->lock);
    free(places);
    return KIVI_OK;
}

void kvi_cluster_moved(redis_cluster *cluster, uint16_t slot, uint16_t place)
{
    atomic_store_explicit(&cluster->owner[slot], place, memory_order_relaxed);
    atomic_store_explicit(&cluster->reader[slot], place, memory_order_relaxed);
    kvi_cluster_suspect(cluster);
}

bool kvi_cluster_begin_reading(redis_cluster *cluster)
{
    bool stale = atomic_load_explicit(&cluster->stale, memory_order_relaxed), expected = false;
    uint64_t age;

    if (!kvi_cluster_has_map(cluster))
        return true;
    if (!stale && !cluster->reads_replicas)
        return false;
    age = kvi_redis_host->monotonic_ns() - atomic_load_explicit(&cluster->read_ns, memory_order_relaxed);
    if (age < (stale ? READ_NS : AGE_NS))
        return false;
    return atomic_compare_exchange_strong(&cluster->being_read, &expected, true);
}

/* Also where it failed: the next try waits as long. */
void kvi_cluster_end_reading(redis_cluster *cluster)
{
    atomic_store_explicit(&cluster->read_ns, kvi_redis_host->monotonic_ns(), memory_order_relaxed);
    atomic_store(&cluster->being_read, false);
}

/* ---- Logins ---- */

void kvi_cluster_logged_in(redis_session *node)
{
    redis_cluster *cluster = node->cluster->cluster;

    atomic_store_explicit(&cluster->nodes[node->place]->server, node->login.server, memory_order_relaxed);
}

/* A store drops keys where one of its nodes does, and is durable where all are. Which store it is, its map says. */
void kvi_cluster_learn(const redis_session *node, kivi_learned *learned)
{
    redis_cluster *cluster = node->cluster->cluster;

    if (learned->fields & KIVI_LEARNED_EVICTS && learned->evicts)
        atomic_store_explicit(&cluster->evicts, true, memory_order_relaxed);
    if (!(learned->fields & KIVI_LEARNED_DURABLE) || !learned->durable)
        atomic_store_explicit(&cluster->not_durable, true, memory_order_relaxed);
    learned->fields &= (uint32_t)~KIVI_LEARNED_IDENTITY;
    learned->evicts = atomic_load_explicit(&cluster->evicts, memory_order_relaxed);
    learned->durable = !atomic_load_explicit(&cluster->not_durable, memory_order_relaxed);
    learned->identity = atomic_load_explicit(&cluster->identity, memory_order_relaxed);
    if (learned->identity)
        learned->fields |= KIVI_LEARNED_IDENTITY;
}

/* ---- Beginning and end ---- */

redis_cluster *kvi_cluster_new(kvi_endpoint *endpoint, bool reads_replicas)
{
    redis_cluster *cluster = calloc(1, sizeof(*cluster));

    if (!cluster)
        return NULL;
    pthread_mutex_init(&cluster->lock, NULL);
    cluster->endpoint = endpoint;
    cluster->reads_replicas = reads_replicas;
    cluster->rules = (kvi_members_rules){.core = kvi_redis_host,
                                         .comes_and_goes = true,
                                         .away_until = cluster->away_until,
                                         .silence_ns = endpoint->server_timeout_ns,
                                         .retry_ns = RETRY_NS};
    for (size_t i = 0; i < SLOTS; i++)
        cluster->owner[i] = cluster->reader[i] = NODE_NONE;
    for (size_t i = 0; i < endpoint->count; i++) {
        const kvi_place *place = &endpoint->targets[i].place;
        uint16_t at = NODE_NONE;
        if (i < NODES_MOST)
            cluster->nodes[i] = calloc(1, sizeof(*cluster->nodes[i]));
        if (i < NODES_MOST && cluster->nodes[i] &&
            fill_node(cluster, cluster->nodes[i], place->host, place->port))
            at = (uint16_t)i;
        if (at == NODE_NONE) {
            kvi_cluster_free(cluster);
            return NULL;
        }
        cluster->count = i + 1;
    }
    return cluster;
}

void kvi_cluster_free(redis_cluster *cluster)
{
    if (!cluster)
        return;
    for (size_t i = 0; i < NODES_MOST && cluster->nodes[i]; i++) {
        clear_node(cluster->nodes[i]);
        free(cluster->nodes[i]);
    }
    pthread_mutex_destroy(&cluster->lock);
    free(cluster);
}
