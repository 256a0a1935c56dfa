/* Seams between the files of the endpoint. */
#ifndef KVI_ENDPOINT_INTERNAL_H
#define KVI_ENDPOINT_INTERNAL_H

#include "endpoint.h"

/* Makes endpoint->targets of the servers that `hosts` names, with `port` for those that name none. `whole`: one alone, too, is
 * written HOST:PORT; else its port has been cut off. */
kivi_status kvi_endpoint_list(kvi_endpoint *endpoint, const char *hosts, const char *port,
                              bool whole, kivi_error **error);
kivi_status kvi_endpoint_no_memory(const kivi_host *core, kivi_error **error);

#endif
