/* Takes the command line apart by the tables of verbs and options. */
#include <stdlib.h>

#include "cli.h"

static int find_option(const char *name, size_t size)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (strlen(cli_options[i].name) == size && memcmp(cli_options[i].name, name, size) == 0)
            return i;
    return -1;
}

static int find_letter(char letter)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (letter && cli_options[i].letter == letter)
            return i;
    return -1;
}

/* "-5" and "-.5" are numbers, "-" is standard input: words, not options. */
static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] && !(word[1] >= '0' && word[1] <= '9') && word[1] != '.';
}

static void take(cli_args *args, int id, const char *text)
{
    args->given |= CLI_OPTION(id);
    if (id == OPT_OPTION)
        args->store_options[args->store_option_count++] = text;
    else
        args->text[id] = text;
}

static int unknown_option(const char *word, size_t size)
{
    return cli_fail(CLI_USAGE, "no option %.*s: see kivi help", (int)size, word);
}

/* One option at argv[*at]; moves on past the argument that it takes. */
static int take_option(cli_args *args, int argc, char **argv, int *at)
{
    const char *word = argv[*at];
    bool is_long = word[1] == '-';
    const char *name = word + (is_long ? 2 : 1);
    size_t size = is_long ? strcspn(name, "=") : 1;
    const char *text = is_long ? name[size] ? name + size + 1 : NULL : name[1] ? name + 1 : NULL;
    int id = is_long ? find_option(name, size) : find_letter(*name);

    if (id < 0) {
        const char *near = is_long ? cli_option_nearest(NULL, name, size) : NULL;

        if (near)
            return cli_fail(CLI_USAGE, "no option --%.*s: is it --%s?", (int)size, name, near);
        return unknown_option(word, is_long ? size + 2 : strlen(word));
    }
    if (!cli_options[id].argument) {
        if (text)
            return cli_fail(CLI_USAGE, "--%s takes no argument", cli_options[id].name);
        take(args, id, NULL);
        return CLI_DONE;
    }
    if (!text) {
        if (*at + 1 >= argc)
            return cli_fail(CLI_USAGE, "--%s needs %s", cli_options[id].name, cli_options[id].argument);
        text = argv[++*at];
    }
    take(args, id, text);
    return CLI_DONE;
}

static int find_verb(cli_args *args)
{
    const char *name = args->words[0];
    const char *near;

    args->verb = cli_verb_find(cli_verbs, name);
    if (args->verb) {
        args->words++;
        args->word_count--;
        return CLI_DONE;
    }
    near = cli_verb_nearest(cli_verbs, name);
    if (near)
        return cli_fail(CLI_USAGE, "no verb \"%s\": is it %s?", name, near);
    return cli_fail(CLI_USAGE, "no verb \"%s\": kivi help lists them", name);
}

/* Whether the verb knows the options and the number of words it was given. */
static int check(const cli_args *args)
{
    const cli_verb *verb = args->verb;

    for (int i = 0; i < OPT_COUNT; i++)
        if (cli_has(args, (cli_option_id)i) && !(verb->options & CLI_OPTION(i)))
            return cli_fail(CLI_USAGE, "%s has no option --%s: see kivi %s --help", verb->name,
                            cli_options[i].name, verb->name);
    if (args->word_count < verb->least || (verb->most >= 0 && args->word_count > verb->most))
        return cli_fail(CLI_USAGE, "usage: kivi %s%s%s [OPTION...]", verb->name,
                        *verb->arguments ? " " : "", verb->arguments);
    return CLI_DONE;
}

int cli_args_parse(cli_args *args, int argc, char **argv)
{
    bool options = true;
    int code;

    memset(args, 0, sizeof *args);
    args->words = cli_alloc(NULL, ((size_t)argc + 1) * sizeof *args->words);
    args->store_options = cli_alloc(NULL, ((size_t)argc + 1) * sizeof *args->store_options);
    for (int i = 1; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && is_option(argv[i])) {
            code = take_option(args, argc, argv, &i);
            if (code)
                return code;
        } else {
            args->words[args->word_count++] = argv[i];
        }
    }
    if (!args->word_count)
        return CLI_DONE;
    code = find_verb(args);
    if (code || cli_has(args, OPT_HELP))
        return code;
    return check(args);
}

void cli_args_free(cli_args *args)
{
    free(args->verb ? args->words - 1 : args->words);
    free(args->store_options);
}
