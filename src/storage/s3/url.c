/* s3://BUCKET[/PREFIX][?OPTION=VALUE&...]: all settings but the keys, which are never part of a url. */
#include "model/time.h"
#include "storage/s3/s3_int.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PART_MB_DEFAULT = 16, PART_MB_MIN = 5, PART_MB_MAX = 1024 };

static const char known[] = "endpoint, region, path_style, sse, sse_kms_key_id, retry, timeout, part_mb, ca_file, insecure";

struct parse {
	struct slx_arena *arena;
	struct slx_s3_url *url;
	int path_style; /* -1: not said */
	silex_error *err;
};

static int hex_of(char c) { return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10 : -1; }

/* n bytes with %xx undone, in the arena; NULL when out of memory or malformed. */
static char *decode(struct parse *p, const char *s, size_t n)
{
	char *to = slx_arena_alloc(p->arena, n + 1, 1), *at = to;
	for (size_t i = 0; to && i < n; i++) {
		if (s[i] != '%') {
			*at++ = s[i];
			continue;
		}
		int hi = i + 2 < n ? hex_of(s[i + 1]) : -1;
		int lo = hi >= 0 ? hex_of(s[i + 2]) : -1;
		if (lo < 0 || (hi | lo) == 0)
			return NULL;
		*at++ = (char)(hi << 4 | lo);
		i += 2;
	}
	if (to)
		*at = 0;
	return to;
}

static silex_status set_bool(struct parse *p, const char *name, const char *value, bool *ret)
{
	if (strcmp(value, "1") != 0 && strcmp(value, "0") != 0 && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return slx_err(p->err, SILEX_INVALID, "%s=%s; expected 1 or 0", name, value);
	*ret = value[0] == '1' || value[0] == 't';
	return SILEX_OK;
}

static silex_status set_span(struct parse *p, const char *name, const char *value, int64_t *ret)
{
	if (slx_duration_parse(value, strlen(value), ret, NULL) != SILEX_OK || *ret < SLX_MS || *ret > SLX_HOUR)
		return slx_err(p->err, SILEX_INVALID, "%s=%s; expected a duration of 1ms to 1h (\"10s\")", name, value);
	return SILEX_OK;
}

static silex_status set_part(struct parse *p, const char *value)
{
	char *end;
	unsigned long mb = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || mb < PART_MB_MIN || mb > PART_MB_MAX)
		return slx_err(p->err, SILEX_INVALID, "part_mb=%s; expected %d to %d", value, PART_MB_MIN, PART_MB_MAX);
	p->url->part_size = mb << 20;
	return SILEX_OK;
}

static silex_status set_sse(struct parse *p, const char *value)
{
	if (strcmp(value, "AES256") != 0 && strcmp(value, "aws:kms") != 0)
		return slx_err(p->err, SILEX_INVALID, "sse=%s; expected AES256 or aws:kms", value);
	p->url->sse = value;
	return SILEX_OK;
}

static silex_status set_endpoint(struct parse *p, const char *value)
{
	const char *host = strstr(value, "://");
	if ((strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0) || !host[3] || strpbrk(host + 3, "/?#@ "))
		return slx_err(p->err, SILEX_INVALID, "endpoint=%s; expected http://host:port or https://host:port without a path", value);
	p->url->endpoint = value;
	return SILEX_OK;
}

static bool is_plain(const char *s)
{
	size_t n = 0;
	while (isalnum((unsigned char)s[n]) || s[n] == '-')
		n++;
	return n && n < 64 && !s[n];
}

static silex_status set_option(struct parse *p, const char *name, const char *value)
{
	struct slx_s3_url *u = p->url;
	bool on;
	if (strcmp(name, "endpoint") == 0)
		return set_endpoint(p, value);
	if (strcmp(name, "sse") == 0)
		return set_sse(p, value);
	if (strcmp(name, "retry") == 0)
		return set_span(p, name, value, &u->retry_ns);
	if (strcmp(name, "timeout") == 0)
		return set_span(p, name, value, &u->timeout_ns);
	if (strcmp(name, "part_mb") == 0)
		return set_part(p, value);
	if (strcmp(name, "insecure") == 0)
		return set_bool(p, name, value, &u->insecure);
	if (strcmp(name, "path_style") == 0) {
		SLX_TRY(set_bool(p, name, value, &on));
		p->path_style = on;
	} else if (strcmp(name, "region") == 0 && is_plain(value)) {
		u->region = value;
	} else if (strcmp(name, "sse_kms_key_id") == 0) {
		u->sse_kms_key_id = value;
	} else if (strcmp(name, "ca_file") == 0) {
		u->ca_file = value;
	} else {
		return slx_err(p->err, SILEX_INVALID, "%s=%s; expected options: %s", name, value, known);
	}
	return SILEX_OK;
}

static silex_status set_options(struct parse *p, const char *query)
{
	while (*query) {
		size_t n = strcspn(query, "&"), name_n = strcspn(query, "=&");
		char *name = decode(p, query, name_n);
		char *value = name_n < n ? decode(p, query + name_n + 1, n - name_n - 1) : NULL;
		if (!name || !value)
			return slx_err(p->err, SILEX_INVALID, "\"%.*s\"; expected OPTION=VALUE with a known option: %s", (int)n, query, known);
		for (const char *c = value; *c; c++)
			if (iscntrl((unsigned char)*c))
				return slx_err(p->err, SILEX_INVALID, "%s holds a control character", name);
		SLX_TRY(set_option(p, name, value));
		query += n + (query[n] == '&');
	}
	return SILEX_OK;
}

static silex_status set_bucket(struct parse *p, const char *s, size_t n)
{
	size_t bucket = 0;
	while (bucket < n && s[bucket] != '/')
		bucket++;
	bool ok = bucket >= 3 && bucket <= 63;
	for (size_t i = 0; ok && i < bucket; i++)
		ok = islower((unsigned char)s[i]) || isdigit((unsigned char)s[i]) || s[i] == '-' || s[i] == '.' || s[i] == '_';
	if (memchr(s, '@', n))
		return slx_err(p->err, SILEX_INVALID, "keys do not belong into a url, which is shown in messages: set access_key and secret_key, "
			"or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
	if (!ok)
		return slx_err(p->err, SILEX_INVALID, "bucket \"%.*s\"; expected s3://BUCKET/PREFIX with 3 to 63 of a-z 0-9 . - _", (int)bucket, s);
	while (n > bucket && s[n - 1] == '/')
		n--;
	size_t from = bucket;
	while (from < n && s[from] == '/')
		from++;
	char *name = slx_arena_alloc(p->arena, bucket + 1, 1), *prefix = slx_arena_alloc(p->arena, n - from + 2, 1);
	if (!name || !prefix)
		return slx_err_oom(p->err);
	snprintf(name, bucket + 1, "%s", s);
	snprintf(prefix, n - from + 2, "%.*s%s", (int)(n - from), s + from, n > from ? "/" : "");
	p->url->bucket = name;
	p->url->prefix = prefix;
	return strlen(prefix) <= 512 ? SILEX_OK : slx_err(p->err, SILEX_INVALID, "the prefix is longer than 512 bytes");
}

/* https://bucket.host, or the endpoint as it is. */
static silex_status set_host(struct parse *p)
{
	struct slx_s3_url *u = p->url;
	char own[128];
	bool given = u->endpoint != NULL;
	snprintf(own, sizeof own, "https://s3.%s.amazonaws.com", u->region);
	const char *endpoint = given ? u->endpoint : own, *host = strstr(endpoint, "://") + 3;
	u->path_style = p->path_style < 0 ? given : p->path_style;
	size_t size = strlen(endpoint) + strlen(u->bucket) + 2;
	char *to = slx_arena_alloc(p->arena, size, 1);
	if (!to)
		return slx_err_oom(p->err);
	snprintf(to, size, "%.*s%s%s%s", (int)(host - endpoint), endpoint, u->path_style ? "" : u->bucket, u->path_style ? "" : ".", host);
	u->endpoint = to;
	u->host = strstr(to, "://") + 3;
	return SILEX_OK;
}

silex_status slx_s3_url_parse(const char *text, struct slx_arena *a, struct slx_s3_url *ret, silex_error *err)
{
	struct slx_s3_url url = {
		.region = getenv("AWS_REGION"),
		.retry_ns = 10 * SLX_SECOND,
		.timeout_ns = 15 * SLX_SECOND,
		.part_size = (size_t)PART_MB_DEFAULT << 20,
	};
	struct parse p = { .arena = a, .url = &url, .path_style = -1, .err = err };
	if (strncmp(text, "s3://", 5) != 0)
		return slx_err(err, SILEX_INVALID, "\"%.80s\"; expected s3://BUCKET/PREFIX?OPTION=VALUE", text);
	if (!url.region || !is_plain(url.region))
		url.region = "us-east-1";
	size_t n = strcspn(text + 5, "?");
	SLX_TRY(set_bucket(&p, text + 5, n));
	SLX_TRY(set_options(&p, text[5 + n] == '?' ? text + 5 + n + 1 : ""));
	if (url.sse_kms_key_id && (!url.sse || strcmp(url.sse, "aws:kms") != 0))
		return slx_err(err, SILEX_INVALID, "sse_kms_key_id goes with sse=aws:kms");
	SLX_TRY(set_host(&p));
	*ret = url;
	return SILEX_OK;
}
