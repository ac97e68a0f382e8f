/* S3 as a store: include/silex/store.h's functions, but for uploads. */
#include "storage/s3/s3_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct slx_s3 *self(silex_store *s) { return (struct slx_s3 *)s; }

/* --- reading --- */

/* A refused HEAD does not say why, and "no such object" must not be mistaken for "no such bucket": then a GET asks again. */
silex_status slx_s3_size(struct slx_s3 *s, const char *name, uint64_t *ret, silex_error *err)
{
	char bytes[2];
	struct slx_net_answer a;
	const struct slx_s3_call get = { .method = "GET", .name = name, .range = "bytes=0-1", .into = bytes, .into_size = sizeof bytes };
	if (slx_s3_send(s, &(struct slx_s3_call){ .method = "HEAD", .name = name }, &a, NULL) != SILEX_OK) {
		SLX_TRY(slx_s3_do(s, &get, err));
		return slx_err(err, SILEX_UNAVAILABLE, "%s: %s answers GET, but not HEAD", name, s->url.host);
	}
	const char *text = slx_net_answer_header(&a, "content-length");
	bool known = text && sscanf(text, "%" SCNu64, ret) == 1;
	slx_net_answer_free(&a);
	return known ? SILEX_OK : slx_err(err, SILEX_UNSUPPORTED, "%s: %s does not say how large it is", name, s->url.host);
}

static silex_status s3_size(silex_store *base, const char *name, uint64_t *ret, silex_error *err)
{
	return slx_s3_size(self(base), name, ret, err);
}

static silex_status s3_get_range(silex_store *base, const char *name, uint64_t offset, void *buf, size_t n, silex_error *err)
{
	struct slx_s3 *s = self(base);
	char range[64];
	uint64_t size, last;
	struct slx_net_answer a;
	if (n == 0) /* whether it is there, and reaches so far */
		SLX_TRY(slx_s3_size(s, name, &size, err));
	if (__builtin_add_overflow(offset, n - (n > 0), &last) || (n == 0 && offset > size))
		return slx_err(err, SILEX_CORRUPT, "%s: short read: %zu bytes at offset %" PRIu64, name, n, offset);
	if (n == 0)
		return SILEX_OK;
	snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, offset, last);
	const struct slx_s3_call c = { .method = "GET", .name = name, .range = range, .into = buf, .into_size = n };
	SLX_TRY(slx_s3_send(s, &c, &a, err));
	int status = a.status;
	size_t got = a.into_n;
	slx_net_answer_free(&a);
	if (status != 206 && !(status == 200 && offset == 0))
		return slx_err(err, SILEX_UNSUPPORTED, "%s: %s answers a range request with %d", name, s->url.host, status);
	return got == n ? SILEX_OK : slx_err(err, SILEX_CORRUPT, "%s: short read: %zu bytes of %zu at offset %" PRIu64, name, got, n, offset);
}

/* --- listing --- */

struct listing {
	struct slx_s3 *s;
	silex_store_name_fn each;
	void *arg;
	bool encoded, truncated, stopped;
	struct slx_buf next; /* token of the next page, encoded */
};

/* %xx and + undone in place. */
static void decode(char *text)
{
	char *to = text;
	for (const char *p = text; *p; p++) {
		unsigned byte;
		if (*p == '%' && sscanf(p + 1, "%2x", &byte) == 1 && p[1] && p[2]) {
			*to++ = (char)byte;
			p += 2;
		} else {
			*to++ = *p == '+' ? ' ' : *p;
		}
	}
	*to = 0;
}

static void show_key(struct listing *l, const char *key)
{
	char name[2048];
	size_t prefix = strlen(l->s->url.prefix);
	snprintf(name, sizeof name, "%s", key);
	if (strchr(name, '%')) /* asked for with encoding-type=url; our own names have no '%' */
		decode(name);
	if (strncmp(name, l->s->url.prefix, prefix) == 0 && !strchr(name + prefix, '/'))
		l->stopped = !l->each(l->arg, name + prefix);
}

static bool on_list_leaf(void *arg, const char *name, const char *text)
{
	struct listing *l = arg;
	if (strcmp(name, "Key") == 0) {
		show_key(l, text);
	} else if (strcmp(name, "IsTruncated") == 0) {
		l->truncated = strcmp(text, "true") == 0;
	} else if (strcmp(name, "NextContinuationToken") == 0) {
		slx_buf_reset(&l->next);
		slx_s3_encode(&l->next, text, false);
	}
	return !l->stopped;
}

static void put(struct slx_buf *b, const char *text) { slx_buf_put(b, text, strlen(text)); }

static void put_list_query(struct listing *l, const char *prefix, struct slx_buf *b)
{
	slx_buf_reset(b);
	if (l->next.n) {
		put(b, "continuation-token=");
		slx_buf_put(b, l->next.p, l->next.n);
		put(b, "&");
	}
	put(b, "encoding-type=url&list-type=2&prefix=");
	slx_s3_encode(b, l->s->url.prefix, false);
	slx_s3_encode(b, prefix, false);
	slx_buf_u8(b, 0);
}

static silex_status list_page(struct listing *l, const char *prefix, struct slx_buf *query, silex_error *err)
{
	struct slx_net_answer a;
	silex_error own;
	put_list_query(l, prefix, query);
	if (query->failed || l->next.failed)
		return slx_err_oom(err);
	l->truncated = false;
	slx_buf_reset(&l->next);
	SLX_TRY(slx_s3_send(l->s, &(struct slx_s3_call){ .method = "GET", .query = (const char *)query->p }, &a, err));
	silex_status st = slx_s3_xml(a.body.p, a.body.n, on_list_leaf, l, &own);
	slx_net_answer_free(&a);
	if (st != SILEX_OK)
		return slx_err(err, SILEX_UNAVAILABLE, "%s: the list of bucket %s is not what S3 answers: %s", l->s->url.host, l->s->url.bucket, own.message);
	if (l->truncated && !l->stopped && l->next.n == 0)
		return slx_err(err, SILEX_UNSUPPORTED, "%s: a list is cut without a token to go on", l->s->url.host);
	return SILEX_OK;
}

static silex_status s3_list(silex_store *base, const char *prefix, silex_store_name_fn each, void *arg, silex_error *err)
{
	struct listing l = { .s = self(base), .each = each, .arg = arg };
	struct slx_buf query;
	silex_status st;
	slx_buf_init(&l.next, &l.s->mem, SLX_MEM_OTHER, 16 << 10);
	slx_buf_init(&query, &l.s->mem, SLX_MEM_OTHER, 32 << 10);
	do
		st = list_page(&l, prefix, &query, err);
	while (st == SILEX_OK && l.truncated && !l.stopped);
	slx_buf_free(&l.next);
	slx_buf_free(&query);
	return st;
}

/* --- the rest --- */

static silex_status s3_remove(silex_store *base, const char *name, silex_error *err)
{
	uint64_t size;
	SLX_TRY(slx_s3_size(self(base), name, &size, err)); /* S3 removes what is not there without a word */
	return slx_s3_do(self(base), &(struct slx_s3_call){ .method = "DELETE", .name = name }, err);
}

static void s3_stop(silex_store *base) { self(base)->stop = true; }

static void s3_close(silex_store *base)
{
	struct slx_s3 *s = self(base);
	struct slx_mem mem = s->mem;
	if (s->secret_key)
		explicit_bzero((char *)(uintptr_t)s->secret_key, strlen(s->secret_key));
	slx_net_client_free(s->net);
	slx_arena_clear(&s->arena);
	mem.allocator.free(mem.allocator.ctx, s, sizeof *s);
}

static const silex_store_ops ops = {
	.struct_size = sizeof(silex_store_ops),
	.begin = slx_s3_begin,
	.append = slx_s3_append,
	.commit = slx_s3_commit,
	.abort = slx_s3_abort,
	.get_range = s3_get_range,
	.size = s3_size,
	.list = s3_list,
	.remove = s3_remove,
	.stop = s3_stop,
	.close = s3_close,
};

/* --- opening --- */

static silex_status keep_key(struct slx_s3 *s, const char *given, const char *variable, const char *what, const char **ret, silex_error *err)
{
	const char *text = given ? given : getenv(variable);
	size_t n = text ? strlen(text) : 0;
	if (n == 0 && what)
		return slx_err(err, SILEX_PERMISSION_DENIED, "no %s: set %s, or %s in the environment", what, what, variable);
	if (n == 0)
		return SILEX_OK;
	if (n > (what ? SLX_S3_SECRET_SIZE_MAX : 16384) || strpbrk(text, "\r\n"))
		return slx_err(err, SILEX_INVALID, "%s: too long, or with a line break", variable);
	char *kept = slx_arena_alloc(&s->arena, n + 1, 1);
	if (!kept)
		return slx_err_oom(err);
	*ret = memcpy(kept, text, n + 1);
	return SILEX_OK;
}

static silex_status prepare(struct slx_s3 *s, const silex_store_config *c, silex_error *err)
{
	SLX_TRY(slx_s3_url_parse(c->url, &s->arena, &s->url, err));
	SLX_TRY(keep_key(s, c->access_key, "AWS_ACCESS_KEY_ID", "access_key", &s->access_key, err));
	SLX_TRY(keep_key(s, c->secret_key, "AWS_SECRET_ACCESS_KEY", "secret_key", &s->secret_key, err));
	/* a token of the environment belongs to the keys of the environment */
	if (c->session_token || !c->access_key)
		SLX_TRY(keep_key(s, c->session_token, "AWS_SESSION_TOKEN", NULL, &s->session_token, err));
	const struct slx_net_options net = { .ca_file = s->url.ca_file, .insecure = s->url.insecure, .connect_timeout_ns = s->url.timeout_ns };
	return slx_net_client_new(&s->mem, &net, &s->net, err);
}

static silex_status s3_open(void *ctx, const silex_store_config *c, const silex_env *env, silex_store **ret, silex_error *err)
{
	struct slx_mem mem;
	slx_mem_init(&mem, &env->allocator);
	struct slx_s3 *s = mem.allocator.alloc(mem.allocator.ctx, sizeof *s);
	if (!s)
		return slx_err_oom(err);
	*s = (struct slx_s3){ .base = { &ops } };
	slx_mem_init(&s->mem, &env->allocator);
	slx_clock_init(&s->clock, &env->clock);
	slx_random_init(&s->random, &env->random);
	slx_arena_init(&s->arena, &s->mem, SLX_MEM_OTHER, 64 << 10);
	silex_status st = prepare(s, c, err);
	if (st != SILEX_OK) {
		s3_close(&s->base);
		return st;
	}
	*ret = &s->base;
	return SILEX_OK;
}

SILEX_API const silex_store_type silex_s3_store = {
	.struct_size = sizeof(silex_store_type),
	.scheme = "s3",
	.open = s3_open,
};
