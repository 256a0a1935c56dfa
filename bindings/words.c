/* Words and numbers that every language spells the same. */
#include "bindings.h"

#include <math.h>
#include <stdio.h>

const char *kvb_error_name(kivi_status status)
{
    switch (status) {
    case KIVI_NOT_FOUND:
        return "NotFound";
    case KIVI_CONDITION:
        return "ConditionFailed";
    case KIVI_INVALID:
        return "Invalid";
    case KIVI_UNSUPPORTED:
        return "Unsupported";
    case KIVI_TOO_LARGE:
        return "TooLarge";
    case KIVI_WRONG_TYPE:
        return "WrongType";
    case KIVI_OVERFLOW:
        return "Overflow";
    case KIVI_CORRUPT:
        return "Corrupt";
    case KIVI_UNREPRESENTABLE:
        return "Unrepresentable";
    case KIVI_ABORTED:
        return "Aborted";
    case KIVI_TIMEOUT:
        return "Timeout";
    case KIVI_INTERRUPTED:
        return "Interrupted";
    case KIVI_CANCELLED:
        return "Cancelled";
    case KIVI_UNAVAILABLE:
        return "Unavailable";
    case KIVI_UNCERTAIN:
        return "Uncertain";
    case KIVI_BUSY:
        return "Busy";
    case KIVI_DENIED:
        return "Denied";
    case KIVI_FORKED:
        return "Forked";
    case KIVI_CLOSED:
        return "Closed";
    case KIVI_NO_MEMORY:
        return "NoMemory";
    case KIVI_IO:
        return "InputOutput";
    case KIVI_INTERNAL:
        return "Internal";
    default:
        return "Unknown";
    }
}

const char *kvb_option_type(kivi_option_type type)
{
    static const char *const words[] = {"string",   "bool",   "int",  "size",
                                        "duration", "choice", "float"};
    return (size_t)type < sizeof(words) / sizeof(*words) ? words[type] : "string";
}

int kvb_op_kind(const char *word)
{
    static const char *const words[] = {"set", "delete", "touch", "check", "increment"};
    for (int i = 0; i < 5; i++)
        if (strcmp(word, words[i]) == 0)
            return i + KIVI_OP_SET;
    return 0;
}

int kvb_condition(const char *word)
{
    if (strcmp(word, "absent") == 0)
        return KIVI_IF_ABSENT;
    return strcmp(word, "present") == 0 ? KIVI_IF_PRESENT : -1;
}

bool kvb_milliseconds(double seconds, int64_t *ms)
{
    double exact = seconds * 1000.0;
    if (!(seconds > 0) || exact > (double)KIVI_TTL_MAX)
        return false;
    /* 0.1 s is 100 ms, although 0.1 * 1000 may lie a little above it */
    *ms = (int64_t)ceil(exact - 1e-6 * (exact < 1 ? 0 : 1));
    return true;
}

const char *kvb_message(const char *message, const char *module, char text[KVB_MESSAGE])
{
    static const char command[] = "`kivi options ";
    const char *at = strstr(message, command), *scheme = at ? at + sizeof(command) - 1 : NULL;
    const char *end = scheme ? strchr(scheme, '`') : NULL;
    int size = end ? snprintf(text, KVB_MESSAGE, "%.*s%s.options(\"%.*s\")%s", (int)(at - message),
                              message, module, (int)(end - scheme), scheme, end + 1)
                   : 0;
    return size > 0 && size < KVB_MESSAGE ? text : message;
}
