/* The parts of the import verb: where pairs come from, and where they are collected. */
#ifndef CLI_IMPORT_H
#define CLI_IMPORT_H

#include "batch.h"
#include "cli.h"

typedef struct cli_import {
    cli_context *cli;
    const char *name; /* of the file, for messages */
    kivi_slice text;  /* all of it */
    kivi_reader *reader;
    cli_tree tree; /* the element in hand */
    cli_batch batch;
    kivi_slice prefix;
    const char *key_field; /* of --key, or NULL */
    int64_t ttl;           /* of --ttl */
    uint64_t batch_max;
    bool dry;                       /* nothing is written */
    kivi_capabilities capabilities; /* of the store */
    bool store_failed;              /* the store refused a batch: nothing more is sent */
    uint64_t stored, skipped, bytes;
    size_t position; /* in the text */
} cli_import;

/* Finds the part that a pointer names: `token` is its first. INVALID: no pointer; NOT_FOUND; CORRUPT. */
kivi_status cli_pointer_find(kivi_reader *reader, const char *pointer, kivi_token *token);

/* import_text.c: each reads pairs and adds them; false: the problem is in the values. */
bool cli_import_lines(cli_import *import);
bool cli_import_document(cli_import *import, const char *pointer);
/* Whether a text is lines with a value each, rather than one document. */
bool cli_import_is_lines(cli_import *import);

/* import_add.c: adds the pair of the tree's value at `node` and the key that begins at `begin` of the
 * batch's arena. */
bool cli_import_add(cli_import *import, size_t begin, size_t node, int64_t ttl);
/* Writes what was collected. */
bool cli_import_flush(cli_import *import);

#endif
