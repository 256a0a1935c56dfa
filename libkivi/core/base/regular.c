/* Files that are opened by name, where something else may lie. */
#include "regular.h"
#include "platform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The system's words, but for those that speak of a directory where a file was asked for. */
static void explain(int code, char problem[KVI_REGULAR_PROBLEM])
{
    char text[KVI_REGULAR_PROBLEM];
    snprintf(problem, KVI_REGULAR_PROBLEM, "%s",
             code == ENOENT ? "no such file" : kvi_errno_text(code, text, sizeof(text)));
}

int kvi_regular_open(const char *path, uint64_t most, char problem[KVI_REGULAR_PROBLEM])
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info))
        explain(errno, problem);
    else if (!S_ISREG(info.st_mode))
        snprintf(problem, KVI_REGULAR_PROBLEM, "not a regular file");
    else if ((uint64_t)info.st_size > most)
        snprintf(problem, KVI_REGULAR_PROBLEM, "larger than %llu bytes", (unsigned long long)most);
    else
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}
