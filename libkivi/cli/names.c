/* Verbs and options by name, and the nearest to a mistyped one. */
#include "cli.h"

const cli_verb *cli_verb_find(const cli_verb *verbs, const char *name)
{
    for (const cli_verb *verb = verbs; verb->name; verb++)
        if (strcmp(verb->name, name) == 0)
            return verb;
    return NULL;
}

#define NAME_MAX_SIZE 24

/* Letters to change, add or take away to make one name of the other. */
static size_t distance(const char *a, size_t a_size, const char *b)
{
    size_t row[NAME_MAX_SIZE + 1];
    size_t b_size = strlen(b);

    if (a_size > NAME_MAX_SIZE || b_size > NAME_MAX_SIZE)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_size];
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
    const char *best = NULL;
    size_t least = strlen(name) > 4 ? 3 : 2;

    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
        if (strcmp(synonyms[i][0], name) == 0)
            return synonyms[i][1];
    for (const cli_verb *verb = verbs; verb->name; verb++) {
        size_t far = distance(name, strlen(name), verb->name);

        if (far < least) {
            least = far;
            best = verb->name;
        }
    }
    return best;
}

const char *cli_option_nearest(const cli_verb *verb, const char *name, size_t size)
{
    const char *best = NULL;
    size_t least = 3;

    for (int i = 0; i < OPT_COUNT; i++) {
        size_t far = distance(name, size, cli_options[i].name);

        if ((!verb || verb->options & CLI_OPTION(i)) && far < least) {
            least = far;
            best = cli_options[i].name;
        }
    }
    return best;
}
