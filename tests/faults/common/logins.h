/* Logins that work or must not, and the certificates that they show. */
#ifndef FAULTS_LOGINS_H
#define FAULTS_LOGINS_H

#include "server.h"

#define LOGIN_SECRET "sesame-7f3a" /* in a password; no message may have it */

/* A typed error long before the deadline, in words that have `part` and nothing secret. Both let the store go. */
void login_refused(kivi_store *store, kivi_status wanted, const char *part);
void login_works(kivi_store *store);

/*
 * In the server's folder, as its user, each NAME.pem and NAME.key: the authority "ca" with "server", "client", "misnamed"
 * (for elsewhere.example) and "expired", and "stranger" with "strange". The servers' are for 127.0.0.1 and localhost.
 */
void make_certificates(running_server *server);
/* Puts "&tls=true&tls_ca_file=..." into `options`, and the client's certificate where it is not NULL; `more` behind it. */
enum { TLS_OPTIONS = 900 };
const char *tls_options(char options[TLS_OPTIONS], const char *ca, const char *client, const char *more);

#endif
