/* Reads the pairs of an import: from lines, or from one JSON document. */
#include "import.h"

#include <stdio.h>

#include "cli.h"

#define WHERE_MAX 64
#define LOOK_MAX ((size_t)1 << 20) /* so long may a first line be whose kind only its end tells */
#define LINE_MEMBERS 4             /* key, value, and expires or ttl: a pair has no more */

static bool wrong(cli_import *import, const char *where, const char *what)
{
    return cli_value_problem(&import->cli->values, CLI_USAGE, "%s%s: %s", import->name, where, what);
}

/* Puts the place before a problem that is noted already. */
static bool place(cli_import *import, const char *where)
{
    cli_values *values = &import->cli->values;
    char problem[sizeof values->problem];

    memcpy(problem, values->problem, sizeof problem);
    return cli_value_problem(values, values->code, "%s%s: %s", import->name, where, problem);
}

static bool unreadable(cli_import *import, const char *where)
{
    cli_value_problem_error(&import->cli->values, CLI_USAGE,
                            "it is no JSON: ", kivi_reader_error(import->reader));
    return place(import, where);
}

/* The same of a document: its bytes are counted from its beginning. */
static bool unreadable_part(cli_import *import, const char *where)
{
    cli_values *values = &import->cli->values;
    char text[sizeof values->problem];
    kivi_error *error;

    if (import->input.failed)
        return false;
    error = kivi_reader_error(import->reader);
    if (!error || kivi_error_status(error) == KIVI_NO_MEMORY) {
        kivi_error_free(error);
        return unreadable(import, where);
    }
    cli_stream_problem(import, kivi_error_message(error), text, sizeof text);
    kivi_error_free(error);
    cli_value_problem(values, CLI_USAGE, "it is no JSON: %s", text);
    return place(import, where);
}

/* Appends the prefix and the key in the field of --key. */
static bool key_of_field(cli_import *import, size_t value, const char *where)
{
    const cli_tree *tree = &import->tree;
    size_t field = cli_tree_member(tree, value, import->key_field);
    char number[24];

    if (cli_tree_is(tree, field, KIVI_TOKEN_INT)) {
        snprintf(number, sizeof number, "%lld", (long long)tree->nodes[field].as.integer);
        cli_need(kivi_buffer_append(&import->batch.arena, kivi_str(number)));
        return true;
    }
    if (field != CLI_NO_NODE && cli_json_key_parse(tree, field, &import->batch.arena))
        return true;
    return wrong(import, where, "its field of --key is missing, or neither text nor a whole number");
}

static size_t begin_key(cli_import *import)
{
    size_t begin = import->batch.arena.size;

    cli_need(kivi_buffer_append(&import->batch.arena, import->prefix));
    return begin;
}

/* The time that "expires" or "ttl" leaves; 0: it has expired. */
static bool line_ttl(cli_import *import, const char *where, int64_t *ttl, bool *expired)
{
    const cli_tree *tree = &import->tree;
    size_t expires = cli_tree_member(tree, 0, "expires");
    size_t seconds = cli_tree_member(tree, 0, "ttl");
    int64_t at;
    uint32_t nanoseconds;

    if (expires != CLI_NO_NODE && seconds != CLI_NO_NODE)
        return wrong(import, where, "it has both \"expires\" and \"ttl\"");
    if (seconds != CLI_NO_NODE && !cli_tree_is(tree, seconds, KIVI_TOKEN_NIL) &&
        !cli_tree_seconds(tree, seconds, ttl))
        return wrong(import, where, "\"ttl\" must be seconds above 0, or null");
    if (expires == CLI_NO_NODE || cli_tree_is(tree, expires, KIVI_TOKEN_NIL))
        return true;
    if (!cli_tree_is(tree, expires, KIVI_TOKEN_STR) ||
        !cli_time_read(cli_tree_text(tree, expires), &at, &nanoseconds))
        return wrong(import, where, "\"expires\" must be a time like \"2030-01-01T00:00:00Z\", or null");
    *ttl = at * 1000 + (nanoseconds + 999999) / 1000000 - cli_now_ms();
    *expired = *ttl <= 0;
    return true;
}

static bool check_members(cli_import *import, const char *where)
{
    static const char *const known[] = {"key", "value", "expires", "ttl"};
    const cli_tree *tree = &import->tree;
    size_t end = cli_tree_after(tree, 0);

    if (cli_tree_repeats(tree, 0))
        return wrong(import, where, "a member stands twice");
    for (size_t name = 1; name < end; name = cli_tree_after(tree, cli_tree_after(tree, name))) {
        bool found = false;

        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found |= cli_tree_text_is(tree, name, known[i]);
        if (!found)
            return wrong(import, where, "a line has key, value, and expires or ttl, nothing else");
    }
    return true;
}

/* {"key": ..., "value": ..., "expires": ...} */
static bool add_line(cli_import *import, const char *where)
{
    size_t key = cli_tree_member(&import->tree, 0, "key");
    size_t value = cli_tree_member(&import->tree, 0, "value");
    int64_t ttl = import->ttl;
    bool expired = false;
    size_t begin;

    if (key == CLI_NO_NODE || value == CLI_NO_NODE)
        return wrong(import, where, "it must be an object with \"key\" and \"value\"");
    if (!check_members(import, where) || !line_ttl(import, where, &ttl, &expired))
        return false;
    if (expired) {
        import->skipped++;
        return true;
    }
    begin = begin_key(import);
    if (!cli_json_key_parse(&import->tree, key, &import->batch.arena))
        return wrong(import, where, "\"key\" must be text or {\"$bin\": base64}");
    return cli_import_add(import, begin, value, ttl) || place(import, where);
}

/* An element or member that is a value whose key is in it. */
static bool add_value(cli_import *import, const char *where)
{
    size_t begin = begin_key(import);

    return key_of_field(import, 0, where) &&
           (cli_import_add(import, begin, 0, import->ttl) || place(import, where));
}

bool cli_import_lines(cli_import *import)
{
    kivi_slice line;
    char where[WHERE_MAX];

    while (cli_input_line(import, &line)) {
        if (!line.size)
            continue;
        snprintf(where, sizeof where, ", line %llu", (unsigned long long)import->input.line - 1);
        if (cli_tree_parse(&import->tree, import->reader, line))
            return unreadable(import, where);
        if (!(import->key_field ? add_value(import, where) : add_line(import, where)))
            return false;
    }
    return !import->input.failed;
}

static bool is_name(const kivi_token *token, const char *name)
{
    return token->type == KIVI_TOKEN_STR && token->bytes.size == strlen(name) &&
           memcmp(token->bytes.data, name, token->bytes.size) == 0;
}

static bool is_blank(kivi_slice text)
{
    kivi_slice line;

    while (cli_next_line(&text, &line))
        if (line.size)
            return false;
    return true;
}

static bool is_container(const kivi_token *token)
{
    return token->type == KIVI_TOKEN_ARRAY || token->type == KIVI_TOKEN_MAP;
}

/* What the members of an object say of it, read without keeping any. False: the line is no whole object. */
static bool look_through(cli_import *import, kivi_slice line, bool *is_pair)
{
    kivi_reader *reader = import->reader;
    kivi_token token;
    bool key = false, value = false;

    kivi_reader_start(reader, line);
    if (kivi_reader_next(reader, &token) || token.type != KIVI_TOKEN_MAP)
        return false;
    while (!kivi_reader_next(reader, &token)) {
        if (token.type == KIVI_TOKEN_END) {
            *is_pair = key && value;
            return kivi_reader_next(reader, &token) == KIVI_END;
        }
        key |= is_name(&token, "key");
        value |= is_name(&token, "value");
        if (kivi_reader_next(reader, &token) || (is_container(&token) && kivi_reader_skip(reader)))
            return false;
    }
    return false;
}

/* Reads the whole first line. False: it is long, and has more members than a pair. */
static bool await_line(cli_import *import, size_t *size)
{
    cli_stream scanner = {.scanned = 0};

    *size = 0;
    while (!cli_input_find_line(import, size)) {
        cli_stream_scan(&scanner, cli_input_left(import));
        if (!import->key_field && *size > LOOK_MAX && scanner.members >= LINE_MEMBERS)
            return false;
        if (!cli_input_more(import))
            break;
    }
    return true;
}

/* Whether anything stands after the first line; very many blanks are not waited for. */
static bool goes_on(cli_import *import, size_t line)
{
    for (;;) {
        kivi_slice left = cli_input_left(import);

        left = kivi_bytes((const char *)left.data + line, left.size - line);
        if (!is_blank(left))
            return true;
        if (left.size > LOOK_MAX || !cli_input_more(import))
            return false;
    }
}

bool cli_import_is_lines(cli_import *import)
{
    kivi_slice line;
    size_t size;
    bool is_pair;

    cli_input_pass_blanks(import);
    if (!cli_input_left(import).size)
        return true;
    if (*(const char *)cli_input_left(import).data != '{' || !await_line(import, &size))
        return false;
    line = kivi_bytes(cli_input_left(import).data, size);
    return look_through(import, line, &is_pair) && (is_pair || goes_on(import, size));
}

static bool add_elements(cli_import *import)
{
    char where[WHERE_MAX];
    kivi_token token;

    if (!import->key_field)
        return wrong(import, "", "an array needs --key FIELD: the member that holds each element's key");
    for (size_t index = 0;; index++) {
        snprintf(where, sizeof where, ", element %zu", index);
        if (cli_stream_next(import, &token))
            return unreadable_part(import, where);
        if (token.type == KIVI_TOKEN_END)
            return true;
        if (cli_stream_tree(import, &token))
            return unreadable_part(import, where);
        if (!add_value(import, where))
            return false;
    }
}

static bool add_members(cli_import *import)
{
    char where[WHERE_MAX];
    kivi_token token;

    for (size_t index = 0;; index++) {
        size_t begin = begin_key(import);

        snprintf(where, sizeof where, ", member %zu", index);
        if (cli_stream_next(import, &token))
            return unreadable_part(import, where);
        if (token.type == KIVI_TOKEN_END)
            return true;
        cli_need(kivi_buffer_append(&import->batch.arena, token.bytes));
        if (cli_stream_next(import, &token) || cli_stream_tree(import, &token))
            return unreadable_part(import, where);
        if (!cli_import_add(import, begin, 0, import->ttl))
            return place(import, where);
    }
}

bool cli_import_document(cli_import *import, const char *pointer)
{
    kivi_token token;
    kivi_status status;
    bool good;

    status = cli_pointer_find(import, pointer, &token);
    if (status == KIVI_INVALID)
        return wrong(import, "", "--at needs a JSON pointer, as /languages or /a/0");
    if (status == KIVI_NOT_FOUND)
        return wrong(import, "", "there is nothing where --at points");
    if (status)
        return unreadable_part(import, "");
    if (token.type == KIVI_TOKEN_ARRAY)
        good = add_elements(import);
    else if (token.type == KIVI_TOKEN_MAP && !import->key_field)
        good = add_members(import);
    else
        good = wrong(import, "",
                     token.type == KIVI_TOKEN_MAP
                         ? "--key is for an array, and there is an object"
                         : "there is neither an object nor an array of values");
    /* The rest is read as well: a file that was cut off must not pass for whole. */
    while (good && !(status = cli_stream_next(import, &token)))
        ;
    return good && (status == KIVI_END || unreadable_part(import, ""));
}
