/* Verbs that tell about the library without opening a store: options, stores, version. */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

static const char *const type_names[] = {
    "text", "yes or no", "whole number", "bytes", "duration", "one of", "number",
};

static const char *type_name(kivi_option_type type)
{
    return (size_t)type < sizeof type_names / sizeof *type_names ? type_names[type] : "text";
}

static void put_member(kivi_writer *json, const char *name, const char *text)
{
    kivi_writer_str(json, kivi_str(name));
    if (text)
        kivi_writer_str(json, kivi_str(text));
    else
        kivi_writer_nil(json);
}

static void put_flag(kivi_writer *json, const char *name, bool flag)
{
    kivi_writer_str(json, kivi_str(name));
    kivi_writer_bool(json, flag);
}

static void print_option_json(cli_context *cli, const kivi_option_info *info)
{
    kivi_writer *json = cli_values_json(&cli->values);
    kivi_buffer line = KIVI_BUFFER_INIT;

    kivi_writer_start(json, &line);
    kivi_writer_map(json, 8);
    put_member(json, "name", info->name);
    put_member(json, "type", type_name(info->type));
    put_member(json, "choices", info->choices);
    put_member(json, "default", info->default_text);
    put_member(json, "recommended", info->recommended_text);
    put_flag(json, "secret", info->flags & KIVI_OPTION_SECRET);
    put_flag(json, "required", info->flags & KIVI_OPTION_REQUIRED);
    put_member(json, "help", info->help);
    cli_json_finish(json);
    cli_put_line(&line);
    kivi_buffer_free(&line);
}

/* A word before a text of a plugin's. */
static void put_part(const char *before, const char *text)
{
    if (!text || !*text)
        return;
    fputs(before, stdout);
    cli_put_text(text);
}

/* A name in a column of its own. */
static void put_name(const char *name, int column)
{
    kivi_buffer shown = KIVI_BUFFER_INIT;

    cli_text_shown(kivi_str(name), &shown);
    printf("%-*.*s ", column, (int)shown.size, shown.size ? (const char *)shown.data : "");
    kivi_buffer_free(&shown);
}

static void print_option(const kivi_option_info *info)
{
    put_name(info->name, 16);
    fputs(type_name(info->type), stdout);
    put_part(" ", info->choices);
    put_part(", default ", info->default_text);
    put_part(", recommended ", info->recommended_text);
    fputs(info->flags & KIVI_OPTION_REQUIRED ? ", required" : "", stdout);
    fputs(info->flags & KIVI_OPTION_SECRET ? ", secret" : "", stdout);
    put_part("\n    ", info->help);
    putchar('\n');
}

int cli_options_verb(cli_context *cli)
{
    /* A whole URL names its scheme as well. */
    char *scheme = cli->args.words[0];

    scheme[strcspn(scheme, ":")] = '\0';
    for (size_t i = 0;; i++) {
        kivi_option_info info = {.struct_size = sizeof info};
        kivi_error *error = NULL;
        kivi_status status = kivi_option_describe(scheme, i, &info, &error);

        if (status == KIVI_NOT_FOUND)
            return CLI_DONE;
        if (status)
            return cli_fail_call(status, error, NULL);
        if (cli_has(&cli->args, OPT_JSON))
            print_option_json(cli, &info);
        else
            print_option(&info);
    }
}

static void print_scheme_json(cli_context *cli, const kivi_scheme_info *info)
{
    kivi_writer *json = cli_values_json(&cli->values);
    kivi_buffer line = KIVI_BUFFER_INIT;

    kivi_writer_start(json, &line);
    kivi_writer_map(json, 5);
    put_member(json, "scheme", info->scheme);
    put_member(json, "backend", info->backend);
    put_flag(json, "available", info->available);
    put_member(json, "summary", info->summary);
    put_member(json, "reason", info->reason);
    cli_json_finish(json);
    cli_put_line(&line);
    kivi_buffer_free(&line);
}

static void print_scheme(const kivi_scheme_info *info)
{
    put_name(info->scheme, 14);
    put_part(info->available ? "" : "not available: ", info->available ? info->summary : info->reason);
    putchar('\n');
}

int cli_stores(cli_context *cli)
{
    for (size_t i = 0;; i++) {
        kivi_scheme_info info = {.struct_size = sizeof info};
        kivi_error *error = NULL;
        kivi_status status = kivi_scheme_describe(i, &info, &error);

        if (status == KIVI_NOT_FOUND)
            return CLI_DONE;
        if (status)
            return cli_fail_call(status, error, NULL);
        if (cli_has(&cli->args, OPT_JSON))
            print_scheme_json(cli, &info);
        else
            print_scheme(&info);
    }
}

int cli_version(cli_context *cli)
{
    (void)cli;
    printf("kivi %s\n", kivi_version());
    return CLI_DONE;
}
