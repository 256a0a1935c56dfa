/* The signals of a program in which a Go runtime starts. */
#include "internal.h"

/* Go wants these for things that no engine here does: they stay the program's. It keeps SIGSEGV and SIGBUS. */
static const int given_back[KVI_GO_GIVEN_BACK] = {SIGPIPE, SIGURG,  SIGFPE,
                                                  SIGILL,  SIGTRAP, SIGABRT};
/* Go takes these out of the mask of its own threads. */
static const int unblocked[] = {SIGCHLD, SIGPROF};

void kvi_go_signals_before(kvi_go_signals *signals)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &signals->mask);
    for (size_t i = 0; i < KVI_GO_GIVEN_BACK; i++)
        sigaction(given_back[i], NULL, &signals->kept[i]);
}

void kvi_go_signals_after(const kvi_go_signals *signals)
{
    for (size_t i = 0; i < KVI_GO_GIVEN_BACK; i++)
        sigaction(given_back[i], &signals->kept[i], NULL);
    pthread_sigmask(SIG_SETMASK, &signals->mask, NULL);
}

void kvi_go_mind_handlers(void)
{
    struct sigaction now;
    for (size_t i = 0; i < sizeof(unblocked) / sizeof(*unblocked); i++) {
        if (sigaction(unblocked[i], NULL, &now) || now.sa_handler == SIG_DFL ||
            now.sa_handler == SIG_IGN || now.sa_flags & SA_ONSTACK)
            continue;
        now.sa_flags |= SA_ONSTACK;
        sigaction(unblocked[i], &now, NULL);
    }
}
