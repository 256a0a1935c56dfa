/* Stores of a language's objects: opening, counting, and memory for the values of arguments. */
#include "bindings.h"

#include <stdio.h>
#include <stdlib.h>

kvb_store *kvb_open(const char *url, const kivi_call *call, const kivi_options *options,
                    kvb_queue *queue, kivi_error **error)
{
    kvb_store *store = calloc(1, sizeof(*store));
    if (error)
        *error = NULL;
    if (!store)
        return NULL;
    store->refs = 1;
    store->can.struct_size = sizeof(store->can);
    if (kivi_store_open(url, call, options, &store->store, error) ||
        kivi_store_capabilities(store->store, &store->can, error)) {
        kvb_store_unref(store);
        return NULL;
    }
    store->codec = kivi_store_codec(store->store);
    store->queue = queue ? kvb_queue_ref(queue) : NULL;
    return store;
}

kvb_store *kvb_store_through(const kvb_store *store, kvb_queue *queue)
{
    kvb_store *through = calloc(1, sizeof(*through));
    if (!through)
        return NULL;
    through->refs = 1;
    through->can = store->can;
    through->codec = store->codec;
    through->queue = kvb_queue_ref(queue);
    through->store = store->store;
    kivi_store_ref(through->store);
    through->events = store->events ? kvb_events_ref(store->events) : NULL;
    return through;
}

kvb_store *kvb_store_ref(kvb_store *store)
{
    store->refs++;
    return store;
}

static void free_encoder(kvb_encoder *encoder)
{
    kivi_writer_free(encoder->writer);
    kivi_buffer_free(&encoder->bytes);
    free(encoder);
}

static void free_answer(kvb_answer *answer)
{
    kivi_reader_free(answer->reader);
    kivi_buffer_free(&answer->value);
    kivi_buffer_free(&answer->version);
    free(answer);
}

void kvb_store_unref(kvb_store *store)
{
    kvb_encoder *encoder;
    kvb_answer *answer;
    if (!store || --store->refs)
        return;
    while ((encoder = store->encoders)) {
        store->encoders = encoder->next;
        free_encoder(encoder);
    }
    while ((answer = store->answers)) {
        store->answers = answer->next;
        free_answer(answer);
    }
    if (store->host_free)
        store->host_free(store->host);
    kivi_store_unref(store->store);
    kvb_events_unref(store->events);
    kvb_queue_unref(store->queue);
    free(store);
}

/* ---- options ---- */

kivi_status kvb_option_number(kivi_options *options, const char *name, double number, kivi_error **error)
{
    char text[40];
    snprintf(text, sizeof(text), "%.17g", number);
    return kivi_options_set(options, name, text, error);
}

kivi_status kvb_option_integer(kivi_options *options, const char *name, int64_t number, kivi_error **error)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)number);
    return kivi_options_set(options, name, text, error);
}

/* ---- readers and encoders ---- */

kivi_reader *kvb_reader_new(const kvb_store *store)
{
    /* What a store holds it may give: its own `max_value` was the limit when it was written. */
    kivi_limits limits = {.struct_size = sizeof(limits), .max_size = UINT64_MAX};
    kivi_reader *reader = NULL;
    kivi_reader_new(store->codec, &limits, &reader, NULL);
    return reader;
}

#define KEPT_SIZE (256 * 1024)

void kvb_buffer_keep(kivi_buffer *buffer)
{
    if (buffer->capacity > KEPT_SIZE)
        kivi_buffer_free(buffer);
}

static kvb_encoder *encoder_new(const char *codec)
{
    kvb_encoder *encoder = calloc(1, sizeof(*encoder));
    if (encoder && kivi_writer_new(codec, &encoder->writer, NULL)) {
        free(encoder);
        return NULL;
    }
    return encoder;
}

kvb_encoder *kvb_encoder_take(kvb_store *store)
{
    kvb_encoder *encoder = store->encoders;
    if (encoder)
        store->encoders = encoder->next;
    else
        encoder = encoder_new(store->codec);
    if (!encoder)
        return NULL;
    encoder->bytes.size = 0;
    kivi_writer_start(encoder->writer, &encoder->bytes);
    return encoder;
}

void kvb_encoder_give(kvb_store *store, kvb_encoder *encoder)
{
    if (!encoder)
        return;
    kvb_buffer_keep(&encoder->bytes);
    encoder->next = store->encoders;
    store->encoders = encoder;
}
