/* All that the MySQL backend may call of the core. */
#include "my.h"

const kivi_host *kvi_my_host;
