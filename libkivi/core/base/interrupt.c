/* Interrupts: one flag that any thread or signal handler may raise. */
#include "base.h"

#include <stdatomic.h>
#include <stdlib.h>

struct kivi_interrupt {
    atomic_bool raised;
};

kivi_interrupt *kivi_interrupt_new(void)
{
    kivi_interrupt *interrupt = malloc(sizeof(*interrupt));
    if (interrupt)
        atomic_init(&interrupt->raised, false);
    return interrupt;
}

void kivi_interrupt_raise(kivi_interrupt *interrupt)
{
    atomic_store(&interrupt->raised, true);
}

void kivi_interrupt_clear(kivi_interrupt *interrupt)
{
    atomic_store(&interrupt->raised, false);
}

bool kvi_interrupt_is_raised(const kivi_interrupt *interrupt)
{
    return atomic_load_explicit(&interrupt->raised, memory_order_acquire);
}

void kivi_interrupt_free(kivi_interrupt *interrupt)
{
    free(interrupt);
}
