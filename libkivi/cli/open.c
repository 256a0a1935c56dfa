/* Opening a store as the options say. */
#include <stdlib.h>

#include "cli.h"

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
        status = kivi_store_open(url, &cli->call, options, store, &error);
        if (status)
            code = cli_fail_call(status, error, NULL);
        else if (cli_interrupted()) /* an opening that need not wait does not look: what follows is not to begin */
            code = cli_fail(CLI_INTERRUPTED, "interrupted");
    }
    kivi_options_free(options);
    return code;
}
