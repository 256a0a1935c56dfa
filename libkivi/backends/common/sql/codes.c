/* What servers refuse, by their codes: never by their words, which may hold keys and values. */
#include "sql.h"

const kvi_sql_code *kvi_sql_find_code(const kvi_sql_code *codes, size_t count, const char *code)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(code, codes[i].code, strlen(codes[i].code)) == 0)
            return &codes[i];
    return NULL;
}

int64_t kvi_sql_code_number(const char *code)
{
    int64_t number = 0;

    for (int i = 0; i < 12 && code[i]; i++) {
        if (code[i] >= '0' && code[i] <= '9')
            number = number * 36 + (code[i] - '0');
        else if (code[i] >= 'A' && code[i] <= 'Z')
            number = number * 36 + (code[i] - 'A' + 10);
    }
    return number;
}
