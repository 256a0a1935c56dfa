/* Verbs that read keys or change when they expire: get, take, exists, ttl, expire, persist. */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

static cli_form out_form(const cli_context *cli)
{
    return cli_has(&cli->args, OPT_RAW)      ? CLI_FORM_RAW
           : cli_has(&cli->args, OPT_STORED) ? CLI_FORM_STORED
                                             : CLI_FORM_JSON;
}

/* Appends {"key":..., "value":...} and, if given, the version. */
static bool value_object(cli_context *cli, kivi_slice key, kivi_slice value,
                         const kivi_slice *version, kivi_buffer *out)
{
    kivi_writer *json = cli_values_json(&cli->values);
    kivi_buffer base64 = KIVI_BUFFER_INIT;

    kivi_writer_start(json, out);
    kivi_writer_map(json, version ? 3 : 2);
    kivi_writer_str(json, kivi_str("key"));
    cli_json_key(json, key);
    kivi_writer_str(json, kivi_str("value"));
    if (!cli_value_decode_into(&cli->values, value, json)) {
        kivi_writer_finish(json, NULL);
        return false;
    }
    if (version) {
        cli_base64_write(*version, &base64);
        kivi_writer_str(json, kivi_str("version"));
        kivi_writer_str(json, kivi_buffer_slice(&base64));
        kivi_buffer_free(&base64);
    }
    cli_json_finish(json);
    return true;
}

/* Prints a value: alone, or with its key and version as one JSON object. */
static int print_value(cli_context *cli, kivi_slice key, kivi_slice value, const kivi_slice *version)
{
    cli_form form = out_form(cli);
    kivi_buffer out = KIVI_BUFFER_INIT;
    bool good;

    if (cli_has(&cli->args, OPT_JSON) || version)
        good = value_object(cli, key, value, version, &out);
    else
        good = cli_value_decode(&cli->values, form, value, &out);
    if (good && form != CLI_FORM_JSON)
        cli_put(kivi_buffer_slice(&out));
    else if (good)
        cli_put_line(&out);
    kivi_buffer_free(&out);
    return good ? CLI_DONE : cli_fail_pair(&cli->values, key);
}

static int get_one(cli_context *cli)
{
    const cli_args *args = &cli->args;
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_buffer version = KIVI_BUFFER_INIT;
    kivi_error *error = NULL;
    kivi_status status;
    kivi_slice key, shown;
    int64_t ttl;
    int code = cli_key_word(cli, args->words[0], &key);

    if (code)
        return code;
    if (cli_has(args, OPT_TOUCH)) {
        if (!cli_parse_seconds(args->text[OPT_TOUCH], &ttl))
            return cli_fail(CLI_USAGE, "--touch needs seconds, as 60 or 0.5");
        status = kivi_store_get_and_expire(cli->store, &cli->call, key, ttl, &value, &error);
    } else if (cli_has(args, OPT_VERSIONED)) {
        status = kivi_store_get_versioned(cli->store, &cli->call, key, &value, &version, &error);
    } else {
        status = kivi_store_get(cli->store, &cli->call, key, &value, &error);
    }
    shown = kivi_buffer_slice(&version);
    if (status == KIVI_NOT_FOUND)
        code = cli_missing(key);
    else if (status)
        code = cli_fail_key(status, error, key);
    else
        code = print_value(cli, key, kivi_buffer_slice(&value),
                           cli_has(args, OPT_VERSIONED) ? &shown : NULL);
    kivi_buffer_free(&value);
    kivi_buffer_free(&version);
    return code;
}

/* One line of a read of several keys. */
static int print_pair(cli_context *cli, kivi_slice key, kivi_slice value)
{
    kivi_buffer line = KIVI_BUFFER_INIT;
    bool good;

    if (cli_has(&cli->args, OPT_JSON))
        return print_value(cli, key, value, NULL);
    cli_key_text(key, &line);
    cli_need(kivi_buffer_append(&line, kivi_str("\t")));
    good = cli_value_decode(&cli->values, CLI_FORM_JSON, value, &line);
    if (good)
        cli_put_line(&line);
    kivi_buffer_free(&line);
    return good ? CLI_DONE : cli_fail_pair(&cli->values, key);
}

/* One of several keys; what is wrong with it ends nothing. */
static int print_item(cli_context *cli, kivi_slice key, const kivi_result *result, size_t index)
{
    kivi_status status = kivi_result_status(result, index);
    kivi_buffer memory = KIVI_BUFFER_INIT;
    int code;

    if (status == KIVI_OK)
        return print_pair(cli, key, kivi_result_value(result, index));
    if (status == KIVI_NOT_FOUND)
        return cli_missing(key);
    code = cli_fail(cli_exit_of(status), "%s: %s", cli_key_shown(key, &memory),
                    kivi_error_message(kivi_result_error(result, index)));
    kivi_buffer_free(&memory);
    return code;
}

static int print_result(cli_context *cli, const kivi_slice *keys, const kivi_result *result)
{
    int code = CLI_DONE;

    for (size_t i = 0; i < kivi_result_count(result); i++) {
        int each = print_item(cli, keys[i], result, i);

        if (each > code)
            code = each;
    }
    return code;
}

static int get_many(cli_context *cli)
{
    size_t count = (size_t)cli->args.word_count;
    kivi_slice *keys = cli_alloc(NULL, count * sizeof *keys);
    kivi_result *result = NULL;
    kivi_error *error = NULL;
    kivi_status status;
    int code = CLI_DONE;

    for (size_t i = 0; i < count && !code; i++)
        code = cli_key_word(cli, cli->args.words[i], &keys[i]);
    if (!code) {
        status = kivi_store_get_many(cli->store, &cli->call, keys, count, &result, &error);
        /* A store that is away is told once. */
        if (status && (!result || kivi_status_class(status) == KIVI_CLASS_TRANSIENT)) {
            code = cli_fail_result(status, error, result, keys);
        } else {
            code = print_result(cli, keys, result);
            kivi_error_free(error);
        }
    }
    kivi_result_free(result);
    free(keys);
    return code;
}

int cli_get(cli_context *cli)
{
    const cli_args *args = &cli->args;
    bool bytes = cli_has(args, OPT_RAW) || cli_has(args, OPT_STORED);

    if (cli_has(args, OPT_RAW) && cli_has(args, OPT_STORED))
        return cli_fail(CLI_USAGE, "--raw and --stored exclude each other");
    if (bytes && (cli_has(args, OPT_JSON) || cli_has(args, OPT_VERSIONED)))
        return cli_fail(CLI_USAGE,
                        "--raw and --stored print bytes alone: no --json, no --versioned");
    if (cli_has(args, OPT_TOUCH) && cli_has(args, OPT_VERSIONED))
        return cli_fail(CLI_USAGE, "--touch and --versioned exclude each other");
    if (args->word_count == 1)
        return get_one(cli);
    if (bytes || cli_has(args, OPT_TOUCH) || cli_has(args, OPT_VERSIONED))
        return cli_fail(CLI_USAGE, "--raw, --stored, --touch and --versioned take one key");
    return get_many(cli);
}

int cli_take(cli_context *cli)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_error *error = NULL;
    kivi_status status;
    kivi_slice key;
    int code = cli_key_word(cli, cli->args.words[0], &key);

    if (code)
        return code;
    if (out_form(cli) != CLI_FORM_JSON && cli_has(&cli->args, OPT_JSON))
        return cli_fail(CLI_USAGE, "--raw and --stored print bytes alone: no --json");
    status = kivi_store_take(cli->store, &cli->call, key, &value, &error);
    if (status == KIVI_NOT_FOUND)
        code = cli_missing(key);
    else if (status)
        code = cli_fail_key(status, error, key);
    else
        code = print_value(cli, key, kivi_buffer_slice(&value), NULL);
    kivi_buffer_free(&value);
    return code;
}

/* {"key": KEY, NAME: and the answer is to follow. */
static kivi_writer *begin_answer(cli_context *cli, kivi_buffer *line, kivi_slice key, const char *name)
{
    kivi_writer *json = cli_values_json(&cli->values);

    kivi_writer_start(json, line);
    kivi_writer_map(json, 2);
    kivi_writer_str(json, kivi_str("key"));
    cli_json_key(json, key);
    kivi_writer_str(json, kivi_str(name));
    return json;
}

static void end_answer(kivi_writer *json, kivi_buffer *line)
{
    cli_json_finish(json);
    cli_put_line(line);
    kivi_buffer_free(line);
}

/* Alone for one key, after the key for several, or as JSON. */
static void print_exists(cli_context *cli, kivi_slice key, bool exists)
{
    kivi_buffer line = KIVI_BUFFER_INIT;

    if (cli_has(&cli->args, OPT_JSON)) {
        kivi_writer *json = begin_answer(cli, &line, key, "exists");

        kivi_writer_bool(json, exists);
        end_answer(json, &line);
        return;
    }
    if (cli->args.word_count > 1) {
        cli_key_text(key, &line);
        cli_need(kivi_buffer_append(&line, kivi_str("\t")));
    }
    cli_need(kivi_buffer_append(&line, kivi_str(exists ? "true" : "false")));
    cli_put_line(&line);
    kivi_buffer_free(&line);
}

int cli_exists(cli_context *cli)
{
    int code = CLI_DONE;

    for (int i = 0; i < cli->args.word_count; i++) {
        kivi_error *error = NULL;
        kivi_status status;
        bool exists = false;
        kivi_slice key;
        int each = cli_key_word(cli, cli->args.words[i], &key);

        if (each)
            return each;
        status = kivi_store_exists(cli->store, &cli->call, key, &exists, &error);
        if (status)
            return cli_fail_key(status, error, key);
        print_exists(cli, key, exists);
        if (!exists)
            code = CLI_UNMET;
    }
    return code;
}

static void print_ttl_json(cli_context *cli, kivi_slice key, int64_t ttl)
{
    kivi_buffer line = KIVI_BUFFER_INIT;
    kivi_writer *json = begin_answer(cli, &line, key, "ttl");

    if (ttl == KIVI_TTL_NONE)
        kivi_writer_nil(json);
    else
        kivi_writer_float(json, (double)ttl / 1000);
    end_answer(json, &line);
}

int cli_ttl(cli_context *cli)
{
    kivi_error *error = NULL;
    kivi_status status;
    kivi_slice key;
    int64_t ttl;
    int code = cli_key_word(cli, cli->args.words[0], &key);

    if (code)
        return code;
    status = kivi_store_ttl(cli->store, &cli->call, key, &ttl, &error);
    if (status == KIVI_NOT_FOUND)
        return cli_missing(key);
    if (status)
        return cli_fail_key(status, error, key);
    if (cli_has(&cli->args, OPT_JSON))
        print_ttl_json(cli, key, ttl);
    else if (ttl == KIVI_TTL_NONE)
        puts("never");
    else
        printf("%lld.%03d\n", (long long)(ttl / 1000), (int)(ttl % 1000));
    return CLI_DONE;
}

static int touched(kivi_status status, kivi_error *error, kivi_slice key)
{
    if (status == KIVI_NOT_FOUND)
        return cli_missing(key);
    return status ? cli_fail_key(status, error, key) : CLI_DONE;
}

int cli_expire(cli_context *cli)
{
    kivi_error *error = NULL;
    kivi_status status;
    kivi_slice key;
    int64_t ttl;
    int code = cli_key_word(cli, cli->args.words[0], &key);

    if (code)
        return code;
    if (!cli_parse_seconds(cli->args.words[1], &ttl))
        return cli_fail(CLI_USAGE, "expire needs seconds, as 60 or 0.5 (0.001 to 100 years)");
    status = kivi_store_expire(cli->store, &cli->call, key, ttl, &error);
    return touched(status, error, key);
}

int cli_persist(cli_context *cli)
{
    kivi_error *error = NULL;
    kivi_status status;
    kivi_slice key;
    int code = cli_key_word(cli, cli->args.words[0], &key);

    if (code)
        return code;
    status = kivi_store_persist(cli->store, &cli->call, key, &error);
    return touched(status, error, key);
}
