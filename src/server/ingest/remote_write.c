/* Prometheus remote write, receiver: 1.0 and 2.0, snappy or zstd.
 *
 *     body -> declared length against the limit -> decompressed into the batch's scratch -> read series by series (formats) ->
 *     known series by the bytes of their labels, unknown ones defined -> one commit -> answer
 *
 * Answers, by which senders decide what to do with their data: 204; 400 when something is wrong for good (what was good is
 * stored; the first line says counts, first series and reason); 415 for another type or encoding; 503 with Retry-After when
 * memory, disk or the moment are in the way, and the same bytes may come again. Never 429.
 *
 * Start timestamps (2.0) are kept with histograms; a float has no place for one. Metadata of 2.0 comes with each series: it is
 * taken when the series is new to the cache, that is at least once per flush.
 * Source: the remote write specifications 1.0 and 2.0. */
#include "formats/remote_write.h"
#include "server/ingest/ingest_int.h"

#include <inttypes.h>
#include <snappy-c.h>
#include <stdio.h>
#include <strings.h>
#include <zstd.h>

enum { RETRY_S = 5, ZSTD_WINDOW_LOG_MAX = 25 };

/* ---- answers ---- */

/* What went wrong before or without a batch. */
static void fail(struct slx_http_exchange *x, unsigned status, const char *message, unsigned retry_after)
{
	char seconds[16], text[1600];
	snprintf(seconds, sizeof seconds, "%u", retry_after);
	if (retry_after)
		slx_http_set_header(x, "Retry-After", seconds);
	snprintf(text, sizeof text, "%s\n", message);
	slx_http_reply_text(x, status, "text/plain; charset=utf-8", text);
}

/* Senders drop what is answered with 400 and try again what is answered with 413 or 429: too large stays too large. */
static void fail_early(struct slx_http_exchange *x, unsigned status, const char *message, unsigned retry_after)
{
	if (status == 413)
		status = 400;
	if (status == 429)
		status = 503;
	fail(x, status, message, status == 503 && !retry_after ? RETRY_S : retry_after);
}

static void fail_status(struct slx_http_exchange *x, silex_status st, const silex_error *err)
{
	if (st == SILEX_INVALID)
		fail(x, 400, err->message, 0);
	else if (st == SILEX_PERMISSION_DENIED)
		fail(x, 403, err->message, 0);
	else
		fail(x, 503, err->message, RETRY_S);
}

static void put_written(struct slx_http_exchange *x, const char *what, uint64_t n)
{
	char name[64], value[24];
	snprintf(name, sizeof name, "X-Prometheus-Remote-Write-%s-Written", what);
	snprintf(value, sizeof value, "%" PRIu64, n);
	slx_http_set_header(x, name, value);
}

/* ---- what the request says of itself ---- */

static struct slx_str trimmed(struct slx_str s)
{
	while (s.n && (*s.p == ' ' || *s.p == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static bool is(struct slx_str s, const char *word) { return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0; }

/* The part up to c, taken off s. */
static struct slx_str cut_at(struct slx_str *s, char c)
{
	const char *end = s->n ? memchr(s->p, c, s->n) : NULL;
	size_t n = end ? (size_t)(end - s->p) : s->n;
	struct slx_str part = { s->p, n };
	s->p += end ? n + 1 : n;
	s->n -= end ? n + 1 : n;
	return trimmed(part);
}

/* application/x-protobuf, perhaps with ;proto=MESSAGE. False: something else. */
static bool read_type(struct slx_str type, enum slx_rw_version *ret)
{
	*ret = SLX_RW_1;
	if (!type.p)
		return true;
	if (!is(cut_at(&type, ';'), "application/x-protobuf"))
		return false;
	while (type.n) {
		struct slx_str value = cut_at(&type, ';');
		if (!is(cut_at(&value, '='), "proto"))
			continue;
		value = trimmed(value);
		if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
			value = (struct slx_str){ value.p + 1, value.n - 2 };
		if (is(value, "io.prometheus.write.v2.Request"))
			*ret = SLX_RW_2;
		else if (!is(value, "prometheus.WriteRequest"))
			return false;
	}
	return true;
}

enum encoding { SNAPPY, ZSTD_FRAMES, OTHER };

static enum encoding read_encoding(struct slx_str s)
{
	s = trimmed(s);
	if (s.n == 0 || is(s, "snappy"))
		return SNAPPY; /* the oldest senders say nothing */
	return is(s, "zstd") ? ZSTD_FRAMES : OTHER;
}

/* ---- decompression ---- */

static silex_status too_large(size_t max, silex_error *err)
{
	return slx_err(err, SILEX_INVALID, "the request has more than %zu bytes when decompressed", max);
}

/* INVALID for what is no snappy block or claims to be too large; nothing is allocated before that is known. */
static silex_status undo_snappy(struct slx_str body, size_t max, struct slx_buf *out, silex_error *err)
{
	size_t n;
	if (snappy_uncompressed_length(body.p, body.n, &n) != SNAPPY_OK)
		return slx_err(err, SILEX_INVALID, "the body is not a snappy block: no length at its begin");
	if (n > max)
		return too_large(max, err);
	uint8_t *to = slx_buf_reserve(out, n + 1);
	if (!to)
		return slx_err_oom(err);
	if (snappy_uncompress(body.p, body.n, (char *)to, &n) != SNAPPY_OK)
		return slx_err(err, SILEX_INVALID, "the body is not a snappy block: %zu bytes, damaged or cut off", body.n);
	out->n = n;
	return SILEX_OK;
}

static silex_status undo_zstd(struct slx_str body, size_t max, struct slx_buf *out, silex_error *err)
{
	ZSTD_DCtx *z = ZSTD_createDCtx();
	ZSTD_inBuffer in = { body.p, body.n, 0 };
	silex_status status = z ? SILEX_OK : slx_err_oom(err);
	size_t left = 1;
	if (z)
		ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
	while (status == SILEX_OK && (in.pos < in.size || left)) {
		uint8_t *to = slx_buf_reserve(out, 64 << 10);
		if (!to) {
			status = slx_err_oom(err);
			break;
		}
		ZSTD_outBuffer part = { to, out->cap - out->n, 0 };
		size_t before = in.pos;
		left = ZSTD_decompressStream(z, &part, &in);
		out->n += part.pos;
		if (ZSTD_isError(left))
			status = slx_err(err, SILEX_INVALID, "the body is not zstd: %s", ZSTD_getErrorName(left));
		else if (out->n > max)
			status = too_large(max, err);
		else if (left && in.pos == before && part.pos == 0)
			status = slx_err(err, SILEX_INVALID, "the body is not zstd: %zu bytes, cut off", body.n);
	}
	ZSTD_freeDCtx(z);
	return status;
}

/* ---- from the reader into the batch ---- */

struct writing {
	struct slx_rw rw;
	struct slx_intake_batch *batch;
	struct slx_arena arena; /* arrays of one histogram */
};

static void add_metadata(struct writing *w, struct slx_str metric, const struct slx_rw_metadata *md)
{
	if (metric.n && (md->type.n || md->unit.n || md->help.n))
		slx_intake_metadata(w->batch, metric, md->type, md->unit, md->help);
}

static struct slx_str name_of(const struct slx_label *labels, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slx_str_eq(labels[i].name, SLX_METRIC_NAME))
			return labels[i].value;
	return SLX_STR("");
}

static unsigned space_of(const struct writing *w) { return w->rw.version == SLX_RW_2 ? SLX_SPACE_SYMBOLS : SLX_SPACE_REMOTE_WRITE; }

static silex_status lookup(struct writing *w, const struct slx_rw_series *s, uint32_t *ret)
{
	return s->fault ? SILEX_NOT_FOUND : slx_intake_lookup(w->batch, slx_intake_key(space_of(w), s->key.p, s->key.n), ret);
}

/* A series that is not known by its key. Not OK: its samples are refused, or (UNAVAILABLE) the batch fails. */
static silex_status define(struct writing *w, const struct slx_rw_series *s, uint32_t *ret)
{
	const struct slx_label *labels = NULL;
	size_t n = 0;
	silex_error why;
	struct slx_rw_metadata md;
	silex_status status = slx_rw_labels(&w->rw, s, &labels, &n, &why);
	if (w->rw.pb.bad)
		return status;
	struct slx_str name = name_of(labels, n);
	if (status == SILEX_OK && name.n == 0)
		status = slx_err(&why, SILEX_INVALID, "the series has no name (label __name__)");
	if (status == SILEX_OK)
		status = slx_intake_define(w->batch, slx_intake_key(space_of(w), s->key.p, s->key.n), labels, n, ret, &why);
	if (status == SILEX_OK && s->metadata.p && slx_rw_series_metadata(&w->rw, s, &md))
		add_metadata(w, name, &md);
	if (status != SILEX_OK && status != SILEX_UNAVAILABLE)
		slx_intake_refuse(w->batch, (uint64_t)s->samples + s->histograms, status, labels, n, why.message);
	return status;
}

static void add_histograms(struct writing *w, const struct slx_rw_series *s, uint32_t series)
{
	struct slx_pb at = slx_pb_of(s->parts);
	struct slx_rw_histogram h;
	while (slx_rw_next_histogram(&w->rw, &at, &w->arena, &h)) {
		if (h.fault)
			slx_intake_refuse_of(w->batch, 1, series, SILEX_INVALID, h.fault);
		else
			slx_intake_histogram(w->batch, series, h.t, &h.h);
		slx_arena_clear(&w->arena);
	}
}

static void add_exemplars(struct writing *w, const struct slx_rw_series *s, uint32_t series)
{
	struct slx_pb at = slx_pb_of(s->parts);
	struct slx_rw_exemplar e;
	while (slx_rw_next_exemplar(&w->rw, &at, &e))
		if (!e.fault)
			slx_intake_exemplar(w->batch, series, e.t, e.v, e.labels, e.labels_n);
}

/* False: the batch fails. */
static bool add_series(struct writing *w, struct slx_rw_series *s)
{
	uint32_t series;
	silex_status status = lookup(w, s, &series);
	if (status == SILEX_NOT_FOUND && s->guess) {
		if (!slx_rw_look(&w->rw, s))
			return true;
		status = lookup(w, s, &series);
	}
	if (status == SILEX_NOT_FOUND)
		status = define(w, s, &series);
	if (status != SILEX_OK)
		return status != SILEX_UNAVAILABLE;
	struct slx_pb at = slx_pb_of(s->parts);
	struct slx_rw_sample sample;
	if (s->samples)
		while (slx_rw_next_sample(&w->rw, &at, &sample))
			slx_intake_float(w->batch, series, sample.t, sample.v);
	if (s->histograms)
		add_histograms(w, s, series);
	if (s->exemplars)
		add_exemplars(w, s, series);
	return true;
}

/* INVALID: the bytes break off; what came before is in the batch. */
static silex_status read_request(struct writing *w, silex_error *err)
{
	struct slx_rw_series s;
	struct slx_rw_metadata md;
	for (;;)
		switch (slx_rw_next(&w->rw, &s, &md)) {
		case SLX_RW_SERIES:
			if (!add_series(w, &s))
				return SILEX_OK; /* commit tells why */
			break;
		case SLX_RW_METADATA: add_metadata(w, md.metric, &md); break;
		case SLX_RW_END:
		case SLX_RW_BAD: return slx_rw_error(&w->rw, err);
		}
}

/* ---- the handler ---- */

static void answer(struct slx_http_exchange *x, enum slx_rw_version v, silex_status read, const silex_error *why, const struct slx_intake_result *r)
{
	char text[1400];
	uint64_t stored = r->samples + r->histograms;
	if (v == SLX_RW_2) {
		put_written(x, "Samples", r->samples);
		put_written(x, "Histograms", r->histograms);
		put_written(x, "Exemplars", r->exemplars);
	}
	if (read == SILEX_OK && !r->refused) {
		slx_http_reply_text(x, 204, NULL, "");
		return;
	}
	int n = snprintf(text, sizeof text, "stored %" PRIu64 " samples, refused %" PRIu64, stored, r->refused);
	if (r->refused)
		n += snprintf(text + n, sizeof text - (size_t)n, "; first: %s: %s", r->first_series, r->first_message);
	if (read != SILEX_OK)
		snprintf(text + n, sizeof text - (size_t)n, "; then the request broke off: %s", why->message);
	fail(x, 400, text, 0);
}

static silex_status decode(struct slx_ingest *i, struct slx_http_exchange *x, struct slx_intake_batch *b, enum slx_rw_version v, enum encoding e,
	silex_error *err)
{
	struct slx_buf *bytes = slx_intake_scratch(b);
	size_t max = slx_core_config(i->core)->http.body_max;
	struct slx_str body = slx_http_body(x);
	struct writing w = { .batch = b };
	SLX_TRY(e == SNAPPY ? undo_snappy(body, max, bytes, err) : undo_zstd(body, max, bytes, err));
	SLX_TRY(slx_rw_open(&w.rw, i->core->mem, v, bytes->p, bytes->n, err));
	slx_arena_init(&w.arena, i->core->mem, SLX_MEM_OTHER, 1 << 20);
	silex_status status = read_request(&w, err);
	slx_arena_clear(&w.arena);
	slx_rw_close(&w.rw);
	return status;
}

static void handle_write(void *ctx, struct slx_http_exchange *x)
{
	struct slx_ingest *i = ctx;
	enum slx_rw_version v;
	enum encoding e = read_encoding(slx_http_header(x, "Content-Encoding"));
	struct slx_intake_batch *b;
	struct slx_intake_result result;
	silex_error why, err;
	if (!read_type(slx_http_header(x, "Content-Type"), &v))
		return fail(x, 415, "Content-Type: expected application/x-protobuf, with proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request", 0);
	if (e == OTHER)
		return fail(x, 415, "Content-Encoding: expected snappy or zstd", 0);
	silex_status status = slx_ingest_begin(i, x, &b, &err);
	if (status != SILEX_OK)
		return fail_status(x, status, &err);
	silex_status read = decode(i, x, b, v, e, &why);
	if (read != SILEX_OK && read != SILEX_INVALID) {
		slx_intake_abandon(b);
		return fail_status(x, read, &why);
	}
	status = slx_intake_commit(b, &result, &err);
	if (status != SILEX_OK)
		return fail_status(x, status, &err);
	answer(x, v, read, &why, &result);
}

void slx_remote_write_routes(struct slx_http *h, struct slx_ingest *i)
{
	static const char *const path[] = {
		"/api/v1/write", "/api/v1/push", "/api/prom/push",
		"/prometheus/api/v1/write", "/prometheus/api/v1/push", "/prometheus/api/prom/push",
	};
	for (size_t k = 0; k < sizeof path / sizeof *path; k++) {
		struct slx_http_route route = { "POST", path[k], handle_write, i, SLX_HTTP_WRITE, SLX_HTTP_RAW_BODY, 0, fail_early };
		slx_http_add(h, &route, 1);
	}
}
