/* Increments inside a backend's transaction. */
#include "run.h"

#define SCRATCH 24
static _Thread_local uint8_t scratch[SCRATCH] __attribute__((tls_model("initial-exec")));
_Static_assert(SCRATCH >= KVI_INTEGER_MAX, "an encoded integer must fit");

static kivi_status add_integer(kivi_write_vector *vector, kivi_write_item *item,
                               const kivi_slice *old, kivi_slice *bytes)
{
    const kivi_store *store = vector->owner;
    int64_t value = 0;
    if (old) {
        kivi_status status = store->codec->integer_read(*old, &value);
        if (status)
            return status;
    }
    if (__builtin_add_overflow(value, item->by, &value))
        return KIVI_OVERFLOW;
    item->integer = value;
    *bytes = kivi_bytes(scratch, store->codec->integer_write(value, scratch));
    return KIVI_OK;
}

void kvi_writes_setup(kivi_store *store, kivi_write_vector *vector)
{
    vector->increment = add_integer;
    vector->owner = store;
}
