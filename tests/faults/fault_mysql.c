/* MySQL as every store with a server: killed, stopped, cut off, refused. */
#include "common/networked.h"
#include "servers/mysql.h"

TestSuite(fault_mysql, .init = case_begin, .fini = case_end, .timeout = 300);
NETWORKED(fault_mysql, mysql)
NETWORKED_DISCONNECTED(fault_mysql, mysql)
NETWORKED_REFUSED(fault_mysql, mysql)
NETWORKED_PASSWORDS(fault_mysql, mysql)
