/* Verbs and options by name, and the nearest to a mistyped one. */
#include "../core/base/nearest.h"
#include "cli.h"

const cli_verb *cli_verb_find(const cli_verb *verbs, const char *name)
{
    for (const cli_verb *verb = verbs; verb->name; verb++)
        if (strcmp(verb->name, name) == 0)
            return verb;
    return NULL;
}

/* Words that users of other tools try. */
static const char *const synonyms[][2] = {
    {"put", "set"},        {"del", "delete"},   {"rm", "delete"},   {"remove", "delete"},
    {"incr", "increment"}, {"ls", "keys"},      {"list", "keys"},   {"flush", "clear"},
    {"pop", "take"},       {"touch", "expire"}, {"dump", "export"}, {"load", "import"},
    {"cp", "copy"},        {"ping", "health"},  {"has", "exists"},  {"info", "stats"},
};

const char *cli_verb_nearest(const cli_verb *verbs, const char *name)
{
    kvi_nearest search;

    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
        if (strcmp(synonyms[i][0], name) == 0)
            return synonyms[i][1];
    kvi_nearest_begin(&search, name, strlen(name));
    for (const cli_verb *verb = verbs; verb->name; verb++)
        kvi_nearest_try(&search, verb->name);
    return search.best;
}

const char *cli_option_nearest(const cli_verb *verb, const char *name, size_t size)
{
    kvi_nearest search;

    kvi_nearest_begin(&search, name, size);
    for (int i = 0; i < OPT_COUNT; i++)
        if (!verb || verb->options & CLI_OPTION(i))
            kvi_nearest_try(&search, cli_options[i].name);
    return search.best;
}
