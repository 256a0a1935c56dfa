/* The lmdb backend: one file under several names, of which only one set of locks may be in use. */
#include <fcntl.h>
#include <signal.h>

#include "lmdb_processes_fixture.h"

TestSuite(lmdb_names, .init = fixture_begin, .fini = fixture_end);

/* ---- two processes ---- */

/* While one process has the file open by a name, another is refused by the second, in words that name the first. */
static void expect_one_at_a_time(const char *first, const char *second, const char *const *options)
{
    pid_t child = start_staying(first);
    char pid[32];
    kivi_instance store;

    snprintf(pid, sizeof(pid), "process %d ", (int)child);
    refuse_open(path_of(second), KIVI_BUSY, pid, options);
    end_staying(child);
    store = open_store(path_of(second), NULL);
    expect(&store, "theirs", staying_options ? NULL : "1");
    put(&store, "ours", "2", 0);
    lmdb->close(store.handle);
    store = open_store(path_of(first), NULL);
    expect(&store, "ours", "2");
    lmdb->close(store.handle);
}

static void make_file(const char *name)
{
    kivi_instance store = open_store(path_of(name), NULL);
    lmdb->close(store.handle);
}

Test(lmdb_names, a_link_to_a_file_that_is_not_there_yet)
{
    kivi_instance store;
    pid_t child;

    cr_assert_eq(mkdir(path_of("sub"), 0700), 0);
    cr_assert_eq(symlink("sub/link", path_of("first")), 0);
    cr_assert_eq(symlink("../real", path_of("sub/link")), 0);
    child = start_staying("first");
    cr_assert_eq(access(path_of("real-lock"), F_OK), 0);
    cr_assert_neq(access(path_of("first-lock"), F_OK), 0);
    cr_assert_neq(access(path_of("sub/link-lock"), F_OK), 0);
    store = open_store(path_of("first"), NULL);
    put(&store, "ours", "2", 0);
    expect(&store, "theirs", "1");
    lmdb->close(store.handle);
    end_staying(child);
}

Test(lmdb_names, links_that_lead_round_in_circles)
{
    cr_assert_eq(symlink("b", path_of("a")), 0);
    cr_assert_eq(symlink("a", path_of("b")), 0);
    refuse_open(path_of("a"), KIVI_INVALID, "cannot open", NULL);
}

Test(lmdb_names, a_folder_and_the_file_in_it)
{
    expect_one_at_a_time("d/", "d/data.mdb", NULL);
    expect_one_at_a_time("e/", "e/data.mdb", WITH("read_only=true"));
    make_file("f/");
    expect_one_at_a_time("f/data.mdb", "f/", NULL);
}

Test(lmdb_names, a_folder_whose_file_is_a_link)
{
    make_file("real");
    cr_assert_eq(mkdir(path_of("d"), 0700), 0);
    cr_assert_eq(symlink("../real", path_of("d/data.mdb")), 0);
    expect_one_at_a_time("real", "d/", NULL);
    expect_one_at_a_time("d", "real", NULL);
}

Test(lmdb_names, a_folder_whose_file_is_a_link_to_nothing_yet)
{
    cr_assert_eq(mkdir(path_of("d"), 0700), 0);
    cr_assert_eq(symlink("../real", path_of("d/data.mdb")), 0);
    expect_one_at_a_time("d/", "real", NULL);
}

Test(lmdb_names, hard_links)
{
    make_file("a");
    cr_assert_eq(link(path_of("a"), path_of("b")), 0);
    expect_one_at_a_time("a", "b", NULL);
    expect_one_at_a_time("b", "a", WITH("read_only=true"));
}

Test(lmdb_names, a_reader_counts_as_well)
{
    make_file("a");
    cr_assert_eq(link(path_of("a"), path_of("b")), 0);
    staying_options = WITH("read_only=true");
    expect_one_at_a_time("a", "b", NULL);
}

Test(lmdb_names, a_file_that_is_renamed_while_open)
{
    pid_t child = start_staying("s");
    char pid[32];
    kivi_instance store;

    snprintf(pid, sizeof(pid), "process %d ", (int)child);
    cr_assert_eq(rename(path_of("s"), path_of("t")), 0);
    refuse_open(path_of("t"), KIVI_BUSY, pid, NULL);
    /* The lock files of the old name are those of the renamed file; and nothing is left behind. */
    refuse_open(path_of("s"), KIVI_BUSY, "replaced", NULL);
    cr_assert_neq(access(path_of("s"), F_OK), 0);
    end_staying(child);
    store = open_store(path_of("t"), NULL);
    expect(&store, "theirs", "1");
    lmdb->close(store.handle);
    store = open_store(path_of("s"), NULL);
    expect(&store, "theirs", NULL);
    lmdb->close(store.handle);
}

Test(lmdb_names, a_file_that_is_replaced_while_open)
{
    pid_t child;

    make_file("new");
    child = start_staying("s");
    cr_assert_eq(rename(path_of("new"), path_of("s")), 0);
    refuse_open(path_of("s"), KIVI_BUSY, "replaced", NULL);
    refuse_open(path_of("s"), KIVI_BUSY, "replaced", WITH("read_only=true"));
    end_staying(child);
    make_file("s");
}

Test(lmdb_names, lock_files_that_are_deleted_while_open)
{
    static const char *const locks[] = {"s-lock", "s-kivi"};

    for (int i = 0; i < 2; i++) {
        pid_t child = start_staying("s");
        char pid[32];

        snprintf(pid, sizeof(pid), "process %d ", (int)child);
        cr_assert_eq(unlink(path_of(locks[i])), 0);
        refuse_open(path_of("s"), KIVI_BUSY, pid, NULL);
        end_staying(child);
        make_file("s");
    }
}

Test(lmdb_names, a_killed_process_is_in_nobodys_way)
{
    kivi_instance store;
    pid_t child = start_staying("d/");
    int status;

    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, &status, 0), child);
    store = open_store(path_of("d/data.mdb"), NULL);
    expect(&store, "theirs", "1");
    lmdb->close(store.handle);
}

/* Opens by another name, and says how that went. */
static void open_other_name(const char *name)
{
    kivi_instance store;
    kivi_error *error;
    kivi_status status = try_open(path_of(name), &store, &error, NULL);

    if (status != KIVI_OK)
        _exit(1);
    lmdb->close(store.handle);
}

Test(lmdb_names, a_forked_child_holds_nothing_of_its_parents)
{
    kivi_instance store = open_store(path_of("d/"), NULL);
    int ends[2];
    pid_t child;
    char byte;

    cr_assert_eq(pipe(ends), 0);
    put(&store, "k", "v", 0);
    lmdb->fork_prepare(store.handle);
    child = fork();
    if (child == 0) {
        lmdb->fork_child(store.handle);
        close(ends[1]);
        /* Until the parent has done all. */
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    lmdb->fork_parent(store.handle);
    refuse_open(path_of("d/"), KIVI_BUSY, "sync", WITH("sync=false"));
    lmdb->close(store.handle);
    finish(start(open_other_name, "d/data.mdb"));
    close(ends[1]);
    finish(child);
}

/* ---- one process ---- */

Test(lmdb_names, names_in_one_process_share_the_file)
{
    kivi_instance one = open_store(path_of("d/"), NULL), two, three;

    cr_assert_eq(link(path_of("d/data.mdb"), path_of("hard")), 0);
    two = open_store(path_of("d/data.mdb"), NULL);
    three = open_store(path_of("hard"), NULL);
    put(&one, "1", "a", 0);
    put(&two, "2", "b", 0);
    put(&three, "3", "c", 0);
    expect(&two, "1", "a");
    expect(&three, "2", "b");
    expect(&one, "3", "c");
    lmdb->close(one.handle);
    lmdb->close(two.handle);
    lmdb->close(three.handle);
}

/* ---- programs that make no claims ---- */

static unsigned raw_flags;

static void stay_open_raw(const char *name)
{
    MDB_env *env;
    char byte;

    if (mdb_env_create(&env) || mdb_env_open(env, path_of(name), raw_flags, 0600) ||
        write(answer_pipe[1], "x", 1) != 1 || read(signal_pipe[0], &byte, 1) != 1)
        _exit(1);
    mdb_env_close(env);
}

static void expect_seen(const char *theirs, unsigned flags, const char *ours)
{
    pid_t child;
    char text[32], byte;

    raw_flags = flags;
    cr_assert_eq(pipe(signal_pipe), 0);
    cr_assert_eq(pipe(answer_pipe), 0);
    child = start(stay_open_raw, theirs);
    cr_assert_eq(read(answer_pipe[0], &byte, 1), 1);
    snprintf(text, sizeof(text), "process %d ", (int)child);
    refuse_open(path_of(ours), KIVI_BUSY, text, NULL);
    end_staying(child);
    make_file(ours);
}

Test(lmdb_names, other_programs_are_seen_by_their_lock_file)
{
    make_file("d/");
    expect_seen("d", 0, "d/data.mdb");
    expect_seen("d/data.mdb", MDB_NOSUBDIR, "d/");
    make_file("real");
    cr_assert_eq(mkdir(path_of("e"), 0700), 0);
    cr_assert_eq(symlink("../real", path_of("e/data.mdb")), 0);
    expect_seen("real", MDB_NOSUBDIR, "e/");
}
