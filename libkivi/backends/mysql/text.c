/* Statements as text: what is not ours goes in quotes. */
#include "my.h"

#include <stdio.h>
#include <stdlib.h>

static char *room_for(my_bytes *bytes, size_t size)
{
    size_t room = bytes->room ? bytes->room : 1024;
    char *grown;

    if (bytes->failed)
        return NULL;
    if (bytes->size + size <= bytes->room)
        return bytes->data + bytes->size;
    while (room < bytes->size + size)
        room *= 2;
    grown = realloc(bytes->data, room);
    bytes->failed = !grown;
    if (!grown)
        return NULL;
    bytes->data = grown;
    bytes->room = room;
    return grown + bytes->size;
}

static void append(my_bytes *bytes, const void *data, size_t size)
{
    char *at = room_for(bytes, size);

    if (!at)
        return;
    memcpy(at, data, size);
    bytes->size += size;
}

void kvi_my_put(my_session *session, const char *text)
{
    append(&session->request.text, text, strlen(text));
}

void kvi_my_put_number(my_session *session, int64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%lld", (long long)number);
    kvi_my_put(session, text);
}

/* The connection's characters are bytes, so that nothing but these means something within quotes. */
static bool is_special(char byte)
{
    return byte == '\'' || byte == '\\' || !byte;
}

uint64_t kvi_my_quoted_size(kivi_slice bytes)
{
    const char *data = bytes.data;
    uint64_t size = bytes.size + 2;

    for (size_t i = 0; i < bytes.size; i++)
        size += is_special(data[i]);
    return size;
}

void kvi_my_put_bytes(my_session *session, kivi_slice bytes)
{
    my_bytes *text = &session->request.text;
    const char *data = bytes.data;
    char *begin = room_for(text, 2 * bytes.size + 2), *at = begin;

    if (!begin)
        return;
    *at++ = '\'';
    for (size_t i = 0; i < bytes.size; i++) {
        if (is_special(data[i]))
            *at++ = '\\';
        *at++ = data[i] ? data[i] : '0';
    }
    *at++ = '\'';
    text->size += (size_t)(at - begin);
}

void kvi_my_put_table(my_session *session)
{
    kvi_my_put(session, " ");
    kvi_my_put(session, session->instance->settings.table);
    kvi_my_put(session, " ");
}

/* ---- Parts of statements ---- */

void kvi_my_put_listed(my_session *session, bool first, kivi_slice key)
{
    if (!first)
        kvi_my_put(session, ",");
    kvi_my_put_bytes(session, key);
}

void kvi_my_put_expiry(my_session *session, int64_t ttl_ms)
{
    if (ttl_ms <= 0) {
        kvi_my_put(session, "NULL");
        return;
    }
    kvi_my_put(session, MY_AFTER);
    kvi_my_put_number(session, ttl_ms);
}

void kvi_my_put_touch(my_session *session)
{
    kvi_my_put(session, "INSERT INTO");
    kvi_my_put_table(session);
    kvi_my_put(session, "(key_name, value_data, kivi_expires) VALUES ");
}

void kvi_my_put_touched(my_session *session, bool first, kivi_slice key, int64_t ttl_ms)
{
    kvi_my_put(session, first ? "(" : ",(");
    kvi_my_put_bytes(session, key);
    kvi_my_put(session, ",'',");
    kvi_my_put_expiry(session, ttl_ms);
    kvi_my_put(session, ")");
}

/* The rows are locked: all of them are there. */
void kvi_my_put_touch_end(my_session *session)
{
    kvi_my_put(session, " ON DUPLICATE KEY UPDATE kivi_expires = VALUES(kivi_expires), "
                        "kivi_hash = IF(VALUES(kivi_expires) IS NULL, NULL, " MY_HASH("value_data") ")");
}
