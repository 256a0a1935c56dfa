/* Which stored keys an imitated store could hold. */
#ifndef KVI_MEMORY_KEYS_H
#define KVI_MEMORY_KEYS_H

#include "settings.h"

/* What the core must escape, as the settings ask for it. The texts are the settings' own. */
void kvi_keys_escape(const memory_settings *settings, kivi_escape *escape);
/* Whether a stored key keeps those rules: the core gives no other. */
bool kvi_keys_fit(const memory_settings *settings, kivi_slice key);

#endif
