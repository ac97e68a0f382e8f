/* One request to S3: built, signed, sent, sent again while that may help, and its refusals put into words.
 *
 * Again: no connection, a cut or stalled one, 5xx but 501, 408, 429, and uploads that arrived damaged (the server's digest check,
 * or an ETag that is not our MD5). Pauses double from 100 ms, up to 5 s, each drawn at random from the upper half, until
 * url.retry has passed. All requests may be repeated: objects have unique names, parts numbers, removing twice is removing;
 * the one that completes an upload asks first whether it worked. Refusals (4xx) are told at once. */
#include "storage/s3/s3_int.h"

#include "model/time.h"

#include <ctype.h>
#include <nettle/base64.h>
#include <nettle/md5.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SIGNED_MAX = 9, ANSWER_MAX = 8 << 20 };

#define PAUSE_MIN (100 * SLX_MS)
#define PAUSE_MAX (5 * SLX_SECOND)
#define SKEW_MAX  (5 * SLX_MINUTE)

struct digests {
	char sha256[SLX_SHA256_HEX_SIZE];
	char md5_hex[33], md5_base64[25];
};

struct build { /* of one request */
	struct slx_arena arena;
	bool failed;
	const char *headers[SIGNED_MAX + 2];
	size_t n;
};

/* --- text --- */

void slx_s3_encode(struct slx_buf *to, const char *text, bool keep_slashes)
{
	static const char digits[] = "0123456789ABCDEF";
	for (const uint8_t *p = (const uint8_t *)text; *p; p++) {
		if (isalnum(*p) || strchr("-._~", *p) || (keep_slashes && *p == '/')) {
			slx_buf_u8(to, *p);
		} else {
			slx_buf_u8(to, '%');
			slx_buf_u8(to, (uint8_t)digits[*p >> 4]);
			slx_buf_u8(to, (uint8_t)digits[*p & 15]);
		}
	}
}

__attribute__((format(printf, 2, 3))) static void add_header(struct build *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *to = slx_arena_alloc(&b->arena, (size_t)n + 1, 1);
	b->failed |= !to;
	if (!to)
		return;
	va_start(ap, fmt);
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->headers[b->n++] = to;
}

static void digest(const struct slx_s3_call *c, struct digests *d)
{
	struct md5_ctx md5;
	uint8_t sum[MD5_DIGEST_SIZE];
	*d = (struct digests){ 0 };
	slx_s3_sha256(c->body ? c->body : "", c->body_size, d->sha256);
	if (!c->body)
		return;
	md5_init(&md5);
	md5_update(&md5, c->body_size, c->body);
	md5_digest(&md5, sizeof sum, sum);
	for (size_t i = 0; i < sizeof sum; i++)
		sprintf(d->md5_hex + 2 * i, "%02x", sum[i]);
	base64_encode_raw(d->md5_base64, sizeof sum, sum);
}

/* --- building --- */

/* In the order of their names, as the signature wants them. */
static void add_signed_headers(const struct slx_s3 *s, const struct slx_s3_call *c, const struct digests *d, const char *time, struct build *b)
{
	if (c->body)
		add_header(b, "content-md5:%s", d->md5_base64);
	add_header(b, "host:%s", s->url.host);
	if (c->range)
		add_header(b, "range:%s", c->range);
	add_header(b, "x-amz-content-sha256:%s", d->sha256);
	add_header(b, "x-amz-date:%s", time);
	if (s->session_token)
		add_header(b, "x-amz-security-token:%s", s->session_token);
	if (c->starts && s->url.sse)
		add_header(b, "x-amz-server-side-encryption:%s", s->url.sse);
	if (c->starts && s->url.sse_kms_key_id)
		add_header(b, "x-amz-server-side-encryption-aws-kms-key-id:%s", s->url.sse_kms_key_id);
}

static void put_path(const struct slx_s3 *s, const struct slx_s3_call *c, struct slx_buf *to)
{
	slx_buf_u8(to, '/');
	if (s->url.path_style) {
		slx_s3_encode(to, s->url.bucket, false);
		if (c->name)
			slx_buf_u8(to, '/');
	}
	if (c->name) {
		slx_s3_encode(to, s->url.prefix, true);
		slx_s3_encode(to, c->name, false);
	}
	slx_buf_u8(to, 0);
}

static void sign(struct slx_s3 *s, const struct slx_s3_call *c, const struct digests *d, const char *path, struct build *b)
{
	char time[SLX_S3_TIME_SIZE];
	struct slx_buf value;
	slx_s3_time(slx_wall_ns(&s->clock), time);
	add_signed_headers(s, c, d, time, b);
	if (b->failed)
		return;
	const struct slx_s3_to_sign to_sign = {
		.access_key = s->access_key,
		.secret_key = s->secret_key,
		.region = s->url.region,
		.time = time,
		.method = c->method,
		.path = path,
		.query = c->query ? c->query : "",
		.headers = b->headers,
		.headers_n = b->n,
		.payload_hash = d->sha256,
	};
	slx_buf_init(&value, &s->mem, SLX_MEM_OTHER, 4096);
	slx_s3_sign(&to_sign, &value);
	slx_buf_u8(&value, 0);
	b->failed |= value.failed;
	if (!b->failed)
		add_header(b, "authorization:%s", (const char *)value.p);
	add_header(b, "content-type:application/octet-stream");
	slx_buf_free(&value);
}

static silex_status fetch(struct slx_s3 *s, const struct slx_s3_call *c, const struct digests *d, struct slx_net_answer *ret, silex_error *err)
{
	struct build b = { 0 };
	struct slx_buf path, url;
	slx_arena_init(&b.arena, &s->mem, SLX_MEM_OTHER, 64 << 10);
	slx_buf_init(&path, &s->mem, SLX_MEM_OTHER, 16 << 10);
	slx_buf_init(&url, &s->mem, SLX_MEM_OTHER, 64 << 10);
	put_path(s, c, &path);
	if (!path.failed)
		sign(s, c, d, (const char *)path.p, &b);
	slx_buf_put(&url, s->url.endpoint, strlen(s->url.endpoint));
	slx_buf_put(&url, path.p, path.n ? path.n - 1 : 0);
	if (c->query) {
		slx_buf_u8(&url, '?');
		slx_buf_put(&url, c->query, strlen(c->query));
	}
	slx_buf_u8(&url, 0);
	const struct slx_net_request r = {
		.method = c->method,
		.url = (const char *)url.p,
		.headers = b.headers,
		.headers_n = b.n,
		.body = c->body,
		.body_size = c->body_size,
		.stall_timeout_ns = s->url.timeout_ns,
		.answer_max = ANSWER_MAX,
		.into = c->into,
		.into_size = c->into_size,
		.cancel = &s->stop,
	};
	silex_status st = b.failed || path.failed || url.failed ? slx_err_oom(err) : slx_net_fetch(s->net, &r, ret, err);
	slx_buf_free(&path);
	slx_buf_free(&url);
	slx_arena_clear(&b.arena);
	return st;
}

/* --- refusals --- */

static bool on_failure_leaf(void *arg, const char *name, const char *text)
{
	struct slx_s3_failure *f = arg;
	if (strcmp(name, "Code") == 0)
		snprintf(f->code, sizeof f->code, "%s", text);
	else if (strcmp(name, "Message") == 0)
		snprintf(f->message, sizeof f->message, "%s", text);
	return true;
}

/* How far our clock is ahead of the server's; 0 when the answer does not say. */
static int64_t clock_ahead(struct slx_s3 *s, const struct slx_net_answer *a)
{
	const char *date = slx_net_answer_header(a, "date");
	struct tm t = { 0 };
	if (!date || !strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &t))
		return 0;
	return slx_time_sub(slx_wall_ns(&s->clock), (int64_t)timegm(&t) * SLX_SECOND);
}

static silex_status forbidden(struct slx_s3 *s, const struct slx_s3_call *c, const struct slx_net_answer *a, const struct slx_s3_failure *f,
	silex_error *err)
{
	char skew[SLX_DURATION_TEXT_SIZE];
	int64_t ahead = clock_ahead(s, a), by = ahead < 0 ? -ahead : ahead;
	if (strcmp(f->code, "RequestTimeTooSkewed") == 0 || by > SKEW_MAX) {
		slx_duration_format(by - by % SLX_SECOND, skew);
		return slx_err(err, SILEX_PERMISSION_DENIED, "%s refuses because this host's clock is %s %s: set it right (NTP)", s->url.host, skew,
			ahead < 0 ? "behind" : "ahead");
	}
	if (strcmp(f->code, "SignatureDoesNotMatch") == 0)
		return slx_err(err, SILEX_PERMISSION_DENIED, "%s refuses the signature: the secret key is wrong; check secret_key, or "
			"AWS_SECRET_ACCESS_KEY", s->url.host);
	if (strcmp(f->code, "InvalidAccessKeyId") == 0)
		return slx_err(err, SILEX_PERMISSION_DENIED, "%s does not know the access key: check access_key, or AWS_ACCESS_KEY_ID", s->url.host);
	if (strcmp(f->code, "ExpiredToken") == 0 || strcmp(f->code, "InvalidToken") == 0)
		return slx_err(err, SILEX_PERMISSION_DENIED, "%s: the session token is no longer good: check session_token, or AWS_SESSION_TOKEN",
			s->url.host);
	if (strcmp(f->code, "QuotaExceeded") == 0)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "%s: the store is full: %s", s->url.host, f->message);
	return slx_err(err, SILEX_PERMISSION_DENIED, "%s refuses %s in bucket %s (%d %s%s%s): the key needs the right to read, write, list and "
		"delete there", s->url.host, c->method, s->url.bucket, a->status, f->code[0] ? f->code : "without a reason", f->message[0] ? ": " : "",
		f->message);
}

static silex_status absent(struct slx_s3 *s, const struct slx_s3_call *c, const struct slx_s3_failure *f, silex_error *err)
{
	if (strcmp(f->code, "NoSuchKey") == 0 || strcmp(f->code, "NoSuchUpload") == 0)
		return slx_err(err, SILEX_NOT_FOUND, "%s: no such object", c->name ? c->name : s->url.bucket);
	if (strcmp(f->code, "NoSuchBucket") == 0)
		return slx_err(err, SILEX_UNAVAILABLE, "%s has no bucket %s: create it, or correct the url", s->url.host, s->url.bucket);
	return slx_err(err, SILEX_UNAVAILABLE, "%s answers 404 without S3's reason: is it an S3 server? check endpoint", s->url.host);
}

static bool is_one_of(const char *word, const char *const *list)
{
	while (*list && strcmp(word, *list) != 0)
		list++;
	return *list;
}

static bool may_pass(int status, const struct slx_s3_failure *f)
{
	static const char *const passing[] = { "RequestTimeout", "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "OperationAborted",
		"InternalError", "SlowDown", "ServiceUnavailable", NULL };
	return (status >= 500 && status != 501 && status != 507) || status == 408 || status == 429 || is_one_of(f->code, passing);
}

/* Words for an answer that is not good; *ret_again when it may be another time. */
static silex_status refused(
	struct slx_s3 *s, const struct slx_s3_call *c, const struct slx_net_answer *a, bool *ret_again, silex_error *err)
{
	struct slx_s3_failure f = { 0 };
	slx_s3_xml(a->body.p, a->body.n, on_failure_leaf, &f, NULL);
	*ret_again = may_pass(a->status, &f);
	if (*ret_again)
		return slx_err(err, SILEX_UNAVAILABLE, "%s %s: %s answers %d %s%s%s", c->method, c->name ? c->name : s->url.bucket, s->url.host, a->status,
			f.code, f.message[0] ? ": " : "", f.message);
	switch (a->status) {
	case 401:
	case 403:
		return forbidden(s, c, a, &f, err);
	case 404:
		return absent(s, c, &f, err);
	case 416:
		return slx_err(err, SILEX_CORRUPT, "%s: short read: the object ends before the range %s", c->name, c->range ? c->range : "");
	case 409:
		return slx_err(err, SILEX_CONFLICT, "%s: %s: %s", s->url.host, f.code, f.message);
	case 413:
	case 507:
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "%s: %d %s: %s", s->url.host, a->status, f.code, f.message);
	case 501:
		return slx_err(err, SILEX_UNSUPPORTED, "%s cannot %s: %s", s->url.host, c->method, f.message);
	case 301:
	case 307:
		return slx_err(err, SILEX_INVALID, "bucket %s is elsewhere (%d): check region and endpoint", s->url.bucket, a->status);
	default:
		return slx_err(err, SILEX_INVALID, "%s: %d %s: %s%s", s->url.host, a->status, f.code[0] ? f.code : "without a reason", f.message,
			strcmp(f.code, "AuthorizationHeaderMalformed") == 0 ? " (set region)" : "");
	}
}

/* An ETag that is an MD5 is that of the bytes which arrived. With encryption, and in some servers, it is something else. */
static bool arrived_damaged(struct slx_s3 *s, const struct slx_s3_call *c, const struct digests *d, const struct slx_net_answer *a)
{
	const char *etag = c->stores && !s->url.sse ? slx_net_answer_header(a, "etag") : NULL;
	if (etag && *etag == '"')
		etag++;
	return etag && strspn(etag, "0123456789abcdef") == 32 && (!etag[32] || etag[32] == '"') && strncmp(etag, d->md5_hex, 32) != 0;
}

static silex_status send_once(struct slx_s3 *s, const struct slx_s3_call *c, const struct digests *d, struct slx_net_answer *ret, bool *ret_again,
	silex_error *err)
{
	silex_status st = fetch(s, c, d, ret, err);
	*ret_again = st == SILEX_UNAVAILABLE || st == SILEX_DEADLINE_EXCEEDED;
	if (st != SILEX_OK)
		return st;
	if (ret->status < 200 || ret->status > 299) {
		st = refused(s, c, ret, ret_again, err);
	} else if (arrived_damaged(s, c, d, ret)) {
		*ret_again = true;
		st = slx_err(err, SILEX_CORRUPT, "%s: %s received other bytes than were sent", c->name, s->url.host);
	}
	if (st != SILEX_OK)
		slx_net_answer_free(ret);
	return st;
}

/* --- again --- */

static int64_t pause_of(struct slx_s3 *s, unsigned tries)
{
	uint32_t r;
	int64_t most = tries < 7 ? PAUSE_MIN << (tries - 1) : PAUSE_MAX;
	s->random.fill(s->random.ctx, &r, sizeof r);
	most = most < PAUSE_MAX ? most : PAUSE_MAX;
	return most / 2 + (int64_t)(r % 1024) * (most / 2) / 1024;
}

static void wait_for(struct slx_s3 *s, int64_t ns)
{
	const struct timespec step = { 0, 20 * SLX_MS };
	for (; ns > 0 && !s->stop; ns -= step.tv_nsec)
		nanosleep(&step, NULL);
}

silex_status slx_s3_send(struct slx_s3 *s, const struct slx_s3_call *c, struct slx_net_answer *ret, silex_error *err)
{
	struct digests d;
	digest(c, &d);
	for (int64_t end = slx_monotonic_ns(&s->clock) + s->url.retry_ns, tries = 1;; tries++) {
		silex_error own = { 0 };
		bool again = false;
		silex_status st = s->stop ? SILEX_CANCELED : send_once(s, c, &d, ret, &again, &own);
		if (s->stop && st != SILEX_OK)
			return slx_err(err, SILEX_CANCELED, "the store is being closed");
		int64_t pause = pause_of(s, (unsigned)tries);
		if (st == SILEX_OK || !again) {
			s->away = false;
			return st == SILEX_OK ? st : slx_err(err, st, "%s", own.message);
		}
		if (c->once || s->away || slx_monotonic_ns(&s->clock) + pause > end) {
			s->away = !c->once || s->away;
			return slx_err(err, st, "%s (%lld %s)", own.message, (long long)tries, tries > 1 ? "tries" : "try");
		}
		wait_for(s, pause);
		if (c->is_done && !s->stop && c->is_done(s, c->is_done_arg)) {
			*ret = (struct slx_net_answer){ .status = 200 };
			slx_buf_init(&ret->headers, &s->mem, SLX_MEM_OTHER, 0);
			slx_buf_init(&ret->body, &s->mem, SLX_MEM_OTHER, 0);
			return SILEX_OK;
		}
	}
}

silex_status slx_s3_do(struct slx_s3 *s, const struct slx_s3_call *c, silex_error *err)
{
	struct slx_net_answer a;
	SLX_TRY(slx_s3_send(s, c, &a, err));
	slx_net_answer_free(&a);
	return SILEX_OK;
}
