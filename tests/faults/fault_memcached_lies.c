/* A Memcached server that lies, under load. */
#include "servers/memcached.h"
#include "servers/memcached_lies.h"

#include "common/lying.h"

TestSuite(fault_memcached_lies, .init = case_begin, .fini = case_end, .timeout = 300);
LYING(fault_memcached_lies, memcached)
