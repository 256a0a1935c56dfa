/* Whether the table that a plugin answers is one that the core can work with. */
#include "../options/options.h"
#include "plugin.h"

#include <stdarg.h>
#include <stdio.h>

KIVI_PRINTF(2, 3) static bool refuse(char problem[KVI_PROBLEM_SIZE], const char *format, ...)
{
    va_list given;
    va_start(given, format);
    vsnprintf(problem, KVI_PROBLEM_SIZE, format, given);
    va_end(given);
    return false;
}

static bool check_version(const kivi_backend *backend, char problem[KVI_PROBLEM_SIZE])
{
    if (!backend)
        return refuse(problem, "it does not work with libkivi %s (plugin ABI %d): install the one made for it",
                      kivi_version(), KIVI_BACKEND_ABI);
    if (backend->abi != KIVI_BACKEND_ABI)
        return refuse(problem, "it was made for plugin ABI %u, libkivi %s has %d: install the one made for it",
                      (unsigned)backend->abi, kivi_version(), KIVI_BACKEND_ABI);
    if (backend->struct_size < sizeof(kivi_backend))
        return refuse(problem, "its table is cut short (%u bytes of %zu)",
                      (unsigned)backend->struct_size, sizeof(kivi_backend));
    return true;
}

static bool check_functions(const kivi_backend *backend, char problem[KVI_PROBLEM_SIZE])
{
    if (!backend->open || !backend->close || !backend->abandon || !backend->read || !backend->write)
        return refuse(problem, "backend %s lacks one of open, close, abandon, read and write",
                      backend->name);
    if (!backend->session_open != !backend->session_close ||
        !backend->session_open != !backend->session_abandon)
        return refuse(problem,
                      "backend %s has only some of session_open, session_close and session_abandon",
                      backend->name);
    return true;
}

/* A default or recommended text must be one that a user could set. */
static bool check_text(const kivi_option_info *info, const char *text, char problem[KVI_PROBLEM_SIZE])
{
    kvi_option_value value;
    kivi_error *error = NULL;
    if (!text || !kvi_option_read(info, text, KVI_GIVEN_TEXT, &value, &error))
        return true;
    refuse(problem, "%s", kivi_error_message(error));
    kivi_error_free(error);
    return false;
}

static bool check_option(const kivi_backend *backend, size_t index, char problem[KVI_PROBLEM_SIZE])
{
    const kivi_option_info *info = kvi_backend_option(backend, index);
    if (info->struct_size < sizeof(*info) || !info->name || !*info->name || !info->help)
        return refuse(problem, "option %zu of backend %s has no size, name or help", index,
                      backend->name);
    if (info->type == KIVI_OPTION_CHOICE && !info->choices)
        return refuse(problem, "option \"%s\" of backend %s has no choices", info->name, backend->name);
    if (kvi_option_find(backend, info->name) != info)
        return refuse(problem,
                      "option \"%s\" of backend %s is there twice, or is one that every store has",
                      info->name, backend->name);
    return check_text(info, info->default_text, problem) &&
           check_text(info, info->recommended_text, problem);
}

static bool check_options(const kivi_backend *backend, char problem[KVI_PROBLEM_SIZE])
{
    if (!backend->option_count)
        return true;
    if (!backend->options || backend->options->struct_size < sizeof(kivi_option_info))
        return refuse(problem, "backend %s has options of no known size", backend->name);
    for (size_t i = 0; i < backend->option_count; i++)
        if (!check_option(backend, i, problem))
            return false;
    return true;
}

bool kvi_backend_check(const kivi_backend *backend, char problem[KVI_PROBLEM_SIZE])
{
    const char *words, *word;
    if (!check_version(backend, problem))
        return false;
    words = backend->schemes ? backend->schemes : "";
    if (!backend->name || !*backend->name || !backend->summary || !kvi_words_next(&words, &word))
        return refuse(problem, "it has no name, schemes or summary");
    return check_functions(backend, problem) && check_options(backend, problem);
}
