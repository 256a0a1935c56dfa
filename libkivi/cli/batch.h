/* Operations collected for one kivi_store_apply(), with the memory that they point into. */
#ifndef CLI_BATCH_H
#define CLI_BATCH_H

#include <kivi/batch.h>

typedef struct cli_batch {
    kivi_op *ops;
    size_t count, capacity;
    kivi_buffer arena; /* keys and values, one after another */
} cli_batch;

/* Adds an empty operation; valid until the next one is added. */
kivi_op *cli_batch_add(cli_batch *batch);
/* What was added to the arena since it had `begin` bytes; usable after sealing only. */
kivi_slice cli_batch_span(const cli_batch *batch, size_t begin);
/* Lets the slices point to where the arena came to lie. Nothing is added after it. */
void cli_batch_seal(cli_batch *batch);
/* Takes the last operation out again. */
void cli_batch_drop(cli_batch *batch);
void cli_batch_clear(cli_batch *batch);
void cli_batch_free(cli_batch *batch);

#endif
