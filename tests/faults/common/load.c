/* What the slots of a load ask, and what the answers may be. */
#include "load.h"

/* ---- one call ---- */

static void plan_write(load_slot *slot)
{
    unsigned long number = atomic_fetch_add(&slot->number, 1) + 1;

    if (number >= slot->room) {
        size_t room = 2 * (number + 16);
        slot->fates = realloc(slot->fates, room);
        CHECK(slot->fates != NULL);
        memset(slot->fates + slot->room, FATE_NONE, room - slot->room);
        slot->room = room;
    }
    slot->request.verb = KIVI_VERB_SET;
    slot->request.value = print(&slot->value, slot->l->options.rehearsal ? "(%lu:%u)" : "<%lu:%u>",
                                number, slot->index);
}

/* Deadlines from hardly any to long enough, an interrupt that was raised before or will be by another thread. */
static void plan_chaos(load_slot *slot)
{
    uint64_t random = next_random(&slot->seed);

    if (random % 4 == 0)
        slot->timeout_ms = 1 + (int64_t)(random >> 8) % 60;
    if (random >> 32 & 1) {
        kivi_interrupt_clear(slot->interrupt);
        slot->call.interrupt = slot->interrupt;
        if ((random >> 33) % 64 == 0)
            kivi_interrupt_raise(slot->interrupt);
    }
}

void load_plan(load_slot *slot)
{
    const load_options *options = &slot->l->options;
    unsigned turn = (unsigned)((slot->calls++ + slot->index) % 16);

    slot->timeout_ms = options->timeout_ms;
    slot->request = (kivi_request)KIVI_REQUEST_INIT;
    slot->call = (kivi_call)KIVI_CALL_INIT;
    slot->request.user = slot;
    if (turn < options->increments) {
        slot->request.verb = KIVI_VERB_INCREMENT;
        slot->request.by = 1;
        slot->request.key = print(&slot->key, "%s:sum:%u", options->name, slot->index);
    } else {
        slot->request.key = print(&slot->key, "%s:%u", options->name, slot->index);
        if (turn % 4 == 3)
            slot->request.verb = KIVI_VERB_GET;
        else
            plan_write(slot);
    }
    if (options->chaos)
        plan_chaos(slot);
    slot->call.timeout_ms = slot->timeout_ms;
    slot->stalled_ns = pulse_stalled_ns();
    slot->began_ns = now_ns();
}

/* ---- its answer ---- */

/*
 * Sanitizers' own locks spin while who holds one waits for a processor: in a storm, on two of them and beside a build, a
 * step that took 3 ms of a processor lasted 360 ms without sleeping once.
 */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define STORM_GRACE_US 1500000
#else
#define STORM_GRACE_US 300000
#endif

static void note_excess(load_slot *slot, uint64_t ended_ns)
{
    load *l = slot->l;
    uint64_t stalled = pulse_stalled_ns() - slot->stalled_ns;
    long took = ended_ns > slot->began_ns ? (long)((ended_ns - slot->began_ns) / 1000) : 0;
    long excess = took - (long)slot->timeout_ms * 1000 - (long)(stalled / 1000);
    long most = atomic_load(&l->excess_us);
    long grace = slot->timeout_ms > 3000 ? (long)slot->timeout_ms * 100
                 : l->options.chaos      ? STORM_GRACE_US
                                         : 300000;

    CHECK_SAYING(excess <= grace, "verb %d took %ld ms of %lld; the machine stood still for %llu ms",
                 slot->request.verb, took / 1000, (long long)slot->timeout_ms,
                 (unsigned long long)stalled / 1000000);
    while (excess > most && !atomic_compare_exchange_weak(&l->excess_us, &most, excess))
        ;
}

static bool is_failure(kivi_status status)
{
    return kivi_status_class(status) != KIVI_CLASS_ANSWER;
}

static void check_allowed(const load_slot *slot, const kivi_completion *end)
{
    const kivi_status *allowed = slot->l->options.allowed;
    bool reads = slot->request.verb == KIVI_VERB_GET;
    const char *message = end->error ? kivi_error_message(end->error) : "(no error)";

    CHECK_SAYING((end->error != NULL) == is_failure(end->status), "%s, but the error is: %s",
                 kivi_status_name(end->status), message);
    if (end->error)
        CHECK_SAYING(kivi_error_status(end->error) == end->status, "%s, but the error says %s: %s",
                     kivi_status_name(end->status), kivi_status_name(kivi_error_status(end->error)),
                     message);
    if (end->status == KIVI_OK || (reads && end->status == KIVI_NOT_FOUND) ||
        (!reads && end->status == KIVI_BUSY && slot->l->options.locks))
        return;
    CHECK_SAYING(!reads || end->status != KIVI_UNCERTAIN, "a read is uncertain: %s", message);
    while (allowed && *allowed && *allowed != end->status)
        allowed++;
    CHECK_SAYING(allowed && *allowed, "%s answered %s: %s", reads ? "a read" : "a write",
                 kivi_status_name(end->status), message);
}

static load_fate fate_of(kivi_status status)
{
    if (status == KIVI_OK)
        return FATE_ACKNOWLEDGED;
    return status == KIVI_UNCERTAIN ? FATE_UNCERTAIN : FATE_REFUSED;
}

/* Whether a slot's key may hold a write: the last acknowledged, or one of unknown fate. */
static bool may_hold(const load_slot *slot, unsigned long number)
{
    return number == slot->acknowledged ||
           (number <= slot->number && number > 0 && slot->fates[number] == FATE_UNCERTAIN);
}

static void judge_value(const load_slot *slot, kivi_slice value)
{
    char bytes[64];
    unsigned long number = 0;
    unsigned index = LOAD_IN_FLIGHT;

    CHECK_SAYING(value.size < sizeof(bytes), "slot %u holds %zu bytes", slot->index, value.size);
    memcpy(bytes, value.data, value.size);
    bytes[value.size] = '\0';
    CHECK_SAYING(sscanf(bytes + 1, "%lu:%u", &number, &index) == 2 && index == slot->index,
                 "slot %u holds %s", slot->index, bytes);
    CHECK_SAYING(may_hold(slot, number), "slot %u holds write %lu, %lu was acknowledged",
                 slot->index, number, slot->acknowledged);
}

static void judge_write(load_slot *slot, kivi_status status)
{
    load_fate fate = fate_of(status);

    slot->fates[slot->number] = (uint8_t)fate;
    if (fate == FATE_ACKNOWLEDGED) {
        slot->acknowledged = slot->number;
        atomic_fetch_add(&slot->l->acknowledged, 1);
    }
}

static void judge_increment(load_slot *slot, const kivi_completion *end)
{
    load_fate fate = fate_of(end->status);

    slot->added += fate == FATE_ACKNOWLEDGED;
    slot->perhaps_added += fate == FATE_UNCERTAIN;
    if (fate != FATE_ACKNOWLEDGED)
        return;
    CHECK_SAYING(end->integer > slot->sum && end->integer >= (long long)slot->added &&
                     end->integer <= (long long)(slot->added + slot->perhaps_added),
                 "the sum is %lld after %lld; %lu were added, %lu perhaps", (long long)end->integer,
                 slot->sum, slot->added, slot->perhaps_added);
    slot->sum = end->integer;
}

void load_judge(load_slot *slot, const kivi_completion *end, uint64_t ended_ns)
{
    load *l = slot->l;

    note_excess(slot, ended_ns);
    check_allowed(slot, end);
    atomic_fetch_add(&l->calls, 1);
    atomic_fetch_add(&l->ends[end->status < 64 ? end->status : 63], 1);
    if (slot->request.verb == KIVI_VERB_SET)
        judge_write(slot, end->status);
    else if (slot->request.verb == KIVI_VERB_INCREMENT)
        judge_increment(slot, end);
    else if (end->status == KIVI_OK)
        judge_value(slot, end->value);
    else if (end->status == KIVI_NOT_FOUND)
        CHECK_SAYING(slot->acknowledged == 0, "slot %u holds nothing after write %lu", slot->index,
                     slot->acknowledged);
}

/* ---- all of them ---- */

static void await_count(atomic_ulong *count, unsigned long wanted, const char *what)
{
    uint64_t end = now_ns() + UINT64_C(60000000000);

    while (atomic_load(count) < wanted) {
        CHECK_SAYING(now_ns() < end, "%s: %lu instead of %lu within a minute", what,
                     atomic_load(count), wanted);
        pause_ms(2);
    }
}

void load_flows(load *l, unsigned long more)
{
    await_count(&l->acknowledged, atomic_load(&l->acknowledged) + more,
                "acknowledged (the store does not heal)");
}

void load_heals(load *l)
{
    for (unsigned i = 0; i < l->slot_count; i++)
        l->slots[i].seen = atomic_load(&l->slots[i].number);
    for (unsigned i = 0; i < l->slot_count; i++)
        await_count(&l->slots[i].acknowledged, l->slots[i].seen + 1,
                    "a slot's last write (the store does not heal)");
}

void load_sees(load *l, kivi_status status, unsigned long count)
{
    await_count(&l->ends[status], count, kivi_status_name(status));
}

unsigned long load_count(load *l, kivi_status status)
{
    return atomic_load(&l->ends[status]);
}

unsigned long load_failures(load *l)
{
    unsigned long count = 0;

    for (kivi_status status = KIVI_OK; status < 64; status++)
        if (is_failure(status))
            count += atomic_load(&l->ends[status]);
    return count;
}

static void compare_write(const load_slot *slot, unsigned long number, tally *t, tally_kind kind)
{
    load_fate fate = (load_fate)slot->fates[number];
    unsigned count = tally_count(t, slot->index, number);

    CHECK_SAYING(fate != FATE_NONE, "write %lu of slot %u has no end", number, slot->index);
    unsigned most = (kind == TALLY_ASKED || fate != FATE_REFUSED) + atomic_load(&t->refusals);
    CHECK_SAYING(count >= (fate == FATE_ACKNOWLEDGED) && count <= most,
                 "<%lu:%u> %s %u times; it was %s", number, slot->index,
                 kind == TALLY_APPLIED ? "was done" : "went to the server", count,
                 fate == FATE_ACKNOWLEDGED ? "acknowledged"
                 : fate == FATE_UNCERTAIN  ? "uncertain"
                                           : "refused");
}

void load_compare(const load *l, tally *t, tally_kind kind)
{
    for (unsigned i = 0; i < l->slot_count; i++)
        for (unsigned long number = 1; number <= l->slots[i].number; number++)
            compare_write(&l->slots[i], number, t, kind);
}

static void expect_kept(const load *l, const load_slot *slot)
{
    text key;
    kivi_buffer got = KIVI_BUFFER_INIT;
    kivi_status status = kivi_store_get(l->store, NULL,
                                        print(&key, "%s:%u", l->options.name, slot->index), &got, E);

    if (slot->acknowledged || status != KIVI_NOT_FOUND)
        OK(status);
    if (status == KIVI_OK)
        judge_value(slot, kivi_buffer_slice(&got));
    kivi_buffer_free(&got);
    print(&key, "%s:sum:%u", l->options.name, slot->index);
    long long sum = number_at(l->store, key.bytes, 0);
    CHECK_SAYING(sum >= (long long)slot->added && sum <= (long long)(slot->added + slot->perhaps_added),
                 "the sum of slot %u is %lld; %lu were added, %lu perhaps", slot->index, sum,
                 slot->added, slot->perhaps_added);
}

void load_report(const load *l, const char *what)
{
    long excess = atomic_load(&l->excess_us);

    printf("%s, %s:", what, l->options.kind == LOAD_QUEUE ? "queue" : "threads");
    for (kivi_status status = KIVI_OK; status < 64; status++)
        if (atomic_load(&l->ends[status]))
            printf(" %lu %s,", atomic_load(&l->ends[status]), kivi_status_name(status));
    printf(" at most %ld ms after its deadline\n", excess > 0 ? excess / 1000 : 0);
    fflush(stdout);
    for (unsigned i = 0; i < l->slot_count; i++)
        expect_kept(l, &l->slots[i]);
}

void load_free(load *l)
{
    for (unsigned i = 0; i < l->slot_count; i++) {
        free(l->slots[i].fates);
        kivi_interrupt_free(l->slots[i].interrupt);
    }
    free(l->slots);
    free(l);
}
