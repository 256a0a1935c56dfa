/* What becomes of an item of a write vector, by what its key holds. */
#include "embedded.h"

bool kvi_sets_expiry(const kivi_write_item *item)
{
    return item->ttl_ms > 0 && (item->kind == KIVI_OP_SET || item->kind == KIVI_OP_TOUCH ||
                                item->kind == KIVI_OP_INCREMENT);
}

bool kvi_is_blind(const kivi_write_item *item, bool expiries)
{
    if (item->condition != KIVI_IF_ALWAYS || item->flags & KIVI_OP_WANT_EXISTED)
        return false;
    if (item->kind == KIVI_OP_DELETE)
        return true;
    return item->kind == KIVI_OP_SET && (item->ttl_ms != KIVI_TTL_KEEP || !expiries);
}

static bool holds(const kivi_write_item *item, const kvi_found *found)
{
    switch (item->condition) {
    case KIVI_IF_ABSENT:
        return !found->present;
    case KIVI_IF_PRESENT:
        return found->present;
    case KIVI_IF_EQUAL:
    case KIVI_IF_VERSION:
        return found->present && kvi_key_order(found->value, item->expected) == 0;
    default:
        return true;
    }
}

kivi_status kvi_judge(const kivi_write_item *item, const kvi_found *found)
{
    if (!holds(item, found))
        return KIVI_CONDITION;
    return item->kind == KIVI_OP_TOUCH && !found->present ? KIVI_NOT_FOUND : KIVI_OK;
}

int64_t kvi_expiry_after(const kivi_host *host, const kivi_write_item *item, const kvi_found *found)
{
    bool keeps = item->ttl_ms == KIVI_TTL_KEEP || item->kind == KIVI_OP_INCREMENT;

    if (keeps && found->present)
        return found->expiry_ms;
    return host->expires(item->ttl_ms);
}
