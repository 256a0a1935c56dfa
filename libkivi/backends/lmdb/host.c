/* All that the LMDB backend may call of the core. */
#include "engine.h"

const kivi_host *kvi_lmdb_host;
