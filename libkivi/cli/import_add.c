/* Pairs of an import on their way into the store: checked, collected, written in batches. */
#include "import.h"

#include "cli.h"
#include "progress.h"

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

bool cli_import_flush(cli_import *import)
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
    if (!cli_import_flush(import))
        return false;
    cli_progress_show(import->stored + import->skipped, import->input.taken, import->input.total);
    return true;
}
