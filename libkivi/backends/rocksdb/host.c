/* All that the RocksDB backend may call of the core. */
#include "rocks.h"

const kivi_host *kvi_rocks_host;
