/* Sets of options as the caller fills them: names and texts, unchecked. */
#include "options.h"
#include "../base/base.h"
#include "../base/platform.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct setting {
    char *name, *text;
    kvi_given given;
} setting;

struct kivi_options {
    setting *settings;
    size_t count, capacity;
    kivi_event_fn on_event;
    void *on_event_user;
};

kivi_options *kivi_options_new(void)
{
    return calloc(1, sizeof(kivi_options));
}

static setting *find(const kivi_options *options, const char *name)
{
    for (size_t i = 0; i < options->count; i++)
        if (!strcmp(options->settings[i].name, name))
            return &options->settings[i];
    return NULL;
}

/* Which settings are secrets only the backend knows, so every text is wiped. */
static void free_text(char *text)
{
    if (text)
        kvi_erase(text, strlen(text));
    free(text);
}

static void take_out(kivi_options *options, setting *gone)
{
    free(gone->name);
    free_text(gone->text);
    setting *end = options->settings + options->count--;
    memmove(gone, gone + 1, (size_t)(end - (gone + 1)) * sizeof(*gone));
}

/* A place for a new setting, without name and text and not counted yet. */
static setting *make_room(kivi_options *options)
{
    if (options->count == options->capacity) {
        size_t capacity = options->capacity ? options->capacity * 2 : 8;
        setting *grown = kvi_realloc_array(options->settings, capacity, sizeof(*grown));
        if (!grown)
            return NULL;
        options->settings = grown;
        options->capacity = capacity;
    }
    return &options->settings[options->count];
}

static bool put(kivi_options *options, const char *name, const char *text, kvi_given given)
{
    char *copy = strdup(text);
    if (!copy)
        return false;
    setting *place = find(options, name);
    if (!place) {
        place = make_room(options);
        char *own_name = place ? strdup(name) : NULL;
        if (!own_name) {
            free_text(copy);
            return false;
        }
        *place = (setting){.name = own_name};
        options->count++;
    }
    free_text(place->text);
    place->text = copy;
    place->given = given;
    return true;
}

static kivi_status set(kivi_options *options, const char *name, const char *text, kvi_given given,
                       kivi_error **error)
{
    kvi_error_clear(error);
    if (!name || !*name)
        return kvi_fail(error, KIVI_INVALID, "an option needs a name");
    if (!put(options, name, text, given))
        return kvi_fail(error, KIVI_NO_MEMORY, "no memory for option \"%.64s\"", name);
    return KIVI_OK;
}

kivi_status kivi_options_set(kivi_options *options, const char *name, const char *text, kivi_error **error)
{
    if (text)
        return set(options, name, text, KVI_GIVEN_TEXT, error);
    kvi_error_clear(error);
    if (!name || !*name)
        return kvi_fail(error, KIVI_INVALID, "an option needs a name");
    setting *gone = find(options, name);
    if (gone)
        take_out(options, gone);
    return KIVI_OK;
}

kivi_status kivi_options_set_int(kivi_options *options, const char *name, int64_t value, kivi_error **error)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, value);
    return set(options, name, text, KVI_GIVEN_NUMBER, error);
}

kivi_status kivi_options_set_bool(kivi_options *options, const char *name, bool value, kivi_error **error)
{
    return set(options, name, value ? "true" : "false", KVI_GIVEN_TEXT, error);
}

kivi_status kvi_options_set_bare(kivi_options *options, const char *name, kivi_error **error)
{
    return set(options, name, "true", KVI_GIVEN_BARE, error);
}

kvi_given kvi_options_given(const kivi_options *options, const char *name)
{
    const setting *found = find(options, name);
    return found ? found->given : KVI_GIVEN_TEXT;
}

const char *kivi_options_get(const kivi_options *options, const char *name)
{
    const setting *found = name ? find(options, name) : NULL;
    return found ? found->text : NULL;
}

const char *kivi_options_name(const kivi_options *options, size_t index)
{
    return index < options->count ? options->settings[index].name : NULL;
}

void kivi_options_on_event(kivi_options *options, kivi_event_fn on_event, void *user)
{
    options->on_event = on_event;
    options->on_event_user = user;
}

kivi_event_fn kvi_options_hook(const kivi_options *options, void **user)
{
    *user = options ? options->on_event_user : NULL;
    return options ? options->on_event : NULL;
}

kivi_options *kivi_options_copy(const kivi_options *options)
{
    kivi_options *copy = kivi_options_new();
    if (!copy)
        return NULL;
    for (size_t i = 0; i < options->count; i++) {
        const setting *from = &options->settings[i];
        if (!put(copy, from->name, from->text, from->given)) {
            kivi_options_free(copy);
            return NULL;
        }
    }
    copy->on_event = options->on_event;
    copy->on_event_user = options->on_event_user;
    return copy;
}

void kivi_options_free(kivi_options *options)
{
    if (!options)
        return;
    for (size_t i = 0; i < options->count; i++) {
        free(options->settings[i].name);
        free_text(options->settings[i].text);
    }
    free(options->settings);
    free(options);
}
