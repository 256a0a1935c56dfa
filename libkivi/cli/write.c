/* Verbs that write: set, add, replace, cas, compare-and-delete, delete, increment. */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

static int in_form(const cli_args *args, cli_form *form)
{
    int named = cli_has(args, OPT_RAW) + cli_has(args, OPT_TEXT) + cli_has(args, OPT_STORED);

    if (named > 1)
        return cli_fail(CLI_USAGE, "--raw, --text and --stored exclude each other");
    *form = cli_has(args, OPT_RAW)      ? CLI_FORM_RAW
            : cli_has(args, OPT_TEXT)   ? CLI_FORM_TEXT
            : cli_has(args, OPT_STORED) ? CLI_FORM_STORED
                                        : CLI_FORM_JSON;
    return CLI_DONE;
}

/* Appends the stored bytes of the value in a word; "-" stands for standard input. */
static int read_value(cli_context *cli, const char *word, kivi_buffer *out)
{
    kivi_buffer input = KIVI_BUFFER_INIT;
    kivi_slice given = kivi_str(word);
    cli_form form = CLI_FORM_JSON;
    int code = in_form(&cli->args, &form);

    if (!code && strcmp(word, "-") == 0) {
        code = cli_read_file(word, &input);
        given = kivi_buffer_slice(&input);
    }
    if (!code && !cli_value_encode(&cli->values, form, given, out))
        code = cli_fail_value(&cli->values, NULL);
    kivi_buffer_free(&input);
    return code;
}

static int read_ttl(const cli_args *args, int64_t *ttl)
{
    *ttl = KIVI_TTL_NONE;
    if (cli_has(args, OPT_TTL) && cli_has(args, OPT_KEEP_TTL))
        return cli_fail(CLI_USAGE, "--ttl and --keep-ttl exclude each other");
    if (cli_has(args, OPT_KEEP_TTL))
        *ttl = KIVI_TTL_KEEP;
    if (cli_has(args, OPT_TTL) && !cli_parse_seconds(args->text[OPT_TTL], ttl))
        return cli_fail(CLI_USAGE, "--ttl needs seconds, as 60 or 0.5 (0.001 to 100 years)");
    return CLI_DONE;
}

typedef kivi_status (*write_fn)(kivi_store *, const kivi_call *, kivi_slice, kivi_slice, int64_t,
                                kivi_error **);

/* Writes one pair; `why` says what it means when the condition does not hold. */
static int write_one(cli_context *cli, write_fn write_pair, const char *why)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_error *error = NULL;
    kivi_status status;
    kivi_slice key;
    int64_t ttl;
    int code = cli_key_word(cli, cli->args.words[0], &key);

    if (!code)
        code = read_ttl(&cli->args, &ttl);
    if (!code)
        code = read_value(cli, cli->args.words[1], &value);
    if (!code) {
        status = write_pair(cli->store, &cli->call, key, kivi_buffer_slice(&value), ttl, &error);
        if (status == KIVI_CONDITION)
            code = cli_unmet(key, why);
        else if (status)
            code = cli_fail_key(status, error, key);
    }
    kivi_buffer_free(&value);
    return code;
}

/* Pairs of a batch: the values lie one after another in `arena`. */
typedef struct pairs {
    size_t count;
    kivi_slice *keys, *values;
    kivi_buffer arena;
} pairs;

static int read_pairs(cli_context *cli, pairs *read)
{
    char **words = cli->args.words;
    size_t *ends = cli_alloc(NULL, read->count * sizeof *ends);
    int code = CLI_DONE;

    for (size_t i = 0; i < read->count && !code; i++) {
        code = cli_key_word(cli, words[2 * i], &read->keys[i]);
        if (!code)
            code = read_value(cli, words[2 * i + 1], &read->arena);
        ends[i] = read->arena.size;
    }
    for (size_t i = 0; i < read->count && !code; i++) {
        size_t begin = i ? ends[i - 1] : 0;

        read->values[i] = kivi_bytes(read->arena.data + begin, ends[i] - begin);
    }
    free(ends);
    return code;
}

static int set_many(cli_context *cli)
{
    pairs each = {.count = (size_t)cli->args.word_count / 2};
    kivi_result *result = NULL;
    kivi_error *error = NULL;
    kivi_status status;
    int64_t ttl;
    int code = read_ttl(&cli->args, &ttl);

    each.keys = cli_alloc(NULL, each.count * sizeof *each.keys);
    each.values = cli_alloc(NULL, each.count * sizeof *each.values);
    if (!code)
        code = read_pairs(cli, &each);
    if (!code) {
        status = kivi_store_set_many(cli->store, &cli->call, each.keys, each.values, each.count,
                                     ttl, &result, &error);
        if (status)
            code = cli_fail_result(status, error, result, each.keys);
    }
    kivi_result_free(result);
    free(each.keys);
    free(each.values);
    kivi_buffer_free(&each.arena);
    return code;
}

int cli_set(cli_context *cli)
{
    int inputs = 0;

    if (cli->args.word_count % 2)
        return cli_fail(CLI_USAGE, "usage: kivi set KEY VALUE [KEY VALUE...] [OPTION...]");
    for (int i = 1; i < cli->args.word_count; i += 2)
        inputs += strcmp(cli->args.words[i], "-") == 0;
    if (inputs > 1)
        return cli_fail(CLI_USAGE, "only one value can be standard input");
    if (cli->args.word_count == 2)
        return write_one(cli, kivi_store_set, "");
    return set_many(cli);
}

int cli_add(cli_context *cli)
{
    return write_one(cli, kivi_store_add, "the key is there already");
}

int cli_replace(cli_context *cli)
{
    return write_one(cli, kivi_store_replace, "no such key");
}

int cli_cas(cli_context *cli)
{
    char **words = cli->args.words;
    kivi_buffer expected = KIVI_BUFFER_INIT;
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_error *error = NULL;
    kivi_status status;
    kivi_slice key;
    int64_t ttl;
    int code = cli_key_word(cli, words[0], &key);

    if (!code && strcmp(words[1], "-") == 0 && strcmp(words[2], "-") == 0)
        code = cli_fail(CLI_USAGE, "only one value can be standard input");
    if (!code)
        code = read_ttl(&cli->args, &ttl);
    if (!code)
        code = read_value(cli, words[1], &expected);
    if (!code)
        code = read_value(cli, words[2], &value);
    if (!code) {
        status = kivi_store_compare_and_set(cli->store, &cli->call, key, kivi_buffer_slice(&expected),
                                            kivi_buffer_slice(&value), ttl, &error);
        if (status == KIVI_CONDITION)
            code = cli_unmet(key, "the key does not hold the old value");
        else if (status)
            code = cli_fail_key(status, error, key);
    }
    kivi_buffer_free(&expected);
    kivi_buffer_free(&value);
    return code;
}

int cli_compare_and_delete(cli_context *cli)
{
    kivi_buffer expected = KIVI_BUFFER_INIT;
    kivi_error *error = NULL;
    kivi_status status;
    kivi_slice key;
    int code = cli_key_word(cli, cli->args.words[0], &key);

    if (!code)
        code = read_value(cli, cli->args.words[1], &expected);
    if (!code) {
        status = kivi_store_compare_and_delete(cli->store, &cli->call, key,
                                               kivi_buffer_slice(&expected), &error);
        if (status == KIVI_CONDITION)
            code = cli_unmet(key, "the key does not hold that value");
        else if (status)
            code = cli_fail_key(status, error, key);
    }
    kivi_buffer_free(&expected);
    return code;
}

static int delete_one(cli_context *cli, kivi_slice key)
{
    kivi_error *error = NULL;
    bool existed = false;
    kivi_status status = kivi_store_delete(cli->store, &cli->call, key, &existed, &error);

    if (status)
        return cli_fail_key(status, error, key);
    return existed ? CLI_DONE : cli_missing(key);
}

static int delete_many(cli_context *cli, const kivi_slice *keys, size_t count)
{
    kivi_result *result = NULL;
    kivi_error *error = NULL;
    uint64_t existed = 0;
    kivi_status status = kivi_store_delete_many(cli->store, &cli->call, keys, count, &existed,
                                                &result, &error);
    int code = status ? cli_fail_result(status, error, result, keys) : CLI_DONE;

    kivi_result_free(result);
    if (code)
        return code;
    printf("%llu\n", (unsigned long long)existed);
    return existed == count ? CLI_DONE : CLI_UNMET;
}

int cli_delete(cli_context *cli)
{
    size_t count = (size_t)cli->args.word_count;
    kivi_slice *keys = cli_alloc(NULL, count * sizeof *keys);
    int code = CLI_DONE;

    for (size_t i = 0; i < count && !code; i++)
        code = cli_key_word(cli, cli->args.words[i], &keys[i]);
    if (!code)
        code = count == 1 ? delete_one(cli, keys[0]) : delete_many(cli, keys, count);
    free(keys);
    return code;
}

int cli_increment(cli_context *cli)
{
    const cli_args *args = &cli->args;
    kivi_error *error = NULL;
    kivi_status status;
    kivi_slice key;
    int64_t by = 1, ttl, sum;
    int code = cli_key_word(cli, args->words[0], &key);

    if (!code)
        code = read_ttl(args, &ttl);
    if (code)
        return code;
    if (args->word_count == 2 && !cli_parse_int(args->words[1], &by))
        return cli_fail(CLI_USAGE, "increment needs a whole number within 64 bits");
    status = kivi_store_increment(cli->store, &cli->call, key, by, ttl, &sum, &error);
    if (status)
        return cli_fail_key(status, error, key);
    printf("%lld\n", (long long)sum);
    return CLI_DONE;
}
