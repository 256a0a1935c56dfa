/* Descriptors that the library keeps stay clear of standard input, output and error. */
#include "descriptors.h"
#include "platform.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void kvi_descriptors_guard(void)
{
    int code = errno;
    for (int place = STDIN_FILENO; place <= STDERR_FILENO; place++) {
        if (fcntl(place, F_GETFD) >= 0)
            continue;
        /* Not /dev/null: a process may not see one, and writing to it through /dev/stdout would succeed. */
        int filler = kvi_filler_open();
        if (filler > STDERR_FILENO)
            close(filler); /* another thread was faster */
    }
    errno = code;
}
