/* Files that are opened by name, where something else may lie. */
#ifndef KVI_REGULAR_H
#define KVI_REGULAR_H

#include <stdint.h>

#define KVI_REGULAR_PROBLEM 128

/*
 * Opens a regular file of `most` bytes at most for reading. Never waits, as opening a FIFO for reading does, and never
 * reads a device. -1: `problem` says why, in words that fit behind the file's name and a colon.
 */
int kvi_regular_open(const char *path, uint64_t most, char problem[KVI_REGULAR_PROBLEM]);

#endif
