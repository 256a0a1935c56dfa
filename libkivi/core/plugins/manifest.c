/* Manifests: the text files beside plugins that tell of them without loading anything. */
#include "../base/platform.h"
#include "../base/regular.h"
#include "loader.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SUFFIX ".plugin"
#define LINE_MAX_SIZE 4096
#define MANIFEST_MOST 65536

/* ---- Texts that live as long as the process ---- */

typedef struct kept {
    struct kept *next;
    char text[];
} kept;

static kept *all_kept;

const char *kvi_intern(const char *text, size_t size)
{
    for (kept *at = all_kept; at; at = at->next)
        if (strlen(at->text) == size && !memcmp(at->text, text, size))
            return at->text;
    kept *made = malloc(sizeof(*made) + size + 1);
    if (!made)
        return NULL;
    memcpy(made->text, text, size);
    made->text[size] = '\0';
    made->next = all_kept;
    all_kept = made;
    return made->text;
}

KIVI_PRINTF(1, 2) static const char *intern_format(const char *format, ...)
{
    char *text;
    va_list given;
    va_start(given, format);
    int size = vasprintf(&text, format, given);
    va_end(given);
    if (size < 0)
        return NULL;
    const char *interned = kvi_intern(text, (size_t)size);
    free(text);
    return interned;
}

/* ---- One manifest ---- */

/* The place that a key's value goes to; NULL: a key that this library does not know. */
static const char **place_of(kvi_manifest *manifest, const char *key, size_t size)
{
    const struct {
        const char *key;
        const char **place;
    } places[] = {{"name", &manifest->name},
                  {"schemes", &manifest->schemes},
                  {"file", &manifest->file},
                  {"package", &manifest->package}};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (strlen(places[i].key) == size && !memcmp(places[i].key, key, size))
            return places[i].place;
    return NULL;
}

/* Cuts spaces off both ends and answers where the text then begins. */
static char *trim(char *text)
{
    text += strspn(text, " \t\r\n");
    size_t size = strlen(text);
    while (size && strchr(" \t\r\n", text[size - 1]))
        size--;
    text[size] = '\0';
    return text;
}

static bool is_text(const char *line)
{
    kivi_slice left = kivi_str(line);
    size_t size;
    for (; left.size; left = kivi_bytes((const char *)left.data + size, left.size - size))
        if (!kvi_utf8_is_printable(left, &size))
            return false;
    return true;
}

static kivi_status set_problem(kvi_manifest *manifest, const char *problem)
{
    manifest->problem = problem;
    return problem ? KIVI_OK : KIVI_NO_MEMORY;
}

static kivi_status read_line(kvi_manifest *manifest, char *line, unsigned number)
{
    line = trim(line);
    if (!*line || *line == '#')
        return KIVI_OK;
    char *colon = strchr(line, ':');
    if (!is_text(line) || !colon || colon == line)
        return set_problem(manifest, intern_format("line %u is no \"key: value\"", number));
    const char **place = place_of(manifest, line, (size_t)(colon - line));
    if (!place)
        return KIVI_OK;
    if (**place)
        return set_problem(manifest, intern_format("line %u gives \"%.*s\" a second time", number,
                                                   (int)(colon - line), line));
    const char *value = trim(colon + 1);
    *place = kvi_intern(value, strlen(value));
    return *place ? KIVI_OK : KIVI_NO_MEMORY;
}

static kivi_status read_lines(kvi_manifest *manifest, FILE *file)
{
    char line[LINE_MAX_SIZE];
    kivi_status status = KIVI_OK;
    for (unsigned number = 1; !status && !manifest->problem && fgets(line, sizeof(line), file); number++) {
        if (strlen(line) == sizeof(line) - 1)
            status = set_problem(manifest, intern_format("line %u is too long", number));
        else
            status = read_line(manifest, line, number);
    }
    if (!status && !manifest->problem && ferror(file))
        status = set_problem(manifest, intern_format("it cannot be read: %s", strerror(errno)));
    return status;
}

static bool is_scheme(const char *word, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bool letter = word[i] >= 'a' && word[i] <= 'z';
        bool other = (word[i] >= '0' && word[i] <= '9') || strchr("+-.", word[i]);
        if (!letter && (i == 0 || !other))
            return false;
    }
    return true;
}

static bool are_schemes(const char *words)
{
    const char *word;
    size_t size;
    while ((size = kvi_words_next(&words, &word)))
        if (!is_scheme(word, size))
            return false;
    return true;
}

static kivi_status check_manifest(kvi_manifest *manifest)
{
    if (!*manifest->name || !*manifest->schemes || !*manifest->file)
        return set_problem(manifest,
                           intern_format("it does not say \"%s\"", !*manifest->name      ? "name"
                                                                   : !*manifest->schemes ? "schemes"
                                                                                         : "file"));
    if (!are_schemes(manifest->schemes))
        return set_problem(manifest,
                           intern_format("its schemes are not words of a-z, 0-9, + - and ."));
    return KIVI_OK;
}

/* The plugin lies beside its manifest unless that names a whole path. */
static kivi_status find_file(kvi_manifest *manifest, const char *directory)
{
    if (*manifest->file != '/')
        manifest->file = intern_format("%s/%s", directory, manifest->file);
    return manifest->file ? KIVI_OK : KIVI_NO_MEMORY;
}

kivi_status kvi_manifest_read(const char *directory, const char *stem, kvi_manifest *manifest)
{
    *manifest = (kvi_manifest){NULL, NULL, "", "", "", "", NULL};
    manifest->stem = kvi_intern(stem, strlen(stem));
    manifest->path = intern_format("%s/%s" SUFFIX, directory, stem);
    if (!manifest->stem || !manifest->path)
        return KIVI_NO_MEMORY;
    char problem[KVI_REGULAR_PROBLEM];
    int descriptor = kvi_regular_open(manifest->path, MANIFEST_MOST, problem);
    if (descriptor < 0)
        return set_problem(manifest, intern_format("it cannot be read: %s", problem));
    FILE *file = fdopen(descriptor, "r");
    if (!file) {
        close(descriptor);
        return KIVI_NO_MEMORY;
    }
    kivi_status status = read_lines(manifest, file);
    fclose(file);
    if (!status && !manifest->problem)
        status = check_manifest(manifest);
    if (!status && !manifest->problem)
        status = find_file(manifest, directory);
    return status;
}

/* ---- A directory of them ---- */

static int has_suffix(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name), suffix = strlen(SUFFIX);
    return size > suffix && entry->d_name[0] != '.' && !strcmp(entry->d_name + size - suffix, SUFFIX);
}

/* By bytes: the order must not depend on the locale. */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* A usable manifest hides those of its name in directories that come later. */
static bool is_shadowed(const kvi_manifests *all, size_t count, const char *stem)
{
    for (size_t i = 0; i < count; i++)
        if (!all->items[i].problem && !strcmp(all->items[i].stem, stem))
            return true;
    return false;
}

static kivi_status add_manifest(kvi_manifests *all, const char *directory, const char *stem)
{
    if (is_shadowed(all, all->count, stem))
        return KIVI_OK;
    if (all->count == all->capacity) {
        size_t capacity = all->capacity ? all->capacity * 2 : 16;
        kvi_manifest *grown = kvi_realloc_array(all->items, capacity, sizeof(*grown));
        if (!grown)
            return KIVI_NO_MEMORY;
        all->items = grown;
        all->capacity = capacity;
    }
    kivi_status status = kvi_manifest_read(directory, stem, &all->items[all->count]);
    if (!status)
        all->count++;
    return status;
}

kivi_status kvi_manifests_add(kvi_manifests *all, const char *directory)
{
    struct dirent **entries;
    int count = scandir(directory, &entries, has_suffix, compare_names);
    if (count < 0)
        return errno == ENOMEM ? KIVI_NO_MEMORY : KIVI_OK;
    kivi_status status = KIVI_OK;
    for (int i = 0; i < count; i++) {
        if (!status) {
            entries[i]->d_name[strlen(entries[i]->d_name) - strlen(SUFFIX)] = '\0';
            status = add_manifest(all, directory, entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
    return status;
}
