/* Sending an object. What fits one part is one PUT; a larger one is a multipart upload: part by part as the bytes come, made
 * one object by a last request. Until then nothing is visible. An upload that fails is aborted; what a crash leaves is found at
 * the first upload of a later process and aborted when it is a day old.
 *
 *     begin: is there one of that name?   append: buffer; when full: [start the upload,] send a part
 *     commit: PUT, or last part + complete + compare sizes
 *
 * A lost answer to "complete" is told from a failure by the object's size. */
#include "model/time.h"
#include "storage/s3/s3_int.h"

#include <stdio.h>
#include <string.h>

enum { PARTS_MAX = 10000, ETAG_SIZE = 80, UPLOAD_ID_SIZE = 1024, LEFTOVERS_MAX = 100 };

#define LEFTOVER_AGE SLX_DAY

struct upload {
	struct slx_buf buf;   /* of the part under way */
	struct slx_buf etags; /* ETAG_SIZE each */
	struct slx_buf id;    /* of the multipart upload, encoded; n 0: none begun */
	uint64_t sent;        /* bytes in parts */
	unsigned parts;
	char name[129];
};

static struct slx_s3 *self(silex_store *s) { return (struct slx_s3 *)s; }

static void put(struct slx_buf *b, const char *text) { slx_buf_put(b, text, strlen(text)); }

static void upload_free(struct slx_s3 *s, struct upload *u)
{
	slx_buf_free(&u->buf);
	slx_buf_free(&u->etags);
	slx_buf_free(&u->id);
	slx_free(&s->mem, SLX_MEM_OTHER, u, sizeof *u);
}

/* --- leftovers --- */

struct leftovers {
	struct slx_s3 *s;
	int64_t before;
	bool old;                   /* of the upload being read */
	char key[1024], id[UPLOAD_ID_SIZE];
	struct slx_buf found;       /* name '\0' encoded id '\0' */
	size_t n;
};

static void encode_text(struct slx_buf *b, const char *text)
{
	slx_s3_encode(b, text, false);
	slx_buf_u8(b, 0);
}

/* Key, UploadId and Initiated, in this order, are what is needed of each <Upload>. */
static bool on_upload_leaf(void *arg, const char *name, const char *text)
{
	struct leftovers *l = arg;
	size_t prefix = strlen(l->s->url.prefix);
	int64_t t;
	if (strcmp(name, "Key") == 0)
		snprintf(l->key, sizeof l->key, "%s", text);
	else if (strcmp(name, "UploadId") == 0)
		snprintf(l->id, sizeof l->id, "%s", text);
	else if (strcmp(name, "Initiated") == 0 && slx_time_parse(text, strlen(text), SLX_UNIT_S, 0, &t, NULL) == SILEX_OK && t < l->before &&
		strncmp(l->key, l->s->url.prefix, prefix) == 0 && l->key[prefix] && !strchr(l->key + prefix, '/') && l->n < LEFTOVERS_MAX) {
		slx_buf_put(&l->found, l->key + prefix, strlen(l->key + prefix) + 1);
		encode_text(&l->found, l->id);
		l->n++;
	}
	return !l->found.failed;
}

static void abort_upload(struct slx_s3 *s, const char *name, const char *encoded_id)
{
	char query[UPLOAD_ID_SIZE * 3 + 16];
	snprintf(query, sizeof query, "uploadId=%s", encoded_id);
	slx_s3_do(s, &(struct slx_s3_call){ .method = "DELETE", .name = name, .query = query, .once = true }, NULL);
}

/* Nothing depends on its success: what is left costs money, not data. */
static void remove_leftovers(struct slx_s3 *s)
{
	struct leftovers *l = slx_calloc(&s->mem, SLX_MEM_OTHER, sizeof *l);
	struct slx_net_answer a;
	struct slx_buf query;
	if (!l)
		return;
	l->s = s;
	l->before = slx_wall_ns(&s->clock) - LEFTOVER_AGE;
	slx_buf_init(&l->found, &s->mem, SLX_MEM_OTHER, 1 << 20);
	slx_buf_init(&query, &s->mem, SLX_MEM_OTHER, 8192);
	put(&query, "prefix=");
	slx_s3_encode(&query, s->url.prefix, false);
	put(&query, "&uploads=");
	slx_buf_u8(&query, 0);
	const struct slx_s3_call c = { .method = "GET", .query = (const char *)query.p, .once = true };
	if (!query.failed && slx_s3_send(s, &c, &a, NULL) == SILEX_OK) {
		slx_s3_xml(a.body.p, a.body.n, on_upload_leaf, l, NULL);
		const char *p = (const char *)l->found.p;
		for (size_t i = 0; i < l->n && !l->found.failed; i++) {
			const char *id = p + strlen(p) + 1;
			abort_upload(s, p, id);
			p = id + strlen(id) + 1;
		}
		slx_net_answer_free(&a);
	}
	slx_buf_free(&query);
	slx_buf_free(&l->found);
	slx_free(&s->mem, SLX_MEM_OTHER, l, sizeof *l);
}

/* --- parts --- */

static bool on_id_leaf(void *arg, const char *name, const char *text)
{
	if (strcmp(name, "UploadId") == 0)
		encode_text(arg, text);
	return true;
}

static silex_status start_multipart(struct slx_s3 *s, struct upload *u, silex_error *err)
{
	struct slx_net_answer a;
	const struct slx_s3_call c = { .method = "POST", .name = u->name, .query = "uploads=", .starts = true };
	SLX_TRY(slx_s3_send(s, &c, &a, err));
	slx_buf_reset(&u->id);
	slx_s3_xml(a.body.p, a.body.n, on_id_leaf, &u->id, NULL);
	slx_net_answer_free(&a);
	if (u->id.n < 2 || u->id.failed)
		return slx_err(err, SILEX_UNAVAILABLE, "%s: %s begins an upload without giving it an id", u->name, s->url.host);
	return SILEX_OK;
}

static silex_status keep_etag(struct slx_s3 *s, struct upload *u, const struct slx_net_answer *a, silex_error *err)
{
	const char *etag = slx_net_answer_header(a, "etag");
	char kept[ETAG_SIZE] = "";
	if (!etag || strlen(etag) >= sizeof kept || strpbrk(etag, "<>&"))
		return slx_err(err, SILEX_UNAVAILABLE, "%s: %s took a part without giving it an ETag", u->name, s->url.host);
	snprintf(kept, sizeof kept, "%s", etag);
	slx_buf_put(&u->etags, kept, sizeof kept);
	return u->etags.failed ? slx_err_oom(err) : SILEX_OK;
}

static silex_status send_part(struct slx_s3 *s, struct upload *u, silex_error *err)
{
	char query[UPLOAD_ID_SIZE * 3 + 64];
	struct slx_net_answer a;
	if (u->parts == PARTS_MAX)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "%s: more than %d parts of %zu MiB: raise part_mb", u->name, PARTS_MAX, s->url.part_size >> 20);
	if (u->id.n == 0)
		SLX_TRY(start_multipart(s, u, err));
	snprintf(query, sizeof query, "partNumber=%u&uploadId=%s", u->parts + 1, (const char *)u->id.p);
	const struct slx_s3_call c = { .method = "PUT", .name = u->name, .query = query, .body = u->buf.p, .body_size = u->buf.n, .stores = true };
	SLX_TRY(slx_s3_send(s, &c, &a, err));
	silex_status st = keep_etag(s, u, &a, err);
	slx_net_answer_free(&a);
	u->parts++;
	u->sent += u->buf.n;
	slx_buf_reset(&u->buf);
	return st;
}

/* --- completion --- */

static bool on_root_leaf(void *arg, const char *name, const char *text)
{
	struct slx_s3_failure *f = arg;
	if (strcmp(name, "Code") == 0)
		snprintf(f->code, sizeof f->code, "%s", text);
	return true;
}

static silex_status check_size(struct slx_s3 *s, const struct upload *u, silex_error *err)
{
	uint64_t size;
	SLX_TRY(slx_s3_size(s, u->name, &size, err));
	if (size != u->sent)
		return slx_err(err, SILEX_CORRUPT, "%s: %s kept %llu bytes of %llu", u->name, s->url.host, (unsigned long long)size,
			(unsigned long long)u->sent);
	return SILEX_OK;
}

static bool is_whole(struct slx_s3 *s, void *arg) { return check_size(s, arg, NULL) == SILEX_OK; }

static void put_completion(const struct upload *u, struct slx_buf *b)
{
	char text[ETAG_SIZE + 80];
	put(b, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (unsigned i = 0; i < u->parts; i++) {
		snprintf(text, sizeof text, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>", i + 1, (const char *)u->etags.p + i * ETAG_SIZE);
		put(b, text);
	}
	put(b, "</CompleteMultipartUpload>");
}

/* The answer may be 200 and an error all the same: its header is sent before the work is done. */
static silex_status complete(struct slx_s3 *s, struct upload *u, silex_error *err)
{
	char query[UPLOAD_ID_SIZE * 3 + 16];
	struct slx_buf body;
	struct slx_net_answer a;
	struct slx_s3_failure f = { 0 };
	slx_buf_init(&body, &s->mem, SLX_MEM_OTHER, 4 << 20);
	put_completion(u, &body);
	snprintf(query, sizeof query, "uploadId=%s", (const char *)u->id.p);
	const struct slx_s3_call c = { .method = "POST", .name = u->name, .query = query, .body = body.p, .body_size = body.n,
		.is_done = is_whole, .is_done_arg = u };
	silex_status st = body.failed ? slx_err_oom(err) : slx_s3_send(s, &c, &a, err);
	slx_buf_free(&body);
	if (st == SILEX_OK) {
		slx_s3_xml(a.body.p, a.body.n, on_root_leaf, &f, NULL);
		slx_net_answer_free(&a);
		if (f.code[0])
			st = slx_err(err, SILEX_UNAVAILABLE, "%s: %s could not put the parts together: %s", u->name, s->url.host, f.code);
	}
	if (st == SILEX_OK || st == SILEX_NOT_FOUND) /* not found: an earlier try may have done it */
		st = check_size(s, u, err);
	return st == SILEX_NOT_FOUND ? slx_err(err, SILEX_UNAVAILABLE, "%s: %s lost the upload", u->name, s->url.host) : st;
}

static silex_status put_whole(struct slx_s3 *s, struct upload *u, silex_error *err)
{
	const struct slx_s3_call c = { .method = "PUT", .name = u->name, .body = u->buf.n ? (const void *)u->buf.p : "", .body_size = u->buf.n,
		.stores = true, .starts = true };
	return slx_s3_do(s, &c, err);
}

/* --- the table's functions --- */

silex_status slx_s3_begin(silex_store *base, const char *name, void **ret_writer, silex_error *err)
{
	struct slx_s3 *s = self(base);
	uint64_t size;
	silex_error own;
	silex_status st = slx_s3_size(s, name, &size, &own);
	if (st == SILEX_OK)
		return slx_err(err, SILEX_CONFLICT, "%s exists", name);
	if (st != SILEX_NOT_FOUND)
		return slx_err(err, st, "%s", own.message);
	if (!atomic_exchange(&s->cleaned, true))
		remove_leftovers(s);
	struct upload *u = slx_calloc(&s->mem, SLX_MEM_OTHER, sizeof *u);
	if (!u)
		return slx_err_oom(err);
	snprintf(u->name, sizeof u->name, "%s", name);
	slx_buf_init(&u->buf, &s->mem, SLX_MEM_OTHER, s->url.part_size);
	slx_buf_init(&u->etags, &s->mem, SLX_MEM_OTHER, (size_t)PARTS_MAX * ETAG_SIZE);
	slx_buf_init(&u->id, &s->mem, SLX_MEM_OTHER, UPLOAD_ID_SIZE * 3);
	*ret_writer = u;
	return SILEX_OK;
}

silex_status slx_s3_append(silex_store *base, void *writer, const void *bytes, size_t n, silex_error *err)
{
	struct slx_s3 *s = self(base);
	struct upload *u = writer;
	const uint8_t *p = bytes;
	while (n) {
		if (u->buf.n == s->url.part_size)
			SLX_TRY(send_part(s, u, err));
		size_t room = s->url.part_size - u->buf.n, part = n < room ? n : room;
		slx_buf_put(&u->buf, p, part);
		if (u->buf.failed)
			return slx_err_oom(err);
		p += part;
		n -= part;
	}
	return SILEX_OK;
}

void slx_s3_abort(silex_store *base, void *writer)
{
	struct upload *u = writer;
	if (u->id.n)
		abort_upload(self(base), u->name, (const char *)u->id.p);
	upload_free(self(base), u);
}

silex_status slx_s3_commit(silex_store *base, void *writer, silex_error *err)
{
	struct slx_s3 *s = self(base);
	struct upload *u = writer;
	silex_status st;
	if (u->id.n == 0) {
		st = put_whole(s, u, err);
	} else {
		st = send_part(s, u, err);
		if (st == SILEX_OK)
			st = complete(s, u, err);
	}
	if (st == SILEX_OK)
		upload_free(s, u);
	else
		slx_s3_abort(base, u);
	return st;
}
