/* The table of verbs: parsing, help, completion and the manual page all follow it. */
#include "cli.h"

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
