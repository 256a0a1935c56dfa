/* A Redis server that lies, under load. */
#include "servers/redis.h"
#include "servers/redis_lies.h"

#include "common/lying.h"

TestSuite(fault_redis_lies, .init = case_begin, .fini = case_end, .timeout = 300);
LYING(fault_redis_lies, redis)
