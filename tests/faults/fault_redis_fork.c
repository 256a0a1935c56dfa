/* Forks in the middle of traffic with Redis. */
#include "common/networked.h"
#include "servers/redis.h"

TestSuite(fault_redis_fork, .init = case_begin, .fini = case_end, .timeout = 300);
NETWORKED_FORKS(fault_redis_fork, redis)
