/* Pages of a scan, read pair by pair. */
#include "bindings.h"

#include <stdlib.h>

kvb_page *kvb_page_new(kvb_answer *answer)
{
    kvb_page *page = calloc(1, sizeof(*page));
    if (!page || !(page->reader = kvb_reader_new(answer->store))) {
        free(page);
        return NULL;
    }
    page->store = kvb_store_ref(answer->store);
    page->done = answer->done;
    page->page = page->done.page;
    answer->done = (kivi_completion)KIVI_COMPLETION_INIT;
    page->keys_only = answer->scan_flags & KIVI_SCAN_KEYS;
    page->with_ttl = answer->scan_flags & KIVI_SCAN_WANT_EXPIRY;
    return page;
}

bool kvb_page_next(kvb_page *page, kivi_pair *pair)
{
    *pair = (kivi_pair)KIVI_PAIR_INIT;
    return kivi_page_pair(page->page, page->index++, pair) == KIVI_OK;
}

void kvb_page_free(kvb_page *page)
{
    if (!page)
        return;
    kivi_reader_free(page->reader);
    kivi_completion_release(&page->done);
    kvb_store_unref(page->store);
    free(page);
}
