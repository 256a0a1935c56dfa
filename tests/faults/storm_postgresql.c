/* Lanes and queues in a storm, with PostgreSQL. */
#include "common/networked.h"
#include "servers/postgresql.h"

TestSuite(storm_postgresql, .init = case_begin, .fini = case_end, .timeout = 300);

Test(storm_postgresql, every_call_is_accounted_for)
{
    static const char *const unsynced[] = {"-c", "synchronous_commit=off", NULL};

    networked_storm(&postgresql, unsynced);
}
