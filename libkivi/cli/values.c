/* Values between the command's text forms and the bytes of a store's codec. */
#include "values.h"

#include <stdarg.h>
#include <stdio.h>

#include "cli.h"

/* A map of pairs is three containers in JSON where it is one in the store. */
#define JSON_DEPTH (4 * CLI_DEPTH)

void cli_values_init(cli_values *values, const char *codec)
{
    memset(values, 0, sizeof *values);
    values->codec = codec;
}

void cli_values_free(cli_values *values)
{
    kivi_reader_free(values->from_json);
    kivi_reader_free(values->from_stored);
    kivi_writer_free(values->to_json);
    kivi_writer_free(values->to_stored);
    cli_tree_free(&values->tree);
    kivi_buffer_free(&values->scratch);
    memset(values, 0, sizeof *values);
}

bool cli_value_problem(cli_values *values, int code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(values->problem, sizeof values->problem, format, arguments);
    va_end(arguments);
    values->code = code;
    return false;
}

bool cli_value_problem_error(cli_values *values, int code, const char *about, kivi_error *error)
{
    if (kivi_error_status(error) == KIVI_NO_MEMORY) { /* nothing is wrong with the value */
        kivi_error_free(error);
        return cli_value_problem(values, CLI_FAILED, "out of memory");
    }
    cli_value_problem(values, code, "%s%s", about,
                      error ? kivi_error_message(error) : "it cannot be read");
    kivi_error_free(error);
    return false;
}

static kivi_reader *new_reader(const char *codec, uint32_t depth, uint64_t size)
{
    kivi_limits limits = {sizeof limits, depth, size};
    kivi_reader *reader;

    cli_need(kivi_reader_new(codec, &limits, &reader, NULL));
    return reader;
}

kivi_reader *cli_json_reader(uint64_t max_size)
{
    return new_reader("json", JSON_DEPTH, max_size);
}

static kivi_writer *new_writer(const char *codec)
{
    kivi_writer *writer;

    cli_need(kivi_writer_new(codec, &writer, NULL));
    return writer;
}

kivi_writer *cli_values_json(cli_values *values)
{
    if (!values->to_json)
        values->to_json = new_writer("json");
    return values->to_json;
}

static kivi_writer *stored_writer(cli_values *values)
{
    if (!values->to_stored)
        values->to_stored = new_writer(values->codec);
    return values->to_stored;
}

/* The value of a store without types is text where it can be: JSON has a plain form for that. */
static bool is_raw_store(const cli_values *values)
{
    return strcmp(values->codec, "raw") == 0;
}

bool cli_value_encode_node(cli_values *values, const cli_tree *json, size_t node, kivi_buffer *out)
{
    kivi_writer *writer = stored_writer(values);
    kivi_error *error = NULL;
    const char *wrong;
    kivi_status status;

    kivi_writer_start(writer, out);
    wrong = cli_json_in(json, node, writer, &values->scratch);
    status = kivi_writer_finish(writer, wrong ? NULL : &error);
    if (wrong && status != KIVI_NO_MEMORY)
        return cli_value_problem(values, CLI_USAGE, "%s", wrong);
    cli_need(wrong ? status : KIVI_OK);
    if (status)
        return cli_value_problem_error(values, CLI_USAGE, "", error);
    return true;
}

static bool encode_json(cli_values *values, kivi_slice given, kivi_buffer *out)
{
    if (!values->from_json)
        values->from_json = cli_json_reader(UINT64_MAX);
    if (cli_tree_parse(&values->tree, values->from_json, given)) {
        kivi_error *error = kivi_reader_error(values->from_json);

        if (kivi_error_status(error) == KIVI_NO_MEMORY)
            return cli_value_problem_error(values, CLI_FAILED, "", error);
        cli_value_problem(values, CLI_USAGE, "the value is no JSON: %s; for text say --text",
                          error ? kivi_error_message(error) : "it cannot be read");
        kivi_error_free(error);
        return false;
    }
    return cli_value_encode_node(values, &values->tree, 0, out);
}

/* Bytes are a bin; a store of JSON has none, but text will do where they are text. */
static bool encode_bytes(cli_values *values, kivi_slice given, bool text, kivi_buffer *out)
{
    kivi_writer *writer = stored_writer(values);
    kivi_error *error = NULL;

    kivi_writer_start(writer, out);
    if (text || (strcmp(values->codec, "json") == 0 && cli_is_utf8(given)))
        kivi_writer_str(writer, given);
    else
        kivi_writer_bin(writer, given);
    if (kivi_writer_finish(writer, &error))
        return cli_value_problem_error(values, CLI_USAGE, "", error);
    return true;
}

bool cli_value_encode(cli_values *values, cli_form form, kivi_slice given, kivi_buffer *out)
{
    switch (form) {
    case CLI_FORM_JSON:
        return encode_json(values, given, out);
    case CLI_FORM_STORED:
        cli_need(kivi_buffer_append(out, given));
        return true;
    default:
        return encode_bytes(values, given, form == CLI_FORM_TEXT, out);
    }
}

static bool read_stored(cli_values *values, kivi_slice stored)
{
    if (!values->from_stored)
        values->from_stored = new_reader(values->codec, CLI_DEPTH, UINT64_MAX);
    if (cli_tree_parse(&values->tree, values->from_stored, stored))
        return cli_value_problem_error(values, CLI_FAILED, "the stored value is damaged: ",
                                       kivi_reader_error(values->from_stored));
    return true;
}

bool cli_value_decode_into(cli_values *values, kivi_slice stored, kivi_writer *json)
{
    if (is_raw_store(values) && cli_is_utf8(stored)) {
        kivi_writer_str(json, stored);
        return true;
    }
    if (!read_stored(values, stored))
        return false;
    cli_json_out(&values->tree, 0, json, &values->scratch);
    return true;
}

void cli_json_finish(kivi_writer *json)
{
    cli_need(kivi_writer_finish(json, NULL));
}

static bool decode_json(cli_values *values, kivi_slice stored, kivi_buffer *out)
{
    kivi_writer *json = cli_values_json(values);

    kivi_writer_start(json, out);
    if (!cli_value_decode_into(values, stored, json)) {
        kivi_writer_finish(json, NULL);
        return false;
    }
    cli_json_finish(json);
    return true;
}

static bool decode_bytes(cli_values *values, kivi_slice stored, kivi_buffer *out)
{
    if (is_raw_store(values)) {
        cli_need(kivi_buffer_append(out, stored));
        return true;
    }
    if (!read_stored(values, stored))
        return false;
    if (!cli_tree_is(&values->tree, 0, KIVI_TOKEN_STR) && !cli_tree_is(&values->tree, 0, KIVI_TOKEN_BIN))
        return cli_value_problem(values, CLI_FAILED,
                                 "--raw shows text and bytes only, and the "
                                 "value is neither: leave --raw out");
    cli_need(kivi_buffer_append(out, cli_tree_text(&values->tree, 0)));
    return true;
}

bool cli_value_decode(cli_values *values, cli_form form, kivi_slice stored, kivi_buffer *out)
{
    switch (form) {
    case CLI_FORM_JSON:
        return decode_json(values, stored, out);
    case CLI_FORM_STORED:
        cli_need(kivi_buffer_append(out, stored));
        return true;
    default:
        return decode_bytes(values, stored, out);
    }
}
