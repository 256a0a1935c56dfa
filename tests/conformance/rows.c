/* The rows of the suite: which stores it runs on, from the table below and the environment. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "suite.h"

extern char **environ;

static const row local_rows[] = {
#define MEMORY(title, options)                                         \
    {                                                                  \
        "memory" title, "memory:{name}" options, ROW_OWN | ROW_PRIVATE \
    }
    MEMORY("", ""),
    MEMORY("-blocking", "?shape=blocking"),
    MEMORY("-stepped", "?shape=stepped&steps=4&seed=1"),
    MEMORY("-emulated", "?native=false"),
    MEMORY("-emulated-stepped", "?native=false&shape=stepped&steps=3&seed=2"),
    MEMORY("-counter", "?versions=counter"),
    MEMORY("-counter-emulated", "?versions=counter&native=false"),
    MEMORY("-text", "?text_keys=true"),
    MEMORY("-path", "?path_keys=true"),
    MEMORY("-text-path-namespace", "?text_keys=true&path_keys=true&namespace=a%2Fb%3Ac"),
    MEMORY("-unordered", "?order=none"),
    MEMORY("-not-atomic", "?atomic=false"),
    MEMORY("-chunks", "?max_items=3"),
    MEMORY("-chunks-stepped", "?max_items=2&shape=stepped&steps=5&seed=3"),
    MEMORY("-partial", "?partial_rate=0.3&seed=4"),
    MEMORY("-partial-stepped", "?partial_rate=0.3&shape=stepped&steps=2&seed=5"),
    MEMORY("-resolution", "?ttl_resolution=100ms"),
    MEMORY("-reserved", "?reserved_prefix=kivi"),
    MEMORY("-small", "?max_key=600&max_value=100000&max_bytes=40000"),
    MEMORY("-grouped", "?shape=blocking&group_commit=true&commit_time=1ms"),
    MEMORY("-json", "?codec=json"),
    MEMORY("-namespace", "?namespace=spaced"),
    MEMORY("-everything",
           "?shape=stepped&steps=3&seed=6&native=false&versions=counter&text_keys=true"
           "&path_keys=true&order=none&max_items=3&partial_rate=0.2&namespace=n&codec=json"),
#undef MEMORY
    {"lmdb", "lmdb:{dir}/data.mdb", ROW_OWN},
    {"lmdb-directory", "lmdb:{dir}/folder/", ROW_OWN},
    {"lmdb-unsynced", "lmdb:{dir}/data.mdb?sync=false", ROW_OWN},
    {"lmdb-json", "lmdb:{dir}/data.mdb?codec=json&sync=false", ROW_OWN},
    {"lmdb-namespace", "lmdb:{dir}/data.mdb?namespace=spaced&sync=false", ROW_OWN},
    {"lmdb-escapes", "lmdb:{dir}/data.mdb?namespace=a%3Ab%25&sync=false", ROW_OWN},
};
#define LOCAL_COUNT (sizeof local_rows / sizeof *local_rows)

typedef struct row_list {
    row *rows;
    size_t count, room;
} row_list;

static void add_row(row_list *list, const char *name, const char *url, unsigned traits)
{
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 64;
        list->rows = realloc(list->rows, list->room * sizeof *list->rows);
        if (!list->rows)
            abort();
    }
    row *added = &list->rows[list->count++];
    memset(added, 0, sizeof *added);
    if (snprintf(added->name, sizeof added->name, "%s", name) >= (int)sizeof added->name ||
        snprintf(added->url, sizeof added->url, "%s", url) >= (int)sizeof added->url) {
        fprintf(stderr, "conformance: the row %s is too long\n", name);
        exit(2);
    }
    added->traits = traits;
}

/* KIVI_TEST_REDIS_TLS=rediss://... becomes a row redis-tls. */
static void add_environment(row_list *list)
{
    static const char start[] = "KIVI_TEST_";
    for (char **variable = environ; *variable; variable++) {
        const char *equals = strchr(*variable, '=');
        if (!equals || strncmp(*variable, start, sizeof start - 1) != 0 || !equals[1])
            continue;
        char name[48];
        size_t size = 0;
        for (const char *at = *variable + sizeof start - 1; at < equals && size + 1 < sizeof name; at++)
            name[size++] = *at == '_' ? '-' : (char)tolower((unsigned char)*at);
        name[size] = 0;
        add_row(list, name, equals + 1, 0);
    }
}

static bool named(const char *list, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, size) == 0 && (at[size] == ',' || at[size] == 0))
            return true;
    return false;
}

/* A name asked for that no row has would else pass without having run. */
static void expect_all_known(const row_list *list, const char *wanted)
{
    char *copy = strdup(wanted), *rest = NULL;
    for (char *name = strtok_r(copy, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        bool known = false;
        for (size_t i = 0; i < list->count; i++)
            known = known || strcmp(list->rows[i].name, name) == 0;
        if (!known) {
            fprintf(stderr, "conformance: no row is called %s; the rows are", name);
            for (size_t i = 0; i < list->count; i++)
                fprintf(stderr, " %s", list->rows[i].name);
            fprintf(stderr, "\n");
            exit(2);
        }
    }
    free(copy);
}

static unsigned traits_of_url(const char *url)
{
    const char *said = getenv("KIVI_CONFORMANCE_PRIVATE");
    bool alone = said ? strcmp(said, "1") == 0 : strncmp(url, "memory:", 7) == 0;
    bool own = alone || strstr(url, "{dir}");
    return (own ? ROW_OWN : 0) | (alone ? ROW_PRIVATE : 0);
}

static void choose_rows(row_list *list)
{
    const char *url = getenv("KIVI_CONFORMANCE_URL");
    if (url && *url) {
        add_row(list, "url", url, traits_of_url(url));
        return;
    }
    for (size_t i = 0; i < LOCAL_COUNT; i++)
        add_row(list, local_rows[i].name, local_rows[i].url, local_rows[i].traits);
    add_environment(list);
    const char *wanted = getenv("KIVI_CONFORMANCE_ROWS");
    if (!wanted || !*wanted)
        return;
    expect_all_known(list, wanted);
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (named(wanted, list->rows[i].name))
            list->rows[kept++] = list->rows[i];
    list->count = kept;
}

/* One copy for all cases: the memory that reaches their processes is small. */
row *rows_chosen(size_t *count)
{
    static row *chosen;
    static size_t chosen_count;
    if (!chosen) {
        row_list list = {NULL, 0, 0};
        choose_rows(&list);
        chosen_count = list.count;
        chosen = cr_malloc((list.count + 1) * sizeof *chosen);
        if (!chosen)
            abort();
        memcpy(chosen, list.rows, list.count * sizeof *chosen);
        free(list.rows);
    }
    *count = chosen_count;
    return chosen;
}

void rows_prepare(void)
{
    const char *base = getenv("TMPDIR");
    char path[256];
    snprintf(path, sizeof path, "%s/kivi-conformance-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(path)) {
        fprintf(stderr, "conformance: cannot make %s: %s\n", path, strerror(errno));
        exit(2);
    }
    setenv("KIVI_CONFORMANCE_FOLDER", path, 1);
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about, (void)kind, (void)where;
    return remove(path);
}

void rows_clean_up(void)
{
    const char *path = getenv("KIVI_CONFORMANCE_FOLDER");
    if (path)
        nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
