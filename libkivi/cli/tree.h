/* One value's tokens held together, so that its parts can be looked at before they are written. */
#ifndef CLI_TREE_H
#define CLI_TREE_H

#include <kivi/store.h>
#include <kivi/value.h>

/* One token. A container is followed by its parts; there are no END nodes. */
typedef struct cli_node {
    uint8_t type; /* kivi_token_type */
    int8_t ext_type;
    uint32_t nanoseconds;
    size_t count; /* ARRAY: elements, MAP: pairs */
    size_t span;  /* nodes of the value, this one included */
    union {
        bool boolean;
        int64_t integer;
        uint64_t uinteger;
        double real;
        int64_t seconds;
        size_t parent; /* of a container that is still open */
        struct {
            size_t offset, size;
        } text; /* STR, BIN, EXT: where in the tree's bytes */
    } as;
} cli_node;

typedef struct cli_tree {
    cli_node *nodes;
    size_t count, capacity;
    kivi_buffer bytes;
} cli_tree;

#define CLI_NO_NODE SIZE_MAX

/* Begins another value; `open` is the container in hand. Then adds its tokens; true: it is whole. */
void cli_tree_begin(cli_tree *tree, size_t *open);
bool cli_tree_add(cli_tree *tree, const kivi_token *token, size_t *open);
/* The rest of the value whose first token was read, in place of what the tree held. */
kivi_status cli_tree_read(cli_tree *tree, kivi_reader *reader, const kivi_token *first);
/* A whole value. */
kivi_status cli_tree_parse(cli_tree *tree, kivi_reader *reader, kivi_slice bytes);
void cli_tree_free(cli_tree *tree);

kivi_slice cli_tree_text(const cli_tree *tree, size_t node);
static inline bool cli_tree_is(const cli_tree *tree, size_t node, kivi_token_type type)
{
    return node != CLI_NO_NODE && tree->nodes[node].type == type;
}
/* The node after a value: its next sibling. */
static inline size_t cli_tree_after(const cli_tree *tree, size_t node)
{
    return node + tree->nodes[node].span;
}
bool cli_tree_text_is(const cli_tree *tree, size_t node, const char *text);
/* The value of a map's text key, or CLI_NO_NODE. */
size_t cli_tree_member(const cli_tree *tree, size_t map, const char *name);
/* A number of seconds above 0, as milliseconds of a TTL. */
bool cli_tree_seconds(const cli_tree *tree, size_t node, int64_t *ms);
/* Whether all keys of a map are text, and whether one comes twice. */
bool cli_tree_text_keys(const cli_tree *tree, size_t map);
bool cli_tree_repeats(const cli_tree *tree, size_t map);

#endif
