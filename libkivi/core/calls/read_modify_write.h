/* Single keys read, changed and written back. */
#ifndef KVI_READ_MODIFY_WRITE_H
#define KVI_READ_MODIFY_WRITE_H

#include "../store/places.h"

/* TAKE and GET_AND_EXPIRE in two steps, as their verbs of queue.h say. */
kivi_status kvi_take_begin(kivi_store *store, const kivi_call *call, const kivi_request *ask,
                           kivi_buffer *value, kivi_buffer *version, kivi_error **error);
kivi_status kvi_take_end(kivi_store *store, const kivi_call *call, const kivi_request *ask,
                         kivi_error **error);

/* An increment whose place, with its addition, has joined the key's line; NULL: as any caller's. It leaves the line. */
kivi_status kvi_increment_from_line(kivi_store *store, const kivi_call *call, kvi_place *place,
                                    kivi_slice key, int64_t by, int64_t ttl_ms, int64_t *value,
                                    kivi_error **error);

/* Adds to the integer of a stored key, whether or not the backend can. */
kivi_status kvi_increment(kvi_context *ctx, kivi_slice stored, int64_t by, int64_t ttl_ms, int64_t *value);

#endif
