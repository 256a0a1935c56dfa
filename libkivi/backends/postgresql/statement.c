/* The statements, made for the table at open. Parameters and results go in binary. */
#include "pg.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * Beside a value that expires: when, and the first 8 bytes of the MD5 of the value it was set for. What never waits asks by
 * statement_timestamp(), which indexes and filters can use; what may have waited for a lock, by the clock.
 */
#define HASH(value) "decode(left(md5(" value "), 16), 'hex')"
#define COUNTS "(t.kivi_hash IS NOT DISTINCT FROM " HASH("t.value_data") ")"
#define LIVE_AT(now) "(t.kivi_expires IS NULL OR t.kivi_expires > " now " OR NOT " COUNTS ")"
#define LIVE LIVE_AT("clock_timestamp()")
#define LIVE_THEN LIVE_AT("statement_timestamp()")
#define LEFT                                                          \
    "CASE WHEN t.kivi_expires IS NULL OR NOT " COUNTS " THEN 0 ELSE " \
    "greatest(1, ceil(extract(epoch FROM t.kivi_expires - clock_timestamp()) * 1000)) END::bigint"
#define AFTER(ttl) "clock_timestamp() + " ttl " * interval '1 millisecond'"
#define HASH_IF(ttl, value) "CASE WHEN " ttl " IS NOT NULL THEN " HASH(value) " END"
#define TAKE_NEW                                                               \
    " ON CONFLICT (key_name) DO UPDATE SET value_data = EXCLUDED.value_data, " \
    "kivi_expires = EXCLUDED.kivi_expires, kivi_hash = EXCLUDED.kivi_hash"
#define INSERT "INSERT INTO %1$s AS t (key_name, value_data, kivi_expires, kivi_hash) "
/*
 * A table is asked for a list of keys, never joined without one: whatever the planner takes its size for, it goes by the index.
 */
#define ASKED "t.key_name = ANY($1::text[])"
/* Rows that several statements want are locked in the order of the keys. */
#define IN_ORDER                                                             \
    "t.key_name = ANY(ARRAY(SELECT key_name FROM %1$s WHERE key_name = ANY(" \
    "$1::text[]) ORDER BY key_name COLLATE \"C\" FOR UPDATE))"

static const char take_many[] = "DELETE FROM %1$s AS t WHERE " IN_ORDER
                                " RETURNING t.key_name, t.value_data, " LEFT ", " LIVE;
static const char touch_many[] =
    "UPDATE %1$s AS t SET kivi_expires = " AFTER("i.ttl") ", kivi_hash = " HASH_IF(
        "i.ttl", "t.value_data") " FROM unnest($1::text[], $2::bigint[]) AS i(k, ttl) "
                                 "WHERE " IN_ORDER " AND t.key_name = i.k AND " LIVE
                                 " RETURNING t.key_name, t.value_data, " LEFT ", true";

static const char set_one[] = INSERT "VALUES ($1::text, $2::bytea, " AFTER(
    "$3::bigint") ", " HASH_IF("$3::bigint", "$2::bytea") ")" TAKE_NEW;
static const char set_many[] = INSERT "SELECT i.k, i.v, " AFTER("i.ttl") ", " HASH_IF(
    "i.ttl", "i.v") " FROM unnest($1::text[], $2::bytea[], $3::bigint[]) AS i(k, v, ttl)" TAKE_NEW;
static const char delete_one[] = "DELETE FROM %1$s WHERE key_name = $1::text";
static const char delete_many[] = "DELETE FROM %1$s AS t WHERE " IN_ORDER
                                  " RETURNING t.key_name, " LIVE;
static const char add_many[] = INSERT "SELECT i.k, i.v, " AFTER("i.ttl") ", " HASH_IF(
    "i.ttl", "i.v") " FROM unnest($1::text[], $2::bytea[], $3::bigint[]) AS i(k, v, ttl)" TAKE_NEW
                    " WHERE NOT " LIVE " RETURNING t.key_name, false";

/*
 * The general write, in one transaction of two statements. The first locks the row of each key, in their order, and
 * makes an expired one where there is none: so whoever adds the key meanwhile waits. The second sees what was
 * committed before the locks, judges, writes, and takes away the rows that are of no use.
 */
static const char lock_many[] = INSERT "SELECT k, ''::bytea, '-infinity', " HASH(
    "''::bytea") " FROM unnest($1::text[]) AS k"
                 " ON CONFLICT (key_name) DO UPDATE SET key_name = EXCLUDED.key_name WHERE false";
static const char judge_many[] =
    "WITH item AS (SELECT * FROM unnest($1::text[], $2::smallint[], $3::smallint[], $4::bytea[], "
    "$5::bytea[], "
    "$6::bigint[]) WITH ORDINALITY AS i(k, kind, condition, v, expected, ttl, n)), "
    "found AS (SELECT i.*, t.value_data AS old, CASE WHEN t.kivi_expires IS NOT NULL AND " COUNTS
    " THEN t.kivi_expires END AS expires FROM item i JOIN %1$s t ON t.key_name = i.k WHERE " ASKED "), "
    "seen AS (SELECT f.*, (f.expires IS NULL OR f.expires > clock_timestamp()) AS there FROM found "
    "f), "
    "judged AS (SELECT s.*, CASE s.condition WHEN 0 THEN true WHEN 1 THEN NOT there WHEN 2 THEN "
    "there "
    "ELSE there AND s.old = s.expected END AS holds FROM seen s), "
    "ok AS (SELECT j.*, holds AND (NOT $7::boolean OR (SELECT bool_and(holds) FROM judged)) AS go, "
    "CASE WHEN ttl = -1 THEN CASE WHEN there THEN expires END WHEN ttl > 0 THEN " AFTER(
        "ttl") " END AS until FROM judged j), "
               "up AS (UPDATE %1$s t SET value_data = CASE ok.kind WHEN 1 THEN ok.v ELSE "
               "t.value_data END, "
               "kivi_expires = ok.until, kivi_hash = CASE WHEN ok.until IS NOT NULL THEN "
               "CASE ok.kind WHEN 1 THEN " HASH("ok.v") " ELSE " HASH(
                   "t.value_data") " END END "
                                   "FROM ok WHERE " ASKED
                                   " AND t.key_name = ok.k AND ok.go AND (ok.kind = 1 OR "
                                   "ok.kind = 3 AND ok.there)), "
                                   "down AS (DELETE FROM %1$s t USING ok WHERE " ASKED
                                   " AND t.key_name = ok.k AND NOT (ok.go AND ok.kind = 1) AND "
                                   "(NOT ok.there OR ok.go AND ok.kind = 2)) "
                                   "SELECT n, there, holds FROM ok";
/* Between the two: what increments are to add to. */
static const char fetch_many[] =
    "SELECT i.n, " LIVE
    " AS there, t.value_data FROM unnest($1::text[]) WITH ORDINALITY AS i(k, n) "
    "JOIN %1$s t ON t.key_name = i.k WHERE " ASKED;

static const char sweep_some[] =
    "DELETE FROM %1$s AS d WHERE d.key_name = ANY(ARRAY(SELECT t.key_name FROM %1$s t "
    "WHERE t.kivi_expires < statement_timestamp() AND " COUNTS
    " ORDER BY t.kivi_expires LIMIT $1::bigint FOR UPDATE SKIP LOCKED))";
/* Locks are waited for a little less long than statements take: BUSY is said before TIMEOUT. */
static const char limit_session[] = "SELECT set_config('lock_timeout', $1::bigint::text, false), "
                                    "set_config('statement_timeout', $2::bigint::text, false)";
static const char limit_local[] = "SELECT set_config('lock_timeout', $1::bigint::text, true), "
                                  "set_config('statement_timeout', $2::bigint::text, true)";

void kvi_pg_index_name(const char *table, const char *what, char name[PG_INDEX_NAME])
{
    uint64_t print = kvi_pg_host->hash64(kivi_str(table));

    snprintf(name, PG_INDEX_NAME, "kivi_%s_%08x", what, (unsigned)print);
}

static bool put(char **sql, const char *format, const char *table)
{
    if (asprintf(sql, format, table) < 0)
        *sql = NULL;
    return *sql;
}

static bool put_columns(char **sql, int flags, const char *key, const char *where,
                        const char *table, const char *tail)
{
    const char *value = flags & KVI_SQL_VALUE ? "t.value_data" : "";
    const char *left = flags & KVI_SQL_EXPIRY ? LEFT : "";
    const char *first = *key && flags & (KVI_SQL_VALUE | KVI_SQL_EXPIRY) ? ", " : "";
    const char *second = *value && *left ? ", " : "";
    const char *none = !*value && !*left && !*key ? "1" : "";

    if (asprintf(sql, "SELECT %s%s%s%s%s%s FROM %s t WHERE %s AND " LIVE_THEN "%s", key, first,
                 value, second, left, none, table, where, tail) < 0)
        *sql = NULL;
    return *sql;
}

/* In the order of bytes, whatever the column's collation; where that is "C", its own index has it. */
static bool put_scan(char **sql, int flags, const char *table)
{
    char where[120];

    snprintf(where, sizeof(where), "t.key_name COLLATE \"C\" %s $1::text%s",
             flags & SCAN_AFTER ? ">" : ">=",
             flags & SCAN_BELOW ? " AND t.key_name COLLATE \"C\" < $3::text" : "");
    return put_columns(sql, flags & (KVI_SQL_VALUE | KVI_SQL_EXPIRY), "t.key_name", where, table,
                       " ORDER BY t.key_name COLLATE \"C\" LIMIT $2::bigint");
}

/* Names under a prefix, and how many hold a '%' behind it: those may be nobody's encoding of anything. */
static bool put_count(char **sql, bool below, const char *table)
{
    static const char percent[] = "'%'"; /* kept out of the format */

    if (asprintf(sql,
                 "SELECT count(*), count(*) FILTER (WHERE position(%s IN substr(t.key_name, "
                 "$2::integer)) > 0) "
                 "FROM %s t WHERE t.key_name COLLATE \"C\" >= $1::text%s AND " LIVE_THEN,
                 percent, table, below ? " AND t.key_name COLLATE \"C\" < $3::text" : "") < 0)
        *sql = NULL;
    return *sql;
}

bool kvi_pg_statements_make(pg_instance *instance)
{
    static const struct {
        int statement;
        const char *format;
    } all[] = {
        {PG_TAKE, take_many},
        {PG_TOUCH, touch_many},
        {PG_SET, set_one},
        {PG_MSET, set_many},
        {PG_DELETE, delete_one},
        {PG_MDELETE, delete_many},
        {PG_ADD, add_many},
        {PG_LOCK, lock_many},
        {PG_FETCH, fetch_many},
        {PG_JUDGE, judge_many},
        {PG_SWEEP, sweep_some},
        {PG_LIMIT, limit_session},
        {PG_LIMIT_LOCAL, limit_local},
    };
    const char *table = instance->settings.table;
    char **sql = instance->sql;
    bool made = true;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && made; i++)
        made = put(&sql[all[i].statement], all[i].format, table);
    for (int flags = 0; flags < 4 && made; flags++)
        made = put_columns(&sql[PG_GET + flags], flags, "", "t.key_name = $1::text", table, "") &&
               put_columns(&sql[PG_MGET + flags], flags, "t.key_name", ASKED, table, "");
    for (int flags = 0; flags < 16 && made; flags++)
        made = put_scan(&sql[PG_SCAN + flags], flags, table);
    return made && put_count(&sql[PG_COUNT], false, table) && put_count(&sql[PG_COUNT + 1], true, table);
}

void kvi_pg_statements_free(pg_instance *instance)
{
    for (int i = 0; i < PG_STATEMENTS; i++)
        free(instance->sql[i]);
}
