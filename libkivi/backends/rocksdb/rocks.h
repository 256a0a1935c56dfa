/* The inside of an open RocksDB folder, shared by the files of this backend. */
#ifndef KVI_ROCKS_H
#define KVI_ROCKS_H

#include <pthread.h>
#include <rocksdb/c.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "embedded.h"

#define KVI_ROCKS_FAMILY "kivi" /* the column family of expiries */
#define KVI_ROCKS_KEY_MAX 65535
#define KVI_ROCKS_LOOK_NS \
    UINT64_C(50000000)            /* longest wait between two looks at the caller's wait */
#define KVI_ROCKS_LOOK_EVERY 1024 /* pairs passed between two looks */

extern const kivi_host *kvi_rocks_host;

/* ---- settings.c ---- */

/* What stores of one process on one folder must agree on, and what only a new folder needs. */
typedef struct rocks_settings {
    bool read_only;
    bool create;
    mode_t mode;
    int compression, recovery; /* as RocksDB numbers them; compression -1: not said */
    uint64_t cache, write_buffer;
    int64_t max_open_files;
    bool write_buffer_set, max_open_files_set, recovery_set;
    char *options_file; /* NULL: none */
} rocks_settings;

extern const kivi_option_info kvi_rocks_options[];
extern const size_t kvi_rocks_option_count;

kivi_status kvi_rocks_settings_read(const kivi_config *config, rocks_settings *settings,
                                    kivi_error **error);
void kvi_rocks_settings_clear(rocks_settings *settings);
/* The option in which two differ; NULL: none that matters to an open folder. */
const char *kvi_rocks_settings_difference(const rocks_settings *one, const rocks_settings *other);

/* ---- tuning.c ---- */

/* RocksDB's options for a folder, and for each column family in it. */
typedef struct rocks_tuning {
    rocksdb_options_t *db, *family;
} rocks_tuning;

/* A failure leaves what is to be cleared as well. */
kivi_status kvi_rocks_tuning_make(const rocks_settings *settings, rocks_tuning *tuning,
                                  kivi_error **error);
void kvi_rocks_tuning_clear(rocks_tuning *tuning);

/* ---- Open folders ---- */

/* A folder, whatever its name. */
typedef struct rocks_id {
    dev_t device;
    ino_t inode; /* 0: there is none */
} rocks_id;

static inline bool kvi_rocks_is_same(rocks_id left, rocks_id right)
{
    return left.inode && left.inode == right.inode && left.device == right.device;
}

/* Whose data is in a folder. */
typedef enum rocks_owner {
    ROCKS_NOBODYS, /* no mark: new, or another program's */
    ROCKS_OURS,
    ROCKS_FOREIGN /* marked when it was another program's */
} rocks_owner;

/* What RocksDB has open. A reader beside a writing process opens another when column families come; else there is one. */
typedef struct rocks_view {
    rocksdb_t *db;
    rocksdb_column_family_handle_t *data;
    _Atomic(rocksdb_column_family_handle_t *) expiries; /* NULL: none yet */
    rocksdb_column_family_handle_t **families;          /* all, as RocksDB wants them */
    size_t family_count;
    bool family_is_theirs; /* another program has one of that name */
    unsigned refs;         /* of an engine that is read only */
} rocks_view;

/* Who writes which keys, see stripes.c. */
typedef struct rocks_waiter rocks_waiter;
typedef struct rocks_stripes {
    pthread_mutex_t mutex;
    pthread_cond_t freed;
    uint64_t held;
    rocks_waiter *first, **last;
} rocks_stripes;

typedef struct rocks_engine {
    rocks_view *view; /* under `mutex` where the engine is read only */
    rocks_settings settings;
    rocks_tuning tuning;
    rocksdb_readoptions_t *reads;
    _Atomic bool expiries; /* some key may have one */
    bool foreign;
    bool inherited;        /* in a forked child: not to be touched */
    pthread_mutex_t mutex; /* of what changes seldom */
    rocks_stripes stripes;
    pthread_mutex_t sweeping;
    uint8_t *sweep_key; /* where the sweep goes on, behind this key */
    size_t sweep_size;
    char *folder;
    int folder_fd;
    rocks_id id;
    uint64_t mark; /* of a read-only engine: which mark it opened with */
    bool opening;
    pthread_t opener;
    unsigned refs;
    struct rocks_engine *next;
} rocks_engine;

/* One open store: what the core calls an instance. */
typedef struct rocks_store {
    rocks_engine *engine;
    rocksdb_writeoptions_t *writes;
    void *reporter;
    unsigned sweep; /* expiries that a write looks at */
    bool sync;
} rocks_store;

/* A lane's own: nothing of it outlives a verb but the memory. */
typedef struct rocks_session {
    rocksdb_writebatch_t *batch;
    struct rocks_look *looks;
    void *arrays;
    size_t room;
} rocks_session;

/* ---- failure.c ---- */

/* The class of an error of RocksDB, by the words before the first ':', and whether it may have been applied. */
typedef struct rocks_failure {
    kivi_status status;
    kivi_retryable retryable;
    const char *why; /* static: what RocksDB wrote may hold keys */
    int code;        /* errno where it is known */
    bool locked;     /* somebody else has the folder */
    bool stalled;    /* the write would have had to wait */
    bool unapplied;  /* of a write: surely not applied */
} rocks_failure;

rocks_failure kvi_rocks_classify(const char *text);
/* The error of RocksDB's text, which it frees, while doing `what` with a folder. */
kivi_status kvi_rocks_fail(kivi_error **error, char *text, const char *folder, const char *what);
kivi_status kvi_rocks_fail_errno(kivi_error **error, int code, const char *path, const char *what);
kivi_status kvi_rocks_no_memory(kivi_error **error, const char *folder);

/* ---- wait.c ---- */

void kvi_rocks_sleep(uint64_t ns);
/* The error of a wait that is over; `what` was in the caller's way. */
kivi_status kvi_rocks_gave_up(kivi_error **error, kivi_status status, const char *folder,
                              const char *what);

/* ---- folder.c ---- */

typedef enum rocks_contents {
    ROCKS_NOTHING, /* or what a creation that was killed left */
    ROCKS_DATABASE
} rocks_contents;

/* Finds or makes the folder; its name without links, to free. */
kivi_status kvi_rocks_folder_find(const char *path, const rocks_settings *settings, char **folder,
                                  kivi_error **error);
/* What it holds, and how many tables: INVALID where that is no database, CORRUPT where one lacks its beginning. */
kivi_status kvi_rocks_folder_look(const rocks_engine *engine, rocks_contents *contents,
                                  unsigned *tables, kivi_error **error);

/* ---- mark.c ---- */

/* The mark beside RocksDB's files, and a number that changes with it. */
rocks_owner kvi_rocks_mark_read(const rocks_engine *engine, uint64_t *number);
/* Writes it, on disk before it returns. `expiries`: their column family is there. */
kivi_status kvi_rocks_mark_write(const rocks_engine *engine, rocks_owner owner, bool expiries,
                                 kivi_error **error);

/* ---- holder.c ---- */

/* Whether somebody has the folder open for writing; `pid` 0: something else in this process. */
bool kvi_rocks_find_holder(const char *folder, pid_t *pid);
/* Calls `each` for the descriptors of this process below a folder. */
void kvi_rocks_descriptors(int folder_fd, const char *folder, void (*each)(int fd, void *user),
                           void *user);

/* ---- registry.c ---- */

kivi_status kvi_rocks_engine_get(const char *path, rocks_settings *settings, kivi_wait *wait,
                                 rocks_engine **engine, kivi_error **error);
void kvi_rocks_engine_put(rocks_engine *engine);

/* ---- open.c ---- */

kivi_status kvi_rocks_engine_open(rocks_engine *engine, kivi_wait *wait, kivi_error **error);
void kvi_rocks_engine_close(rocks_engine *engine);
/*
 * The view to read. Of a read-only engine it is the present state of the folder, which stays as it is until
 * kvi_rocks_view_looked: what is delivered after that was looked at before. Given back when done.
 */
kivi_status kvi_rocks_reader_take(rocks_engine *engine, rocks_view **view, kivi_error **error);
void kvi_rocks_reader_looked(rocks_engine *engine);
void kvi_rocks_reader_give(rocks_engine *engine, rocks_view *view);

static inline kivi_status kvi_rocks_view_take(rocks_engine *engine, rocks_view **view, kivi_error **error)
{
    if (engine->settings.read_only)
        return kvi_rocks_reader_take(engine, view, error);
    *view = engine->view;
    return KIVI_OK;
}

static inline void kvi_rocks_view_looked(rocks_engine *engine)
{
    if (engine->settings.read_only)
        kvi_rocks_reader_looked(engine);
}

static inline void kvi_rocks_view_give(rocks_engine *engine, rocks_view *view)
{
    if (engine->settings.read_only)
        kvi_rocks_reader_give(engine, view);
}

/* ---- expiries.c ---- */

/* What the family of expiries says of whose data it is; also whether it holds any expiry. */
kivi_status kvi_rocks_expiries_look(rocks_engine *engine, rocks_view *view, rocks_owner *owner,
                                    kivi_error **error);
/* Makes the column family. UNSUPPORTED: another program has one of that name. */
kivi_status kvi_rocks_expiries_make(rocks_engine *engine, kivi_error **error);

static inline rocksdb_column_family_handle_t *kvi_rocks_expiries(const rocks_view *view)
{
    return atomic_load_explicit(&view->expiries, memory_order_acquire);
}

/* ---- fork.c ---- */

/* True in a forked child of a process that has used RocksDB. */
bool kvi_rocks_is_forked(void);
void kvi_rocks_fork_child(rocks_engine *engine);
/* After an open, of a reader or not: a forked child that ends does not wait for threads that it does not have. */
void kvi_rocks_fork_guard(bool reader);

/* ---- stripes.c ---- */

void kvi_rocks_stripes_init(rocks_stripes *stripes);
void kvi_rocks_stripes_destroy(rocks_stripes *stripes);
/* A bit for a key. */
uint64_t kvi_rocks_stripe(kivi_slice key);
/* Takes all of some stripes. A failure, of the wait, takes none. */
kivi_status kvi_rocks_stripes_take(rocks_engine *engine, uint64_t wanted, kivi_wait *wait,
                                   kivi_error **error);
/* Takes one more if nobody has it or waits for it. */
bool kvi_rocks_stripes_try(rocks_stripes *stripes, uint64_t more);
void kvi_rocks_stripes_give(rocks_stripes *stripes, uint64_t held);

/* ---- session.c ---- */

kivi_status kvi_rocks_session_open(void *instance, void **session, kivi_error **error);
void kvi_rocks_session_close(void *instance, void *session);
void kvi_rocks_session_abandon(void *instance, void *session, bool in_verb);

/* ---- look.c ---- */

/* What a key holds, and the memory that it lies in. */
typedef struct rocks_look {
    kvi_found found;
    char *failure; /* RocksDB's, of this key */
    bool recorded; /* a record of an expiry is there, for this value or another */
    rocksdb_pinnableslice_t *value, *record;
} rocks_look;

/* Room for so many looks and for what asks for them; false without memory. */
bool kvi_rocks_session_reserve(rocks_session *session, size_t count);
/* What is asked of each key of a vector. */
enum { ROCKS_LOOK_VALUE = 1, ROCKS_LOOK_RECORD = 2 };
/* Looks at keys of which `key` and `what` tell, under their stripes. kvi_rocks_look_end frees what was found. */
typedef struct rocks_asked {
    kivi_slice (*key)(const void *vector, size_t index);
    unsigned (*what)(const void *vector, size_t index);
    const void *vector;
    size_t count;
    bool exactly; /* expiries are wanted as they are, not only whether they are over */
} rocks_asked;
void kvi_rocks_look(rocks_session *session, const rocks_view *view, const rocksdb_readoptions_t *reads,
                    bool expiries, const rocks_asked *asked, int64_t *now);
void kvi_rocks_look_end(rocks_session *session, size_t count);

/* ---- change.c, commit.c, write.c, take.c, sweep.c ---- */

/* A vector that changes something, from the look to the commit. */
typedef struct rocks_change {
    rocks_store *store;
    rocks_engine *engine;
    rocks_session *session;
    uint64_t own, held; /* stripes: of the vector, and with those that the sweep took */
    int64_t now;        /* 0: not asked yet */
    unsigned swept;
    bool uncertain; /* the commit failed, and may be applied */
} rocks_change;

/* Takes the stripes, and makes the family of expiries where it is wanted. */
kivi_status kvi_rocks_change_begin(rocks_change *change, uint64_t stripes, bool wants_expiries,
                                   kivi_wait *wait, kivi_error **error);
/* Sweeps, and writes the batch. */
kivi_status kvi_rocks_change_commit(rocks_change *change, kivi_wait *wait, kivi_error **error);
void kvi_rocks_change_end(rocks_change *change);
int64_t kvi_rocks_now(int64_t *now);
void kvi_rocks_put(rocks_change *change, kivi_slice key, kivi_slice value, int64_t expiry_ms,
                   bool recorded);
void kvi_rocks_touch(rocks_change *change, kivi_slice key, kivi_slice value, int64_t expiry_ms,
                     bool recorded);
void kvi_rocks_remove(rocks_change *change, kivi_slice key, bool recorded);
void kvi_rocks_sweep(rocks_change *change);

kivi_status kvi_rocks_write(void *instance, void *session, kivi_write_vector *vector,
                            kivi_wait *wait, kivi_error **error);
kivi_status kvi_rocks_take(rocks_store *store, rocks_session *session, kivi_read_vector *vector,
                           kivi_wait *wait, kivi_error **error);

/* ---- read.c, scan.c ---- */

kivi_status kvi_rocks_read(void *instance, void *session, kivi_read_vector *vector, kivi_wait *wait,
                           kivi_error **error);
kivi_status kvi_rocks_scan(void *instance, void *session, const kivi_scan_range *range,
                           kivi_scan_sink *sink, kivi_wait *wait, kivi_error **error);
kivi_status kvi_rocks_count(void *instance, void *session, kivi_count *count, kivi_wait *wait,
                            kivi_error **error);

#endif
