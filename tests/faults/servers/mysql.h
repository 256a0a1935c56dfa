/* MariaDB as a server of the fault tests, and what only it is told. */
#ifndef FAULTS_MYSQL_H
#define FAULTS_MYSQL_H

#include "../common/server.h"

extern const fault_server mysql;

/* Runs statements by its own client, as root, in the load's database; each is a transaction. */
void mysql_tell(running_server *server, const char *sql);
/* The same in a process of its own, which is answered: wait for it. */
pid_t mysql_tell_beside(running_server *server, const char *sql);
/* The transaction of another program that has done these statements, and stays open until it is let go. */
FILE *mysql_hold(running_server *server, const char *statements);
void mysql_let_go(FILE *holder);

#endif
