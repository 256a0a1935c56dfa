/* A server that takes little at once: vectors are cut to its max_allowed_packet, and what never fits is refused unsent. */
#include "common/stage.h"
#include "servers/mysql.h"

#include <string.h>

TestSuite(fault_mysql_packet, .init = case_begin, .fini = case_end, .timeout = 300);

enum { PACKET = 1 << 20, VALUE_MOST = (PACKET - (64 << 10)) / 2, COUNT = 48, LARGE = 60000 };

static char names[COUNT][1000];

static void start_small(running_server *server)
{
    static const char *const options[] = {"--max-allowed-packet=1M", NULL};

    server_start(server, &mysql, "server", NULL, options);
    for (int i = 0; i < COUNT; i++) { /* two bytes of each are sent */
        memset(names[i], '\'', sizeof(names[i]) - 1);
        names[i][900] = (char)('A' + i);
        names[i][901] = '\\';
    }
}

static kivi_status apply(kivi_store *store, int32_t kind, kivi_slice value, uint32_t flags)
{
    kivi_op ops[COUNT];
    kivi_result *result = NULL;
    kivi_call call = within_ms(60000);
    kivi_status status;

    memset(ops, 0, sizeof(ops));
    for (int i = 0; i < COUNT; i++) {
        ops[i].struct_size = sizeof(ops[i]);
        ops[i].kind = kind;
        ops[i].key = kivi_str(names[i]);
        ops[i].value = value;
    }
    status = kivi_store_apply(store, &call, ops, COUNT, flags, &result, E);
    for (size_t i = 0; !status && i < COUNT; i++)
        CHECK_NUMBER(kivi_result_status(result, i), KIVI_OK);
    kivi_result_free(result);
    return status;
}

static uint64_t reconnects(kivi_store *store)
{
    kivi_stats stats = {.struct_size = sizeof(stats)};

    OK(kivi_store_stats(store, &stats, E));
    return stats.reconnects;
}

static kivi_slice quotes(char *bytes, size_t size)
{
    memset(bytes, '\'', size);
    return kivi_bytes(bytes, size);
}

/* Five times what the server takes at once, in one call. */
Test(fault_mysql_packet, large_vectors_are_cut)
{
    running_server server;
    char *bytes = malloc(LARGE);
    kivi_slice value = quotes(bytes, LARGE);

    start_small(&server);
    kivi_store *store = server_open(&server, "");
    OK(apply(store, KIVI_OP_SET, value, 0));
    for (int i = 0; i < COUNT; i++)
        expect_slice(store, kivi_str(names[i]), value);
    OK(apply(store, KIVI_OP_DELETE, kivi_bytes(NULL, 0), 0));
    CHECK_NUMBER(expect_sound(store), 0);
    CHECK_NUMBER(reconnects(store), 0);
    kivi_store_unref(store);
    server_stop(&server);
    free(bytes);
}

/* An atomic batch is not cut: it is refused, with nothing of it done, and one that fits is done. */
Test(fault_mysql_packet, an_atomic_batch_is_whole)
{
    running_server server;
    char *bytes = malloc(LARGE);

    start_small(&server);
    kivi_store *store = server_open(&server, "");
    put(store, "k", "v");
    REFUSED(KIVI_TOO_LARGE, "max_allowed_packet",
            apply(store, KIVI_OP_SET, quotes(bytes, LARGE), KIVI_APPLY_ATOMIC));
    CHECK_NUMBER(expect_sound(store), 1);
    OK(apply(store, KIVI_OP_SET, quotes(bytes, 1000), KIVI_APPLY_ATOMIC));
    CHECK_NUMBER(expect_sound(store), 1 + COUNT);
    CHECK_NUMBER(reconnects(store), 0);
    kivi_store_unref(store);
    server_stop(&server);
    free(bytes);
}

/* The first call of a store knows of no limit: what is over it is refused alone, what stands beside it is written. */
Test(fault_mysql_packet, the_first_call_is_too_large)
{
    running_server server;
    char *bytes = malloc(PACKET);
    kivi_op ops[3];
    kivi_result *result = NULL;
    kivi_call call = within_ms(60000);
    static const char *const keys[] = {"a", "b", "c"};

    start_small(&server);
    kivi_store *store = server_open(&server, "");
    memset(ops, 0, sizeof(ops));
    for (int i = 0; i < 3; i++) {
        ops[i].struct_size = sizeof(ops[i]);
        ops[i].kind = KIVI_OP_SET;
        ops[i].key = kivi_str(keys[i]);
        ops[i].value = i == 1 ? quotes(bytes, PACKET) : kivi_str("small");
    }
    (void)kivi_store_apply(store, &call, ops, 3, 0, &result, NULL);
    CHECK(result != NULL);
    for (size_t i = 0; i < 3; i++)
        CHECK_NUMBER(kivi_result_status(result, i), i == 1 ? KIVI_TOO_LARGE : KIVI_OK);
    kivi_result_free(result);
    CHECK_NUMBER(expect_sound(store), 2);
    kivi_store_unref(store);
    server_stop(&server);
    free(bytes);
}

/* The largest value is set, and exchanged for another as large. */
Test(fault_mysql_packet, the_largest_value)
{
    running_server server;
    char *bytes = malloc(VALUE_MOST), *others = malloc(VALUE_MOST);
    kivi_slice value = quotes(bytes, VALUE_MOST), other;
    kivi_call call = within_ms(60000);

    memset(others, '\\', VALUE_MOST);
    other = kivi_bytes(others, VALUE_MOST);
    start_small(&server);
    kivi_store *store = server_open(&server, "");
    OK(kivi_store_set(store, &call, kivi_str("k"), value, KIVI_TTL_NONE, E));
    OK(kivi_store_compare_and_set(store, &call, kivi_str("k"), value, other, KIVI_TTL_NONE, E));
    expect_slice(store, kivi_str("k"), other);
    CHECK_NUMBER(reconnects(store), 0);
    kivi_store_unref(store);
    server_stop(&server);
    free(bytes);
    free(others);
}
