/* Values between the command's text forms and the bytes of a store's codec. */
#ifndef CLI_VALUES_H
#define CLI_VALUES_H

#include "tree.h"

/* How a value stands in an argument, or is printed. */
typedef enum cli_form {
    CLI_FORM_JSON,  /* JSON, and forms for what JSON lacks */
    CLI_FORM_TEXT,  /* text without quotes: a str (in only) */
    CLI_FORM_RAW,   /* bytes: a bin in; a str's or bin's bytes out */
    CLI_FORM_STORED /* the stored bytes themselves */
} cli_form;

/* Containers inside each other that a stored value may have: what every reader of the library allows. */
#define CLI_DEPTH 128

/* The readers and writers for one store's codec, made when first needed. */
typedef struct cli_values {
    const char *codec;
    kivi_reader *from_json, *from_stored;
    kivi_writer *to_json, *to_stored;
    cli_tree tree;
    kivi_buffer scratch;
    int code;          /* the exit code that `problem` asks for */
    char problem[320]; /* why the last call answered false; never holds the value */
} cli_values;

void cli_values_init(cli_values *values, const char *codec);
void cli_values_free(cli_values *values);

/* Appends the stored bytes of a value given in some form. False: see `problem`. */
bool cli_value_encode(cli_values *values, cli_form form, kivi_slice given, kivi_buffer *out);
/* The same for a value that was read as JSON into a tree. */
bool cli_value_encode_node(cli_values *values, const cli_tree *json, size_t node, kivi_buffer *out);
/* Appends a stored value in some form. */
bool cli_value_decode(cli_values *values, cli_form form, kivi_slice stored, kivi_buffer *out);
/* Writes a stored value as JSON into a writer that has begun something larger. False: see `problem`. */
bool cli_value_decode_into(cli_values *values, kivi_slice stored, kivi_writer *json);
/* The writer of JSON, for what is larger than one value. */
kivi_writer *cli_values_json(cli_values *values);
/* A key as JSON: text where its bytes are UTF-8, else {"$bin": ...}. */
void cli_json_key(kivi_writer *json, kivi_slice key);
/* The bytes of a key that was read as JSON; false when it is none. */
bool cli_json_key_parse(const cli_tree *json, size_t node, kivi_buffer *out);
/* Ends a JSON text; what fails here is want of memory. */
void cli_json_finish(kivi_writer *json);
/* A reader of JSON texts of any size. */
kivi_reader *cli_json_reader(uint64_t max_size);
/* Notes why something failed; answers false. */
bool cli_value_problem(cli_values *values, int code, const char *format, ...) KIVI_PRINTF(3, 4);
/* The same from a reader's or a call's error, which is freed. */
bool cli_value_problem_error(cli_values *values, int code, const char *about, kivi_error *error);

/* json_in.c: writes a value read as JSON, forms and all, with the store's writer. NULL, or what is
 * wrong with it. */
const char *cli_json_in(const cli_tree *json, size_t node, kivi_writer *out, kivi_buffer *scratch);
/* json_out.c: writes a stored value's tree as JSON with forms. */
void cli_json_out(const cli_tree *tree, size_t node, kivi_writer *json, kivi_buffer *scratch);
/* A map's only key that would read as a form. */
static inline bool cli_is_form_key(kivi_slice key)
{
    return key.size && *(const char *)key.data == '$';
}

/* ---- forms.c: texts for what JSON lacks ---- */

void cli_base64_write(kivi_slice bytes, kivi_buffer *out);
/* Appends the bytes of a base64 text; false when it is none, exactly. */
bool cli_base64_read(kivi_slice text, kivi_buffer *out);
#define CLI_TIME_MAX 40
/* RFC 3339 in UTC; false outside the years 0 to 9999. */
bool cli_time_write(int64_t seconds, uint32_t nanoseconds, char text[CLI_TIME_MAX]);
bool cli_time_read(kivi_slice text, int64_t *seconds, uint32_t *nanoseconds);
#define CLI_FLOAT_MAX 24
/* The numbers JSON has not: NaN, Infinity, -Infinity, and other NaNs by their bits. */
void cli_float_write(double value, char text[CLI_FLOAT_MAX]);
bool cli_float_read(kivi_slice text, double *value);

/* ---- key_text.c: keys as text ---- */

bool cli_is_utf8(kivi_slice bytes);
/* Appends a key as it is shown: plain printable UTF-8 as it is, other bytes as \xNN,
 * a backslash doubled. */
void cli_key_text(kivi_slice key, kivi_buffer *out);
/* The same of text in which a backslash is nothing special. */
void cli_text_shown(kivi_slice text, kivi_buffer *out);
/* Lets a line that holds JSON show what a terminal would act on, or that shows as nothing, as \uNNNN. */
void cli_json_shown(kivi_buffer *text);
/* Undoes the escapes of a key in place; false for an escape that is none. */
bool cli_key_unescape(char *text, size_t *size);

#endif
