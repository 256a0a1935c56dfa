/* The table as the server tells of it, and what it lacks. */
#include "my.h"

#include <stdio.h>
#include <stdlib.h>

/* Rows of five columns: of the server itself, of each column, and of an index that finds keys. */
void kvi_my_table_ask(my_session *session)
{
    kivi_slice name = kivi_str(session->instance->settings.name);

    kvi_my_statement(session, GROUP_LOGIN);
    kvi_my_put(session, "SELECT '', @@max_allowed_packet, @@global.read_only, "
                        "@@global.innodb_flush_log_at_trx_commit, ''");
    kvi_my_statement(session, GROUP_LOGIN);
    kvi_my_put(
        session,
        "SELECT COLUMN_NAME, COLUMN_TYPE, COLUMN_COMMENT, '', '' FROM information_schema.COLUMNS "
        "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ");
    kvi_my_put_bytes(session, name);
    kvi_my_statement(session, GROUP_LOGIN);
    kvi_my_put(session,
               "SELECT 'unique', MAX(COLUMN_NAME), '', '', '' FROM information_schema.STATISTICS "
               "WHERE TABLE_SCHEMA = DATABASE() AND NON_UNIQUE = 0 AND SUB_PART IS NULL AND "
               "TABLE_NAME = ");
    kvi_my_put_bytes(session, name);
    kvi_my_put(session, " GROUP BY INDEX_NAME HAVING COUNT(*) = 1");
}

static void keep(char text[64], const char *type)
{
    snprintf(text, 64, "%s", type);
}

static void take_row(my_table *table, char *const *row)
{
    const char *name = row[0], *what = row[1] ? row[1] : "";

    if (!*name) {
        table->packet = strtoull(what, NULL, 10);
        table->writes = strcmp(row[2], "0") == 0;
        table->durable = strcmp(row[3], "1") == 0;
    } else if (strcmp(name, "unique") == 0) {
        table->unique = table->unique || strcmp(what, "key_name") == 0;
    } else if (strcmp(name, "key_name") == 0) {
        table->exists = true;
        keep(table->key_type, what);
    } else if (strcmp(name, "value_data") == 0) {
        keep(table->value_type, what);
    } else if (strcmp(name, "kivi_expires") == 0) {
        keep(table->expires_type, what);
        table->marked = strncmp(row[2], "kivi", 4) == 0;
    } else if (strcmp(name, "kivi_hash") == 0) {
        keep(table->hash_type, what);
    }
    table->exists = table->exists || (*name && strcmp(name, "unique") != 0);
}

void kvi_my_table_rows(my_table *table, MYSQL_RES *rows)
{
    MYSQL_ROW row;

    if (mysql_num_fields(rows) != 5)
        return;
    while ((row = mysql_fetch_row(rows)))
        if (row[0] && row[2] && row[3])
            take_row(table, row);
}

const char *kvi_my_table_lacks(const my_table *table, const char *name, char text[MY_MEND])
{
    int head = snprintf(text, MY_MEND, "ALTER TABLE %.250s", name), size = head;

    if (strncmp(table->key_type, "varbinary", 9) != 0)
        size += snprintf(text + size, MY_MEND - (size_t)size, ", MODIFY key_name VARBINARY(255) NOT NULL");
    if (!strstr(table->value_type, "blob"))
        size += snprintf(text + size, MY_MEND - (size_t)size, ", MODIFY value_data LONGBLOB NOT NULL");
    if (!*table->expires_type)
        size += snprintf(
            text + size, MY_MEND - (size_t)size,
            ", ADD COLUMN kivi_expires BIGINT NULL, ADD INDEX kivi_expires (kivi_expires)");
    if (!*table->hash_type)
        size += snprintf(text + size, MY_MEND - (size_t)size, ", ADD COLUMN kivi_hash BINARY(8) NULL");
    if (!table->unique)
        size += snprintf(text + size, MY_MEND - (size_t)size, ", ADD PRIMARY KEY (key_name)");
    if (size == head)
        return NULL;
    text[head] = ' '; /* the first comma */
    return text;
}
