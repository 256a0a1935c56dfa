/* The B-tree of records. Nodes keep, beside the records, what a search compares. */
#include "tree.h"

/*
 * Every node but the root holds LEAST - 1 to MOST records. Insertion splits full nodes and removal
 * strengthens thin ones on the way down, so that neither comes back up, and a split that finds no
 * memory leaves a valid tree.
 *
 * A search that had to look into each record would miss the cache at each. So a node keeps the first
 * bytes that all its keys share (`shared`, at most SHARED of them) and, of each key, the eight bytes
 * behind those as a number (`heads`): only equal heads lead to a record.
 */
#define LEAST 16
#define MOST (2 * LEAST - 1)
#define SHARED 28

struct tree_node {
    uint16_t count;
    uint8_t leaf;
    uint8_t skip; /* bytes in `shared` */
    uint8_t shared[SHARED];
    uint64_t heads[MOST];
    memory_record *records[MOST];
    tree_node *children[]; /* MOST + 1, of inner nodes only */
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

int kvi_tree_compare(kivi_slice a, kivi_slice b)
{
    size_t common = smaller(a.size, b.size);
    int order = common ? memcmp(a.data, b.data, common) : 0;

    if (order)
        return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

/* How many first bytes two keys share. */
static size_t common_bytes(kivi_slice a, kivi_slice b)
{
    const uint8_t *x = a.data, *y = b.data;
    size_t most = smaller(a.size, b.size), i = 0;

    while (i < most && x[i] == y[i])
        i++;
    return i;
}

/* The eight bytes behind `skip` as a number that orders like them; missing ones count as 0. */
static uint64_t head_of(kivi_slice key, size_t skip)
{
    uint8_t bytes[8] = {0};
    uint64_t head;

    if (key.size > skip)
        memcpy(bytes, (const uint8_t *)key.data + skip, smaller(key.size - skip, sizeof(bytes)));
    memcpy(&head, bytes, sizeof(head));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    head = __builtin_bswap64(head);
#endif
    return head;
}

/* ---- One node ---- */

static tree_node *node_new(bool leaf)
{
    tree_node *node = malloc(sizeof(*node) + (leaf ? 0 : (MOST + 1) * sizeof(tree_node *)));

    if (!node)
        return NULL;
    node->count = 0;
    node->leaf = leaf;
    node->skip = 0;
    return node;
}

static void node_free(tree_node *node)
{
    if (!node)
        return;
    for (unsigned i = 0; i < node->count; i++)
        record_unref(node->records[i]);
    for (unsigned i = 0; !node->leaf && i <= node->count; i++)
        node_free(node->children[i]);
    free(node);
}

/* How many heads are below `head`. Without a branch in the loop: the outcomes cannot be foretold. */
static unsigned heads_below(const tree_node *node, uint64_t head)
{
    const uint64_t *base = node->heads;
    unsigned left = node->count;

    while (left > 1) {
        unsigned half = left / 2;

        base = base[half - 1] < head ? base + half : base;
        left -= half;
    }
    return (unsigned)(base - node->heads) + (left == 1 && *base < head);
}

/* How the key lies to the bytes that all keys of a node share: before, within or after them all. */
static int shared_compare(const tree_node *node, kivi_slice key)
{
    size_t common = smaller(key.size, node->skip);
    int order = common ? memcmp(key.data, node->shared, common) : 0;

    if (order)
        return order;
    return key.size < node->skip ? -1 : 0;
}

/* The first record that is not below the key; `*found`: it has that key. */
static unsigned node_search(const tree_node *node, kivi_slice key, bool *found)
{
    uint64_t head;
    unsigned low, high;
    int order;

    *found = false;
    if (node->count == 0)
        return 0;
    order = shared_compare(node, key);
    if (order)
        return order < 0 ? 0 : node->count;
    head = head_of(key, node->skip);
    low = heads_below(node, head);
    if (low == node->count || node->heads[low] != head)
        return low;
    high = head == UINT64_MAX ? node->count : heads_below(node, head + 1);
    while (low < high) {
        unsigned middle = (low + high) / 2;

        order = kvi_tree_compare(record_key(node->records[middle]), key);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void node_share(tree_node *node, kivi_slice key, size_t skip)
{
    node->skip = (uint8_t)smaller(skip, SHARED);
    memcpy(node->shared, key.data, node->skip);
    for (unsigned i = 0; i < node->count; i++)
        node->heads[i] = head_of(record_key(node->records[i]), node->skip);
}

/* After records came and went in numbers: what is shared, and the heads, anew. */
static void node_settle(tree_node *node)
{
    kivi_slice first, last;

    if (node->count == 0)
        return;
    first = record_key(node->records[0]);
    last = record_key(node->records[node->count - 1]);
    node_share(node, first, common_bytes(first, last));
}

/* Puts a record over the one at a place. */
static void node_put(tree_node *node, unsigned at, memory_record *record)
{
    kivi_slice key = record_key(record);
    size_t common = common_bytes(key, kivi_bytes(node->shared, node->skip));

    node->records[at] = record;
    if (common < node->skip)
        node_share(node, key, common);
    else
        node->heads[at] = head_of(key, node->skip);
}

/* Makes room at a place and puts a record there. */
static void node_open(tree_node *node, unsigned at, memory_record *record)
{
    size_t behind = node->count - at;

    memmove(node->records + at + 1, node->records + at, behind * sizeof(node->records[0]));
    memmove(node->heads + at + 1, node->heads + at, behind * sizeof(node->heads[0]));
    node->records[at] = record;
    if (node->count++ == 0)
        node_settle(node);
    else
        node_put(node, at, record);
}

/* Takes the record at a place out of the node. */
static memory_record *node_close(tree_node *node, unsigned at)
{
    memory_record *record = node->records[at];
    size_t behind = --node->count - at;

    memmove(node->records + at, node->records + at + 1, behind * sizeof(node->records[0]));
    memmove(node->heads + at, node->heads + at + 1, behind * sizeof(node->heads[0]));
    return record;
}

static void children_open(tree_node *node, unsigned at, tree_node *child)
{
    memmove(node->children + at + 1, node->children + at,
            (node->count + 1u - at) * sizeof(node->children[0]));
    node->children[at] = child;
}

/* Called before the node's count goes down. */
static tree_node *children_close(tree_node *node, unsigned at)
{
    tree_node *child = node->children[at];

    memmove(node->children + at, node->children + at + 1,
            (node->count - at) * sizeof(node->children[0]));
    return child;
}

/* ---- Insertion ---- */

/* Halves the full child at a place; its middle record rises. False without memory. */
static bool split_child(tree_node *parent, unsigned at)
{
    tree_node *left = parent->children[at];
    tree_node *right = node_new(left->leaf);

    if (!right)
        return false;
    right->count = MOST - LEAST;
    left->count = LEAST - 1;
    memcpy(right->records, left->records + LEAST, right->count * sizeof(right->records[0]));
    if (!left->leaf)
        memcpy(right->children, left->children + LEAST,
               (right->count + 1u) * sizeof(right->children[0]));
    node_settle(left);
    node_settle(right);
    children_open(parent, at + 1, right);
    node_open(parent, at, left->records[LEAST - 1]);
    return true;
}

/* A new root above the full one. */
static bool grow(memory_tree *tree)
{
    tree_node *root = node_new(false);

    if (!root)
        return false;
    root->children[0] = tree->root;
    if (!split_child(root, 0)) {
        free(root);
        return false;
    }
    tree->root = root;
    return true;
}

bool kvi_tree_insert(memory_tree *tree, memory_record *record)
{
    kivi_slice key = record_key(record);
    tree_node *node;
    unsigned at;
    bool found;

    if (!tree->root)
        tree->root = node_new(true);
    if (!tree->root || (tree->root->count == MOST && !grow(tree)))
        return false;
    node = tree->root;
    for (;;) {
        at = node_search(node, key, &found);
        if (node->leaf)
            break;
        if (node->children[at]->count == MOST) {
            if (!split_child(node, at))
                return false;
            at += kvi_tree_compare(key, record_key(node->records[at])) > 0;
        }
        node = node->children[at];
    }
    node_open(node, at, record);
    return true;
}

/* ---- Removal ---- */

/* Makes one of two thin children and the record between them. */
static tree_node *join_children(tree_node *parent, unsigned at)
{
    tree_node *left = parent->children[at];
    tree_node *right = children_close(parent, at + 1);
    unsigned old = left->count;

    left->records[old] = node_close(parent, at);
    memcpy(left->records + old + 1, right->records, right->count * sizeof(right->records[0]));
    if (!left->leaf)
        memcpy(left->children + old + 1, right->children,
               (right->count + 1u) * sizeof(right->children[0]));
    left->count = (uint16_t)(old + 1 + right->count);
    node_settle(left);
    free(right);
    return left;
}

/* The child at a place takes the parent's record before it, and the parent its left sibling's last. */
static void take_from_left(tree_node *parent, unsigned at)
{
    tree_node *child = parent->children[at], *left = parent->children[at - 1];

    if (!child->leaf)
        children_open(child, 0, left->children[left->count]);
    node_open(child, 0, parent->records[at - 1]);
    node_put(parent, at - 1, node_close(left, left->count - 1u));
}

static void take_from_right(tree_node *parent, unsigned at)
{
    tree_node *child = parent->children[at], *right = parent->children[at + 1];

    node_open(child, child->count, parent->records[at]);
    if (!child->leaf)
        child->children[child->count] = children_close(right, 0);
    node_put(parent, at, node_close(right, 0));
}

/* The child at a place, after it got enough records to lose one. */
static tree_node *strengthen(tree_node *parent, unsigned at)
{
    tree_node *child = parent->children[at];

    if (child->count >= LEAST)
        return child;
    if (at > 0 && parent->children[at - 1]->count >= LEAST) {
        take_from_left(parent, at);
        return child;
    }
    if (at < parent->count && parent->children[at + 1]->count >= LEAST) {
        take_from_right(parent, at);
        return child;
    }
    return join_children(parent, at < parent->count ? at : at - 1);
}

static memory_record *remove_last(tree_node *node)
{
    while (!node->leaf)
        node = strengthen(node, node->count);
    return node_close(node, node->count - 1u);
}

static memory_record *remove_first(tree_node *node)
{
    while (!node->leaf)
        node = strengthen(node, 0);
    return node_close(node, 0);
}

/* Takes the record at a place out of an inner node; NULL: it sank into `*child`. */
static memory_record *remove_inner(tree_node *node, unsigned at, tree_node **child)
{
    memory_record *record = node->records[at];

    if (node->children[at]->count >= LEAST) {
        node_put(node, at, remove_last(node->children[at]));
        return record;
    }
    if (node->children[at + 1]->count >= LEAST) {
        node_put(node, at, remove_first(node->children[at + 1]));
        return record;
    }
    *child = join_children(node, at);
    return NULL;
}

/* An inner root without records has one child, which is the root then; an empty leaf is no tree. */
static void shrink(memory_tree *tree)
{
    tree_node *root = tree->root;

    if (!root || root->count)
        return;
    tree->root = root->leaf ? NULL : root->children[0];
    free(root);
}

memory_record *kvi_tree_remove(memory_tree *tree, kivi_slice key)
{
    memory_record *record = NULL;
    tree_node *node = tree->root;
    bool found;

    while (node && !record) {
        unsigned at = node_search(node, key, &found);

        if (node->leaf) {
            record = found ? node_close(node, at) : NULL;
            break;
        }
        if (found)
            record = remove_inner(node, at, &node);
        else
            node = strengthen(node, at);
    }
    shrink(tree);
    return record;
}

/* ---- Looking ---- */

/* A search would meet the cache lines of a node one after another, and wait for each: ask for all now. */
static void node_fetch(const tree_node *node)
{
    for (size_t at = 0; at < sizeof(*node); at += 64)
        __builtin_prefetch((const char *)node + at);
}

memory_record **kvi_tree_find(const memory_tree *tree, kivi_slice key)
{
    tree_node *node = tree->root;
    bool found;

    while (node) {
        unsigned at;

        node_fetch(node);
        at = node_search(node, key, &found);
        if (found)
            return &node->records[at];
        node = node->leaf ? NULL : node->children[at];
    }
    return NULL;
}

static void cursor_push(tree_cursor *cursor, tree_node *node, unsigned at)
{
    cursor->path[cursor->depth].node = node;
    cursor->path[cursor->depth].at = at;
    cursor->depth++;
}

/* Goes up from nodes that are through. */
static void cursor_rise(tree_cursor *cursor)
{
    while (cursor->depth &&
           cursor->path[cursor->depth - 1].at >= cursor->path[cursor->depth - 1].node->count)
        cursor->depth--;
}

void kvi_tree_seek(const memory_tree *tree, kivi_slice key, tree_cursor *cursor)
{
    tree_node *node = tree->root;
    bool found = false;

    cursor->depth = 0;
    while (node) {
        unsigned at = node_search(node, key, &found);

        cursor_push(cursor, node, at);
        node = found || node->leaf ? NULL : node->children[at];
    }
    cursor_rise(cursor);
}

memory_record *kvi_tree_at(const tree_cursor *cursor)
{
    if (cursor->depth == 0)
        return NULL;
    return cursor->path[cursor->depth - 1].node->records[cursor->path[cursor->depth - 1].at];
}

void kvi_tree_next(tree_cursor *cursor)
{
    tree_node *node;
    unsigned at;

    if (cursor->depth == 0)
        return;
    node = cursor->path[cursor->depth - 1].node;
    at = ++cursor->path[cursor->depth - 1].at;
    while (!node->leaf) {
        node = node->children[at];
        at = 0;
        cursor_push(cursor, node, at);
    }
    cursor_rise(cursor);
}

void kvi_tree_clear(memory_tree *tree)
{
    node_free(tree->root);
    tree->root = NULL;
}
