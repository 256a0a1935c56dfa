/* Forks in the middle of traffic with Memcached. */
#include "common/networked.h"
#include "servers/memcached.h"

TestSuite(fault_memcached_fork, .init = case_begin, .fini = case_end, .timeout = 300);
NETWORKED_FORKS(fault_memcached_fork, memcached)
