/* How we prove who we are to a server that we call (scraping, notifications): the part of their configuration that Prometheus
 * calls http_config. Strings belong to the configuration. */
#ifndef SLX_SERVER_CORE_AUTH_H
#define SLX_SERVER_CORE_AUTH_H

#include "server/core/config.h"

struct slx_auth {
	const char *user, *password, *password_file;
	const char *type, *credentials, *credentials_file; /* Authorization: type credentials */
	const char *ca_file, *cert_file, *key_file, *server_name;
	bool insecure, follow_redirects;
};

/* basic_auth, authorization, bearer_token, bearer_token_file, tls_config, follow_redirects of y. */
silex_status slx_auth_read(const struct slx_yaml *y, struct slx_auth *ret, silex_error *err);
/* The first line of a file, for secrets that are kept there. */
bool slx_auth_first_line(const char *path, char *ret, size_t cap);

#endif
