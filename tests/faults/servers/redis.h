/* Redis as a server of the fault tests, and what only it is told. */
#ifndef FAULTS_REDIS_H
#define FAULTS_REDIS_H

#include "../common/server.h"

extern const fault_server redis;

/* A command in one line, such as "CONFIG SET maxmemory 1"; the first line of its answer, with its type byte. */
void redis_says(const running_server *server, const char *command, char *answer, size_t room);
/* The same, which must answer +OK. */
void redis_tell(const running_server *server, const char *command);
/* The text that it answers with. */
void redis_text(const running_server *server, const char *command, char *answer, size_t room);
/* Asks until the answer begins so, whatever becomes of the connection meanwhile; it wants no password. */
void redis_await(const running_server *server, const char *command, const char *wanted);
/* Asks until the text has that in it, or has not. */
void redis_await_text(const running_server *server, const char *command, const char *part, bool has);

#endif
