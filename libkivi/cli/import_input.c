/* The text of an import as it comes: a window over a file or a pipe, as long as what is looked at. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "import.h"

#define CHUNK ((size_t)1 << 16)
#define LOOK_MS 100 /* a signal may come just before the wait: so long until it is seen */

bool cli_input_open(cli_import *import, const char *path)
{
    cli_input *input = &import->input;
    struct stat file;

    input->file = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    input->line = 1;
    if (input->file < 0) {
        input->failed = true;
        return cli_value_problem(&import->cli->values, CLI_FAILED, "cannot read %s: %s", path,
                                 strerror(errno));
    }
    if (fstat(input->file, &file) == 0 && S_ISREG(file.st_mode))
        input->total = (uint64_t)file.st_size;
    while (cli_input_left(import).size < 3 && cli_input_more(import))
        ;
    if (input->failed)
        return false;
    cli_input_take(import, cli_input_left(import).size - cli_without_mark(cli_input_left(import)).size);
    input->taken = 0; /* places are told without the mark */
    return true;
}

void cli_input_close(cli_import *import)
{
    if (import->input.file > STDIN_FILENO)
        close(import->input.file);
    kivi_buffer_free(&import->input.bytes);
}

kivi_slice cli_input_left(const cli_import *import)
{
    const cli_input *input = &import->input;

    if (input->bytes.size == input->begin)
        return kivi_bytes("", 0);
    return kivi_bytes(input->bytes.data + input->begin, input->bytes.size - input->begin);
}

void cli_input_take(cli_import *import, size_t size)
{
    import->input.begin += size;
    import->input.taken += size;
}

/* Waits for bytes; false: Ctrl-C came. */
static bool await(const cli_import *import)
{
    struct pollfd file = {.fd = import->input.file, .events = POLLIN};

    for (;;) {
        int ready;

        if (cli_interrupted())
            return false;
        ready = poll(&file, 1, LOOK_MS);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return true;
    }
}

/* Reads into a chunk: how much, 0 at the end, or -1 with errno. */
static ssize_t read_chunk(cli_import *import, char *chunk)
{
    /* While nothing is stored there is nothing to tell: Ctrl-C ends the process at once. */
    bool stored = import->stored || import->skipped;
    ssize_t got;

    if (!stored)
        cli_uninterruptible(true);
    do {
        if (stored && !await(import)) {
            errno = EINTR;
            return -1;
        }
        got = read(import->input.file, chunk, CHUNK);
    } while (got < 0 && errno == EINTR);
    if (!stored)
        cli_uninterruptible(false);
    return got;
}

bool cli_input_more(cli_import *import)
{
    cli_input *input = &import->input;
    char chunk[CHUNK];
    ssize_t got;

    if (input->ended)
        return false;
    if (input->begin) {
        memmove(input->bytes.data, input->bytes.data + input->begin, input->bytes.size - input->begin);
        input->bytes.size -= input->begin;
        input->begin = 0;
    }
    got = read_chunk(import, chunk);
    if (got > 0) {
        cli_need(kivi_buffer_append(&input->bytes, kivi_bytes(chunk, (size_t)got)));
        return true;
    }
    input->ended = true;
    input->failed = got < 0;
    if (got < 0 && cli_interrupted())
        cli_value_problem(&import->cli->values, CLI_INTERRUPTED, "interrupted");
    else if (got < 0)
        cli_value_problem(&import->cli->values, CLI_FAILED, "cannot read %s: %s", import->name,
                          strerror(errno));
    return false;
}

bool cli_input_find_line(cli_import *import, size_t *looked)
{
    kivi_slice left = cli_input_left(import);
    const char *begin = left.data;
    const char *end = memchr(begin + *looked, '\n', left.size - *looked);

    *looked = end ? (size_t)(end + 1 - begin) : left.size;
    return end != NULL;
}

bool cli_input_line(cli_import *import, kivi_slice *line)
{
    kivi_slice text;
    size_t size = 0;

    while (!cli_input_find_line(import, &size) && cli_input_more(import))
        ;
    if (import->input.failed || !size)
        return false;
    text = kivi_bytes(cli_input_left(import).data, size);
    cli_input_take(import, size);
    import->input.line++;
    return cli_next_line(&text, line);
}

void cli_input_pass_blanks(cli_import *import)
{
    for (;;) {
        kivi_slice left = cli_input_left(import);
        const char *text = left.data;
        size_t size = 0;

        for (; size < left.size && memchr(" \t\r\n", text[size], 4); size++)
            import->input.line += text[size] == '\n';
        cli_input_take(import, size);
        if (size < left.size || !cli_input_more(import))
            return;
    }
}
