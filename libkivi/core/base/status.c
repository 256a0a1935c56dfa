/* Status numbers: their names and classes; and the library's version. */
#include "base.h"

#define TEXT_OF(x) #x
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *kivi_version(void)
{
    return VERSION_TEXT(KIVI_VERSION_MAJOR, KIVI_VERSION_MINOR, KIVI_VERSION_PATCH);
}

const char *kivi_status_name(kivi_status status)
{
#define NAMED(name)   \
    case KIVI_##name: \
        return #name
    switch (status) {
        NAMED(OK);
        NAMED(NOT_FOUND);
        NAMED(CONDITION);
        NAMED(END);
        NAMED(PENDING);
        NAMED(INVALID);
        NAMED(UNSUPPORTED);
        NAMED(TOO_LARGE);
        NAMED(WRONG_TYPE);
        NAMED(OVERFLOW);
        NAMED(CORRUPT);
        NAMED(UNREPRESENTABLE);
        NAMED(ABORTED);
        NAMED(TIMEOUT);
        NAMED(INTERRUPTED);
        NAMED(CANCELLED);
        NAMED(UNAVAILABLE);
        NAMED(UNCERTAIN);
        NAMED(BUSY);
        NAMED(DENIED);
        NAMED(FORKED);
        NAMED(CLOSED);
        NAMED(NO_MEMORY);
        NAMED(IO);
        NAMED(INTERNAL);
    }
#undef NAMED
    return "UNKNOWN";
}

/* Numbers are given out in ranges, so that a number of a later library has its class already. */
kivi_class kivi_status_class(kivi_status status)
{
    if (status == KIVI_CORRUPT) /* another call would meet the same bytes: somebody must mend them */
        return KIVI_CLASS_FATAL;
    if (status >= 0 && status < KIVI_INVALID)
        return KIVI_CLASS_ANSWER;
    if (status >= KIVI_INVALID && status < KIVI_TIMEOUT)
        return KIVI_CLASS_USAGE;
    if (status >= KIVI_TIMEOUT && status < KIVI_DENIED)
        return KIVI_CLASS_TRANSIENT;
    return KIVI_CLASS_FATAL;
}
