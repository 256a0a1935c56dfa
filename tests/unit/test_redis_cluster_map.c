/* Redis Cluster's slots: the hash of keys, the map that a node tells, and how far a scan is. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../libkivi/backends/redis/cluster.h"

extern const kivi_host kvi_host_table;

static void prepare(void)
{
    kvi_redis_host = &kvi_host_table;
}

TestSuite(redis_cluster_map, .init = prepare);

/* ---- Slots ---- */

/* What CLUSTER KEYSLOT of a real server says. */
Test(redis_cluster_map, slots_of_keys)
{
    static const struct {
        const char *key;
        uint16_t slot;
    } rows[] = {{"123456789", 12739},
                {"foo", 12182},
                {"bar", 5061},
                {"hello", 866},
                {"user1000", 3443},
                {"{user1000}.following", 3443},
                {"a{user1000}b{foo}", 3443},
                {"foo{}{bar}", 8363},
                {"foo{{bar}}zap", 4015},
                {"foo{bar}{zap}", 5061},
                {"{", 4092},
                {"{}x", 10595},
                {"", 0}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_assert_eq(kvi_cluster_slot(kivi_str(rows[i].key)), rows[i].slot, "%s", rows[i].key);
    cr_assert_eq(kvi_cluster_slot(kivi_bytes("a\0{bar}", 7)), 5061, "a NUL is a byte like any other");
}

Test(redis_cluster_map, tags_of_namespaces)
{
    cr_assert(kvi_cluster_has_tag(kivi_str("a{b}")));
    cr_assert_not(kvi_cluster_has_tag(kivi_str("a{}b")));
    cr_assert_not(kvi_cluster_has_tag(kivi_str("a{b")));
    cr_assert_not(kvi_cluster_has_tag(kivi_str("ab")));
}

/* ---- CLUSTER SLOTS ---- */

static kivi_status read_draft(const char *text, cluster_draft *draft)
{
    kvi_resp resp = {0};
    kvi_resp_token token = {.last = false};
    size_t at = 0, size = strlen(text);
    kivi_status status = KIVI_OK;

    *draft = (cluster_draft){.asked = "asked"};
    while (status == KIVI_OK && !token.last) {
        size_t used = 0;
        status = kvi_resp_next(&resp, (const uint8_t *)text + at, size - at, &used, &token);
        at += used;
        if (status == KIVI_OK)
            status = kvi_draft_take(draft, &token);
    }
    return status;
}

#define NODE(host, port, id) "*3\r\n" host ":" port "\r\n$2\r\n" id "\r\n"
#define HOST(size, name) "$" size "\r\n" name "\r\n"

Test(redis_cluster_map, is_read)
{
    /* A host that is nil, one that is empty, names besides, and a primary of two ranges. */
    static const char text[] = "*3\r\n"
                               "*4\r\n:0\r\n:99\r\n" NODE(HOST("8", "10.0.0.1"), "7000", "aa")
                                   NODE(HOST("8", "10.0.0.2"), "7001",
                                        "bb") "*3\r\n:100\r\n:16382\r\n*4\r\n$-1\r\n:7002\r\n$"
                                              "2\r\ncc\r\n*2\r\n$8\r\nhostname\r\n$1\r\nx\r\n"
                                              "*4\r\n:16383\r\n:16383\r\n" NODE(
                                                  HOST("8", "10.0.0.1"), "7000", "aa")
                                                  NODE(HOST("0", ""), "7003", "dd");
    cluster_draft draft;

    cr_assert_eq(read_draft(text, &draft), KIVI_OK);
    cr_assert_eq(draft.count, 4);
    cr_assert_str_eq(draft.nodes[0].host, "10.0.0.1");
    cr_assert_eq(draft.nodes[0].port, 7000);
    cr_assert_eq(draft.nodes[0].primary, NODE_NONE);
    cr_assert_eq(draft.nodes[0].replicas, 2);
    cr_assert_eq(draft.nodes[1].primary, 0);
    cr_assert_str_eq(draft.nodes[2].host, "asked");
    cr_assert_eq(draft.nodes[2].port, 7002);
    cr_assert_str_eq(draft.nodes[3].host, "asked");
    cr_assert_eq(draft.owner[0], 1);
    cr_assert_eq(draft.owner[99], 1);
    cr_assert_eq(draft.owner[100], 3);
    cr_assert_eq(draft.owner[16382], 3);
    cr_assert_eq(draft.owner[16383], 1);
    free(draft.nodes);
}

/* What has no address is left out; slots that nobody has stay so. */
Test(redis_cluster_map, has_holes)
{
    static const char text[] = "*2\r\n*3\r\n:0\r\n:9\r\n" NODE(
        HOST("1", "?"), "7000", "aa") "*3\r\n:20\r\n:29\r\n" NODE(HOST("1", "b"), "7001", "bb");
    cluster_draft draft;

    cr_assert_eq(read_draft(text, &draft), KIVI_OK);
    cr_assert_eq(draft.count, 1);
    cr_assert_eq(draft.owner[5], 0);
    cr_assert_eq(draft.owner[15], 0);
    cr_assert_eq(draft.owner[25], 1);
    free(draft.nodes);
    cr_assert_eq(read_draft("*0\r\n", &draft), KIVI_OK);
    cr_assert_eq(draft.count, 0);
}

Test(redis_cluster_map, is_no_map)
{
    static const char *const rows[] = {
        "+OK\r\n",
        "*1\r\n:5\r\n",
        "*1\r\n*1\r\n:5\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\na\r\n:1\r\n",
        "*1\r\n*3\r\n:9\r\n:3\r\n*2\r\n$1\r\na\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:3\r\n$1\r\na\r\n",
        "*1\r\n*3\r\n:0\r\n:3\r\n*2\r\n:1\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:3\r\n*2\r\n$1\r\na\r\n:65536\r\n",
        "*1\r\n*3\r\n:0\r\n:3\r\n*3\r\n$1\r\na\r\n:1\r\n:5\r\n",
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cluster_draft draft;
        cr_assert_eq(read_draft(rows[i], &draft), KIVI_CORRUPT, "row %zu", i);
        free(draft.nodes);
    }
}

/* ---- A walk ---- */

static void add_range(slot_set *set, uint32_t first, uint32_t last)
{
    for (uint32_t slot = first; slot <= last; slot++)
        slots_add(set, slot);
}

static bool is_same(const cluster_walk *a, const cluster_walk *b)
{
    return !memcmp(&a->done, &b->done, sizeof(a->done)) &&
           !memcmp(&a->begun, &b->begun, sizeof(a->begun)) && a->inside == b->inside &&
           a->server == b->server && a->inner.cursor == b->inner.cursor &&
           a->inner.count == b->inner.count && a->inner.skip == b->inner.skip &&
           a->inner.print == b->inner.print && a->inner.barren == b->inner.barren &&
           a->leaving_count == b->leaving_count &&
           !memcmp(a->leaving, b->leaving, a->leaving_count * sizeof(a->leaving[0]));
}

Test(redis_cluster_map, cursors_come_back)
{
    static uint8_t bytes[WALK_MOST];
    static cluster_walk walk, read;
    size_t size;

    size = kvi_walk_write(&walk, bytes);
    cr_assert_lt(size, 16);
    cr_assert(kvi_walk_read(&read, kivi_bytes(bytes, size)) && is_same(&walk, &read));

    add_range(&walk.done, 0, 0);
    add_range(&walk.done, 700, 16383);
    add_range(&walk.begun, 1, 699);
    walk.inside = true;
    walk.server = UINT64_MAX;
    walk.inner = (redis_position){UINT64_MAX, 1024, 7, UINT64_C(1) << 63, 3};
    walk.leaving[walk.leaving_count++] = (slot_leaving){16383, UINT64_MAX};
    walk.leaving[walk.leaving_count++] = (slot_leaving){0, 1};
    size = kvi_walk_write(&walk, bytes);
    cr_assert_lt(size, 100, "%zu bytes", size);
    cr_assert(kvi_walk_read(&read, kivi_bytes(bytes, size)) && is_same(&walk, &read));
    for (size_t cut = 1; cut < size; cut++) {
        uint8_t *copy = malloc(cut); /* nothing behind it may be read */
        memcpy(copy, bytes, cut);
        cr_assert_not(kvi_walk_read(&read, kivi_bytes(copy, cut)), "the first %zu bytes", cut);
        free(copy);
    }
    bytes[size] = 0;
    cr_assert_not(kvi_walk_read(&read, kivi_bytes(bytes, size + 1)));
}

/* Every other slot: the longest there is. */
Test(redis_cluster_map, the_longest_cursor)
{
    static uint8_t bytes[WALK_MOST];
    static cluster_walk walk, read;

    for (uint32_t slot = 1; slot < SLOTS; slot += 2) {
        slots_add(&walk.done, slot);
        slots_add(&walk.begun, slot);
    }
    walk.leaving_count = LEAVING_MOST;
    for (size_t i = 0; i < LEAVING_MOST; i++)
        walk.leaving[i] = (slot_leaving){16383, UINT64_MAX};
    walk.inside = true;
    walk.server = walk.inner.cursor = walk.inner.print = walk.inner.skip = UINT64_MAX;
    size_t size = kvi_walk_write(&walk, bytes);
    cr_assert_leq(size, WALK_MOST);
    cr_assert_leq(size, KIVI_CURSOR_MOST(64 * 1024));
    cr_assert(kvi_walk_read(&read, kivi_bytes(bytes, size)) && is_same(&walk, &read));
}

Test(redis_cluster_map, cursors_of_strangers)
{
    static const char *const rows[] = {"1 0 0 0 0", "C", "D",
                                       "C\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
    static cluster_walk walk;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_assert_not(kvi_walk_read(&walk, kivi_str(rows[i])), "row %zu", i);
}

/* ---- The end of a node ---- */

#define LINE(id, flags, slots) id " 10.0.0.1:7000@17000 " flags " - 0 0 1 connected" slots "\n"

static const slot_set none;

static void own(cluster_own *is, const char *slots)
{
    char text[512];

    snprintf(text, sizeof(text),
             LINE("other", "master", " 5000-6000") LINE("me", "myself,master", "%s"), slots);
    cr_assert(kvi_own_read(is, &none, kivi_str(text)), "%s", slots);
}

Test(redis_cluster_map, what_a_node_says_of_itself)
{
    cluster_own is;

    own(&is, " 0-9 12 [7->-target] [13-<-source]");
    cr_assert_eq(is.id, kvi_redis_host->hash64(kivi_str("me")));
    cr_assert(slots_have(&is.has, 0) && slots_have(&is.has, 9) && slots_have(&is.has, 12));
    cr_assert_not(slots_have(&is.has, 10) || slots_have(&is.has, 13) || slots_have(&is.has, 5000));
    cr_assert_eq(is.leaving_count, 1);
    cr_assert_eq(is.leaving[0].slot, 7);
    cr_assert_eq(is.leaving[0].target, kvi_redis_host->hash64(kivi_str("target")));
    own(&is, "");
    cr_assert_not(kvi_own_read(&is, &none, kivi_str("OK")));
    cr_assert_not(kvi_own_read(&is, &none, kivi_str(LINE("me", "myself", " 16384"))));
    cr_assert_not(kvi_own_read(&is, &none, kivi_str(LINE("me", "myself", " 1-x"))));
    cr_assert_not(kvi_own_read(&is, &none, kivi_str(LINE("me", "myself", " [1->-"))));
}

/* Slots that came, went or are going in the course of it are not done. */
Test(redis_cluster_map, what_is_done_by_a_node)
{
    static cluster_walk walk;
    cluster_own is;

    add_range(&walk.begun, 0, 99);
    own(&is, " 0-49 60-120 [70->-target]");
    kvi_walk_end_node(&walk, &is);
    cr_assert(slots_have(&walk.done, 0) && slots_have(&walk.done, 49) && slots_have(&walk.done, 99));
    cr_assert_not(slots_have(&walk.done, 50), "it went");
    cr_assert_not(slots_have(&walk.done, 70), "it is going");
    cr_assert_not(slots_have(&walk.done, 100), "it came");
    cr_assert_eq(kvi_walk_first(&walk), 50);
    cr_assert_eq(walk.leaving_count, 1);

    /* Another node does not end it; the one that its keys go to does. */
    own(&is, " 121-200");
    add_range(&walk.begun, 121, 200);
    kvi_walk_end_node(&walk, &is);
    cr_assert_not(slots_have(&walk.done, 70));
    cr_assert_eq(walk.leaving_count, 1);
    cr_assert(kvi_own_read(&is, &none, kivi_str(LINE("target", "myself,master", " 201-300 [70-<-me]"))));
    kvi_walk_end_node(&walk, &is);
    cr_assert(slots_have(&walk.done, 70));
    cr_assert_eq(walk.leaving_count, 0);
}

/* A key of it was passed over: neither this node nor the one that it goes to ends it. */
Test(redis_cluster_map, what_is_lost_is_not_done)
{
    static cluster_walk walk;
    cluster_own is;

    add_range(&walk.begun, 0, 99);
    own(&is, " 0-99 [70->-target]");
    kvi_walk_lose(&walk, 50);
    kvi_walk_end_node(&walk, &is);
    cr_assert_eq(kvi_walk_first(&walk), 50);
    cr_assert_eq(walk.leaving_count, 1);
    kvi_walk_lose(&walk, 70);
    cr_assert_eq(walk.leaving_count, 0);
    cr_assert(kvi_own_read(&is, &none, kivi_str(LINE("target", "myself,master", " 201-300 [70-<-me]"))));
    kvi_walk_end_node(&walk, &is);
    cr_assert_not(slots_have(&walk.done, 70));
}

/* What a node says that has such slots, of which every tenth goes to another. */
static void say_leaving(char *text, size_t room, const char *id, const char *slots, int first, int count)
{
    size_t size = (size_t)snprintf(text, room, LINE("%s", "myself,master", " %s"), id, slots) - 1;

    for (int i = 0; i < count; i++)
        size += (size_t)snprintf(text + size, room - size, " [%d->-target]", first + 10 * i);
}

/* More slots leave at a time than are noted, of two nodes: the walk comes to its end all the same. */
Test(redis_cluster_map, many_slots_leave)
{
    static cluster_walk walk;
    static char texts[2][64 * 3 * LEAVING_MOST];
    unsigned nodes = 0;

    say_leaving(texts[0], sizeof(texts[0]), "aa", "0 8192-16383", 8192, 3 * LEAVING_MOST);
    say_leaving(texts[1], sizeof(texts[1]), "bb", "1-8191", 5, 1);
    while (kvi_walk_first(&walk) < SLOTS) {
        uint32_t slot = kvi_walk_next(&walk);
        bool to_target = false, of_second = slot > 0 && slot < 8192;
        cluster_own is = {.id = kvi_redis_host->hash64(kivi_str("target"))};
        cr_assert_lt(nodes++, 20, "it goes round");
        for (size_t i = 0; i < walk.leaving_count; i++)
            to_target = to_target || walk.leaving[i].slot == slot;
        if (!to_target) {
            cr_assert(kvi_own_read(&is, &walk.done, kivi_str(texts[of_second])));
            walk.begun = is.has;
        }
        kvi_walk_end_node(&walk, &is);
    }
}

/* Of a node that has no slots, and is in no map. */
Test(redis_cluster_map, addresses_of_nodes)
{
    static const char text[] = "aa 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-16383\n"
                               "bb 10.0.0.2:7001@17001,b.example master - 0 0 0 connected\n"
                               "cc fe80::1:7002@17002,,shard-id=1 master - 0 0 0 connected\n"
                               "dd 10.0.0.3:7003 master - 0 0 0 connected\n"
                               "ee :0@0 master,noaddr - 0 0 0 disconnected\n"
                               "ff :7005@17005 handshake - 0 0 0 connected";
    static const struct {
        const char *id;
        bool by_name;
        const char *host; /* NULL: none */
        uint16_t port;
    } rows[] = {{"aa", false, "10.0.0.1", 7000}, {"bb", false, "10.0.0.2", 7001},
                {"bb", true, "b.example", 7001}, {"cc", false, "fe80::1", 7002},
                {"cc", true, "fe80::1", 7002},   {"dd", true, "10.0.0.3", 7003},
                {"ee", false, NULL, 0},          {"ff", false, NULL, 0},
                {"gg", false, NULL, 0}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cluster_named named;
        bool found = kvi_own_find(&named, kvi_redis_host->hash64(kivi_str(rows[i].id)),
                                  rows[i].by_name, kivi_str(text));
        cr_assert_eq(found, rows[i].host != NULL, "%s", rows[i].id);
        if (!found)
            continue;
        cr_assert_str_eq(named.host, rows[i].host);
        cr_assert_eq(named.port, rows[i].port);
    }
}
