/*
 * Backends over engines written in Go: a plugin in C that has the options and says what the engine can do, and libkivi-go.so
 * beside it, which holds the engines and is loaded when the first store is opened. Waiting is C's; Go is called once a vector.
 */
#ifndef KVI_GO_H
#define KVI_GO_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "bridge.h"

/* Of the core; the plugin sets it when it is loaded. */
extern const kivi_host *kvi_go_core;

/* A file or directory that this process has open: once, however many stores are on it. */
typedef struct kvi_go_file {
    struct kvi_go_file *next;
    kvi_go_settings settings; /* its texts are the file's own */
    uint64_t engine;          /* 0: not open now */
    kvi_go_opened opened;
    dev_t device;
    ino_t inode;
    atomic_uint refs;
    bool opening;
    bool by_call;         /* open only while a verb runs */
    pthread_mutex_t turn; /* of the one writer; with by_call, of the one verb */
    unsigned forking;
    bool whole; /* no writer was at work when the process forked */
} kvi_go_file;

typedef struct kvi_go_store {
    kvi_go_file *file;
    char *name; /* what the engine keeps its pairs under */
    uint64_t id;
    int32_t kind;
    uint32_t max_key;
    bool foreign;
    void *reporter;
    uint32_t sweep;
} kvi_go_store;

/* ---- Opening (open.c) ---- */

typedef struct kvi_go_request {
    int32_t kind; /* KVI_GO_BOLT, KVI_GO_BADGER */
    const char *name;
    uint32_t max_key; /* the longest that is stored */
    bool by_call;
    kvi_go_settings settings;
} kvi_go_request;

/* Waits within `wait` for a file that another process has open, then returns BUSY. FORKED in a child of a process that has
 * used the Go library. Fills in the store's sweep and reporter. */
kivi_status kvi_go_open_store(const kivi_config *config, const kvi_go_request *request,
                              kivi_wait *wait, kvi_go_store **store, kivi_error **error);

/* ---- What the tables of backends have (open.c, verbs.c, scan.c, fork.c); an instance is a kvi_go_store ---- */

void kvi_go_close(void *instance);
void kvi_go_abandon(void *instance);
kivi_status kvi_go_read_verb(void *instance, void *session, kivi_read_vector *vector,
                             kivi_wait *wait, kivi_error **error);
kivi_status kvi_go_write_verb(void *instance, void *session, kivi_write_vector *vector,
                              kivi_wait *wait, kivi_error **error);
kivi_status kvi_go_scan_verb(void *instance, void *session, const kivi_scan_range *range,
                             kivi_scan_sink *sink, kivi_wait *wait, kivi_error **error);
kivi_status kvi_go_count_verb(void *instance, void *session, kivi_count *count, kivi_wait *wait,
                              kivi_error **error);
void kvi_go_fork_prepare(void *instance);
void kvi_go_fork_parent(void *instance);
void kvi_go_fork_child(void *instance);

#endif
