/* Records ordered by their keys' bytes: a B-tree. */
#ifndef KVI_MEMORY_TREE_H
#define KVI_MEMORY_TREE_H

#include "record.h"

#define TREE_HEIGHT 16 /* 16^15 records and more */

typedef struct tree_node tree_node;

typedef struct memory_tree {
    tree_node *root; /* NULL: empty */
} memory_tree;

/* A place in the tree; good until the tree changes. */
typedef struct tree_cursor {
    unsigned depth; /* 0: past the last record */
    struct {
        tree_node *node;
        unsigned at;
    } path[TREE_HEIGHT];
} tree_cursor;

/* Below 0, 0 or above 0 as memcmp, over whole keys: a prefix comes before what it begins. */
int kvi_tree_compare(kivi_slice a, kivi_slice b);
/* Where the record of a key hangs, NULL when there is none. Another record of the same key may be put there. */
memory_record **kvi_tree_find(const memory_tree *tree, kivi_slice key);
/* Hangs in a record whose key is not there yet; false without memory, nothing changed. */
bool kvi_tree_insert(memory_tree *tree, memory_record *record);
/* Takes a record out and answers it; NULL when there is none. Needs no memory. */
memory_record *kvi_tree_remove(memory_tree *tree, kivi_slice key);
/* Goes to the first record whose key is not below `key`. */
void kvi_tree_seek(const memory_tree *tree, kivi_slice key, tree_cursor *cursor);
/* The record at the place, NULL past the last. */
memory_record *kvi_tree_at(const tree_cursor *cursor);
void kvi_tree_next(tree_cursor *cursor);
/* Lets go of all records and nodes. */
void kvi_tree_clear(memory_tree *tree);

#endif
