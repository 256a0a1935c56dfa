/* The tokens of one JSON document that is never held whole: the reader gets it in chunks. */
#include <stdio.h>

#include "cli.h"
#include "import.h"

/*
 * A chunk ends after a comma, wherever that is in the document. So that the reader takes it for a whole value, the
 * arrays and objects that are open there are closed behind it and opened again before the next one. After the comma
 * and before the next chunk stands a 0, so that a comma with nothing beside it is as wrong as it was. The tokens of
 * all that was put in are passed over.
 */

static void put(kivi_buffer *to, const char *text)
{
    cli_need(kivi_buffer_append(to, kivi_str(text)));
}

static void put_openers(cli_stream *stream)
{
    for (size_t i = 0; i < stream->cut_depth; i++)
        put(&stream->chunk, stream->cut_open[i] == '['  ? "["
                            : i + 1 < stream->cut_depth ? "{\"\":"
                                                        : "{");
    if (stream->cut_depth)
        put(&stream->chunk, stream->cut_open[stream->cut_depth - 1] == '[' ? "0," : "\"\":0,");
}

static void put_closers(cli_stream *stream)
{
    put(&stream->chunk, stream->cut_open[stream->cut_depth - 1] == '[' ? "0" : "\"\":0");
    for (size_t i = stream->cut_depth; i--;)
        put(&stream->chunk, stream->cut_open[i] == '[' ? "]" : "}");
}

/* How many tokens the openers are. */
static size_t count_openers(const cli_stream *stream)
{
    size_t tokens = 0;

    for (size_t i = 0; i < stream->cut_depth; i++)
        tokens += stream->cut_open[i] == '[' ? 1 : 2;
    return tokens + (stream->cut_depth > 0);
}

static void scan_byte(cli_stream *stream, char c, size_t at)
{
    switch (c) {
    case '"':
        stream->in_text = true;
        break;
    case '[':
    case '{':
        if (stream->depth < CLI_STREAM_DEPTH)
            stream->open[stream->depth] = c;
        stream->depth++;
        break;
    case ']':
    case '}':
        stream->depth -= stream->depth > 0;
        break;
    case ',':
        stream->members += stream->depth == 1;
        if (!stream->depth || stream->depth > CLI_STREAM_DEPTH)
            break;
        stream->cut = at + 1;
        stream->cut_depth = stream->depth;
        memcpy(stream->cut_open, stream->open, stream->depth);
        break;
    default:
        break;
    }
}

void cli_stream_scan(cli_stream *stream, kivi_slice text)
{
    const char *bytes = text.data;

    for (; stream->scanned < text.size; stream->scanned++) {
        char c = bytes[stream->scanned];

        if (stream->escaped)
            stream->escaped = false;
        else if (!stream->in_text)
            scan_byte(stream, c, stream->scanned);
        else if (c == '\\')
            stream->escaped = true;
        else
            stream->in_text = c != '"';
    }
}

/* Hands the reader the next chunk. KIVI_IO: it cannot be read, and why is in the values. */
static kivi_status load(cli_import *import)
{
    cli_stream *stream = &import->stream;
    kivi_status status = KIVI_OK;
    kivi_token token;
    size_t openers = count_openers(stream), size;

    cli_buffer_clear(&stream->chunk);
    put_openers(stream);
    stream->before = stream->chunk.size;
    stream->base = import->input.taken;
    stream->cut = 0;
    cli_stream_scan(stream, cli_input_left(import));
    /* Deeper than the reader goes nothing is to be awaited. */
    while (!stream->cut && stream->depth <= CLI_STREAM_DEPTH && cli_input_more(import))
        cli_stream_scan(stream, cli_input_left(import));
    if (import->input.failed)
        return KIVI_IO;
    stream->last = !stream->cut;
    size = stream->last ? cli_input_left(import).size : stream->cut;
    cli_need(kivi_buffer_append(&stream->chunk, kivi_bytes(cli_input_left(import).data, size)));
    cli_input_take(import, size);
    stream->scanned -= size;
    stream->end = stream->chunk.size;
    if (!stream->last)
        put_closers(stream);
    kivi_reader_start(import->reader, kivi_buffer_slice(&stream->chunk));
    while (!status && openers--)
        status = kivi_reader_next(import->reader, &token);
    return status;
}

kivi_status cli_stream_next(cli_import *import, kivi_token *token)
{
    cli_stream *stream = &import->stream;

    for (;;) {
        kivi_status status = KIVI_OK;

        if (!stream->started || stream->through)
            status = load(import);
        stream->started = true;
        stream->through = false;
        if (!status)
            status = kivi_reader_next(import->reader, token);
        if (status || stream->last || kivi_reader_offset(import->reader) <= stream->end)
            return status;
        stream->through = true; /* the token is the first of what was put behind the chunk */
    }
}

static bool is_container(const kivi_token *token)
{
    return token->type == KIVI_TOKEN_ARRAY || token->type == KIVI_TOKEN_MAP;
}

kivi_status cli_stream_skip(cli_import *import, const kivi_token *first)
{
    size_t open = is_container(first);
    kivi_status status = KIVI_OK;
    kivi_token token;

    while (open && !(status = cli_stream_next(import, &token)))
        open = token.type == KIVI_TOKEN_END ? open - 1 : open + is_container(&token);
    return status;
}

kivi_status cli_stream_tree(cli_import *import, const kivi_token *first)
{
    kivi_token token = *first;
    size_t open;

    cli_tree_begin(&import->tree, &open);
    while (!cli_tree_add(&import->tree, &token, &open)) {
        kivi_status status = cli_stream_next(import, &token);

        if (status)
            return status;
    }
    return KIVI_OK;
}

/* The reader counts its chunk's bytes: what is wanted is the place in the document. */
void cli_stream_problem(const cli_import *import, const char *message, char *text, size_t capacity)
{
    static const char words[] = " at byte ";
    const cli_stream *stream = &import->stream;
    const char *end = message, *next = message;
    size_t offset = kivi_reader_offset(import->reader);

    while ((next = strstr(next, words)))
        end = next++;
    offset = offset > stream->before ? offset - stream->before : 0;
    snprintf(text, capacity, "%.*s%s%llu", (int)(end - message), message, words,
             (unsigned long long)(stream->base + offset));
}
