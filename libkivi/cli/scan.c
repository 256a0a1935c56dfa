/* Verbs over all keys under a prefix: scan, keys, count, clear. */
#include <stdio.h>
#include <unistd.h>

#include "cli.h"

#define PAGE_PAIRS 1000

/* Prints the pairs; those that cannot be shown are told, and the others are printed all the same. */
static int print_page(cli_context *cli, const kivi_page *page, bool with_value)
{
    kivi_buffer line = KIVI_BUFFER_INIT;
    kivi_pair pair = KIVI_PAIR_INIT;
    int64_t now = cli_now_ms();
    int worst = CLI_DONE;

    for (size_t i = 0; i < kivi_page_count(page); i++) {
        int code;

        kivi_page_pair(page, i, &pair);
        code = cli_has(&cli->args, OPT_JSON)
                   ? cli_pair_json(&cli->values, &pair, with_value, now, &line)
                   : cli_pair_text(&cli->values, &pair, with_value, cli_has(&cli->args, OPT_EXPIRY),
                                   now, &line);
        if (code) {
            worst = cli_fail_pair(&cli->values, pair.key);
            cli_buffer_clear(&line);
        } else {
            cli_put_line(&line);
        }
    }
    kivi_buffer_free(&line);
    return worst;
}

/* After a single page: where the next begins. */
static void print_cursor(const cli_context *cli, kivi_slice cursor)
{
    kivi_buffer text = KIVI_BUFFER_INIT;

    if (cursor.size) {
        cli_cursor_text(cursor, &text);
        if (cli_has(&cli->args, OPT_JSON))
            printf("{\"cursor\":\"%.*s\"}\n", (int)text.size, (const char *)text.data);
        else
            fprintf(stderr, "%.*s\n", (int)text.size, (const char *)text.data);
    }
    kivi_buffer_free(&text);
}

typedef struct scan {
    kivi_range range;
    kivi_buffer cursor;
    uint64_t left; /* pairs still to print */
    bool single_page;
    bool read; /* a page was */
} scan;

static int read_range(const cli_context *cli, uint32_t flags, scan *to)
{
    const cli_args *args = &cli->args;
    kivi_range range = KIVI_RANGE_INIT;
    int code = CLI_DONE;

    memset(to, 0, sizeof *to);
    to->single_page = cli_has(args, OPT_PAGE);
    to->left = UINT64_MAX;
    range.flags = flags | (cli_has(args, OPT_EXPIRY) ? KIVI_SCAN_WANT_EXPIRY : 0);
    if (args->word_count)
        code = cli_key_word(cli, args->words[0], &range.prefix);
    if (!code)
        code = cli_key_option(cli, OPT_AFTER, &range.after);
    if (code)
        return code;
    if (cli_has(args, OPT_LIMIT) && !cli_parse_count(args->text[OPT_LIMIT], &to->left))
        return cli_fail(CLI_USAGE, "--limit needs a whole number of at least 1");
    if (cli_has(args, OPT_CURSOR) && !cli_cursor_parse(args->text[OPT_CURSOR], &to->cursor))
        return cli_fail(CLI_USAGE, "--cursor needs what --page printed (cursor:...)");
    range.cursor = kivi_buffer_slice(&to->cursor);
    to->range = range;
    return CLI_DONE;
}

/* A page of its own is as long as asked for; those of a whole scan are short, to begin printing soon. */
static uint64_t page_limit(const scan *of)
{
    if (of->left == UINT64_MAX || (!of->single_page && of->left > PAGE_PAIRS))
        return PAGE_PAIRS;
    return of->left;
}

static int scan_pages(cli_context *cli, scan *of, bool with_value)
{
    int worst = CLI_DONE;

    for (;;) {
        kivi_page *page = NULL;
        kivi_error *error = NULL;
        kivi_status status;
        kivi_slice cursor;
        int code;

        of->range.limit = page_limit(of);
        status = kivi_store_page(cli->store, &cli->call, &of->range, &page, &error);
        if (status)
            return cli_fail_call(status, error, NULL);
        code = print_page(cli, page, with_value);
        worst = code ? code : worst;
        of->read = true;
        of->left -= kivi_page_count(page);
        cursor = kivi_page_cursor(page);
        cli_need(kivi_buffer_assign(&of->cursor, cursor));
        kivi_page_free(page);
        if (cli_interrupted())
            return cli_fail(CLI_INTERRUPTED, "interrupted");
        if (!of->cursor.size || !of->left || of->single_page)
            return worst;
        of->range.cursor = kivi_buffer_slice(&of->cursor);
        of->range.after = kivi_bytes(NULL, 0);
    }
}

static int scan_verb(cli_context *cli, uint32_t flags)
{
    scan of;
    int code = read_range(cli, flags, &of);

    if (!code)
        code = scan_pages(cli, &of, !(flags & KIVI_SCAN_KEYS));
    if (of.single_page && of.read)
        print_cursor(cli, kivi_buffer_slice(&of.cursor));
    kivi_buffer_free(&of.cursor);
    return code;
}

int cli_scan(cli_context *cli)
{
    return scan_verb(cli, 0);
}

int cli_keys(cli_context *cli)
{
    return scan_verb(cli, KIVI_SCAN_KEYS);
}

/* Walking a large store takes longer than a single call may. */
#define COUNT_TIMEOUT_MS INT64_C(600000)

int cli_count(cli_context *cli)
{
    kivi_slice prefix = {NULL, 0};
    kivi_error *error = NULL;
    kivi_status status;
    uint64_t count;
    int code = CLI_DONE;

    if (cli->args.word_count)
        code = cli_key_word(cli, cli->args.words[0], &prefix);
    if (code)
        return code;
    if (!cli_has(&cli->args, OPT_TIMEOUT))
        cli->call.timeout_ms = COUNT_TIMEOUT_MS;
    status = kivi_store_count(cli->store, &cli->call, prefix, &count, &error);
    if (status)
        return cli_fail_call(status, error, NULL);
    printf("%llu\n", (unsigned long long)count);
    return CLI_DONE;
}

/* Asks on the terminal; anything but yes is no. */
static bool confirmed(const cli_context *cli, kivi_slice prefix)
{
    kivi_buffer text = KIVI_BUFFER_INIT;
    char answer[16];
    ssize_t size;

    /* Nothing was done yet, and a signal just before read() would not end it. */
    cli_uninterruptible(true);
    if (prefix.size) {
        cli_need(kivi_buffer_append(&text, kivi_str("Delete every key that begins with \"")));
        cli_key_text(prefix, &text);
        cli_need(kivi_buffer_append(&text, kivi_str("\"")));
    } else {
        cli_need(kivi_buffer_append(&text, kivi_str("Delete EVERY key")));
    }
    cli_need(kivi_buffer_append(&text, kivi_str(" in ")));
    cli_text_shown(kivi_str(kivi_store_url(cli->store)), &text);
    fprintf(stderr, "%.*s? [y/N] ", (int)text.size, (const char *)text.data);
    kivi_buffer_free(&text);
    size = read(STDIN_FILENO, answer, sizeof answer - 1);
    cli_uninterruptible(false);
    answer[size > 0 ? size : 0] = '\0';
    return answer[0] == 'y' || answer[0] == 'Y';
}

/* Whether to go on: asked on a terminal; --all elsewhere needs --yes. */
static int may_clear(const cli_context *cli, kivi_slice prefix)
{
    bool all = cli_has(&cli->args, OPT_ALL);

    if (all && prefix.size)
        return cli_fail(CLI_USAGE, "--all and a prefix exclude each other");
    if (cli_has(&cli->args, OPT_YES))
        return CLI_DONE;
    if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO))
        return confirmed(cli, prefix) ? CLI_DONE : cli_fail(CLI_UNMET, "nothing was deleted");
    if (all)
        return cli_fail(CLI_USAGE,
                        "clear --all deletes every key in %s: without a terminal to ask on, "
                        "say --yes",
                        kivi_store_url(cli->store));
    return CLI_DONE;
}

int cli_clear(cli_context *cli)
{
    uint32_t flags = cli_has(&cli->args, OPT_ALL) ? KIVI_CLEAR_ALL : 0;
    kivi_slice prefix = {NULL, 0};
    kivi_error *error = NULL;
    kivi_status status;
    uint64_t cleared = 0, more;
    char about[64];
    int code = CLI_DONE;

    if (cli->args.word_count)
        code = cli_key_word(cli, cli->args.words[0], &prefix);
    if (!code)
        code = may_clear(cli, prefix);
    if (code)
        return code;
    /* Each call has its deadline: as long as one gets on, another goes on. */
    do {
        kivi_error_free(error);
        more = 0;
        status = kivi_store_clear(cli->store, &cli->call, prefix, flags, &more, &error);
        cleared += more;
    } while (status == KIVI_TIMEOUT && more && !cli_interrupted());
    if (status) {
        snprintf(about, sizeof about, "after %llu %s deleted", (unsigned long long)cleared,
                 cleared == 1 ? "key" : "keys");
        return cli_fail_call(status, error, cleared ? about : NULL);
    }
    printf("%llu\n", (unsigned long long)cleared);
    return CLI_DONE;
}
