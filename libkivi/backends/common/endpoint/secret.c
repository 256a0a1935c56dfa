/* The password: read where it lies, at each login; it reaches no message. */
#include "../../../core/base/platform.h"
#include "endpoint_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSWORD_MOST 4095 /* bytes; a longer one is refused, not cut */

void kvi_wipe(char *text)
{
    if (text)
        kvi_erase(text, strlen(text));
    free(text);
}

static kivi_status lost(const kivi_host *core, const char *from, const char *name, int code,
                        kivi_error **error)
{
    char reason[100] = "";

    *error = core->error(KIVI_DENIED, code, KIVI_RETRY_NO, "no password in the %s %s%s%s", from, name,
                         code ? ": " : "", code ? kvi_errno_text(code, reason, sizeof(reason)) : "");
    return KIVI_DENIED;
}

/* The password may well be there. */
static kivi_status no_descriptor(const kivi_host *core, const char *path, int code, kivi_error **error)
{
    char reason[100] = "";

    *error = core->error(KIVI_IO, code, KIVI_RETRY_NO, "cannot read the password file %s: %s", path,
                         kvi_errno_text(code, reason, sizeof(reason)));
    return KIVI_IO;
}

static kivi_status unfit(const kivi_host *core, const char *path, const char *why, kivi_error **error)
{
    *error = core->error(KIVI_DENIED, 0, KIVI_RETRY_NO, "the first line of the password file %s %s",
                         path, why);
    return KIVI_DENIED;
}

/* The password at the beginning of what was read: a line, without its end. */
static kivi_status take_line(const kivi_host *core, const char *path, const char *text, size_t size,
                             char **password, kivi_error **error)
{
    size_t length = 0;

    while (length < size && text[length] != '\r' && text[length] != '\n')
        length++;
    if (length > PASSWORD_MOST)
        return unfit(core, path, "is longer than 4095 bytes", error);
    if (memchr(text, '\0', length))
        return unfit(core, path, "has a NUL byte", error);
    if (!length)
        return lost(core, "file", path, 0, error);
    *password = strndup(text, length);
    return *password ? KIVI_OK : kvi_endpoint_no_memory(core, error);
}

static kivi_status read_file(const kivi_host *core, const char *path, char **password, kivi_error **error)
{
    char text[PASSWORD_MOST + 1];
    ssize_t size = -1;
    kivi_status status;
    int code, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd >= 0)
        size = read(fd, text, sizeof(text));
    code = errno;
    if (fd >= 0)
        close(fd);
    if (size < 0 && (code == EMFILE || code == ENFILE))
        return no_descriptor(core, path, code, error);
    if (size < 0)
        return lost(core, "file", path, code, error);
    status = take_line(core, path, text, (size_t)size, password, error);
    kvi_erase(text, sizeof(text));
    return status;
}

kivi_status kvi_endpoint_password(const kvi_endpoint *endpoint, char **password, kivi_error **error)
{
    const char *text = endpoint->password;

    *password = NULL;
    if (endpoint->password_file)
        return read_file(endpoint->core, endpoint->password_file, password, error);
    if (endpoint->password_env) {
        text = getenv(endpoint->password_env);
        if (!text || !*text)
            return lost(endpoint->core, "environment variable", endpoint->password_env, 0, error);
    }
    if (!text)
        return KIVI_OK;
    *password = strdup(text);
    return *password ? KIVI_OK : kvi_endpoint_no_memory(endpoint->core, error);
}
