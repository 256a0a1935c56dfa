/* Help: of the command, of each verb, and of topics, out of the tables. */
#include <stdio.h>

#include "cli.h"

#define COLUMN 24

static void print_option(const cli_option *option)
{
    char name[64];

    snprintf(name, sizeof name, "%c%c%s--%s%s%s", option->letter ? '-' : ' ',
             option->letter ? option->letter : ' ', option->letter ? ", " : "  ", option->name,
             option->argument ? " " : "", option->argument ? option->argument : "");
    printf("  %-*s %s%s\n", COLUMN, name,
           (int)strlen(name) > COLUMN ? "\n                           " : "", option->help);
}

void cli_help_verb(const cli_verb *verb)
{
    printf("usage: kivi %s%s%s%s [OPTION...]\n\n%s.\n", verb->opens ? "[-s URL] " : "", verb->name,
           *verb->arguments ? " " : "", verb->arguments, verb->summary);
    if (*verb->details)
        printf("\n%s\n", verb->details);
    printf("\nOptions:\n");
    for (int i = 0; i < OPT_COUNT; i++)
        if (verb->options & CLI_OPTION(i))
            print_option(&cli_options[i]);
}

static void print_overview(const cli_verb *verbs)
{
    char usage[64];

    printf(
        "usage: kivi [-s URL] VERB [ARGUMENT...] [OPTION...]\n\n"
        "Reads and writes key-value stores. The store is named by -s or the variable KIVI_URL.\n\n"
        "Verbs:\n");
    for (const cli_verb *verb = verbs; verb->name; verb++) {
        snprintf(usage, sizeof usage, "%s %s", verb->name, verb->arguments);
        printf("  %-32s %s\n", usage, verb->summary);
    }
    printf("\nTopics:\n");
    for (const cli_topic *topic = cli_topics; topic->name; topic++)
        printf("  %-32s %s\n", topic->name, topic->summary);
    printf("\nA password in an argument can be read by every user (ps) until kivi has begun: put "
           "it into\n"
           "KIVI_URL, or name where it lies: -s 'redis://HOST?password_file=FILE' or "
           "password_env=NAME.\n");
    printf("\nkivi help VERB or TOPIC tells more; so does kivi VERB --help.\n");
}

/* For completion and tests: each verb with the options it takes. */
static void print_list(const cli_verb *verbs)
{
    for (const cli_verb *verb = verbs; verb->name; verb++) {
        printf("%s", verb->name);
        for (int i = 0; i < OPT_COUNT; i++)
            if (verb->options & CLI_OPTION(i))
                printf(" --%s", cli_options[i].name);
        putchar('\n');
    }
}

int cli_help(cli_context *cli)
{
    const char *name = cli->args.word_count ? cli->args.words[0] : NULL;
    const cli_verb *verb;
    const char *near;

    if (cli_has(&cli->args, OPT_LIST)) {
        print_list(cli->verbs);
        return CLI_DONE;
    }
    if (!name) {
        print_overview(cli->verbs);
        return CLI_DONE;
    }
    verb = cli_verb_find(cli->verbs, name);
    if (verb) {
        cli_help_verb(verb);
        return CLI_DONE;
    }
    for (const cli_topic *topic = cli_topics; topic->name; topic++)
        if (strcmp(topic->name, name) == 0) {
            puts(topic->text);
            return CLI_DONE;
        }
    near = cli_verb_nearest(cli->verbs, name);
    if (near)
        return cli_fail(CLI_USAGE, "no verb or topic \"%s\": did you mean \"%s\"?", name, near);
    return cli_fail(CLI_USAGE, "no verb or topic \"%s\": kivi help lists them", name);
}
