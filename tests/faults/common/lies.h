/* What a hostile server may answer; none of it is a reply that GET or SET can have, or an error. */
#ifndef FAULTS_LIES_H
#define FAULTS_LIES_H

#include <stddef.h>

/* Well formed, but of another type. */
static const char *const wrong_types[] = {
    ":1\r\n",   "*0\r\n",  "*1\r\n$2\r\nOK\r\n", "%1\r\n+a\r\n:1\r\n", "#t\r\n",
    ",1.5\r\n", "+NO\r\n", "~1\r\n:2\r\n",
};
#define WRONG_TYPES (sizeof(wrong_types) / sizeof(*wrong_types))

typedef struct broken_reply {
    const char *bytes;
    size_t size;
} broken_reply;
#define BROKEN(text)           \
    {                          \
        text, sizeof(text) - 1 \
    }
static const broken_reply broken_replies[] = {
    BROKEN("\0\0\0\0"),
    BROKEN("HTTP/1.1 400 Bad Request\r\n\r\n"),
    BROKEN("$-2\r\n"),
    BROKEN("$99999999999999999999\r\n"),
    BROKEN("$5\r\nabcdefgh"),
    BROKEN("*-7\r\n"),
    BROKEN("$1x\r\na\r\n"),
    BROKEN(":12a\r\n"),
    BROKEN("+OK\rx"),
    BROKEN("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"),
    BROKEN("*999999999999\r\n"),
    BROKEN("\r\n\r\n"),
    BROKEN("*2\r\n>1\r\n+x\r\n"),
    BROKEN("\xff\xfe\xfd+OK\r\n"),
};
#define BROKEN_REPLIES (sizeof(broken_replies) / sizeof(*broken_replies))

/* Something, and then the same again and again. */
typedef struct endless_lie {
    const char *first, *again;
} endless_lie;
static const endless_lie endless_lies[] = {
    {"", ">2\r\n+message\r\n+nobody asked\r\n"}, /* pushes are passed over */
    {"", "|1\r\n+ttl\r\n:1\r\n"},                /* attributes, too */
    {"+", "OK"},                                 /* a line without an end */
    {":", "1"},
    {"*16777216\r\n", ":1\r\n"},
    {"", "*1\r\n"},
    {"$8388608\r\n", "x"},
    {">16777216\r\n", "$3\r\nabc\r\n"},
};
#define ENDLESS_LIES (sizeof(endless_lies) / sizeof(*endless_lies))

#endif
