/* Processes that have closed standard input, output or error. */
#ifndef FAULTS_CLOSED_H
#define FAULTS_CLOSED_H

/*
 * In a child for each choice of them that is closed: uses the store, by calls and through a queue. While it is open no
 * descriptor of it is in those places, where what the process prints would land in it; they still refuse to be used.
 */
void closed_expect(const char *url);

#endif
