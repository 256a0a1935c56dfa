/* Verbs that tell about the open store: health, capabilities, stats. */
#include <stdio.h>

#include "cli.h"

/* One line for each member of a map, as "name: value"; text without its quotes. */
static void print_members(cli_context *cli, const cli_tree *tree)
{
    kivi_writer *json = cli_values_json(&cli->values);
    kivi_buffer line = KIVI_BUFFER_INIT;
    kivi_buffer scratch = KIVI_BUFFER_INIT;
    size_t end = cli_tree_after(tree, 0);

    for (size_t key = 1; key < end;) {
        size_t value = cli_tree_after(tree, key);

        cli_text_shown(cli_tree_text(tree, key), &line);
        cli_need(kivi_buffer_append(&line, kivi_str(": ")));
        if (cli_tree_is(tree, value, KIVI_TOKEN_STR)) {
            cli_text_shown(cli_tree_text(tree, value), &line);
        } else {
            kivi_writer_start(json, &line);
            cli_json_out(tree, value, json, &scratch);
            cli_json_finish(json);
        }
        cli_put_line(&line);
        key = cli_tree_after(tree, value);
    }
    kivi_buffer_free(&line);
    kivi_buffer_free(&scratch);
}

static void print_object(cli_context *cli, const cli_tree *tree)
{
    kivi_writer *json = cli_values_json(&cli->values);
    kivi_buffer line = KIVI_BUFFER_INIT;
    kivi_buffer scratch = KIVI_BUFFER_INIT;

    kivi_writer_start(json, &line);
    cli_json_out(tree, 0, json, &scratch);
    cli_json_finish(json);
    cli_put_line(&line);
    kivi_buffer_free(&line);
    kivi_buffer_free(&scratch);
}

static int describe(cli_context *cli, kivi_topic topic, cli_tree *tree)
{
    kivi_buffer map = KIVI_BUFFER_INIT;
    kivi_reader *reader = NULL;
    kivi_error *error = NULL;
    kivi_status status = kivi_store_describe(cli->store, &cli->call, topic, &map, &error);

    if (!status)
        status = kivi_reader_new("msgpack", NULL, &reader, &error);
    if (!status)
        status = cli_tree_parse(tree, reader, kivi_buffer_slice(&map));
    kivi_reader_free(reader);
    kivi_buffer_free(&map);
    return status ? cli_fail_call(status, error, NULL) : CLI_DONE;
}

static int print_topic(cli_context *cli, kivi_topic topic)
{
    cli_tree tree = {0};
    size_t ok;
    int code = describe(cli, topic, &tree);

    if (!code) {
        if (cli_has(&cli->args, OPT_JSON))
            print_object(cli, &tree);
        else
            print_members(cli, &tree);
        ok = cli_tree_member(&tree, 0, "ok");
        if (cli_tree_is(&tree, ok, KIVI_TOKEN_BOOL) && !tree.nodes[ok].as.boolean)
            code = cli_fail(CLI_FAILED, "%s is not healthy", kivi_store_url(cli->store));
    }
    cli_tree_free(&tree);
    return code;
}

int cli_health(cli_context *cli)
{
    return print_topic(cli, KIVI_TOPIC_HEALTH);
}

int cli_capabilities(cli_context *cli)
{
    return print_topic(cli, KIVI_TOPIC_CAPABILITIES);
}

int cli_stats(cli_context *cli)
{
    return print_topic(cli, KIVI_TOPIC_STATS);
}
