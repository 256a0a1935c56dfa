/* Logins that work or must not, and the certificates that they show. */
#include "logins.h"

#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

enum { DEADLINE_MS = 20000 };

/* ---- Asking ---- */

static kivi_status look(kivi_store *store, kivi_error **error)
{
    kivi_call call = within_ms(DEADLINE_MS);
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_status status = kivi_store_get(store, &call, kivi_str("k"), &value, error);

    kivi_buffer_free(&value);
    return status;
}

void login_refused(kivi_store *store, kivi_status wanted, const char *part)
{
    kivi_error *error = NULL;
    uint64_t began = now_ns();
    kivi_status status = look(store, &error);
    const char *message = error ? kivi_error_message(error) : "(no error)";

    CHECK_SAYING(now_ns() - began < DEADLINE_MS * UINT64_C(1000000), "it came too late");
    CHECK_SAYING(status == wanted && strstr(message, part), "%s: %s", kivi_status_name(status), message);
    CHECK_SAYING(!strstr(message, LOGIN_SECRET), "%s", message);
    kivi_error_free(error);
    kivi_store_unref(store);
}

void login_works(kivi_store *store)
{
    put(store, "k", "v");
    expect_holds(store, "k", "v");
    kivi_store_unref(store);
}

/* ---- Certificates, in the server's folder ---- */

#define EC_KEY "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
/* In words that a blank ends. */
static void run_words(running_server *server, const char *format, ...) KIVI_PRINTF(2, 3);
static void run_words(running_server *server, const char *format, ...)
{
    char line[512], *rest = line, *word;
    va_list list;

    va_start(list, format);
    vsnprintf(line, sizeof(line), format, list);
    va_end(list);
    while ((word = strtok_r(rest, " ", &rest)))
        server_argument(server, "%s", word);
    server_run(server);
}

static void make_authority(running_server *server, const char *name)
{
    run_words(server, "openssl req -x509 " EC_KEY " -days 30 -subj /CN=%s -keyout %s.key -out %s.pem",
              name, name, name);
}

static void make_certificate(running_server *server, const char *name, const char *by,
                             const char *names, int days)
{
    char path[320];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s.ext", server->directory, name);
    CHECK((file = fopen(path, "w")) && fprintf(file, "subjectAltName=%s\n", names) > 0 && !fclose(file));
    chmod(path, 0644);
    run_words(server, "openssl req " EC_KEY " -subj /CN=kivi -keyout %s.key -out %s.csr", name, name);
    run_words(server,
              "openssl x509 -req -in %s.csr -CA %s.pem -CAkey %s.key -CAcreateserial -days %d "
              "-extfile %s.ext -out %s.pem",
              name, by, by, days, name, name);
}

void make_certificates(running_server *server)
{
    static const char here[] = "IP:127.0.0.1,DNS:localhost";

    make_authority(server, "ca");
    make_authority(server, "stranger");
    make_certificate(server, "server", "ca", here, 30);
    make_certificate(server, "misnamed", "ca", "DNS:elsewhere.example", 30);
    make_certificate(server, "expired", "ca", here, -1);
    make_certificate(server, "client", "ca", here, 30);
    make_certificate(server, "strange", "stranger", here, 30);
}

const char *tls_options(char options[TLS_OPTIONS], const char *ca, const char *client, const char *more)
{
    int size = snprintf(options, TLS_OPTIONS, "&tls=true&tls_ca_file=%s/server/%s.pem%s", folder,
                        ca, more);

    if (client)
        snprintf(options + size, TLS_OPTIONS - (size_t)size,
                 "&tls_cert_file=%s/server/%s.pem&tls_key_file=%s/server/%s.key", folder, client,
                 folder, client);
    return options;
}
