/* Where in a value something stands, for messages: value.users[3].id. */
#include "codec.h"

#include <stdio.h>

#define KEY_SHOWN 40 /* bytes of a key that a path shows */

/* An open container: which element is next, or which pair's value. */
typedef struct place {
    bool map, at_value, keyed;
    uint8_t key_size;
    size_t index;
    uint8_t key[KEY_SHOWN];
} place;

struct walk {
    kivi_buffer places;
    char *at, *end; /* free part of the path; "..." and a NUL still fit after it */
    bool full;
};

static place *innermost(struct walk *walk)
{
    return walk->places.size ? (place *)(void *)(walk->places.data + walk->places.size) - 1 : NULL;
}

static void put(struct walk *walk, const char *text, size_t size)
{
    if (walk->full)
        return;
    if (size > (size_t)(walk->end - walk->at)) {
        memcpy(walk->at, "...", 4);
        walk->full = true;
        return;
    }
    memcpy(walk->at, text, size);
    walk->at += size;
    *walk->at = 0;
}

/* Shortens text to at most `size` bytes without breaking a character. */
static size_t cut(const uint8_t *text, size_t size, size_t limit)
{
    if (size <= limit)
        return size;
    while (limit && (text[limit] & 0xc0) == 0x80)
        limit--;
    return limit;
}

/* After a scalar, or after a container's end. */
static void advance(place *in, const kivi_token *token)
{
    if (!in)
        return;
    if (!in->map || in->at_value) {
        in->index++;
        in->at_value = false;
        return;
    }
    in->at_value = true;
    in->keyed = token->type == KIVI_TOKEN_STR;
    if (in->keyed) {
        in->key_size = (uint8_t)cut(token->bytes.data, token->bytes.size, KEY_SHOWN);
        if (in->key_size)
            memcpy(in->key, token->bytes.data, in->key_size);
    } else if (token->type == KIVI_TOKEN_INT) {
        in->key_size = (uint8_t)snprintf((char *)in->key, sizeof(in->key), "%lld",
                                         (long long)token->as.integer);
    } else {
        in->key_size = 1;
        in->key[0] = '?';
    }
}

static bool step(struct walk *walk, const kivi_token *token)
{
    place opened = {0};
    if (token->type == KIVI_TOKEN_ARRAY || token->type == KIVI_TOKEN_MAP) {
        opened.map = token->type == KIVI_TOKEN_MAP;
        return !kivi_buffer_append(&walk->places, kivi_bytes(&opened, sizeof(opened)));
    }
    if (token->type == KIVI_TOKEN_END)
        walk->places.size -= sizeof(place);
    advance(innermost(walk), token);
    return true;
}

static bool is_plain(const place *in)
{
    for (size_t i = 0; i < in->key_size; i++) {
        uint8_t c = in->key[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i && c >= '0' && c <= '9'))
            return false;
    }
    return in->key_size > 0;
}

static void put_key(struct walk *walk, const place *in)
{
    char shown[KVI_UTF8_SHOWN];
    size_t size;
    if (in->keyed && is_plain(in)) {
        put(walk, ".", 1);
        put(walk, (const char *)in->key, in->key_size);
        return;
    }
    put(walk, in->keyed ? "[\"" : "[", in->keyed ? 2 : 1);
    for (size_t i = 0; i < in->key_size; i += size) {
        size_t room = kvi_utf8_show(kivi_bytes(&in->key[i], in->key_size - i), shown, &size);
        if (in->key[i] == '"' || in->key[i] == '\\')
            put(walk, in->key[i] == '"' ? "\\x22" : "\\x5c", 4);
        else
            put(walk, shown, room);
    }
    put(walk, in->keyed ? "\"]" : "]", in->keyed ? 2 : 1);
}

static void put_places(struct walk *walk)
{
    char index[32];
    const place *places = (const place *)(const void *)walk->places.data;
    for (size_t i = 0; i < walk->places.size / sizeof(*places); i++) {
        if (!places[i].map)
            put(walk, index, (size_t)snprintf(index, sizeof(index), "[%zu]", places[i].index));
        else if (places[i].at_value)
            put_key(walk, &places[i]);
        /* else a key is next: the map itself is the place */
    }
}

void kvi_value_path(const kvi_codec *codec, kivi_slice value, size_t count, char path[KVI_PATH_MAX])
{
    kivi_reader *reader;
    kivi_token token;
    struct walk walk = {KIVI_BUFFER_INIT, path, path + KVI_PATH_MAX - 4, false};
    put(&walk, "value", 5);
    if (kvi_reader_create(codec, KVI_DEPTH_MAX, UINT64_MAX, &reader, NULL))
        return;
    reader->partial = true;
    kivi_reader_start(reader, value);
    while (count-- && !kivi_reader_next(reader, &token) && step(&walk, &token))
        ;
    put_places(&walk);
    kivi_buffer_free(&walk.places);
    kivi_reader_free(reader);
}
