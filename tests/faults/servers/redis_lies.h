/* What a hostile Redis may answer; none of it is a reply that GET or SET can have, or an error. */
#ifndef FAULTS_REDIS_LIES_H
#define FAULTS_REDIS_LIES_H

#include "../common/proxy.h"

/* Well formed, but of another type. */
static const lie of_wrong_types[] = {
    LIE(":1\r\n"),
    LIE("*0\r\n"),
    LIE("*1\r\n$2\r\nOK\r\n"),
    LIE("%1\r\n+a\r\n:1\r\n"),
    LIE("#t\r\n"),
    LIE(",1.5\r\n"),
    LIE("+NO\r\n"),
    LIE("~1\r\n:2\r\n"),
};
static const lies wrong_types = LIES(of_wrong_types);

static const lie of_broken[] = {
    LIE("\0\0\0\0"),
    LIE("HTTP/1.1 400 Bad Request\r\n\r\n"),
    LIE("$-2\r\n"),
    LIE("$99999999999999999999\r\n"),
    LIE("$5\r\nabcdefgh"),
    LIE("*-7\r\n"),
    LIE("$1x\r\na\r\n"),
    LIE(":12a\r\n"),
    LIE("+OK\rx"),
    LIE("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"),
    LIE("*999999999999\r\n"),
    LIE("\r\n\r\n"),
    LIE("*2\r\n>1\r\n+x\r\n"),
    LIE("\xff\xfe\xfd+OK\r\n"),
};
static const lies broken_replies = LIES(of_broken);

static const lie of_endless[] = {
    ENDLESS("", ">2\r\n+message\r\n+nobody asked\r\n"), /* pushes are passed over */
    ENDLESS("", "|1\r\n+ttl\r\n:1\r\n"),                /* attributes, too */
    ENDLESS("+", "OK"),                                 /* a line without an end */
    ENDLESS(":", "1"),
    ENDLESS("*16777216\r\n", ":1\r\n"),
    ENDLESS("", "*1\r\n"),
    ENDLESS("$8388608\r\n", "x"),
    ENDLESS(">16777216\r\n", "$3\r\nabc\r\n"),
};
static const lies endless_replies = LIES(of_endless);

#endif
