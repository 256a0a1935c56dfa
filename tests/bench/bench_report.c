/* What a run says: a table on standard output, and a JSON line for each row. */
#include "bench_run.h"

#include <inttypes.h>
#include <kivi/kivi.h>
#include <lmdb.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static void put_json_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        if ((unsigned char)*text >= ' ')
            fputc(*text, out);
    }
    fputc('"', out);
}

static void put_member(FILE *out, const char *name, const char *text)
{
    fprintf(out, ", \"%s\": ", name);
    put_json_text(out, text);
}

static void read_cpu_name(char *name, size_t size)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(name, size, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !value)
            continue;
        value[strcspn(value, "\n")] = '\0';
        snprintf(name, size, "%s", value + 2);
        break;
    }
    if (file)
        fclose(file);
}

void bench_report_machine(void)
{
    char cpu[128], date[32];
    struct utsname host;
    time_t now = time(NULL);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uname(&host);
    read_cpu_name(cpu, sizeof cpu);
    strftime(date, sizeof date, "%Y-%m-%d %H:%M", gmtime(&now));
    printf("libkivi %s, LMDB %d.%d.%d; %s, %ld cores, %s %s; %u rounds; %s UTC\n", kivi_version(),
           MDB_VERSION_MAJOR, MDB_VERSION_MINOR, MDB_VERSION_PATCH, cpu, cores, host.sysname,
           host.release, bench_settings.rounds, date);
    if (!bench_settings.results)
        return;
    FILE *out = bench_settings.results;
    fprintf(out, "{\"kind\": \"machine\", \"cores\": %ld, \"quick\": %s", cores,
            bench_settings.quick ? "true" : "false");
    put_member(out, "libkivi", kivi_version());
    put_member(out, "cpu", cpu);
    put_member(out, "kernel", host.release);
    put_member(out, "date", date);
    fprintf(out, ", \"lmdb\": \"%d.%d.%d\"}\n", MDB_VERSION_MAJOR, MDB_VERSION_MINOR, MDB_VERSION_PATCH);
}

void bench_report_header(void)
{
    printf("\n%-16s %10s %10s %8s %15s %9s  %s\n", "row", "peer", "libkivi", "ratio", "quartiles",
           "target", "");
    fflush(stdout);
}

static const char *format_time(double ns, char *text, size_t size)
{
    if (ns < 1000)
        snprintf(text, size, "%.1f ns", ns);
    else if (ns < 1000000)
        snprintf(text, size, "%.2f us", ns / 1000);
    else
        snprintf(text, size, "%.2f ms", ns / 1000000);
    return text;
}

static bool reached(const bench_row *row, double ratio)
{
    if (row->goal == BENCH_OPS_AT_LEAST)
        return ratio >= row->target;
    return row->target <= 0 || ratio <= row->target;
}

static void write_latency(FILE *out, const char *side, const struct bench_percentiles *took)
{
    fprintf(out, ", \"%s_p50_ns\": %.0f, \"%s_p99_ns\": %.0f, \"%s_p999_ns\": %.0f", side,
            took->p50, side, took->p99, side, took->p999);
}

static void write_more(FILE *out, const bench_row *row, const bench_outcome *outcome)
{
    if (row->cpu_target > 0)
        fprintf(out,
                ", \"peer_cpu_ns\": %.2f, \"ours_cpu_ns\": %.2f, \"cpu_ratio\": %.4f, "
                "\"cpu_target\": %.2f, \"cpu_reached\": %s",
                outcome->peer_cpu_ns, outcome->ours_cpu_ns, outcome->cpu_ratio, row->cpu_target,
                outcome->cpu_ratio <= row->cpu_target ? "true" : "false");
    if (!row->latency)
        return;
    write_latency(out, "peer", &outcome->peer_latency);
    write_latency(out, "ours", &outcome->ours_latency);
}

static void write_row(const bench_row *row, const bench_outcome *outcome)
{
    FILE *out = bench_settings.results;
    fprintf(out, "{\"kind\": \"row\"");
    put_member(out, "row", row->name);
    put_member(out, "title", row->title);
    put_member(out, "peer", row->peer);
    fprintf(out, ", \"threads\": %u, \"peer_threads\": %u", row->threads ? row->threads : 1,
            row->peer_threads ? row->peer_threads : 1);
    fprintf(out, ", \"rounds\": %u, \"iterations\": %" PRIu64, outcome->rounds, outcome->iterations);
    fprintf(out, ", \"peer_ns\": %.2f, \"ours_ns\": %.2f", outcome->peer_ns, outcome->ours_ns);
    fprintf(out, ", \"ratio\": %.4f, \"ratio_low\": %.4f, \"ratio_high\": %.4f", outcome->ratio,
            outcome->ratio_low, outcome->ratio_high);
    put_member(out, "ratio_of", row->goal == BENCH_OPS_AT_LEAST ? "ops" : "time");
    if (row->target > 0)
        fprintf(out, ", \"target\": %.2f, \"reached\": %s", row->target,
                reached(row, outcome->ratio) ? "true" : "false");
    write_more(out, row, outcome);
    fprintf(out, "}\n");
    fflush(out);
}

static void print_latency(const char *side, const struct bench_percentiles *took)
{
    char p50[32], p99[32], p999[32];
    printf("%-16s %10s p50 %s, p99 %s, p99.9 %s\n", "", side, format_time(took->p50, p50, sizeof p50),
           format_time(took->p99, p99, sizeof p99), format_time(took->p999, p999, sizeof p999));
}

static void print_more(const bench_row *row, const bench_outcome *outcome)
{
    char peer[32], ours[32];
    if (row->cpu_target > 0)
        printf("%-16s %10s %10s %7.2fx %15s <= %.2fx  %-8s CPU an operation\n", "",
               format_time(outcome->peer_cpu_ns, peer, sizeof peer),
               format_time(outcome->ours_cpu_ns, ours, sizeof ours), outcome->cpu_ratio, "",
               row->cpu_target, outcome->cpu_ratio <= row->cpu_target ? "reached" : "SHORT");
    if (!row->latency)
        return;
    print_latency("peer", &outcome->peer_latency);
    print_latency("libkivi", &outcome->ours_latency);
}

void bench_report_row(const bench_row *row, const bench_outcome *outcome)
{
    char peer[32], ours[32], target[32] = "", spread[32];
    const char *verdict = "";
    if (row->target > 0) {
        snprintf(target, sizeof target, "%s %.2fx",
                 row->goal == BENCH_OPS_AT_LEAST ? ">=" : "<=", row->target);
        verdict = reached(row, outcome->ratio) ? "reached" : "SHORT";
    }
    snprintf(spread, sizeof spread, "%.2f-%.2f", outcome->ratio_low, outcome->ratio_high);
    printf("%-16s %10s %10s %7.2fx %15s %9s  %-8s %s (%s)\n", row->name,
           format_time(outcome->peer_ns, peer, sizeof peer),
           format_time(outcome->ours_ns, ours, sizeof ours), outcome->ratio, spread, target,
           verdict, row->title, row->goal == BENCH_OPS_AT_LEAST ? "ops" : "time");
    print_more(row, outcome);
    fflush(stdout);
    if (bench_settings.results)
        write_row(row, outcome);
}

void bench_report_fact(const bench_fact *fact)
{
    const char *verdict = "";
    if (fact->at_most >= 0)
        verdict = fact->value <= fact->at_most ? "reached" : "SHORT";
    printf("%-16s %g %s", fact->name, fact->value, fact->unit);
    if (fact->at_most >= 0)
        printf(" (at most %g: %s)", fact->at_most, verdict);
    printf("  %s%s%s\n", fact->title, *fact->note ? "; " : "", fact->note);
    fflush(stdout);
    FILE *out = bench_settings.results;
    if (!out)
        return;
    fprintf(out, "{\"kind\": \"fact\"");
    put_member(out, "row", fact->name);
    put_member(out, "title", fact->title);
    put_member(out, "unit", fact->unit);
    put_member(out, "note", fact->note);
    fprintf(out, ", \"value\": %.4f", fact->value);
    if (fact->at_most >= 0)
        fprintf(out, ", \"target\": %g, \"reached\": %s", fact->at_most,
                fact->value <= fact->at_most ? "true" : "false");
    fprintf(out, "}\n");
    fflush(out);
}
