/* The kivi command: reads the command line, opens the store, runs the verb. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"

static kivi_interrupt *interrupt;
static volatile sig_atomic_t interrupted, uninterruptible;

static void end_here(void)
{
    static const char line[] = "kivi: interrupted\n";

    if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
        _exit(CLI_FAILED);
    _exit(CLI_INTERRUPTED);
}

/* The first signal asks the call in progress to end, so that the verb can say what was done; the
 * second ends the process. */
static void on_signal(int number)
{
    (void)number;
    if (interrupted || uninterruptible)
        end_here();
    interrupted = 1;
    kivi_interrupt_raise(interrupt);
}

bool cli_interrupted(void)
{
    return interrupted;
}

void cli_uninterruptible(bool on)
{
    uninterruptible = on;
    if (on && interrupted)
        end_here();
}

/* Without SA_RESTART: reading and writing end as well. */
static void catch_signals(cli_context *cli)
{
    struct sigaction action;

    interrupt = kivi_interrupt_new();
    cli_need(interrupt ? KIVI_OK : KIVI_NO_MEMORY);
    cli->call.interrupt = interrupt;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static kivi_status set_option(kivi_options *options, const char *text, kivi_error **error)
{
    const char *equals = strchr(text, '=');
    kivi_status status;
    char *name;

    if (!equals)
        return kivi_options_set(options, text, "true", error);
    name = cli_alloc(NULL, (size_t)(equals - text) + 1);
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    status = kivi_options_set(options, name, equals + 1, error);
    free(name);
    return status;
}

static int make_options(const cli_args *args, kivi_options **made)
{
    kivi_options *options = kivi_options_new();
    kivi_error *error = NULL;
    kivi_status status = KIVI_OK;
    int64_t timeout;

    cli_need(options ? KIVI_OK : KIVI_NO_MEMORY);
    *made = options;
    for (int i = 0; i < args->store_option_count && !status; i++)
        status = set_option(options, args->store_options[i], &error);
    if (!status && cli_has(args, OPT_TIMEOUT)) {
        if (!cli_parse_seconds(args->text[OPT_TIMEOUT], &timeout))
            return cli_fail(CLI_USAGE, "--timeout needs seconds, as 2.5");
        status = kivi_options_set_int(options, "timeout", timeout, &error);
    }
    return status ? cli_fail_call(status, error, NULL) : CLI_DONE;
}

int cli_open(cli_context *cli, const char *url, kivi_store **store)
{
    kivi_options *options = NULL;
    kivi_error *error = NULL;
    kivi_status status;
    int code = make_options(&cli->args, &options);

    if (!code) {
        cli_uninterruptible(true);
        status = kivi_store_open(url, options, store, &error);
        cli_uninterruptible(false);
        if (status)
            code = cli_fail_call(status, error, NULL);
    }
    kivi_options_free(options);
    return code;
}

static int open_store(cli_context *cli)
{
    const char *url = cli_has(&cli->args, OPT_STORE) ? cli->args.text[OPT_STORE] : getenv("KIVI_URL");
    int code;

    if (!url || !*url)
        return cli_fail(CLI_USAGE, "no store: say -s URL or set KIVI_URL (lmdb:data.mdb)");
    code = cli_open(cli, url, &cli->store);
    if (!code)
        cli_values_init(&cli->values, kivi_store_codec(cli->store));
    return code;
}

static int run(cli_context *cli)
{
    const cli_args *args = &cli->args;
    int code;

    if (cli_has(args, OPT_HELP) && args->verb) {
        cli_help_verb(args->verb);
        return CLI_DONE;
    }
    if (cli_has(args, OPT_HELP))
        return cli_help(cli);
    if (cli_has(args, OPT_VERSION))
        return cli_version(cli);
    if (!args->verb)
        return cli_fail(CLI_USAGE,
                        "usage: kivi [-s URL] VERB [ARGUMENT...]: kivi help lists the verbs");
    catch_signals(cli);
    if (args->verb->opens) {
        code = open_store(cli);
        if (code)
            return code;
    }
    return args->verb->run(cli);
}

/* What was printed must have gone out, else the command did not do its work. */
static int close_output(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    if (cli_interrupted())
        return CLI_INTERRUPTED;
    return cli_fail(CLI_FAILED, "cannot write to standard output: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    cli_context cli = {.call = KIVI_CALL_INIT};
    int code = cli_args_parse(&cli.args, argc, argv);

    if (!code)
        code = run(&cli);
    code = close_output(code);
    cli_values_free(&cli.values);
    kivi_store_unref(cli.store);
    kivi_interrupt_free(interrupt);
    cli_args_free(&cli.args);
    return code;
}
