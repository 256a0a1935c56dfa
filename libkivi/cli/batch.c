/* Operations collected for one kivi_store_apply(), with the memory that they point into. */
#include "batch.h"

#include <stdlib.h>

#include "cli.h"

kivi_op *cli_batch_add(cli_batch *batch)
{
    kivi_op *op;

    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity ? batch->capacity * 2 : 64;
        batch->ops = cli_alloc(batch->ops, batch->capacity * sizeof *batch->ops);
    }
    op = &batch->ops[batch->count++];
    *op = (kivi_op)KIVI_OP_INIT;
    return op;
}

/* The arena moves while it grows: until sealed, `data` is an offset, one more than it is (0: no bytes). */
kivi_slice cli_batch_span(const cli_batch *batch, size_t begin)
{
    return kivi_bytes((const void *)(uintptr_t)(begin + 1), batch->arena.size - begin);
}

static void seal(const cli_batch *batch, kivi_slice *slice)
{
    if (slice->data)
        slice->data = batch->arena.data ? batch->arena.data + ((uintptr_t)slice->data - 1) : NULL;
}

void cli_batch_seal(cli_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        seal(batch, &batch->ops[i].key);
        seal(batch, &batch->ops[i].value);
        seal(batch, &batch->ops[i].expected);
    }
}

void cli_batch_drop(cli_batch *batch)
{
    batch->count--;
}

void cli_batch_clear(cli_batch *batch)
{
    batch->count = 0;
    cli_buffer_clear(&batch->arena);
}

void cli_batch_free(cli_batch *batch)
{
    free(batch->ops);
    kivi_buffer_free(&batch->arena);
    memset(batch, 0, sizeof *batch);
}
