/* POST of a JSON body with the receiver's credentials. */
#include "server/actions/actions_int.h"

#include <stdio.h>

enum { HEADERS_MAX = 12, SECRET_MAX = 4096, ANSWER_MAX = 64 << 10, ANSWER_SHOWN = 200 };

silex_status act_caller_open(struct act_caller *c, struct slx_mem *m, const struct slx_auth *a, int64_t timeout, const _Atomic bool *cancel, silex_error *err)
{
	struct slx_net_options o = { .ca_file = a->ca_file, .cert_file = a->cert_file, .key_file = a->key_file, .insecure = a->insecure,
		.connect_timeout_ns = timeout };
	*c = (struct act_caller){ .auth = a, .timeout = timeout, .cancel = cancel };
	return slx_net_client_new(m, &o, &c->client, err);
}

void act_caller_close(struct act_caller *c)
{
	slx_net_client_free(c->client);
	c->client = NULL;
}

/* The beginning of what a receiver said, in one line. */
static void quote(char *to, size_t cap, const struct slx_buf *body)
{
	size_t n = body->n < cap - 1 ? body->n : cap - 1;
	for (size_t i = 0; i < n; i++)
		to[i] = body->p[i] < ' ' ? ' ' : (char)body->p[i];
	to[n] = 0;
}

silex_status act_post(struct act_caller *c, const char *url, const char *const *headers, size_t headers_n, const struct slx_buf *body, int *ret_status,
	silex_error *err)
{
	const char *all[HEADERS_MAX] = { "Content-Type: application/json", "User-Agent: silex/" SILEX_VERSION_STRING };
	char password[SECRET_MAX], credentials[SECRET_MAX], header[SECRET_MAX + 64], said[ANSWER_SHOWN];
	const struct slx_auth *a = c->auth;
	struct slx_net_answer answer;
	size_t n = 2;
	*ret_status = 0;
	struct slx_net_request r = { .method = "POST", .url = url, .headers = all, .user = a->user, .password = a->password, .body = body->p,
		.body_size = body->n, .timeout_ns = c->timeout, .answer_max = ANSWER_MAX, .cancel = c->cancel };
	if (a->password_file) {
		if (!slx_auth_first_line(a->password_file, password, sizeof password))
			return slx_err(err, SILEX_UNAVAILABLE, "password_file %s cannot be read", a->password_file);
		r.password = password;
	}
	if (a->type) {
		if (a->credentials_file && !slx_auth_first_line(a->credentials_file, credentials, sizeof credentials))
			return slx_err(err, SILEX_UNAVAILABLE, "credentials_file %s cannot be read", a->credentials_file);
		snprintf(header, sizeof header, "Authorization: %s %s", a->type, a->credentials_file ? credentials : a->credentials ? a->credentials : "");
		all[n++] = header;
	}
	for (size_t i = 0; i < headers_n && n < HEADERS_MAX; i++)
		all[n++] = headers[i];
	r.headers_n = n;
	SLX_TRY(slx_net_fetch(c->client, &r, &answer, err));
	*ret_status = answer.status;
	quote(said, sizeof said, &answer.body);
	slx_net_answer_free(&answer);
	return *ret_status >= 200 && *ret_status < 300 ? SILEX_OK : slx_err(err, SILEX_UNAVAILABLE, "HTTP status %d: %s", *ret_status, said);
}
