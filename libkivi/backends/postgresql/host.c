/* All that the PostgreSQL backend may call of the core. */
#include "pg.h"

const kivi_host *kvi_pg_host;
