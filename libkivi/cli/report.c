/* What failed calls, keys and values are told with. */
#include "cli.h"

int cli_fail_call(kivi_status status, kivi_error *error, const char *about)
{
    int code = cli_interrupted() ? CLI_INTERRUPTED : cli_exit_of(status);
    const char *message = error ? kivi_error_message(error) : kivi_status_name(status);

    if (about)
        cli_fail(code, "%s: %s", about, message);
    else
        cli_fail(code, "%s", message);
    kivi_error_free(error);
    return code;
}

#define KEY_SHOWN 100

const char *cli_key_shown(kivi_slice key, kivi_buffer *memory)
{
    cli_buffer_clear(memory);
    cli_need(kivi_key_show(key, KEY_SHOWN, memory));
    cli_need(kivi_buffer_append(memory, kivi_bytes("", 1)));
    return (const char *)memory->data;
}

int cli_fail_key(kivi_status status, kivi_error *error, kivi_slice key)
{
    kivi_buffer memory = KIVI_BUFFER_INIT;
    int code = cli_fail_call(status, error, cli_key_shown(key, &memory));

    kivi_buffer_free(&memory);
    return code;
}

int cli_unmet(kivi_slice key, const char *why)
{
    kivi_buffer memory = KIVI_BUFFER_INIT;

    cli_fail(CLI_UNMET, "%s: %s", cli_key_shown(key, &memory), why);
    kivi_buffer_free(&memory);
    return CLI_UNMET;
}

int cli_missing(kivi_slice key)
{
    return cli_unmet(key, "no such key");
}

int cli_fail_result(kivi_status status, kivi_error *error, const kivi_result *result,
                    const kivi_slice *keys)
{
    size_t count = result ? kivi_result_count(result) : 0; /* none: nothing was sent */

    for (size_t i = 0; i < count; i++)
        if (kivi_result_error(result, i))
            return cli_fail_key(status, error, keys[i]);
    return cli_fail_call(status, error, NULL);
}

int cli_fail_value(const cli_values *values, const char *about)
{
    if (about)
        return cli_fail(values->code, "%s: %s", about, values->problem);
    return cli_fail(values->code, "%s", values->problem);
}
