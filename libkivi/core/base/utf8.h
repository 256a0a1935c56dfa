/* UTF-8: which bytes are well-formed text, and which of it may be shown as it is. Also compiled into the command. */
#ifndef KVI_UTF8_H
#define KVI_UTF8_H

#include <kivi/base.h>

bool kvi_utf8_is_valid(kivi_slice text);
/* Length of the well-formed sequence that `text` begins with: 1 to 4, or 0. */
size_t kvi_utf8_sequence(kivi_slice text);
/*
 * Whether what `text` (not empty) begins with shows as itself and does nothing else: no control, no mark that
 * turns the direction of a line, nothing invisible. *size: its length, 1 for a byte that is no text.
 */
bool kvi_utf8_is_printable(kivi_slice text, size_t *size);
/* The same as it is shown: itself, or each of its bytes as \xNN. Returns how much that is. */
#define KVI_UTF8_SHOWN 16
size_t kvi_utf8_show(kivi_slice text, char to[KVI_UTF8_SHOWN], size_t *size);

#endif
