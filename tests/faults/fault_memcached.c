/* Memcached as every store with a server, as far as one that keeps nothing can be. */
#include "common/networked.h"
#include "servers/memcached.h"

TestSuite(fault_memcached, .init = case_begin, .fini = case_end, .timeout = 300);
FAULT(fault_memcached, memcached, networked_stopped)
FAULT(fault_memcached, memcached, networked_stopped_behind_proxy)
FAULT(fault_memcached, memcached, networked_cut)
FAULT(fault_memcached, memcached, networked_delayed)
FAULT(fault_memcached, memcached, networked_dribbled)
FAULT(fault_memcached, memcached, networked_dropped)

Test(fault_memcached, networked_contended_over_a_slow_link)
{
    networked_contended(&memcached);
}

Test(fault_memcached, networked_closed_descriptors)
{
    networked_closed_descriptors(&memcached);
}
