/* Which server of a ring a key is on: libmemcached's own places, so that its clients and we find each other's keys. */
#include "memcached.h"

#include <libmemcached/memcached.h>
#include <stdio.h>
#include <stdlib.h>

#define WEIGHT_MOST 1000

struct mc_ring {
    memcached_st *places; /* opens no socket and asks for no name */
};

static kivi_status refuse(const char *words, kivi_error **error)
{
    return kvi_option_refuse(kvi_mc_host, KIVI_INVALID, words, error);
}

static bool set_distribution(memcached_st *places, const char *name)
{
    static const struct {
        const char *name;
        memcached_behavior_t behavior;
        uint64_t data;
    } rows[] = {
        {"modula", MEMCACHED_BEHAVIOR_DISTRIBUTION, MEMCACHED_DISTRIBUTION_MODULA},
        {"consistent", MEMCACHED_BEHAVIOR_DISTRIBUTION, MEMCACHED_DISTRIBUTION_CONSISTENT},
        {"ketama", MEMCACHED_BEHAVIOR_KETAMA, 1},
        {"weighted", MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(name, rows[i].name) == 0)
            return memcached_behavior_set(places, rows[i].behavior, rows[i].data) == MEMCACHED_SUCCESS;
    return false;
}

/* Set only where it is not libmemcached's default: "weighted" and "ketama" bring one of their own. */
static bool set_hash(memcached_st *places, const char *name)
{
    static const struct {
        const char *name;
        memcached_hash_t hash;
    } rows[] = {
        {"md5", MEMCACHED_HASH_MD5},         {"crc", MEMCACHED_HASH_CRC},
        {"fnv1_64", MEMCACHED_HASH_FNV1_64}, {"fnv1a_64", MEMCACHED_HASH_FNV1A_64},
        {"fnv1_32", MEMCACHED_HASH_FNV1_32}, {"fnv1a_32", MEMCACHED_HASH_FNV1A_32},
        {"murmur", MEMCACHED_HASH_MURMUR},   {"jenkins", MEMCACHED_HASH_JENKINS},
    };

    if (strcmp(name, "default") == 0)
        return true;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(name, rows[i].name) == 0)
            return memcached_behavior_set_key_hash(places, rows[i].hash) == MEMCACHED_SUCCESS;
    return false;
}

/* The next of "8,1,1"; 0: there is none such. */
static uint32_t next_weight(const char **weights)
{
    char *end;
    unsigned long weight;

    if (**weights < '0' || **weights > '9')
        return 0;
    weight = strtoul(*weights, &end, 10);
    if (weight > WEIGHT_MOST || (*end && *end != ','))
        return 0;
    *weights = end + (*end == ',');
    return (uint32_t)weight;
}

static kivi_status add_servers(memcached_st *places, const kvi_endpoint *endpoint,
                               const char *weights, kivi_error **error)
{
    const char *at = weights;

    for (size_t i = 0; i < endpoint->count; i++) {
        const kvi_place *place = &endpoint->targets[i].place;
        uint32_t weight = weights ? next_weight(&at) : 1;
        if (weight == 0)
            return refuse("weights are written 8,1,1: one of 1 to 1000 for each server", error);
        if (memcached_server_add_with_weight(places, place->host,
                                             (in_port_t)strtoul(place->port, NULL, 10),
                                             weight) != MEMCACHED_SUCCESS)
            return kvi_mc_no_memory(error);
    }
    return weights && *at ? refuse("there are more weights than servers", error) : KIVI_OK;
}

kivi_status kvi_mc_ring_new(const kvi_endpoint *endpoint, const mc_ring_rules *rules,
                            mc_ring **ring, kivi_error **error)
{
    mc_ring *made = calloc(1, sizeof(*made));
    kivi_status status;

    *ring = made;
    if (made)
        made->places = memcached_create(NULL);
    if (!made || !made->places)
        return kvi_mc_no_memory(error);
    if (!set_distribution(made->places, rules->distribution) || !set_hash(made->places, rules->hash))
        return refuse("this libmemcached does not know the hash, or the distribution", error);
    status = add_servers(made->places, endpoint, rules->weights, error);
    if (status == KIVI_OK && memcached_server_count(made->places) != endpoint->count)
        return refuse("a server is named twice", error);
    return status;
}

/* ---- Configuration strings ---- */

#define PORT_ROOM sizeof(":65535,")

/* "HOST:PORT,HOST:PORT"; NULL without memory. */
static char *list_servers(const memcached_st *places)
{
    uint32_t count = memcached_server_count(places);
    size_t room = 1, size = 0;
    char *list;

    for (uint32_t i = 0; i < count; i++)
        room += strlen(memcached_server_name(memcached_server_instance_by_position(places, i))) + PORT_ROOM;
    list = calloc(1, room);
    for (uint32_t i = 0; list && i < count; i++) {
        const memcached_instance_st *server = memcached_server_instance_by_position(places, i);
        size += (size_t)snprintf(list + size, room - size, "%s%s:%u", i ? "," : "",
                                 memcached_server_name(server),
                                 (unsigned)memcached_server_port(server));
    }
    return list;
}

/* What stands in such a string has an order: libmemcached itself reads it, so that keys are where its clients look. */
kivi_status kvi_mc_ring_configured(const char *text, mc_ring **ring, char **servers, kivi_error **error)
{
    mc_ring *made = calloc(1, sizeof(*made));
    char *words = NULL;
    kivi_status status;

    *ring = made;
    *servers = NULL;
    if (!made)
        return kvi_mc_no_memory(error);
    status = kvi_mc_configuration_read(text, &words, error);
    if (status)
        return status;
    made->places = memcached(words, strlen(words));
    free(words);
    if (!made->places)
        return refuse(
            "option configuration: libmemcached takes each of its words, but not together", error);
    if (memcached_server_count(made->places) == 0)
        return refuse("option configuration: no --SERVER=HOST:PORT in it", error);
    *servers = list_servers(made->places);
    return *servers ? KIVI_OK : kvi_mc_no_memory(error);
}

void kvi_mc_ring_free(mc_ring *ring)
{
    if (ring && ring->places)
        memcached_free(ring->places);
    free(ring);
}

uint32_t kvi_mc_ring_place(const mc_ring *ring, kivi_slice key)
{
    return memcached_generate_hash(ring->places, key.data, key.size);
}
