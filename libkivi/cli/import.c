/* The import verb: pairs of a JSON file go into the store, in batches. */
#include "import.h"

#include <stdio.h>

#include "cli.h"
#include "progress.h"

#define BATCH_DEFAULT 1000
#define BATCH_BYTES ((size_t)8 << 20)

/* Counts what became of a batch; answers the position of the first failure, or the count. */
static size_t count_outcomes(cli_import *import, const kivi_result *result)
{
    size_t count = result ? kivi_result_count(result) : 0; /* none: nothing was sent */
    size_t failed = count;

    for (size_t i = 0; i < count; i++) {
        kivi_status status = kivi_result_status(result, i);

        if (!status)
            import->stored++;
        else if (status == KIVI_CONDITION)
            import->skipped++;
        else if (failed == count)
            failed = i;
    }
    return failed;
}

static bool fail_batch(cli_import *import, kivi_status status, kivi_error *error, const kivi_op *op)
{
    kivi_buffer memory = KIVI_BUFFER_INIT;
    int code = cli_interrupted() ? CLI_INTERRUPTED : cli_exit_of(status);

    import->store_failed = true;
    if (op) {
        cli_value_problem(&import->cli->values, code, "%s: %s", cli_key_shown(op->key, &memory),
                          error ? kivi_error_message(error) : kivi_status_name(status));
        kivi_error_free(error);
    } else {
        cli_value_problem_error(&import->cli->values, code, "", error);
    }
    kivi_buffer_free(&memory);
    return false;
}

/* Writes what was collected. */
static bool flush(cli_import *import)
{
    cli_batch *batch = &import->batch;
    kivi_result *result = NULL;
    kivi_error *error = NULL;
    kivi_status status;
    size_t failed;
    bool good = true;

    if (!batch->count)
        return true;
    import->bytes += batch->arena.size;
    if (import->dry && !cli_has(&import->cli->args, OPT_ADD_ONLY)) {
        import->stored += batch->count;
    } else {
        cli_batch_seal(batch);
        status = kivi_store_apply(import->cli->store, &import->cli->call, batch->ops, batch->count,
                                  0, &result, &error);
        failed = count_outcomes(import, result);
        if (status)
            good = fail_batch(import, status, error, result ? &batch->ops[failed] : NULL);
        kivi_result_free(result);
    }
    cli_batch_clear(batch);
    return good;
}

/* What the core would refuse, and the whole batch with it: told here, with the place in the file. */
static bool fits(cli_import *import, const kivi_op *op)
{
    const kivi_capabilities *limits = &import->capabilities;
    cli_values *values = &import->cli->values;

    if (!op->key.size)
        return cli_value_problem(values, CLI_USAGE, "the key is empty");
    if (op->key.size > limits->max_key_plain)
        return cli_value_problem(values, CLI_FAILED, "the key has %zu bytes, and the store takes %llu",
                                 op->key.size, (unsigned long long)limits->max_key_plain);
    if (op->value.size > limits->max_value)
        return cli_value_problem(values, CLI_FAILED, "the value has %zu bytes, and the store takes %llu",
                                 op->value.size, (unsigned long long)limits->max_value);
    if (op->ttl_ms > limits->max_ttl_ms)
        return cli_value_problem(values, CLI_FAILED, "it lives longer than the store allows");
    return true;
}

bool cli_import_add(cli_import *import, size_t begin, size_t node, int64_t ttl)
{
    cli_batch *batch = &import->batch;
    kivi_op *op = cli_batch_add(batch);
    bool good = false;
    size_t value;

    op->kind = import->dry ? KIVI_OP_CHECK : KIVI_OP_SET;
    op->condition = cli_has(&import->cli->args, OPT_ADD_ONLY) ? KIVI_IF_ABSENT : KIVI_IF_ALWAYS;
    op->ttl_ms = ttl;
    op->key = cli_batch_span(batch, begin);
    value = batch->arena.size;
    if (cli_value_encode_node(&import->cli->values, &import->tree, node, &batch->arena)) {
        op->value = cli_batch_span(batch, value);
        good = fits(import, op);
    }
    if (!good) {
        cli_batch_drop(batch);
        return false;
    }
    if (cli_interrupted())
        return cli_value_problem(&import->cli->values, CLI_INTERRUPTED, "interrupted");
    if (batch->count < import->batch_max && batch->arena.size < BATCH_BYTES)
        return true;
    if (!flush(import))
        return false;
    cli_progress_show(import->stored + import->skipped, import->position, import->text.size);
    return true;
}

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

static int run(cli_import *import)
{
    cli_values *values = &import->cli->values;
    char number[CLI_NUMBER_MAX], problem[sizeof values->problem];
    bool good;
    int code;

    cli_progress_begin(import->dry ? "would import" : "imported",
                       cli_has(&import->cli->args, OPT_QUIET) || cli_has(&import->cli->args, OPT_JSON));
    good = read_pairs(import);
    /* What stood before the place that is wrong is stored, so that the answer says where to go on. */
    if (!good && !import->store_failed && values->code != CLI_INTERRUPTED) {
        memcpy(problem, values->problem, sizeof problem);
        code = values->code;
        if (flush(import)) {
            memcpy(values->problem, problem, sizeof problem);
            values->code = code;
        }
    }
    if (good)
        good = flush(import);
    cli_progress_clear();
    if (!good)
        return cli_fail(values->code, "%s (%s %s before)", values->problem,
                        cli_number(import->stored, number),
                        import->dry ? "were good" : "pairs imported");
    print_summary(import);
    return CLI_DONE;
}

int cli_import_verb(cli_context *cli)
{
    cli_import import = {.cli = cli};
    kivi_buffer text = KIVI_BUFFER_INIT;
    int code = read_settings(&import);

    if (!code)
        code = cli_read_file(cli->args.words[0], &text);
    if (!code) {
        import.text = kivi_buffer_slice(&text);
        import.reader = cli_json_reader(UINT64_MAX);
        code = run(&import);
    }
    kivi_reader_free(import.reader);
    cli_tree_free(&import.tree);
    cli_batch_free(&import.batch);
    kivi_buffer_free(&text);
    return code;
}
