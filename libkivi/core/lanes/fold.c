/* Folding: several operations on one key in line become one item, and its answer becomes theirs. */
#include "run.h"

static bool is_plain_write(const kivi_write_item *item)
{
    if (item->condition != KIVI_IF_ALWAYS)
        return false;
    return item->kind == KIVI_OP_DELETE || (item->kind == KIVI_OP_SET && item->ttl_ms != KIVI_TTL_KEEP);
}

static bool adds(const kivi_write_item *item)
{
    return item->kind == KIVI_OP_INCREMENT && item->condition == KIVI_IF_ALWAYS;
}

/* The last of unconditional sets and deletes stands for all; the first one wants to know what was there. */
static size_t fold_plain(kivi_write_item *const *items, size_t count, kivi_write_item *folded)
{
    size_t n = 1;
    while (n < count && is_plain_write(items[n]))
        n++;
    *folded = *items[n - 1];
    folded->flags = items[0]->flags;
    return n;
}

/* Additions of one sign go as their sum: then no sum on the way leaves int64 unless the last does. */
static size_t fold_additions(kivi_write_item *const *items, size_t count, kivi_write_item *folded)
{
    size_t n = 1;
    int64_t sum = items[0]->by;
    while (n < count && adds(items[n]) && (items[n]->by < 0) == (sum < 0) &&
           !__builtin_add_overflow(sum, items[n]->by, &sum))
        n++;
    /* an overflow left `sum` wrapped */
    sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += items[i]->by;
    *folded = *items[0];
    folded->by = sum;
    return n;
}

size_t kvi_fold_writes(kivi_write_item *const *items, size_t count, kivi_write_item *folded)
{
    if (is_plain_write(items[0]))
        return fold_plain(items, count, folded);
    if (adds(items[0]))
        return fold_additions(items, count, folded);
    *folded = *items[0];
    return 1;
}

static void answer_plain(const kivi_write_item *folded, kivi_write_item *const *items, size_t count)
{
    int32_t existed = folded->existed;
    for (size_t i = 0; i < count; i++) {
        items[i]->existed = existed;
        existed = items[i]->kind == KIVI_OP_SET;
    }
}

static void answer_additions(const kivi_write_item *folded, kivi_write_item *const *items, size_t count)
{
    if (folded->status != KIVI_OK)
        return;
    int64_t value = folded->integer - folded->by;
    for (size_t i = 0; i < count; i++) {
        value += items[i]->by;
        items[i]->integer = value;
        items[i]->existed = i ? 1 : folded->existed;
    }
}

bool kvi_unfold_writes(kivi_write_item *folded, kivi_write_item *const *items, size_t count)
{
    if (count > 1 && folded->kind == KIVI_OP_INCREMENT && folded->status == KIVI_OVERFLOW) {
        kivi_error_free(folded->error);
        folded->error = NULL;
        return false;
    }
    if (folded->kind == KIVI_OP_INCREMENT)
        answer_additions(folded, items, count);
    else
        answer_plain(folded, items, count);
    for (size_t i = 0; i < count; i++) {
        items[i]->sent = folded->sent;
        items[i]->status = folded->status;
        /* The last one takes the error over, the others get copies. */
        items[i]->error = i + 1 < count && folded->error ? kvi_error_copy(folded->error) : folded->error;
    }
    folded->error = NULL;
    return true;
}

bool kvi_reads_fold(const kivi_read_item *a, const kivi_read_item *b)
{
    return a->then == KIVI_THEN_NOTHING && b->then == KIVI_THEN_NOTHING;
}
