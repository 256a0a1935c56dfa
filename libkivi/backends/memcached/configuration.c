/* Configuration strings of libmemcached's: which of their words are taken, passed over or refused. */
#include "memcached.h"

#include <libmemcached/memcached.h>
#include <stdlib.h>
#include <strings.h>

#define SPACES " \t\r\n"
#define PORT_MOST 65535

/*
 * A word is a name, which ends with '=' where a value follows. In messages a word is named without its value. Passed over is
 * what has no say in where keys are: how long somebody else's sockets wait, or how many there are.
 */
typedef struct known_word {
    const char *name;
    const char *why; /* it is refused; NULL: it is not */
    bool places;     /* it says where keys are */
} known_word;

#define ELSEWHERE "its keys are under other names or on other servers"
#define BY_URL "this store's own options say it"

static const known_word known_words[] = {
    {"--SERVER=", NULL, true},
    {"--DISTRIBUTION=", NULL, true},
    {"--HASH=", NULL, true},
    {"--NAMESPACE=", ELSEWHERE ": write the option namespace, which has a colon behind it", false},
    {"--HASH-WITH-NAMESPACE", ELSEWHERE, false},
    {"--SORT-HOSTS", ELSEWHERE ": write the servers in that order", false},
    {"--REMOVE-FAILED-SERVERS=", ELSEWHERE " as long as a server is away", false},
    {"--REMOVE_FAILED_SERVERS", ELSEWHERE " as long as a server is away", false},
    {"--SERVER-FAILURE-LIMIT=", ELSEWHERE " as long as a server is away", false},
    {"--NUMBER-OF-REPLICAS=", ELSEWHERE " as well", false},
    {"--RANDOMIZE-REPLICA-READ", ELSEWHERE " as well", false},
    {"--BINARY-PROTOCOL", "that protocol has no meta commands", false},
    {"--USE-UDP", "the servers are asked over TCP", false},
    {"--SOCKET=", BY_URL ": memcached+unix:///PATH", false},
    {"--CONFIGURE-FILE=", "write its words here", false},
    {"INCLUDE", "write its words here", false},
    {"RESET", "leave out what is before it", false},
    {"END", "leave out what is behind it", false},
    {"ERROR", "it makes every client fail", false},
    {"--VERIFY-KEY", NULL, false},
    {"--BUFFER-REQUESTS", NULL, false},
    {"--NOREPLY", NULL, false},
    {"--SUPPORT-CAS", NULL, false},
    {"--FETCH-VERSION", NULL, false},
    {"--CONNECT-TIMEOUT=", NULL, false},
    {"--POLL-TIMEOUT=", NULL, false},
    {"--RCV-TIMEOUT=", NULL, false},
    {"--SND-TIMEOUT=", NULL, false},
    {"--RETRY-TIMEOUT=", NULL, false},
    {"--SOCKET-RECV-SIZE=", NULL, false},
    {"--SOCKET-SEND-SIZE=", NULL, false},
    {"--IO-BYTES-WATERMARK=", NULL, false},
    {"--IO-KEY-PREFETCH=", NULL, false},
    {"--IO-MSG-WATERMARK=", NULL, false},
    {"--TCP-NODELAY", NULL, false},
    {"--TCP-KEEPALIVE", NULL, false},
    {"--TCP-KEEPIDLE", NULL, false},
    {"--POOL-MIN=", NULL, false},
    {"--POOL-MAX=", NULL, false},
};

/* Up to its '=', and that. */
static size_t name_size(const char *word)
{
    size_t size = strcspn(word, "=");

    return size + (word[size] == '=');
}

static const known_word *find(const char *word)
{
    size_t size = name_size(word);

    for (size_t i = 0; i < sizeof(known_words) / sizeof(known_words[0]); i++)
        if (strlen(known_words[i].name) == size && strncasecmp(known_words[i].name, word, size) == 0)
            return &known_words[i];
    return NULL;
}

static kivi_status refuse(kivi_status status, const char *word, const char *why, kivi_error **error)
{
    *error = kvi_mc_host->error(status, 0, KIVI_RETRY_NO, "option configuration: %.*s is refused: %s",
                                (int)name_size(word), word, why);
    return status;
}

/* libmemcached would take its low bits. */
static bool has_port_beyond(const char *word)
{
    const char *colon = strchr(word, ':');

    return colon && strtoul(colon + 1, NULL, 10) - 1 >= PORT_MOST;
}

/* One word, as libmemcached takes it. */
static kivi_status check_word(const char *word, bool *places, kivi_error **error)
{
    const known_word *known = find(word);

    if (!known)
        return refuse(KIVI_INVALID, word, "libmemcached has no such word", error);
    if (known->why)
        return refuse(KIVI_UNSUPPORTED, word, known->why, error);
    if (strcasecmp(word, "--DISTRIBUTION=random") == 0)
        return refuse(KIVI_UNSUPPORTED, word, "with random every look is at another server", error);
    if (libmemcached_check_configuration(word, strlen(word), NULL, 0) != MEMCACHED_SUCCESS ||
        has_port_beyond(word))
        return refuse(KIVI_INVALID, word, "libmemcached does not take what is behind it", error);
    *places = known->places;
    return KIVI_OK;
}

kivi_status kvi_mc_configuration_read(const char *text, char **words, kivi_error **error)
{
    char *copy = strdup(text), *kept = calloc(1, strlen(text) + 1), *rest = NULL;
    kivi_status status = copy && kept ? KIVI_OK : kvi_mc_no_memory(error);

    for (char *word = copy ? strtok_r(copy, SPACES, &rest) : NULL; status == KIVI_OK && word;
         word = strtok_r(NULL, SPACES, &rest)) {
        bool places = false;
        status = check_word(word, &places, error);
        if (places)
            strcat(*kept ? strcat(kept, " ") : kept, word);
    }
    free(copy);
    if (status == KIVI_OK)
        *words = kept;
    else
        free(kept);
    return status;
}
