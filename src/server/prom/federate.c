/* /federate: the latest sample of every selected series as exposition text, for another Prometheus to scrape. */
#include "server/prom/prom_int.h"

#include "formats/formats.h"

#include <stdlib.h>

struct federation {
	struct slx_prom_union u;
	struct slx_parts parts;
	struct slx_scan *scan;
	struct slx_time_range range; /* the lookback until now */
};

/* The last sample of series i in range; false when there is none or it is a stale marker or no number. */
static silex_status latest(struct federation *f, size_t i, struct slx_sample *ret, bool *ret_found, silex_error *err)
{
	struct slx_run run;
	bool more;
	*ret_found = false;
	SLX_TRY(slx_prom_union_collect(&f->u, i, f->range, &f->parts, err));
	slx_scan_start(f->scan, f->parts.parts, f->parts.n, f->parts.hides, f->parts.n_hides, f->range);
	for (;;) {
		SLX_TRY(slx_scan_next(f->scan, &run, &more, err));
		if (!more)
			return SILEX_OK;
		SLX_TRY(slx_scan_decode(f->scan, &run, err));
		uint64_t bits = run.bits[run.n - 1];
		*ret_found = run.kind <= SLX_KIND_BOOL && !(run.kind == SLX_KIND_FLOAT64 && bits == SLX_STALE_NAN);
		*ret = (struct slx_sample){ run.ts[run.n - 1], slx_f64_bits(slx_bits_number(run.kind, bits)) };
	}
}

static void put_escaped(struct slx_buf *b, struct slx_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n')
			SLX_JSON_LITERAL(b, "\\n");
		else if (s.p[i] == '"' || s.p[i] == '\\') {
			slx_buf_u8(b, '\\');
			slx_buf_u8(b, (uint8_t)s.p[i]);
		} else
			slx_buf_u8(b, (uint8_t)s.p[i]);
	}
}

static bool plain_name(struct slx_str s, bool colon)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
		if (!letter && !(i && c >= '0' && c <= '9'))
			return false;
	}
	return s.n > 0;
}

static void put_name(struct slx_buf *b, struct slx_str s, bool colon)
{
	bool quote = !plain_name(s, colon);
	if (quote)
		slx_buf_u8(b, '"');
	put_escaped(b, s);
	if (quote)
		slx_buf_u8(b, '"');
}

static void put_label(struct slx_buf *b, bool *any, struct slx_str name, struct slx_str value)
{
	slx_buf_u8(b, *any ? ',' : '{');
	*any = true;
	put_name(b, name, false);
	SLX_JSON_LITERAL(b, "=\"");
	put_escaped(b, value);
	slx_buf_u8(b, '"');
}

/* name{labels,instance=""} value ms. As Prometheus does, a series without instance gets an empty one, so that the one who scrapes
 * does not put its own there. A name that needs quotes goes inside the braces. */
static void put_sample(struct slx_buf *b, struct slx_labels l, struct slx_sample s)
{
	struct slx_str name = slx_labels_get(l, SLX_METRIC_NAME);
	struct slx_labels_iter it = slx_labels_iter(l);
	bool any = false, instance = false;
	if (plain_name(name, true)) {
		slx_buf_put(b, name.p, name.n);
	} else {
		slx_buf_u8(b, '{');
		put_name(b, name, true);
		any = true;
	}
	for (struct slx_label label; slx_labels_next(&it, &label);) {
		if (slx_str_eq(label.name, SLX_METRIC_NAME))
			continue;
		instance |= slx_str_eq(label.name, SLX_STR("instance"));
		put_label(b, &any, label.name, label.value);
	}
	if (!instance)
		put_label(b, &any, SLX_STR("instance"), SLX_STR(""));
	SLX_JSON_LITERAL(b, "} ");
	slx_encode_f64(b, slx_sample_f64(s));
	slx_buf_u8(b, ' ');
	int64_t ms = slx_window_index(s.t, SLX_MS, 0);
	if (ms < 0)
		slx_buf_u8(b, '-');
	slx_json_u64(b, ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms);
	slx_buf_u8(b, '\n');
}

/* By name, then by labels: label order alone would tear a name apart, since upper-case labels come before __name__. */
static int by_name(const void *a, const void *b, void *ctx)
{
	const struct slx_prom_union *u = ctx;
	const struct slx_prom_member *x = a, *y = b;
	struct slx_labels l = slx_selection_labels(u->sel[x->sel], x->at), r = slx_selection_labels(u->sel[y->sel], y->at);
	int order = slx_str_cmp(slx_labels_get(l, SLX_METRIC_NAME), slx_labels_get(r, SLX_METRIC_NAME));
	return order ? order : slx_labels_cmp(l, r);
}

static silex_status put_all(struct slx_answer *a, struct federation *f, silex_error *err)
{
	struct slx_str last = { NULL, 0 };
	qsort_r(f->u.all, f->u.n, sizeof *f->u.all, by_name, &f->u);
	for (size_t i = 0; i < f->u.n && slx_answer_spill(a); i++) {
		struct slx_sample s = { 0 };
		bool found;
		struct slx_labels l = slx_prom_union_labels(&f->u, i);
		struct slx_str name = slx_labels_get(l, SLX_METRIC_NAME);
		SLX_TRY(latest(f, i, &s, &found, err));
		if (!found || name.n == 0)
			continue;
		if (!last.p || !slx_str_eq(name, last)) {
			SLX_JSON_LITERAL(&a->b, "# TYPE ");
			put_name(&a->b, name, true);
			SLX_JSON_LITERAL(&a->b, " untyped\n");
			last = name;
		}
		put_sample(&a->b, l, s);
	}
	return SILEX_OK;
}

static silex_status open_federation(struct slx_prom *p, struct slx_http_exchange *x, const struct slx_prom_matches *m, struct federation *f, silex_error *err)
{
	struct slx_engine *e = slx_api_engine(slx_core_db(p->core));
	int64_t now = slx_prom_now_ms(p) * SLX_MS;
	f->range = (struct slx_time_range){ slx_time_sub(now, slx_core_config(p->core)->promql.lookback) + 1, slx_time_add(now, SLX_MS - 1) };
	SLX_TRY(slx_prom_union_new(p, x, m, f->range, &f->u, err));
	return slx_scan_new(slx_engine_mem(e), slx_engine_codecs(e), &f->scan, err);
}

void slx_prom_federate(void *ctx, struct slx_http_exchange *x)
{
	struct slx_prom *p = ctx;
	struct slx_prom_matches m;
	struct federation f = { .scan = NULL };
	struct slx_answer a;
	silex_error err = { 0 };
	if (slx_prom_matches_params(p, x, &m, &err) != SILEX_OK) {
		slx_http_reply_text(x, err.code == SILEX_INVALID ? 400 : 503, "text/plain; charset=utf-8", err.message);
		slx_prom_matches_free(&m);
		return;
	}
	slx_parts_init(&f.parts, slx_engine_mem(slx_api_engine(slx_core_db(p->core))));
	slx_answer_init(&a, p, x, "text/plain; version=0.0.4; charset=utf-8");
	silex_status status = open_federation(p, x, &m, &f, &err);
	if (status == SILEX_OK)
		status = put_all(&a, &f, &err);
	if (status == SILEX_OK || a.streaming) {
		slx_answer_end(&a);
	} else {
		slx_buf_free(&a.b);
		slx_prom_fail(x, slx_prom_error_of(status), err.message);
	}
	slx_scan_free(f.scan);
	slx_parts_free(&f.parts);
	slx_prom_union_free(&f.u);
	slx_prom_matches_free(&m);
}
