/* A server of the bench's own that lies in a folder and does not run as root: PostgreSQL, MySQL. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct bench_server {
    const char *user; /* runs as this one where the bench runs as root */
    int stop_signal;
    char dir[64], data[80]; /* a folder, and a place in it */
    int port;
    pid_t pid; /* 0: not started yet */
} bench_server;

/* Its folder and its port. */
void bench_server_make(bench_server *server, const char *name);
/* Runs a program of its user's in the folder, where its words go to `log`: its process. */
pid_t bench_server_run(const bench_server *server, const char *program, const char *const *arguments);
/* The same, which must end well. */
void bench_server_call(const bench_server *server, const char *program, const char *const *arguments);
/* Tries for ten seconds. */
void bench_server_await(const bench_server *server, bool (*is_there)(void));
/* Ends it, and its folder. */
void bench_server_stop(bench_server *server);

#endif
