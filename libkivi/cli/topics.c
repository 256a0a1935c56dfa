/* Texts of `kivi help TOPIC`. */
#include "cli.h"

const cli_topic cli_topics[] = {
    {"values", "How values are written",
     "A value is JSON, in and out. Whole numbers are exact within 64 bits, numbers with a\n"
     "fraction or an exponent are floats (1 and 1.0 differ), text is UTF-8. What JSON lacks is\n"
     "an object with a single member whose name begins with $, exact both ways:\n"
     "\n"
     "  {\"$bin\": \"aGk=\"}                        bytes, as padded base64\n"
     "  {\"$time\": \"2024-01-01T00:00:00.5Z\"}     a point in time, to the nanosecond\n"
     "  {\"$time\": [SECONDS, NANOSECONDS]}       one outside the years 0 to 9999\n"
     "  {\"$ext\": [TYPE, \"aGk=\"]}                another msgpack extension, -128 to 127\n"
     "  {\"$float\": \"NaN\"}                       also Infinity, -Infinity, and the 16 hex\n"
     "                                          digits of any other NaN, as 0x7ff8000000000001\n"
     "  {\"$pairs\": [[KEY, VALUE], ...]}         a map with keys that are no text, or twice\n"
     "  {\"$$name\": VALUE}                       a map whose only key is $name: one $ more\n"
     "\n"
     "--text takes a value as text without quotes, --raw as bytes; get --raw prints the bytes\n"
     "of a text or of bytes and nothing else. --stored takes and prints the stored bytes as\n"
     "they are. A VALUE of - is read from standard input.\n"
     "In all that is printed as JSON, controls and marks that a terminal would act on, or that\n"
     "show as nothing, are \\uNNNN. Bytes of --raw and --stored go out as they are.\n"
     "In a store with codec=raw a value is bytes: JSON text or $bin; it is printed as text\n"
     "where it is UTF-8. In one with codec=json, --raw must be UTF-8 and becomes text."},
    {"keys", "How keys are written",
     "A key is any bytes but none at all; an argument is taken as it is. In lines for people\n"
     "a key is shown as it is where it is plain printable UTF-8; any other byte is shown as\n"
     "\\xNN, and a backslash as two. --escaped takes keys and prefixes in that form. In JSON a\n"
     "key is text where it is UTF-8, else {\"$bin\": base64}.\n"
     "A key that begins with - goes after the argument --, which ends the options."},
    {"exit", "Exit codes",
     "  0    done\n"
     "  1    a key is missing, or a condition did not hold\n"
     "  2    the command, a value, an option or a URL is wrong\n"
     "  3    the store or the system failed\n"
     "  130  ended by Ctrl-C\n"
     "Every error is one line on standard error that begins with \"kivi: \"."},
    {NULL, NULL, NULL},
};
