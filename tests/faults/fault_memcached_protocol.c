/* A server that speaks the binary protocol alone is refused by name, at once. */
#include "servers/memcached.h"

#include <sys/stat.h>
#include <unistd.h>

TestSuite(fault_memcached_protocol, .init = case_begin, .fini = case_end, .timeout = 300);

/* It ends the connection of whoever asks in words. */
static bool is_there(running_server *server)
{
    int fd = connect_to_port(server->port);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void expect_refused(const char *const *options, const char *part)
{
    fault_server binary = memcached;
    running_server server;
    kivi_health health = {.struct_size = sizeof(health)};
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_store *store, *ring;
    uint64_t began;

    binary.answers = is_there;
    server_start(&server, &binary, "binary", NULL, options);
    store = server_open(&server, "&timeout=30s");
    began = now_ns();
    REFUSED(KIVI_UNSUPPORTED, part, kivi_store_get(store, NULL, kivi_str("key"), &value, E));
    REFUSED(KIVI_UNSUPPORTED, part,
            kivi_store_set(store, NULL, kivi_str("key"), kivi_str("value"), KIVI_TTL_NONE, E));
    REFUSED(KIVI_UNSUPPORTED, part, kivi_store_health(store, NULL, &health, E));
    CHECK_SAYING(now_ns() - began < UINT64_C(20000000000),
                 "the call's time ran out before it was told");
    kivi_store_unref(store);
    ring = open_store("memcached://127.0.0.1:%d,127.0.0.1:%d/?codec=raw&timeout=30s", server.port,
                      server.port);
    REFUSED(KIVI_UNSUPPORTED, part, kivi_store_get(ring, NULL, kivi_str("key"), &value, E));
    REFUSED(KIVI_UNSUPPORTED, part, kivi_store_health(ring, NULL, &health, E));
    kivi_store_unref(ring);
    kivi_buffer_free(&value);
    server_stop(&server);
}

/* A server with -S does not start without. */
static void write_sasl_settings(void)
{
    text path;
    FILE *file;

    print(&path, "%s/sasl.conf", folder);
    file = fopen(path.bytes, "w");
    CHECK(file && fputs("mech_list: plain\n", file) >= 0 && fclose(file) == 0);
    CHECK(chmod(path.bytes, 0644) == 0 && setenv("SASL_CONF_PATH", path.bytes, 1) == 0);
}

Test(fault_memcached_protocol, sasl)
{
    write_sasl_settings();
    expect_refused((const char *const[]){"-S", NULL}, "SASL (-S)");
}

Test(fault_memcached_protocol, binary_alone)
{
    expect_refused((const char *const[]){"-B", "binary", NULL}, "-B binary");
}
