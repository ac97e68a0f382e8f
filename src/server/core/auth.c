#include "server/core/auth.h"

#include <stdio.h>
#include <string.h>

static silex_status text(const struct slx_yaml *map, const char *key, const char **ret, silex_error *err)
{
	return slx_yaml_text(slx_yaml_get(map, key), ret, err);
}

static silex_status auth_basic(const struct slx_yaml *y, struct slx_auth *a, silex_error *err)
{
	static const char *const keys[] = { "username", "password", "password_file", NULL };
	if (slx_yaml_null(y))
		return SILEX_OK;
	SLX_TRY(slx_yaml_keys(y, "basic_auth", keys, err));
	SLX_TRY(text(y, "username", &a->user, err));
	SLX_TRY(text(y, "password", &a->password, err));
	SLX_TRY(text(y, "password_file", &a->password_file, err));
	return a->user ? SILEX_OK : slx_yaml_err(y, err, "basic_auth: expected a username");
}

static silex_status auth_header(const struct slx_yaml *y, struct slx_auth *a, silex_error *err)
{
	static const char *const keys[] = { "type", "credentials", "credentials_file", NULL };
	if (slx_yaml_null(y))
		return SILEX_OK;
	SLX_TRY(slx_yaml_keys(y, "authorization", keys, err));
	a->type = "Bearer";
	SLX_TRY(text(y, "type", &a->type, err));
	SLX_TRY(text(y, "credentials", &a->credentials, err));
	return text(y, "credentials_file", &a->credentials_file, err);
}

static silex_status tls(const struct slx_yaml *y, struct slx_auth *a, silex_error *err)
{
	static const char *const keys[] = { "ca_file", "cert_file", "key_file", "server_name", "insecure_skip_verify", NULL };
	if (slx_yaml_null(y))
		return SILEX_OK;
	SLX_TRY(slx_yaml_keys(y, "tls_config", keys, err));
	SLX_TRY(text(y, "ca_file", &a->ca_file, err));
	SLX_TRY(text(y, "cert_file", &a->cert_file, err));
	SLX_TRY(text(y, "key_file", &a->key_file, err));
	SLX_TRY(text(y, "server_name", &a->server_name, err));
	return slx_yaml_bool(slx_yaml_get(y, "insecure_skip_verify"), &a->insecure, err);
}

silex_status slx_auth_read(const struct slx_yaml *y, struct slx_auth *a, silex_error *err)
{
	*a = (struct slx_auth){ .follow_redirects = true };
	SLX_TRY(auth_basic(slx_yaml_get(y, "basic_auth"), a, err));
	SLX_TRY(auth_header(slx_yaml_get(y, "authorization"), a, err));
	SLX_TRY(text(y, "bearer_token", &a->credentials, err));
	SLX_TRY(text(y, "bearer_token_file", &a->credentials_file, err));
	if ((a->credentials || a->credentials_file) && !a->type)
		a->type = "Bearer";
	SLX_TRY(tls(slx_yaml_get(y, "tls_config"), a, err));
	return slx_yaml_bool(slx_yaml_get(y, "follow_redirects"), &a->follow_redirects, err);
}

bool slx_auth_first_line(const char *path, char *ret, size_t cap)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(ret, (int)cap, f);
	if (f)
		fclose(f);
	if (ok)
		ret[strcspn(ret, "\r\n")] = 0;
	return ok;
}
