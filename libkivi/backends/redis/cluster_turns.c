/* What a node of a cluster says instead of an answer: who else is to be asked, and how. */
#include "cluster.h"

/* ---- Words ---- */

static kivi_slice next_word(kivi_slice *from)
{
    const char *text = from->data, *blank = from->size ? memchr(text, ' ', from->size) : NULL;
    size_t size = blank ? (size_t)(blank - text) : from->size, used = size + (blank ? 1 : 0);

    *from = kivi_bytes(text + used, from->size - used);
    return kivi_bytes(text, size);
}

static bool is_word(kivi_slice word, const char *text)
{
    return word.size == strlen(text) && memcmp(word.data, text, word.size) == 0;
}

static bool read_number(kivi_slice text, uint32_t most, uint32_t *number)
{
    const char *digits = text.data;

    *number = 0;
    for (size_t i = 0; i < text.size && i < 6; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        *number = *number * 10 + (uint32_t)(digits[i] - '0');
    }
    return text.size > 0 && text.size < 6 && *number <= most;
}

static const char *last_colon(kivi_slice text)
{
    const char *bytes = text.data;

    for (size_t i = text.size; i > 0; i--)
        if (bytes[i - 1] == ':')
            return bytes + i - 1;
    return NULL;
}

bool kvi_cluster_read_address(kivi_slice text, cluster_named *named)
{
    const char *bytes = text.data, *colon = last_colon(text);
    size_t size = colon ? (size_t)(colon - bytes) : 0;
    uint32_t port;

    if (!colon || !read_number(kivi_bytes(colon + 1, text.size - size - 1), UINT16_MAX, &port) ||
        !port || size > HOST_MOST || memchr(bytes, '\0', size))
        return false;
    memcpy(named->host, bytes, size);
    named->host[size] = '\0';
    named->port = (uint16_t)port;
    return true;
}

/* "3999 10.0.0.1:6381"; no host is the one that was asked. */
static uint16_t read_target(redis_session *node, kivi_slice text, uint32_t *slot)
{
    kivi_slice number = next_word(&text), address = next_word(&text);
    cluster_named named;

    if (!read_number(number, SLOTS - 1, slot) || !kvi_cluster_read_address(address, &named))
        return NODE_NONE;
    return kvi_cluster_node_at(node->cluster->cluster,
                               named.host[0] ? named.host : node->pipeline.net.target->place.host,
                               named.port);
}

/* The command was refused and changed nothing: its items are asked again. */
static void turn(redis_session *node, const redis_command *command, cluster_turn to)
{
    cluster_session *session = node->cluster;

    for (uint32_t i = 0; i < command->base.count; i++) {
        uint32_t index = command->base.item + i;
        if (!is_pending(&session->job, index))
            continue;
        session->turns[index] = to;
        session->turned = true;
        if (session->job.reads)
            read_item(session->job.reads, index)->sent = KIVI_SENT_NOTHING;
        else
            write_item(session->job.writes, index)->sent = KIVI_SENT_NOTHING;
    }
}

static bool turn_to_named(redis_session *node, const redis_command *command, kivi_slice named, bool asks)
{
    uint32_t slot;
    uint16_t place = read_target(node, named, &slot);

    if (place == NODE_NONE)
        return false;
    if (!asks)
        kvi_cluster_moved(node->cluster->cluster, (uint16_t)slot, place);
    turn(node, command, (cluster_turn){place, asks});
    return true;
}

/* From a replica that cannot be read just now. */
static bool turn_to_owner(redis_session *node, const redis_command *command)
{
    const kivi_read_item *item = node->job.reads ? read_item(node->job.reads, command->base.item) : NULL;
    uint16_t owner;

    if (!item || item->then != KIVI_THEN_NOTHING)
        return false;
    owner = kvi_cluster_owner(node->cluster->cluster, kvi_cluster_slot(item->key));
    if (owner == NODE_NONE || owner == node->place)
        return false;
    turn(node, command, (cluster_turn){owner, false});
    return true;
}

bool kvi_cluster_turns(redis_session *node, const redis_command *command, kivi_slice text)
{
    kivi_slice rest = text, word = next_word(&rest);

    if (!node->cluster)
        return false;
    if (is_word(word, "MOVED") || is_word(word, "ASK"))
        return turn_to_named(node, command, rest, is_word(word, "ASK"));
    if (is_word(word, "CLUSTERDOWN") || is_word(word, "TRYAGAIN"))
        kvi_cluster_suspect(node->cluster->cluster);
    return (is_word(word, "MASTERDOWN") || is_word(word, "LOADING")) && turn_to_owner(node, command);
}

bool kvi_cluster_asks(const redis_session *node, redis_reply reply, uint32_t item)
{
    if (reply == REPLY_KEY_TTL || reply == REPLY_KEY_VALUE)
        return node->page.keys[item].asks;
    return (node->job.reads || node->job.writes) && node->cluster->now[item].asks;
}

bool kvi_cluster_has_turned(const redis_session *node, uint32_t item)
{
    return node->cluster && node->cluster->turns[item].place != NODE_NONE;
}
