/* UTF-8: every short string judged as a plain reading of the standard does. */
#include <criterion/criterion.h>

#include "core/base/base.h"

/* Decodes by the definition: a number, its shortest form, no surrogate. The length, or 0. */
static size_t decode(const uint8_t *at, size_t size)
{
    static const struct {
        uint8_t mask, mark;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t tails = 0; size && tails < 4; tails++) {
        if ((at[0] & forms[tails].mask) != forms[tails].mark)
            continue;
        uint32_t number = at[0] & (uint8_t)~forms[tails].mask;
        if (size < tails + 1)
            return 0;
        for (size_t i = 1; i <= tails; i++) {
            if ((at[i] & 0xc0) != 0x80)
                return 0;
            number = number << 6 | (at[i] & 0x3f);
        }
        bool surrogate = number >= 0xd800 && number <= 0xdfff;
        return number < forms[tails].least || number > 0x10ffff || surrogate ? 0 : tails + 1;
    }
    return 0;
}

Test(utf8, every_two_and_three_bytes)
{
    for (uint32_t word = 0; word < 1u << 24; word++) {
        uint8_t bytes[3] = {(uint8_t)(word >> 16), (uint8_t)(word >> 8), (uint8_t)word};
        if (kvi_utf8_sequence(kivi_bytes(bytes, 3)) != decode(bytes, 3))
            cr_assert_fail("%02x %02x %02x", bytes[0], bytes[1], bytes[2]);
        if (bytes[2] == 0 && kvi_utf8_sequence(kivi_bytes(bytes, 2)) != decode(bytes, 2))
            cr_assert_fail("%02x %02x", bytes[0], bytes[1]);
    }
}

Test(utf8, four_bytes)
{
    static const uint8_t tails[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0xbf, 0xc0, 0xff};
    for (uint32_t word = 0; word < 1u << 16; word++)
        for (size_t i = 0; i < 64; i++) {
            uint8_t bytes[4] = {(uint8_t)(word >> 8), (uint8_t)word, tails[i / 8], tails[i % 8]};
            if (kvi_utf8_sequence(kivi_bytes(bytes, 4)) != decode(bytes, 4))
                cr_assert_fail("%02x %02x %02x %02x", bytes[0], bytes[1], bytes[2], bytes[3]);
        }
}

Test(utf8, whole_texts)
{
    cr_expect(kvi_utf8_is_valid(kivi_bytes(NULL, 0)));
    cr_expect(kvi_utf8_is_valid(kivi_str("plain ascii text of some length")));
    cr_expect(kvi_utf8_is_valid(kivi_bytes("a\0b", 3)));
    cr_expect(kvi_utf8_is_valid(kivi_str("12345678\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")));
    cr_expect_not(kvi_utf8_is_valid(kivi_str("12345678\xff")));
    cr_expect_not(kvi_utf8_is_valid(kivi_str("1234567\xc3")));
    cr_expect_not(kvi_utf8_is_valid(kivi_str("\xed\xa0\x80")));
    cr_expect_not(kvi_utf8_is_valid(kivi_str("\xf4\x90\x80\x80")));
    cr_expect_not(kvi_utf8_is_valid(kivi_str("\xc0\x80")));
}

Test(utf8, one_bad_byte_anywhere_is_found)
{
    char text[40];
    for (size_t size = 1; size < sizeof(text); size++)
        for (size_t at = 0; at < size; at++) {
            memset(text, 'x', size);
            cr_assert(kvi_utf8_is_valid(kivi_bytes(text, size)));
            text[at] = '\xbf';
            cr_assert_not(kvi_utf8_is_valid(kivi_bytes(text, size)), "byte %zu of %zu", at, size);
        }
}

static void expect_shown(const char *text, size_t taken, const char *wanted)
{
    char shown[KVI_UTF8_SHOWN];
    size_t size, room = kvi_utf8_show(kivi_str(text), shown, &size);
    cr_expect_eq(size, taken, "%s takes %zu", wanted, size);
    cr_expect(room == strlen(wanted) && !memcmp(shown, wanted, room), "%.*s, not %s", (int)room,
              shown, wanted);
}

Test(utf8, shown)
{
    expect_shown("ab", 1, "a");
    expect_shown("\n", 1, "\\x0a");
    expect_shown("\x7f", 1, "\\x7f");
    expect_shown("\xff"
                 "a",
                 1, "\\xff");
    expect_shown("\xc3\xa9", 2, "\xc3\xa9");
    expect_shown("\xc2\x9b", 2, "\\xc2\\x9b");               /* C1 */
    expect_shown("\xe2\x80\xae", 3, "\\xe2\\x80\\xae");      /* right to left */
    expect_shown("\xe2\x81\xa9", 3, "\\xe2\\x81\\xa9");      /* the end of an isolate */
    expect_shown("\xd8\x9c", 2, "\\xd8\\x9c");               /* Arabic letter mark */
    expect_shown("\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80"); /* a face */
    expect_shown("\xf3\xa0\x81\x81", 4, "\\xf3\\xa0\\x81\\x81");
}
