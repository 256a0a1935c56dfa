/* The export verb: all pairs under a prefix as JSON, on standard output. */
#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "progress.h"

#define PAGE_PAIRS 1000

typedef struct export_state {
    cli_context *cli;
    bool object; /* one JSON object, rather than lines */
    kivi_range range;
    kivi_buffer cursor, line;
    uint64_t pairs;
    int worst; /* exit code of a pair that was left out */
} export_state;

static bool member_text(export_state *state, const kivi_pair *pair)
{
    cli_values *values = &state->cli->values;
    kivi_writer *json = cli_values_json(values);

    if (!cli_is_utf8(pair->key))
        return cli_value_problem(values, CLI_FAILED,
                                 "the key is not UTF-8, and a JSON object has text "
                                 "keys only: export lines instead");
    cli_need(kivi_buffer_append(&state->line, kivi_str(state->pairs ? ",\n" : "\n")));
    kivi_writer_start(json, &state->line);
    kivi_writer_str(json, pair->key);
    cli_json_finish(json);
    cli_need(kivi_buffer_append(&state->line, kivi_str(":")));
    return cli_value_decode(values, CLI_FORM_JSON, pair->value, &state->line);
}

/* One that cannot be written is told, and the others are written all the same. */
static void put_pair(export_state *state, const kivi_pair *pair, int64_t now)
{
    cli_values *values = &state->cli->values;
    bool good = state->object ? member_text(state, pair)
                              : cli_pair_json(values, pair, true, now, &state->line) == CLI_DONE;

    if (!good) {
        state->worst = cli_fail_pair(values, pair->key);
        cli_buffer_clear(&state->line);
        return;
    }
    if (state->object)
        cli_put_json(&state->line);
    else
        cli_put_line(&state->line);
    state->pairs++;
}

static int put_page(export_state *state, const kivi_page *page)
{
    kivi_pair pair = KIVI_PAIR_INIT;
    int64_t now = cli_now_ms();
    char number[CLI_PAIRS_MAX];

    for (size_t i = 0; i < kivi_page_count(page); i++) {
        kivi_page_pair(page, i, &pair);
        put_pair(state, &pair, now);
    }
    if (ferror(stdout))
        return CLI_FAILED; /* told when the output is closed */
    if (cli_interrupted())
        return cli_fail(CLI_INTERRUPTED, "interrupted after %s", cli_pairs(state->pairs, number));
    return CLI_DONE;
}

static int export_pages(export_state *state)
{
    int code = CLI_DONE;

    do {
        kivi_page *page = NULL;
        kivi_error *error = NULL;
        kivi_status status = kivi_store_page(state->cli->store, &state->cli->call, &state->range,
                                             &page, &error);

        if (status)
            return cli_fail_call(status, error, NULL);
        code = put_page(state, page);
        cli_need(kivi_buffer_assign(&state->cursor, kivi_page_cursor(page)));
        state->range.cursor = kivi_buffer_slice(&state->cursor);
        kivi_page_free(page);
        cli_progress_show(state->pairs, 0, 0);
    } while (!code && state->cursor.size);
    return code;
}

int cli_export(cli_context *cli)
{
    const cli_args *args = &cli->args;
    const char *format = args->text[OPT_FORMAT];
    export_state state = {.cli = cli, .range = KIVI_RANGE_INIT};
    int code = CLI_DONE;

    if (format && strcmp(format, "lines") != 0 && strcmp(format, "object") != 0)
        return cli_fail(CLI_USAGE, "--format is lines or object");
    state.object = format && strcmp(format, "object") == 0;
    state.range.limit = PAGE_PAIRS;
    if (!state.object && !cli_has(args, OPT_NO_EXPIRY))
        state.range.flags = KIVI_SCAN_WANT_EXPIRY;
    if (args->word_count)
        code = cli_key_word(cli, args->words[0], &state.range.prefix);
    if (code)
        return code;
    /* A bar would be lost among lines on the same terminal. */
    cli_progress_begin("exported", cli_has(args, OPT_QUIET) || isatty(STDOUT_FILENO));
    if (state.object)
        putchar('{');
    code = export_pages(&state);
    if (state.object && !code)
        puts(state.pairs ? "\n}" : "}");
    cli_progress_clear();
    kivi_buffer_free(&state.cursor);
    kivi_buffer_free(&state.line);
    return code ? code : state.worst;
}
