/* Memory, or the end of the program. */
#include <stdlib.h>

#include "cli.h"

void cli_need(kivi_status status)
{
    if (!status)
        return;
    cli_fail(CLI_FAILED, "%s", status == KIVI_NO_MEMORY ? "out of memory" : kivi_status_name(status));
    exit(CLI_FAILED);
}

void *cli_alloc(void *old, size_t size)
{
    void *memory = realloc(old, size ? size : 1);

    cli_need(memory ? KIVI_OK : KIVI_NO_MEMORY);
    return memory;
}

void cli_buffer_clear(kivi_buffer *buffer)
{
    cli_need(kivi_buffer_assign(buffer, kivi_bytes(NULL, 0)));
}
