/* Whether two handles are on the same data. */
#ifndef KVI_SAME_H
#define KVI_SAME_H

#include "../core.h"

/* As far as can be told without asking the stores: a server's names are looked up. */
bool kvi_store_is_same(const kivi_store *a, const kivi_store *b);

#endif
