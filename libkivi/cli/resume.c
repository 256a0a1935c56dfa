/* Where a copy goes on: a cursor on the command line, or a file that is kept up to date. */
#include "resume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAVE_EVERY_MS 500
#define MAGIC "kivi-copy 1\n"

static void append_line(kivi_buffer *out, const char *name, kivi_slice value)
{
    cli_need(kivi_buffer_append(out, kivi_str(name)));
    cli_key_text(value, out);
    cli_need(kivi_buffer_append(out, kivi_str("\n")));
}

static void append_store(kivi_buffer *out, const char *name, const char *url)
{
    kivi_buffer absolute = KIVI_BUFFER_INIT;

    cli_url_absolute(url, &absolute);
    append_line(out, name, kivi_buffer_slice(&absolute));
    kivi_buffer_free(&absolute);
}

/*
 * The first lines of the file say what is copied: a cursor is good for nothing else. Stores are named so that
 * the same words said in another folder, which mean others, do not pass.
 */
static void make_header(cli_resume *resume, const char *source, const char *target, kivi_slice prefix)
{
    cli_need(kivi_buffer_append(&resume->header, kivi_str(MAGIC)));
    append_store(&resume->header, "source: ", source);
    append_store(&resume->header, "target: ", target);
    append_line(&resume->header, "prefix: ", prefix);
}

static int read_cursor_line(cli_resume *resume, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    if (cli_cursor_parse(line, &resume->cursor))
        return CLI_DONE;
    return cli_fail(CLI_USAGE, "%s holds no cursor: delete it to begin anew", resume->path);
}

/* Reads the file where there is one. What is no plain file is not waited for. */
static int read_text(const cli_resume *resume, kivi_buffer *text)
{
    int file = open(resume->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat kind;
    int code;

    if (file < 0 && errno != ENXIO)
        return cli_fail(CLI_FAILED, "cannot read %s: %s", resume->path, strerror(errno));
    if (file < 0 || fstat(file, &kind) != 0 || !S_ISREG(kind.st_mode))
        code = cli_fail(CLI_USAGE, "%s was not written by kivi copy: it is no plain file", resume->path);
    else
        code = cli_read_open(file, resume->path, text);
    if (file >= 0)
        close(file);
    return code;
}

static int read_file(cli_resume *resume)
{
    kivi_buffer text = KIVI_BUFFER_INIT;
    size_t header = resume->header.size;
    int code;

    if (access(resume->path, F_OK) != 0 && errno == ENOENT)
        return CLI_DONE;
    code = read_text(resume, &text);
    if (!code)
        cli_need(kivi_buffer_append(&text, kivi_bytes("", 1)));
    if (!code && strncmp((const char *)text.data, MAGIC, strlen(MAGIC)) != 0)
        code = cli_fail(CLI_USAGE, "%s was not written by kivi copy", resume->path);
    if (!code && (text.size <= header || memcmp(text.data, resume->header.data, header) != 0))
        code = cli_fail(CLI_USAGE, "%s belongs to a copy of other stores or another prefix",
                        resume->path);
    if (!code)
        code = read_cursor_line(resume, (char *)text.data + header);
    kivi_buffer_free(&text);
    return code;
}

int cli_resume_begin(cli_resume *resume, const char *argument, const char *source,
                     const char *target, kivi_slice prefix)
{
    memset(resume, 0, sizeof *resume);
    if (!argument)
        return CLI_DONE;
    if (strncmp(argument, "cursor:", 7) == 0) {
        if (cli_cursor_parse(argument, &resume->cursor))
            return CLI_DONE;
        return cli_fail(CLI_USAGE, "--resume: that is no cursor that kivi copy has shown");
    }
    resume->path = argument;
    make_header(resume, source, target, prefix);
    return read_file(resume);
}

static bool write_all(int file, const kivi_buffer *text)
{
    size_t done = 0;

    while (done < text->size) {
        ssize_t wrote = write(file, text->data + done, text->size - done);

        if (wrote < 0 && errno != EINTR)
            return false;
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

/* A new file beside the old one, of a name that nothing had: no link, no pipe is written to. */
static int open_beside(const cli_resume *resume, char **name)
{
    size_t size = strlen(resume->path) + sizeof ".XXXXXX";

    *name = cli_alloc(NULL, size);
    snprintf(*name, size, "%s.XXXXXX", resume->path);
    return mkostemp(*name, O_CLOEXEC);
}

/* Writes a new file and puts it in the old one's place: whoever reads finds one or the other, whole. */
static bool save(const cli_resume *resume, kivi_slice cursor, uint64_t copied)
{
    kivi_buffer text = KIVI_BUFFER_INIT;
    char count[48], *beside;
    int file = open_beside(resume, &beside), why;
    bool good;

    snprintf(count, sizeof count, "\ncopied: %llu\n", (unsigned long long)copied);
    cli_need(kivi_buffer_append(&text, kivi_buffer_slice(&resume->header)));
    cli_cursor_text(cursor, &text);
    cli_need(kivi_buffer_append(&text, kivi_str(count)));
    good = file >= 0 && write_all(file, &text);
    why = errno;
    if (file >= 0 && close(file) != 0 && good) {
        good = false;
        why = errno;
    }
    if (good && rename(beside, resume->path) != 0) {
        good = false;
        why = errno;
    }
    if (!good && file >= 0)
        unlink(beside);
    kivi_buffer_free(&text);
    free(beside);
    errno = why;
    return good;
}

void cli_resume_note(cli_resume *resume, kivi_slice cursor, uint64_t copied)
{
    int64_t now;

    if (!resume->path || !cursor.size)
        return;
    now = cli_now_ms();
    if (now >= resume->saved_ms && now - resume->saved_ms < SAVE_EVERY_MS)
        return;
    /* What fails now is told by the save at the end. */
    save(resume, cursor, copied);
    resume->saved_ms = now;
}

int cli_resume_end(cli_resume *resume, bool done, kivi_slice cursor, uint64_t copied)
{
    if (!resume->path)
        return CLI_DONE;
    if (done) {
        if (unlink(resume->path) != 0 && errno != ENOENT)
            return cli_fail(CLI_FAILED, "cannot delete %s: %s", resume->path, strerror(errno));
        return CLI_DONE;
    }
    if (cursor.size && !save(resume, cursor, copied)) {
        cli_fail(CLI_FAILED, "cannot write %s: %s", resume->path, strerror(errno));
        resume->path = NULL;
        return CLI_FAILED;
    }
    return CLI_DONE;
}

void cli_resume_text(const cli_resume *resume, kivi_slice cursor, kivi_buffer *out)
{
    if (resume->path)
        cli_need(kivi_buffer_append(out, kivi_str(resume->path)));
    else
        cli_cursor_text(cursor, out);
}

void cli_resume_free(cli_resume *resume)
{
    kivi_buffer_free(&resume->header);
    kivi_buffer_free(&resume->cursor);
}
