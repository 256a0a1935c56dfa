/* Threads that begin the same work together, for suites and bench alike. */
#ifndef TESTS_CREW_H
#define TESTS_CREW_H

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct crew_member {
    pthread_t thread;
    pthread_barrier_t *ready;
    void (*work)(void *own);
    void *own;
} crew_member;

static inline void *crew_begin(void *given)
{
    crew_member *member = given;

    pthread_barrier_wait(member->ready);
    member->work(member->own);
    return NULL;
}

/*
 * One thread for each of `count` things of `size` bytes, all of them let go at once; returns when the last has ended. A
 * thread that cannot be had ends the process: the others would wait for it.
 */
static inline void crew_run(size_t count, void (*work)(void *own), void *things, size_t size)
{
    crew_member *members = calloc(count, sizeof(*members));
    pthread_barrier_t ready;

    if (!members || pthread_barrier_init(&ready, NULL, (unsigned)count) != 0)
        abort();
    for (size_t i = 0; i < count; i++) {
        members[i] = (crew_member){.ready = &ready, .work = work, .own = (char *)things + i * size};
        if (pthread_create(&members[i].thread, NULL, crew_begin, &members[i]) != 0) {
            fprintf(stderr, "thread %zu of %zu cannot be started\n", i, count);
            abort();
        }
    }
    for (size_t i = 0; i < count; i++)
        pthread_join(members[i].thread, NULL);
    pthread_barrier_destroy(&ready);
    free(members);
}

#endif
