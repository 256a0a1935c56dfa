/*
 * A small program over what `kivi import` stored: one language by its key, and the subdivisions of a
 * country by their prefix, both read as typed values. The demo builds it with pkg-config:
 *
 *     cc languages.c $(pkg-config --cflags --libs kivi) -o languages
 *     ./languages lmdb:languages.mdb deu CH
 */
#include <kivi/kivi.h>
#include <stdio.h>
#include <stdlib.h>

/* Prints why a call failed; always answers false. */
static bool complain(const char *what, kivi_status status, kivi_error *error)
{
    fprintf(stderr, "languages: %s: %s\n", what,
            error ? kivi_error_message(error) : kivi_status_name(status));
    kivi_error_free(error);
    return false;
}

/* A field's value: text as it stands, other tokens by their type. */
static void print_token(const kivi_token *token)
{
    switch (token->type) {
    case KIVI_TOKEN_STR:
        printf("%.*s", (int)token->bytes.size, (const char *)token->bytes.data);
        break;
    case KIVI_TOKEN_INT:
        printf("%lld", (long long)token->as.integer);
        break;
    case KIVI_TOKEN_BOOL:
        fputs(token->as.boolean ? "true" : "false", stdout);
        break;
    case KIVI_TOKEN_NIL:
        fputs("null", stdout);
        break;
    default:
        printf("(a value of type %d)", (int)token->type);
        break;
    }
}

/* Whether a token is the field name we look for. */
static bool is_name(const kivi_token *token, const char *name)
{
    return token->type == KIVI_TOKEN_STR && token->bytes.size == strlen(name) &&
           memcmp(token->bytes.data, name, token->bytes.size) == 0;
}

/* Reads the map in `value` token by token and prints the field `name`; false when it is not there. */
static bool print_field(kivi_reader *reader, kivi_slice value, const char *name)
{
    kivi_token token;
    kivi_reader_start(reader, value);
    if (kivi_reader_next(reader, &token) || token.type != KIVI_TOKEN_MAP)
        return false;
    while (!kivi_reader_next(reader, &token) && token.type != KIVI_TOKEN_END) {
        bool wanted = is_name(&token, name);
        if (kivi_reader_next(reader, &token))
            return false;
        if (wanted) {
            print_token(&token);
            return true;
        }
        if ((token.type == KIVI_TOKEN_MAP || token.type == KIVI_TOKEN_ARRAY) && kivi_reader_skip(reader))
            return false;
    }
    return false;
}

static bool print_fields(kivi_reader *reader, kivi_slice value)
{
    static const char *const names[] = {"name", "type"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        putchar('\t');
        if (!print_field(reader, value, names[i])) {
            fprintf(stderr, "languages: a value has no \"%s\"\n", names[i]);
            return false;
        }
    }
    putchar('\n');
    return true;
}

static bool print_language(kivi_store *store, kivi_reader *reader, const char *code)
{
    char key[64];
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_error *error;
    snprintf(key, sizeof key, "lang:%s", code);
    kivi_status status = kivi_store_get(store, NULL, kivi_str(key), &value, &error);
    bool good;
    if (status) {
        good = complain(key, status, error);
    } else {
        fputs(key, stdout);
        good = print_fields(reader, kivi_buffer_slice(&value));
    }
    kivi_buffer_free(&value);
    return good;
}

static bool print_places(kivi_store *store, kivi_reader *reader, const char *country)
{
    char prefix[64];
    kivi_range range = KIVI_RANGE_INIT;
    kivi_pair pair = KIVI_PAIR_INIT;
    kivi_scan *scan = NULL;
    kivi_error *error;
    bool good = true;
    snprintf(prefix, sizeof prefix, "place:%s-", country);
    range.prefix = kivi_str(prefix);
    kivi_status status = kivi_store_scan(store, &range, &scan, &error);
    while (!status && good) {
        status = kivi_scan_next(scan, NULL, &pair, &error);
        if (status)
            break;
        printf("%.*s", (int)pair.key.size, (const char *)pair.key.data);
        good = print_fields(reader, pair.value);
    }
    if (status && status != KIVI_END)
        good = complain(prefix, status, error);
    kivi_scan_free(scan);
    return good;
}

int main(int argc, char **argv)
{
    kivi_store *store = NULL;
    kivi_reader *reader = NULL;
    kivi_error *error = NULL;
    if (argc != 4) {
        fprintf(stderr, "usage: languages URL LANGUAGE COUNTRY, as lmdb:languages.mdb deu CH\n");
        return 2;
    }
    kivi_status status = kivi_store_open(argv[1], NULL, NULL, &store, &error);
    if (!status)
        status = kivi_reader_new(kivi_store_codec(store), NULL, &reader, &error);
    bool good = status
                    ? complain(argv[1], status, error)
                    : print_language(store, reader, argv[2]) && print_places(store, reader, argv[3]);
    kivi_reader_free(reader);
    kivi_store_unref(store);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
