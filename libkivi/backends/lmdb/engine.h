/* The inside of an open LMDB file, shared by the files of this backend. */
#ifndef KVI_LMDB_ENGINE_H
#define KVI_LMDB_ENGINE_H

#include <lmdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <kivi/backend.h>

#include "embedded.h"

#define KVI_LMDB_MARK "kivi" /* the named database of expiries, and the mark that a file is ours */
#define KVI_LMDB_MARK_SIZE 4
#define KVI_LMDB_KEY_MAX 511
#define KVI_LMDB_KEPT 16 /* read transactions kept at hand; more are given back after use */
#define KVI_LMDB_GATE_NS UINT64_C(100000000)
#define KVI_LMDB_LOOK_NS \
    UINT64_C(50000000) /* longest wait between two looks at the caller's wait */

/* Codes beside LMDB's (below -30000) and errno's (above 0). */
enum {
    KVI_LMDB_AGAIN = -1,  /* an item has failed for good: once more without it */
    KVI_LMDB_MARKED = -2, /* another process made the database of expiries: open it first */
    KVI_LMDB_HELD = -3,   /* another program still holds LMDB's lock of writers: look at the wait */
    KVI_LMDB_INSIDE = -4  /* a read of this process is inside */
};

extern const kivi_host *kvi_lmdb_host;

/* Where a store's files lie; every name is absolute and free of links. */
typedef struct kvi_lmdb_names {
    char *folder; /* that holds them all */
    char *env;    /* for mdb_env_open */
    char *data, *lock, *writer;
    bool subdir; /* data.mdb in a folder of its own */
} kvi_lmdb_names;

/* What two opens of one file must agree on, and what only its creation needs. */
typedef struct kvi_lmdb_settings {
    uint64_t map_size;
    unsigned max_readers;
    bool sync, read_only;
    bool create, check;
    mode_t mode;
} kvi_lmdb_settings;

/* A file, whatever its name. */
typedef struct kvi_lmdb_id {
    dev_t device;
    ino_t inode; /* 0: there is none */
} kvi_lmdb_id;

static inline kivi_slice kvi_lmdb_slice(MDB_val value)
{
    return kivi_bytes(value.mv_data, value.mv_size);
}

static inline bool kvi_lmdb_is_same(kvi_lmdb_id left, kvi_lmdb_id right)
{
    return left.inode && left.inode == right.inode && left.device == right.device;
}

struct kvi_lmdb_env;

/* The thread that begins a write transaction for a caller, see begin.c. `mutex` guards it all. */
typedef struct kvi_lmdb_helper {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned state;
    pthread_t thread;
    bool started;     /* and not joined yet */
    unsigned waiting; /* callers who want the transaction */
    bool stopping;    /* nobody gets it for now */
    bool lingering;   /* the last store was closed meanwhile: the thread closes the file */
    void (*ended)(struct kvi_lmdb_env *env); /* called by it then */
    MDB_txn *txn;
    int rc;
} kvi_lmdb_helper;

/* One read in progress, or one that could be. Two cache lines, so that no neighbour is fetched along. */
typedef struct kvi_lmdb_slot {
    _Alignas(128) atomic_uint taken;
    bool expiries; /* some expiry exists in the transaction's snapshot */
    bool marked;   /* so does the database of expiries */
    MDB_txn *txn;  /* NULL, or reset while the slot is free */
} kvi_lmdb_slot;

/* A stretch of memory that a file is mapped to. */
typedef struct kvi_lmdb_stretch {
    uintptr_t start, end;
} kvi_lmdb_stretch;

struct kvi_lmdb_shared;

/*
 * An open file. Changed only by who holds `turn`; `mdb`, its map and the pool's transactions only with
 * the gate closed as well.
 */
typedef struct kvi_lmdb_env {
    MDB_env *mdb; /* NULL after a reopening that failed: the next call tries again */
    kvi_lmdb_slot *slots;
    unsigned slot_count, kept; /* kept: a power of two, at most slot_count */
    MDB_dbi data;
    MDB_dbi expiries;                  /* 0: there are none yet */
    atomic_uint gate;                  /* 1: no read may begin */
    atomic_size_t seen;                /* transaction id << 1 | whether any expiry exists in it */
    _Alignas(64) pthread_mutex_t turn; /* the writer of this process */
    struct kvi_lmdb_shared *shared;    /* the writer of all processes */
    pthread_mutex_t *foreign_lock;     /* LMDB's own of writers; NULL: nobody knows where it lies */
    uint64_t strangers;     /* until then other programs are taken to write; 0: none do */
    bool foreign_lock_seen; /* it is where it was thought to be */
    bool helped;            /* the write transaction is the helper's */
    kvi_lmdb_helper helper;
    int shared_fd;
    int claim_fd; /* of the data file: see claim.c */
    bool made;    /* this process made the data file */
    pid_t pid;
    bool opening; /* by the thread `opener`, without the registry's lock */
    pthread_t opener;
    bool broken;           /* LMDB has had a fatal error */
    bool lost;             /* our places in the lock table are others' now */
    bool foreign;          /* the file was another program's when it was marked, or is not marked */
    bool mark_is_foreign;  /* a database of that name is there that is not ours */
    bool unlocked;         /* LMDB works without a lock file */
    bool inherited, whole; /* in a forked child: not ours; and its memory is in order */
    unsigned forking;
    unsigned refs;
    uint64_t map_size;
    size_t sweep_size; /* where the sweep goes on */
    uint8_t sweep_key[KVI_LMDB_KEY_MAX];
    kvi_lmdb_names names;
    kvi_lmdb_settings settings;
    kvi_lmdb_id data_id, lock_id;
    int fds[8];
    unsigned fd_count;
    kvi_lmdb_stretch lock_map;
    struct kvi_lmdb_env *next;
} kvi_lmdb_env;

/* One open store: what the core calls an instance. */
typedef struct kvi_lmdb_store {
    kvi_lmdb_env *env;
    void *reporter;
    unsigned sweep; /* entries looked at by a write vector; 0: none */
} kvi_lmdb_store;

/* ---- failure.c ---- */

/* A new error, where the caller wants one. */
#define KVI_LMDB_ERROR(error, ...) \
    ((error) ? (void)(*(error) = kvi_lmdb_host->error(__VA_ARGS__)) : (void)0)

/* The error of a code of LMDB or errno while doing `what` with a file. */
kivi_status kvi_lmdb_fail(kivi_error **error, int rc, const char *file, const char *what);
kivi_status kvi_lmdb_status(int rc);
/* The error of a wait that is over; `what` is in the caller's way. */
kivi_status kvi_lmdb_gave_up(kivi_error **error, kivi_status status, const char *file, const char *what);

/* ---- place.c ---- */

kivi_status kvi_lmdb_names_find(const char *path, const kvi_lmdb_settings *settings,
                                kvi_lmdb_names *names, kivi_error **error);
void kvi_lmdb_names_free(kvi_lmdb_names *names);
/* UNSUPPORTED on a file system that other machines share. */
kivi_status kvi_lmdb_check_disk(const kvi_lmdb_names *names, kivi_error **error);

/* ---- inspect.c ---- */

/* CORRUPT unless the file is empty or begins as LMDB's do and is as long as it says. */
kivi_status kvi_lmdb_inspect(const char *file, kivi_error **error);

/* ---- verify.c ---- */

/* Walks every page that the present state of an open file consists of: CORRUPT when one is damaged. */
kivi_status kvi_lmdb_verify(kvi_lmdb_env *env, kivi_wait *wait, kivi_error **error);

/* ---- process.c ---- */

/* What a name stands for now; the inode is 0 where that is nothing. */
kvi_lmdb_id kvi_lmdb_id_of(const char *file);
/* Whether this process has the file mapped; `stretch` (may be NULL) says where. Keeps errno but for a failure of its own. */
bool kvi_lmdb_is_mapped(const char *file, kvi_lmdb_id id, kvi_lmdb_stretch *stretch);
/* Descriptors of this process that are open on one of two files; returns how many, at most `capacity`. */
unsigned kvi_lmdb_descriptors(kvi_lmdb_id first, kvi_lmdb_id second, int *fds, unsigned capacity);
/* Another process that holds a lock of an open file description on a file, and its name of the file. */
bool kvi_lmdb_find_holder(kvi_lmdb_id id, pid_t *pid, char *name, size_t capacity);
/* The process of a thread; 0: it is gone. */
pid_t kvi_lmdb_process_of(pid_t thread);

/* ---- registry.c ---- */

kivi_status kvi_lmdb_env_get(const char *path, const kvi_lmdb_settings *settings, kivi_wait *wait,
                             kvi_lmdb_env **env, kivi_error **error);
void kvi_lmdb_env_put(kvi_lmdb_env *env);
/* In a forked child: gives up one share in what the parent had open. False: a read of it still goes on. */
bool kvi_lmdb_env_abandon(kvi_lmdb_env *env);
void kvi_lmdb_fork_prepare(kvi_lmdb_env *env);
void kvi_lmdb_fork_parent(kvi_lmdb_env *env);
void kvi_lmdb_fork_child(kvi_lmdb_env *env);

/* ---- open.c ---- */

/* Opens a file that this process does not have open yet. */
kivi_status kvi_lmdb_env_open(kvi_lmdb_env *env, kivi_wait *wait, kivi_error **error);
void kvi_lmdb_env_close(kvi_lmdb_env *env);

/* ---- assertion.c ---- */

/* Where a thread goes on when LMDB asserts; NULL: nowhere, LMDB ends the process. In place from a
 * thread's start: memory that its first use would take is not asked for, and cannot be missing. */
extern _Thread_local jmp_buf *kvi_lmdb_way_out __attribute__((tls_model("initial-exec")));
/* What LMDB calls when it finds itself in a state that cannot be. */
void kvi_lmdb_assertion(MDB_env *mdb, const char *text);

/* ---- environment.c ---- */

/* Has LMDB open the file, with the claims on it held. A failure leaves it closed, here and below. */
kivi_status kvi_lmdb_env_map(kvi_lmdb_env *env, kivi_error **error);
/* Reads what the file holds. `*blank`: nothing at all, not even the mark. */
kivi_status kvi_lmdb_env_contents(kvi_lmdb_env *env, kivi_wait *wait, bool *blank, kivi_error **error);
/* Ends the pool's transactions; with the gate closed. */
void kvi_lmdb_readers_end(kvi_lmdb_env *env);
/* Opens LMDB's part again after a fatal error; with the turn and the gate. */
kivi_status kvi_lmdb_env_reopen(kvi_lmdb_env *env, kivi_error **error);
/* Begins a read, after taking over a map that another process has just made larger; nobody else may
 * have a transaction here: while the file is being opened, or with the turn and the gate. */
int kvi_lmdb_env_begin(kvi_lmdb_env *env, MDB_txn **txn);
/* While the file is being opened, after MDB_READERS_FULL. OK: try again. */
kivi_status kvi_lmdb_env_wait_reader(kvi_lmdb_env *env, kivi_wait *wait, uint64_t *pause,
                                     kivi_error **error);
/* Opens the database of expiries; with the turn and the gate, or while the file is being opened. */
int kvi_lmdb_env_mark(kvi_lmdb_env *env);
/* Makes it, in a write transaction that this ends; with the turn and the gate. */
int kvi_lmdb_env_mark_make(kvi_lmdb_env *env, MDB_txn *txn);

/* ---- claim.c ---- */

/* Opens the data file (makes it), which all claims are made on. */
kivi_status kvi_lmdb_claim_open(kvi_lmdb_env *env, kivi_error **error);
/* Holds the data file for the lock files beside its name. BUSY: it is held for those of another name. */
kivi_status kvi_lmdb_claim(kvi_lmdb_env *env, kivi_wait *wait, kivi_error **error);
/* Whether the names still stand for the files that were claimed. */
bool kvi_lmdb_claim_stands(const kvi_lmdb_env *env);
/* BUSY: a process may write, and this one reads without a place in the table of readers. */
kivi_status kvi_lmdb_claim_check_unlocked(const kvi_lmdb_env *env, kivi_error **error);
/* After an open that failed: removes the file that it made, unless others have come. */
void kvi_lmdb_claim_undo(const kvi_lmdb_env *env);
void kvi_lmdb_claim_close(kvi_lmdb_env *env);

/* ---- begin.c: with the turn ---- */

int kvi_lmdb_helper_init(kvi_lmdb_env *env);
/* Finds LMDB's lock of writers in its map. */
void kvi_lmdb_foreign_lock_find(kvi_lmdb_env *env);
/* Begins a write transaction: 0, LMDB's code, or KVI_LMDB_HELD. Then `*wanted` is set: try again, or leave. */
int kvi_lmdb_write_begin(kvi_lmdb_env *env, kivi_wait *wait, bool *wanted, MDB_txn **txn);
int kvi_lmdb_write_commit(kvi_lmdb_env *env, MDB_txn *txn);
void kvi_lmdb_write_abort(kvi_lmdb_env *env, MDB_txn *txn);
/* After KVI_LMDB_HELD: gives the turn back, looks at the wait, and takes it again. A failure leaves nothing held. */
kivi_status kvi_lmdb_write_wait(kvi_lmdb_env *env, kivi_wait *wait, bool *wanted, kivi_error **error);
/* Keeps the helper out of LMDB; false: it is inside, waiting for another program. */
bool kvi_lmdb_helper_stop(kvi_lmdb_env *env);
void kvi_lmdb_helper_go_on(kvi_lmdb_env *env);
/* For the last put: false: the helper is inside and will call helper.ended. */
bool kvi_lmdb_helper_end(kvi_lmdb_env *env);
/* In a forked child, of what the parent had. */
bool kvi_lmdb_helper_is_idle(const kvi_lmdb_env *env);
/* The thread that holds LMDB's lock of writers; 0: nobody, or a dead one. */
pid_t kvi_lmdb_foreign_writer(const kvi_lmdb_env *env);

/* ---- writer_lock.c ---- */

kivi_status kvi_lmdb_writer_open(kvi_lmdb_env *env, kivi_wait *wait, kivi_error **error);
void kvi_lmdb_writer_close(kvi_lmdb_env *env);
/* Notes which files the lock is for, or compares them with what was noted. BUSY: it is for others. */
kivi_status kvi_lmdb_writer_note(kvi_lmdb_env *env, kivi_error **error);
/* The lock file's identity; the inode is 0 for a reader. */
kvi_lmdb_id kvi_lmdb_writer_id(const kvi_lmdb_env *env);
/* The last transaction that kivi committed; 0: not known. With the lock. */
uint64_t kvi_lmdb_writer_last(const kvi_lmdb_env *env);
void kvi_lmdb_writer_set_last(kvi_lmdb_env *env, uint64_t id);
/* Takes the turn of this process and, unless the file is opened for reading, of all processes. */
kivi_status kvi_lmdb_writer_take(kvi_lmdb_env *env, kivi_wait *wait, kivi_error **error);
void kvi_lmdb_writer_give(kvi_lmdb_env *env);
/* Only the turn of this process, for changes that no other process sees. */
kivi_status kvi_lmdb_turn_take(kvi_lmdb_env *env, kivi_wait *wait, kivi_error **error);
static inline void kvi_lmdb_turn_give(kvi_lmdb_env *env)
{
    pthread_mutex_unlock(&env->turn);
}
void kvi_lmdb_sleep(uint64_t ns);

/* ---- growth.c: each is called with the turn ---- */

/* Keeps reads of this process out; false: one was inside for too long. */
bool kvi_lmdb_gate_close(kvi_lmdb_env *env);
void kvi_lmdb_gate_open(kvi_lmdb_env *env);
/* Makes room for `need` more bytes. BUSY: a read was inside. */
kivi_status kvi_lmdb_grow(kvi_lmdb_env *env, uint64_t need, kivi_error **error);
/* Takes over the size that another process gave the map. */
kivi_status kvi_lmdb_adopt_size(kvi_lmdb_env *env, kivi_error **error);
/* Opens the database of expiries that another process made. */
kivi_status kvi_lmdb_adopt_mark(kvi_lmdb_env *env, kivi_error **error);
/* Makes it: 0, KVI_LMDB_INSIDE, KVI_LMDB_HELD (see kvi_lmdb_write_begin), MDB_INCOMPATIBLE: the name is taken. */
int kvi_lmdb_make_mark(kvi_lmdb_env *env, kivi_wait *wait, bool *wanted);
/* The error of KVI_LMDB_INSIDE. */
kivi_status kvi_lmdb_busy(kvi_lmdb_env *env, const char *what, kivi_error **error);
/* Opens LMDB's part again, unless somebody did already. */
kivi_status kvi_lmdb_mend(kvi_lmdb_env *env, kivi_error **error);

/* ---- readers.c ---- */

/* Begins a read: a slot with a transaction, or the failure. */
kivi_status kvi_lmdb_enter(kvi_lmdb_env *env, kivi_wait *wait, kvi_lmdb_slot **slot, kivi_error **error);
void kvi_lmdb_leave(kvi_lmdb_env *env, kvi_lmdb_slot *slot);

/* ---- keys.c ---- */

typedef struct kvi_lmdb_key {
    MDB_val stored;
    uint8_t memory[KVI_LMDB_KEY_MAX];
} kvi_lmdb_key;

/* Whether bytes are the name of the database of expiries and nothing but 0x00 after it. */
static inline bool kvi_lmdb_is_reserved(kivi_slice key)
{
    if (key.size < KVI_LMDB_MARK_SIZE || memcmp(key.data, KVI_LMDB_MARK, KVI_LMDB_MARK_SIZE) != 0)
        return false;
    for (size_t i = KVI_LMDB_MARK_SIZE; i < key.size; i++)
        if (((const uint8_t *)key.data)[i] != 0)
            return false;
    return true;
}
/* The key as it is stored in a file that is marked; false: it does not fit. */
bool kvi_lmdb_key_widen(kivi_slice key, kvi_lmdb_key *made);
static inline bool kvi_lmdb_key_make(kivi_slice key, bool marked, kvi_lmdb_key *made)
{
    if (marked && __builtin_expect(kvi_lmdb_is_reserved(key), 0))
        return kvi_lmdb_key_widen(key, made);
    made->stored.mv_data = (void *)key.data;
    made->stored.mv_size = key.size;
    return key.size <= KVI_LMDB_KEY_MAX;
}
/* The key that is meant by a stored one. */
static inline kivi_slice kvi_lmdb_key_read(MDB_val stored, bool marked)
{
    kivi_slice key = kivi_bytes(stored.mv_data, stored.mv_size);
    if (marked && key.size > KVI_LMDB_MARK_SIZE && __builtin_expect(kvi_lmdb_is_reserved(key), 0))
        key.size--;
    return key;
}
/* Whether what was found under a key of `key_size` bytes is a named database and no value. */
bool kvi_lmdb_is_database_slow(size_t key_size, const void *data);
static inline bool kvi_lmdb_is_database(size_t key_size, const MDB_val *data)
{
    return __builtin_expect(data->mv_size == 48, 0) &&
           kvi_lmdb_is_database_slow(key_size, data->mv_data);
}

/* ---- expiry.c ---- */

/* What the record of a key says of its value, as kvi_record_judge(). */
int kvi_lmdb_expiry_of(const kvi_lmdb_env *env, MDB_txn *txn, MDB_val *key, const MDB_val *value,
                       bool exactly, int64_t *now, int64_t *expiry);
/* Whether any expiry exists, and whether the file is marked, in a transaction. 0, KVI_LMDB_MARKED or LMDB's code. */
int kvi_lmdb_expiries_ask(const kvi_lmdb_env *env, MDB_txn *txn, bool *exist, bool *marked);
/* Tells readers what a transaction that is committed holds. */
void kvi_lmdb_expiries_tell(kvi_lmdb_env *env, size_t txn_id, bool exist);

/* ---- transact.c ---- */

/* One attempt at a write transaction. */
typedef struct kvi_lmdb_pass {
    kvi_lmdb_store *store;
    kvi_lmdb_env *env;
    MDB_txn *txn;
    int64_t now;   /* 0: the clock was not read yet */
    bool expiries; /* some exist */
    bool marked;
    bool changed; /* something must be committed */
    bool replayed;
    bool wanted; /* a transaction was asked for and has not come yet */
    uint64_t swept;
} kvi_lmdb_pass;

/* What is done in the transaction, as often as it has to be replayed. */
typedef struct kvi_lmdb_work {
    int (*run)(struct kvi_lmdb_work *work, kvi_lmdb_pass *pass);
    /* The transaction came to nothing, or nobody knows: take back the answers that were given. */
    void (*undo)(struct kvi_lmdb_work *work, bool uncertain);
    uint64_t bytes;  /* that it may add to the file */
    bool wants_mark; /* it sets an expiry */
    bool no_mark;    /* but the file can keep none */
} kvi_lmdb_work;

kivi_status kvi_lmdb_transact(kvi_lmdb_store *store, kvi_lmdb_work *work, kivi_wait *wait,
                              kivi_error **error);

/* ---- change.c: one key inside a write transaction ---- */

int kvi_lmdb_find(kvi_lmdb_pass *pass, MDB_val *key, kvi_found *found);
/* Stores a value; `expiry_ms` 0 takes an expiry away. */
int kvi_lmdb_put(kvi_lmdb_pass *pass, MDB_val *key, kivi_slice value, int64_t expiry_ms);
/* Removes a value and its expiry. `*existed`: something lay there, expired or not. */
int kvi_lmdb_remove(kvi_lmdb_pass *pass, MDB_val *key, bool *existed);
/* Gives a value that is there a new expiry, or takes it away. */
int kvi_lmdb_touch(kvi_lmdb_pass *pass, MDB_val *key, kivi_slice value, int64_t expiry_ms);
/* The time of day of the pass. */
int64_t kvi_lmdb_now(kvi_lmdb_pass *pass);

/* ---- sweep.c ---- */

/* Looks at some expiries further on and removes what is over. */
int kvi_lmdb_sweep(kvi_lmdb_pass *pass);

/* ---- the verbs: read.c, take.c, write.c, scan.c ---- */

kivi_status kvi_lmdb_read(void *instance, void *session, kivi_read_vector *vector, kivi_wait *wait,
                          kivi_error **error);
kivi_status kvi_lmdb_take(kvi_lmdb_store *store, kivi_read_vector *vector, kivi_wait *wait,
                          kivi_error **error);
kivi_status kvi_lmdb_write(void *instance, void *session, kivi_write_vector *vector,
                           kivi_wait *wait, kivi_error **error);
kivi_status kvi_lmdb_scan(void *instance, void *session, const kivi_scan_range *range,
                          kivi_scan_sink *sink, kivi_wait *wait, kivi_error **error);
kivi_status kvi_lmdb_count(void *instance, void *session, kivi_count *count, kivi_wait *wait,
                           kivi_error **error);

#endif
