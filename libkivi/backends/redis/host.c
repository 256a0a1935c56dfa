/* All that the Redis backend may call of the core. */
#include "redis.h"

const kivi_host *kvi_redis_host;
