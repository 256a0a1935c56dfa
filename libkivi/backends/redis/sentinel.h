/* Redis Sentinel: a session asks the sentinels for the primary whenever it connects. */
#ifndef KVI_REDIS_SENTINEL_H
#define KVI_REDIS_SENTINEL_H

#include "redis.h"

/* ---- sentinel_settings.c: what the sessions of a store share ---- */

struct redis_sentinels {
    char *service;
    kvi_endpoint login; /* how to log in to a sentinel; has no targets: they are the store's own */
    _Atomic size_t first; /* which of them is asked first */
};

/* The options of sentinels; *sentinels is to be freed whatever it returns. */
kivi_status kvi_redis_sentinels_read(redis_sentinels **sentinels, const kivi_config *config,
                                     kivi_error **error);
/* Refuses what only sentinels have. */
kivi_status kvi_redis_sentinels_refuse(const kivi_config *config, kivi_error **error);
void kvi_redis_sentinels_free(redis_sentinels *sentinels); /* NULL is nothing */

/* ---- sentinel.c: a session's question ---- */

/* NULL without memory. The session's pipeline is made for its target. */
redis_seek *kvi_redis_seek_new(redis_session *session);
const kvi_net_target *kvi_redis_seek_target(const redis_seek *seek);
void kvi_redis_seek_free(redis_seek *seek); /* NULL is nothing; after the session's pipeline */
/* In a child of a fork, as kvi_pipeline_abandon(). */
void kvi_redis_seek_abandon(redis_seek *seek, bool whole);
/* As kvi_pipeline_begin() and kvi_pipeline_step() of the session's own, with the question before them where it connects. */
kivi_status kvi_redis_seek_begin(redis_seek *seek, kivi_error **error);
kivi_status kvi_redis_seek_step(redis_seek *seek, uint32_t revents, kivi_poll *poll, kivi_error **error);
/* At login: the server is no primary, though it was named as one. */
kivi_status kvi_redis_seek_refuse(const redis_seek *seek, redis_role role, kivi_error **error);

#endif
