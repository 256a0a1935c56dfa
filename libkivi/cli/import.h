/* The parts of the import verb: where pairs come from, and where they are collected. */
#ifndef CLI_IMPORT_H
#define CLI_IMPORT_H

#include "batch.h"
#include "cli.h"

/* A window over the text: what was read and not taken yet. */
typedef struct cli_input {
    int file;
    kivi_buffer bytes;
    size_t begin;   /* of what is left in `bytes` */
    uint64_t taken; /* bytes of the text before it */
    uint64_t total; /* of a plain file, else 0 */
    uint64_t line;  /* the number of the line that is next */
    bool ended;     /* there is no more to read */
    bool failed;    /* reading ended early: why is in the values */
} cli_input;

#define CLI_STREAM_DEPTH ((size_t)4 * CLI_DEPTH)

/* Where in a document the reader is (import_stream.c). */
typedef struct cli_stream {
    kivi_buffer chunk;  /* what the reader has: openers, a part of the document, closers */
    size_t before, end; /* of the part, in the chunk */
    uint64_t base;      /* of the part, in the document */
    bool started, last, through;
    /* the scanner: it is after `scanned` bytes of what is left of the input */
    size_t scanned, depth;
    bool in_text, escaped;
    uint64_t members; /* commas of the outermost object or array */
    size_t cut;       /* after the last comma seen; 0: none */
    size_t cut_depth;
    char open[CLI_STREAM_DEPTH], cut_open[CLI_STREAM_DEPTH]; /* '[' or '{', outermost first */
} cli_stream;

typedef struct cli_import {
    cli_context *cli;
    const char *name; /* of the file, for messages */
    cli_input input;
    cli_stream stream;
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
} cli_import;

/* import_input.c: false is a failure (or the end), and why is in the values. */
bool cli_input_open(cli_import *import, const char *path);
void cli_input_close(cli_import *import);
/* What was read and not taken: moves when more is read. */
kivi_slice cli_input_left(const cli_import *import);
void cli_input_take(cli_import *import, size_t size);
bool cli_input_more(cli_import *import);
/* Looks for the end of the next line from `looked` on, and moves that there or to the end of what was read. */
bool cli_input_find_line(cli_import *import, size_t *looked);
/* Takes the next line, without its end and outer blanks; lives until more is read. */
bool cli_input_line(cli_import *import, kivi_slice *line);
void cli_input_pass_blanks(cli_import *import);

/* import_stream.c: the next token of the document; IO: reading failed, and why is in the values. */
kivi_status cli_stream_next(cli_import *import, kivi_token *token);
/* The rest of the value whose first token was read: passed over, or put into the tree. */
kivi_status cli_stream_skip(cli_import *import, const kivi_token *first);
kivi_status cli_stream_tree(cli_import *import, const kivi_token *first);
/* What the reader said is wrong, with the place in the document. */
void cli_stream_problem(const cli_import *import, const char *message, char *text, size_t capacity);
/* Goes through the text for commas and open containers. */
void cli_stream_scan(cli_stream *stream, kivi_slice text);

/* Finds the part that a pointer names: `token` is its first. INVALID: no pointer; NOT_FOUND; CORRUPT. */
kivi_status cli_pointer_find(cli_import *import, const char *pointer, kivi_token *token);

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
