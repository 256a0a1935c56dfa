/* Tells of a random sequence that failed: the last steps, and both answers. */
#include <stdio.h>

#include "random.h"

static const char *const act_names[ACTS] = {"get",
                                            "exists",
                                            "set",
                                            "add",
                                            "replace",
                                            "delete",
                                            "compare_and_set",
                                            "compare_and_delete",
                                            "increment",
                                            "take",
                                            "get_and_expire",
                                            "ttl",
                                            "expire",
                                            "persist",
                                            "update",
                                            "get_or_set",
                                            "get_many",
                                            "set_many",
                                            "delete_many",
                                            "apply",
                                            "apply atomic",
                                            "scan",
                                            "count",
                                            "clear"};
static const char *const kind_names[] = {"?", "set", "delete", "touch", "check", "increment"};
static const char *const condition_names[] = {"", " if absent", " if present", " if equal", " if version"};

/* The beginning is enough to know a value by. */
static const char *brief(const sequence *q, kivi_slice bytes)
{
    subject *s = q->s;
    size_t size = bytes.size;
    bytes.size = size < 20 ? size : 20;
    const char *start = shown(s, bytes);
    if (size <= 20)
        return start;
    char *out = keep(s, strlen(start) + 32);
    sprintf(out, "%s of %zu", start, size);
    return out;
}

static void tell_deed(const sequence *q, const step *what, const deed *d)
{
    bool sets = what->act >= ACT_APPLY
                    ? d->kind == KIVI_OP_SET
                    : what->act == ACT_SET || what->act == ACT_ADD || what->act == ACT_REPLACE ||
                          what->act == ACT_UPDATE || what->act == ACT_COMPARE_AND_SET ||
                          what->act == ACT_GET_OR_SET || what->act == ACT_SET_MANY;
    bool compares = what->act >= ACT_APPLY
                        ? d->condition == KIVI_IF_EQUAL
                        : what->act == ACT_COMPARE_AND_SET || what->act == ACT_COMPARE_AND_DELETE;
    bool adds = what->act == ACT_INCREMENT || (what->act >= ACT_APPLY && d->kind == KIVI_OP_INCREMENT);
    if (what->act >= ACT_APPLY)
        fprintf(stderr, "%s%s%s ", kind_names[d->kind], condition_names[d->condition],
                d->condition == KIVI_IF_VERSION && !d->current_version ? " made up" : "");
    fprintf(stderr, "%s", shown(q->s, q->tables.keys[d->key]));
    if (compares)
        fprintf(stderr, " expected %s", brief(q, q->tables.values[d->expected]));
    if (sets)
        fprintf(stderr, " value %s", brief(q, q->tables.values[d->value]));
    if (adds)
        fprintf(stderr, " by %lld", (long long)d->by);
    if (d->ttl_ms)
        fprintf(stderr, " ttl %lld", (long long)d->ttl_ms);
    if (d->asks_existed)
        fprintf(stderr, " existed?");
}

static void tell_step(const sequence *q, uint64_t index, const step *what)
{
    fprintf(stderr, "  %6llu %s", (unsigned long long)index, act_names[what->act]);
    if (what->act >= ACT_SCAN)
        fprintf(stderr, " under %s limit %llu flags %u", shown(q->s, q->tables.prefixes[what->prefix]),
                (unsigned long long)what->limit, what->flags);
    if (what->act == ACT_UPDATE)
        fprintf(stderr, " action %d", (int)what->action);
    for (size_t i = 0; i < what->count && what->act < ACT_SCAN; i++) {
        if (what->count > 1)
            fprintf(stderr, "\n         [%zu]", i);
        fprintf(stderr, " ");
        tell_deed(q, what, &what->deeds[i]);
    }
    fprintf(stderr, "\n");
}

static void tell_answer(const sequence *q, const char *whose, const answer *a)
{
    fprintf(stderr, "  %s: %s number %llu\n", whose, kivi_status_name(a->status),
            (unsigned long long)a->number);
    for (size_t i = 0; i < a->count; i++)
        fprintf(stderr, "    [%zu] %s key %zu existed %d integer %lld ttl %lld value %s\n", i,
                kivi_status_name(a->facts[i].status), a->facts[i].key, a->facts[i].existed,
                (long long)a->facts[i].integer, (long long)a->facts[i].ttl_ms,
                brief(q, fact_value(a, i)));
}

void sequence_tell(const sequence *q, const char *what)
{
    fprintf(stderr, "%s: %s at step %llu of the sequence with KIVI_RANDOM_SEED=%llu; the last steps were:\n",
            q->s->row->name, what, (unsigned long long)q->index, (unsigned long long)q->seed);
    uint64_t first = q->index >= REMEMBERED ? q->index - REMEMBERED + 1 : 0;
    for (uint64_t i = first; i <= q->index; i++)
        tell_step(q, i, &q->steps[i % REMEMBERED]);
    tell_answer(q, "got", &q->got);
    tell_answer(q, "wanted", &q->wanted);
}
