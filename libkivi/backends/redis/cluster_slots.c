/* The answer of CLUSTER SLOTS, token by token, as the draft of a map. */
#include "cluster.h"

#include <stdlib.h>

/*
 * [[first, last, [host, port, id, [more]], [host, port, id, [more]], ...], ...]: of each range its primary, then replicas. A
 * host is nil, or empty, where it is that of the connection; "?" where the node has none to tell.
 */

void kvi_draft_free(cluster_draft *draft)
{
    if (draft)
        free(draft->nodes);
    free(draft);
}

/* ---- Nodes ---- */

static uint16_t find(const cluster_draft *draft, const cluster_named *node)
{
    for (size_t i = 0; i < draft->count; i++)
        if (draft->nodes[i].port == node->port && strcmp(draft->nodes[i].host, node->host) == 0)
            return (uint16_t)i;
    return NODE_NONE;
}

static kivi_status add(cluster_draft *draft, uint16_t *place)
{
    size_t room = draft->room ? 2 * draft->room : 16;
    cluster_named *more;

    if (draft->count == NODES_MOST)
        return KIVI_CORRUPT;
    if (draft->count == draft->room) {
        more = realloc(draft->nodes, room * sizeof(*more));
        if (!more)
            return KIVI_NO_MEMORY;
        draft->nodes = more;
        draft->room = room;
    }
    draft->nodes[draft->count] = draft->read;
    *place = (uint16_t)draft->count++;
    return KIVI_OK;
}

/* A node was read to its end: the first of a range has its slots. */
static kivi_status end_node(cluster_draft *draft)
{
    bool is_primary = draft->field == 3;
    uint16_t place = find(draft, &draft->read);
    kivi_status status = KIVI_OK;

    if (draft->left_out || (!is_primary && draft->primary == NODE_NONE))
        return KIVI_OK;
    if (place == NODE_NONE) {
        draft->read.primary = is_primary ? NODE_NONE : draft->primary;
        status = add(draft, &place);
        if (status)
            return status;
        if (!is_primary)
            draft->nodes[draft->primary].replicas++;
    }
    if (!is_primary)
        return KIVI_OK;
    draft->primary = place;
    draft->nodes[place].primary = NODE_NONE;
    for (int64_t slot = draft->first; slot <= draft->last; slot++)
        draft->owner[slot] = (uint16_t)(place + 1);
    return KIVI_OK;
}

static bool take_host(cluster_draft *draft, const kvi_resp_token *token)
{
    kivi_slice host = token->bytes;

    if (token->kind != KVI_RESP_NIL && token->kind != KVI_RESP_STRING)
        return false;
    if (token->kind == KVI_RESP_NIL || host.size == 0)
        host = kivi_str(draft->asked);
    draft->left_out = host.size > HOST_MOST || memchr(host.data, '\0', host.size) ||
                      (host.size == 1 && *(const char *)host.data == '?');
    if (draft->left_out)
        return true;
    memcpy(draft->read.host, host.data, host.size);
    draft->read.host[host.size] = '\0';
    return true;
}

static bool take_node_field(cluster_draft *draft, const kvi_resp_token *token)
{
    switch (draft->node++) {
    case 0:
        draft->read = (cluster_named){.id = 0};
        return take_host(draft, token);
    case 1:
        if (token->kind != KVI_RESP_INTEGER || token->integer < 0 || token->integer > UINT16_MAX)
            return false;
        draft->read.port = (uint16_t)token->integer;
        draft->left_out = draft->left_out || !token->integer;
        return true;
    case 2:
        if (token->kind == KVI_RESP_STRING)
            draft->read.id = kvi_redis_host->hash64(token->bytes);
        return token->kind == KVI_RESP_STRING;
    default:
        return true; /* names that it has besides */
    }
}

/* ---- Ranges ---- */

static bool take_bound(cluster_draft *draft, const kvi_resp_token *token)
{
    int64_t *bound = draft->field == 1 ? &draft->first : &draft->last;

    if (token->kind != KVI_RESP_INTEGER || token->integer < 0 || token->integer >= SLOTS)
        return false;
    *bound = token->integer;
    return draft->field == 1 || draft->first <= draft->last;
}

/* The node before, if any, is read: nothing of it can follow. */
static kivi_status close_node(cluster_draft *draft)
{
    kivi_status status = KIVI_OK;

    if (draft->node == 0)
        return KIVI_OK;
    status = draft->node < 2 ? KIVI_CORRUPT : end_node(draft);
    draft->node = 0;
    return status;
}

static kivi_status begin_range(cluster_draft *draft, const kvi_resp_token *token)
{
    if (token->kind != KVI_RESP_ARRAY || token->integer < 2)
        return KIVI_CORRUPT;
    draft->field = 0;
    draft->primary = NODE_NONE;
    return KIVI_OK;
}

static kivi_status take_in_range(cluster_draft *draft, const kvi_resp_token *token)
{
    draft->field++;
    if (draft->field <= 2)
        return take_bound(draft, token) ? KIVI_OK : KIVI_CORRUPT;
    return token->kind == KVI_RESP_ARRAY && token->integer >= 2 ? KIVI_OK : KIVI_CORRUPT;
}

kivi_status kvi_draft_take(cluster_draft *draft, const kvi_resp_token *token)
{
    kivi_status status = KIVI_OK;

    if (token->depth <= 2)
        status = close_node(draft);
    if (status)
        return status;
    switch (token->depth) {
    case 0:
        status = token->kind == KVI_RESP_ARRAY ? KIVI_OK : KIVI_CORRUPT;
        break;
    case 1:
        status = begin_range(draft, token);
        break;
    case 2:
        status = take_in_range(draft, token);
        break;
    case 3:
        status = take_node_field(draft, token) ? KIVI_OK : KIVI_CORRUPT;
        break;
    default:
        break;
    }
    return status == KIVI_OK && token->last ? close_node(draft) : status;
}
