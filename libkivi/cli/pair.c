/* Pairs of a scan as lines, for people and for machines. */
#include <stdio.h>

#include "cli.h"

/* When a key expires, as text; `now` is when its time left was read. */
static void expiry_text(int64_t now, int64_t ttl, char text[CLI_TIME_MAX])
{
    int64_t at;

    if (ttl == KIVI_TTL_NONE || __builtin_add_overflow(now, ttl, &at) ||
        !cli_time_write(at / 1000, (uint32_t)(at % 1000) * 1000000, text))
        snprintf(text, CLI_TIME_MAX, "never");
}

int cli_pair_json(cli_values *values, const kivi_pair *pair, bool with_value, int64_t now,
                  kivi_buffer *line)
{
    kivi_writer *json = cli_values_json(values);
    bool expires = pair->ttl_ms != KIVI_TTL_NONE;
    char text[CLI_TIME_MAX];
    bool good = true;

    kivi_writer_start(json, line);
    kivi_writer_map(json, 1u + with_value + expires);
    kivi_writer_str(json, kivi_str("key"));
    cli_json_key(json, pair->key);
    if (with_value) {
        kivi_writer_str(json, kivi_str("value"));
        good = cli_value_decode_into(values, pair->value, json);
    }
    if (good && expires) {
        expiry_text(now, pair->ttl_ms, text);
        kivi_writer_str(json, kivi_str("expires"));
        kivi_writer_str(json, kivi_str(text));
    }
    if (!good) {
        kivi_writer_finish(json, NULL);
        return values->code;
    }
    cli_json_finish(json);
    return CLI_DONE;
}

int cli_pair_text(cli_values *values, const kivi_pair *pair, bool with_value, bool with_expiry,
                  int64_t now, kivi_buffer *line)
{
    char text[CLI_TIME_MAX];

    cli_key_text(pair->key, line);
    if (with_value) {
        cli_need(kivi_buffer_append(line, kivi_str("\t")));
        if (!cli_value_decode(values, CLI_FORM_JSON, pair->value, line))
            return values->code;
    }
    if (with_expiry) {
        expiry_text(now, pair->ttl_ms, text);
        cli_need(kivi_buffer_append(line, kivi_str("\t")));
        cli_need(kivi_buffer_append(line, kivi_str(text)));
    }
    return CLI_DONE;
}

int cli_fail_pair(const cli_values *values, kivi_slice key)
{
    kivi_buffer memory = KIVI_BUFFER_INIT;

    cli_fail_value(values, cli_key_shown(key, &memory));
    kivi_buffer_free(&memory);
    return values->code;
}
