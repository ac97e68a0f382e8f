/* Samples to a server, for import: bodies of /api/silex/v1/batch, a megabyte each. Rows of one series and kind that follow each
 * other make one entry with arrays of times and values. */
#include "app/remote.h"

#include "base/status.h"
#include "formats/formats.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_SIZE = 1 << 20, BODY_SIZE_MAX = 8 << 20 };

struct app_upload {
	struct app_remote *remote;
	const char *path;
	struct slx_mem mem;
	struct slx_buf body, times, values; /* times and values: of the entry under way */
	char **labels;                      /* by series key: JSON */
	size_t labels_n, labels_cap;
	uint32_t key;       /* of the entry under way, above 0; 0: none */
	enum slx_kind kind; /* of the entry under way */
	uint64_t accepted, refused;
	char reason[300]; /* the first refusal, in the server's words */
};

struct app_upload *app_upload_new(struct app_remote *r, bool backfill)
{
	struct app_upload *u = app_alloc(sizeof *u);
	u->remote = r;
	u->path = backfill ? "/api/silex/v1/batch?backfill=1" : "/api/silex/v1/batch";
	slx_mem_init(&u->mem, NULL);
	slx_buf_init(&u->body, &u->mem, SLX_MEM_OTHER, BODY_SIZE_MAX);
	slx_buf_init(&u->times, &u->mem, SLX_MEM_OTHER, BODY_SIZE_MAX);
	slx_buf_init(&u->values, &u->mem, SLX_MEM_OTHER, BODY_SIZE_MAX);
	return u;
}

void app_upload_free(struct app_upload *u)
{
	if (!u)
		return;
	for (size_t i = 0; i < u->labels_n; i++)
		free(u->labels[i]);
	free(u->labels);
	slx_buf_free(&u->body);
	slx_buf_free(&u->times);
	slx_buf_free(&u->values);
	free(u);
}

static void put(struct slx_buf *b, const char *z) { slx_buf_put(b, z, strlen(z)); }

static void end_entry(struct app_upload *u)
{
	static const char *const kinds[] = { "float64", "int64", "bool" };
	if (!u->key)
		return;
	put(&u->body, u->body.n ? ",{\"labels\":" : "{\"unit\":\"ns\",\"series\":[{\"labels\":");
	put(&u->body, u->labels[u->key]);
	put(&u->body, ",\"kind\":\"");
	put(&u->body, kinds[u->kind]);
	put(&u->body, "\",\"times\":[");
	slx_buf_put(&u->body, u->times.p, u->times.n);
	put(&u->body, "],\"values\":[");
	slx_buf_put(&u->body, u->values.p, u->values.n);
	put(&u->body, "]}");
	u->body.failed |= u->times.failed || u->values.failed;
	slx_buf_reset(&u->times);
	slx_buf_reset(&u->values);
	u->key = 0;
}

/* What the server says of a body: also when it refused some of it. */
static silex_status take_answer(struct app_upload *u, silex_status st, long http, const char *text, size_t n)
{
	json_t *doc = json_loadb(text, n, 0, NULL), *accepted = json_object_get(doc, "accepted");
	if (json_is_integer(accepted) && (st == SILEX_OK || http == 400)) {
		u->accepted += (uint64_t)json_integer_value(accepted);
		u->refused += (uint64_t)json_integer_value(json_object_get(doc, "refused"));
		const char *why = json_string_value(json_object_get(doc, "detail"));
		if (why && !u->reason[0])
			snprintf(u->reason, sizeof u->reason, "%s", why);
		st = SILEX_OK;
	}
	json_decref(doc);
	return st;
}

static silex_status send(struct app_upload *u, silex_error *err)
{
	const char *text;
	size_t n;
	long http;
	end_entry(u);
	if (!u->body.n)
		return SILEX_OK;
	put(&u->body, "]}");
	if (u->body.failed)
		return slx_err_oom(err);
	silex_status st = app_remote_request(u->remote, u->path, "json", u->body.p, u->body.n, &text, &n, &http, err);
	slx_buf_reset(&u->body);
	return take_answer(u, st, http, text, n);
}

silex_status app_upload_series(struct app_upload *u, uint32_t key, const silex_label *labels, size_t n, silex_error *err)
{
	json_t *o = json_object();
	end_entry(u); /* the number may have meant another series until now */
	while (u->labels_n <= key) {
		u->labels = app_grow(u->labels, u->labels_n, &u->labels_cap, sizeof *u->labels);
		u->labels[u->labels_n++] = NULL;
	}
	for (size_t i = 0; i < n; i++)
		json_object_set_new(o, labels[i].name, json_string(labels[i].value));
	free(u->labels[key]);
	u->labels[key] = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return u->labels[key] ? SILEX_OK : slx_err(err, SILEX_INVALID, "labels that are not UTF-8");
}

static void put_value(struct slx_buf *b, const struct slx_row *row)
{
	char text[32];
	double v = slx_bits_f64(row->bits);
	if (row->kind == SLX_KIND_BOOL) {
		put(b, row->bits ? "true" : "false");
	} else if (row->kind == SLX_KIND_INT64) {
		snprintf(text, sizeof text, "%lld", (long long)(int64_t)row->bits);
		put(b, text);
	} else {
		put(b, isfinite(v) ? "" : "\"");
		slx_encode_f64(b, v);
		put(b, isfinite(v) ? "" : "\"");
	}
}

silex_status app_upload_row(struct app_upload *u, uint32_t key, const struct slx_row *row, int64_t time, silex_error *err)
{
	char text[32];
	if (u->key != key || u->kind != row->kind)
		end_entry(u);
	u->key = key;
	u->kind = row->kind;
	snprintf(text, sizeof text, "%s%lld", u->times.n ? "," : "", (long long)time);
	put(&u->times, text);
	put(&u->values, u->values.n ? "," : "");
	put_value(&u->values, row);
	return u->body.n + u->times.n + u->values.n < BODY_SIZE ? SILEX_OK : send(u, err);
}

silex_status app_upload_end(struct app_upload *u, silex_error *err) { return send(u, err); }

void app_upload_counts(const struct app_upload *u, uint64_t *ret_accepted, uint64_t *ret_refused, const char **ret_reason)
{
	*ret_accepted = u->accepted;
	*ret_refused = u->refused;
	*ret_reason = u->reason[0] ? u->reason : NULL;
}
