/* The verdict on an item without an answer: it is asked again, or fails, or nobody can say. */
#include "lanes.h"

bool kvi_is_leaving(kivi_status status)
{
    return status == KIVI_TIMEOUT || status == KIVI_INTERRUPTED || status == KIVI_CANCELLED ||
           status == KIVI_CLOSED;
}

bool kvi_keeps_session(kivi_status status, const kivi_error *error)
{
    if (status == KIVI_FORKED)
        return true; /* it is the parent's, to be abandoned */
    if (status == KIVI_UNAVAILABLE || kvi_is_leaving(status))
        return false;
    return error && kivi_error_retryable(error) == KIVI_RETRY_YES;
}

/* Whether something that failed so may be asked again: it was a read, or nothing was applied. */
static bool may_repeat(kivi_status status, kivi_retryable retryable, bool is_read, int32_t sent)
{
    if (kvi_is_leaving(status))
        return is_read || sent == KIVI_SENT_NOTHING;
    if (status != KIVI_UNAVAILABLE || retryable == KIVI_RETRY_LATER || retryable == KIVI_RETRY_NO)
        return false;
    return is_read || sent == KIVI_SENT_NOTHING;
}

/* The status of a write that was cut off. */
static kivi_status cut_off(kivi_status status, kivi_retryable retryable, int32_t sent)
{
    bool vague = kvi_is_leaving(status) || status == KIVI_UNAVAILABLE ||
                 retryable == KIVI_RETRY_IF_IDEMPOTENT;
    if (!vague || sent == KIVI_SENT_NOTHING || retryable == KIVI_RETRY_YES || retryable == KIVI_RETRY_LATER)
        return status;
    return KIVI_UNCERTAIN;
}

/*
 * What a failure means for one item: PENDING, with the reason as its error, where the core asks again;
 * else its answer. `error` is replaced where the status changes.
 */
static kivi_status judge(kivi_status status, kivi_error **error, bool is_read, int32_t sent)
{
    kivi_retryable retryable = *error ? kivi_error_retryable(*error) : KIVI_RETRY_NO;
    if (may_repeat(status, retryable, is_read, sent))
        return KIVI_PENDING;
    kivi_status answer = is_read ? status : cut_off(status, retryable, sent);
    if (answer != status) {
        kivi_error *cause = *error;
        *error = kvi_error_new(
            answer, 0, KIVI_RETRY_IF_IDEMPOTENT,
            "the write was cut off in flight; it may or may not have been applied (%s)",
            cause ? kivi_error_message(cause) : kivi_status_name(status));
        kvi_error_take_native(*error, cause);
        kivi_error_free(cause);
    }
    return answer;
}

void kvi_flight_judge_read(kivi_read_item *item)
{
    if (item->error)
        item->status = judge(item->status, &item->error, item->then == KIVI_THEN_NOTHING, item->sent);
}

void kvi_flight_judge_write(kivi_write_item *item)
{
    if (item->error)
        item->status = judge(item->status, &item->error, false, item->sent);
    else if (item->status != KIVI_PENDING) /* no words, no repeat; but no claim that it was not applied */
        item->status = cut_off(item->status, KIVI_RETRY_NO, item->sent);
}

void kvi_flight_fail_read(kivi_read_item *item, kivi_status status, const kivi_error *error)
{
    if (item->status != KIVI_PENDING)
        return;
    kivi_error_free(item->error); /* why it was to be asked again */
    item->error = error ? kvi_error_copy(error) : NULL;
    item->status = judge(status, &item->error, item->then == KIVI_THEN_NOTHING, item->sent);
}

void kvi_flight_fail_write(kivi_write_item *item, kivi_status status, const kivi_error *error)
{
    if (item->status != KIVI_PENDING)
        return;
    kivi_error_free(item->error); /* why it was to be asked again */
    item->error = error ? kvi_error_copy(error) : NULL;
    item->status = judge(status, &item->error, false, item->sent);
}
