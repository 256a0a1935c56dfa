/* A stored value as JSON, with forms for what JSON lacks. */
#include <math.h>

#include "cli.h"

typedef struct output {
    const cli_tree *tree;
    kivi_writer *json;
    kivi_buffer *scratch;
} output;

static void write_node(const output *to, size_t node);

static void write_text(const output *to, const char *text)
{
    kivi_writer_str(to->json, kivi_str(text));
}

/* {"$name": ...: the value is to follow. */
static void begin_form(const output *to, const char *name)
{
    kivi_writer_map(to->json, 1);
    write_text(to, name);
}

static void write_base64(const output *to, size_t node)
{
    cli_buffer_clear(to->scratch);
    cli_base64_write(cli_tree_text(to->tree, node), to->scratch);
    kivi_writer_str(to->json, kivi_buffer_slice(to->scratch));
}

static void write_float(const output *to, double value)
{
    char text[CLI_FLOAT_MAX];

    if (isfinite(value)) {
        kivi_writer_float(to->json, value);
        return;
    }
    cli_float_write(value, text);
    begin_form(to, "$float");
    write_text(to, text);
}

static void write_time(const output *to, const cli_node *node)
{
    char text[CLI_TIME_MAX];

    begin_form(to, "$time");
    if (cli_time_write(node->as.seconds, node->nanoseconds, text)) {
        write_text(to, text);
        return;
    }
    kivi_writer_array(to->json, 2);
    kivi_writer_int(to->json, node->as.seconds);
    kivi_writer_int(to->json, node->nanoseconds);
}

static void write_pairs(const output *to, size_t map)
{
    size_t key = map + 1;
    size_t end = cli_tree_after(to->tree, map);

    begin_form(to, "$pairs");
    kivi_writer_array(to->json, to->tree->nodes[map].count);
    while (key < end) {
        size_t value = cli_tree_after(to->tree, key);

        kivi_writer_array(to->json, 2);
        write_node(to, key);
        write_node(to, value);
        key = cli_tree_after(to->tree, value);
    }
}

static void write_map(const output *to, size_t map)
{
    size_t count = to->tree->nodes[map].count;
    size_t key = map + 1;

    if (!cli_tree_text_keys(to->tree, map) || cli_tree_repeats(to->tree, map)) {
        write_pairs(to, map);
        return;
    }
    kivi_writer_map(to->json, count);
    for (size_t i = 0; i < count; i++) {
        kivi_slice name = cli_tree_text(to->tree, key);
        size_t value = cli_tree_after(to->tree, key);

        if (count == 1 && cli_is_form_key(name)) {
            cli_buffer_clear(to->scratch);
            cli_need(kivi_buffer_append(to->scratch, kivi_str("$")));
            cli_need(kivi_buffer_append(to->scratch, name));
            name = kivi_buffer_slice(to->scratch);
        }
        kivi_writer_str(to->json, name);
        write_node(to, value);
        key = cli_tree_after(to->tree, value);
    }
}

static void write_array(const output *to, size_t array)
{
    size_t item = array + 1;
    size_t end = cli_tree_after(to->tree, array);

    kivi_writer_array(to->json, to->tree->nodes[array].count);
    for (; item < end; item = cli_tree_after(to->tree, item))
        write_node(to, item);
}

static void write_ext(const output *to, size_t node)
{
    begin_form(to, "$ext");
    kivi_writer_array(to->json, 2);
    kivi_writer_int(to->json, to->tree->nodes[node].ext_type);
    write_base64(to, node);
}

static void write_node(const output *to, size_t index)
{
    const cli_node *node = &to->tree->nodes[index];

    switch (node->type) {
    case KIVI_TOKEN_NIL:
        kivi_writer_nil(to->json);
        break;
    case KIVI_TOKEN_BOOL:
        kivi_writer_bool(to->json, node->as.boolean);
        break;
    case KIVI_TOKEN_INT:
        kivi_writer_int(to->json, node->as.integer);
        break;
    case KIVI_TOKEN_UINT:
        kivi_writer_uint(to->json, node->as.uinteger);
        break;
    case KIVI_TOKEN_FLOAT:
        write_float(to, node->as.real);
        break;
    case KIVI_TOKEN_STR:
        kivi_writer_str(to->json, cli_tree_text(to->tree, index));
        break;
    case KIVI_TOKEN_BIN:
        begin_form(to, "$bin");
        write_base64(to, index);
        break;
    case KIVI_TOKEN_ARRAY:
        write_array(to, index);
        break;
    case KIVI_TOKEN_MAP:
        write_map(to, index);
        break;
    case KIVI_TOKEN_TIMESTAMP:
        write_time(to, node);
        break;
    default:
        write_ext(to, index);
        break;
    }
}

void cli_json_out(const cli_tree *tree, size_t node, kivi_writer *json, kivi_buffer *scratch)
{
    output to = {tree, json, scratch};

    write_node(&to, node);
}

void cli_json_key(kivi_writer *json, kivi_slice key)
{
    kivi_buffer text = KIVI_BUFFER_INIT;

    if (cli_is_utf8(key)) {
        kivi_writer_str(json, key);
        return;
    }
    kivi_writer_map(json, 1);
    kivi_writer_str(json, kivi_str("$bin"));
    cli_base64_write(key, &text);
    kivi_writer_str(json, kivi_buffer_slice(&text));
    kivi_buffer_free(&text);
}
