/* What a hostile Memcached may answer; none of it is an answer that mg or ms can have. */
#ifndef FAULTS_MEMCACHED_LIES_H
#define FAULTS_MEMCACHED_LIES_H

#include "../common/proxy.h"

/* Well formed, but of another command. */
static const lie of_wrong_types[] = {
    LIE("END\r\n"),    LIE("STAT pid 1\r\n"), LIE("VERSION 1.6.18\r\n"),
    LIE("STORED\r\n"), LIE("MN\r\n"),         LIE("VALUE k 0 1\r\na\r\nEND\r\n"),
    LIE("EX\r\n"),
};
static const lies wrong_types = LIES(of_wrong_types);

static const lie of_broken[] = {
    LIE("\0\0\0\0\r\n"),
    LIE("HTTP/1.1 400 Bad Request\r\n\r\n"),
    LIE("VA\r\n"),
    LIE("VA -1\r\n"),
    LIE("VA 99999999999999999999\r\n"),
    LIE("VA 2147483648\r\n"),
    LIE("VA 5 c1\r\nabcdefgh\r\n"),
    LIE("VA 1x\r\na\r\n"),
    LIE("VA 1 c\r\na\r\n"),
    LIE("VA 1 c18446744073709551616 f0 t-1\r\na\r\n"),
    LIE("VA 1 t9999999999 c1 f0\r\na\r\n"),
    LIE("HD  \r\n\r\n\r\n"),
    LIE("HDx\r\n"),
    LIE("\r\n\r\n"),
    LIE("\xff\xfe\xfdHD\r\n"),
};
static const lies broken_replies = LIES(of_broken);

static const lie of_endless[] = {
    ENDLESS("", "X"), /* a line without an end */
    ENDLESS("VA 1", "1"), ENDLESS("VA 1048576\r\n", "x"),
    ENDLESS("HD", " O1"), ENDLESS("VA 2147483647\r\n", "abc"),
};
static const lies endless_replies = LIES(of_endless);

#endif
