/* What became of the items of a vector, until they are told. */
#include "memory.h"

memory_answer *kvi_answers_new(size_t count, memory_answer *few, size_t few_count)
{
    memory_answer *answers = few;

    if (count > few_count)
        answers = malloc(count * sizeof(*answers));
    if (!answers)
        return NULL;
    for (size_t i = 0; i < count; i++)
        answers[i] = (memory_answer){KIVI_PENDING, false, KIVI_TTL_NONE, NULL};
    return answers;
}

void kvi_answers_free(memory_answer *answers, size_t count, const memory_answer *few)
{
    for (size_t i = 0; answers && i < count; i++)
        record_unref(answers[i].record);
    if (answers != few)
        free(answers);
}
