/* Opening an LMDB file while another program has its locks or its places. */
#include "lmdb_foreign_fixture.h"

TestSuite(lmdb_foreign_open, .init = fixture_begin, .fini = fixture_end, .timeout = 60);

static kivi_status open_waiting(const char *name, kivi_wait *wait, kivi_instance *instance,
                                char *text, size_t size)
{
    kivi_config config = {.names = {"path", "max_readers"}, .values = {path_of(name), "4"}, .count = 2};
    kivi_error *error = NULL;
    kivi_status status;

    memset(instance, 0, sizeof(*instance));
    instance->struct_size = sizeof(*instance);
    instance->escape.struct_size = sizeof(instance->escape);
    instance->capabilities.struct_size = sizeof(instance->capabilities);
    status = lmdb->open(&config, wait, instance, &error);
    snprintf(text, size, "%s", error ? error->message : "");
    free(error);
    return status;
}

/* A blank file is marked as kivi's when it is opened: a write. */
Test(lmdb_foreign_open, an_open_that_writes_waits_for_its_deadline_only)
{
    kivi_instance store;
    fixture_wait wait;
    char text[512];
    uint64_t began;
    pid_t other = start_other(hold_lock, "s");

    wait = wait_ms(200);
    began = host_monotonic();
    cr_assert_eq(open_waiting("s", &wait.wait, &store, text, sizeof(text)), KIVI_TIMEOUT);
    expect_soon(began);
    cr_assert(strstr(text, "is writing"), "%s", text);
    end_other(other);
    store = open_store(path_of("s"), NULL);
    put(&store, "k", "v", 0);
    lmdb->close(store.handle);
}

/* Takes every place of readers. */
static void take_places(const char *name)
{
    MDB_env *env;
    MDB_txn *txns[4];

    if (mdb_env_create(&env) || mdb_env_set_maxreaders(env, 4) ||
        mdb_env_open(env, path_of(name), MDB_NOSUBDIR | MDB_NOTLS, 0600))
        _exit(2);
    for (int i = 0; i < 4; i++)
        if (mdb_txn_begin(env, NULL, MDB_RDONLY, &txns[i]))
            _exit(3);
    say(from_other[1]);
    hear(to_other[0]);
    for (int i = 0; i < 4; i++)
        mdb_txn_abort(txns[i]);
    mdb_env_close(env);
}

static void make_file(const char *name)
{
    kivi_instance store = open_store(path_of(name), WITH("max_readers=4"));
    put(&store, "k", "v", 0);
    lmdb->close(store.handle);
}

Test(lmdb_foreign_open, an_open_waits_for_a_place_of_readers)
{
    kivi_instance store;
    fixture_wait timed;
    busy_wait wait;
    char text[512];
    pid_t other;

    make_file("s");
    other = start_other(take_places, "s");
    timed = wait_ms(200);
    cr_assert_eq(open_waiting("s", &timed.wait, &store, text, sizeof(text)), KIVI_TIMEOUT);
    cr_assert(strstr(text, "max_readers"), "%s", text);
    wait = wait_checks(3, KIVI_INTERRUPTED, NULL);
    cr_assert_eq(open_waiting("s", &wait.wait, &store, text, sizeof(text)), KIVI_INTERRUPTED);
    wait = wait_checks(3, KIVI_OK, let_other_go);
    cr_assert_eq(open_waiting("s", &wait.wait, &store, text, sizeof(text)), KIVI_OK, "%s", text);
    finish(other);
    expect(&store, "k", "v");
    lmdb->close(store.handle);
}

static void *use_another_file(void *argument)
{
    kivi_instance store = open_store(argument, NULL);

    put(&store, "k", "v", 0);
    lmdb->close(store.handle);
    return NULL;
}

static char another[512];
static uint64_t asked_at;

static void use_others_meanwhile(void)
{
    pthread_t thread;

    asked_at = host_monotonic();
    pthread_create(&thread, NULL, use_another_file, another);
    pthread_join(thread, NULL);
    use_another_file(another);
    /* The file itself is being opened by this very thread. */
    refuse_open(path_of("s"), KIVI_BUSY, "by this thread", WITH("max_readers=4"));
    expect_soon(asked_at);
    say(to_other[1]);
}

/* Opens a file whose places are all taken, with something done meanwhile that frees them. */
static void open_when_free(void (*meanwhile)(void))
{
    kivi_instance store;
    busy_wait wait = wait_checks(2, KIVI_OK, meanwhile);
    char text[512];
    pid_t other;

    make_file("s");
    other = start_other(take_places, "s");
    cr_assert_eq(open_waiting("s", &wait.wait, &store, text, sizeof(text)), KIVI_OK, "%s", text);
    finish(other);
    expect(&store, "k", "v");
    lmdb->close(store.handle);
}

Test(lmdb_foreign_open, an_open_that_waits_holds_up_no_other)
{
    snprintf(another, sizeof(another), "%s", path_of("t"));
    open_when_free(use_others_meanwhile);
}

/* Two threads open one file, the second while the first waits: both get it. */
static void *open_too(void *argument)
{
    kivi_instance store = open_store(argument, WITH("max_readers=4"));

    expect(&store, "k", "v");
    lmdb->close(store.handle);
    return NULL;
}

static pthread_t second;

static void open_it_too(void)
{
    pthread_create(&second, NULL, open_too, another);
    usleep(20000);
    say(to_other[1]);
}

Test(lmdb_foreign_open, a_second_open_waits_for_the_first)
{
    snprintf(another, sizeof(another), "%s", path_of("s"));
    open_when_free(open_it_too);
    pthread_join(second, NULL);
}
