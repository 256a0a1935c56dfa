/* Counting what a process has. */
#include "amount.h"

#include <dirent.h>
#include <malloc.h>

#include "faults.h"

static unsigned entries_of(const char *path)
{
    DIR *all = opendir(path);
    unsigned count = 0;

    CHECK(all != NULL);
    while (readdir(all))
        count++;
    closedir(all);
    return count;
}

static unsigned lines_of(const char *path)
{
    FILE *file = fopen(path, "r");
    unsigned lines = 0;

    CHECK(file != NULL);
    for (int c; (c = getc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

static size_t resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;

    CHECK(file && fscanf(file, "%*u %lu", &pages) == 1);
    fclose(file);
    return pages * 4;
}

/* A thread may end before its name is read: then it is none. */
static bool counts(const char *thread)
{
    char path[300], name[32] = "";
    FILE *file;
    bool read;

    snprintf(path, sizeof(path), "/proc/self/task/%s/comm", thread);
    file = fopen(path, "r");
    read = file && fgets(name, sizeof(name), file);
    if (file)
        fclose(file);
    return read && strcmp(name, "proxy\n") != 0;
}

unsigned amount_threads(void)
{
    DIR *all = opendir("/proc/self/task");
    const struct dirent *entry;
    unsigned count = 0;

    CHECK(all != NULL);
    while ((entry = readdir(all)))
        count += entry->d_name[0] != '.' && counts(entry->d_name);
    closedir(all);
    return count;
}

unsigned amount_descriptors(void)
{
    return entries_of("/proc/self/fd");
}

amount amount_now(void)
{
    malloc_trim(0);
    return (amount){amount_descriptors(), lines_of("/proc/self/maps"), amount_threads(),
                    mallinfo2().uordblks, resident_kib()};
}

void amount_expect(const char *what, amount before, amount after, size_t more)
{
    printf("%s: heap %zu then %zu bytes, resident %zu then %zu KiB, %u then %u maps\n", what,
           before.heap, after.heap, before.resident, after.resident, before.maps, after.maps);
    fflush(stdout);
    CHECK_NUMBER(after.descriptors, before.descriptors);
    CHECK_NUMBER(after.threads, before.threads);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK_SAYING(after.heap < before.heap + more, "the heap grew");
#else
    (void)more; /* they keep freed memory; what leaks AddressSanitizer tells by itself */
#endif
}
