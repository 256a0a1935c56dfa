/* C's part of the interop suite: writes the rows of table.txt into a store, and prints what a store holds. */
#include <inttypes.h>
#include <kivi/kivi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void die(const char *what, const kivi_error *error)
{
    fprintf(stderr, "interop: %s%s%s\n", what, error ? ": " : "", error ? kivi_error_message(error) : "");
    exit(3);
}

/* ---- bytes as text ---- */

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void read_hex(const char *text, kivi_buffer *bytes)
{
    uint8_t byte = 0;
    bytes->size = 0;
    for (; digit(text[0]) >= 0; text += 2) {
        byte = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
        kivi_buffer_append(bytes, kivi_bytes(&byte, 1));
    }
    if (*text != '*')
        return;
    size_t times = strtoul(text + 1, NULL, 10);
    kivi_buffer_reserve(bytes, times);
    while (bytes->size < times)
        kivi_buffer_append(bytes, kivi_bytes(&byte, 1));
}

static bool is_repeated(const uint8_t *data, size_t size)
{
    for (size_t i = 1; i < size; i++)
        if (data[i] != data[0])
            return false;
    return size > 16;
}

static void print_hex(const char *before, kivi_slice bytes)
{
    const uint8_t *data = bytes.data;
    bool repeated = is_repeated(data, bytes.size);
    printf(bytes.size ? "%s " : "%s", before);
    for (size_t i = 0; i < bytes.size && (i == 0 || !repeated); i++)
        printf("%02x", data[i]);
    if (repeated)
        printf("*%zu", bytes.size);
    putchar('\n');
}

/* ---- from tokens to bytes ---- */

static void write_token(kivi_writer *writer, const char *line, kivi_buffer *bytes)
{
    const char *given = strchr(line, ' ');
    char *rest;
    given = given ? given + 1 : "";
    if (strcmp(line, "nil") == 0)
        kivi_writer_nil(writer);
    else if (strcmp(line, "true") == 0 || strcmp(line, "false") == 0)
        kivi_writer_bool(writer, *line == 't');
    else if (strncmp(line, "int -", 5) == 0)
        kivi_writer_int(writer, strtoll(given, NULL, 10));
    else if (strncmp(line, "int ", 4) == 0)
        kivi_writer_uint(writer, strtoull(given, NULL, 10));
    else if (strncmp(line, "float ", 6) == 0)
        kivi_writer_float(writer, strtod(given, NULL));
    else if (strncmp(line, "array ", 6) == 0)
        kivi_writer_array(writer, strtoul(given, NULL, 10));
    else if (strncmp(line, "map ", 4) == 0)
        kivi_writer_map(writer, strtoul(given, NULL, 10));
    else if (strncmp(line, "time ", 5) == 0) {
        int64_t seconds = strtoll(given, &rest, 10);
        kivi_writer_timestamp(writer, seconds, (uint32_t)strtoul(rest, NULL, 10));
    } else if (strncmp(line, "ext ", 4) == 0) {
        int8_t type = (int8_t)strtol(given, &rest, 10);
        read_hex(*rest ? rest + 1 : rest, bytes);
        kivi_writer_ext(writer, type, kivi_buffer_slice(bytes));
    } else {
        read_hex(given, bytes);
        if (strncmp(line, "str", 3) == 0)
            kivi_writer_str(writer, kivi_buffer_slice(bytes));
        else
            kivi_writer_bin(writer, kivi_buffer_slice(bytes));
    }
}

typedef struct named_value {
    char name[80];
    bool open, raw; /* `raw`: its bytes stand in the table */
    kivi_buffer value;
} named_value;

static void store_row(kivi_store *store, kivi_writer *writer, named_value *row, bool raw_rows)
{
    kivi_error *error = NULL;
    if (!row->open)
        return;
    row->open = false;
    if (!row->raw && kivi_writer_finish(writer, &error))
        die(row->name, error);
    if (row->raw == raw_rows &&
        kivi_store_set(store, NULL, kivi_str(row->name), kivi_buffer_slice(&row->value), 0, &error))
        die(row->name, error);
}

/* Writes the rows of the table: those with bytes of their own, or all others. */
static void write_rows(kivi_store *store, FILE *table, bool raw_rows)
{
    char line[4096];
    kivi_buffer bytes = KIVI_BUFFER_INIT;
    named_value row = {.open = false};
    kivi_writer *writer;
    if (kivi_writer_new("msgpack", &writer, NULL))
        die("no writer", NULL);
    while (fgets(line, sizeof(line), table)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "row ", 4) == 0) {
            store_row(store, writer, &row, raw_rows);
            snprintf(row.name, sizeof(row.name), "%.79s", line + 4);
            row.open = true;
            row.raw = false;
            row.value.size = 0;
            kivi_writer_start(writer, &row.value);
        } else if (strncmp(line, "raw ", 4) == 0) {
            row.raw = true;
            read_hex(line + 4, &row.value);
        } else if (row.open && !row.raw && *line != '#' && strncmp(line, "except ", 7) != 0 &&
                   strncmp(line, "refuses ", 8) != 0) {
            write_token(writer, line, &bytes);
        }
    }
    store_row(store, writer, &row, raw_rows);
    kivi_writer_free(writer);
    kivi_buffer_free(&bytes);
    kivi_buffer_free(&row.value);
}

/* ---- from bytes to tokens ---- */

static void print_token(const kivi_token *token)
{
    char before[32];
    switch (token->type) {
    case KIVI_TOKEN_NIL:
        puts("nil");
        break;
    case KIVI_TOKEN_BOOL:
        puts(token->as.boolean ? "true" : "false");
        break;
    case KIVI_TOKEN_INT:
        printf("int %" PRId64 "\n", token->as.integer);
        break;
    case KIVI_TOKEN_UINT:
        printf("int %" PRIu64 "\n", token->as.uinteger);
        break;
    case KIVI_TOKEN_FLOAT:
        printf("float %.17g\n", token->as.real);
        break;
    case KIVI_TOKEN_ARRAY:
        printf("array %zu\n", token->as.count);
        break;
    case KIVI_TOKEN_MAP:
        printf("map %zu\n", token->as.count);
        break;
    case KIVI_TOKEN_TIMESTAMP:
        printf("time %" PRId64 " %" PRIu32 "\n", token->as.seconds, token->nanoseconds);
        break;
    case KIVI_TOKEN_EXT:
        snprintf(before, sizeof(before), "ext %d", (int)token->ext_type);
        print_hex(before, token->bytes);
        break;
    case KIVI_TOKEN_END:
        break;
    default:
        print_hex(token->type == KIVI_TOKEN_STR ? "str" : "bin", token->bytes);
    }
}

static void print_value(kivi_reader *reader, kivi_slice value)
{
    kivi_token token;
    kivi_status status;
    kivi_reader_start(reader, value);
    while ((status = kivi_reader_next(reader, &token)) == KIVI_OK)
        print_token(&token);
    if (status != KIVI_END)
        printf("error %s\n", kivi_status_name(status));
}

/* The stored bytes: whole where they are few, else how many, and their FNV-1a hash. */
static void print_bytes(kivi_slice value)
{
    const uint8_t *data = value.data;
    uint64_t hash = UINT64_C(14695981039346656037);
    if (value.size <= 200) {
        print_hex("raw", value);
        return;
    }
    for (size_t i = 0; i < value.size; i++)
        hash = (hash ^ data[i]) * UINT64_C(1099511628211);
    printf("raw of %zu %016" PRIx64 "\n", value.size, hash);
}

/* Every row, as tokens or as stored bytes. */
static void print_rows(kivi_store *store, bool as_bytes)
{
    kivi_pair pair = KIVI_PAIR_INIT;
    kivi_error *error = NULL;
    kivi_scan *scan;
    kivi_reader *reader;
    kivi_status status;
    if (kivi_reader_new("msgpack", NULL, &reader, NULL) || kivi_store_scan(store, NULL, &scan, &error))
        die("no scan", error);
    while ((status = kivi_scan_next(scan, NULL, &pair, &error)) == KIVI_OK) {
        printf("row %.*s\n", (int)pair.key.size, (const char *)pair.key.data);
        if (as_bytes)
            print_bytes(pair.value);
        else
            print_value(reader, pair.value);
    }
    if (status != KIVI_END)
        die("the scan failed", error);
    kivi_scan_free(scan);
    kivi_reader_free(reader);
}

int main(int argc, char **argv)
{
    kivi_store *store = NULL;
    kivi_error *error = NULL;
    FILE *table = argc == 4 ? fopen(argv[3], "r") : NULL;
    if (argc < 3 || (strcmp(argv[1], "write") == 0) + (strcmp(argv[1], "raw") == 0) != (table != NULL)) {
        fputs("usage: interop write|raw URL TABLE, interop read|bytes URL\n", stderr);
        return 2;
    }
    if (kivi_store_open(argv[2], NULL, NULL, &store, &error))
        die(argv[1], error);
    if (table) {
        write_rows(store, table, strcmp(argv[1], "raw") == 0);
        fclose(table);
    } else {
        print_rows(store, strcmp(argv[1], "bytes") == 0);
    }
    kivi_store_unref(store);
    return 0;
}
