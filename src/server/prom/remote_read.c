/* /api/v1/read: Prometheus remote read, answers of type SAMPLES. Source: the remote read specification, prometheus/remote.proto. */
#include "server/prom/prom_int.h"

#include "formats/remote_read.h"

#include <snappy-c.h>

enum { REQUEST_SIZE_MAX = 4 << 20, RESPONSE_SIZE_MAX = 1 << 30 };

struct reading {
	struct slx_prom *p;
	struct slx_http_exchange *x;
	struct slx_snapshot *snap;
	struct slx_scan *scan;
	struct slx_parts parts;
	struct slx_arena arena; /* of one histogram */
	struct slx_rr_series series;
	struct slx_buf result, response;
	uint64_t samples_left;
};

static int64_t ms_of(int64_t ns) { return slx_window_index(ns, SLX_MS, 0); }

static silex_status put_sample(struct reading *r, enum slx_kind kind, int64_t t, uint64_t bits, silex_error *err)
{
	if (kind == SLX_KIND_HISTOGRAM) {
		struct slx_histogram h;
		struct slx_str bytes = slx_value_bytes(bits);
		SLX_TRY(slx_histogram_decode((const uint8_t *)bytes.p, bytes.n, &r->arena, &h, err));
		slx_rr_series_histogram(&r->series, ms_of(t), &h);
		slx_arena_clear(&r->arena);
	} else if (!slx_kind_is_bytes(kind)) {
		slx_rr_series_float(&r->series, ms_of(t), slx_bits_number(kind, bits));
	}
	return SILEX_OK;
}

/* Samples of one series; *ret_n of them. */
static silex_status put_samples(struct reading *r, uint64_t *ret_n, silex_error *err)
{
	struct slx_run run;
	bool more;
	for (*ret_n = 0;;) {
		SLX_TRY(slx_scan_next(r->scan, &run, &more, err));
		if (!more)
			return SILEX_OK;
		if (run.n > r->samples_left)
			return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "the read has more than promql.samples_max samples");
		SLX_TRY(slx_scan_decode(r->scan, &run, err));
		for (size_t i = 0; i < run.n; i++)
			SLX_TRY(put_sample(r, run.kind, run.ts[i], run.bits[i], err));
		r->samples_left -= run.n;
		*ret_n += run.n;
	}
}

static silex_status put_series(struct reading *r, const struct slx_selection *sel, struct slx_time_range range, silex_error *err)
{
	for (size_t i = 0; i < slx_selection_count(sel); i++) {
		uint64_t n;
		if (atomic_load_explicit(slx_http_canceled(r->x), memory_order_relaxed))
			return slx_err(err, SILEX_CANCELED, "the client went away");
		SLX_TRY(slx_snapshot_check(r->snap, err));
		SLX_TRY(slx_snapshot_collect(r->snap, sel, i, range, &r->parts, err));
		slx_scan_start(r->scan, r->parts.parts, r->parts.n, r->parts.hides, r->parts.n_hides, range);
		slx_rr_series_begin(&r->series, slx_selection_labels(sel, i));
		SLX_TRY(put_samples(r, &n, err));
		if (n)
			slx_rr_series_end(&r->series, &r->result);
		if (r->result.failed)
			return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "the answer does not fit into memory");
	}
	return SILEX_OK;
}

static silex_status answer_query(struct reading *r, const struct slx_rr_query *q, silex_error *err)
{
	struct slx_selection *sel;
	struct slx_time_range range = {
		q->start_ms <= SLX_PROM_MS_MIN ? SLX_TIME_MIN : q->start_ms * SLX_MS,
		q->end_ms >= SLX_PROM_MS_MAX ? SLX_TIME_MAX : slx_time_add(q->end_ms * SLX_MS, SLX_MS - 1),
	};
	slx_buf_reset(&r->result);
	if (q->start_ms <= q->end_ms && q->start_ms < SLX_PROM_MS_MAX && q->end_ms > SLX_PROM_MS_MIN) {
		SLX_TRY(slx_snapshot_select(r->snap, q->selector.matchers, q->selector.n, range, &sel, err));
		silex_status status = put_series(r, sel, range, err);
		slx_selection_free(sel);
		if (status != SILEX_OK)
			return status;
	}
	slx_rr_put_result(&r->result, &r->response);
	return r->response.failed ? slx_err(err, SILEX_RESOURCE_EXHAUSTED, "the answer does not fit into memory") : SILEX_OK;
}

static silex_status answer_all(struct reading *r, const struct slx_rr_request *q, silex_error *err)
{
	struct slx_engine *e = slx_api_engine(slx_core_db(r->p->core));
	SLX_TRY(slx_snapshot_new(e, slx_prom_who(r->x), &r->snap, err));
	SLX_TRY(slx_scan_new(slx_engine_mem(e), slx_engine_codecs(e), &r->scan, err));
	for (size_t i = 0; i < q->n; i++)
		SLX_TRY(answer_query(r, &q->query[i], err));
	return SILEX_OK;
}

/* The response as a snappy block. */
static void reply(struct reading *r)
{
	struct slx_buf out;
	size_t n = snappy_max_compressed_length(r->response.n);
	slx_buf_init(&out, r->p->core->mem, SLX_MEM_QUERY, SIZE_MAX);
	uint8_t *to = slx_buf_reserve(&out, n);
	if (!to || snappy_compress((const char *)r->response.p, r->response.n, (char *)to, &n) != SNAPPY_OK) {
		slx_buf_free(&out);
		return slx_prom_fail(r->x, SLX_PROM_EXECUTION, "the answer does not fit into memory");
	}
	out.n = n;
	slx_http_set_header(r->x, "Content-Encoding", "snappy");
	slx_http_reply(r->x, 200, "application/x-protobuf", &out);
}

static silex_status read_request(struct slx_prom *p, struct slx_http_exchange *x, struct slx_rr_request *ret, silex_error *err)
{
	struct slx_str body = slx_http_body(x);
	size_t n;
	if (snappy_uncompressed_length(body.p, body.n, &n) != SNAPPY_OK || n > REQUEST_SIZE_MAX)
		return slx_err(err, SILEX_INVALID, "the body is not a snappy block of at most %d bytes", REQUEST_SIZE_MAX);
	char *bytes = slx_arena_alloc(slx_http_arena(x), n + 1, 1);
	if (!bytes)
		return slx_err_oom(err);
	if (snappy_uncompress(body.p, body.n, bytes, &n) != SNAPPY_OK)
		return slx_err(err, SILEX_INVALID, "the body is not a snappy block: damaged or cut off");
	SLX_TRY(slx_rr_read(p->core->mem, bytes, n, ret, err));
	return ret->wants_samples ? SILEX_OK : slx_err(err, SILEX_INVALID, "this server answers with response type SAMPLES only");
}

void slx_prom_remote_read(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct slx_mem *mem = p->core->mem;
	struct reading r = { .p = p, .x = x, .samples_left = slx_core_config(p->core)->promql.samples_max };
	struct slx_rr_request q = { .n = 0 };
	silex_error err;
	slx_parts_init(&r.parts, mem);
	slx_arena_init(&r.arena, mem, SLX_MEM_QUERY, 1 << 20);
	slx_rr_series_init(&r.series, mem);
	slx_buf_init(&r.result, mem, SLX_MEM_QUERY, RESPONSE_SIZE_MAX);
	slx_buf_init(&r.response, mem, SLX_MEM_QUERY, RESPONSE_SIZE_MAX);
	silex_status status = read_request(p, x, &q, &err);
	if (status == SILEX_OK)
		status = answer_all(&r, &q, &err);
	if (status == SILEX_OK)
		reply(&r);
	else
		slx_prom_fail(x, slx_prom_error_of(status), err.message);
	slx_rr_free(&q);
	slx_scan_free(r.scan);
	slx_snapshot_free(r.snap);
	slx_parts_free(&r.parts);
	slx_arena_clear(&r.arena);
	slx_rr_series_free(&r.series);
	slx_buf_free(&r.result);
	slx_buf_free(&r.response);
}
