/* Memcached as a server of the fault tests. It keeps nothing: killed, it comes back empty. */
#ifndef FAULTS_MEMCACHED_H
#define FAULTS_MEMCACHED_H

#include "../common/server.h"

extern const fault_server memcached;

#endif
