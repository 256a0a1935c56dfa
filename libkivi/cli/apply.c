/* The apply verb: operations from a file, as one batch. */
#include <stdio.h>
#include <stdlib.h>

#include "batch.h"
#include "cli.h"

typedef struct reading {
    cli_context *cli;
    cli_batch batch;
    kivi_reader *reader;
    cli_tree tree;
    size_t number; /* of the operation being read, from 1 */
} reading;

static bool wrong(reading *read, const char *what)
{
    return cli_value_problem(&read->cli->values, CLI_USAGE, "operation %zu: %s", read->number, what);
}

static const struct {
    const char *name;
    kivi_op_kind kind;
} kinds[] = {
    {"set", KIVI_OP_SET},     {"delete", KIVI_OP_DELETE},       {"touch", KIVI_OP_TOUCH},
    {"check", KIVI_OP_CHECK}, {"increment", KIVI_OP_INCREMENT},
};

static bool read_kind(reading *read, size_t node, kivi_op *op)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (cli_tree_text_is(&read->tree, node, kinds[i].name)) {
            op->kind = kinds[i].kind;
            return true;
        }
    return wrong(read, "\"op\" must be set, delete, touch, check or increment");
}

static bool read_value(reading *read, size_t node, kivi_slice *value)
{
    cli_values *values = &read->cli->values;
    size_t begin = read->batch.arena.size;
    char problem[sizeof values->problem];

    if (!cli_value_encode_node(values, &read->tree, node, &read->batch.arena)) {
        memcpy(problem, values->problem, sizeof problem);
        return wrong(read, problem);
    }
    *value = cli_batch_span(&read->batch, begin);
    return true;
}

static bool read_version(reading *read, size_t node, kivi_slice *version)
{
    size_t begin = read->batch.arena.size;

    if (!cli_tree_is(&read->tree, node, KIVI_TOKEN_STR) ||
        !cli_base64_read(cli_tree_text(&read->tree, node), &read->batch.arena))
        return wrong(read, "\"if_version\" must be the base64 text of get --versioned");
    *version = cli_batch_span(&read->batch, begin);
    return true;
}

static bool read_condition(reading *read, size_t node, kivi_op *op)
{
    if (cli_tree_text_is(&read->tree, node, "absent"))
        op->condition = KIVI_IF_ABSENT;
    else if (cli_tree_text_is(&read->tree, node, "present"))
        op->condition = KIVI_IF_PRESENT;
    else
        return wrong(read, "\"if\" must be absent or present");
    return true;
}

static bool read_ttl(reading *read, size_t node, kivi_op *op)
{
    if (cli_tree_is(&read->tree, node, KIVI_TOKEN_NIL)) {
        op->ttl_ms = KIVI_TTL_NONE;
        return true;
    }
    if (cli_tree_text_is(&read->tree, node, "keep")) {
        op->ttl_ms = KIVI_TTL_KEEP;
        return true;
    }
    if (!cli_tree_seconds(&read->tree, node, &op->ttl_ms))
        return wrong(read, "\"ttl\" must be seconds above 0, null or \"keep\"");
    return true;
}

static bool read_key(reading *read, size_t node, kivi_op *op)
{
    size_t begin = read->batch.arena.size;

    if (!cli_json_key_parse(&read->tree, node, &read->batch.arena))
        return wrong(read, "\"key\" must be text or {\"$bin\": base64}");
    op->key = cli_batch_span(&read->batch, begin);
    return true;
}

/* One member of an operation's object. */
static bool read_member(reading *read, size_t name, size_t value, kivi_op *op)
{
    const cli_tree *tree = &read->tree;

    if (cli_tree_text_is(tree, name, "op"))
        return read_kind(read, value, op);
    if (cli_tree_text_is(tree, name, "key"))
        return read_key(read, value, op);
    if (cli_tree_text_is(tree, name, "value"))
        return read_value(read, value, &op->value);
    if (cli_tree_text_is(tree, name, "ttl"))
        return read_ttl(read, value, op);
    if (cli_tree_text_is(tree, name, "if"))
        return read_condition(read, value, op);
    if (cli_tree_text_is(tree, name, "if_equal")) {
        op->condition = KIVI_IF_EQUAL;
        return read_value(read, value, &op->expected);
    }
    if (cli_tree_text_is(tree, name, "if_version")) {
        op->condition = KIVI_IF_VERSION;
        return read_version(read, value, &op->expected);
    }
    if (cli_tree_text_is(tree, name, "by") && cli_tree_is(tree, value, KIVI_TOKEN_INT)) {
        op->by = tree->nodes[value].as.integer;
        return true;
    }
    return wrong(read, "an operation has op, key, value, ttl, by (a whole number), and one of if, "
                       "if_equal, if_version");
}

static bool check_op(reading *read, const kivi_op *op, unsigned conditions)
{
    if (!op->kind || !op->key.data)
        return wrong(read, "it needs \"op\" and \"key\"");
    if ((op->kind == KIVI_OP_SET) != (op->value.data != NULL))
        return wrong(read, "\"value\" is for set, which needs it");
    if (conditions > 1)
        return wrong(read, "it has more than one condition");
    if (op->kind == KIVI_OP_CHECK && !conditions)
        return wrong(read, "check needs if, if_equal or if_version");
    return true;
}

/* Adds the operation that the tree holds. */
static bool read_op(reading *read)
{
    const cli_tree *tree = &read->tree;
    kivi_op *op = cli_batch_add(&read->batch);
    unsigned conditions = 0;
    size_t end;

    read->number++;
    op->by = 1;
    op->flags = KIVI_OP_WANT_EXISTED;
    if (!cli_tree_is(tree, 0, KIVI_TOKEN_MAP))
        return wrong(read, "it must be an object");
    if (cli_tree_repeats(tree, 0))
        return wrong(read, "a member stands twice");
    end = cli_tree_after(tree, 0);
    for (size_t name = 1; name < end;) {
        size_t value = cli_tree_after(tree, name);
        kivi_slice text = cli_tree_text(tree, name);

        conditions += text.size >= 2 && memcmp(text.data, "if", 2) == 0;
        if (!read_member(read, name, value, op))
            return false;
        name = cli_tree_after(tree, value);
    }
    if (op->kind != KIVI_OP_INCREMENT)
        op->by = 0;
    return check_op(read, op, conditions);
}

static bool unreadable(reading *read, const char *where)
{
    return cli_value_problem_error(&read->cli->values, CLI_USAGE, where, kivi_reader_error(read->reader));
}

static bool read_array(reading *read, kivi_slice text)
{
    kivi_token token;
    kivi_status status;

    kivi_reader_start(read->reader, text);
    status = kivi_reader_next(read->reader, &token);
    if (!status && token.type != KIVI_TOKEN_ARRAY)
        return cli_value_problem(&read->cli->values, CLI_USAGE,
                                 "operations stand in an array, or one on each line");
    while (!status) {
        status = kivi_reader_next(read->reader, &token);
        if (status || token.type == KIVI_TOKEN_END)
            break;
        status = cli_tree_read(&read->tree, read->reader, &token);
        if (!status && !read_op(read))
            return false;
    }
    if (!status)
        status = kivi_reader_next(read->reader, &token);
    return status == KIVI_END ? true : unreadable(read, "the operations are no JSON: ");
}

static bool read_lines(reading *read, kivi_slice text)
{
    kivi_slice line;
    char where[48];

    for (size_t number = 1; cli_next_line(&text, &line); number++) {
        if (!line.size)
            continue;
        snprintf(where, sizeof where, "line %zu is no JSON: ", number);
        if (cli_tree_parse(&read->tree, read->reader, line))
            return unreadable(read, where);
        if (!read_op(read))
            return false;
    }
    return true;
}

static bool read_ops(reading *read, kivi_slice text)
{
    const char *at = text.data;
    size_t blank = 0;

    while (blank < text.size && strchr(" \t\r\n", at[blank]) && at[blank])
        blank++;
    if (blank < text.size && at[blank] == '[')
        return read_array(read, text);
    return read_lines(read, text);
}

static void print_json(cli_context *cli, const kivi_op *op, const kivi_result *result, size_t index)
{
    kivi_writer *json = cli_values_json(&cli->values);
    kivi_buffer line = KIVI_BUFFER_INIT;
    bool sum = op->kind == KIVI_OP_INCREMENT && !kivi_result_status(result, index);

    kivi_writer_start(json, &line);
    kivi_writer_map(json, sum ? 4 : 3);
    kivi_writer_str(json, kivi_str("key"));
    cli_json_key(json, op->key);
    kivi_writer_str(json, kivi_str("status"));
    kivi_writer_str(json, kivi_str(kivi_status_name(kivi_result_status(result, index))));
    kivi_writer_str(json, kivi_str("existed"));
    kivi_writer_bool(json, kivi_result_existed(result, index));
    if (sum) {
        kivi_writer_str(json, kivi_str("value"));
        kivi_writer_int(json, kivi_result_integer(result, index));
    }
    cli_json_finish(json);
    cli_put_line(&line);
    kivi_buffer_free(&line);
}

static void print_text(const kivi_op *op, const kivi_result *result, size_t index)
{
    kivi_status status = kivi_result_status(result, index);
    kivi_buffer line = KIVI_BUFFER_INIT;

    cli_key_text(op->key, &line);
    printf("%.*s\t%s", (int)line.size, (const char *)line.data, kivi_status_name(status));
    if (op->kind == KIVI_OP_INCREMENT && !status)
        printf("\t%lld", (long long)kivi_result_integer(result, index));
    putchar('\n');
    kivi_buffer_free(&line);
}

/* Prints each outcome and answers the exit code of them all. */
static int print_outcomes(cli_context *cli, const cli_batch *batch, const kivi_result *result)
{
    int code = CLI_DONE;

    for (size_t i = 0; i < kivi_result_count(result); i++) {
        kivi_status status = kivi_result_status(result, i);

        if (cli_has(&cli->args, OPT_JSON))
            print_json(cli, &batch->ops[i], result, i);
        else
            print_text(&batch->ops[i], result, i);
        if (status == KIVI_NOT_FOUND || status == KIVI_CONDITION || status == KIVI_ABORTED)
            code = CLI_UNMET;
    }
    return code;
}

static int apply(cli_context *cli, cli_batch *batch)
{
    uint32_t flags = cli_has(&cli->args, OPT_ATOMIC) ? KIVI_APPLY_ATOMIC : 0;
    kivi_slice *keys = cli_alloc(NULL, batch->count * sizeof *keys);
    kivi_result *result = NULL;
    kivi_error *error = NULL;
    kivi_status status;
    int code;

    cli_batch_seal(batch);
    for (size_t i = 0; i < batch->count; i++)
        keys[i] = batch->ops[i].key;
    status = kivi_store_apply(cli->store, &cli->call, batch->ops, batch->count, flags, &result, &error);
    code = result ? print_outcomes(cli, batch, result) : CLI_DONE;
    if (status == KIVI_CONDITION)
        code = CLI_UNMET;
    else if (status)
        code = cli_fail_result(status, error, result, keys);
    kivi_result_free(result);
    free(keys);
    return code;
}

int cli_apply(cli_context *cli)
{
    reading read = {.cli = cli};
    kivi_buffer text = KIVI_BUFFER_INIT;
    int code = cli_read_file(cli->args.words[0], &text);

    if (!code) {
        read.reader = cli_json_reader(UINT64_MAX);
        if (!read_ops(&read, cli_without_mark(kivi_buffer_slice(&text))))
            code = cli_fail_value(&cli->values, NULL);
        else if (!read.batch.count)
            code = cli_fail(CLI_USAGE, "there is no operation to apply");
        else
            code = apply(cli, &read.batch);
    }
    kivi_reader_free(read.reader);
    cli_tree_free(&read.tree);
    cli_batch_free(&read.batch);
    kivi_buffer_free(&text);
    return code;
}
