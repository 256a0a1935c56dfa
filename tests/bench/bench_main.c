/* The bench: `kivi-bench [--rows get*,scan] [--rounds N] [--quick] ...`; tools/bench calls it. */
#include "bench_run.h"

#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

extern const bench_group bench_get_group, bench_set_group, bench_scan_group, bench_values_group;
#ifdef KIVI_BENCH_ROCKSDB
extern const bench_group bench_rocksdb_group;
#endif
#ifdef KIVI_BENCH_REDIS
extern const bench_group bench_redis_group, bench_redis_queue_group, bench_redis_reader_group;
#endif
#ifdef KIVI_BENCH_MEMCACHED
extern const bench_group bench_memcached_group;
#endif
#ifdef KIVI_BENCH_POSTGRESQL
extern const bench_group bench_postgresql_group;
#endif
#ifdef KIVI_BENCH_MYSQL
extern const bench_group bench_mysql_group;
#endif

static const bench_group *const groups[] = {
    &bench_get_group,        &bench_set_group,         &bench_scan_group,
    &bench_values_group,
#ifdef KIVI_BENCH_ROCKSDB
    &bench_rocksdb_group,
#endif
#ifdef KIVI_BENCH_REDIS
    &bench_redis_group,      &bench_redis_queue_group, &bench_redis_reader_group,
#endif
#ifdef KIVI_BENCH_MEMCACHED
    &bench_memcached_group,
#endif
#ifdef KIVI_BENCH_POSTGRESQL
    &bench_postgresql_group,
#endif
#ifdef KIVI_BENCH_MYSQL
    &bench_mysql_group,
#endif
};

bench_run_settings bench_settings = {.dir = ".", .kivi = "kivi", .rounds = 21, .round_ms = 100};

bool bench_quick(void)
{
    return bench_settings.quick;
}

bool bench_wanted(const char *name)
{
    char pattern[64];
    const char *rest = bench_settings.rows;
    if (!rest)
        return true;
    while (*rest) {
        size_t length = strcspn(rest, ",");
        snprintf(pattern, sizeof pattern, "%.*s", (int)length, rest);
        if (!fnmatch(pattern, name, 0))
            return true;
        rest += length + (rest[length] == ',');
    }
    return false;
}

static void list_rows(void)
{
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
        for (size_t i = 0; i < groups[g]->count; i++)
            printf("%-16s %s; beside %s\n", groups[g]->rows[i].name, groups[g]->rows[i].title,
                   groups[g]->rows[i].peer);
}

static _Noreturn void show_usage(FILE *out, int code)
{
    fputs("usage: kivi-bench [options]\n"
          "  --rows PATTERNS   only these, separated by commas: get*,scan\n"
          "  --rounds N        rounds of each row (21)\n"
          "  --quick           few short rounds, to see that everything runs\n"
          "  --dir DIRECTORY   where the databases go; on a disk (.)\n"
          "  --results FILE    JSON lines go there\n"
          "  --kivi COMMAND    the kivi command to time (kivi)\n"
          "  --list            name the rows\n",
          out);
    exit(code);
}

static unsigned read_rounds(const char *text)
{
    char *end;
    unsigned long rounds = strtoul(text, &end, 10);
    if (*end || !rounds || rounds > 1001)
        bench_fail("--rounds %s: 1 to 1001", text);
    return (unsigned)rounds;
}

static void read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"rows", required_argument, NULL, 'r'},
        {"rounds", required_argument, NULL, 'n'},
        {"quick", no_argument, NULL, 'q'},
        {"dir", required_argument, NULL, 'd'},
        {"results", required_argument, NULL, 'o'},
        {"kivi", required_argument, NULL, 'k'},
        {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *results = NULL;
    unsigned rounds = 0;
    int letter;
    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (letter) {
        case 'r':
            bench_settings.rows = optarg;
            break;
        case 'n':
            rounds = read_rounds(optarg);
            break;
        case 'q':
            bench_settings.quick = true;
            break;
        case 'd':
            bench_settings.dir = optarg;
            break;
        case 'o':
            results = optarg;
            break;
        case 'k':
            bench_settings.kivi = optarg;
            break;
        case 'l':
            list_rows();
            exit(0);
        case 'h':
            show_usage(stdout, 0);
        default:
            show_usage(stderr, 2);
        }
    }
    if (optind < argc)
        show_usage(stderr, 2);
    if (rounds || bench_settings.quick)
        bench_settings.rounds = rounds ? rounds : 3;
    if (results && !(bench_settings.results = fopen(results, "w")))
        bench_fail("%s: %s", results, strerror(errno));
}

/* Durable rows on a file system in memory would measure nothing. */
static void check_directory(void)
{
    struct statfs info;
    if (statfs(bench_settings.dir, &info))
        bench_fail("%s: %s", bench_settings.dir, strerror(errno));
    if (info.f_type == 0x01021994 /* tmpfs */)
        printf("warning: %s is a tmpfs: durable rows say nothing here\n", bench_settings.dir);
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    check_directory();
#ifndef __OPTIMIZE__
    puts("warning: built without optimization: the numbers say nothing");
#endif
    bench_report_machine();
    bench_run_facts();
#ifdef KIVI_BENCH_REDIS
    bench_run_redis_facts();
#endif
    bench_report_header();
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
        for (size_t i = 0; i < groups[g]->count; i++)
            if (bench_wanted(groups[g]->rows[i].name))
                bench_run_row(&groups[g]->rows[i]);
    if (bench_settings.results && fclose(bench_settings.results))
        bench_fail("the results could not be written: %s", strerror(errno));
    return 0;
}
