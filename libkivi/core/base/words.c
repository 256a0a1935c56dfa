/* Lists of words in one text, separated by spaces: schemes, choices. */
#include "base.h"

size_t kvi_words_next(const char **words, const char **word)
{
    *word = *words + strspn(*words, " ");
    size_t size = strcspn(*word, " ");
    *words = *word + size;
    return size;
}

bool kvi_words_have(const char *words, const char *word)
{
    size_t size = strlen(word), length;
    const char *at;
    while ((length = kvi_words_next(&words, &at)))
        if (length == size && !memcmp(at, word, size))
            return true;
    return false;
}
