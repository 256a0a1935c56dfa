/* The table as the server tells of it, and what it lacks. */
#include "pg.h"

#include <stdio.h>
#include <stdlib.h>

const char kvi_pg_ask_table[] =
    "SELECT current_setting('server_encoding') = 'UTF8', "
    "NOT (pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean), "
    "current_setting('synchronous_commit') <> 'off' AND current_setting('fsync')::boolean AND "
    "coalesce(c.relpersistence = 'p', true), "
    "c.oid IS NOT NULL, "
    "coalesce(col_description(c.oid, e.attnum) LIKE 'kivi%', false), "
    "EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid "
    "AND "
    "x.indpred IS NULL AND x.indnkeyatts = 1 AND x.indkey[0] = k.attnum), "
    "EXISTS (SELECT FROM pg_index x JOIN pg_collation y ON y.oid = x.indcollation[0] WHERE "
    "x.indrelid = c.oid AND "
    "x.indisvalid AND x.indpred IS NULL AND x.indkey[0] = k.attnum AND y.collname IN ('C', "
    "'POSIX')), "
    "coalesce(o.collisdeterministic, true), "
    "CASE WHEN k.atttypid = 'varchar'::regtype AND k.atttypmod > 4 THEN k.atttypmod - 4 END, "
    "format_type(k.atttypid, k.atttypmod), format_type(v.atttypid, v.atttypmod), "
    "format_type(e.atttypid, e.atttypmod), format_type(h.atttypid, h.atttypmod) "
    "FROM (SELECT to_regclass($1::text) AS oid) r LEFT JOIN pg_class c ON c.oid = r.oid "
    "LEFT JOIN pg_attribute k ON k.attrelid = c.oid AND k.attname = 'key_name' AND NOT "
    "k.attisdropped "
    "LEFT JOIN pg_attribute v ON v.attrelid = c.oid AND v.attname = 'value_data' AND NOT "
    "v.attisdropped "
    "LEFT JOIN pg_attribute e ON e.attrelid = c.oid AND e.attname = 'kivi_expires' AND NOT "
    "e.attisdropped "
    "LEFT JOIN pg_attribute h ON h.attrelid = c.oid AND h.attname = 'kivi_hash' AND NOT "
    "h.attisdropped "
    "LEFT JOIN pg_collation o ON o.oid = k.attcollation";

void kvi_pg_table_read(pg_table *table, const PGresult *result)
{
    bool *const flags[] = {&table->utf8,   &table->writes, &table->durable, &table->exists,
                           &table->marked, &table->unique, &table->scans,   &table->same_bytes};
    char *const types[] = {table->key_type, table->value_type, table->expires_type, table->hash_type};

    *table = (pg_table){.answered = true};
    for (int i = 0; i < 8; i++)
        *flags[i] = *PQgetvalue(result, 0, i) == 't';
    table->key_most = strtoll(PQgetvalue(result, 0, 8), NULL, 10);
    for (int i = 0; i < 4; i++)
        snprintf(types[i], sizeof(table->key_type), "%s", PQgetvalue(result, 0, 9 + i));
}

static bool is_text(const char *type)
{
    return strcmp(type, "text") == 0 || strncmp(type, "character varying", 17) == 0;
}

const char *kvi_pg_table_lacks(const pg_table *table, const char *name, char text[PG_MEND])
{
    int head = snprintf(text, PG_MEND, "ALTER TABLE %.250s", name), size = head;

    if (!is_text(table->key_type) || !table->same_bytes)
        size += snprintf(text + size, PG_MEND - (size_t)size,
                         ", ALTER COLUMN key_name TYPE text COLLATE \"C\"");
    if (strcmp(table->value_type, "text") == 0 || strncmp(table->value_type, "character", 9) == 0)
        size += snprintf(
            text + size, PG_MEND - (size_t)size,
            ", ALTER COLUMN value_data TYPE bytea USING convert_to(value_data, 'UTF8')");
    else if (strcmp(table->value_type, "bytea") != 0)
        size += snprintf(
            text + size, PG_MEND - (size_t)size,
            ", ALTER COLUMN value_data TYPE bytea USING convert_to(value_data::text, 'UTF8')");
    if (!*table->expires_type)
        size += snprintf(text + size, PG_MEND - (size_t)size, ", ADD COLUMN kivi_expires timestamptz");
    if (!*table->hash_type)
        size += snprintf(text + size, PG_MEND - (size_t)size, ", ADD COLUMN kivi_hash bytea");
    if (!table->unique)
        size += snprintf(text + size, PG_MEND - (size_t)size, ", ADD PRIMARY KEY (key_name)");
    if (size == head)
        return NULL;
    text[head] = ' '; /* the first comma */
    return text;
}
