/* The rows of the suite: which stores it runs on, from rows.txt and the environment. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "suite.h"

extern char **environ;

typedef struct row_list {
    row *rows;
    size_t count, room;
} row_list;

static row *add_row(row_list *list, const char *name, const char *url)
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
    return added;
}

static void add_trait(row *to, const char *trait)
{
    static const struct {
        const char *name;
        unsigned trait;
    } known[] = {{"own", ROW_OWN},
                 {"private", ROW_PRIVATE},
                 {"queue", ROW_QUEUE},
                 {"slow", ROW_SLOW},
                 {"single", ROW_SINGLE | ROW_CHILDLESS},
                 {"childless", ROW_CHILDLESS},
                 {"toolless", ROW_TOOLLESS},
                 {"long", ROW_LONG}};
    static const char reserved[] = "reserved=";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(trait, known[i].name) == 0) {
            to->traits |= known[i].trait;
            return;
        }
    if (strncmp(trait, reserved, sizeof reserved - 1) == 0) {
        snprintf(to->reserved, sizeof to->reserved, "%s", trait + sizeof reserved - 1);
        return;
    }
    fprintf(stderr, "conformance: the row %s has an unknown trait %s\n", to->name, trait);
    exit(2);
}

/* A URL with a place for a name or folder of the case's own has a keyspace of its own. */
static void add_traits(row *to, char *words)
{
    bool own = strstr(to->url, "{name}") || strstr(to->url, "{dir}");
    to->traits = own ? ROW_OWN : 0;
    char *rest = NULL;
    for (char *word = strtok_r(words, " ,\n", &rest); word; word = strtok_r(NULL, " ,\n", &rest))
        add_trait(to, word);
}

static void add_local(row_list *list)
{
    char line[1024];
    FILE *table = fopen(KIVI_ROWS, "re");
    if (!table) {
        fprintf(stderr, "conformance: %s: %s\n", KIVI_ROWS, strerror(errno));
        exit(2);
    }
    while (fgets(line, sizeof line, table)) {
        char *rest = NULL, *name = strtok_r(line, " \n", &rest), *url = strtok_r(NULL, " \n", &rest);
        if (name && url && *name != '#')
            add_traits(add_row(list, name, url), rest);
    }
    fclose(table);
}

/* Traits of a row that the environment gives: KIVI_TRAITS_REDIS=queue for KIVI_TEST_REDIS. */
static void add_traits_in_environment(row *to, const char *variable)
{
    char words[256];
    const char *said = getenv(variable);
    snprintf(words, sizeof words, "%s", said ? said : "");
    add_traits(to, words);
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
        char traits[64];
        snprintf(traits, sizeof traits, "KIVI_TRAITS_%.*s",
                 (int)(equals - *variable - (int)sizeof start + 1), *variable + sizeof start - 1);
        add_traits_in_environment(add_row(list, name, equals + 1), traits);
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

/* Whether a row belongs to one of the stores asked for: its name begins with the store's. */
static bool of_store(const char *stores, const char *name)
{
    if (!stores || !*stores)
        return true;
    char store[48];
    snprintf(store, sizeof store, "%.*s", (int)strcspn(name, "-"), name);
    return named(stores, store);
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

/* `named_ones`: NULL where all are wanted. */
static bool is_wanted(const row *one, const char *named_ones, const char *stores)
{
    const char *long_run = getenv("LONG");
    if (named_ones ? !named(named_ones, one->name) : one->traits & ROW_LONG && !(long_run && *long_run))
        return false;
    return of_store(stores, one->name);
}

static void choose_rows(row_list *list)
{
    const char *url = getenv("KIVI_CONFORMANCE_URL");
    if (url && *url) {
        add_traits_in_environment(add_row(list, "url", url), "KIVI_CONFORMANCE_TRAITS");
        return;
    }
    add_local(list);
    add_environment(list);
    const char *wanted = getenv("KIVI_CONFORMANCE_ROWS"), *stores = getenv("STORES");
    if (wanted && !*wanted)
        wanted = NULL;
    if (wanted)
        expect_all_known(list, wanted);
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (is_wanted(&list->rows[i], wanted, stores))
            list->rows[kept++] = list->rows[i];
    list->count = kept;
    if (kept == 0) {
        fprintf(stderr, "conformance: no row is left of KIVI_CONFORMANCE_ROWS and STORES\n");
        exit(2);
    }
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

/* ---- what was passed over ---- */

static FILE *passed_over_lines(const char *how)
{
    char path[300];
    snprintf(path, sizeof path, "%s/passed-over", getenv("KIVI_CONFORMANCE_FOLDER"));
    return fopen(path, how);
}

void passed_over(subject *s, const char *reason)
{
    FILE *lines = passed_over_lines("ae");
    EXPECT(lines != NULL);
    EXPECT(fprintf(lines, "%s on %s: %s\n", s->title, s->row->name, reason) > 0);
    EXPECT(fclose(lines) == 0);
}

static void tell_what_was_passed_over(void)
{
    FILE *lines = passed_over_lines("re");
    char line[512];
    unsigned count = 0;
    for (; lines && fgets(line, sizeof line, lines); count++)
        fprintf(stderr, "passed over: %s", line);
    if (lines)
        fclose(lines);
    fprintf(stderr, "%u cases were passed over because of a row's traits\n", count);
}

void rows_clean_up(void)
{
    const char *path = getenv("KIVI_CONFORMANCE_FOLDER");
    if (path)
        tell_what_was_passed_over();
    if (path)
        nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
