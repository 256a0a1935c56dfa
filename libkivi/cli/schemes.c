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

static void print_option(const kivi_option_info *info)
{
    printf("%-16s %s%s%s", info->name, type_name(info->type), info->choices ? " " : "",
           info->choices ? info->choices : "");
    if (info->default_text && *info->default_text)
        printf(", default %s", info->default_text);
    if (info->recommended_text)
        printf(", recommended %s", info->recommended_text);
    printf("%s%s\n    %s\n", info->flags & KIVI_OPTION_REQUIRED ? ", required" : "",
           info->flags & KIVI_OPTION_SECRET ? ", secret" : "", info->help);
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
        else if (info.available)
            printf("%-14s %s\n", info.scheme, info.summary);
        else
            printf("%-14s not available: %s\n", info.scheme, info.reason);
    }
}

int cli_version(cli_context *cli)
{
    (void)cli;
    printf("kivi %s\n", kivi_version());
    return CLI_DONE;
}
