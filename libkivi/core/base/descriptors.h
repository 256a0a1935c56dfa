/* Descriptors that the library keeps stay clear of standard input, output and error. */
#ifndef KVI_DESCRIPTORS_H
#define KVI_DESCRIPTORS_H

/*
 * Fills those of the places 0 to 2 that are closed, for good: what is opened next cannot become the standard output of
 * a process that has none, and what that prints does not land in a store's file. The place stays of no use, as it was:
 * reading and writing fail with EBADF, and a program that the process executes finds it closed. To be called before
 * descriptors that stay are opened, by us or by a library. Any thread; async-signal-safe; errno is kept.
 */
void kvi_descriptors_guard(void);

#endif
