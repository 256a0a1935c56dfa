/* Redis Cluster by servers made of scripts: nodes that send commands elsewhere, that are down, that know no map. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "redis_fixture.h"

TestSuite(redis_cluster);

#define HELLO_CLUSTER "%2\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$4\r\nmode\r\n$7\r\ncluster\r\n"

static redis_server *first, *second;
static atomic_uint maps, turns, asked_behind_asking;
static _Thread_local bool asking; /* of a connection: each has a thread */

static bool hello_cluster(redis_peer *peer, const redis_request *request)
{
    (void)request;
    return say(peer, HELLO_CLUSTER);
}

static bool say_owner(redis_peer *peer, const redis_server *owner)
{
    char text[256];

    atomic_fetch_add(&maps, 1);
    snprintf(text, sizeof(text),
             "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%d\r\n$2\r\n%s\r\n",
             owner->port, owner == first ? "aa" : "bb");
    return say(peer, text);
}

/* The first server has all slots, the second none. */
static bool say_map(redis_peer *peer)
{
    return say_owner(peer, first);
}

static bool say_target(redis_peer *peer, const char *word, const redis_server *to)
{
    char text[128];

    snprintf(text, sizeof(text), "-%s 12182 127.0.0.1:%d\r\n", word, to->port);
    return say(peer, text);
}

static void begin(redis_answer of_first, redis_answer of_second)
{
    atomic_store(&maps, 0);
    atomic_store(&turns, 0);
    atomic_store(&asked_behind_asking, 0);
    first = server_start(of_first);
    second = server_start(of_second);
    first->hello = second->hello = hello_cluster;
}

static kivi_store *open_cluster(const char *options)
{
    char url[512];
    kivi_store *store = NULL;

    register_redis();
    snprintf(url, sizeof(url), "redis+cluster://127.0.0.1:%d/?codec=raw&server_timeout=20s%s",
             first->port, options);
    cr_assert_eq(kivi_store_open(url, NULL, NULL, &store, &error), KIVI_OK, "%s",
                 error ? kivi_error_message(error) : "");
    return store;
}

static void end(kivi_store *store)
{
    kivi_store_unref(store);
    server_stop(first);
    server_stop(second);
}

static kivi_status set(kivi_store *store, const char *key)
{
    return kivi_store_set(store, NULL, kivi_str(key), kivi_str("v"), KIVI_TTL_NONE, &error);
}

/* ---- MOVED ---- */

static bool answer_moved(redis_peer *peer, const redis_request *request)
{
    if (is_command(request, "CLUSTER"))
        return say_map(peer);
    atomic_fetch_add(&turns, 1);
    return say_target(peer, "MOVED", second);
}

static bool answer_well(redis_peer *peer, const redis_request *request)
{
    if (is_command(request, "CLUSTER"))
        return say_map(peer);
    if (is_command(request, "ASKING"))
        return asking = true, say(peer, "+OK\r\n");
    atomic_fetch_add(&asked_behind_asking, asking);
    asking = false;
    if (is_command(request, "SET"))
        return say(peer, "+OK\r\n");
    if (is_command(request, "PTTL"))
        return say(peer, ":5000\r\n");
    return say(peer, "$1\r\nv\r\n");
}

/* The map has it as well: who is held up long enough reads it again. */
static bool answer_has_moved(redis_peer *peer, const redis_request *request)
{
    if (is_command(request, "CLUSTER"))
        return say_owner(peer, atomic_load(&turns) ? second : first);
    return answer_moved(peer, request);
}

/* The write is sent once more, to where it belongs, and the next one goes there at once. */
Test(redis_cluster, moved)
{
    begin(answer_has_moved, answer_well);
    kivi_store *store = open_cluster("");

    cr_assert_eq(set(store, "foo"), KIVI_OK, "%s", error ? kivi_error_message(error) : "");
    cr_assert_eq(turns, 1);
    cr_assert_eq(maps, 1);
    cr_assert_eq(get(store, "foo"), KIVI_OK);
    cr_assert_eq(turns, 1, "it knows by now");
    end(store);
}

/* ---- ASK ---- */

static bool answer_ask(redis_peer *peer, const redis_request *request)
{
    if (is_command(request, "CLUSTER"))
        return say_map(peer);
    atomic_fetch_add(&turns, 1);
    return say_target(peer, "ASK", second);
}

/* Each command has ASKING before it, and the map stays. */
Test(redis_cluster, ask)
{
    begin(answer_ask, answer_well);
    kivi_store *store = open_cluster("");
    int64_t left = 0;

    cr_assert_eq(set(store, "foo"), KIVI_OK, "%s", error ? kivi_error_message(error) : "");
    cr_assert_eq(asked_behind_asking, 1);
    cr_assert_eq(turns, 1);
    cr_assert_eq(kivi_store_ttl(store, NULL, kivi_str("foo"), &left, &error), KIVI_OK);
    cr_assert_eq(get(store, "foo"), KIVI_OK);
    cr_assert_eq(left, 5000);
    cr_assert_eq(asked_behind_asking, 3);
    cr_assert_eq(turns, 3);
    cr_assert_eq(maps, 1);
    end(store);
}

/* ---- What passes ---- */

static const char *passing;

static bool answer_later(redis_peer *peer, const redis_request *request)
{
    char text[128];

    if (is_command(request, "CLUSTER"))
        return say_map(peer);
    if (atomic_fetch_add(&turns, 1) >= 3)
        return say(peer, is_command(request, "SET") ? "+OK\r\n" : "$2\r\n00\r\n");
    snprintf(text, sizeof(text), "-%s secret\r\n", passing);
    return say(peer, text);
}

/* It is asked again, writes as well: nothing was applied. */
Test(redis_cluster, down_for_a_while)
{
    passing = "CLUSTERDOWN";
    begin(answer_later, answer_well);
    kivi_store *store = open_cluster("&timeout=30s");

    cr_assert_eq(set(store, "foo"), KIVI_OK, "%s", error ? kivi_error_message(error) : "");
    cr_assert_eq(turns, 4);
    end(store);
}

Test(redis_cluster, batch_on_the_move)
{
    passing = "TRYAGAIN";
    begin(answer_later, answer_well);
    kivi_store *store = open_cluster("&timeout=30s");
    kivi_op ops[2] = {KIVI_OP_INIT, KIVI_OP_INIT};

    for (int i = 0; i < 2; i++) {
        ops[i].kind = KIVI_OP_SET;
        ops[i].key = kivi_str(i ? "{foo}1" : "{foo}2");
        ops[i].value = kivi_str("v");
    }
    cr_assert_eq(kivi_store_apply(store, NULL, ops, 2, KIVI_APPLY_ATOMIC, NULL, &error), KIVI_OK,
                 "%s", error ? kivi_error_message(error) : "");
    cr_assert_eq(turns, 4);
    end(store);
}

static bool answer_down(redis_peer *peer, const redis_request *request)
{
    if (is_command(request, "CLUSTER"))
        return say_map(peer);
    return say(peer, "-CLUSTERDOWN Hash slot not served\r\n");
}

/* Until the call has no more time. */
Test(redis_cluster, down)
{
    begin(answer_down, answer_well);
    kivi_store *store = open_cluster("&timeout=300ms");
    kivi_status status = get(store, "foo");

    cr_assert(status == KIVI_UNAVAILABLE || status == KIVI_TIMEOUT, "%s", kivi_status_name(status));
    kivi_error_free(error);
    end(store);
}

/* ---- Round and round ---- */

static bool answer_moved_back(redis_peer *peer, const redis_request *request)
{
    if (is_command(request, "CLUSTER"))
        return say_map(peer);
    return say_target(peer, "MOVED", first);
}

Test(redis_cluster, each_says_the_other)
{
    begin(answer_moved, answer_moved_back);
    kivi_store *store = open_cluster("&timeout=300ms");
    kivi_status status = get(store, "foo");

    cr_assert(status == KIVI_UNAVAILABLE || status == KIVI_TIMEOUT, "%s", kivi_status_name(status));
    kivi_error_free(error);
    cr_assert_leq(maps, 4, "the map is not read again and again");
    end(store);
}

static bool answer_moved_nowhere(redis_peer *peer, const redis_request *request)
{
    return is_command(request, "CLUSTER") ? say_map(peer) : say(peer, "-MOVED 12182 nowhere\r\n");
}

Test(redis_cluster, moved_to_no_address)
{
    begin(answer_moved_nowhere, answer_well);
    kivi_store *store = open_cluster("&timeout=20s");

    cr_assert_eq(set(store, "foo"), KIVI_UNSUPPORTED, "%s", error ? kivi_error_message(error) : "");
    kivi_error_free(error);
    end(store);
}

/* ---- Who is no cluster ---- */

Test(redis_cluster, no_cluster)
{
    begin(answer_well, answer_well);
    first->hello = NULL;
    kivi_store *store = open_cluster("");

    cr_assert_eq(set(store, "foo"), KIVI_UNSUPPORTED);
    cr_assert_not_null(strstr(kivi_error_message(error), "redis://"), "%s", kivi_error_message(error));
    kivi_error_free(error);
    kivi_store_unref(store);
    first->hello = hello_cluster;
    store = open_redis(first, "");
    cr_assert_eq(set(store, "foo"), KIVI_UNSUPPORTED);
    cr_assert_not_null(strstr(kivi_error_message(error), "redis+cluster://"), "%s",
                       kivi_error_message(error));
    kivi_error_free(error);
    end(store);
}

Test(redis_cluster, what_open_refuses)
{
    static const char *const urls[] = {"redis+cluster://127.0.0.1:7000/1",
                                       "redis+cluster://127.0.0.1:7000/?db=2",
                                       "redis://127.0.0.1:7000/?server_timeout=1s"};
    kivi_store *store = NULL;

    register_redis();
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        cr_assert_eq(kivi_store_open(urls[i], NULL, NULL, &store, &error), KIVI_INVALID, "%s", urls[i]);
        kivi_error_free(error);
        error = NULL;
    }
}

/* ---- Scans while slots come ---- */

static bool is_second(const redis_peer *peer)
{
    return peer->server == second;
}

/* Each has a half; "foo" (12182) is of the second one, "bar" (5061) of the first. */
static bool say_halves(redis_peer *peer, const redis_request *request)
{
    char text[256], line[128];

    if (argument_is(request, 1, "NODES")) {
        snprintf(line, sizeof(line), "%s 127.0.0.1:1@2 myself,master - 0 0 1 connected %s\n",
                 is_second(peer) ? "bb" : "aa", is_second(peer) ? "10000-16383" : "0-9999");
        snprintf(text, sizeof(text), "$%zu\r\n%s\r\n", strlen(line), line);
        return say(peer, text);
    }
    snprintf(text, sizeof(text),
             "*2\r\n*3\r\n:0\r\n:9999\r\n*3\r\n$9\r\n127.0.0.1\r\n:%d\r\n$2\r\naa\r\n"
             "*3\r\n:10000\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%d\r\n$2\r\nbb\r\n",
             first->port, second->port);
    return say(peer, text);
}

/* The only key, which the first one has; what its first GET answers, where that is no value. */
static const char *key_of_first, *refusal;

static bool answer_scan(redis_peer *peer, const redis_request *request)
{
    char text[128];

    if (is_command(request, "CLUSTER"))
        return say_halves(peer, request);
    if (is_command(request, "ASKING"))
        return asking = true, say(peer, "+OK\r\n");
    if (is_command(request, "SCAN")) {
        snprintf(text, sizeof(text), "*2\r\n$1\r\n0\r\n*1\r\n$3\r\n%s\r\n", key_of_first);
        return say(peer, is_second(peer) ? "*2\r\n$1\r\n0\r\n*0\r\n" : text);
    }
    atomic_fetch_add(&asked_behind_asking, asking);
    asking = false;
    if (refusal && atomic_fetch_add(&turns, 1) == 0) {
        snprintf(text, sizeof(text), "-%s 127.0.0.1:%d\r\n", refusal, second->port);
        return say(peer, text);
    }
    return say(peer, "$1\r\nv\r\n");
}

static unsigned count_scanned(kivi_store *store)
{
    kivi_scan *scan = NULL;
    kivi_pair pair = KIVI_PAIR_INIT;
    unsigned count = 0;
    kivi_status status;

    cr_assert_eq(kivi_store_scan(store, NULL, &scan, &error), KIVI_OK);
    while ((status = kivi_scan_next(scan, NULL, &pair, &error)) == KIVI_OK)
        cr_assert_lt(++count, 100, "it goes round");
    cr_assert_eq(status, KIVI_END, "%s", error ? kivi_error_message(error) : "");
    kivi_scan_free(scan);
    return count;
}

/* It lies at the first node already, though its slot is the second one's: it is on its way, and seen. */
Test(redis_cluster, scan_of_a_slot_that_comes)
{
    key_of_first = "foo";
    refusal = NULL;
    begin(answer_scan, answer_scan);
    kivi_store *store = open_cluster("");

    cr_assert_eq(count_scanned(store), 1);
    cr_assert_eq(asked_behind_asking, 1);
    end(store);
}

/* The first node has more to say of its own slot than where it is: it is looked for once more. */
Test(redis_cluster, scan_of_a_slot_that_is_not_there_yet)
{
    key_of_first = "bar";
    refusal = "MOVED 5061";
    begin(answer_scan, answer_scan);
    kivi_store *store = open_cluster("");

    cr_assert_eq(count_scanned(store), 1);
    cr_assert_eq(turns, 2);
    end(store);
}

/* All slots are the first one's; the one of "bar" goes to the second, which has none yet. */
static bool answer_going(redis_peer *peer, const redis_request *request)
{
    char text[400], line[300];

    if (is_command(request, "CLUSTER") && !argument_is(request, 1, "NODES"))
        return say_map(peer);
    if (!is_command(request, "CLUSTER"))
        return is_second(peer) && is_command(request, "SCAN")
                   ? say(peer, "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nbar\r\n")
                   : answer_scan(peer, request);
    snprintf(line, sizeof(line), "bb 127.0.0.1:%d@1 %smaster - 0 0 0 connected%s\naa 127.0.0.1:%d@2 %smaster - 0 0 1 connected 0-16383%s\n",
             second->port, is_second(peer) ? "myself," : "", is_second(peer) ? " [5061-<-aa]" : "",
             first->port, is_second(peer) ? "" : "myself,", is_second(peer) ? "" : " [5061->-bb]");
    snprintf(text, sizeof(text), "$%zu\r\n%s\r\n", strlen(line), line);
    return say(peer, text);
}

/* No map has the node: its name and address are what the first one says of it. */
Test(redis_cluster, scan_of_a_slot_that_goes_to_a_node_without_slots)
{
    key_of_first = "foo";
    refusal = NULL;
    begin(answer_going, answer_going);
    kivi_store *store = open_cluster("");

    cr_assert_eq(count_scanned(store), 2);
    cr_assert_eq(asked_behind_asking, 1);
    end(store);
}

/* ---- Replicas ---- */

static atomic_uint refused;

static bool answer_with_replica(redis_peer *peer, const redis_request *request)
{
    char text[256];

    if (!is_command(request, "CLUSTER")) {
        bool is_get = is_command(request, "GET");
        atomic_fetch_add(&refused, is_get && is_second(peer));
        return say(peer, !is_get           ? "+OK\r\n"
                         : is_second(peer) ? "-MASTERDOWN Link with MASTER is down\r\n"
                                           : "$1\r\nv\r\n");
    }
    snprintf(text, sizeof(text),
             "*1\r\n*4\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%d\r\n$2\r\naa\r\n"
             "*3\r\n$9\r\n127.0.0.1\r\n:%d\r\n$2\r\nbb\r\n",
             first->port, second->port);
    return say(peer, text);
}

Test(redis_cluster, a_replica_that_cannot_be_read)
{
    atomic_store(&refused, 0);
    begin(answer_with_replica, answer_with_replica);
    kivi_store *store = open_cluster("&consistency=eventual");

    cr_assert_eq(get(store, "foo"), KIVI_OK, "%s", error ? kivi_error_message(error) : "");
    cr_assert_eq(refused, 1);
    end(store);
}
