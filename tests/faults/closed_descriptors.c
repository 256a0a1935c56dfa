/* Standard input, output or error are closed: nothing of a store takes their places. Redis: fault_redis_server.c. */
#include "common/closed.h"
#include "common/faults.h"

TestSuite(closed_descriptors, .init = case_begin, .fini = case_end, .timeout = 120);

Test(closed_descriptors, lmdb)
{
    text url;
    kivi_store *store;

    print(&url, "lmdb:%s/data?codec=raw", folder);
    closed_expect(url.bytes);
    store = open_store("%s", url.bytes);
    CHECK_NUMBER(expect_sound(store), 2);
    expect_holds(store, "key", "value");
    kivi_store_unref(store);
}

Test(closed_descriptors, memory)
{
    closed_expect("memory:?codec=raw&shape=stepped&latency=1ms");
    closed_expect("memory:?codec=raw&shape=blocking");
}
