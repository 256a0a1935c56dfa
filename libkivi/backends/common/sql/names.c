/* Names of tables in statements. */
#include "sql.h"

#include <stdlib.h>

static char *put(char *at, const char *name, char quote)
{
    *at++ = quote;
    for (; *name; name++) {
        if (*name == quote)
            *at++ = quote;
        *at++ = *name;
    }
    *at++ = quote;
    return at;
}

char *kvi_sql_quote(const char *schema, const char *table, char quote)
{
    size_t most = 2 * (strlen(table) + (schema ? strlen(schema) : 0)) + 6;
    char *quoted = malloc(most), *at = quoted;

    if (!quoted)
        return NULL;
    if (schema) {
        at = put(at, schema, quote);
        *at++ = '.';
    }
    at = put(at, table, quote);
    *at = '\0';
    return quoted;
}
