/* The import verb: pairs of a JSON file go into the store, in batches. */
#include "import.h"

#include <stdio.h>

#include "cli.h"
#include "progress.h"

#define BATCH_DEFAULT 1000

static int read_settings(cli_import *import)
{
    const cli_args *args = &import->cli->args;
    const char *format = args->text[OPT_FORMAT];
    kivi_error *error = NULL;
    int code;

    import->name = strcmp(args->words[0], "-") == 0 ? "standard input" : args->words[0];
    import->key_field = args->text[OPT_KEY];
    import->dry = cli_has(args, OPT_DRY_RUN);
    import->ttl = KIVI_TTL_NONE;
    import->batch_max = BATCH_DEFAULT;
    import->capabilities.struct_size = sizeof import->capabilities;
    if (kivi_store_capabilities(import->cli->store, &import->capabilities, &error))
        return cli_fail_call(kivi_error_status(error), error, NULL);
    code = cli_key_option(import->cli, OPT_PREFIX, &import->prefix);
    if (code)
        return code;
    if (cli_has(args, OPT_TTL) && !cli_parse_seconds(args->text[OPT_TTL], &import->ttl))
        return cli_fail(CLI_USAGE, "--ttl needs seconds, as 60 or 0.5 (0.001 to 100 years)");
    if (cli_has(args, OPT_BATCH) &&
        (!cli_parse_count(args->text[OPT_BATCH], &import->batch_max) || import->batch_max > 1000000))
        return cli_fail(CLI_USAGE, "--batch needs a whole number from 1 to 1000000");
    if (format && strcmp(format, "lines") != 0 && strcmp(format, "object") != 0)
        return cli_fail(CLI_USAGE, "--format is lines or object");
    if (format && strcmp(format, "lines") == 0 && cli_has(args, OPT_AT))
        return cli_fail(CLI_USAGE, "--at points into one document: not with --format lines");
    return CLI_DONE;
}

static bool read_pairs(cli_import *import)
{
    const cli_args *args = &import->cli->args;
    const char *format = args->text[OPT_FORMAT];
    bool lines;

    if (format)
        lines = strcmp(format, "lines") == 0;
    else
        lines = !cli_has(args, OPT_AT) && cli_import_is_lines(import);
    if (lines)
        return cli_import_lines(import);
    return cli_import_document(import, cli_has(args, OPT_AT) ? args->text[OPT_AT] : "");
}

static void print_summary(const cli_import *import)
{
    char text[128], skipped[CLI_NUMBER_MAX];

    if (cli_has(&import->cli->args, OPT_JSON)) {
        printf("{\"imported\":%llu,\"skipped\":%llu,\"bytes\":%llu,\"dry_run\":%s}\n",
               (unsigned long long)import->stored, (unsigned long long)import->skipped,
               (unsigned long long)import->bytes, import->dry ? "true" : "false");
        return;
    }
    if (cli_has(&import->cli->args, OPT_QUIET))
        return;
    cli_progress_summary(import->stored, text, sizeof text);
    printf("%s", text);
    if (import->skipped)
        printf(", skipped %s", cli_number(import->skipped, skipped));
    putchar('\n');
}

static const char *verb_of(const cli_import *import)
{
    return !import->dry ? "imported" : import->stored == 1 ? "was good" : "were good";
}

static int run(cli_import *import)
{
    cli_values *values = &import->cli->values;
    char number[CLI_PAIRS_MAX], problem[sizeof values->problem];
    bool good;
    int code;

    cli_progress_begin(import->dry ? "would import" : "imported",
                       cli_has(&import->cli->args, OPT_QUIET) || cli_has(&import->cli->args, OPT_JSON));
    good = read_pairs(import);
    /* What stood before the place that is wrong is stored, so that the answer says where to go on. */
    if (!good && !import->store_failed && values->code != CLI_INTERRUPTED) {
        memcpy(problem, values->problem, sizeof problem);
        code = values->code;
        if (cli_import_flush(import)) {
            memcpy(values->problem, problem, sizeof problem);
            values->code = code;
        }
    }
    if (good)
        good = cli_import_flush(import);
    cli_progress_clear();
    if (!good)
        return cli_fail(values->code, "%s (%s %s before)", values->problem,
                        cli_pairs(import->stored, number), verb_of(import));
    print_summary(import);
    return CLI_DONE;
}

int cli_import_verb(cli_context *cli)
{
    cli_import import = {.cli = cli};
    int code = read_settings(&import);

    if (!code && !cli_input_open(&import, cli->args.words[0]))
        code = cli_fail(cli->values.code, "%s", cli->values.problem);
    if (!code) {
        import.reader = cli_json_reader(UINT64_MAX);
        code = run(&import);
    }
    cli_input_close(&import);
    kivi_reader_free(import.reader);
    cli_tree_free(&import.tree);
    cli_batch_free(&import.batch);
    kivi_buffer_free(&import.stream.chunk);
    return code;
}
