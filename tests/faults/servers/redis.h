/* Redis as a server of the fault tests, and what only it is told. */
#ifndef FAULTS_REDIS_H
#define FAULTS_REDIS_H

#include "../common/server.h"

extern const fault_server redis;

/* A command in one line, such as "CONFIG SET maxmemory 1"; the first line of its answer, with its type byte. */
void redis_says(const running_server *server, const char *command, char *answer, size_t room);
/* The same, which must answer +OK. */
void redis_tell(const running_server *server, const char *command);

#endif
