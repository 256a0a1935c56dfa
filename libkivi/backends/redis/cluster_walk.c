/* How far a scan of a cluster is: slots that are done, the node that is walked now, and the same as a cursor. */
#include "cluster.h"

#include <stdlib.h>

/*
 * Keys move while a scan goes on, and none that is there throughout may be missed. A node is walked whole, by SCAN; at its
 * end it says which slots it has. Those that it had at the begin as well are done: each of their keys was here all the time.
 * One that left meanwhile is not: its new node is walked, or walked again. One that is leaving (its keys are going, one by
 * one) may have keys that went before SCAN came to them: they are at the other node, which is walked after that, and only then
 * the slot is done. A node that was started again, or another in its place, has other cursors: it is walked from its begin.
 *
 * What SCAN gives of a slot that is still coming is asked for behind ASKING. Where that was not known, and the node says
 * MOVED, the slot is left to another walk.
 *
 * A cursor: "C", runs of slots done, runs of slots begun, each beginning with one that is not and written in 7-bit groups;
 * the server; where in it; the slots that are leaving.
 */

#define WALK_FORM 'C'

/* ---- Writing ---- */

static uint8_t *put_number(uint8_t *at, uint64_t number)
{
    for (; number >= 128; number >>= 7)
        *at++ = (uint8_t)(number | 128);
    *at++ = (uint8_t)number;
    return at;
}

static uint8_t *put_slots(uint8_t *at, const slot_set *set)
{
    bool have = false;
    uint32_t run = 0;

    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        if (slots_have(set, slot) != have) {
            at = put_number(at, run);
            run = 0;
            have = !have;
        }
        run++;
    }
    return put_number(at, run);
}

size_t kvi_walk_write(const cluster_walk *walk, uint8_t to[WALK_MOST])
{
    uint8_t *at = to;

    *at++ = WALK_FORM;
    at = put_slots(at, &walk->done);
    at = put_slots(at, &walk->begun);
    at = put_number(at, walk->inside);
    if (walk->inside) {
        at = put_number(at, walk->server);
        at = put_number(at, walk->inner.cursor);
        at = put_number(at, walk->inner.count);
        at = put_number(at, walk->inner.skip);
        at = put_number(at, walk->inner.print);
        at = put_number(at, walk->inner.barren);
    }
    at = put_number(at, walk->leaving_count);
    for (size_t i = 0; i < walk->leaving_count; i++) {
        at = put_number(at, walk->leaving[i].slot);
        at = put_number(at, walk->leaving[i].target);
    }
    return (size_t)(at - to);
}

/* ---- Reading ---- */

static bool get_number(kivi_slice *from, uint64_t *number)
{
    const uint8_t *bytes = from->data;

    *number = 0;
    for (size_t i = 0; i < from->size && i < 10; i++) {
        if (i == 9 && bytes[i] > 1)
            return false;
        *number |= (uint64_t)(bytes[i] & 127) << 7 * i;
        if (bytes[i] < 128) {
            *from = kivi_bytes(bytes + i + 1, from->size - i - 1);
            return true;
        }
    }
    return false;
}

static bool get_slots(kivi_slice *from, slot_set *set)
{
    bool have = false;
    uint64_t run;

    for (uint32_t slot = 0; slot < SLOTS; have = !have) {
        if (!get_number(from, &run) || run > SLOTS - slot || (run == 0 && slot > 0))
            return false;
        for (uint64_t i = 0; i < run; i++, slot++)
            if (have)
                slots_add(set, slot);
    }
    return true;
}

static bool get_inner(kivi_slice *from, cluster_walk *walk)
{
    uint64_t barren;

    if (!get_number(from, &walk->server) || !get_number(from, &walk->inner.cursor) ||
        !get_number(from, &walk->inner.count) || !get_number(from, &walk->inner.skip) ||
        !get_number(from, &walk->inner.print) || !get_number(from, &barren) || barren > UINT32_MAX)
        return false;
    walk->inner.barren = (uint32_t)barren;
    return true;
}

static bool get_leaving(kivi_slice *from, cluster_walk *walk)
{
    uint64_t count, slot;

    if (!get_number(from, &count) || count > LEAVING_MOST)
        return false;
    walk->leaving_count = (size_t)count;
    for (size_t i = 0; i < walk->leaving_count; i++) {
        if (!get_number(from, &slot) || slot >= SLOTS || !get_number(from, &walk->leaving[i].target))
            return false;
        walk->leaving[i].slot = (uint16_t)slot;
    }
    return true;
}

bool kvi_walk_read(cluster_walk *walk, kivi_slice cursor)
{
    uint64_t inside;

    *walk = (cluster_walk){.server = 0};
    if (cursor.size == 0)
        return true;
    if (*(const uint8_t *)cursor.data != WALK_FORM)
        return false;
    cursor = kivi_bytes((const uint8_t *)cursor.data + 1, cursor.size - 1);
    if (!get_slots(&cursor, &walk->done) || !get_slots(&cursor, &walk->begun) ||
        !get_number(&cursor, &inside) || inside > 1)
        return false;
    walk->inside = inside;
    if (inside && !get_inner(&cursor, walk))
        return false;
    return get_leaving(&cursor, walk) && cursor.size == 0 && kvi_walk_first(walk) < SLOTS;
}

uint32_t kvi_walk_first(const cluster_walk *walk)
{
    uint32_t slot = 0;

    while (slot < SLOTS && slots_have(&walk->done, slot))
        slot++;
    return slot;
}

/* Where no more slots that leave can be noted, one of those comes first: a node that has others would be walked for nothing. */
uint32_t kvi_walk_next(const cluster_walk *walk)
{
    return walk->leaving_count == LEAVING_MOST ? walk->leaving[0].slot : kvi_walk_first(walk);
}

/* ---- What a node says of itself ---- */

static kivi_slice next_part(kivi_slice *from, char end)
{
    const char *text = from->data, *found = from->size ? memchr(text, end, from->size) : NULL;
    size_t size = found ? (size_t)(found - text) : from->size;
    size_t used = size + (found ? 1 : 0);

    *from = kivi_bytes(text + used, from->size - used);
    return kivi_bytes(text, size);
}

static bool read_slot(kivi_slice *from, uint32_t *slot)
{
    const char *text = from->data;
    size_t digits = 0;

    *slot = 0;
    for (; digits < from->size && digits < 5 && text[digits] >= '0' && text[digits] <= '9'; digits++)
        *slot = *slot * 10 + (uint32_t)(text[digits] - '0');
    *from = kivi_bytes(text + digits, from->size - digits);
    return digits > 0 && *slot < SLOTS;
}

/* "[slot->-node]" leaves, "[slot-<-node]" comes. */
static bool read_open(cluster_own *own, const slot_set *done, kivi_slice part)
{
    uint32_t slot;
    const char *text;

    part = kivi_bytes((const char *)part.data + 1, part.size - 1);
    if (!read_slot(&part, &slot) || part.size < 5)
        return false;
    text = part.data;
    if (memcmp(text, "-<-", 3) == 0)
        return true;
    if (memcmp(text, "->-", 3) != 0 || text[part.size - 1] != ']')
        return false;
    if (slots_have(done, slot))
        return true;
    if (own->leaving_count == LEAVING_MOST) {
        slots_remove(&own->has, slot);
        return true;
    }
    own->leaving[own->leaving_count++] = (slot_leaving){
        (uint16_t)slot, kvi_redis_host->hash64(kivi_bytes(text + 3, part.size - 4))};
    return true;
}

static bool read_range(cluster_own *own, kivi_slice part)
{
    uint32_t first, last;

    if (!read_slot(&part, &first))
        return false;
    last = first;
    if (part.size && *(const char *)part.data == '-') {
        part = kivi_bytes((const char *)part.data + 1, part.size - 1);
        if (!read_slot(&part, &last))
            return false;
    }
    for (uint32_t slot = first; slot <= last; slot++)
        slots_add(&own->has, slot);
    return part.size == 0;
}

static bool is_myself(kivi_slice flags)
{
    while (flags.size) {
        kivi_slice flag = next_part(&flags, ',');
        if (flag.size == 6 && memcmp(flag.data, "myself", 6) == 0)
            return true;
    }
    return false;
}

/* id address flags primary ping pong epoch link slot... */
bool kvi_own_read(cluster_own *own, const slot_set *done, kivi_slice text)
{
    *own = (cluster_own){.id = 0};
    while (text.size) {
        kivi_slice line = next_part(&text, '\n');
        kivi_slice id = next_part(&line, ' ');
        next_part(&line, ' ');
        if (!is_myself(next_part(&line, ' ')))
            continue;
        own->id = kvi_redis_host->hash64(id);
        for (int i = 0; i < 5; i++)
            next_part(&line, ' ');
        while (line.size) {
            kivi_slice part = next_part(&line, ' ');
            if (part.size && !(*(const char *)part.data == '[' ? read_open(own, done, part)
                                                               : read_range(own, part)))
                return false;
        }
        return true;
    }
    return false;
}

/* "10.0.0.1:6381@16381,name": what is behind @ is for nodes. */
static bool read_node(cluster_named *named, bool by_name, kivi_slice text)
{
    kivi_slice place = next_part(&text, ','), name = next_part(&text, ',');

    if (!kvi_cluster_read_address(next_part(&place, '@'), named))
        return false;
    if (by_name && name.size && name.size <= HOST_MOST && !memchr(name.data, '=', name.size)) {
        memcpy(named->host, name.data, name.size);
        named->host[name.size] = '\0';
    }
    return named->host[0] != '\0';
}

bool kvi_own_find(cluster_named *named, uint64_t id, bool by_name, kivi_slice text)
{
    while (text.size) {
        kivi_slice line = next_part(&text, '\n');
        *named = (cluster_named){.id = kvi_redis_host->hash64(next_part(&line, ' '))};
        if (named->id == id)
            return read_node(named, by_name, next_part(&line, ' '));
    }
    return false;
}

/* ---- The end of a node ---- */

static bool leaves(const cluster_own *own, uint32_t slot)
{
    for (size_t i = 0; i < own->leaving_count; i++)
        if (own->leaving[i].slot == slot)
            return true;
    return false;
}

/* Slots whose keys were going to this node while their own was walked: they were here to be found. */
static void end_leaving(cluster_walk *walk, uint64_t id)
{
    size_t kept = 0;

    for (size_t i = 0; i < walk->leaving_count; i++) {
        if (walk->leaving[i].target == id)
            slots_add(&walk->done, walk->leaving[i].slot);
        else if (!slots_have(&walk->done, walk->leaving[i].slot))
            walk->leaving[kept++] = walk->leaving[i];
    }
    walk->leaving_count = kept;
}

static void begin_leaving(cluster_walk *walk, const slot_leaving *leaving)
{
    if (slots_have(&walk->done, leaving->slot) || !slots_have(&walk->begun, leaving->slot))
        return;
    for (size_t i = 0; i < walk->leaving_count; i++) {
        if (walk->leaving[i].slot != leaving->slot)
            continue;
        walk->leaving[i] = *leaving;
        return;
    }
    if (walk->leaving_count < LEAVING_MOST) /* else its node is walked once more */
        walk->leaving[walk->leaving_count++] = *leaving;
}

void kvi_walk_lose(cluster_walk *walk, uint16_t slot)
{
    size_t kept = 0;

    slots_remove(&walk->begun, slot);
    for (size_t i = 0; i < walk->leaving_count; i++)
        if (walk->leaving[i].slot != slot)
            walk->leaving[kept++] = walk->leaving[i];
    walk->leaving_count = kept;
}

void kvi_walk_end_node(cluster_walk *walk, const cluster_own *own)
{
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        if (slots_have(&own->has, slot) && slots_have(&walk->begun, slot) && !leaves(own, slot))
            slots_add(&walk->done, slot);
    end_leaving(walk, own->id);
    for (size_t i = 0; i < own->leaving_count; i++)
        begin_leaving(walk, &own->leaving[i]);
    memset(&walk->begun, 0, sizeof(walk->begun));
    walk->inside = false;
    walk->server = 0;
}
