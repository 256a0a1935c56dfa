/* Errors: one allocation each, holding the message; constant ones for when memory is out. */
#include "base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct kivi_error {
    kivi_status status;
    kivi_retryable retryable;
    int64_t native_code;
    const char *backend; /* static */
    const char *message;
    size_t index; /* of the batch's item; SIZE_MAX: none */
    char native_text[KVI_NATIVE_TEXT + 1];
};

/* What kvi_fail() says of trying again, and what is said when there is no memory to say more. */
#define BARE(name, retry)                                                                         \
    {                                                                                             \
        KIVI_##name, KIVI_RETRY_##retry, 0, "", #name ", and no memory to say more", SIZE_MAX, "" \
    }
static const kivi_error bare_errors[] = {
    {KIVI_NO_MEMORY, KIVI_RETRY_NO, 0, "", "out of memory", SIZE_MAX, ""},
    BARE(INVALID, NO),
    BARE(UNSUPPORTED, NO),
    BARE(TOO_LARGE, NO),
    BARE(WRONG_TYPE, NO),
    BARE(OVERFLOW, NO),
    BARE(CORRUPT, NO),
    BARE(UNREPRESENTABLE, NO),
    BARE(ABORTED, NO),
    BARE(TIMEOUT, YES),
    BARE(INTERRUPTED, YES),
    BARE(CANCELLED, YES),
    BARE(UNAVAILABLE, YES),
    BARE(UNCERTAIN, IF_IDEMPOTENT),
    BARE(BUSY, YES),
    BARE(DENIED, NO),
    BARE(FORKED, NO),
    BARE(CLOSED, NO),
    BARE(IO, NO),
    BARE(INTERNAL, NO),
};
#define BARE_COUNT (sizeof(bare_errors) / sizeof(bare_errors[0]))

static const kivi_error *bare_error(kivi_status status)
{
    for (size_t i = 0; i < BARE_COUNT; i++)
        if (bare_errors[i].status == status)
            return &bare_errors[i];
    return &bare_errors[0];
}

/* Nobody writes to an error of another owner, so handing out a constant one is safe. */
static kivi_error *borrow(const kivi_error *constant)
{
    return (kivi_error *)(uintptr_t)constant;
}

static bool is_constant(const kivi_error *error)
{
    uintptr_t at = (uintptr_t)error, first = (uintptr_t)bare_errors;
    return at >= first && at < first + sizeof(bare_errors);
}

/* Messages are one line of UTF-8 that a terminal can be given, whatever they quote. */
static void make_one_line(char *text, size_t size)
{
    size_t length, kept = 0;
    for (size_t i = 0; i < size; i += length) {
        if (kvi_utf8_is_printable(kivi_bytes(text + i, size - i), &length)) {
            memmove(text + kept, text + i, length);
            kept += length;
        } else {
            text[kept++] = '?';
        }
    }
    text[kept] = '\0';
}

static kivi_error *allocate(kivi_status status, size_t size, char **message)
{
    kivi_error *error = malloc(sizeof(*error) + size + 1);
    if (!error)
        return NULL;
    *error = (kivi_error){
        .status = status, .backend = "", .message = (char *)(error + 1), .index = SIZE_MAX};
    *message = (char *)(error + 1);
    return error;
}

KIVI_PRINTF(2, 0)
static kivi_error *format_error(kivi_status status, const char *format, va_list given)
{
    va_list again;
    char *message;
    kivi_error *error = NULL;
    va_copy(again, given);
    int size = vsnprintf(NULL, 0, format, given);
    if (size >= 0)
        error = allocate(status, (size_t)size, &message);
    if (error) {
        vsnprintf(message, (size_t)size + 1, format, again);
        make_one_line(message, strlen(message));
    }
    va_end(again);
    return error;
}

kivi_status kvi_fail(kivi_error **error, kivi_status status, const char *format, ...)
{
    if (!error)
        return status;
    const kivi_error *bare = bare_error(status);
    va_list given;
    va_start(given, format);
    *error = format_error(status, format, given);
    va_end(given);
    if (*error)
        (*error)->retryable = bare->status == status ? bare->retryable : KIVI_RETRY_NO;
    else
        *error = borrow(bare);
    return status;
}

kivi_error *kvi_error_new(kivi_status status, int64_t native_code, kivi_retryable retryable,
                          const char *format, ...)
{
    va_list given;
    va_start(given, format);
    kivi_error *error = format_error(status, format, given);
    va_end(given);
    if (!error)
        return borrow(bare_error(status));
    error->native_code = native_code;
    error->retryable = retryable;
    return error;
}

void kvi_error_name_backend(kivi_error *error, const char *backend)
{
    if (error && !is_constant(error) && !*error->backend)
        error->backend = backend;
}

void kvi_error_set_index(kivi_error *error, size_t index)
{
    if (error && !is_constant(error))
        error->index = index;
}

void kvi_error_native_text(kivi_error *error, const char *text)
{
    size_t size = 0;
    if (!error || is_constant(error))
        return;
    while (size < KVI_NATIVE_TEXT && text[size] > ' ' && text[size] < 0x7f)
        size++;
    memcpy(error->native_text, text, size);
    error->native_text[size] = '\0';
}

void kvi_error_take_native(kivi_error *error, const kivi_error *cause)
{
    if (!cause || is_constant(error))
        return;
    error->native_code = cause->native_code;
    memcpy(error->native_text, cause->native_text, sizeof(error->native_text));
}

kivi_error *kvi_error_copy(const kivi_error *error)
{
    if (!error || is_constant(error))
        return borrow(error);
    char *message;
    size_t size = strlen(error->message);
    kivi_error *copy = allocate(error->status, size, &message);
    if (!copy)
        return borrow(bare_error(error->status));
    memcpy(message, error->message, size + 1);
    copy->retryable = error->retryable;
    kvi_error_take_native(copy, error);
    copy->backend = error->backend;
    copy->index = error->index;
    return copy;
}

kivi_status kivi_error_status(const kivi_error *error)
{
    return error ? error->status : KIVI_OK;
}

const char *kivi_error_message(const kivi_error *error)
{
    return error ? error->message : "";
}

const char *kivi_error_backend(const kivi_error *error)
{
    return error ? error->backend : "";
}

int64_t kivi_error_native_code(const kivi_error *error)
{
    return error ? error->native_code : 0;
}

const char *kivi_error_native_text(const kivi_error *error)
{
    return error ? error->native_text : "";
}

size_t kivi_error_index(const kivi_error *error)
{
    return error ? error->index : SIZE_MAX;
}

kivi_retryable kivi_error_retryable(const kivi_error *error)
{
    return error ? error->retryable : KIVI_RETRY_NO;
}

void kivi_error_free(kivi_error *error)
{
    if (error && !is_constant(error))
        free(error);
}
