/* Counts the values of a load's writes in streams of requests. */
#include "load.h"

void tally_begin(tally *t)
{
    memset(t, 0, sizeof(*t));
    pthread_mutex_init(&t->mutex, NULL);
}

void tally_end(tally *t)
{
    for (size_t i = 0; i < LOAD_IN_FLIGHT; i++)
        free(t->slots[i].counts);
    pthread_mutex_destroy(&t->mutex);
    memset(t, 0, sizeof(*t));
}

static void note(tally *t, const char *value)
{
    unsigned long number;
    unsigned slot;
    char end;

    if (sscanf(value, "<%lu:%u%c", &number, &slot, &end) != 3 || end != '>')
        return;
    CHECK_SAYING(slot < LOAD_IN_FLIGHT && number < 10000000, "the server was sent %s", value);
    pthread_mutex_lock(&t->mutex);
    if (number >= t->slots[slot].room) {
        size_t room = 2 * (number + 16);
        uint8_t *grown = realloc(t->slots[slot].counts, room);
        CHECK(grown != NULL);
        memset(grown + t->slots[slot].room, 0, room - t->slots[slot].room);
        t->slots[slot].counts = grown;
        t->slots[slot].room = room;
    }
    if (t->slots[slot].counts[number] < UINT8_MAX)
        t->slots[slot].counts[number]++;
    pthread_mutex_unlock(&t->mutex);
}

void tally_feed(tally *t, tally_stream *stream, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '<')
            stream->size = 0;
        else if (!stream->size)
            continue; /* not inside a value */
        stream->text[stream->size++] = bytes[i];
        if (bytes[i] != '>' && stream->size + 1 < sizeof(stream->text))
            continue;
        stream->text[stream->size] = '\0';
        stream->size = 0;
        note(t, stream->text);
    }
}

void tally_file(const char *path, tally *t)
{
    FILE *file = fopen(path, "r");
    char bytes[65536];
    tally_stream stream = {.size = 0};
    size_t size;

    CHECK_SAYING(file != NULL, "%s", path);
    while ((size = fread(bytes, 1, sizeof(bytes), file)) > 0)
        tally_feed(t, &stream, bytes, size);
    fclose(file);
}

unsigned tally_count(tally *t, unsigned slot, unsigned long number)
{
    unsigned count;

    pthread_mutex_lock(&t->mutex);
    count = number < t->slots[slot].room ? t->slots[slot].counts[number] : 0;
    pthread_mutex_unlock(&t->mutex);
    return count;
}
