/* URLs of stores, read into decoded parts. */
#include "../base/platform.h"
#include "options.h"
#include "url_parts.h"

#include <stdlib.h>

static void wipe_text(char *text)
{
    if (text)
        kvi_erase(text, strlen(text));
    free(text);
}

void kvi_url_clear(kvi_url *url)
{
    free(url->scheme);
    free(url->user);
    wipe_text(url->password);
    free(url->host);
    free(url->port);
    free(url->path);
    kivi_options_free(url->query);
    *url = (kvi_url){.scheme = NULL};
}

static void make_lower(char *text)
{
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

static kivi_status decode_parts(const kvi_url_parts *parts, kvi_url *url, kivi_error **error)
{
    const struct {
        kivi_slice part;
        const char *name;
        char **text;
    } all[] = {
        {parts->scheme, "scheme", &url->scheme},
        {parts->user, "user", &url->user},
        {parts->password, "password", &url->password},
        {parts->host, "host", &url->host},
        {parts->port, "port", &url->port},
        {parts->path, "path", &url->path},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        kivi_status status = kvi_url_decode(all[i].part, all[i].name, all[i].text, error);
        if (status)
            return status;
    }
    make_lower(url->scheme);
    return KIVI_OK;
}

static kivi_status put_pair(kivi_options *options, const char *name, const char *value, kivi_error **error)
{
    if (!*name)
        return kvi_fail(error, KIVI_INVALID, "the URL holds an option without a name");
    if (kivi_options_get(options, name))
        return kvi_fail(error, KIVI_INVALID, "the URL gives \"%.64s\" twice", name);
    if (!value)
        return kvi_options_set_bare(options, name, error);
    return kivi_options_set(options, name, value, error);
}

static kivi_status decode_query(kivi_slice query, kivi_options *options, kivi_error **error)
{
    kivi_slice raw_name, raw_value;
    while (kvi_url_next_pair(&query, &raw_name, &raw_value)) {
        char *name = NULL, *value = NULL;
        kivi_status status = kvi_url_decode(raw_name, "query", &name, error);
        if (!status)
            status = kvi_url_decode(raw_value, "query", &value, error);
        if (!status)
            status = put_pair(options, name, value, error);
        free(name);
        wipe_text(value);
        if (status)
            return status;
    }
    return KIVI_OK;
}

kivi_status kvi_url_parse(const char *text, kvi_url *url, kivi_error **error)
{
    kvi_url_parts parts;
    *url = (kvi_url){.scheme = NULL};
    kivi_status status = kvi_url_cut(text, &parts, error);
    if (status)
        return status;
    url->query = kivi_options_new();
    if (!url->query) {
        status = kvi_fail(error, KIVI_NO_MEMORY, "no memory for a URL");
        goto out;
    }
    status = decode_parts(&parts, url, error);
    if (!status)
        status = decode_query(parts.query, url->query, error);
out:
    if (status)
        kvi_url_clear(url);
    return status;
}
