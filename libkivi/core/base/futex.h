/* Waiting on a word of memory until another thread changes it (Linux futex, private to the process). */
#ifndef KVI_FUTEX_H
#define KVI_FUTEX_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Sleeps while *word is `value`, `ns` at most; may wake without cause. */
static inline void kvi_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t ns)
{
    struct timespec pause = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &pause, NULL, 0);
}

/* The same on a word that several sleep on, each with bits of its own; until a time of CLOCK_MONOTONIC. */
static inline void kvi_futex_wait_bits(_Atomic uint32_t *word, uint32_t value, uint64_t until_ns,
                                       uint32_t bits)
{
    struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, &until, NULL, bits);
}

/* Wakes all that sleep on the word with one of the bits. */
static inline void kvi_futex_wake_bits(_Atomic uint32_t *word, uint32_t bits)
{
    syscall(SYS_futex, word, FUTEX_WAKE_BITSET_PRIVATE, INT32_MAX, NULL, NULL, bits);
}

static inline void kvi_futex_wake(_Atomic uint32_t *word, int threads)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, threads, NULL, NULL, 0);
}

#endif
