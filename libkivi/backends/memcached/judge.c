/* The answers to a write's commands: an item's status, or what it sends next. */
#include "memcached.h"

#include <stdlib.h>

/* Nothing was changed: the item goes on with another command. */
static void go_on(mc_item *own, kivi_write_item *item, uint8_t stage)
{
    item->sent = KIVI_SENT_NOTHING;
    own->stage = stage;
    own->todo = true;
}

static bool copy_value(mc_item *own, kivi_write_item *item, kivi_slice value)
{
    free(own->copy);
    own->copy = malloc(value.size ? value.size : 1);
    own->copy_size = value.size;
    if (own->copy && value.size)
        memcpy(own->copy, value.data, value.size);
    if (own->copy)
        return true;
    item->error = kvi_mc_host->error(KIVI_NO_MEMORY, 0, KIVI_RETRY_NO, "no memory for a value");
    item->status = KIVI_NO_MEMORY;
    return false;
}

/* ---- What was there ---- */

static bool equals(kivi_slice a, kivi_slice b)
{
    return a.size == b.size && (!a.size || memcmp(a.data, b.data, a.size) == 0);
}

static bool holds(const mc_server *server, const kivi_write_item *item, bool there,
                  const mc_line *line, kivi_slice value)
{
    uint64_t cas;

    switch (item->condition) {
    case KIVI_IF_ABSENT:
        return !there;
    case KIVI_IF_PRESENT:
        return there;
    case KIVI_IF_EQUAL:
        return there && equals(value, item->expected);
    case KIVI_IF_VERSION:
        return there && kvi_mc_version_read(server, item->expected, &cas) && cas == line->cas;
    default:
        return true;
    }
}

/* Whether the look was all there is to do: the item then has its status. */
static bool is_settled(const mc_server *server, kivi_write_item *item, bool there,
                       const mc_line *line, kivi_slice value)
{
    if (!holds(server, item, there, line, value))
        item->status = KIVI_CONDITION;
    else if (item->kind == KIVI_OP_CHECK || (item->kind == KIVI_OP_DELETE && !there))
        item->status = KIVI_OK;
    else if (item->kind == KIVI_OP_TOUCH && !there)
        item->status = KIVI_NOT_FOUND;
    return item->status != KIVI_PENDING;
}

/* The bytes to write, where they are not the caller's. False: the item has its status. */
static bool make_value(mc_server *server, mc_item *own, kivi_write_item *item, bool there, kivi_slice value)
{
    kivi_write_vector *vector = server->session->writes;
    kivi_slice bytes;
    kivi_status status;

    if (item->kind == KIVI_OP_TOUCH)
        return copy_value(own, item, value);
    if (item->kind != KIVI_OP_INCREMENT)
        return true;
    status = vector->increment(vector, item, there ? &value : NULL, &bytes);
    if (status) {
        item->status = status;
        return false;
    }
    return copy_value(own, item, bytes);
}

static bool judge_look(mc_server *server, mc_item *own, kivi_write_item *item, const mc_line *line,
                       kivi_slice value)
{
    bool there = !line_is(line, "EN");

    if (there && (!line->has_cas || !line->has_left || !line->has_flags))
        return false;
    item->existed = there;
    own->cas = line->cas;
    own->left = line->left;
    own->flags = line->flags;
    if (is_settled(server, item, there, line, value) || !make_value(server, own, item, there, value))
        return true;
    if (kvi_mc_write_keeps(item) && there && line->left >= 0)
        return true; /* the second look at the clock decides */
    own->clock = CLOCK_UNNEEDED;
    go_on(own, item, there ? STAGE_UNDER_CAS : STAGE_FRESH);
    return true;
}

static bool judge_clock(mc_item *own, kivi_write_item *item, mc_reply reply, const mc_line *line)
{
    bool there = line->has_left && line->left >= 0;

    if (reply == REPLY_CLOCK) {
        own->clock = there ? line->left : CLOCK_MISSING;
        return true;
    }
    if (item->status != KIVI_PENDING || own->clock == CLOCK_UNNEEDED)
        return true;
    if (!there || own->clock == CLOCK_MISSING) {
        go_on(own, item, STAGE_CLOCK);
    } else if (line->left != own->clock) { /* a second ended in between */
        go_on(own, item, STAGE_LOOK);
    } else {
        own->left += (int64_t)SECONDS_END - line->left;
        go_on(own, item, STAGE_UNDER_CAS);
    }
    return true;
}

/* ---- What was done ---- */

/* Of a set without a condition that asks whether the key was there; and of one under a cas. */
static void judge_attempt(mc_item *own, kivi_write_item *item, bool done)
{
    if (own->stage == STAGE_ADD || own->stage == STAGE_REPLACE) {
        item->existed = own->stage == STAGE_REPLACE;
        if (!done)
            go_on(own, item, own->stage == STAGE_ADD ? STAGE_REPLACE : STAGE_ADD);
    } else if (!done) {
        go_on(own, item, STAGE_LOOK); /* somebody was faster */
    }
    if (done)
        item->status = KIVI_OK;
}

/* HD; NS: add or replace did not hold; EX: another cas; NF: a cas of a missing key. */
static bool judge_store(mc_item *own, kivi_write_item *item, const mc_line *line)
{
    bool done = line_is(line, "HD");

    if (!done && !line_is(line, "NS") && !line_is(line, "EX") && !line_is(line, "NF"))
        return false;
    if (own->stage != STAGE_SIMPLE) {
        judge_attempt(own, item, done);
        return true;
    }
    if (!done && item->condition == KIVI_IF_ALWAYS)
        return false;
    if (item->condition == KIVI_IF_ABSENT)
        item->existed = !done;
    else if (item->condition == KIVI_IF_PRESENT)
        item->existed = done;
    else
        item->existed = !line_is(line, "NF");
    item->status = done ? KIVI_OK : KIVI_CONDITION;
    return true;
}

static bool judge_delete(mc_item *own, kivi_write_item *item, const mc_line *line)
{
    bool done = line_is(line, "HD"), missing = line_is(line, "NF");

    if (!done && !missing && !line_is(line, "EX"))
        return false;
    if (own->stage == STAGE_UNDER_CAS && !done) {
        go_on(own, item, STAGE_LOOK);
        return true;
    }
    item->existed = !missing;
    item->status = done || (missing && item->condition == KIVI_IF_ALWAYS) ? KIVI_OK : KIVI_CONDITION;
    return true;
}

static bool judge_touch(kivi_write_item *item, const mc_line *line)
{
    bool there = line_is(line, "HD");

    if (!there && !line_is(line, "EN"))
        return false;
    item->existed = there;
    if (there)
        item->status = KIVI_OK;
    else
        item->status = item->condition == KIVI_IF_PRESENT ? KIVI_CONDITION : KIVI_NOT_FOUND;
    return true;
}

bool kvi_mc_write_reply(mc_server *server, mc_reply reply, uint32_t index, const mc_line *line,
                        kivi_slice value)
{
    kivi_write_item *item = kivi_write_item_at(server->session->writes, index);
    mc_item *own = &server->session->items[index];

    if (!line->code[0]) { /* of a look, others of the same round may follow: the first word counts */
        if (item->status == KIVI_PENDING)
            item->status = kvi_mc_refusal(line->text, &item->error);
        return true;
    }
    switch (reply) {
    case REPLY_CLOCK:
    case REPLY_CLOCK_AGAIN:
        return judge_clock(own, item, reply, line);
    case REPLY_CLOCK_MADE:
        go_on(own, item, STAGE_LOOK);
        return true;
    case REPLY_LOOK:
        return item->status != KIVI_PENDING || judge_look(server, own, item, line, value);
    case REPLY_STORE:
        return judge_store(own, item, line);
    case REPLY_DELETE:
        return judge_delete(own, item, line);
    default:
        return judge_touch(item, line);
    }
}
