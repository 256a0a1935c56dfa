/* Memcached as every store with a server, but for its death, which it does not survive: stopped, cut off, slow. */
#include "common/networked.h"
#include "servers/memcached.h"

TestSuite(fault_memcached, .init = case_begin, .fini = case_end, .timeout = 300);
NETWORKED_LINKS(fault_memcached, memcached)
