/* How far a long verb is: a bar on a terminal, plain lines elsewhere. */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BAR 24
#define TERMINAL_SECONDS 0.1
#define LINES_SECONDS 2.0

static struct {
    const char *doing;
    bool quiet, terminal, shown;
    double started, last;
} state;

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void cli_progress_begin(const char *doing, bool quiet)
{
    state.doing = doing;
    state.quiet = quiet;
    state.terminal = isatty(STDERR_FILENO);
    state.started = state.last = now();
}

const char *cli_number(uint64_t number, char text[CLI_NUMBER_MAX])
{
    char plain[24];
    int digits = snprintf(plain, sizeof plain, "%llu", (unsigned long long)number);
    char *to = text;

    for (int i = 0; i < digits; i++) {
        if (i && (digits - i) % 3 == 0)
            *to++ = ',';
        *to++ = plain[i];
    }
    *to = '\0';
    return text;
}

const char *cli_pairs(uint64_t number, char text[CLI_PAIRS_MAX])
{
    char commas[CLI_NUMBER_MAX];

    snprintf(text, CLI_PAIRS_MAX, "%s %s", cli_number(number, commas), number == 1 ? "pair" : "pairs");
    return text;
}

static void draw(uint64_t pairs, uint64_t position, uint64_t total, double elapsed)
{
    char number[CLI_PAIRS_MAX], rate[CLI_NUMBER_MAX], bar[BAR + 1];
    unsigned percent;

    cli_pairs(pairs, number);
    cli_number(elapsed > 0 ? (uint64_t)((double)pairs / elapsed) : 0, rate);
    if (!total) {
        fprintf(stderr, "\r\033[K%s %s, %s/s", state.doing, number, rate);
        return;
    }
    if (position > total)
        position = total;
    percent = (unsigned)((double)position * 100 / (double)total);
    memset(bar, ' ', BAR);
    memset(bar, '=', (size_t)percent * BAR / 100);
    bar[BAR] = '\0';
    fprintf(stderr, "\r\033[K[%s] %3u%%  %s %s, %s/s", bar, percent, state.doing, number, rate);
}

void cli_progress_show(uint64_t pairs, uint64_t position, uint64_t total)
{
    double time;
    char number[CLI_PAIRS_MAX];

    if (state.quiet)
        return;
    time = now();
    if (time - state.last < (state.terminal ? TERMINAL_SECONDS : LINES_SECONDS))
        return;
    state.last = time;
    if (state.terminal) {
        draw(pairs, position, total, time - state.started);
        state.shown = true;
    } else {
        fprintf(stderr, "%s %s\n", state.doing, cli_pairs(pairs, number));
    }
    fflush(stderr);
}

bool cli_progress_is_bar(void)
{
    return state.terminal && !state.quiet;
}

void cli_progress_clear(void)
{
    if (!state.shown)
        return;
    state.shown = false;
    fputs("\r\033[K", stderr);
    fflush(stderr);
}

void cli_progress_summary(uint64_t pairs, char *text, size_t capacity)
{
    char number[CLI_PAIRS_MAX];

    snprintf(text, capacity, "%s %s in %.2f s", state.doing, cli_pairs(pairs, number),
             now() - state.started);
}
