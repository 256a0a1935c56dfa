/* PostgreSQL as a server of the fault tests, and what only it is told. */
#ifndef FAULTS_POSTGRESQL_H
#define FAULTS_POSTGRESQL_H

#include "../common/server.h"

extern const fault_server postgresql;

/* Runs statements by psql, as the server's own superuser, in the load's database; each is a transaction. */
void postgresql_tell(running_server *server, const char *sql);
/* The same in a process of its own, which is answered: wait for it. */
pid_t postgresql_tell_beside(running_server *server, const char *sql);

/* What `server` begins with: a copy of another one that runs, whose standby it is. For its kind's `prepare`. */
void postgresql_copy(const running_server *primary, running_server *server);

#endif
