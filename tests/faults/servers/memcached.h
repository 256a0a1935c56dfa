/* Memcached as a server of the fault tests. */
#ifndef FAULTS_MEMCACHED_H
#define FAULTS_MEMCACHED_H

#include "../common/server.h"

extern const fault_server memcached;

#endif
