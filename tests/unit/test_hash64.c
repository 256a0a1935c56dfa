/* XXH64 against the values of the reference implementation. */
#include <criterion/criterion.h>

#include "core/base/base.h"

#include <stdlib.h>

Test(hash64, known_texts)
{
    cr_expect_eq(kvi_hash64(kivi_bytes(NULL, 0)), UINT64_C(0xEF46DB3751D8E999));
    cr_expect_eq(kvi_hash64(kivi_str("a")), UINT64_C(0xD24EC4F1A98C6E5B));
    cr_expect_eq(kvi_hash64(kivi_str("abc")), UINT64_C(0x44BC2CF5AD770999));
    cr_expect_eq(kvi_hash64(kivi_str("Nobody inspects the spammish repetition")),
                 UINT64_C(0xFBCEA83C8A378BF1));
}

/* The buffer of the reference's own self-test: bytes of a 32-bit generator. */
static void fill(uint8_t *bytes, size_t size)
{
    uint64_t generator = UINT64_C(2654435761);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(generator >> 56);
        generator *= UINT64_C(11400714785074694797);
    }
}

Test(hash64, sanity_buffer_of_the_reference)
{
    uint8_t bytes[222];
    fill(bytes, sizeof(bytes));
    cr_expect_eq(kvi_hash64(kivi_bytes(bytes, 1)), UINT64_C(0xE934A84ADB052768));
    cr_expect_eq(kvi_hash64(kivi_bytes(bytes, 4)), UINT64_C(0x9136A0DCA57457EE));
    cr_expect_eq(kvi_hash64(kivi_bytes(bytes, 14)), UINT64_C(0x8282DCC4994E35C8));
    cr_expect_eq(kvi_hash64(kivi_bytes(bytes, 222)), UINT64_C(0xB641AE8CB691C174));
}

Test(hash64, does_not_care_where_bytes_lie)
{
    uint8_t bytes[80 + 8];
    for (size_t size = 0; size <= 80; size++) {
        fill(bytes, size);
        uint64_t wanted = kvi_hash64(kivi_bytes(bytes, size));
        for (size_t shift = 1; shift < 8; shift++) {
            fill(bytes + shift, size);
            cr_assert_eq(kvi_hash64(kivi_bytes(bytes + shift, size)), wanted, "%zu bytes at %zu",
                         size, shift);
        }
    }
}
