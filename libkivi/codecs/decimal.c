/* Integers as decimal text, which is what raw values count with. */
#include "codec.h"

kivi_status kvi_decimal_read(kivi_slice bytes, int64_t *value)
{
    const uint8_t *at = bytes.data;
    size_t size = bytes.size;
    bool negative = size && at[0] == '-';
    if (negative) {
        at++;
        size--;
    }
    if (!size || (at[0] == '0' && (size > 1 || negative)))
        return KIVI_WRONG_TYPE;
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    uint64_t sum = 0;
    bool beyond = false;
    for (size_t i = 0; i < size; i++) {
        if (at[i] < '0' || at[i] > '9')
            return KIVI_WRONG_TYPE;
        uint64_t digit = (uint64_t)(at[i] - '0');
        if (sum > (limit - digit) / 10)
            beyond = true; /* go on: the rest may be no digits */
        else
            sum = sum * 10 + digit;
    }
    if (beyond)
        return KIVI_OVERFLOW;
    *value = negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return KIVI_OK;
}

size_t kvi_decimal_write_unsigned(uint64_t value, uint8_t *bytes)
{
    uint8_t digits[KVI_INTEGER_MAX];
    size_t size = 0;
    do {
        digits[size++] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value);
    for (size_t i = 0; i < size; i++)
        bytes[i] = digits[size - 1 - i];
    return size;
}

size_t kvi_decimal_write(int64_t value, uint8_t bytes[KVI_INTEGER_MAX])
{
    if (value >= 0)
        return kvi_decimal_write_unsigned((uint64_t)value, bytes);
    bytes[0] = '-';
    return 1 + kvi_decimal_write_unsigned(0 - (uint64_t)value, bytes + 1);
}
