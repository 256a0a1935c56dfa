/* Whether two handles are on the same data. */
#ifndef KVI_SAME_H
#define KVI_SAME_H

#include "../core.h"

/* By what they are and their namespaces alone. */
bool kvi_store_could_be_same(const kivi_store *a, const kivi_store *b);
/* As far as can be told without asking the stores: a server's names are looked up, and what sessions learned counts. */
bool kvi_store_is_same(const kivi_store *a, const kivi_store *b);

#endif
