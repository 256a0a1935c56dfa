/* Threads that do the same at once, and time. */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "../common/crew.h"
#include "suite.h"

typedef struct starter {
    worker worker;
    void (*work)(worker *w);
} starter;

static void begin(void *own)
{
    starter *start = own;
    start->work(&start->worker);
}

void together(subject *s, size_t count, void (*work)(worker *w), void *shared, uint64_t *tallies)
{
    starter *starters = keep(s, count * sizeof *starters);
    for (size_t i = 0; i < count; i++)
        starters[i] = (starter){{.s = s, .index = i, .count = count, .shared = shared}, work};
    crew_run(count, begin, starters, sizeof *starters);
    for (size_t i = 0; i < count; i++) {
        cr_assert(starters[i].worker.fault[0] == 0, "%s: thread %zu: %s", s->row->name, i,
                  starters[i].worker.fault);
        if (tallies)
            tallies[i] = starters[i].worker.tally;
    }
}

bool fault(worker *w, const char *format, ...)
{
    if (w->fault[0])
        return false;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(w->fault, sizeof w->fault, format, arguments);
    va_end(arguments);
    return false;
}

bool answered(worker *w, const char *what, kivi_status got, kivi_status wanted, kivi_error **error)
{
    bool right = got == wanted;
    if (!right)
        fault(w, "%s answered %s instead of %s (%s)", what, kivi_status_name(got),
              kivi_status_name(wanted), *error ? kivi_error_message(*error) : "no error");
    kivi_error_free(*error);
    *error = NULL;
    return right;
}

int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void pause_ms(int64_t ms)
{
    struct timespec rest = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    while (nanosleep(&rest, &rest) != 0) {
    }
}

int64_t short_ttl(subject *s)
{
    int64_t resolution = s->can.ttl_resolution_ms;
    return resolution > 300 ? resolution : 300;
}

/*
 * Callers' clocks may step by a little against the monotonic one; a server's goes on only when the server gets a
 * processor.
 */
int64_t surely_over(subject *s, int64_t ttl_ms)
{
    return ttl_ms + s->can.ttl_resolution_ms + (s->can.local ? 50 : 300);
}
