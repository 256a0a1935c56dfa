/* Forks in the middle of traffic with PostgreSQL. */
#include "common/networked.h"
#include "servers/postgresql.h"

TestSuite(fault_postgresql_fork, .init = case_begin, .fini = case_end, .timeout = 300);
NETWORKED_FORKS(fault_postgresql_fork, postgresql)
