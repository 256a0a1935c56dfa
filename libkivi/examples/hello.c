/* Opens a store, writes a value, reads it back: hello URL (such as memory: or lmdb:hello.mdb). */
#include <kivi/kivi.h>
#include <stdio.h>

static int failed(kivi_error *error)
{
    fprintf(stderr, "hello: %s\n", kivi_error_message(error));
    kivi_error_free(error);
    return 1;
}

int main(int argc, char **argv)
{
    kivi_store *store;
    kivi_error *error;
    kivi_buffer value = KIVI_BUFFER_INIT;
    if (kivi_store_open(argc > 1 ? argv[1] : "memory:", NULL, NULL, &store, &error))
        return failed(error);
    /* "\xa5hello" is the text hello in msgpack; kivi_writer makes such bytes from C values. */
    if (kivi_store_set(store, NULL, kivi_str("greeting"), kivi_str("\xa5hello"), KIVI_TTL_NONE, &error) ||
        kivi_store_get(store, NULL, kivi_str("greeting"), &value, &error))
        return failed(error);
    printf("%.*s\n", (int)value.size - 1, (const char *)value.data + 1);
    kivi_buffer_free(&value);
    kivi_store_unref(store);
    return 0;
}
