/* Lanes and queues in a storm, with MySQL. */
#include "common/networked.h"
#include "servers/mysql.h"

TestSuite(storm_mysql, .init = case_begin, .fini = case_end, .timeout = 300);

Test(storm_mysql, every_call_is_accounted_for)
{
    static const char *const unsynced[] = {"--innodb-flush-log-at-trx-commit=2", NULL};

    networked_storm(&mysql, unsynced);
}
