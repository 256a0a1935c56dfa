/* Bytes in and out: files, lines, keys from arguments, cursors as text. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

#define CHUNK ((size_t)1 << 16)

int cli_read_open(int file, const char *name, kivi_buffer *out)
{
    int code = CLI_DONE;
    char chunk[CHUNK];

    /* Nothing was done yet, and a signal just before read() would not end it. */
    cli_uninterruptible(true);
    for (;;) {
        ssize_t got = read(file, chunk, sizeof chunk);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            code = cli_fail(CLI_FAILED, "cannot read %s: %s", name, strerror(errno));
        if (got <= 0)
            break;
        cli_need(kivi_buffer_append(out, kivi_bytes(chunk, (size_t)got)));
    }
    cli_uninterruptible(false);
    return code;
}

int cli_read_file(const char *path, kivi_buffer *out)
{
    int file, code;

    if (strcmp(path, "-") == 0)
        return cli_read_open(STDIN_FILENO, "standard input", out);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return cli_fail(CLI_FAILED, "cannot read %s: %s", path, strerror(errno));
    code = cli_read_open(file, path, out);
    close(file);
    return code;
}

kivi_slice cli_without_mark(kivi_slice text)
{
    if (text.size >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
        return kivi_bytes((const char *)text.data + 3, text.size - 3);
    return text;
}

void cli_put(kivi_slice bytes)
{
    fwrite(bytes.data, 1, bytes.size, stdout);
}

void cli_put_json(kivi_buffer *buffer)
{
    cli_json_shown(buffer);
    cli_put(kivi_buffer_slice(buffer));
    cli_buffer_clear(buffer);
}

void cli_put_line(kivi_buffer *buffer)
{
    cli_need(kivi_buffer_append(buffer, kivi_str("\n")));
    cli_put_json(buffer);
}

void cli_put_text(const char *text)
{
    kivi_buffer shown = KIVI_BUFFER_INIT;

    cli_text_shown(kivi_str(text), &shown);
    cli_put(kivi_buffer_slice(&shown));
    kivi_buffer_free(&shown);
}

bool cli_next_line(kivi_slice *text, kivi_slice *line)
{
    const char *begin = text->data;
    const char *newline;
    size_t size;

    if (!text->size)
        return false;
    newline = memchr(begin, '\n', text->size);
    size = newline ? (size_t)(newline - begin) : text->size;
    *text = kivi_bytes(begin + size + (newline != NULL), text->size - size - (newline != NULL));
    while (size && strchr(" \t\r", begin[size - 1]) && begin[size - 1])
        size--;
    while (size && (*begin == ' ' || *begin == '\t')) {
        begin++;
        size--;
    }
    *line = kivi_bytes(begin, size);
    return true;
}

static int unescape(char *word, kivi_slice *key)
{
    size_t size;

    if (!cli_key_unescape(word, &size))
        return cli_fail(CLI_USAGE,
                        "%s: in an --escaped key \\\\ stands for a backslash and \\xNN "
                        "for a byte, nothing else",
                        word);
    *key = kivi_bytes(word, size);
    return CLI_DONE;
}

int cli_key_word(const cli_context *cli, char *word, kivi_slice *key)
{
    *key = kivi_str(word);
    return cli_has(&cli->args, OPT_ESCAPED) ? unescape(word, key) : CLI_DONE;
}

int cli_key_option(const cli_context *cli, cli_option_id id, kivi_slice *key)
{
    /* Arguments of options are the program's own memory, which may be written. */
    char *text = (char *)(uintptr_t)cli->args.text[id];

    *key = kivi_bytes(NULL, 0);
    return text ? cli_key_word(cli, text, key) : CLI_DONE;
}

#define CURSOR_MARK "cursor:"

void cli_cursor_text(kivi_slice cursor, kivi_buffer *out)
{
    kivi_buffer text = KIVI_BUFFER_INIT;
    size_t size;

    cli_base64_write(cursor, &text);
    for (size = text.size; size && text.data[size - 1] == '='; size--)
        ;
    for (size_t i = 0; i < size; i++)
        text.data[i] = text.data[i] == '+' ? '-' : text.data[i] == '/' ? '_' : text.data[i];
    cli_need(kivi_buffer_append(out, kivi_str(CURSOR_MARK)));
    cli_need(kivi_buffer_append(out, kivi_bytes(text.data, size)));
    kivi_buffer_free(&text);
}

bool cli_cursor_parse(const char *text, kivi_buffer *out)
{
    kivi_buffer plain = KIVI_BUFFER_INIT;
    bool good = false;

    if (strncmp(text, CURSOR_MARK, strlen(CURSOR_MARK)) != 0)
        return false;
    for (text += strlen(CURSOR_MARK); *text; text++) {
        char c = *text == '-' ? '+' : *text == '_' ? '/' : *text;

        cli_need(kivi_buffer_append(&plain, kivi_bytes(&c, 1)));
    }
    while (plain.size % 4)
        cli_need(kivi_buffer_append(&plain, kivi_str("=")));
    good = plain.size && cli_base64_read(kivi_buffer_slice(&plain), out);
    kivi_buffer_free(&plain);
    return good;
}

int64_t cli_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
