/*
 * Write transactions begin here. LMDB waits for its own lock of writers without end and without a look at
 * anything, so nobody goes there while another program holds it: whether it is held can be seen in the lock
 * file. Between the look and the beginning another program may be faster; while others write, and where the
 * lock's place is not known, a thread of ours therefore waits and begins for the caller, who waits for the
 * thread within the deadline. As LMDB's lock is the thread's, it also ends the transaction.
 *
 * A transaction that came when nobody wanted it any more is aborted: nothing was done in it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "../../core/base/platform.h"
#include "engine.h"

#if defined(__GLIBC__) && !defined(KIVI_POSIX)
#define KNOWS_LOCK /* what LMDB's mutex looks like inside */
#endif
#define LOCK_MAGIC 0xBEEFC0DEu
#define LOCK_FORMAT 0x10001u /* version 1, a lock of each process that reads, pthread mutexes */
#define LINE 64
#define STRANGERS_NS UINT64_C(10000000000)
#define LOOK_NS UINT64_C(10000000) /* of the helper, between two looks at who waits */
#define OFFER_NS \
    UINT64_C(100000000) /* so long a transaction waits for a caller who looks at the wait */
#define STOP_NS UINT64_C(100000000)
#define LEAST_NS UINT64_C(2000000) /* enough to get a lock that is free */
#define STACK (256u << 10)

enum {
    RESTS,
    LOOKS,  /* waits for LMDB's lock, and can be called back */
    BEGINS, /* inside LMDB */
    OFFERS, /* has begun: `txn` */
    LENT,   /* a caller has the transaction */
    COMMITS,
    ABORTS,
    FAILED, /* to begin: `rc` */
    ENDED   /* as the caller asked: `rc` */
};

#define OWNER_DIED (-5) /* FAILED: the lock's last owner was killed; LMDB has to see that itself */

/* ---- LMDB's lock ---- */

void kvi_lmdb_foreign_lock_find(kvi_lmdb_env *env)
{
    const size_t header = 8 + sizeof(pthread_mutex_t) + sizeof(size_t) + sizeof(unsigned);
    size_t at = (header + LINE - 1) / LINE * LINE;
    const uint32_t *words = (const uint32_t *)env->lock_map.start;
    int major_number, minor_number;

    env->foreign_lock = NULL;
    env->foreign_lock_seen = false;
    mdb_version(&major_number, &minor_number, NULL);
    if (env->unlocked || major_number != 0 || minor_number != 9 ||
        env->lock_map.end - env->lock_map.start < at + sizeof(pthread_mutex_t))
        return;
#ifdef KNOWS_LOCK
    if (words[0] == LOCK_MAGIC && words[1] == LOCK_FORMAT)
        env->foreign_lock = (pthread_mutex_t *)(env->lock_map.start + at);
#else
    (void)words;
#endif
}

/* The futex that the kernel looks at when a thread dies with a robust mutex. */
pid_t kvi_lmdb_foreign_writer(const kvi_lmdb_env *env)
{
#ifdef KNOWS_LOCK
    if (env->foreign_lock) {
        unsigned word = (unsigned)__atomic_load_n(&env->foreign_lock->__data.__lock, __ATOMIC_RELAXED);
        return word & FUTEX_OWNER_DIED ? 0 : (pid_t)(word & FUTEX_TID_MASK);
    }
#endif
    (void)env;
    return 0;
}

static void expect_strangers(kvi_lmdb_env *env)
{
    env->strangers = kvi_lmdb_host->monotonic_ns() + STRANGERS_NS;
}

/* Whether nobody but kivi writes, so that LMDB will not wait. */
static inline bool is_quiet(kvi_lmdb_env *env)
{
    if (!env->foreign_lock)
        return false;
    if (kvi_lmdb_foreign_writer(env) != 0) {
        expect_strangers(env);
        return false;
    }
    if (__builtin_expect(env->strangers == 0, 1))
        return true;
    if (kvi_lmdb_host->monotonic_ns() < env->strangers)
        return false;
    env->strangers = 0;
    return true;
}

/* A transaction has begun: did another program commit since kivi did, and is the lock where it was looked for? */
static void look_around(kvi_lmdb_env *env, MDB_txn *txn)
{
    uint64_t last = kvi_lmdb_writer_last(env);

    if (__builtin_expect(last != 0 && mdb_txn_id(txn) != last + 1, 0))
        expect_strangers(env);
    if (__builtin_expect(env->foreign_lock_seen, 1) || env->helped || !env->foreign_lock)
        return;
    if (kvi_lmdb_foreign_writer(env) == kvi_thread_number())
        env->foreign_lock_seen = true;
    else
        env->foreign_lock = NULL;
}

/* ---- the helper's own thread; with the mutex, but where it says so ---- */

static bool is_wanted(const kvi_lmdb_helper *helper)
{
    return helper->waiting > 0 && !helper->stopping;
}

static void go_to(kvi_lmdb_helper *helper, unsigned state)
{
    helper->state = state;
    pthread_cond_broadcast(&helper->changed);
}

/* Waits until LMDB's lock is free. */
static int wait_for_lock(kvi_lmdb_env *env)
{
    kvi_lmdb_helper *helper = &env->helper;
    int rc = ETIMEDOUT;

    while (rc == ETIMEDOUT && is_wanted(helper)) {
        pthread_mutex_unlock(&helper->mutex);
        rc = kvi_mutex_lock_until(env->foreign_lock, kvi_lmdb_host->monotonic_ns() + LOOK_NS);
        if (rc == 0)
            pthread_mutex_unlock(env->foreign_lock);
        pthread_mutex_lock(&helper->mutex);
    }
    return rc;
}

/* Offers what has begun, and ends it as the caller says who took it. */
static void serve(kvi_lmdb_helper *helper, MDB_txn *txn)
{
    uint64_t until = kvi_lmdb_host->monotonic_ns() + OFFER_NS;
    bool commits;

    helper->txn = txn;
    go_to(helper, OFFERS);
    while (helper->state == OFFERS && is_wanted(helper) &&
           kvi_cond_wait_until(&helper->changed, &helper->mutex, until))
        ;
    while (helper->state == LENT)
        pthread_cond_wait(&helper->changed, &helper->mutex);
    commits = helper->state == COMMITS;
    helper->rc = 0;
    if (helper->state == OFFERS)
        helper->state = BEGINS;
    pthread_mutex_unlock(&helper->mutex);
    if (commits)
        helper->rc = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    pthread_mutex_lock(&helper->mutex);
    helper->txn = NULL;
    go_to(helper, helper->state == BEGINS ? RESTS : ENDED);
}

static void begin_and_serve(kvi_lmdb_env *env)
{
    kvi_lmdb_helper *helper = &env->helper;
    MDB_txn *txn;
    int rc;

    go_to(helper, BEGINS);
    pthread_mutex_unlock(&helper->mutex);
    rc = mdb_txn_begin(env->mdb, NULL, 0, &txn);
    pthread_mutex_lock(&helper->mutex);
    if (rc == 0) {
        serve(helper, txn);
        return;
    }
    helper->rc = rc;
    go_to(helper, helper->waiting ? FAILED : RESTS);
}

static void *help(void *argument)
{
    kvi_lmdb_env *env = argument;
    kvi_lmdb_helper *helper = &env->helper;
    bool lingers;
    void (*ended)(kvi_lmdb_env * env);
    int rc = 0;

    pthread_mutex_lock(&helper->mutex);
    if (helper->state == LOOKS)
        rc = wait_for_lock(env);
    if (rc == EOWNERDEAD) {
        /* Its owner dies once more with this thread. */
        helper->rc = OWNER_DIED;
        go_to(helper, FAILED);
    } else if (rc != 0 || !is_wanted(helper)) {
        helper->rc = rc;
        go_to(helper, rc == 0 || rc == ETIMEDOUT ? RESTS : FAILED);
    } else {
        begin_and_serve(env);
    }
    /* What this thread leaves locked must stay mapped until it has ended. */
    lingers = helper->lingering && rc != EOWNERDEAD;
    if (lingers) {
        helper->started = false;
        pthread_detach(pthread_self());
    }
    ended = helper->ended;
    pthread_mutex_unlock(&helper->mutex);
    if (lingers)
        ended(env); /* which another put may have freed by now, with the helper in it */
    return NULL;
}

/* ---- the callers' side; with the helper's mutex ---- */

/* A thread that has said its last word needs the mutex no more. */
static void join(kvi_lmdb_helper *helper)
{
    if (helper->started)
        pthread_join(helper->thread, NULL);
    helper->started = false;
}

static int start(kvi_lmdb_env *env, bool looks)
{
    kvi_lmdb_helper *helper = &env->helper;
    pthread_attr_t kind;
    sigset_t all, old;
    int rc;

    join(helper);
    rc = pthread_attr_init(&kind);
    if (rc != 0)
        return rc;
    helper->state = looks && env->foreign_lock ? LOOKS : BEGINS;
    helper->lingering = false;
    pthread_attr_setstacksize(&kind, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&helper->thread, &kind, help, env);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&kind);
    helper->started = rc == 0;
    if (rc != 0)
        helper->state = RESTS;
    return rc;
}

/* One step towards a transaction: EBUSY as long as there is none. */
static int step(kvi_lmdb_env *env, MDB_txn **txn)
{
    kvi_lmdb_helper *helper = &env->helper;
    int rc;

    switch (helper->state) {
    case RESTS:
        rc = start(env, true);
        return rc == 0 ? EBUSY : rc;
    case FAILED:
        helper->state = RESTS;
        if (helper->rc != OWNER_DIED)
            return helper->rc;
        rc = start(env, false);
        return rc == 0 ? EBUSY : rc;
    case OFFERS:
        *txn = helper->txn;
        env->helped = true;
        go_to(helper, LENT);
        return 0;
    default:
        return EBUSY;
    }
}

static int begin_helped(kvi_lmdb_env *env, uint64_t deadline, bool *wanted, MDB_txn **txn)
{
    kvi_lmdb_helper *helper = &env->helper;
    uint64_t now = kvi_lmdb_host->monotonic_ns(), until = now + KVI_LMDB_LOOK_NS;
    int rc;

    if (until > deadline)
        until = deadline < now + LEAST_NS ? now + LEAST_NS : deadline;
    pthread_mutex_lock(&helper->mutex);
    if (!*wanted)
        helper->waiting++;
    *wanted = true;
    while ((rc = step(env, txn)) == EBUSY)
        if (!kvi_cond_wait_until(&helper->changed, &helper->mutex, until)) {
            rc = step(env, txn);
            break;
        }
    if (rc == EBUSY) {
        rc = KVI_LMDB_HELD;
    } else {
        helper->waiting--;
        *wanted = false;
    }
    pthread_mutex_unlock(&helper->mutex);
    return rc;
}

static void leave(kvi_lmdb_env *env, bool *wanted)
{
    if (!*wanted)
        return;
    pthread_mutex_lock(&env->helper.mutex);
    env->helper.waiting--;
    *wanted = false;
    /* A transaction that waits for its caller is not kept from others. */
    pthread_cond_broadcast(&env->helper.changed);
    pthread_mutex_unlock(&env->helper.mutex);
}

int kvi_lmdb_write_begin(kvi_lmdb_env *env, kivi_wait *wait, bool *wanted, MDB_txn **txn)
{
    int rc;

    if (__builtin_expect(!*wanted && is_quiet(env), 1))
        rc = mdb_txn_begin(env->mdb, NULL, 0, txn);
    else
        rc = begin_helped(env, kivi_wait_deadline(wait), wanted, txn);
    if (rc == 0)
        look_around(env, *txn);
    return rc;
}

/* Ends a transaction of the helper. */
static int end_helped(kvi_lmdb_env *env, unsigned how)
{
    kvi_lmdb_helper *helper = &env->helper;
    int rc;

    pthread_mutex_lock(&helper->mutex);
    go_to(helper, how);
    while (helper->state != ENDED)
        pthread_cond_wait(&helper->changed, &helper->mutex);
    rc = helper->rc;
    go_to(helper, RESTS);
    pthread_mutex_unlock(&helper->mutex);
    env->helped = false;
    return rc;
}

int kvi_lmdb_write_commit(kvi_lmdb_env *env, MDB_txn *txn)
{
    uint64_t id = mdb_txn_id(txn);
    int rc = __builtin_expect(env->helped, 0) ? end_helped(env, COMMITS) : mdb_txn_commit(txn);

    if (rc == 0)
        kvi_lmdb_writer_set_last(env, id);
    return rc;
}

void kvi_lmdb_write_abort(kvi_lmdb_env *env, MDB_txn *txn)
{
    if (__builtin_expect(env->helped, 0))
        end_helped(env, ABORTS);
    else
        mdb_txn_abort(txn);
}

static kivi_status gave_up(kvi_lmdb_env *env, kivi_status status, kivi_error **error)
{
    pid_t thread = kvi_lmdb_foreign_writer(env), writer = thread ? kvi_lmdb_process_of(thread) : 0;
    char text[80];

    if (!writer || writer == env->pid)
        return kvi_lmdb_gave_up(error, status, env->names.data, "another program is writing");
    snprintf(text, sizeof(text), "process %d is writing, a program without kivi", (int)writer);
    return kvi_lmdb_gave_up(error, status, env->names.data, text);
}

kivi_status kvi_lmdb_write_wait(kvi_lmdb_env *env, kivi_wait *wait, bool *wanted, kivi_error **error)
{
    kivi_status status;

    kvi_lmdb_writer_give(env);
    status = kivi_wait_check(wait);
    if (status != KIVI_OK)
        gave_up(env, status, error);
    else
        status = kvi_lmdb_writer_take(env, wait, error);
    if (status != KIVI_OK)
        leave(env, wanted);
    return status;
}

/* ---- before LMDB's environment changes or goes ---- */

int kvi_lmdb_helper_init(kvi_lmdb_env *env)
{
    int rc = kvi_cond_init(&env->helper.changed);
    return rc == 0 ? pthread_mutex_init(&env->helper.mutex, NULL) : rc;
}

/* Waits a little until the thread is out of LMDB. */
static bool is_out(kvi_lmdb_helper *helper)
{
    uint64_t until = kvi_lmdb_host->monotonic_ns() + STOP_NS;

    pthread_cond_broadcast(&helper->changed);
    while (helper->state != RESTS && helper->state != FAILED)
        if (!kvi_cond_wait_until(&helper->changed, &helper->mutex, until))
            return false;
    join(helper);
    return true;
}

bool kvi_lmdb_helper_stop(kvi_lmdb_env *env)
{
    bool out;

    pthread_mutex_lock(&env->helper.mutex);
    env->helper.stopping = true;
    out = is_out(&env->helper);
    env->helper.stopping = out;
    pthread_mutex_unlock(&env->helper.mutex);
    return out;
}

void kvi_lmdb_helper_go_on(kvi_lmdb_env *env)
{
    pthread_mutex_lock(&env->helper.mutex);
    env->helper.stopping = false;
    pthread_mutex_unlock(&env->helper.mutex);
}

bool kvi_lmdb_helper_end(kvi_lmdb_env *env)
{
    bool out;

    pthread_mutex_lock(&env->helper.mutex);
    out = is_out(&env->helper);
    env->helper.lingering = !out;
    pthread_mutex_unlock(&env->helper.mutex);
    if (out) {
        pthread_cond_destroy(&env->helper.changed);
        pthread_mutex_destroy(&env->helper.mutex);
    }
    return out;
}

bool kvi_lmdb_helper_is_idle(const kvi_lmdb_env *env)
{
    return env->helper.state == RESTS || env->helper.state == FAILED;
}
