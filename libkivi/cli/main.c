/* The kivi command: reads the command line, opens the store, runs the verb. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "core/base/descriptors.h"

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
    cli_catch_signals(cli);
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
    cli_context cli = {.verbs = cli_verbs, .call = KIVI_CALL_INIT};
    int code;

    kvi_descriptors_guard(); /* a file that is opened below must not become standard output */
    code = cli_args_parse(&cli.args, argc, argv);

    if (!code)
        code = run(&cli);
    code = close_output(code);
    cli_values_free(&cli.values);
    kivi_store_unref(cli.store);
    cli_release_signals();
    cli_args_free(&cli.args);
    return code;
}
