/*
 * Escaping: keys as stores with forbidden bytes hold them. A byte that does not fit becomes %XX. Each byte is
 * judged by its place in the whole key; judge() is the one home of the rules, for whole keys and for prefixes
 * of which more is to come.
 */
#include "escape.h"
#include "../base/base.h"

typedef enum verdict {
    AS_IT_IS,
    ESCAPED,
    OPEN /* only what follows will tell; of whole keys never answered */
} verdict;

/* One key under the rules of a store. */
typedef struct subject {
    const kivi_escape *escape;
    uint8_t ever[32]; /* bytes that this store can ever escape; '%' before two digits of one is escaped itself */
    const uint8_t *key;
    size_t size;
    bool whole; /* false: a prefix, any bytes may follow */
} subject;

static inline bool has_bit(const uint8_t bits[32], uint8_t byte)
{
    return bits[byte / 8] >> (byte % 8) & 1;
}

static void set_bit(uint8_t bits[32], uint8_t byte)
{
    bits[byte / 8] |= (uint8_t)(1u << (byte % 8));
}

static bool has_reserved(const kivi_escape *escape)
{
    return escape->reserved_prefix && *escape->reserved_prefix;
}

bool kvi_escape_is_trivial(const kivi_escape *escape)
{
    uint8_t any = 0;
    for (size_t i = 0; i < sizeof(escape->bytes); i++)
        any |= escape->bytes[i];
    return !any && !escape->rules && !has_reserved(escape);
}

bool kvi_escape_keeps_order(const kivi_escape *escape)
{
    return kvi_escape_is_trivial(escape); /* where any byte is ever escaped, a '%' inside a key can be */
}

unsigned kvi_escape_factor(const kivi_escape *escape)
{
    return kvi_escape_is_trivial(escape) ? 1 : 3;
}

static subject subject_of(const kivi_escape *escape, kivi_slice key, bool whole)
{
    subject of = {.escape = escape, .key = key.data, .size = key.size, .whole = whole};
    memcpy(of.ever, escape->bytes, sizeof(of.ever));
    if (escape->rules & KIVI_ESCAPE_UTF8)
        memset(of.ever + 0x80 / 8, 0xff, 0x80 / 8);
    if (escape->rules & KIVI_ESCAPE_PATH) {
        set_bit(of.ever, '/');
        set_bit(of.ever, '.');
    }
    if (escape->rules & (KIVI_ESCAPE_OUTER_SPACE | KIVI_ESCAPE_TRAILING_SPACE))
        set_bit(of.ever, ' ');
    if (has_reserved(escape))
        set_bit(of.ever, (uint8_t)*escape->reserved_prefix);
    set_bit(of.ever, '%');
    return of;
}

/* Upper-case digits only: others never begin an escape. */
static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

/* Whether these digits name a byte that can be escaped. */
static bool names_escape(const subject *of, uint8_t high, uint8_t low)
{
    int first = hex_digit(high), second = hex_digit(low);
    return first >= 0 && second >= 0 && has_bit(of->ever, (uint8_t)(first * 16 + second));
}

/* Whether some second digit makes an escape of this first one. */
static bool may_name_escape(const subject *of, uint8_t high)
{
    for (const char *low = "0123456789ABCDEF"; *low; low++)
        if (names_escape(of, high, (uint8_t)*low))
            return true;
    return false;
}

static verdict judge_percent(const subject *of, size_t at)
{
    size_t left = of->size - at - 1;
    const uint8_t *digits = of->key + at + 1;
    if (left >= 2)
        return names_escape(of, digits[0], digits[1]) ? ESCAPED : AS_IT_IS;
    if (of->whole)
        return AS_IT_IS;
    return left == 0 || may_name_escape(of, digits[0]) ? OPEN : AS_IT_IS;
}

/* A key that begins with the store's own prefix gets its first byte escaped. */
static verdict judge_first(const subject *of)
{
    if (!has_reserved(of->escape))
        return AS_IT_IS;
    size_t reserved = strlen(of->escape->reserved_prefix);
    size_t common = of->size < reserved ? of->size : reserved;
    if (memcmp(of->key, of->escape->reserved_prefix, common))
        return AS_IT_IS;
    if (common == reserved)
        return ESCAPED;
    return of->whole ? AS_IT_IS : OPEN;
}

static verdict judge_space(const subject *of, size_t at)
{
    const uint32_t rules = of->escape->rules;
    if (at == 0 && rules & KIVI_ESCAPE_OUTER_SPACE)
        return ESCAPED;
    if (at + 1 < of->size || !(rules & (KIVI_ESCAPE_OUTER_SPACE | KIVI_ESCAPE_TRAILING_SPACE)))
        return AS_IT_IS;
    return of->whole ? ESCAPED : OPEN;
}

static verdict judge_slash(const subject *of, size_t at)
{
    if (!(of->escape->rules & KIVI_ESCAPE_PATH))
        return AS_IT_IS;
    return at == 0 || of->key[at - 1] == '/' ? ESCAPED : AS_IT_IS;
}

/* The dots of the segments "." and "..". */
static verdict judge_dot(const subject *of, size_t at)
{
    if (!(of->escape->rules & KIVI_ESCAPE_PATH))
        return AS_IT_IS;
    size_t begin = at, end = at + 1;
    if (begin > 0 && of->key[begin - 1] == '.')
        begin--;
    else if (end < of->size && of->key[end] == '.')
        end++;
    if ((begin > 0 && of->key[begin - 1] != '/') || (end < of->size && of->key[end] != '/'))
        return AS_IT_IS;
    return of->whole || end < of->size ? ESCAPED : OPEN;
}

/* Where the well-formed sequence of several bytes that covers `at` begins, and its length; 0: there is none. */
static size_t covering_sequence(const subject *of, size_t at, size_t *begin)
{
    for (size_t back = 0; back < 4 && back <= at; back++) {
        *begin = at - back;
        size_t length = kvi_utf8_sequence(kivi_bytes(of->key + *begin, of->size - *begin));
        if (length > 1 && length > back)
            return length;
    }
    return 0;
}

static bool table_touches(const subject *of, size_t begin, size_t length)
{
    for (size_t i = begin; i < begin + length; i++)
        if (has_bit(of->escape->bytes, of->key[i]))
            return true;
    return false;
}

/* Whether the bytes of a sequence, filled up with tails of 80, are well-formed: then so are other tails from the third on. */
static bool is_begun(const uint8_t bytes[4], size_t length)
{
    return kvi_utf8_sequence(kivi_bytes(bytes, 4)) == length;
}

/* A tail byte that the table leaves alone, with which the bytes go on at place `at`. False: there is none. */
static bool find_tail(const subject *of, uint8_t bytes[4], size_t at, size_t length)
{
    for (unsigned tail = 0x80; tail <= 0xbf; tail++) {
        bytes[at] = (uint8_t)tail;
        if (!has_bit(of->escape->bytes, bytes[at]) && is_begun(bytes, length))
            return true;
    }
    return false;
}

/* Whether the `size` bytes at the end of a prefix begin a sequence that bytes the table leaves alone can complete. */
static bool can_be_completed(const subject *of, const uint8_t *end, size_t size)
{
    size_t length = end[0] < 0xe0 ? 2 : end[0] < 0xf0 ? 3 : 4;
    uint8_t bytes[4] = {0x80, 0x80, 0x80, 0x80};
    if (size >= length)
        return false;
    memcpy(bytes, end, size);
    if (size > 1 && !is_begun(bytes, length))
        return false;
    for (; size < length; size++)
        if (!find_tail(of, bytes, size, length))
            return false;
    return true;
}

/* Whether the end of a prefix, from the last byte that can begin a sequence, covers `at` and may become well-formed. */
static bool may_become_text(const subject *of, size_t at)
{
    size_t begin = at;
    while (begin > 0 && at - begin < 3 && (of->key[begin] & 0xc0) == 0x80)
        begin--;
    size_t size = of->size - begin;
    if (of->key[begin] < 0xc2 || of->key[begin] > 0xf4 || size > 3 || table_touches(of, begin, size))
        return false;
    if (begin == 0 && judge_first(of) == ESCAPED)
        return false;
    return can_be_completed(of, of->key + begin, size);
}

/* Bytes from 80 on, where text must be UTF-8: a sequence is stored whole, or with all its bytes escaped. */
static verdict judge_text(const subject *of, size_t at)
{
    if (!(of->escape->rules & KIVI_ESCAPE_UTF8))
        return AS_IT_IS;
    size_t begin, length = covering_sequence(of, at, &begin);
    if (length && table_touches(of, begin, length))
        return ESCAPED;
    if (length)
        return begin == 0 ? judge_first(of) : AS_IT_IS;
    return !of->whole && may_become_text(of, at) ? OPEN : ESCAPED;
}

static verdict judge_byte(const subject *of, size_t at)
{
    switch (of->key[at]) {
    case '%':
        return judge_percent(of, at);
    case ' ':
        return judge_space(of, at);
    case '/':
        return judge_slash(of, at);
    case '.':
        return judge_dot(of, at);
    default:
        return of->key[at] >= 0x80 ? judge_text(of, at) : AS_IT_IS;
    }
}

/* Escaped by one rule is escaped; open by one rule is open unless another escapes it anyway. */
static __attribute__((noinline)) verdict judge_by_rules(const subject *of, size_t at)
{
    if (has_bit(of->escape->bytes, of->key[at]))
        return ESCAPED;
    verdict first = at == 0 ? judge_first(of) : AS_IT_IS;
    if (first == ESCAPED)
        return ESCAPED;
    verdict own = judge_byte(of, at);
    return own == AS_IT_IS ? first : own;
}

/* No rule touches a byte that is never escaped, wherever it stands: most bytes of most keys. */
static inline verdict judge(const subject *of, size_t at)
{
    return has_bit(of->ever, of->key[at]) ? judge_by_rules(of, at) : AS_IT_IS;
}

/* The stored form of a byte: 1 or 3 bytes. */
static inline size_t write_byte(uint8_t byte, verdict as, uint8_t to[3])
{
    static const char digits[] = "0123456789ABCDEF";
    to[0] = byte;
    if (as == AS_IT_IS)
        return 1;
    to[0] = '%';
    to[1] = (uint8_t)digits[byte >> 4];
    to[2] = (uint8_t)digits[byte & 15];
    return 3;
}

static kivi_status make_room(kivi_buffer *out, size_t size)
{
    if (size > (PTRDIFF_MAX - out->size) / 3)
        return KIVI_NO_MEMORY;
    return kivi_buffer_reserve(out, out->size + size * 3);
}

kivi_status kvi_escape_encode(const kivi_escape *escape, kivi_slice key, kivi_buffer *out)
{
    if (kvi_escape_is_trivial(escape) || !key.size)
        return kivi_buffer_append(out, key);
    kivi_status status = make_room(out, key.size);
    if (status)
        return status;
    subject of = subject_of(escape, key, true);
    uint8_t *to = out->data + out->size;
    for (size_t i = 0; i < of.size; i++)
        to += write_byte(of.key[i], judge(&of, i), to);
    out->size = (size_t)(to - out->data);
    return KIVI_OK;
}

bool kvi_escape_fits(const kivi_escape *escape, kivi_slice key)
{
    subject of = subject_of(escape, key, true);
    for (size_t i = 0; i < of.size; i++) {
        bool plain_percent = of.key[i] == '%' && !has_bit(escape->bytes, '%');
        if ((plain_percent ? (i ? AS_IT_IS : judge_first(&of)) : judge(&of, i)) != AS_IT_IS)
            return false;
    }
    return true;
}

/* Whether the key in `decoded` is stored as these bytes and no others. */
static bool is_encoding_of(const kivi_escape *escape, kivi_slice stored, kivi_slice decoded)
{
    subject of = subject_of(escape, decoded, true);
    const uint8_t *bytes = stored.data;
    size_t at = 0;
    for (size_t i = 0; i < of.size; i++) {
        uint8_t wanted[3];
        size_t size = write_byte(of.key[i], judge(&of, i), wanted);
        if (stored.size - at < size || memcmp(bytes + at, wanted, size))
            return false;
        at += size;
    }
    return at == stored.size;
}

kivi_status kvi_escape_decode(const kivi_escape *escape, kivi_slice stored, kivi_buffer *out)
{
    if (kvi_escape_is_trivial(escape))
        return kivi_buffer_assign(out, stored);
    out->size = 0;
    kivi_status status = kivi_buffer_reserve(out, stored.size ? stored.size : 1);
    if (status)
        return status;
    subject of = subject_of(escape, stored, true);
    for (size_t i = 0; i < of.size; i++) {
        uint8_t byte = of.key[i];
        if (byte == '%' && of.size - i > 2 && names_escape(&of, of.key[i + 1], of.key[i + 2])) {
            byte = (uint8_t)(hex_digit(of.key[i + 1]) * 16 + hex_digit(of.key[i + 2]));
            i += 2;
        }
        out->data[out->size++] = byte;
    }
    if (is_encoding_of(escape, stored, kivi_buffer_slice(out)))
        return KIVI_OK;
    out->size = 0;
    return KIVI_CORRUPT;
}

/* A byte that may be stored either way adds what both ways begin with: of '%', and of '%' before a '2', something. */
static void append_open(const subject *of, size_t at, kivi_buffer *out)
{
    if (of->key[at] != '%')
        return;
    out->data[out->size++] = '%';
    if (at + 1 < of->size && of->key[at + 1] == '2' && !has_bit(of->escape->bytes, '2'))
        out->data[out->size++] = '2';
}

kivi_status kvi_escape_prefix(const kivi_escape *escape, kivi_slice prefix, kivi_buffer *out)
{
    if (kvi_escape_is_trivial(escape))
        return kivi_buffer_append(out, prefix);
    kivi_status status = make_room(out, prefix.size);
    if (status)
        return status;
    subject of = subject_of(escape, prefix, false);
    for (size_t i = 0; i < of.size; i++) {
        verdict as = judge(&of, i);
        if (as == OPEN) {
            append_open(&of, i, out);
            break;
        }
        out->size += write_byte(of.key[i], as, out->data + out->size);
    }
    return KIVI_OK;
}
