/* Expiries that lie beside values: 16 bytes each, good only for the value they were made for. */
#include "embedded.h"

/* A number as big-endian bytes, or the reverse. */
static inline uint64_t swap64(uint64_t number)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap64(number);
#else
    return number;
#endif
}

bool kvi_record_read(kivi_slice bytes, kvi_record *record)
{
    uint64_t words[2];

    if (bytes.size != KVI_RECORD_SIZE)
        return false;
    memcpy(words, bytes.data, sizeof(words));
    record->expiry_ms = (int64_t)swap64(words[0]);
    record->hash = swap64(words[1]);
    return true;
}

void kvi_record_write(const kivi_host *host, uint8_t bytes[KVI_RECORD_SIZE], int64_t expiry_ms,
                      kivi_slice value)
{
    uint64_t words[2] = {swap64((uint64_t)expiry_ms), swap64(host->hash64(value))};

    memcpy(bytes, words, sizeof(words));
}

int64_t kvi_record_judge(const kivi_host *host, const kvi_record *record, kivi_slice value,
                         bool exactly, int64_t *now)
{
    bool over;

    if (!*now)
        *now = host->clock_ms();
    over = record->expiry_ms < *now; /* whole ms: the last one still counts, never early */
    if ((!over && !exactly) || host->hash64(value) != record->hash)
        return 0;
    return over ? -1 : record->expiry_ms;
}
