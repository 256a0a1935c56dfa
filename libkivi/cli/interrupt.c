/* Ctrl-C: the first one asks the call in progress to end, the second ends the process. */
#include <signal.h>
#include <unistd.h>

#include "cli.h"

static kivi_interrupt *interrupt;
static volatile sig_atomic_t interrupted, uninterruptible;

static void end_here(void)
{
    static const char line[] = "kivi: interrupted\n";

    if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
        _exit(CLI_FAILED);
    _exit(CLI_INTERRUPTED);
}

/* The first signal asks the call in progress to end, so that the verb can say what was done; the
 * second ends the process. */
static void on_signal(int number)
{
    (void)number;
    if (interrupted || uninterruptible)
        end_here();
    interrupted = 1;
    kivi_interrupt_raise(interrupt);
}

bool cli_interrupted(void)
{
    return interrupted;
}

void cli_uninterruptible(bool on)
{
    uninterruptible = on;
    if (on && interrupted)
        end_here();
}

/* Without SA_RESTART: reading and writing end as well. */
void cli_catch_signals(cli_context *cli)
{
    struct sigaction action;

    interrupt = kivi_interrupt_new();
    cli_need(interrupt ? KIVI_OK : KIVI_NO_MEMORY);
    cli->call.interrupt = interrupt;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void cli_release_signals(void)
{
    if (!interrupt)
        return;
    signal(SIGINT, SIG_DFL); /* first: the handler raises what is freed here */
    signal(SIGTERM, SIG_DFL);
    kivi_interrupt_free(interrupt);
}
