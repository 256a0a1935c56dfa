/* Keys in the form in which a store can hold them. */
#ifndef KVI_ESCAPE_H
#define KVI_ESCAPE_H

#include "../base/base.h"

/* True when every key is stored as it is. */
bool kvi_escape_is_trivial(const kivi_escape *escape);
/* Appends the stored form of key to `out` (after a namespace that is already there). */
kivi_status kvi_escape_encode(const kivi_escape *escape, kivi_slice key, kivi_buffer *out);
/* Whether the store can hold these very bytes, be they an escape or not. */
bool kvi_escape_fits(const kivi_escape *escape, kivi_slice key);
/* Replaces `out` by the key of a stored name; KIVI_CORRUPT when it is not the encoding of its decoding (a stranger's). */
kivi_status kvi_escape_decode(const kivi_escape *escape, kivi_slice stored, kivi_buffer *out);
/* Appends the longest stored prefix common to the encodings of all continuations of `prefix`. */
kivi_status kvi_escape_prefix(const kivi_escape *escape, kivi_slice prefix, kivi_buffer *out);
/* Whether keys of plain bytes come in byte order though others are escaped: true only if nothing inside a key is ever escaped. */
bool kvi_escape_keeps_order(const kivi_escape *escape);
/* The most stored bytes one key byte can take: 1 or 3. */
unsigned kvi_escape_factor(const kivi_escape *escape);

#endif
