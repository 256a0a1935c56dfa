/* A strict reader of RESP2 and RESP3: tokens out of bytes that come in any portions; keeps none of them. */
#ifndef KVI_REDIS_RESP_H
#define KVI_REDIS_RESP_H

#include <kivi/base.h>

#define KVI_RESP_DEPTH 8          /* of nested replies; what is asked for has at most three */
#define KVI_RESP_LINE (64 * 1024) /* longest status or error */
#define KVI_RESP_BULK (UINT64_C(512) << 20)  /* longest string: what a server takes, too */
#define KVI_RESP_COUNT (UINT64_C(16) << 20)  /* most members of a reply */
#define KVI_RESP_SKIPPED (UINT64_C(1) << 20) /* longest string of a reply that nobody asked for */

typedef enum kvi_resp_kind {
    KVI_RESP_STATUS = 1,
    KVI_RESP_ERROR,
    KVI_RESP_INTEGER,
    KVI_RESP_STRING, /* also a verbatim one, without its format */
    KVI_RESP_NIL,
    KVI_RESP_ARRAY, /* also a set, or a map: twice as many members */
    KVI_RESP_OTHER  /* a truth value, a double, a big number */
} kvi_resp_kind;

typedef struct kvi_resp_token {
    kvi_resp_kind kind;
    uint32_t depth;   /* how many arrays it lies in */
    bool last;        /* the reply ends with it */
    int64_t integer;  /* INTEGER, and the number of members of an ARRAY */
    kivi_slice bytes; /* STATUS, ERROR, STRING: in the bytes given */
} kvi_resp_token;

/* Where in a reply it is. Zeroed: at the beginning of one. */
typedef struct kvi_resp {
    uint32_t depth;
    uint32_t skip; /* depth + 1 of a push or attribute that is left out; 0: none */
    uint64_t left[KVI_RESP_DEPTH];
    size_t need; /* after PENDING: so many bytes will be wanted together; 0: not known */
} kvi_resp;

/*
 * The next token. OK: consume `*used` bytes when done with it. PENDING: consume `*used` bytes and come back
 * with more. CORRUPT: no RESP, or beyond a limit; the stream cannot be read any further.
 */
kivi_status kvi_resp_next(kvi_resp *resp, const uint8_t *data, size_t size, size_t *used,
                          kvi_resp_token *token);
/* Whether it stands between two replies. */
static inline bool kvi_resp_is_idle(const kvi_resp *resp)
{
    return resp->depth == 0;
}

#endif
