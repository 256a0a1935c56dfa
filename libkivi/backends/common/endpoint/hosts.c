/* Servers as a URL lists them, into places. */
#include "endpoint_internal.h"

#include <stdlib.h>
#include <string.h>

#define PORT_DIGITS 5

static kivi_status misspelt(const kivi_host *core, kivi_error **error)
{
    return kvi_option_refuse(core, KIVI_INVALID,
                             "the list of servers is written HOST:PORT,HOST:PORT, an IPv6 address "
                             "within [ and ], a port from 1 to 65535",
                             error);
}

static bool is_port(const char *text, size_t size)
{
    unsigned number = 0;

    if (size == 0 || size > PORT_DIGITS)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (unsigned)(text[i] - '0');
    }
    return number >= 1 && number <= 65535;
}

/* HOST, HOST:PORT, [ADDRESS] and [ADDRESS]:PORT: how long the host is, and where the port begins (0: none). */
static bool cut(const char **host, size_t *host_size, size_t size, const char **port, size_t *port_size)
{
    const char *text = *host, *end = text + size, *behind;

    if (size && *text == '[') {
        behind = memchr(text, ']', size);
        if (!behind)
            return false;
        *host = text + 1;
        *host_size = (size_t)(behind - text) - 1;
        behind++;
    } else {
        behind = memchr(text, ':', size);
        behind = behind ? behind : end;
        *host_size = (size_t)(behind - text);
    }
    *port_size = 0;
    if (*host_size == 0)
        return false;
    if (behind == end)
        return true;
    *port = behind + 1;
    *port_size = (size_t)(end - *port);
    return *behind == ':' && is_port(*port, *port_size);
}

static bool add(kvi_endpoint *endpoint, const char *host, size_t host_size, const char *port,
                size_t port_size)
{
    kvi_net_target *target = &endpoint->targets[endpoint->count++];

    target->place.core = endpoint->core;
    target->place.host = strndup(host, host_size);
    target->place.port = strndup(port, port_size);
    return target->place.host && target->place.port;
}

static size_t count_commas(const char *text)
{
    size_t count = 0;

    for (; *text; text++)
        count += *text == ',';
    return count;
}

kivi_status kvi_endpoint_list(kvi_endpoint *endpoint, const char *hosts, const char *port,
                              bool whole, kivi_error **error)
{
    size_t commas = count_commas(hosts);

    endpoint->targets = calloc(commas + 1, sizeof(*endpoint->targets));
    if (!endpoint->targets)
        return kvi_endpoint_no_memory(endpoint->core, error);
    if (commas == 0 && !whole) /* the URL's: an IPv6 address may be bare */
        return add(endpoint, hosts, strlen(hosts), port, strlen(port))
                   ? KIVI_OK
                   : kvi_endpoint_no_memory(endpoint->core, error);
    for (;;) {
        size_t size = strcspn(hosts, ","), host_size, port_size;
        const char *host = hosts, *own = port;
        if (!cut(&host, &host_size, size, &own, &port_size))
            return misspelt(endpoint->core, error);
        if (!add(endpoint, host, host_size, own, port_size ? port_size : strlen(port)))
            return kvi_endpoint_no_memory(endpoint->core, error);
        if (!hosts[size])
            return KIVI_OK;
        hosts += size + 1;
    }
}
