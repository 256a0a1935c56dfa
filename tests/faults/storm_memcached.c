/* Lanes and queues in a storm, with Memcached. */
#include "common/networked.h"
#include "servers/memcached.h"

TestSuite(storm_memcached, .init = case_begin, .fini = case_end, .timeout = 300);

Test(storm_memcached, every_call_is_accounted_for)
{
    networked_storm(&memcached, NULL);
}
