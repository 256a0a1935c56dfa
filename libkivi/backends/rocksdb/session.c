/* A lane's own: a batch that is filled again and again, and room for what a vector looks at. */
#include <stdlib.h>

#include "rocks.h"

kivi_status kvi_rocks_session_open(void *instance, void **session, kivi_error **error)
{
    const rocks_store *store = instance;
    rocks_session *made = calloc(1, sizeof(*made));

    if (!made)
        return kvi_rocks_no_memory(error, store->engine->folder);
    made->batch = rocksdb_writebatch_create();
    *session = made;
    return KIVI_OK;
}

void kvi_rocks_session_close(void *instance, void *session)
{
    rocks_session *gone = session;

    (void)instance;
    rocksdb_writebatch_destroy(gone->batch);
    free(gone->looks);
    free(gone->arrays);
    free(gone);
}

void kvi_rocks_session_abandon(void *instance, void *session, bool in_verb)
{
    if (!in_verb)
        kvi_rocks_session_close(instance, session);
}
