/* Configuration strings of libmemcached's: keys are where libmemcached puts them, and what would move them is refused. */
#include "failure.h"

#include "../../libkivi/backends/memcached/memcached.h"
#include "../../libkivi/core/plugins/plugins.h"

#include <kivi/kivi.h>
#include <libmemcached/memcached.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(memcached_configuration, .timeout = 60);

static kivi_error *error;

const kivi_backend *kvi_plugin_memcached(uint32_t host_abi, const kivi_host *host);

static void use_core(void)
{
    static bool registered;

    if (!registered)
        cr_assert_eq(kivi_backend_register(kvi_plugin_memcached, NULL), KIVI_OK);
    registered = true;
    kvi_mc_host = &kvi_host_table;
}

/* ---- Where keys are ---- */

/* `theirs` is given to libmemcached as it stands; `ours` may have what is passed over. */
static void expect_places(const char *ours, const char *theirs, const char *servers)
{
    memcached_st *clients = memcached(theirs, strlen(theirs));
    mc_ring *ring = NULL;
    char *list = NULL;

    use_core();
    cr_assert_not_null(clients, "%s", theirs);
    cr_assert_eq(kvi_mc_ring_configured(ours, &ring, &list, &error), KIVI_OK, "%s: %s", ours,
                 error ? kivi_error_message(error) : "");
    cr_expect_str_eq(list, servers);
    for (unsigned i = 0; i < 1000; i++) {
        char key[16];
        int size = snprintf(key, sizeof(key), "key-%u", i);
        cr_assert_eq(kvi_mc_ring_place(ring, kivi_str(key)),
                     memcached_generate_hash(clients, key, (size_t)size), "%s: %s", ours, key);
    }
    kvi_mc_ring_free(ring);
    free(list);
    memcached_free(clients);
}

static void expect_same_places(const char *text, const char *servers)
{
    expect_places(text, text, servers);
}

#define THREE "--SERVER=one.example:1 --SERVER=10.0.0.2 --SERVER=three:65535"
#define THREE_PLACES "one.example:1,10.0.0.2:11211,three:65535"
#define WEIGHTED "--SERVER=10.0.0.1:11211/?8 --SERVER=10.0.0.2:11212 --SERVER=10.0.0.3:11213/?2"
#define WEIGHTED_PLACES "10.0.0.1:11211,10.0.0.2:11212,10.0.0.3:11213"

Test(memcached_configuration, places)
{
    expect_same_places("--SERVER=localhost", "localhost:11211");
    expect_same_places(THREE, THREE_PLACES);
    expect_same_places(THREE " --HASH=md5", THREE_PLACES);
    expect_same_places(THREE " --HASH=FNV1A_32 --DISTRIBUTION=consistent", THREE_PLACES);
    expect_same_places("--DISTRIBUTION=consistent,md5 " WEIGHTED, WEIGHTED_PLACES);
    expect_same_places(WEIGHTED " --DISTRIBUTION=consistent,md5 --HASH=crc", WEIGHTED_PLACES);
    expect_same_places("--HASH=crc --DISTRIBUTION=consistent,jenkins " WEIGHTED, WEIGHTED_PLACES);
    expect_same_places("--server=localhost --distribution=modula --hash=murmur", "localhost:11211");
}

/* How a client's sockets wait has no say in where keys are; nor has the space between words. */
Test(memcached_configuration, words_that_are_passed_over)
{
    expect_places("--VERIFY-KEY --POOL-MIN=2 " THREE " --POOL-MAX=9 --TCP-NODELAY --TCP-KEEPALIVE "
                  "--CONNECT-TIMEOUT=100 --RETRY-TIMEOUT=3 --support-cas",
                  THREE, THREE_PLACES);
    expect_places(" --SERVER=one.example:1\t\n --SERVER=10.0.0.2  --SERVER=three:65535 ", THREE,
                  THREE_PLACES);
}

/* ---- What is refused ---- */

static void expect_refused(const char *url, const char *text, kivi_status wanted, const char *part)
{
    kivi_options *options = kivi_options_new();
    kivi_store *store = NULL;

    use_core();
    kivi_options_set(options, "configuration", text, NULL);
    expect_failure(kivi_store_open(url, NULL, options, &store, &error), &error, wanted, part);
    kivi_options_free(options);
}

Test(memcached_configuration, words_that_would_move_keys)
{
    static const char *const words[] = {
        "--NAMESPACE=shop",
        "--HASH-WITH-NAMESPACE",
        "--SORT-HOSTS",
        "--REMOVE-FAILED-SERVERS=1",
        "--REMOVE_FAILED_SERVERS",
        "--SERVER-FAILURE-LIMIT=2",
        "--NUMBER-OF-REPLICAS=1",
        "--RANDOMIZE-REPLICA-READ",
        "--DISTRIBUTION=random",
        "--BINARY-PROTOCOL",
        "--USE-UDP",
        "--SOCKET=\"/run/memcached.sock\"",
        "--CONFIGURE-FILE=\"/etc/m\"",
        "INCLUDE",
        "RESET",
        "END",
        "ERROR",
        "--binary-protocol",
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char text[128], named[64];
        snprintf(text, sizeof(text), "--SERVER=localhost %s", words[i]);
        snprintf(named, sizeof(named), ": %.*s", (int)strcspn(words[i], "="), words[i]);
        expect_refused("memcached:", text, KIVI_UNSUPPORTED, named);
    }
}

Test(memcached_configuration, words_that_are_none)
{
    static const char *const words[] = {
        "--FOO",
        "--SERVERS=a",
        "localhost",
        "--SERVER",
        "--SERVER=",
        "--SERVER=ab",
        "--SERVER=md5",
        "--SERVER=abc:1:2",
        "--SERVER=abc:",
        "--SERVER=abc:0",
        "--SERVER=abc:65536",
        "--SERVER=abc:99999",
        "--HASH=sha1",
        "--HASH=md5,crc",
        "--DISTRIBUTION=ketama",
        "--DISTRIBUTION=consistent,sha1",
        "--POOL-MIN=x",
        "--SERVER=abc/?x",
        "--HASH=md5--NAMESPACE=abc",
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char text[128], named[64];
        snprintf(text, sizeof(text), "--SERVER=localhost %s", words[i]);
        snprintf(named, sizeof(named), ": %.*s", (int)strcspn(words[i], "="), words[i]);
        expect_refused("memcached:", text, KIVI_INVALID, named);
    }
    expect_refused("memcached:", "--HASH=md5", KIVI_INVALID, "no --SERVER=");
    expect_refused("memcached:", "--SERVER=localhost --HASH=md5 --HASH=crc", KIVI_INVALID, "not together");
}

Test(memcached_configuration, what_is_said_twice)
{
    static const char text[] = "--SERVER=localhost";

    expect_refused("memcached://box", text, KIVI_INVALID, "leave host out");
    expect_refused("memcached:?port=1", text, KIVI_INVALID, "leave port out");
    expect_refused("memcached:?distribution=modula", text, KIVI_INVALID, "leave distribution out");
    expect_refused("memcached:?hash=md5", text, KIVI_INVALID, "leave hash out");
    expect_refused("memcached:?weights=1", text, KIVI_INVALID, "leave weights out");
    expect_refused("memcached+unix:///run/m.sock", text, KIVI_INVALID, "unix socket");
}
