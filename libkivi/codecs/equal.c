/* Whether two values are the same token by token. */
#include "codec.h"

/* OK, CORRUPT or NO_MEMORY. */
static kivi_status read_form(kivi_reader *reader, kivi_slice value, kvi_canonical *form)
{
    kivi_token token;
    kivi_status status;
    kivi_reader_start(reader, value);
    while (!(status = kivi_reader_next(reader, &token)))
        if (kvi_canonical_token(form, &token))
            return KIVI_NO_MEMORY;
    return status == KIVI_END ? KIVI_OK : status;
}

kivi_status kivi_value_equal(const char *codec, kivi_slice a, kivi_slice b, bool *equal, kivi_error **error)
{
    kvi_canonical a_form = {0}, b_form = {0};
    kvi_error_clear(error);
    *equal = false;
    const kvi_codec *found;
    kivi_status status = kvi_codec_need(codec, &found, error);
    if (status)
        return status;
    if (a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size))) {
        *equal = true;
        return KIVI_OK;
    }
    kivi_reader *reader;
    status = kvi_reader_create(found, KVI_DEPTH_DEFAULT, KVI_SIZE_DEFAULT, &reader, error);
    if (status)
        return status;
    status = read_form(reader, a, &a_form);
    if (!status)
        status = read_form(reader, b, &b_form);
    if (!status)
        *equal = a_form.out.size == b_form.out.size &&
                 !memcmp(a_form.out.data, b_form.out.data, a_form.out.size);
    if (status == KIVI_CORRUPT) /* damaged, and the bytes differ */
        status = KIVI_OK;
    if (status)
        kvi_fail(error, status, "out of memory");
    kivi_reader_free(reader);
    kvi_canonical_free(&a_form);
    kvi_canonical_free(&b_form);
    return status;
}
