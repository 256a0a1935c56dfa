/* What a Redis server refuses, and what calls of every kind answer then, in which words. */
#include "common/stage.h"
#include "servers/redis.h"

TestSuite(fault_redis_answers, .init = case_begin, .fini = case_end, .timeout = 300);

/* Nobody there: the call does not wait for its deadline. */
Test(fault_redis_answers, refused)
{
    running_server server;

    server_start(&server, &redis, "server", NULL, NULL);
    kivi_store *store = server_open(&server, "&timeout=30s");
    put(store, "k", "v");
    server_kill(&server);
    pause_ms(100); /* in use a moment ago, the connection would be trusted */
    uint64_t began = now_ns();
    REFUSED(KIVI_UNAVAILABLE, "refused",
            kivi_store_set(store, NULL, kivi_str("k"), kivi_str("w"), KIVI_TTL_NONE, E));
    CHECK(now_ns() - began < UINT64_C(15000000000));
    server_start_again(&server);
    expect_holds(store, "k", "v");
    kivi_store_unref(store);
    server_stop(&server);
}

/* By its socket and by its port it is one server, whose databases are several stores. */
Test(fault_redis_answers, a_copy_onto_itself)
{
    static const char *const options[] = {"--unixsocket", "socket", NULL};
    running_server server;

    server_start(&server, &redis, "server", NULL, options);
    kivi_store *source = server_open(&server, "");
    kivi_store *same = open_store("redis+unix://%s/socket?codec=raw&db=0", server.directory);
    kivi_store *other = open_store("redis+unix://%s/socket?codec=raw&db=1", server.directory);
    put(source, "k", "v");
    REFUSED(KIVI_INVALID, "the same store", kivi_store_copy(source, same, NULL, NULL, NULL, NULL, E));
    REFUSED(KIVI_INVALID, "the same store", kivi_store_copy(same, source, NULL, NULL, NULL, NULL, E));
    OK(kivi_store_copy(source, other, NULL, NULL, NULL, NULL, E));
    expect_holds(other, "k", "v");
    kivi_store_unref(source);
    kivi_store_unref(same);
    kivi_store_unref(other);
    server_stop(&server);
}

/* ---- Memory, clients, replicas ---- */

Test(fault_redis_answers, out_of_memory)
{
    static const char *const options[] = {"--maxmemory-policy", "noeviction", NULL};
    running_server server;
    kivi_op ops[2] = {KIVI_OP_INIT, KIVI_OP_INIT};

    server_start(&server, &redis, "server", NULL, options);
    kivi_store *store = server_open(&server, "");
    put(store, "k", "v");
    redis_tell(&server, "CONFIG SET maxmemory 1");
    REFUSED(KIVI_IO, "OOM", kivi_store_set(store, NULL, kivi_str("k"), kivi_str("w"), KIVI_TTL_NONE, E));
    REFUSED(KIVI_IO, "OOM",
            kivi_store_compare_and_set(store, NULL, kivi_str("k"), kivi_str("v"), kivi_str("w"),
                                       KIVI_TTL_NONE, E));
    for (int i = 0; i < 2; i++) {
        ops[i].kind = KIVI_OP_SET;
        ops[i].key = i ? kivi_str("a") : kivi_str("k");
        ops[i].value = kivi_str("w");
    }
    REFUSED(KIVI_IO, "OOM", kivi_store_apply(store, NULL, ops, 2, KIVI_APPLY_ATOMIC, NULL, E));
    expect_holds(store, "k", "v");
    expect_holds(store, "a", NULL);
    OK(kivi_store_delete(store, NULL, kivi_str("k"), NULL, E)); /* makes room, and so is let through */
    redis_tell(&server, "CONFIG SET maxmemory 0");
    put(store, "k", "w");
    kivi_store_unref(store);
    server_stop(&server);
}

/* All connections are taken: calls wait for one as long as they may. */
Test(fault_redis_answers, too_many_clients)
{
    static const char *const options[] = {"--maxclients", "4", NULL};
    running_server server;

    server_start(&server, &redis, "server", NULL, options);
    kivi_store *crowd = server_open(&server, "&lanes=1&namespace=a");
    kivi_store *more = server_open(&server, "&lanes=1&namespace=b");
    kivi_store *third = server_open(&server, "&lanes=1&namespace=c");
    kivi_store *fourth = server_open(&server, "&lanes=1&namespace=d");
    kivi_store *late = server_open(&server, "&lanes=1&namespace=e");
    put(crowd, "k", "v");
    put(more, "k", "v");
    put(third, "k", "v");
    put(fourth, "k", "v");
    kivi_call call = within_ms(300);
    uint64_t began = now_ns();
    REFUSED(KIVI_UNAVAILABLE, "maxclients",
            kivi_store_set(late, &call, kivi_str("k"), kivi_str("v"), KIVI_TTL_NONE, E));
    tell_excess("maxclients", began, 300);
    kivi_store_unref(crowd);
    put(late, "k", "v");
    kivi_store_unref(more);
    kivi_store_unref(third);
    kivi_store_unref(fourth);
    kivi_store_unref(late);
    server_stop(&server);
}

Test(fault_redis_answers, turns_into_a_replica)
{
    running_server server, master;
    char command[64];

    server_start(&server, &redis, "server", NULL, NULL);
    server_start(&master, &redis, "master", NULL, NULL);
    kivi_store *store = server_open(&server, "");
    put(store, "k", "v");
    snprintf(command, sizeof(command), "REPLICAOF 127.0.0.1 %d", master.port);
    redis_tell(&server, command);
    REFUSED(KIVI_UNAVAILABLE, "READONLY",
            kivi_store_set(store, NULL, kivi_str("k"), kivi_str("w"), KIVI_TTL_NONE, E));
    REFUSED(KIVI_UNAVAILABLE, "READONLY",
            kivi_store_compare_and_set(store, NULL, kivi_str("gone"), kivi_str("v"), kivi_str("w"),
                                       KIVI_TTL_NONE, E) == KIVI_CONDITION
                ? kivi_store_delete(store, NULL, kivi_str("k"), NULL, E)
                : KIVI_INTERNAL);
    redis_tell(&server, "REPLICAOF NO ONE");
    put(store, "k", "w");
    expect_holds(store, "k", "w");
    kivi_store_unref(store);
    server_stop(&server);
    server_stop(&master);
}

/* ---- Passwords ---- */

Test(fault_redis_answers, wrong_password)
{
    running_server server;
    char answer[256];

    server_start(&server, &redis, "server", "right", NULL);
    kivi_store *wrong = open_store("redis://:wrong@127.0.0.1:%d/0?codec=raw", server.port);
    kivi_store *none = open_store("redis://127.0.0.1:%d/0?codec=raw", server.port);
    kivi_store *right = server_open(&server, "");
    REFUSED(KIVI_DENIED, "WRONGPASS",
            kivi_store_set(wrong, NULL, kivi_str("k"), kivi_str("v"), KIVI_TTL_NONE, E));
    REFUSED(KIVI_DENIED, "NOAUTH",
            kivi_store_set(none, NULL, kivi_str("k"), kivi_str("v"), KIVI_TTL_NONE, E));
    put(right, "k", "v");
    redis_says(&server, "GET k", answer, sizeof(answer));
    CHECK(!strcmp(answer, "$1"));
    kivi_store_unref(wrong);
    kivi_store_unref(none);
    kivi_store_unref(right);
    server_stop(&server);
}

/* The password changes while the store is open: the next login reads it again. */
Test(fault_redis_answers, password_changed)
{
    running_server server;

    server_start(&server, &redis, "server", "first", NULL);
    stage_write_password("first");
    kivi_store *store = open_store("redis://127.0.0.1:%d/0?codec=raw&password_file=%s/password",
                                   server.port, folder);
    put(store, "k", "one");
    server_set_password(&server, "second");
    expect_holds(store, "k", "one"); /* who is logged in stays so */
    redis.end_connections(&server);
    pause_ms(100);
    REFUSED(KIVI_DENIED, "WRONGPASS",
            kivi_store_set(store, NULL, kivi_str("k"), kivi_str("two"), KIVI_TTL_NONE, E));
    stage_write_password("second");
    put(store, "k", "two");
    expect_holds(store, "k", "two");
    kivi_store_unref(store);
    server_stop(&server);
}

/* What a user may do is taken from it while the store is open. */
Test(fault_redis_answers, permissions_taken)
{
    running_server server;

    server_start(&server, &redis, "server", NULL, NULL);
    redis_tell(&server, "ACL SETUSER kivi on >pw ~* +@all");
    kivi_store *store = open_store("redis://kivi:pw@127.0.0.1:%d/0?codec=raw", server.port);
    put(store, "k", "v");
    redis_tell(&server, "ACL SETUSER kivi -@write");
    REFUSED(KIVI_DENIED, "NOPERM",
            kivi_store_set(store, NULL, kivi_str("k"), kivi_str("w"), KIVI_TTL_NONE, E));
    expect_holds(store, "k", "v");
    redis_tell(&server, "ACL SETUSER kivi +@all -hello"); /* and a login without HELLO does */
    kivi_store *other = open_store("redis://kivi:pw@127.0.0.1:%d/0?codec=raw&lanes=1", server.port);
    put(other, "k", "w");
    expect_holds(store, "k", "w");
    kivi_store_unref(store);
    kivi_store_unref(other);
    server_stop(&server);
}

/* ---- Other types ---- */

Test(fault_redis_answers, other_types)
{
    running_server server;
    char answer[256];
    kivi_slice keys[] = {{"list", 4}, {"plain", 5}, {"missing", 7}};
    kivi_result *result = NULL;
    kivi_op op = KIVI_OP_INIT;
    uint64_t count = 0;
    kivi_buffer value = KIVI_BUFFER_INIT;

    server_start(&server, &redis, "server", NULL, NULL);
    kivi_store *store = server_open(&server, "");
    redis_says(&server, "RPUSH list a b", answer, sizeof(answer));
    put(store, "plain", "v");
    REFUSED(KIVI_WRONG_TYPE, "plain value", kivi_store_get(store, NULL, kivi_str("list"), &value, E));
    REFUSED(KIVI_WRONG_TYPE, "plain value", kivi_store_take(store, NULL, kivi_str("list"), &value, E));
    REFUSED(KIVI_WRONG_TYPE, "plain value",
            kivi_store_increment(store, NULL, kivi_str("list"), 1, KIVI_TTL_NONE, NULL, E));
    REFUSED(KIVI_WRONG_TYPE, "plain value",
            kivi_store_compare_and_set(store, NULL, kivi_str("list"), kivi_str("a"), kivi_str("b"),
                                       KIVI_TTL_NONE, E));
    REFUSED(KIVI_WRONG_TYPE, "plain value", kivi_store_get_many(store, NULL, keys, 3, &result, E));
    CHECK_NUMBER(kivi_result_status(result, 0), KIVI_WRONG_TYPE);
    CHECK_NUMBER(kivi_result_status(result, 1), KIVI_OK);
    CHECK_NUMBER(kivi_result_status(result, 2), KIVI_NOT_FOUND);
    kivi_result_free(result);
    op.kind = KIVI_OP_SET;
    op.condition = KIVI_IF_EQUAL;
    op.key = kivi_str("list");
    op.value = op.expected = kivi_str("a");
    REFUSED(KIVI_WRONG_TYPE, "plain value",
            kivi_store_apply(store, NULL, &op, 1, KIVI_APPLY_ATOMIC, NULL, E));
    OK(kivi_store_count(store, NULL, kivi_bytes(NULL, 0), &count, E));
    CHECK_NUMBER(count, 2); /* keys of all types come in key scans, */
    kivi_page *page = NULL;
    OK(kivi_store_page(store, NULL, NULL, &page, E));
    CHECK_NUMBER(kivi_page_count(page), 1); /* but only plain values in pair scans */
    kivi_page_free(page);
    put(store, "list", "plain now");
    expect_holds(store, "list", "plain now");
    kivi_buffer_free(&value);
    kivi_store_unref(store);
    server_stop(&server);
}
