/* A server under fault tests, whichever it is: a table for each kind, and what is done to one that runs. */
#ifndef FAULTS_SERVER_H
#define FAULTS_SERVER_H

#include "load.h"

typedef struct running_server running_server;

/*
 * What a kind of server is to the cases (networked.h); `redis` of servers/redis.c is one. A function that is NULL is
 * something this kind cannot do, and its file does not ask for the cases that need it.
 */
typedef struct fault_server {
    const char *name;
    const char *user; /* runs as this one where the tests run as root; NULL: as the tests do */
    int stop_signal;  /* ends it in good order */
    /*
     * What an answer holds, once, that says that nothing was done: a key is locked, for as long as a transaction lasts whose
     * client is gone, or time ran out. A write may then be BUSY, or sent again. NULL: it has no such answers.
     */
    const char *refusal;

    /* Before its first start: what must lie in its folder, which is empty and belongs to its user. May be NULL. */
    void (*prepare)(running_server *s);
    /* Its command line, by server_argument(); it stays in the foreground, and acknowledged means on disk. */
    void (*command)(running_server *s);
    /* Whether it does what it is asked, or would for who knows the password. */
    bool (*answers)(running_server *s);
    /* A store of raw values at host:port, which may be a proxy's; "&name=value" can follow. `password` may be NULL. */
    void (*url)(const running_server *s, const char *host, int port, const char *password, text *url);

    /* Tallies the server's own record of the writes that it did, which outlives it. NULL: it keeps none. */
    void (*applied)(running_server *s, tally *t);
    /* Finds the load's values in requests; NULL: they travel as they are, and tally_feed does. */
    void (*feed)(tally *t, tally_stream *stream, const char *bytes, size_t size);

    /* Ends the connections of all clients. */
    void (*end_connections)(running_server *s);
    /* Takes no more clients, and ends the connections of those that it has; or takes them again. */
    void (*refuse)(running_server *s, bool refuses);
    /* Another one from now on, for logins; use server_set_password(), which notes it. */
    void (*set_password)(running_server *s, const char *password);
} fault_server;

struct running_server {
    const fault_server *kind;
    int port; /* at 127.0.0.1 */
    pid_t pid;
    char directory[300];
    const char *password;    /* NULL: none is needed */
    const char *options[24]; /* more of its command line, NULL at the end */
    char *arguments[64];
    size_t argument_count;
    int control; /* a connection of `refuse`, for when there may be no new one */
};

/* Starts one in folder/name and waits until it answers. `options`: words of its command line, then NULL; may be NULL. */
void server_start(running_server *s, const fault_server *kind, const char *name,
                  const char *password, const char *const *options);
/* Once more with the same port and data; it must have ended. */
void server_start_again(running_server *s);
/* -9 to it and to all processes that it started. */
void server_kill(running_server *s);
/* They all stand still, and go on. */
void server_freeze(const running_server *s);
void server_thaw(const running_server *s);
/* They have the first half of the machine's processors from now on, and leave the rest to those who call. */
void server_confine(const running_server *s);
void server_stop(running_server *s);
/* A store on it; options: "&name=value...". */
kivi_store *server_open(const running_server *s, const char *options);
/* Its password is another one from now on. */
void server_set_password(running_server *s, const char *password);

/* ---- for tables ---- */

/* One more argument, as printf makes it. */
void server_argument(running_server *s, const char *format, ...) KIVI_PRINTF(2, 3);
/* Runs the arguments as the server's user, to the end, which must be a good one. */
void server_run(running_server *s);
int connect_to_port(int port); /* -1: nobody is there */
int server_free_port(void);    /* one more, which no other case gets */

#endif
