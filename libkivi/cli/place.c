/* Which store a URL means, wherever the command runs: paths made absolute. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"

/* A URL's path: what follows the scheme, up to the options. False: it names a host. */
static bool find_path(const char *url, kivi_slice *path)
{
    const char *colon = strchr(url, ':');
    const char *begin = colon ? colon + 1 : url;
    bool hierarchy = begin[0] == '/' && begin[1] == '/';

    if (hierarchy && begin[2] != '/')
        return false;
    begin += hierarchy ? 2 : 0;
    *path = kivi_bytes(begin, strcspn(begin, "?"));
    return colon && path->size;
}

/* As it stands in a URL: what means something else there is encoded. */
static void append_encoded(const char *text, kivi_buffer *out)
{
    char code[4];

    for (; *text; text++) {
        bool special = strchr("%?#", *text) || (unsigned char)*text < 0x20 || *text == 0x7f;

        snprintf(code, sizeof code, special ? "%%%02X" : "%c", (unsigned char)*text);
        cli_need(kivi_buffer_append(out, kivi_str(code)));
    }
}

void cli_url_absolute(const char *url, kivi_buffer *out)
{
    char *folder = NULL;
    kivi_slice path;

    if (find_path(url, &path) && *(const char *)path.data != '/')
        folder = getcwd(NULL, 0);
    if (folder) {
        size_t scheme = (size_t)((const char *)path.data - url);

        cli_need(kivi_buffer_append(out, kivi_bytes(url, scheme)));
        append_encoded(folder, out);
        cli_need(kivi_buffer_append(out, kivi_str("/")));
        url = path.data;
    }
    cli_need(kivi_buffer_append(out, kivi_str(url)));
    free(folder);
}
