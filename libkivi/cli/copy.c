/* The copy verb: pairs from one store into another, with a place to go on from when it is cut short. */
#include <stdio.h>

#include "cli.h"
#include "progress.h"
#include "resume.h"

typedef struct copying {
    cli_context *cli;
    kivi_store *source, *target;
    kivi_copy_options options;
    cli_resume resume;
    uint64_t total; /* pairs, where they could be counted cheaply; else 0 */
    bool dry;
} copying;

static int on_progress(const kivi_copy_progress *progress, void *user)
{
    copying *copy = user;
    uint64_t done = progress->copied + progress->skipped;

    cli_progress_show(progress->copied, done, copy->total);
    if (!copy->dry)
        cli_resume_note(&copy->resume, progress->cursor, progress->copied);
    return cli_interrupted();
}

static int read_settings(copying *copy)
{
    const cli_args *args = &copy->cli->args;
    kivi_copy_options *options = &copy->options;
    int code = cli_key_option(copy->cli, OPT_PREFIX, &options->prefix);

    if (code)
        return code;
    copy->dry = cli_has(args, OPT_DRY_RUN);
    options->flags = (copy->dry ? KIVI_COPY_DRY_RUN : 0) |
                     (cli_has(args, OPT_ADD_ONLY) ? KIVI_COPY_ADD_ONLY : 0) |
                     (cli_has(args, OPT_NO_EXPIRY) ? KIVI_COPY_NO_EXPIRY : 0);
    if (cli_has(args, OPT_RATE) && !cli_parse_count(args->text[OPT_RATE], &options->rate))
        return cli_fail(CLI_USAGE, "--rate needs pairs a second, a whole number of at least 1");
    if (cli_has(args, OPT_BATCH) &&
        (!cli_parse_count(args->text[OPT_BATCH], &options->batch) || options->batch > 1000000))
        return cli_fail(CLI_USAGE, "--batch needs a whole number from 1 to 1000000");
    options->progress = on_progress;
    options->user = copy;
    return CLI_DONE;
}

static int open_stores(copying *copy)
{
    char **words = copy->cli->args.words;
    int code = cli_open(copy->cli, words[0], &copy->source);
    if (!code)
        code = cli_open(copy->cli, words[1], &copy->target);
    return code;
}

/* A bar needs a total; it is asked for only where counting is cheap. */
static void count_pairs(copying *copy)
{
    kivi_capabilities capabilities = {.struct_size = sizeof capabilities};

    if (!cli_progress_is_bar() || copy->options.cursor.size)
        return;
    if (!kivi_store_capabilities(copy->source, &capabilities, NULL) && capabilities.local)
        kivi_store_count(copy->source, &copy->cli->call, copy->options.prefix, &copy->total, NULL);
}

static void print_summary(const copying *copy, const kivi_copy_progress *summary)
{
    char text[128], skipped[CLI_NUMBER_MAX];

    if (cli_has(&copy->cli->args, OPT_JSON)) {
        printf(
            "{\"copied\":%llu,\"skipped\":%llu,\"bytes\":%llu,\"seconds\":%.3f,\"dry_run\":%s}\n",
            (unsigned long long)summary->copied, (unsigned long long)summary->skipped,
            (unsigned long long)summary->bytes, (double)summary->elapsed_ns / 1e9,
            copy->dry ? "true" : "false");
        return;
    }
    if (cli_has(&copy->cli->args, OPT_QUIET))
        return;
    cli_progress_summary(summary->copied, text, sizeof text);
    printf("%s", text);
    if (summary->skipped)
        printf(", skipped %s", cli_number(summary->skipped, skipped));
    putchar('\n');
}

/* Why it ended early, how far it came, and how to go on, in one line. */
static int tell_end(copying *copy, kivi_status status, kivi_error *error,
                    const kivi_copy_progress *summary, kivi_slice cursor)
{
    bool interrupted = cli_interrupted();
    int code = interrupted ? CLI_INTERRUPTED : cli_exit_of(status);
    const char *why = interrupted ? "interrupted" : error ? kivi_error_message(error) : "it failed";
    kivi_buffer how = KIVI_BUFFER_INIT;
    char number[CLI_PAIRS_MAX];

    if (cursor.size && !copy->dry) {
        cli_need(kivi_buffer_append(&how, kivi_str("; go on with --resume ")));
        cli_resume_text(&copy->resume, cursor, &how);
    }
    cli_fail(code, "%s: %s %s%.*s", why, cli_pairs(summary->copied, number),
             !copy->dry             ? "copied"
             : summary->copied == 1 ? "was read"
                                    : "were read",
             (int)how.size, how.data ? (const char *)how.data : "");
    kivi_buffer_free(&how);
    kivi_error_free(error);
    return code;
}

static int run(copying *copy)
{
    kivi_copy_progress summary = {.struct_size = sizeof summary};
    kivi_buffer cursor = KIVI_BUFFER_INIT;
    kivi_error *error = NULL;
    kivi_status status;
    int code = CLI_DONE;

    cli_progress_begin(copy->dry ? "would copy" : "copied",
                       cli_has(&copy->cli->args, OPT_QUIET) || cli_has(&copy->cli->args, OPT_JSON));
    count_pairs(copy);
    status = kivi_store_copy(copy->source, copy->target, &copy->cli->call, &copy->options, &summary,
                             &cursor, &error);
    cli_progress_clear();
    if (!copy->dry)
        code = cli_resume_end(&copy->resume, !status, kivi_buffer_slice(&cursor), summary.copied);
    if (status)
        code = tell_end(copy, status, error, &summary, kivi_buffer_slice(&cursor));
    else
        print_summary(copy, &summary);
    kivi_buffer_free(&cursor);
    return code;
}

int cli_copy(cli_context *cli)
{
    copying copy = {.cli = cli, .options = KIVI_COPY_OPTIONS_INIT};
    int code = read_settings(&copy);

    if (!code)
        code = open_stores(&copy);
    if (!code)
        code = cli_resume_begin(&copy.resume, cli->args.text[OPT_RESUME], kivi_store_url(copy.source),
                                kivi_store_url(copy.target), copy.options.prefix);
    if (!code) {
        copy.options.cursor = kivi_buffer_slice(&copy.resume.cursor);
        code = run(&copy);
    }
    cli_resume_free(&copy.resume);
    kivi_store_unref(copy.source);
    kivi_store_unref(copy.target);
    return code;
}
