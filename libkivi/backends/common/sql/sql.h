/* What stores share whose servers speak SQL: names, bounds of scans, codes, judged writes, limits of statements. */
#ifndef KVI_SQL_H
#define KVI_SQL_H

#include <kivi/backend.h>
#include <stdatomic.h>

/* ---- Names (names.c) ---- */

/* `schema`.`table` in quotes, which are doubled within; schema NULL: the table alone. NULL without memory. */
char *kvi_sql_quote(const char *schema, const char *table, char quote);

/* ---- Codes that servers refuse with (codes.c) ---- */

/* What a code means: SQLSTATEs, or numbers as text. A shorter one stands for all that begin so, and comes behind those. */
typedef struct kvi_sql_code {
    const char *code;
    kivi_status status; /* KIVI_PENDING: another transaction was in the way, it is to be done again */
    kivi_retryable retryable;
    const char *text; /* static: what the server wrote may hold keys and values */
} kvi_sql_code;

/* The first that fits; NULL: none. */
const kvi_sql_code *kvi_sql_find_code(const kvi_sql_code *codes, size_t count, const char *code);
/* A code of digits and capitals as a number of base 36, for the native code of an error. */
int64_t kvi_sql_code_number(const char *code);

/* ---- Bounds of scans (bounds.c) ---- */

/*
 * The first text behind all that begin with `prefix`, of which `bytes` has room for prefix.size + 4: its last code point
 * is one higher, so that it is UTF-8 as the prefix is. 0: there is none, the scan has no upper bound.
 */
size_t kvi_sql_behind(kivi_slice prefix, uint8_t *bytes);
/* The same for keys that are bytes; room for prefix.size. */
size_t kvi_sql_behind_bytes(kivi_slice prefix, uint8_t *bytes);
/* The key that a page begins behind; empty: it begins with the prefix itself. */
kivi_slice kvi_sql_begins_behind(const kivi_scan_range *range);
/* Whether a key begins with the prefix: rows between bounds need not. */
static inline bool kvi_sql_begins(kivi_slice key, kivi_slice prefix)
{
    return key.size >= prefix.size && (!prefix.size || memcmp(key.data, prefix.data, prefix.size) == 0);
}

/* ---- Verbs (job.c) ---- */

/* What a session is at. */
typedef enum kvi_sql_verb {
    KVI_SQL_NONE = 0,
    KVI_SQL_READ,
    KVI_SQL_WRITE,
    KVI_SQL_SCAN,
    KVI_SQL_COUNT
} kvi_sql_verb;

typedef struct kvi_sql_job {
    kvi_sql_verb verb;
    kivi_read_vector *reads;
    kivi_write_vector *writes;
    const kivi_scan_range *range;
    kivi_scan_sink *sink;
    kivi_count *count;
} kvi_sql_job;

/* Whether anything of it may change the store. */
bool kvi_sql_changes(const kvi_sql_job *job);
/* What of a row somebody wants. */
enum { KVI_SQL_VALUE = 1, KVI_SQL_EXPIRY = 2 };
int kvi_sql_wish(const kivi_read_item *item);
/* Whether a read changes the key's expiry. */
static inline bool kvi_sql_is_touched(const kivi_read_item *item)
{
    return item->then == KIVI_THEN_TOUCH && item->ttl_ms != KIVI_TTL_KEEP;
}
/* An item that was found: its value goes to who wants it, and it has its status. */
void kvi_sql_tell_found(kivi_read_vector *vector, kivi_read_item *item, kivi_slice value, int64_t ttl_ms);

/* ---- Items by key (judging.c) ---- */

/* Where an item with this key is in a vector's items, sorted by key; `count`: nowhere. */
size_t kvi_sql_find_item(const void *items, uint32_t item_size, size_t count, kivi_slice key);

/* ---- Judged writes (judging.c) ---- */

/*
 * A vector that cannot go as one plain statement is one transaction: its rows are locked in the order of the keys,
 * increments are added up here, the conditions are judged by the server on what the locks left, and then it writes.
 * This keeps what came of each item; zeroed it is empty, and kept for the next vector.
 */
typedef struct kvi_sql_sum {
    kivi_status status; /* of the addition */
    bool there;         /* the key was */
    size_t at, size;    /* of the new value, in `bytes` */
} kvi_sql_sum;

typedef struct kvi_sql_judging {
    kivi_write_vector *vector;
    uint8_t *marks; /* KVI_SQL_*, for each item */
    kvi_sql_sum *sums;
    size_t room;
    uint8_t *bytes; /* new values of increments */
    size_t size, bytes_room;
    bool failed; /* no memory for one of them */
} kvi_sql_judging;

enum {
    KVI_SQL_SEEN = 1,  /* the server told of it */
    KVI_SQL_THERE = 2, /* the key was there, and not expired */
    KVI_SQL_HOLDS = 4  /* so did the condition */
};

/* Forgets what was, for a vector that begins, or begins anew. False without memory. */
bool kvi_sql_judging_begin(kvi_sql_judging *judging, kivi_write_vector *vector);
void kvi_sql_judging_free(kvi_sql_judging *judging);
bool kvi_sql_has_increments(const kivi_write_vector *vector);
/* What an item's key holds, its row locked: where the item is an increment, its sum is worked out. */
void kvi_sql_add_up(kvi_sql_judging *judging, size_t index, bool there, kivi_slice value);
/* The item as the server is to judge it: an increment is the set of its sum, or, where that failed, a look. */
kivi_write_item kvi_sql_as_judged(const kvi_sql_judging *judging, size_t index);
/* The transaction is committed: every item gets its status. False: the server told nothing of one. */
bool kvi_sql_answer(const kvi_sql_judging *judging);

/* ---- Limits (limits.c) ---- */

/*
 * How many ms the server may take for a statement so that its refusal comes before the deadline; 0: no deadline. In steps of an
 * eighth at most, so that calls of one timeout give one limit: `set`, the limit in force, stays where it is as good.
 */
uint32_t kvi_sql_limit(uint64_t deadline_ns, uint64_t now_ns, uint32_t set);
/* How long of that it may wait for a lock: a little less, so that it is BUSY and not TIMEOUT. */
uint32_t kvi_sql_lock_limit(uint32_t limit_ms);
/* Whether it is time for another sweep; true to one caller. */
bool kvi_sql_sweep_is_due(_Atomic uint64_t *last_ns, uint64_t now_ns);

#endif
