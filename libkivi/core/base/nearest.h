/* Which of some names is most like a mistyped one. Also compiled into the command. */
#ifndef KVI_NEAREST_H
#define KVI_NEAREST_H

#include <kivi/base.h>

typedef struct kvi_nearest {
    const char *name; /* as typed */
    size_t size;
    size_t least;     /* changes that make it of the best one so far, or that are too many */
    const char *best; /* NULL: none is like it */
} kvi_nearest;

void kvi_nearest_begin(kvi_nearest *search, const char *name, size_t size);
/* Whether `other` is more like the name than those before. It must outlive the search. */
bool kvi_nearest_try(kvi_nearest *search, const char *other);

#endif
