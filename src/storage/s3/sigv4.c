/* The steps and their names are those of AWS' documentation, "Signature Calculations for the Authorization Header". */
#include "storage/s3/sigv4.h"

#include <nettle/hmac.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void to_hex(const uint8_t digest[SHA256_DIGEST_SIZE], char ret[SLX_SHA256_HEX_SIZE])
{
	for (size_t i = 0; i < SHA256_DIGEST_SIZE; i++)
		sprintf(ret + 2 * i, "%02x", digest[i]);
}

void slx_s3_sha256(const void *p, size_t n, char ret_hex[SLX_SHA256_HEX_SIZE])
{
	struct sha256_ctx c;
	uint8_t digest[SHA256_DIGEST_SIZE];
	sha256_init(&c);
	sha256_update(&c, n, p);
	sha256_digest(&c, sizeof digest, digest);
	to_hex(digest, ret_hex);
}

void slx_s3_time(int64_t ns, char ret[SLX_S3_TIME_SIZE])
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm t;
	gmtime_r(&seconds, &t);
	strftime(ret, SLX_S3_TIME_SIZE, "%Y%m%dT%H%M%SZ", &t);
}

static void hmac(const void *key, size_t key_n, const void *text, size_t n, uint8_t ret[SHA256_DIGEST_SIZE])
{
	struct hmac_sha256_ctx c;
	hmac_sha256_set_key(&c, key_n, key);
	hmac_sha256_update(&c, n, text);
	hmac_sha256_digest(&c, SHA256_DIGEST_SIZE, ret);
	explicit_bzero(&c, sizeof c);
}

static void update(struct sha256_ctx *c, const char *text) { sha256_update(c, strlen(text), (const uint8_t *)text); }

static void put(struct slx_buf *b, const char *text) { slx_buf_put(b, text, strlen(text)); }

static void put_signed_names(const struct slx_s3_to_sign *s, struct slx_buf *out)
{
	for (size_t i = 0; i < s->headers_n; i++) {
		if (i)
			slx_buf_u8(out, ';');
		slx_buf_put(out, s->headers[i], strcspn(s->headers[i], ":"));
	}
}

/* names: "host;range". */
static void hash_canonical_request(const struct slx_s3_to_sign *s, const char *names, size_t names_n, char ret[SLX_SHA256_HEX_SIZE])
{
	const char *const head[] = { s->method, s->path, s->query };
	struct sha256_ctx c;
	uint8_t digest[SHA256_DIGEST_SIZE];
	sha256_init(&c);
	for (size_t i = 0; i < sizeof head / sizeof *head; i++) {
		update(&c, head[i]);
		update(&c, "\n");
	}
	for (size_t i = 0; i < s->headers_n; i++) {
		update(&c, s->headers[i]);
		update(&c, "\n");
	}
	update(&c, "\n");
	sha256_update(&c, names_n, (const uint8_t *)names);
	update(&c, "\n");
	update(&c, s->payload_hash);
	sha256_digest(&c, sizeof digest, digest);
	to_hex(digest, ret);
}

static void signing_key(const struct slx_s3_to_sign *s, uint8_t key[SHA256_DIGEST_SIZE])
{
	uint8_t first[4 + SLX_S3_SECRET_SIZE_MAX];
	size_t n = strnlen(s->secret_key, sizeof first - 4);
	memcpy(first, "AWS4", 4);
	memcpy(first + 4, s->secret_key, n);
	hmac(first, 4 + n, s->time, 8, key);
	explicit_bzero(first, sizeof first);
	hmac(key, SHA256_DIGEST_SIZE, s->region, strlen(s->region), key);
	hmac(key, SHA256_DIGEST_SIZE, "s3", 2, key);
	hmac(key, SHA256_DIGEST_SIZE, "aws4_request", 12, key);
}

void slx_s3_sign(const struct slx_s3_to_sign *s, struct slx_buf *out)
{
	char scope[160], hash[SLX_SHA256_HEX_SIZE], to_sign[320], signature[SLX_SHA256_HEX_SIZE];
	uint8_t key[SHA256_DIGEST_SIZE], mac[SHA256_DIGEST_SIZE];
	snprintf(scope, sizeof scope, "%.8s/%.128s/s3/aws4_request", s->time, s->region);
	put(out, "AWS4-HMAC-SHA256 Credential=");
	put(out, s->access_key);
	put(out, "/");
	put(out, scope);
	put(out, ",SignedHeaders=");
	size_t names = out->n;
	put_signed_names(s, out);
	if (out->failed)
		return;
	hash_canonical_request(s, (const char *)out->p + names, out->n - names, hash);
	int n = snprintf(to_sign, sizeof to_sign, "AWS4-HMAC-SHA256\n%s\n%s\n%s", s->time, scope, hash);
	signing_key(s, key);
	hmac(key, sizeof key, to_sign, (size_t)n, mac);
	explicit_bzero(key, sizeof key);
	to_hex(mac, signature);
	put(out, ",Signature=");
	put(out, signature);
}
