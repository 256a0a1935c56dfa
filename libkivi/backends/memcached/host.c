/* All that the Memcached backend may call of the core. */
#include "memcached.h"

const kivi_host *kvi_mc_host;
