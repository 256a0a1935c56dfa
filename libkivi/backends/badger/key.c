/* The encryption key: hexadecimal digits, in an option or a file. It reaches no message. */
#include "badger.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "../../core/base/platform.h"
#include "../../core/base/regular.h"

#define DIGITS_MOST (2 * KVI_BADGER_KEY_MOST)

static kivi_status refuse(kivi_error **error, kivi_status status, const char *where, const char *why)
{
    *error = kvi_go_core->error(status, 0, KIVI_RETRY_NO, "%s: %s", where, why);
    return status;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_digits(const char *text, size_t size, kvi_badger_key *key)
{
    if (size != 32 && size != 48 && size != 64)
        return false;
    for (size_t i = 0; i < size; i += 2) {
        int high = digit(text[i]), low = digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        key->bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    key->size = size / 2;
    return true;
}

static kivi_status read_file(const char *path, kvi_badger_key *key, kivi_error **error)
{
    char text[DIGITS_MOST + 2], problem[KVI_REGULAR_PROBLEM];
    int fd = kvi_regular_open(path, UINT64_MAX, problem);
    ssize_t size;
    bool good;

    if (fd < 0)
        return refuse(error, KIVI_DENIED, path, problem);
    size = read(fd, text, sizeof(text));
    close(fd);
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        size--;
    good = size > 0 && read_digits(text, (size_t)size, key);
    kvi_erase(text, sizeof(text));
    return good ? KIVI_OK
                : refuse(error, KIVI_INVALID, path,
                         "not an encryption key of 32, 48 or 64 hexadecimal digits");
}

kivi_status kvi_badger_read_key(const kivi_config *config, kvi_badger_key *key, kivi_error **error)
{
    const char *text = kvi_go_core->option_text(config, "encryption_key");
    const char *path = kvi_go_core->option_text(config, "encryption_key_file");

    key->size = 0;
    if (text && path)
        return refuse(error, KIVI_INVALID, "encryption_key", "say this or encryption_key_file");
    if (path)
        return read_file(path, key, error);
    if (text && !read_digits(text, strlen(text), key))
        return refuse(error, KIVI_INVALID, "encryption_key", "32, 48 or 64 hexadecimal digits");
    return KIVI_OK;
}
