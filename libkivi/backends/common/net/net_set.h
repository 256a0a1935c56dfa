/* Several connections of one session as one descriptor to wait for, also after forks. */
#ifndef KVI_NET_SET_H
#define KVI_NET_SET_H

#include "net.h"

/*
 * A socket that was closed while a forked child still has it stays in an epoll set, ready for ever, and cannot be taken out
 * of it any more. So a set in which a socket was closed is made anew. Where one connection alone is waited for, it is
 * waited for itself, without a set.
 */
typedef struct kvi_net_member {
    const kvi_net *net; /* NULL: none, and it does not wait */
    bool waits;         /* the owner's to set: the verb in flight waits for this one */
    uint32_t events;    /* that the set has; 0: it is not in there */
    int fd;
    uint32_t closings; /* of the connection, when it was put there */
} kvi_net_member;

typedef struct kvi_net_set {
    kvi_net_member *members;
    size_t count;
    int fd; /* of epoll; -1: none, or KIVI_POSIX */
} kvi_net_set;

/* One step's news of a member: revents as poll(2)'s. */
typedef struct kvi_net_news {
    size_t member;
    uint32_t revents;
} kvi_net_news;

/* For so many members, whose `net` the owner then fills in. False without memory. */
bool kvi_net_set_init(kvi_net_set *set, size_t count);
/* For more of them, whose `net` is NULL until the owner puts one there. False without memory. */
bool kvi_net_set_grow(kvi_net_set *set, size_t count);
/* A member's connection, or NULL where it has none any more: before its owner closes and frees it. */
void kvi_net_set_put(kvi_net_set *set, size_t index, const kvi_net *net);
void kvi_net_set_free(kvi_net_set *set);
/* In a child of a fork: the set is the parent's as well, and is only closed. */
void kvi_net_set_abandon(kvi_net_set *set, bool whole);

/* What a session waits for whose members wait. IO, NO_MEMORY: this process has no descriptor or memory for a set. */
kivi_status kvi_net_set_wait(kvi_net_set *set, kivi_poll *poll, kivi_error **error);
/*
 * Which members the step's revents are of; returns how many, at most `most`. With revents 0 (the time is over, or nothing is
 * known) all that wait, with revents 0 each.
 */
size_t kvi_net_set_news(kvi_net_set *set, uint32_t revents, kvi_net_news *news, size_t most);

#endif
