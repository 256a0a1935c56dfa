/* Forks in the middle of traffic with MySQL. */
#include "common/networked.h"
#include "servers/mysql.h"

TestSuite(fault_mysql_fork, .init = case_begin, .fini = case_end, .timeout = 300);
NETWORKED_FORKS(fault_mysql_fork, mysql)
