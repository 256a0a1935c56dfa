/* Redis as every store with a server: killed, stopped, cut off, refused. */
#include "common/networked.h"
#include "servers/redis.h"

TestSuite(fault_redis, .init = case_begin, .fini = case_end, .timeout = 300);
NETWORKED(fault_redis, redis)
NETWORKED_DISCONNECTED(fault_redis, redis)
NETWORKED_REFUSED(fault_redis, redis)
NETWORKED_PASSWORDS(fault_redis, redis)
