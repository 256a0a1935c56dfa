/* Rewriting a value of one codec in another. */
#include "codec.h"

/* What the first pass learns: that no map names a key twice, and how many elements each container has. */
struct survey {
    kvi_canonical keys;
    bool counting;      /* the codec does not say counts itself */
    kivi_buffer counts; /* uint32_t of each container, in the order of their beginnings */
    kivi_buffer open;   /* size_t: twice the index of an open container, 1 added for a map */
};

static kivi_status count_begin(struct survey *survey, bool map)
{
    uint32_t none = 0;
    size_t word = survey->counts.size / sizeof(none) * 2 + map;
    kivi_status status = kivi_buffer_append(&survey->counts, kivi_bytes(&none, sizeof(none)));
    return status ? status : kivi_buffer_append(&survey->open, kivi_bytes(&word, sizeof(word)));
}

static kivi_status count_token(struct survey *survey, const kivi_token *token)
{
    uint32_t *counts = (uint32_t *)(void *)survey->counts.data;
    size_t open = survey->open.size / sizeof(size_t);
    size_t in = open ? ((size_t *)(void *)survey->open.data)[open - 1] : 0;
    if (token->type == KIVI_TOKEN_END) {
        survey->open.size -= sizeof(size_t);
        if (in % 2)
            counts[in / 2] /= 2; /* keys and values to pairs */
        return KIVI_OK;
    }
    if (open)
        counts[in / 2]++;
    if (token->type != KIVI_TOKEN_ARRAY && token->type != KIVI_TOKEN_MAP)
        return KIVI_OK;
    return count_begin(survey, token->type == KIVI_TOKEN_MAP);
}

static kivi_status take_error(const kivi_reader *reader, kivi_status status, kivi_error **error)
{
    if (error)
        *error = kivi_reader_error(reader);
    return status;
}

static kivi_status run_survey(struct survey *survey, kivi_reader *reader, kivi_slice value,
                              kivi_error **error)
{
    char path[KVI_PATH_MAX];
    kivi_token token;
    kivi_status status;
    kivi_reader_start(reader, value);
    while (!(status = kivi_reader_next(reader, &token))) {
        if (kvi_canonical_token(&survey->keys, &token) ||
            (survey->counting && count_token(survey, &token)))
            return kvi_fail(error, KIVI_NO_MEMORY, "out of memory");
        if (survey->keys.duplicate) {
            kvi_value_path(reader->codec, value, survey->keys.duplicate, path);
            return kvi_fail(error, KIVI_UNREPRESENTABLE, "%s: a map names a key twice at %s",
                            reader->codec->name, path);
        }
    }
    return status == KIVI_END ? KIVI_OK : take_error(reader, status, error);
}

static kivi_status rewrite(const struct survey *survey, kivi_reader *reader, kivi_slice value,
                           kivi_writer *writer, kivi_error **error)
{
    const uint32_t *counts = (const uint32_t *)(const void *)survey->counts.data;
    kivi_token token;
    kivi_status status;
    kivi_reader_start(reader, value);
    while (!(status = kivi_reader_next(reader, &token))) {
        if (survey->counting && (token.type == KIVI_TOKEN_ARRAY || token.type == KIVI_TOKEN_MAP))
            token.as.count = *counts++;
        if (kivi_writer_token(writer, &token))
            break; /* finish tells why */
    }
    kivi_status finished = kivi_writer_finish(writer, error);
    if (kvi_is_answer(status))
        return finished;
    if (error)
        kivi_error_free(*error); /* of the half that was written */
    return take_error(reader, status, error);
}

kivi_status kivi_value_convert(const char *from, kivi_slice value, const char *to, kivi_buffer *out,
                               kivi_error **error)
{
    kvi_error_clear(error);
    out->size = 0;
    const kvi_codec *codec;
    kivi_status status = kvi_codec_need(from, &codec, error);
    if (status)
        return status;
    struct survey survey = {.keys.keys_only = true, .counting = !codec->reader->knows_counts};
    kivi_reader *reader = NULL;
    kivi_writer *writer = NULL;
    status = kivi_writer_new(to, &writer, error);
    if (status)
        goto out;
    status = kvi_reader_create(codec, KVI_DEPTH_DEFAULT, KVI_SIZE_DEFAULT, &reader, error);
    if (status)
        goto out;
    status = run_survey(&survey, reader, value, error);
    if (status)
        goto out;
    kivi_writer_start(writer, out);
    status = rewrite(&survey, reader, value, writer, error);
out:
    kvi_canonical_free(&survey.keys);
    kivi_buffer_free(&survey.counts);
    kivi_buffer_free(&survey.open);
    kivi_reader_free(reader);
    kivi_writer_free(writer);
    return status;
}
