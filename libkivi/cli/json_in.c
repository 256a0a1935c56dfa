/* A value given as JSON, its forms taken for what they stand for, written with a store's codec. */
#include "cli.h"

typedef struct input {
    const cli_tree *json;
    kivi_writer *out;
    kivi_buffer *scratch;
} input;

static const char too_deep[] = "arrays and maps are nested too deep (128 at most)";

/* Each answers NULL, or what is wrong. */
static const char *read_node(const input *from, size_t node, int depth);

static const char *read_base64(const input *from, size_t node)
{
    cli_buffer_clear(from->scratch);
    if (!cli_tree_is(from->json, node, KIVI_TOKEN_STR) ||
        !cli_base64_read(cli_tree_text(from->json, node), from->scratch))
        return "not base64";
    return NULL;
}

static const char *read_bin(const input *from, size_t node, int depth)
{
    (void)depth;
    if (read_base64(from, node))
        return "$bin must hold base64 text (padded with =)";
    kivi_writer_bin(from->out, kivi_buffer_slice(from->scratch));
    return NULL;
}

/* Whether a node is an array of so many parts. */
static bool is_array_of(const input *from, size_t node, size_t count)
{
    return cli_tree_is(from->json, node, KIVI_TOKEN_ARRAY) && from->json->nodes[node].count == count;
}

static const char *read_ext(const input *from, size_t node, int depth)
{
    static const char wrong[] = "$ext must hold [type, base64 text] with a type from -128 to 127";
    const cli_node *type = &from->json->nodes[node + 1];

    (void)depth;
    if (!is_array_of(from, node, 2) || type->type != KIVI_TOKEN_INT || type->as.integer < -128 ||
        type->as.integer > 127 || read_base64(from, node + 2))
        return wrong;
    kivi_writer_ext(from->out, (int8_t)type->as.integer, kivi_buffer_slice(from->scratch));
    return NULL;
}

static const char *read_time(const input *from, size_t node, int depth)
{
    static const char wrong[] =
        "$time must hold a time like \"2024-01-01T00:00:00.5Z\" or [seconds, nanoseconds]";
    int64_t seconds;
    uint32_t nanoseconds;

    (void)depth;
    if (is_array_of(from, node, 2)) {
        const cli_node *parts = &from->json->nodes[node + 1];

        if (parts[0].type != KIVI_TOKEN_INT || parts[1].type != KIVI_TOKEN_INT ||
            parts[1].as.integer < 0 || parts[1].as.integer > 999999999)
            return wrong;
        seconds = parts[0].as.integer;
        nanoseconds = (uint32_t)parts[1].as.integer;
    } else if (!cli_tree_is(from->json, node, KIVI_TOKEN_STR) ||
               !cli_time_read(cli_tree_text(from->json, node), &seconds, &nanoseconds)) {
        return wrong;
    }
    kivi_writer_timestamp(from->out, seconds, nanoseconds);
    return NULL;
}

static const char *read_float(const input *from, size_t node, int depth)
{
    double value;

    (void)depth;
    if (!cli_tree_is(from->json, node, KIVI_TOKEN_STR) ||
        !cli_float_read(cli_tree_text(from->json, node), &value))
        return "$float must hold \"NaN\", \"Infinity\", \"-Infinity\" or \"0x\" and 16 hex digits";
    kivi_writer_float(from->out, value);
    return NULL;
}

static const char *read_pairs(const input *from, size_t node, int depth)
{
    static const char wrong[] = "$pairs must hold an array of [key, value] arrays";
    size_t pair = node + 1;
    size_t end;

    if (!cli_tree_is(from->json, node, KIVI_TOKEN_ARRAY))
        return wrong;
    if (depth >= CLI_DEPTH)
        return too_deep;
    end = cli_tree_after(from->json, node);
    kivi_writer_map(from->out, from->json->nodes[node].count);
    for (; pair < end; pair = cli_tree_after(from->json, pair)) {
        const char *problem;

        if (!is_array_of(from, pair, 2))
            return wrong;
        problem = read_node(from, pair + 1, depth + 1);
        if (!problem)
            problem = read_node(from, cli_tree_after(from->json, pair + 1), depth + 1);
        if (problem)
            return problem;
    }
    return NULL;
}

/* A map's only key that begins with '$': a form, or a key that was escaped by one more '$'. */
static const char *read_form(const input *from, size_t map, int depth)
{
    static const struct {
        const char *name;
        const char *(*read)(const input *, size_t, int);
    } forms[] = {
        {"$bin", read_bin},     {"$ext", read_ext},     {"$time", read_time},
        {"$float", read_float}, {"$pairs", read_pairs},
    };
    kivi_slice name = cli_tree_text(from->json, map + 1);
    const char *text = name.data;

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (cli_tree_text_is(from->json, map + 1, forms[i].name))
            return forms[i].read(from, map + 2, depth);
    if (name.size < 2 || text[1] != '$')
        return "a map whose only key begins with $ is a form ($bin $ext $time $float $pairs): "
               "write one $ more for the key itself";
    if (depth >= CLI_DEPTH)
        return too_deep;
    kivi_writer_map(from->out, 1);
    kivi_writer_str(from->out, kivi_bytes(text + 1, name.size - 1));
    return read_node(from, map + 2, depth + 1);
}

static const char *read_map(const input *from, size_t map, int depth)
{
    size_t key = map + 1;
    size_t end = cli_tree_after(from->json, map);

    if (from->json->nodes[map].count == 1 && cli_is_form_key(cli_tree_text(from->json, key)))
        return read_form(from, map, depth);
    if (depth >= CLI_DEPTH)
        return too_deep;
    if (cli_tree_repeats(from->json, map))
        return "a key stands twice in one map";
    kivi_writer_map(from->out, from->json->nodes[map].count);
    while (key < end) {
        size_t value = cli_tree_after(from->json, key);
        const char *problem;

        kivi_writer_str(from->out, cli_tree_text(from->json, key));
        problem = read_node(from, value, depth + 1);
        if (problem)
            return problem;
        key = cli_tree_after(from->json, value);
    }
    return NULL;
}

static const char *read_array(const input *from, size_t array, int depth)
{
    size_t item = array + 1;
    size_t end = cli_tree_after(from->json, array);

    if (depth >= CLI_DEPTH)
        return too_deep;
    kivi_writer_array(from->out, from->json->nodes[array].count);
    for (; item < end; item = cli_tree_after(from->json, item)) {
        const char *problem = read_node(from, item, depth + 1);

        if (problem)
            return problem;
    }
    return NULL;
}

static const char *read_node(const input *from, size_t index, int depth)
{
    const cli_node *node = &from->json->nodes[index];

    switch (node->type) {
    case KIVI_TOKEN_NIL:
        kivi_writer_nil(from->out);
        return NULL;
    case KIVI_TOKEN_BOOL:
        kivi_writer_bool(from->out, node->as.boolean);
        return NULL;
    case KIVI_TOKEN_INT:
        kivi_writer_int(from->out, node->as.integer);
        return NULL;
    case KIVI_TOKEN_UINT:
        kivi_writer_uint(from->out, node->as.uinteger);
        return NULL;
    case KIVI_TOKEN_FLOAT:
        kivi_writer_float(from->out, node->as.real);
        return NULL;
    case KIVI_TOKEN_STR:
        kivi_writer_str(from->out, cli_tree_text(from->json, index));
        return NULL;
    case KIVI_TOKEN_ARRAY:
        return read_array(from, index, depth);
    case KIVI_TOKEN_MAP:
        return read_map(from, index, depth);
    default:
        return "JSON has no such value";
    }
}

const char *cli_json_in(const cli_tree *json, size_t node, kivi_writer *out, kivi_buffer *scratch)
{
    input from = {json, out, scratch};

    return read_node(&from, node, 0);
}

bool cli_json_key_parse(const cli_tree *json, size_t node, kivi_buffer *out)
{
    size_t form;

    if (cli_tree_is(json, node, KIVI_TOKEN_STR)) {
        cli_need(kivi_buffer_append(out, cli_tree_text(json, node)));
        return true;
    }
    form = cli_tree_member(json, node, "$bin");
    return cli_tree_is(json, form, KIVI_TOKEN_STR) && json->nodes[node].count == 1 &&
           cli_base64_read(cli_tree_text(json, form), out);
}
