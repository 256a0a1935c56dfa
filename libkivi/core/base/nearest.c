/* Which of some names is most like a mistyped one. */
#include "nearest.h"

#define NAME_MOST 64 /* a longer name is like no other */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance: letters put in, taken out, changed, or two neighbours swapped. */
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][NAME_MOST + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b_size; j++)
        last[j] = before[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            now[j] = smaller(smaller(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = smaller(now[j], before[j - 2] + 1);
        }
        size_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b_size];
}

void kvi_nearest_begin(kvi_nearest *search, const char *name, size_t size)
{
    size_t most = size < 4   ? 1
                  : size < 6 ? 2
                             : size / 3; /* more changes than that make another word */
    *search = (kvi_nearest){name, size, most + 1, NULL};
}

bool kvi_nearest_try(kvi_nearest *search, const char *other)
{
    size_t size = strlen(other);
    if (!search->size || search->size > NAME_MOST || size > NAME_MOST)
        return false;
    size_t changes = distance(search->name, search->size, other, size);
    if (changes >= search->least)
        return false;
    search->least = changes;
    search->best = other;
    return true;
}
