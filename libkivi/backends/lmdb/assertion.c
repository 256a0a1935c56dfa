/* What LMDB calls when it finds itself in a state that cannot be. */
#include "engine.h"

_Thread_local jmp_buf *kvi_lmdb_way_out __attribute__((tls_model("initial-exec")));

void kvi_lmdb_assertion(MDB_env *mdb, const char *text)
{
    (void)mdb;
    (void)text;
    /* Without a way out LMDB ends the process: a write transaction that was left so could not be ended. */
    if (kvi_lmdb_way_out)
        longjmp(*kvi_lmdb_way_out, 1);
}
