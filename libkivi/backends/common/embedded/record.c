/* Expiries that lie beside values: 16 bytes each, good only for the value they were made for. */
#include "embedded.h"

static void put64(uint8_t *bytes, uint64_t number)
{
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
}

static uint64_t get64(const uint8_t *bytes)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < 8; i++)
        number = number << 8 | bytes[i];
    return number;
}

bool kvi_record_read(kivi_slice bytes, kvi_record *record)
{
    if (bytes.size != KVI_RECORD_SIZE)
        return false;
    record->expiry_ms = (int64_t)get64(bytes.data);
    record->hash = get64((const uint8_t *)bytes.data + 8);
    return true;
}

void kvi_record_write(const kivi_host *host, uint8_t bytes[KVI_RECORD_SIZE], int64_t expiry_ms,
                      kivi_slice value)
{
    put64(bytes, (uint64_t)expiry_ms);
    put64(bytes + 8, host->hash64(value));
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
