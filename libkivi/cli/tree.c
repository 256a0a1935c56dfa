/* One value's tokens held together, so that its parts can be looked at before they are written. */
#include "tree.h"

#include <math.h>
#include <stdlib.h>

#include "cli.h"

static size_t add_node(cli_tree *tree, const kivi_token *token)
{
    cli_node *node;

    if (tree->count == tree->capacity) {
        tree->capacity = tree->capacity ? tree->capacity * 2 : 64;
        tree->nodes = cli_alloc(tree->nodes, tree->capacity * sizeof *tree->nodes);
    }
    node = &tree->nodes[tree->count];
    memset(node, 0, sizeof *node);
    node->type = (uint8_t)token->type;
    node->span = 1;
    switch (token->type) {
    case KIVI_TOKEN_BOOL:
        node->as.boolean = token->as.boolean;
        break;
    case KIVI_TOKEN_INT:
        node->as.integer = token->as.integer;
        break;
    case KIVI_TOKEN_UINT:
        node->as.uinteger = token->as.uinteger;
        break;
    case KIVI_TOKEN_FLOAT:
        node->as.real = token->as.real;
        break;
    case KIVI_TOKEN_TIMESTAMP:
        node->as.seconds = token->as.seconds;
        node->nanoseconds = token->nanoseconds;
        break;
    case KIVI_TOKEN_STR:
    case KIVI_TOKEN_BIN:
    case KIVI_TOKEN_EXT:
        node->ext_type = (int8_t)token->ext_type;
        node->as.text.offset = tree->bytes.size;
        node->as.text.size = token->bytes.size;
        cli_need(kivi_buffer_append(&tree->bytes, token->bytes));
        break;
    default:
        break;
    }
    return tree->count++;
}

static bool is_container(kivi_token_type type)
{
    return type == KIVI_TOKEN_ARRAY || type == KIVI_TOKEN_MAP;
}

void cli_tree_begin(cli_tree *tree, size_t *open)
{
    tree->count = 0;
    cli_buffer_clear(&tree->bytes);
    *open = CLI_NO_NODE;
}

bool cli_tree_add(cli_tree *tree, const kivi_token *token, size_t *open)
{
    size_t added;

    if (token->type == KIVI_TOKEN_END) {
        cli_node *closed = &tree->nodes[*open];

        *open = closed->as.parent;
        closed->span = tree->count - (size_t)(closed - tree->nodes);
        if (closed->type == KIVI_TOKEN_MAP)
            closed->count /= 2;
        return *open == CLI_NO_NODE;
    }
    added = add_node(tree, token);
    if (*open != CLI_NO_NODE)
        tree->nodes[*open].count++;
    if (is_container(token->type)) {
        tree->nodes[added].as.parent = *open;
        *open = added;
    }
    return *open == CLI_NO_NODE;
}

kivi_status cli_tree_read(cli_tree *tree, kivi_reader *reader, const kivi_token *first)
{
    kivi_token token = *first;
    size_t open;

    cli_tree_begin(tree, &open);
    while (!cli_tree_add(tree, &token, &open)) {
        kivi_status status = kivi_reader_next(reader, &token);

        if (status)
            return status == KIVI_END ? KIVI_CORRUPT : status;
    }
    return KIVI_OK;
}

kivi_status cli_tree_parse(cli_tree *tree, kivi_reader *reader, kivi_slice bytes)
{
    kivi_token token;
    kivi_status status;

    kivi_reader_start(reader, bytes);
    status = kivi_reader_next(reader, &token);
    if (status)
        return status == KIVI_END ? KIVI_CORRUPT : status;
    status = cli_tree_read(tree, reader, &token);
    if (status)
        return status;
    status = kivi_reader_next(reader, &token);
    return status == KIVI_END ? KIVI_OK : status ? status : KIVI_CORRUPT;
}

void cli_tree_free(cli_tree *tree)
{
    free(tree->nodes);
    kivi_buffer_free(&tree->bytes);
    memset(tree, 0, sizeof *tree);
}

kivi_slice cli_tree_text(const cli_tree *tree, size_t node)
{
    const cli_node *text = &tree->nodes[node];

    if (!text->as.text.size)
        return kivi_bytes("", 0);
    return kivi_bytes(tree->bytes.data + text->as.text.offset, text->as.text.size);
}

static bool same_bytes(kivi_slice a, kivi_slice b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

bool cli_tree_text_is(const cli_tree *tree, size_t node, const char *text)
{
    return cli_tree_is(tree, node, KIVI_TOKEN_STR) &&
           same_bytes(cli_tree_text(tree, node), kivi_str(text));
}

size_t cli_tree_member(const cli_tree *tree, size_t map, const char *name)
{
    size_t key = map + 1;
    size_t end;

    if (!cli_tree_is(tree, map, KIVI_TOKEN_MAP))
        return CLI_NO_NODE;
    end = cli_tree_after(tree, map);
    while (key < end) {
        size_t value = cli_tree_after(tree, key);

        if (cli_tree_text_is(tree, key, name))
            return value;
        key = cli_tree_after(tree, value);
    }
    return CLI_NO_NODE;
}

bool cli_tree_seconds(const cli_tree *tree, size_t node, int64_t *ms)
{
    double seconds;

    if (cli_tree_is(tree, node, KIVI_TOKEN_INT))
        seconds = (double)tree->nodes[node].as.integer;
    else if (cli_tree_is(tree, node, KIVI_TOKEN_FLOAT))
        seconds = tree->nodes[node].as.real;
    else
        return false;
    if (!(seconds > 0) || seconds > (double)KIVI_TTL_MAX / 1000)
        return false;
    /* Never early: up to the next millisecond, but for the noise of binary fractions. */
    *ms = (int64_t)ceil(seconds * 1000 - 1e-6);
    *ms += *ms == 0;
    return true;
}

bool cli_tree_text_keys(const cli_tree *tree, size_t map)
{
    size_t key = map + 1;
    size_t end = cli_tree_after(tree, map);

    while (key < end) {
        if (tree->nodes[key].type != KIVI_TOKEN_STR)
            return false;
        key = cli_tree_after(tree, cli_tree_after(tree, key));
    }
    return true;
}

static int compare_keys(const void *a, const void *b)
{
    const kivi_slice *left = a;
    const kivi_slice *right = b;
    size_t shorter = left->size < right->size ? left->size : right->size;
    int order = memcmp(left->data, right->data, shorter);

    return order ? order : (left->size > right->size) - (left->size < right->size);
}

bool cli_tree_repeats(const cli_tree *tree, size_t map)
{
    size_t count = tree->nodes[map].count;
    size_t key = map + 1;
    kivi_slice few[16];
    kivi_slice *keys = count <= 16 ? few : cli_alloc(NULL, count * sizeof *keys);
    bool repeats = false;

    for (size_t i = 0; i < count; i++) {
        keys[i] = cli_tree_text(tree, key);
        key = cli_tree_after(tree, cli_tree_after(tree, key));
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 1; i < count && !repeats; i++)
        repeats = same_bytes(keys[i - 1], keys[i]);
    if (keys != few)
        free(keys);
    return repeats;
}
