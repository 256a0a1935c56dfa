/* Finds the part of a JSON text that a JSON pointer (RFC 6901) names, while reading. */
#include "import.h"

#include <stdlib.h>

#include "cli.h"

/* One step of a pointer, "~1" and "~0" undone. */
static bool take_step(const char **pointer, kivi_buffer *step)
{
    cli_buffer_clear(step);
    for (; **pointer && **pointer != '/'; (*pointer)++) {
        char c = **pointer;

        if (c == '~') {
            (*pointer)++;
            if (**pointer != '0' && **pointer != '1')
                return false;
            c = **pointer == '0' ? '~' : '/';
        }
        cli_need(kivi_buffer_append(step, kivi_bytes(&c, 1)));
    }
    return true;
}

static kivi_status enter_map(cli_import *import, kivi_slice name, kivi_token *token)
{
    for (;;) {
        kivi_status status = cli_stream_next(import, token);
        bool found;

        if (status || token->type == KIVI_TOKEN_END)
            return status ? status : KIVI_NOT_FOUND;
        found = token->bytes.size == name.size &&
                (!name.size || memcmp(token->bytes.data, name.data, name.size) == 0);
        status = cli_stream_next(import, token);
        if (status || found)
            return status;
        status = cli_stream_skip(import, token);
        if (status)
            return status;
    }
}

static kivi_status enter_array(cli_import *import, kivi_slice name, kivi_token *token)
{
    char text[24];
    int64_t index;

    if (!name.size || name.size >= sizeof text)
        return KIVI_NOT_FOUND;
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    if (!cli_parse_int(text, &index) || index < 0)
        return KIVI_NOT_FOUND;
    for (;; index--) {
        kivi_status status = cli_stream_next(import, token);

        if (status || token->type == KIVI_TOKEN_END)
            return status ? status : KIVI_NOT_FOUND;
        if (!index)
            return KIVI_OK;
        status = cli_stream_skip(import, token);
        if (status)
            return status;
    }
}

kivi_status cli_pointer_find(cli_import *import, const char *pointer, kivi_token *token)
{
    kivi_buffer step = KIVI_BUFFER_INIT;
    kivi_status status = cli_stream_next(import, token);

    while (!status && *pointer) {
        if (*pointer++ != '/' || !take_step(&pointer, &step))
            status = KIVI_INVALID;
        else if (token->type == KIVI_TOKEN_MAP)
            status = enter_map(import, kivi_buffer_slice(&step), token);
        else if (token->type == KIVI_TOKEN_ARRAY)
            status = enter_array(import, kivi_buffer_slice(&step), token);
        else
            status = KIVI_NOT_FOUND;
    }
    kivi_buffer_free(&step);
    return status;
}
