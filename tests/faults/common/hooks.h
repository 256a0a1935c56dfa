/*
 * The system calls with which LMDB commits go through this program: at a chosen one the process can be
 * killed or stopped, inside the write transaction and with every lock of it held.
 */
#ifndef FAULTS_HOOKS_H
#define FAULTS_HOOKS_H

#include <stdbool.h>

/* From now on the `nth` such call (1: the next) raises `signal`, before it is made or after. */
void hook_arm(unsigned nth, bool after, int signal);
/* The next so many calls of fdatasync fail, with that errno; what was written stays. */
void hook_fail_syncs(unsigned count, int code);
/* How many such calls there were since it was last armed. */
unsigned hook_calls(void);

#endif
