/*
 * The cases that every store with a server must pass, written over the table of server.h. The file of a store,
 * fault_STORE.c, asks for all that its server can do:
 *
 *     #include "common/networked.h"
 *     #include "servers/postgresql.h"
 *
 *     TestSuite(fault_postgresql, .init = case_begin, .fini = case_end, .timeout = 300);
 *     NETWORKED(fault_postgresql, postgresql)
 *     NETWORKED_DISCONNECTED(fault_postgresql, postgresql)
 *
 * and servers/STORE.c is compiled into all programs fault_STORE*.c and storm_STORE*.c.
 */
#ifndef FAULTS_NETWORKED_H
#define FAULTS_NETWORKED_H

#include "stage.h"

/* Nothing acknowledged is lost, and nothing is done twice. The server keeps its data when it is killed. */
extern const fault networked_killed, networked_killed_behind_proxy;
/* It stands still, or is not there. */
extern const fault networked_stopped, networked_stopped_behind_proxy, networked_gone;
/* A network that cuts, delays, dribbles and swallows. */
extern const fault networked_cut, networked_delayed, networked_dribbled, networked_dropped;
/* `end_connections`. */
extern const fault networked_disconnected;
/* `refuse`. */
extern const fault networked_refused;
/* `set_password`: the store's is wrong for a while; it is changed at the server and in the store's file. */
extern const fault networked_wrong_password, networked_password_changed;

/* Of a server that keeps its data when it is killed. */
#define NETWORKED_KILLED(suite, kind)                 \
    FAULT(suite, kind, networked_killed)              \
    FAULT(suite, kind, networked_killed_behind_proxy) \
    FAULT(suite, kind, networked_gone)
#define NETWORKED_LINKS(suite, kind)                   \
    FAULT(suite, kind, networked_stopped)              \
    FAULT(suite, kind, networked_stopped_behind_proxy) \
    FAULT(suite, kind, networked_cut)                  \
    FAULT(suite, kind, networked_delayed)              \
    FAULT(suite, kind, networked_dribbled)             \
    FAULT(suite, kind, networked_dropped)              \
    Test(suite, networked_contended_over_a_slow_link)  \
    {                                                  \
        networked_contended(&(kind));                  \
    }                                                  \
    Test(suite, networked_closed_descriptors)          \
    {                                                  \
        networked_closed_descriptors(&(kind));         \
    }
/* All that need no more than to start and to end it. */
#define NETWORKED(suite, kind)    \
    NETWORKED_KILLED(suite, kind) \
    NETWORKED_LINKS(suite, kind)
#define NETWORKED_DISCONNECTED(suite, kind) FAULT(suite, kind, networked_disconnected)
#define NETWORKED_REFUSED(suite, kind) FAULT(suite, kind, networked_refused)
#define NETWORKED_PASSWORDS(suite, kind)         \
    FAULT(suite, kind, networked_wrong_password) \
    FAULT(suite, kind, networked_password_changed)

/* Sixteen threads add to one key over a link of 20 ms: none starves, none is lost. */
void networked_contended(const fault_server *kind);
/* A numeric address, and a name, which a thread of its own looks up. */
void networked_closed_descriptors(const fault_server *kind);

/* ---- forks.c: in a file of their own, fault_STORE_fork.c, which ThreadSanitizer does not look at ---- */

void networked_fork_in_traffic(const fault_server *kind, load_kind way);
#define NETWORKED_FORKS(suite, kind)                      \
    Test(suite, among_threads)                            \
    {                                                     \
        networked_fork_in_traffic(&(kind), LOAD_THREADS); \
    }                                                     \
    Test(suite, beside_a_queue)                           \
    {                                                     \
        networked_fork_in_traffic(&(kind), LOAD_QUEUE);   \
    }

/* ---- storm.c: in storm_STORE.c, which ThreadSanitizer looks at above all ---- */

/*
 * Threads and two queues on one store, with random deadlines, interrupts and cancels; the server stands still and ends
 * connections.
 */
void networked_storm(const fault_server *kind, const char *const *command_line);

#endif
