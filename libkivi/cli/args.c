/* Takes the command line apart by the tables of verbs and options. */
#include <stdlib.h>

#include "../core/base/platform.h"
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
            return cli_fail(CLI_USAGE, "no option --%.*s: did you mean --%s?", (int)size, name, near);
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
        return cli_fail(CLI_USAGE, "no verb \"%s\": did you mean \"%s\"?", name, near);
    return cli_fail(CLI_USAGE, "no verb \"%s\": kivi help lists them", name);
}

/* A copy that lives as long as the arguments. */
static const char *keep_copy(cli_args *args, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = cli_alloc(NULL, size);

    memcpy(copy, text, size);
    args->copies = cli_alloc(args->copies, ((size_t)args->copy_count + 1) * sizeof *args->copies);
    args->copies[args->copy_count++] = copy;
    return copy;
}

static void blank(char *from, const char *to)
{
    while (from < to && *from)
        *from++ = '*';
}

/*
 * Takes a URL out of the command line, which every user of the system can read (ps): what may hold a secret is
 * overwritten there, its login and its options.
 */
static const char *take_url(cli_args *args, const char *given)
{
    /* Arguments are the program's own memory, which may be written. */
    char *shown = (char *)(uintptr_t)given;
    char *query = strchr(shown, '?'), *end = query ? query : shown + strlen(shown);
    char *login = strstr(shown, "//");
    const char *at = strrchr(shown, '@'); /* the last: one in a password is part of it */
    const char *own;

    if (!query && !at)
        return given;
    own = keep_copy(args, given);
    if (login && at)
        blank(login + 2, at);
    if (query && (!at || end > at))
        blank(query + 1, query + strlen(query));
    return own;
}

/* The value of an option of the store. */
static const char *take_setting(cli_args *args, const char *given)
{
    char *value = strchr((char *)(uintptr_t)given, '=');
    const char *own;

    if (!value)
        return given;
    own = keep_copy(args, given);
    blank(value + 1, value + strlen(value));
    return own;
}

static void hide_secrets(cli_args *args)
{
    if (args->text[OPT_STORE])
        args->text[OPT_STORE] = take_url(args, args->text[OPT_STORE]);
    for (int i = 0; i < args->store_option_count; i++)
        args->store_options[i] = take_setting(args, args->store_options[i]);
    if (args->verb && strcmp(args->verb->name, "copy") == 0)
        for (int i = 0; i < args->word_count; i++)
            args->words[i] = (char *)(uintptr_t)take_url(args, args->words[i]);
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
    hide_secrets(args);
    if (code || cli_has(args, OPT_HELP))
        return code;
    return check(args);
}

void cli_args_free(cli_args *args)
{
    free(args->verb ? args->words - 1 : args->words);
    free(args->store_options);
    for (int i = 0; i < args->copy_count; i++) {
        kvi_erase(args->copies[i], strlen(args->copies[i]));
        free(args->copies[i]);
    }
    free(args->copies);
}
