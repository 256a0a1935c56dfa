/* A URL cut into its parts as they are written, before percent-decoding. Shared by reading and redacting. */
#ifndef KVI_URL_PARTS_H
#define KVI_URL_PARTS_H

#include "../base/base.h"

/* Absent parts have data NULL; all lie in the URL's text. */
typedef struct kvi_url_parts {
    kivi_slice scheme, user, password, host, port, path, query;
} kvi_url_parts;

/* INVALID says what is wrong, and never repeats any of the text but the scheme. */
kivi_status kvi_url_cut(const char *text, kvi_url_parts *parts, kivi_error **error);
/* Takes the next `name=value` off the query (value.data NULL: no `=`); false at its end. */
bool kvi_url_next_pair(kivi_slice *query, kivi_slice *name, kivi_slice *value);
/* A part percent-decoded; `name` says which in messages. */
kivi_status kvi_url_decode(kivi_slice part, const char *name, char **text, kivi_error **error);

#endif
