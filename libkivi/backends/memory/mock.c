/* The mock's dice: which vectors and items fail, hang, are left over, or are lost. */
#include "keys.h"
#include "memory.h"

/*
 * One random sequence an instance (SplitMix64): each draw takes the next state, so that the same calls
 * in the same order meet the same fate. Nothing is drawn for what cannot happen, so an option that is
 * off does not move the sequence.
 */
static uint64_t draw(memory_instance *instance)
{
    uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = atomic_fetch_add_explicit(&instance->random, step, memory_order_relaxed) + step;

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t kvi_random_below(memory_instance *instance, uint64_t limit)
{
    return draw(instance) % limit;
}

static bool chance(memory_instance *instance, double rate)
{
    return rate > 0 && (double)(draw(instance) >> 11) * 0x1p-53 < rate;
}

static bool coin(memory_instance *instance)
{
    return draw(instance) >> 63;
}

/* ---- Jobs ---- */

size_t kvi_job_count(const memory_job *job)
{
    switch (job->verb) {
    case VERB_READ:
        return job->reads->count;
    case VERB_WRITE:
        return job->writes->count;
    default:
        return 0;
    }
}

bool kvi_job_is_atomic(const memory_job *job)
{
    return job->verb == VERB_WRITE && (job->writes->flags & KIVI_VECTOR_ATOMIC);
}

static kivi_slice job_key(const memory_job *job, size_t index)
{
    return job->verb == VERB_READ ? kivi_read_item_at(job->reads, index)->key
                                  : kivi_write_item_at(job->writes, index)->key;
}

static bool key_begins(const memory_job *job, size_t index, const char *prefix)
{
    kivi_slice key = job_key(job, index);
    size_t size = prefix ? strlen(prefix) : 0;

    return size && key.size >= size && memcmp(key.data, prefix, size) == 0;
}

static bool any_key_begins(const memory_job *job, const char *prefix)
{
    for (size_t i = 0; prefix && i < kvi_job_count(job); i++)
        if (key_begins(job, i, prefix))
            return true;
    return false;
}

/* ---- The limits that were declared ---- */

static uint64_t job_bytes(const memory_job *job)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < kvi_job_count(job); i++) {
        bytes += job_key(job, i).size;
        if (job->verb == VERB_WRITE)
            bytes += kivi_write_item_at(job->writes, i)->value.size;
    }
    return bytes;
}

/* A single item goes whatever its size, and an atomic vector cannot be cut by its bytes. */
static bool keeps_limits(const memory_settings *settings, const memory_job *job)
{
    size_t count = kvi_job_count(job);

    if (settings->max_items && count > settings->max_items)
        return false;
    if (!settings->max_bytes || count < 2 || kvi_job_is_atomic(job))
        return true;
    return job_bytes(job) <= settings->max_bytes;
}

/* ---- Fates ---- */

static kivi_status plan_fates(memory_plan *plan, size_t count)
{
    plan->fates = plan->few;
    if (count > sizeof(plan->few))
        plan->fates = malloc(count);
    if (!plan->fates)
        return KIVI_NO_MEMORY;
    memset(plan->fates, FATE_SERVE, count);
    return KIVI_OK;
}

/* Breaks the vector, as often whole as in one item of it; an atomic one always whole. */
static void plan_failure(memory_instance *instance, const memory_job *job, memory_plan *plan)
{
    size_t count = kvi_job_count(job);

    if (!chance(instance, instance->settings.fail_rate))
        return;
    if (count == 0 || kvi_job_is_atomic(job) || coin(instance))
        plan->fails = true;
    else
        plan->fates[kvi_random_below(instance, count)] = FATE_FAIL;
}

/* A client of several servers finds each key's by its hash. */
static bool is_on_silent_server(const memory_settings *settings, kivi_slice key)
{
    return settings->silent_server &&
           kvi_memory_host->hash64(key) % settings->servers + 1 == settings->silent_server;
}

/* Those whose server answers have their answers whatever becomes of the others. */
static void plan_silence(const memory_settings *settings, const memory_job *job, memory_plan *plan)
{
    for (size_t i = 0; settings->silent_server && i < kvi_job_count(job); i++) {
        if (plan->fates[i] != FATE_SERVE || !is_on_silent_server(settings, job_key(job, i)))
            continue;
        plan->fates[i] = FATE_SILENCE;
        plan->silent = true;
    }
    plan->hangs = plan->hangs || (plan->silent && kvi_job_is_atomic(job));
}

static void plan_keys(const memory_settings *settings, const memory_job *job, memory_plan *plan)
{
    size_t count = kvi_job_count(job);
    bool alone = count == 1 || kvi_job_is_atomic(job);

    for (size_t i = 0; i < count; i++) {
        if (key_begins(job, i, settings->fail_keys))
            plan->fates[i] = FATE_FAIL;
        if (!kvi_keys_fit(settings, job_key(job, i)))
            plan->fates[i] = FATE_REFUSE;
        if (job->verb != VERB_WRITE || !key_begins(job, i, settings->refuse_whole))
            continue;
        plan->refused = plan->refused || !alone;
        plan->fates[i] = settings->refuse_busy ? FATE_BUSY : FATE_REFUSE;
    }
}

/* Leaves about half of the items; unless the mock is to stall, one of those that can be served is. */
static void plan_leftovers(memory_instance *instance, const memory_job *job, memory_plan *plan)
{
    size_t count = kvi_job_count(job);
    bool progress = false;

    if (count == 0 || kvi_job_is_atomic(job) || !chance(instance, instance->settings.partial_rate))
        return;
    if (instance->settings.partial_stall) {
        memset(plan->fates, FATE_LEAVE, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (plan->fates[i] == FATE_SERVE && (i + 1 < count || progress) && coin(instance))
            plan->fates[i] = FATE_LEAVE;
        progress = progress || plan->fates[i] != FATE_LEAVE;
    }
}

/* Cuts a write off: each item is applied or lost, an atomic vector as one. */
static void plan_cut(memory_instance *instance, const memory_job *job, memory_plan *plan)
{
    size_t count = kvi_job_count(job);
    bool lost;

    if (job->verb != VERB_WRITE || !chance(instance, instance->settings.uncertain_rate))
        return;
    plan->uncertain = true;
    lost = coin(instance);
    for (size_t i = 0; i < count; i++) {
        if (plan->fates[i] == FATE_SERVE && lost)
            plan->fates[i] = FATE_LOSE;
        if (!kvi_job_is_atomic(job))
            lost = coin(instance);
    }
}

/* One item that fails aborts the others of an atomic vector. */
static void plan_abort(const memory_job *job, memory_plan *plan)
{
    size_t count = kvi_job_count(job), failed = 0;

    if (!kvi_job_is_atomic(job))
        return;
    while (failed < count && plan->fates[failed] != FATE_FAIL && plan->fates[failed] != FATE_BUSY &&
           plan->fates[failed] != FATE_REFUSE)
        failed++;
    for (size_t i = 0; failed < count && i < count; i++)
        if (i != failed)
            plan->fates[i] = FATE_ABORT;
}

static uint64_t plan_delay(memory_instance *instance, const memory_job *job)
{
    const memory_settings *settings = &instance->settings;
    uint64_t delay = settings->latency_ns;

    if (settings->jitter_ns)
        delay += kvi_random_below(instance, settings->jitter_ns + 1);
    if (job->verb == VERB_WRITE)
        delay += settings->commit_ns;
    return delay;
}

kivi_status kvi_plan_make(memory_instance *instance, const memory_job *job, memory_plan *plan,
                          kivi_error **error)
{
    const memory_settings *settings = &instance->settings;

    memset(plan, 0, offsetof(memory_plan, few));
    if (!keeps_limits(settings, job)) {
        *error = kvi_memory_host->error(KIVI_INTERNAL, 0, KIVI_RETRY_NO,
                                        "mock: the vector is larger than max_items or max_bytes");
        return KIVI_INTERNAL;
    }
    if (plan_fates(plan, kvi_job_count(job)) != KIVI_OK) {
        *error = kvi_memory_error(KIVI_NO_MEMORY);
        return KIVI_NO_MEMORY;
    }
    plan->delay_ns = plan_delay(instance, job);
    plan->hangs = chance(instance, settings->hang_rate) || any_key_begins(job, settings->hang_keys);
    plan_failure(instance, job, plan);
    plan_leftovers(instance, job, plan);
    plan_keys(settings, job, plan);
    plan_silence(settings, job, plan);
    plan_abort(job, plan);
    plan_cut(instance, job, plan);
    if (plan->hangs)
        atomic_fetch_add(&instance->hung, 1);
    return KIVI_OK;
}

void kvi_plan_clear(memory_plan *plan)
{
    if (plan->fates != plan->few)
        free(plan->fates);
    plan->fates = NULL;
}

/* ---- Failing ---- */

static kivi_error *failure_error(const memory_instance *instance)
{
    const memory_failure *failure = instance->settings.failure;
    kivi_error *error = kvi_memory_host->error(failure->status, 0, failure->retryable, "%s",
                                               failure->text);

    kvi_memory_host->error_native_text(error, failure->word);
    return error;
}

static kivi_status item_failure(const memory_instance *instance, uint8_t fate, kivi_error **error)
{
    switch (fate) {
    case FATE_FAIL:
        *error = failure_error(instance);
        return instance->settings.failure->status;
    case FATE_ABORT:
        *error = kvi_memory_error(KIVI_ABORTED);
        return KIVI_ABORTED;
    case FATE_BUSY:
        *error = kvi_memory_host->error(KIVI_BUSY, 0, KIVI_RETRY_YES, "mock: another holds this key");
        return KIVI_BUSY;
    default:
        *error = kvi_memory_host->error(KIVI_INVALID, 0, KIVI_RETRY_NO,
                                        "mock: the store cannot hold this key");
        return KIVI_INVALID;
    }
}

void kvi_plan_fail_item(const memory_instance *instance, const memory_job *job,
                        const memory_plan *plan, size_t index)
{
    uint8_t fate = plan->fates[index];
    kivi_error **error;
    kivi_status status;

    if (fate != FATE_FAIL && fate != FATE_BUSY && fate != FATE_REFUSE && fate != FATE_ABORT)
        return;
    error = job->verb == VERB_READ ? &kivi_read_item_at(job->reads, index)->error
                                   : &kivi_write_item_at(job->writes, index)->error;
    status = item_failure(instance, fate, error);
    if (job->verb == VERB_READ)
        kivi_read_item_at(job->reads, index)->status = status;
    else
        kivi_write_item_at(job->writes, index)->status = status;
}

kivi_status kvi_plan_fail(const memory_instance *instance, const memory_plan *plan, kivi_error **error)
{
    if (plan->fails) {
        *error = failure_error(instance);
        return instance->settings.failure->status;
    }
    if (instance->settings.refuse_busy) {
        *error = kvi_memory_host->error(KIVI_BUSY, 0, KIVI_RETRY_YES,
                                        "mock: the write waited for a key that another holds");
        return KIVI_BUSY;
    }
    *error = kvi_memory_host->error(KIVI_INVALID, 0, KIVI_RETRY_YES,
                                    "mock: the write was refused whole for one of its keys");
    return KIVI_INVALID;
}

kivi_status kvi_mock_health(const memory_instance *instance, kivi_error **error)
{
    const memory_settings *settings = &instance->settings;

    if (!settings->silent_server)
        return KIVI_OK;
    *error = kvi_memory_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_LATER,
                                    "mock: server %u of %u does not answer",
                                    (unsigned)settings->silent_server, (unsigned)settings->servers);
    return KIVI_UNAVAILABLE;
}

kivi_status kvi_plan_cut(kivi_error **error)
{
    *error = kvi_memory_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_IF_IDEMPOTENT,
                                    "mock: the connection broke while it waited for an answer");
    return KIVI_UNAVAILABLE;
}
