/* PostgreSQL as every store with a server: killed, stopped, cut off, refused. */
#include "common/networked.h"
#include "servers/postgresql.h"

TestSuite(fault_postgresql, .init = case_begin, .fini = case_end, .timeout = 300);
NETWORKED(fault_postgresql, postgresql)
NETWORKED_DISCONNECTED(fault_postgresql, postgresql)
NETWORKED_REFUSED(fault_postgresql, postgresql)
NETWORKED_PASSWORDS(fault_postgresql, postgresql)
