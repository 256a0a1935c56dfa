/* Memcached as every store with a server, as far as one that keeps nothing can be. */
#include "common/networked.h"
#include "servers/memcached.h"

TestSuite(fault_memcached, .init = case_begin, .fini = case_end, .timeout = 300);
NETWORKED_LINKS(fault_memcached, memcached)
