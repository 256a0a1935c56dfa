/* Lanes and queues in a storm, with Redis. */
#include "common/networked.h"
#include "servers/redis.h"

TestSuite(storm_redis, .init = case_begin, .fini = case_end, .timeout = 300);

Test(storm_redis, every_call_is_accounted_for)
{
    static const char *const unsynced[] = {"--appendfsync", "no", NULL};

    networked_storm(&redis, unsynced);
}
