/* What the files of the command share: its context, exit codes, error lines and the table of verbs. */
#ifndef CLI_H
#define CLI_H

#include <kivi/kivi.h>

#include "values.h"

/* Exit codes, as the manual page promises them. */
enum {
    CLI_DONE = 0,
    CLI_UNMET = 1,        /* a key is missing, or a condition did not hold */
    CLI_USAGE = 2,        /* the command, a value or a URL is wrong */
    CLI_FAILED = 3,       /* the store, or the system, failed */
    CLI_INTERRUPTED = 130 /* ended by Ctrl-C */
};

/* ---- options (options.c) ---- */

typedef enum cli_option_id {
    OPT_STORE,
    OPT_OPTION,
    OPT_TIMEOUT,
    OPT_HELP,
    OPT_VERSION,
    OPT_ESCAPED,
    OPT_JSON,
    OPT_RAW,
    OPT_TEXT,
    OPT_STORED,
    OPT_TTL,
    OPT_KEEP_TTL,
    OPT_TOUCH,
    OPT_VERSIONED,
    OPT_ATOMIC,
    OPT_LIMIT,
    OPT_AFTER,
    OPT_PAGE,
    OPT_CURSOR,
    OPT_EXPIRY,
    OPT_ALL,
    OPT_YES,
    OPT_FORMAT,
    OPT_AT,
    OPT_KEY,
    OPT_PREFIX,
    OPT_ADD_ONLY,
    OPT_NO_EXPIRY,
    OPT_DRY_RUN,
    OPT_RESUME,
    OPT_RATE,
    OPT_BATCH,
    OPT_QUIET,
    OPT_LIST,
    OPT_COUNT
} cli_option_id;

#define CLI_OPTION(id) (UINT64_C(1) << (id))

typedef struct cli_option {
    const char *name;     /* without its dashes */
    char letter;          /* or 0 */
    const char *argument; /* NULL: it takes none */
    const char *help;
} cli_option;

extern const cli_option cli_options[OPT_COUNT];

/* ---- verbs (verbs.c) ---- */

struct cli_context;

typedef struct cli_verb {
    const char *name;
    const char *arguments; /* as shown in a usage line */
    const char *summary;   /* one line */
    const char *details;   /* paragraphs for --help, or "" */
    uint64_t options;      /* CLI_OPTION bits */
    int least, most;       /* words after the verb; most -1: any number */
    bool opens;            /* works on the store of -s or KIVI_URL */
    int (*run)(struct cli_context *cli);
} cli_verb;

extern const cli_verb cli_verbs[]; /* ended by a NULL name */

/* A text that `kivi help TOPIC` shows. */
typedef struct cli_topic {
    const char *name, *summary, *text;
} cli_topic;

extern const cli_topic cli_topics[]; /* ended by a NULL name */

/* ---- names.c ---- */

const cli_verb *cli_verb_find(const cli_verb *verbs, const char *name);
/* The name in the table nearest to a mistyped one, or NULL. */
const char *cli_verb_nearest(const cli_verb *verbs, const char *name);
const char *cli_option_nearest(const cli_verb *verb, const char *name, size_t size);

/* ---- arguments (args.c) ---- */

typedef struct cli_args {
    const cli_verb *verb;        /* NULL: none was named */
    uint64_t given;              /* CLI_OPTION bits */
    const char *text[OPT_COUNT]; /* arguments of those that take one */
    const char **store_options;  /* the NAME=VALUE of each -o */
    int store_option_count;
    char **words; /* after the verb */
    int word_count;
    char **copies; /* of arguments that were overwritten where everybody can read them */
    int copy_count;
} cli_args;

/* Takes the command line apart; any failure has been told and is the exit code. */
int cli_args_parse(cli_args *args, int argc, char **argv);
void cli_args_free(cli_args *args);
static inline bool cli_has(const cli_args *args, cli_option_id id)
{
    return (args->given & CLI_OPTION(id)) != 0;
}

/* ---- numbers.c ---- */

/* Seconds with decimals, as milliseconds from 1 to KIVI_TTL_MAX. */
bool cli_parse_seconds(const char *text, int64_t *ms);
bool cli_parse_int(const char *text, int64_t *value);
/* A whole number of at least 1. */
bool cli_parse_count(const char *text, uint64_t *value);

/* ---- the context ---- */

typedef struct cli_context {
    const cli_verb *verbs; /* all, for help */
    cli_args args;
    kivi_call call;    /* for every call of the store: carries the interrupt of Ctrl-C */
    kivi_store *store; /* of verbs that open one */
    cli_values values; /* the same */
} cli_context;

/* ---- open.c ---- */

/* Opens a store as the options say; the failure has been told. */
int cli_open(cli_context *cli, const char *url, kivi_store **store);

/* ---- interrupt.c ---- */

/* From now on Ctrl-C interrupts the calls of this context, until signals are released. */
void cli_catch_signals(cli_context *cli);
void cli_release_signals(void);
/* Whether Ctrl-C was pressed. */
bool cli_interrupted(void);
/* Brackets work that the interrupt cannot reach: Ctrl-C then ends the process there. */
void cli_uninterruptible(bool on);

/* ---- fail.c ---- */

/* Tells an error in one line and answers `code`. */
int cli_fail(int code, const char *format, ...) KIVI_PRINTF(2, 3);
/* The exit code that a status stands for. */
int cli_exit_of(kivi_status status);

/* ---- report.c ---- */

/* Tells a failed call and frees its error; `about` (may be NULL) goes before the message. */
int cli_fail_call(kivi_status status, kivi_error *error, const char *about);
/* The same for the key it is about. */
int cli_fail_key(kivi_status status, kivi_error *error, kivi_slice key);
/* Tells the first failed item of a batch. */
int cli_fail_result(kivi_status status, kivi_error *error, const kivi_result *result,
                    const kivi_slice *keys);
/* A condition of a key that did not hold, told. */
int cli_unmet(kivi_slice key, const char *why);
int cli_missing(kivi_slice key);
/* A key as it stands in a message, a long one cut; lives in `memory`. */
const char *cli_key_shown(kivi_slice key, kivi_buffer *memory);
/* What a failed conversion of a value was about, told; `about` may be NULL. */
int cli_fail_value(const cli_values *values, const char *about);

/* ---- memory.c ---- */

/* Memory, or the end of the program. */
void *cli_alloc(void *old, size_t size);
/* OK, or the end of the program for want of memory. */
void cli_need(kivi_status status);
void cli_buffer_clear(kivi_buffer *buffer);

/* ---- text in and out (text.c) ---- */

/* A whole file, or standard input for "-", added to `out`; the failure has been told. */
int cli_read_file(const char *path, kivi_buffer *out);
/* The same of an open file, called `name` in messages. */
int cli_read_open(int file, const char *name, kivi_buffer *out);
/* A file's text without the byte order mark that some editors put before it. */
kivi_slice cli_without_mark(kivi_slice text);
void cli_put(kivi_slice bytes);
/* Prints a buffer in which all that is not printable ASCII stands in JSON, then empties it. */
void cli_put_json(kivi_buffer *buffer);
/* The same with a newline. */
void cli_put_line(kivi_buffer *buffer);
/* Prints text of others (names, summaries) as it may be shown. */
void cli_put_text(const char *text);
/* The bytes of an argument that is a key; under --escaped its escapes are undone in place. */
int cli_key_word(const cli_context *cli, char *word, kivi_slice *key);
/* The same for the argument of an option; empty when it was not given. */
int cli_key_option(const cli_context *cli, cli_option_id id, kivi_slice *key);
/* Cursors as they are shown: "cursor:" and base64 without padding. */
void cli_cursor_text(kivi_slice cursor, kivi_buffer *out);
bool cli_cursor_parse(const char *text, kivi_buffer *out);
int64_t cli_now_ms(void); /* since 1970 */
/* Takes the first line off a text, without its end and outer blanks; false when nothing is left. */
bool cli_next_line(kivi_slice *text, kivi_slice *line);

/* ---- place.c ---- */

/* Appends a URL so that it means the same from any folder. */
void cli_url_absolute(const char *url, kivi_buffer *out);

/* ---- pair.c ---- */

/* Appends a pair as {"key":..., "value":..., "expires":...}; the value only if asked for, the
 * expiry if there is one. `now` is when its time left was read. Answers an exit code; why is in `values`. */
int cli_pair_json(cli_values *values, const kivi_pair *pair, bool with_value, int64_t now,
                  kivi_buffer *line);
/* The same as KEY, VALUE and EXPIRY with tabs between. */
int cli_pair_text(cli_values *values, const kivi_pair *pair, bool with_value, bool with_expiry,
                  int64_t now, kivi_buffer *line);
/* Tells why a pair could not be shown. */
int cli_fail_pair(const cli_values *values, kivi_slice key);

/* ---- verbs, by the file they are in ---- */

int cli_get(cli_context *cli); /* single.c */
int cli_take(cli_context *cli);
int cli_exists(cli_context *cli);
int cli_ttl(cli_context *cli);
int cli_expire(cli_context *cli);
int cli_persist(cli_context *cli);
int cli_set(cli_context *cli); /* write.c */
int cli_add(cli_context *cli);
int cli_replace(cli_context *cli);
int cli_cas(cli_context *cli);
int cli_compare_and_delete(cli_context *cli);
int cli_delete(cli_context *cli);
int cli_increment(cli_context *cli);
int cli_apply(cli_context *cli); /* apply.c */
int cli_scan(cli_context *cli);  /* scan.c */
int cli_keys(cli_context *cli);
int cli_count(cli_context *cli);
int cli_clear(cli_context *cli);
int cli_health(cli_context *cli); /* info.c */
int cli_capabilities(cli_context *cli);
int cli_stats(cli_context *cli);
int cli_options_verb(cli_context *cli); /* schemes.c */
int cli_stores(cli_context *cli);
int cli_version(cli_context *cli);
int cli_import_verb(cli_context *cli); /* import.c */
int cli_export(cli_context *cli);      /* export.c */
int cli_copy(cli_context *cli);        /* copy.c */
int cli_help(cli_context *cli);        /* help.c */
void cli_help_verb(const cli_verb *verb);

#endif
