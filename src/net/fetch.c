/* libcurl's easy handles in a small pool: a handle keeps its connection, so taking the one used last finds it warm. */
#include "net/fetch.h"

#include <ctype.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { IDLE_DEFAULT = 8, ANSWER_DEFAULT = 1 << 20, HEADERS_MAX = 64 << 10 };

#define SECOND INT64_C(1000000000)
#define MS     INT64_C(1000000)

struct slx_net_client {
	struct slx_mem *mem;
	char *ca_file, *cert_file, *key_file;
	bool insecure;
	int64_t connect_timeout_ns;
	unsigned idle_max;
	pthread_mutex_t lock;
	/* lock */
	unsigned n_idle;
	CURL **idle; /* idle_max; the one used last is the last */
};

struct fetch { /* a request under way */
	CURL *curl;
	const struct slx_net_request *r;
	struct slx_net_answer *a;
	bool too_large, canceled;
	char why[CURL_ERROR_SIZE];
};

/* --- the client --- */

static void free_text(struct slx_mem *m, char *s)
{
	if (s)
		slx_free(m, SLX_MEM_OTHER, s, strlen(s) + 1);
}

static bool copy_text(struct slx_mem *m, const char *s, char **ret)
{
	if (s && (*ret = slx_alloc(m, SLX_MEM_OTHER, strlen(s) + 1)))
		strcpy(*ret, s);
	return !s || *ret;
}

silex_status slx_net_client_new(
	struct slx_mem *m, const struct slx_net_options *o, struct slx_net_client **ret, silex_error *err)
{
	static const struct slx_net_options none;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return slx_err(err, SILEX_UNAVAILABLE, "libcurl does not start");
	struct slx_net_client *c = slx_calloc(m, SLX_MEM_OTHER, sizeof *c);
	if (!c)
		return slx_err_oom(err);
	o = o ? o : &none;
	c->mem = m;
	c->insecure = o->insecure;
	c->connect_timeout_ns = o->connect_timeout_ns ? o->connect_timeout_ns : 10 * SECOND;
	c->idle_max = o->idle_max ? o->idle_max : IDLE_DEFAULT;
	pthread_mutex_init(&c->lock, NULL);
	c->idle = slx_calloc(m, SLX_MEM_OTHER, c->idle_max * sizeof *c->idle);
	if (!c->idle || !copy_text(m, o->ca_file, &c->ca_file) || !copy_text(m, o->cert_file, &c->cert_file) ||
		!copy_text(m, o->key_file, &c->key_file)) {
		slx_net_client_free(c);
		return slx_err_oom(err);
	}
	*ret = c;
	return SILEX_OK;
}

void slx_net_client_free(struct slx_net_client *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->n_idle; i++)
		curl_easy_cleanup(c->idle[i]);
	slx_free(c->mem, SLX_MEM_OTHER, c->idle, c->idle_max * sizeof *c->idle);
	free_text(c->mem, c->ca_file);
	free_text(c->mem, c->cert_file);
	free_text(c->mem, c->key_file);
	pthread_mutex_destroy(&c->lock);
	slx_free(c->mem, SLX_MEM_OTHER, c, sizeof *c);
}

static CURL *take_handle(struct slx_net_client *c)
{
	CURL *curl = NULL;
	pthread_mutex_lock(&c->lock);
	if (c->n_idle)
		curl = c->idle[--c->n_idle];
	pthread_mutex_unlock(&c->lock);
	if (curl)
		curl_easy_reset(curl); /* options go, connections stay */
	return curl ? curl : curl_easy_init();
}

static void give_handle(struct slx_net_client *c, CURL *curl)
{
	pthread_mutex_lock(&c->lock);
	if (c->n_idle < c->idle_max) {
		c->idle[c->n_idle++] = curl;
		curl = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	if (curl)
		curl_easy_cleanup(curl);
}

/* --- what arrives --- */

static bool is_success(const struct fetch *f)
{
	long status = 0;
	curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
	return status >= 200 && status < 300;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;
	n *= size;
	if (f->r->into && is_success(f)) {
		f->too_large = n > f->r->into_size - f->a->into_n;
		if (f->too_large)
			return 0;
		memcpy((uint8_t *)f->r->into + f->a->into_n, p, n);
		f->a->into_n += n;
		return n;
	}
	f->too_large = n >= f->a->body.size_max - f->a->body.n; /* a byte is left for the NUL */
	if (!f->too_large)
		slx_buf_put(&f->a->body, p, n);
	return f->too_large || f->a->body.failed ? 0 : n;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;
	n *= size;
	size_t used = n;
	while (used && isspace((unsigned char)p[used - 1]))
		used--;
	if (used >= 5 && memcmp(p, "HTTP/", 5) == 0)
		slx_buf_reset(&f->a->headers); /* of "100 Continue", say */
	const char *colon = memchr(p, ':', used);
	if (!colon || memchr(p, 0, used))
		return n;
	for (const char *c = p; c < colon; c++)
		slx_buf_u8(&f->a->headers, (uint8_t)tolower((unsigned char)*c));
	slx_buf_put(&f->a->headers, colon, used - (size_t)(colon - p));
	slx_buf_u8(&f->a->headers, 0);
	return f->a->headers.failed ? 0 : n;
}

static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
	struct fetch *f = arg;
	f->canceled = f->r->cancel && atomic_load(f->r->cancel);
	return f->canceled;
}

const char *slx_net_answer_header(const struct slx_net_answer *a, const char *name)
{
	size_t n = strlen(name);
	const char *p = (const char *)a->headers.p, *end = p + a->headers.n;
	for (; p && p < end; p += strlen(p) + 1)
		if (strncmp(p, name, n) == 0 && p[n] == ':')
			return p + n + 1 + strspn(p + n + 1, " \t");
	return NULL;
}

void slx_net_answer_free(struct slx_net_answer *a)
{
	slx_buf_free(&a->headers);
	slx_buf_free(&a->body);
}

/* --- a request --- */

static long ms_of(int64_t ns, int64_t unit) { return (long)((ns + unit - 1) / unit); }

static bool set_headers(CURL *curl, const struct slx_net_request *r, struct curl_slist **ret)
{
	*ret = curl_slist_append(NULL, "Expect:");
	for (size_t i = 0; *ret && i < r->headers_n; i++) {
		struct curl_slist *more = curl_slist_append(*ret, r->headers[i]);
		if (!more)
			return false;
		*ret = more;
	}
	return *ret && curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *ret) == CURLE_OK;
}

static void set_connection(struct slx_net_client *c, CURL *curl)
{
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "silex/" SILEX_VERSION_STRING);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, ms_of(c->connect_timeout_ns, MS));
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, (long)!c->insecure);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, c->insecure ? 0L : 2L);
	if (c->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, c->ca_file);
	if (c->cert_file)
		curl_easy_setopt(curl, CURLOPT_SSLCERT, c->cert_file);
	if (c->key_file)
		curl_easy_setopt(curl, CURLOPT_SSLKEY, c->key_file);
}

static void set_request(struct fetch *f)
{
	const struct slx_net_request *r = f->r;
	CURL *curl = f->curl;
	curl_easy_setopt(curl, CURLOPT_URL, r->url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	if (r->body_size || strcmp(r->method, "POST") == 0 || strcmp(r->method, "PUT") == 0) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_size);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->body_size ? r->body : "");
	}
	if (strcmp(r->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
	if (r->user) {
		curl_easy_setopt(curl, CURLOPT_USERNAME, r->user);
		curl_easy_setopt(curl, CURLOPT_PASSWORD, r->password ? r->password : "");
	}
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ms_of(r->timeout_ns, MS));
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, ms_of(r->stall_timeout_ns ? r->stall_timeout_ns : 60 * SECOND, SECOND));
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, f);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, f);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, f);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, f->why);
}

/* "PUT http://host:port": of the url no more than anybody may see. */
static void describe(const struct slx_net_request *r, char *to, size_t size)
{
	const char *host = strstr(r->url, "://");
	const char *at = host ? host + 3 : r->url;
	size_t n = strcspn(at, "/?#"), user = 0;
	for (size_t i = 0; i < n; i++)
		if (at[i] == '@')
			user = i + 1;
	snprintf(to, size, "%s %.*s%.*s", r->method, host ? (int)(host + 3 - r->url) : 0, r->url, (int)(n - user), at + user);
}

static silex_status failed(const struct fetch *f, CURLcode code, silex_error *err)
{
	char what[200];
	const char *why = f->why[0] ? f->why : curl_easy_strerror(code);
	describe(f->r, what, sizeof what);
	if (f->canceled)
		return slx_err(err, SILEX_CANCELED, "%s: canceled", what);
	if (f->too_large)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "%s: the answer is larger than %zu bytes", what,
			f->r->into && is_success(f) ? f->r->into_size : f->a->body.size_max - 1);
	if (code == CURLE_URL_MALFORMAT || (strncmp(f->r->url, "http://", 7) != 0 && strncmp(f->r->url, "https://", 8) != 0))
		return slx_err(err, SILEX_INVALID, "%s: %s; expected http://host:port/path or https://", what, why);
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return slx_err(err, SILEX_DEADLINE_EXCEEDED, "%s: %s", what, why);
	case CURLE_OUT_OF_MEMORY:
		return slx_err_oom(err);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
		return slx_err(err, SILEX_UNAVAILABLE, "%s: %s; name the authority's file where certificates are configured (ca_file)", what, why);
	default:
		return f->a->body.failed || f->a->headers.failed ? slx_err(err, SILEX_RESOURCE_EXHAUSTED, "%s: no memory for the answer", what)
														 : slx_err(err, SILEX_UNAVAILABLE, "%s: %s", what, why);
	}
}

static silex_status perform(struct slx_net_client *c, struct fetch *f, silex_error *err)
{
	struct curl_slist *headers = NULL;
	long status = 0;
	set_connection(c, f->curl);
	set_request(f);
	if (!set_headers(f->curl, f->r, &headers)) {
		curl_slist_free_all(headers);
		return slx_err_oom(err);
	}
	CURLcode code = curl_easy_perform(f->curl);
	curl_slist_free_all(headers);
	if (code != CURLE_OK)
		return failed(f, code, err);
	curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
	f->a->status = (int)status;
	slx_buf_u8(&f->a->body, 0);
	if (f->a->body.failed)
		return slx_err_oom(err);
	f->a->body.n--;
	return SILEX_OK;
}

silex_status slx_net_fetch(
	struct slx_net_client *c, const struct slx_net_request *r, struct slx_net_answer *ret, silex_error *err)
{
	struct slx_net_answer a = { 0 };
	struct fetch f = { .r = r, .a = &a };
	slx_buf_init(&a.headers, c->mem, SLX_MEM_OTHER, HEADERS_MAX);
	slx_buf_init(&a.body, c->mem, SLX_MEM_OTHER, (r->answer_max ? r->answer_max : ANSWER_DEFAULT) + 1);
	f.curl = take_handle(c);
	if (!f.curl)
		return slx_err_oom(err);
	silex_status st = perform(c, &f, err);
	give_handle(c, f.curl);
	if (st == SILEX_OK)
		*ret = a;
	else
		slx_net_answer_free(&a);
	return st;
}
