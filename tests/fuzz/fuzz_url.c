/* URLs: reading any text never crashes, what was read can be shown, and nothing shown or said holds a password. */
#include "core/base/base.h"
#include "core/options/options.h"

#include <stdio.h>
#include <stdlib.h>

#define SECRET "S3cretQXZ" /* in no message and no URL by chance */

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool holds_secret(const char *text)
{
    return strstr(text, SECRET) != NULL;
}

static char *text_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* Reads and shows; answers the status of both. `quiet`: whether the secret must be in no message. */
static kivi_status read_and_show(const char *text, bool quiet, char **shown)
{
    kvi_url url;
    kivi_error *error = NULL;
    size_t room = strlen(text) * 3 + 64;
    *shown = malloc(room);
    require(*shown != NULL);
    kivi_status status = kvi_url_parse(text, &url, &error);
    require(!quiet || !holds_secret(kivi_error_message(error)));
    kivi_error_free(error);
    require(kivi_url_redact(text, *shown, room, NULL) == status);
    require(status == KIVI_OK || status == KIVI_INVALID);
    require(status || (url.scheme && url.query));
    if (!status)
        kvi_url_clear(&url);
    return status;
}

static void check_any(const char *text)
{
    char *shown, *again;
    kivi_status status = read_and_show(text, false, &shown);
    if (!status) { /* what is shown is a URL, and shown the same */
        require(read_and_show(shown, false, &again) == KIVI_OK);
        require(!strcmp(shown, again));
        free(again);
    } else {
        require(!*shown);
    }
    free(shown);
}

/* A password that begins with the input, whatever that does to the URL, and holds the secret. */
static void check_password(const char *middle, const char *tail)
{
    char *text, *shown;
    if (holds_secret(tail))
        return;
    require(asprintf(&text, "redis://user:%s" SECRET "@host%s", middle, tail) > 0);
    read_and_show(text, true, &shown);
    require(!holds_secret(shown));
    free(shown);
    free(text);
}

static void check_secret_option(const char *tail)
{
    char *text, *shown;
    if (holds_secret(tail))
        return;
    require(asprintf(&text, "nobody://host/?token=" SECRET "&%s", tail) > 0);
    read_and_show(text, true, &shown);
    require(!holds_secret(shown));
    free(shown);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    size_t half = size / 2;
    char *whole = text_of(data, size), *first = text_of(data, half),
         *second = text_of(data + half, size - half);
    setenv("KIVI_PLUGIN_PATH", "", 1);
    check_any(whole);
    check_password(first, second);
    check_secret_option(whole);
    free(whole);
    free(first);
    free(second);
    return 0;
}
