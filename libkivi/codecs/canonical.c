/*
 * One form for all values that are equal token by token: integers without their widths, the pairs of maps sorted.
 * Sorting is a merge sort, and a pair is copied once for each map around it: hostile bytes gain nothing.
 */
#include "codec.h"

struct kvi_canonical_level {
    size_t offset;     /* of the container in out */
    size_t first_pair; /* index of its first pair */
    size_t pair_start; /* offset of the pair being read */
    size_t key_end, key_token;
    bool map, at_value;
    bool written; /* in out, or passed over because only keys matter */
};

static kvi_canonical_level *innermost(const kvi_canonical *canonical)
{
    const kivi_buffer *levels = &canonical->levels;
    if (!levels->size)
        return NULL;
    return (kvi_canonical_level *)(void *)(levels->data + levels->size) - 1;
}

/* ---- bytes ---- */

struct form {
    uint8_t bytes[32];
    size_t size;
};

static void put_number(struct form *form, uint64_t value)
{
    while (value >= 0x80) {
        form->bytes[form->size++] = (uint8_t)(0x80 | value);
        value >>= 7;
    }
    form->bytes[form->size++] = (uint8_t)value;
}

/* Small numbers of either sign are short. */
static void put_signed(struct form *form, int64_t value)
{
    put_number(form, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

static kivi_status append(kvi_canonical *canonical, const kivi_token *token)
{
    struct form form = {.bytes = {(uint8_t)token->type}, .size = 1};
    kivi_slice bytes = {NULL, 0};
    switch (token->type) {
    case KIVI_TOKEN_NIL:
    case KIVI_TOKEN_ARRAY:
    case KIVI_TOKEN_MAP:
    case KIVI_TOKEN_END:
        break;
    case KIVI_TOKEN_BOOL:
        form.bytes[form.size++] = token->as.boolean;
        break;
    case KIVI_TOKEN_INT:
        put_signed(&form, token->as.integer);
        break;
    case KIVI_TOKEN_UINT:
        put_number(&form, token->as.uinteger);
        break;
    case KIVI_TOKEN_FLOAT:
        memcpy(form.bytes + form.size, &token->as.real, sizeof(double));
        form.size += sizeof(double);
        break;
    case KIVI_TOKEN_TIMESTAMP:
        put_signed(&form, token->as.seconds);
        put_number(&form, token->nanoseconds);
        break;
    case KIVI_TOKEN_EXT:
        form.bytes[form.size++] = (uint8_t)token->ext_type;
        /* fall through */
    case KIVI_TOKEN_STR:
    case KIVI_TOKEN_BIN:
        bytes = token->bytes;
        put_number(&form, bytes.size);
        break;
    }
    kivi_status status = kivi_buffer_append(&canonical->out, kivi_bytes(form.bytes, form.size));
    return status || !bytes.size ? status : kivi_buffer_append(&canonical->out, bytes);
}

/* ---- pairs ---- */

static int compare(const uint8_t *bytes, const kvi_canonical_pair *a, size_t a_size,
                   const kvi_canonical_pair *b, size_t b_size)
{
    int order = memcmp(bytes + a->offset, bytes + b->offset, a_size < b_size ? a_size : b_size);
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static bool in_order(const uint8_t *bytes, const kvi_canonical_pair *a, const kvi_canonical_pair *b)
{
    return compare(bytes, a, a->size, b, b->size) <= 0;
}

static void merge(const uint8_t *bytes, const kvi_canonical_pair *from, size_t middle, size_t count,
                  kvi_canonical_pair *to)
{
    size_t left = 0, right = middle;
    while (left < middle && right < count) {
        if (in_order(bytes, &from[left], &from[right]))
            *to++ = from[left++];
        else
            *to++ = from[right++];
    }
    memcpy(to, from + left, (middle - left) * sizeof(*to));
    memcpy(to + (middle - left), from + right, (count - right) * sizeof(*to));
}

/* Answers where the sorted pairs are: in `pairs` or in `spare`. */
static kvi_canonical_pair *sort(const uint8_t *bytes, kvi_canonical_pair *pairs,
                                kvi_canonical_pair *spare, size_t count)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t at = 0; at < count; at += 2 * width) {
            size_t rest = count - at;
            size_t middle = rest < width ? rest : width;
            merge(bytes, pairs + at, middle, rest < 2 * width ? rest : 2 * width, spare + at);
        }
        kvi_canonical_pair *sorted = spare;
        spare = pairs;
        pairs = sorted;
    }
    return pairs;
}

/* Writes the pairs of a map once more, in their order. They follow the tag of the map. */
static kivi_status rewrite(kvi_canonical *canonical, const kvi_canonical_level *level,
                           const kvi_canonical_pair *pairs, size_t count)
{
    uint8_t *out = canonical->out.data;
    canonical->spare.size = 0;
    for (size_t i = 0; i < count; i++) {
        kivi_status status = kivi_buffer_append(&canonical->spare,
                                                kivi_bytes(out + pairs[i].offset, pairs[i].size));
        if (status)
            return status;
    }
    memcpy(out + level->offset + 1, canonical->spare.data, canonical->spare.size);
    return KIVI_OK;
}

/* Of pairs in order: those of one key stand together. */
static void find_duplicate(kvi_canonical *canonical, const kvi_canonical_pair *pairs, size_t count)
{
    for (size_t i = 1; i < count && !canonical->duplicate; i++) {
        const kvi_canonical_pair *a = &pairs[i - 1], *b = &pairs[i];
        if (!compare(canonical->out.data, a, a->key_size, b, b->key_size))
            canonical->duplicate = a->token > b->token ? a->token : b->token;
    }
}

/* Brings the pairs of a complete map into order. */
static kivi_status close_map(kvi_canonical *canonical, const kvi_canonical_level *level)
{
    const uint8_t *bytes = canonical->out.data;
    kvi_canonical_pair *pairs = (kvi_canonical_pair *)(void *)canonical->pairs.data;
    size_t count = canonical->pairs.size / sizeof(*pairs) - level->first_pair;
    canonical->pairs.size -= count * sizeof(*pairs);
    if (count < 2)
        return KIVI_OK;
    pairs += level->first_pair;
    size_t ordered = 1;
    while (ordered < count && in_order(bytes, &pairs[ordered - 1], &pairs[ordered]))
        ordered++;
    if (ordered == count) {
        find_duplicate(canonical, pairs, count);
        return KIVI_OK;
    }
    kivi_buffer spare = KIVI_BUFFER_INIT;
    kivi_status status = kivi_buffer_reserve(&spare, count * sizeof(*pairs));
    if (!status) {
        pairs = sort(bytes, pairs, (kvi_canonical_pair *)(void *)spare.data, count);
        find_duplicate(canonical, pairs, count);
        if (level->written)
            status = rewrite(canonical, level, pairs, count);
    }
    kivi_buffer_free(&spare);
    return status;
}

/* ---- tokens ---- */

/* A scalar or a container of `in` is complete. */
static kivi_status complete(kvi_canonical *canonical, kvi_canonical_level *in)
{
    if (!in || !in->map)
        return KIVI_OK;
    if (!in->at_value) {
        in->at_value = true;
        in->key_end = canonical->out.size;
        in->key_token = canonical->tokens;
        return KIVI_OK;
    }
    in->at_value = false;
    if (canonical->out.size > UINT32_MAX || in->key_token > UINT32_MAX)
        return KIVI_NO_MEMORY;
    kvi_canonical_pair pair = {
        .offset = (uint32_t)in->pair_start,
        .size = (uint32_t)(canonical->out.size - in->pair_start),
        .key_size = (uint32_t)(in->key_end - in->pair_start),
        .token = (uint32_t)in->key_token,
    };
    return kivi_buffer_append(&canonical->pairs, kivi_bytes(&pair, sizeof(pair)));
}

static kivi_status close_level(kvi_canonical *canonical, const kivi_token *token)
{
    kvi_canonical_level level = *innermost(canonical);
    canonical->levels.size -= sizeof(level);
    kivi_status status = level.map ? close_map(canonical, &level) : KIVI_OK;
    if (status)
        return status;
    if (level.written)
        status = append(canonical, token);
    else
        canonical->out.size = level.offset;
    return status ? status : complete(canonical, innermost(canonical));
}

kivi_status kvi_canonical_token(kvi_canonical *canonical, const kivi_token *token)
{
    kvi_canonical_level *in = innermost(canonical);
    kivi_status status = KIVI_OK;
    canonical->tokens++;
    if (token->type == KIVI_TOKEN_END)
        return close_level(canonical, token);
    bool key = in && in->map && !in->at_value;
    bool written = !canonical->keys_only || key || (in && in->written);
    if (key)
        in->pair_start = canonical->out.size;
    kvi_canonical_level level = {
        .offset = canonical->out.size,
        .first_pair = canonical->pairs.size / sizeof(kvi_canonical_pair),
        .map = token->type == KIVI_TOKEN_MAP,
        .written = written,
    };
    if (written)
        status = append(canonical, token);
    if (status)
        return status;
    if (token->type != KIVI_TOKEN_MAP && token->type != KIVI_TOKEN_ARRAY)
        return complete(canonical, in);
    return kivi_buffer_append(&canonical->levels, kivi_bytes(&level, sizeof(level)));
}

void kvi_canonical_free(kvi_canonical *canonical)
{
    kivi_buffer_free(&canonical->out);
    kivi_buffer_free(&canonical->pairs);
    kivi_buffer_free(&canonical->levels);
    kivi_buffer_free(&canonical->spare);
}
