/* The floor of get.lua: the same reads from C. Prints the ns that one takes. */
#include <kivi/kivi.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEYS 1000

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int count, char **words)
{
    long calls = count > 2 ? atol(words[2]) : 0;
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_store *store;
    char keys[KEYS][16];
    double began;
    if (calls <= 0 || kivi_store_open(words[1], NULL, NULL, &store, NULL))
        return 2;
    for (int i = 0; i < KEYS; i++)
        snprintf(keys[i], sizeof(keys[i]), "key:%d", i + 1);
    began = now_ns();
    for (long i = 0; i < calls; i++)
        if (kivi_store_get(store, NULL, kivi_str(keys[i % KEYS]), &value, NULL))
            return 1;
    printf("%.1f\n", (now_ns() - began) / (double)calls);
    kivi_buffer_free(&value);
    kivi_store_unref(store);
    return 0;
}
