/* The table of verbs and options: parsing, help, completion and the manual page all follow it. */
#include "cli.h"

const cli_option cli_options[OPT_COUNT] = {
    [OPT_STORE] = {"store", 's', "URL", "the store, as lmdb:data.mdb; else the variable KIVI_URL"},
    [OPT_OPTION] = {"option", 'o', "NAME=VALUE", "an option of the store (kivi options SCHEME)"},
    [OPT_TIMEOUT] = {"timeout", 0, "SECONDS", "how long each call of the store may take"},
    [OPT_HELP] = {"help", 'h', NULL, "show this help"},
    [OPT_VERSION] = {"version", 0, NULL, "show the version"},
    [OPT_ESCAPED] = {"escaped", 'e', NULL, "keys and prefixes are given with \\xNN and \\\\"},
    [OPT_JSON] = {"json", 'j', NULL, "print JSON for programs, an object on each line"},
    [OPT_RAW] = {"raw", 'r', NULL, "the value is bytes: no JSON, no quotes, no newline"},
    [OPT_TEXT] = {"text", 't', NULL, "the value is text without quotes"},
    [OPT_STORED] = {"stored", 0, NULL, "the value is the stored bytes, whatever they mean"},
    [OPT_TTL] = {"ttl", 0, "SECONDS", "the key expires after that time"},
    [OPT_KEEP_TTL] = {"keep-ttl", 0, NULL, "an expiry that the key has stays"},
    [OPT_TOUCH] = {"touch", 0, "SECONDS", "let the key expire after that time, in the same step"},
    [OPT_VERSIONED] = {"versioned", 0, NULL, "print key, value and version as a JSON object"},
    [OPT_ATOMIC] = {"atomic", 0, NULL, "all operations happen or none"},
    [OPT_LIMIT] = {"limit", 'n', "COUNT", "print at most so many"},
    [OPT_AFTER] = {"after", 0, "KEY", "begin beyond this key"},
    [OPT_PAGE] = {"page", 0, NULL, "one page of --limit pairs (1,000), then the next one's cursor"},
    [OPT_CURSOR] = {"cursor", 0, "CURSOR", "go on where a --page ended"},
    [OPT_EXPIRY] = {"expiry", 'x', NULL, "print when each key expires"},
    [OPT_ALL] = {"all", 0, NULL, "everything, also where others' keys lie among ours"},
    [OPT_YES] = {"yes", 'y', NULL, "do not ask"},
    [OPT_FORMAT] = {"format", 0, "FORMAT", "lines or object"},
    [OPT_AT] = {"at", 0, "POINTER", "take the part of the document at this JSON pointer"},
    [OPT_KEY] = {"key", 0, "FIELD", "the member of each element that holds its key"},
    [OPT_PREFIX] = {"prefix", 0, "PREFIX", "import: put it before each key; copy: only such keys"},
    [OPT_ADD_ONLY] = {"add-only", 0, NULL, "leave keys alone that are there already"},
    [OPT_NO_EXPIRY] = {"no-expiry", 0, NULL, "leave expiries out"},
    [OPT_DRY_RUN] = {"dry-run", 0, NULL, "read and check everything, write nothing"},
    [OPT_RESUME] = {"resume", 0, "FILE|CURSOR", "go on from there; a file is kept up to date"},
    [OPT_RATE] = {"rate", 0, "PAIRS", "at most so many pairs a second"},
    [OPT_BATCH] = {"batch", 0, "PAIRS", "pairs in one write (1,000)"},
    [OPT_QUIET] = {"quiet", 'q', NULL, "no progress, no summary"},
    [OPT_LIST] = {"list", 0, NULL, "verbs and their options, for programs"},
};

#define ALWAYS CLI_OPTION(OPT_HELP)
#define STORE (ALWAYS | CLI_OPTION(OPT_STORE) | CLI_OPTION(OPT_OPTION) | CLI_OPTION(OPT_TIMEOUT))
#define KEYED (STORE | CLI_OPTION(OPT_ESCAPED))
#define VALUE_IN (CLI_OPTION(OPT_RAW) | CLI_OPTION(OPT_TEXT) | CLI_OPTION(OPT_STORED))
#define VALUE_OUT (CLI_OPTION(OPT_RAW) | CLI_OPTION(OPT_STORED) | CLI_OPTION(OPT_JSON))
#define TTL_IN (CLI_OPTION(OPT_TTL) | CLI_OPTION(OPT_KEEP_TTL))
#define PAGED                                                                       \
    (KEYED | CLI_OPTION(OPT_JSON) | CLI_OPTION(OPT_LIMIT) | CLI_OPTION(OPT_AFTER) | \
     CLI_OPTION(OPT_PAGE) | CLI_OPTION(OPT_CURSOR) | CLI_OPTION(OPT_EXPIRY))
#define MOVING                                                                              \
    (ALWAYS | CLI_OPTION(OPT_ESCAPED) | CLI_OPTION(OPT_PREFIX) | CLI_OPTION(OPT_ADD_ONLY) | \
     CLI_OPTION(OPT_DRY_RUN) | CLI_OPTION(OPT_BATCH) | CLI_OPTION(OPT_QUIET) | CLI_OPTION(OPT_JSON))

const cli_verb cli_verbs[] = {
    {"get", "KEY...", "Print the value of a key, or of several",
     "One key: its value. Several: a line each, the key, a tab and the value.\n"
     "Values are JSON (kivi help values). Exit code 1 if a key is missing.",
     KEYED | VALUE_OUT | CLI_OPTION(OPT_TOUCH) | CLI_OPTION(OPT_VERSIONED), 1, -1, true, cli_get},
    {"set", "KEY VALUE...", "Write a value, or several pairs",
     "VALUE is JSON (kivi help values), or - for standard input. --raw and --text\n"
     "take it as it is. An expiry that the key has goes unless --ttl or --keep-ttl\n"
     "is given.",
     KEYED | VALUE_IN | TTL_IN, 2, -1, true, cli_set},
    {"delete", "KEY...", "Delete keys",
     "Exit code 1 if a key was not there. Of several keys it prints how many were.", KEYED, 1, -1,
     true, cli_delete},
    {"exists", "KEY...", "Tell whether keys are there",
     "Prints true or false, after the key where there are several. Exit code 1 if one is missing.",
     KEYED | CLI_OPTION(OPT_JSON), 1, -1, true, cli_exists},
    {"add", "KEY VALUE", "Write a value if the key is not there", "Exit code 1 if it is.",
     KEYED | VALUE_IN | CLI_OPTION(OPT_TTL), 2, 2, true, cli_add},
    {"replace", "KEY VALUE", "Write a value if the key is there", "Exit code 1 if it is not.",
     KEYED | VALUE_IN | TTL_IN, 2, 2, true, cli_replace},
    {"cas", "KEY OLD NEW", "Write NEW if the key holds OLD (compare and set)",
     "Values are compared as values: the order of a map's members does not count, 1 and 1.0\n"
     "differ. Exit code 1 if the key holds something else or is missing.",
     KEYED | VALUE_IN | TTL_IN, 3, 3, true, cli_cas},
    {"compare-and-delete", "KEY OLD", "Delete a key if it holds OLD",
     "Exit code 1 if the key holds something else or is missing.", KEYED | VALUE_IN, 2, 2, true,
     cli_compare_and_delete},
    {"increment", "KEY [NUMBER]", "Add to a whole number and print the sum",
     "NUMBER is 1 unless given and may be negative. A missing key counts from 0; --ttl is\n"
     "for a key that this creates.",
     KEYED | CLI_OPTION(OPT_TTL), 1, 2, true, cli_increment},
    {"take", "KEY", "Print a value and delete its key, in one step",
     "Exit code 1 if it is missing.", KEYED | VALUE_OUT, 1, 1, true, cli_take},
    {"apply", "FILE", "Carry out operations from a file, - for standard input",
     "FILE holds a JSON array of operations, or one on each line:\n"
     "  {\"op\": \"set\", \"key\": K, \"value\": V, \"ttl\": SECONDS | null | \"keep\"}\n"
     "  {\"op\": \"delete\", \"key\": K}\n"
     "  {\"op\": \"touch\", \"key\": K, \"ttl\": SECONDS | null}\n"
     "  {\"op\": \"check\", \"key\": K}\n"
     "  {\"op\": \"increment\", \"key\": K, \"by\": N, \"ttl\": SECONDS}\n"
     "each with at most one condition: \"if\": \"absent\" or \"present\", \"if_equal\": V (the "
     "stored\n"
     "bytes are those of V), \"if_version\": the version of get --versioned; check needs one.\n"
     "A line for each tells its outcome. Exit code 1 if a condition did not hold or a key\n"
     "was missing. Without --atomic each operation stands alone.",
     STORE | CLI_OPTION(OPT_ATOMIC) | CLI_OPTION(OPT_JSON), 1, 1, true, cli_apply},
    {"scan", "[PREFIX]", "Print all pairs whose key begins with PREFIX",
     "A line each: the key, a tab, the value. Keys that are not plain text are shown with\n"
     "\\xNN (kivi help keys).",
     PAGED, 0, 1, true, cli_scan},
    {"keys", "[PREFIX]", "Print all keys that begin with PREFIX", "", PAGED, 0, 1, true, cli_keys},
    {"count", "[PREFIX]", "Print how many keys begin with PREFIX",
     "Most stores walk them all; --timeout is 600 seconds unless given.", KEYED, 0, 1, true, cli_count},
    {"ttl", "KEY", "Print how many seconds a key has left, or never", "",
     KEYED | CLI_OPTION(OPT_JSON), 1, 1, true, cli_ttl},
    {"expire", "KEY SECONDS", "Let a key expire that many seconds from now", "", KEYED, 2, 2, true,
     cli_expire},
    {"persist", "KEY", "Let a key never expire", "", KEYED, 1, 1, true, cli_persist},
    {"clear", "[PREFIX]", "Delete all keys that begin with PREFIX and print how many",
     "On a terminal it asks first, unless --yes is given. Where the keys of others lie in the\n"
     "same store, deleting everything takes --all, which away from a terminal needs --yes.",
     KEYED | CLI_OPTION(OPT_ALL) | CLI_OPTION(OPT_YES), 0, 1, true, cli_clear},
    {"import", "FILE", "Write pairs from a JSON file, - for standard input",
     "FILE is one JSON object, whose members become pairs, or lines as export writes them:\n"
     "  {\"key\": K, \"value\": V, \"expires\": \"2030-01-01T00:00:00Z\"}\n"
     "where expires may be missing, or be \"ttl\" in seconds. Which of both it is, is seen\n"
     "unless --format says it. --at takes a part of a document; an array needs --key:\n"
     "  kivi import iso_639-3.json --at /639-3 --key alpha_3 --prefix lang:\n"
     "stores each member of that array under lang: and its field alpha_3. With --key lines\n"
     "are values as well. Pairs go in batches; --ttl is for those without an expiry.",
     STORE | MOVING | CLI_OPTION(OPT_AT) | CLI_OPTION(OPT_KEY) | CLI_OPTION(OPT_FORMAT) |
         CLI_OPTION(OPT_TTL),
     1, 1, true, cli_import_verb},
    {"export", "[PREFIX]", "Print all pairs as JSON that import reads",
     "Lines with key, value and, where there is one, expires; with --format object one JSON\n"
     "object, without expiries.",
     KEYED | CLI_OPTION(OPT_FORMAT) | CLI_OPTION(OPT_NO_EXPIRY) | CLI_OPTION(OPT_QUIET), 0, 1, true,
     cli_export},
    {"copy", "SOURCE TARGET", "Copy pairs from one store into another, with the time they have left",
     "SOURCE and TARGET are URLs. A copy that is cut short says how to go on: with a cursor,\n"
     "or, where --resume names a file, with that file, which goes when all is copied.",
     MOVING | CLI_OPTION(OPT_TIMEOUT) | CLI_OPTION(OPT_NO_EXPIRY) | CLI_OPTION(OPT_RESUME) |
         CLI_OPTION(OPT_RATE),
     2, 2, false, cli_copy},
    {"health", "", "Ask the store whether it works", "Exit code 3 if it does not.",
     STORE | CLI_OPTION(OPT_JSON), 0, 0, true, cli_health},
    {"capabilities", "", "Print what the store can do, and its limits", "",
     STORE | CLI_OPTION(OPT_JSON), 0, 0, true, cli_capabilities},
    {"stats", "", "Print the counters of this process's work on the store", "",
     STORE | CLI_OPTION(OPT_JSON), 0, 0, true, cli_stats},
    {"options", "SCHEME", "Print the options of a kind of store", "SCHEME is as in a URL: lmdb.",
     ALWAYS | CLI_OPTION(OPT_JSON), 1, 1, false, cli_options_verb},
    {"stores", "", "Print the kinds of stores, and why one is not available", "",
     ALWAYS | CLI_OPTION(OPT_JSON), 0, 0, false, cli_stores},
    {"version", "", "Print the version", "", ALWAYS, 0, 0, false, cli_version},
    {"help", "[VERB|TOPIC]", "Print help", "", ALWAYS | CLI_OPTION(OPT_LIST), 0, 1, false, cli_help},
    {NULL, NULL, NULL, NULL, 0, 0, 0, false, NULL},
};

const cli_verb *cli_verb_find(const char *name)
{
    for (const cli_verb *verb = cli_verbs; verb->name; verb++)
        if (strcmp(verb->name, name) == 0)
            return verb;
    return NULL;
}

#define NAME_MAX_SIZE 24

/* Letters to change, add or take away to make one name of the other. */
static size_t distance(const char *a, size_t a_size, const char *b)
{
    size_t row[NAME_MAX_SIZE + 1];
    size_t b_size = strlen(b);

    if (a_size > NAME_MAX_SIZE || b_size > NAME_MAX_SIZE)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_size];
}

/* Words that users of other tools try. */
static const char *const synonyms[][2] = {
    {"put", "set"},        {"del", "delete"},   {"rm", "delete"},   {"remove", "delete"},
    {"incr", "increment"}, {"ls", "keys"},      {"list", "keys"},   {"flush", "clear"},
    {"pop", "take"},       {"touch", "expire"}, {"dump", "export"}, {"load", "import"},
    {"cp", "copy"},        {"ping", "health"},  {"has", "exists"},  {"info", "stats"},
};

const char *cli_verb_nearest(const char *name)
{
    const char *best = NULL;
    size_t least = strlen(name) > 4 ? 3 : 2;

    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
        if (strcmp(synonyms[i][0], name) == 0)
            return synonyms[i][1];
    for (const cli_verb *verb = cli_verbs; verb->name; verb++) {
        size_t far = distance(name, strlen(name), verb->name);

        if (far < least) {
            least = far;
            best = verb->name;
        }
    }
    return best;
}

const char *cli_option_nearest(const cli_verb *verb, const char *name, size_t size)
{
    const char *best = NULL;
    size_t least = 3;

    for (int i = 0; i < OPT_COUNT; i++) {
        size_t far = distance(name, size, cli_options[i].name);

        if ((!verb || verb->options & CLI_OPTION(i)) && far < least) {
            least = far;
            best = cli_options[i].name;
        }
    }
    return best;
}
