/* What a process has: descriptors, maps, threads, memory. What was opened and given back leaves none of it. */
#ifndef FAULTS_AMOUNT_H
#define FAULTS_AMOUNT_H

#include <stddef.h>

typedef struct amount {
    unsigned descriptors, maps, threads;
    size_t heap, resident; /* bytes, KiB */
} amount;

amount amount_now(void);
unsigned amount_descriptors(void);
/* Those of the library and of the case; not those of proxies and of sanitizers. */
unsigned amount_threads(void);
/* Descriptors and threads as before; the heap (counted where nobody else does) has grown by less than `more` bytes. */
void amount_expect(const char *what, amount before, amount after, size_t more);

#endif
