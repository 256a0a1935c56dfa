/* One answer being converted; shared by the files that convert. */
#ifndef KVL_RESULTS_H
#define KVL_RESULTS_H

#include "kvl.h"

/* What runs under protection, with what must be freed after it. */
typedef struct conversion {
    kvl_state *state;
    kvb_answer *answer;
    bool in_place;
    kivi_slice value;    /* read in place */
    int keys;            /* index of a list of the keys asked for; 0: none */
    kvb_page *page;      /* freed after */
    kivi_reader *reader; /* freed after */
} conversion;

/* Converts an answer: how many results it pushed; -1: what was raised is on top. `has_keys`: the list of its keys lies on
 * top, and is taken off. The answer stays the caller's. */
int kvl_answer_convert(lua_State *L, kvb_answer *answer, bool has_keys);
bool kvl_push_pair_value(lua_State *L, kvl_state *state, kvb_page *page, kivi_slice value,
                         uintptr_t flags);
/* Seconds left; false: never expires. */
void kvl_push_pair_ttl(lua_State *L, int64_t ttl_ms);
void kvl_push_progress(lua_State *L, kvl_state *state, const kivi_copy_progress *progress,
                       kivi_slice cursor);

#endif
