/* The way out that other tools know: VictoriaMetrics' /api/v1/export and /api/v1/export/csv.
 *
 *     {"metric":{"__name__":"up","job":"a"},"values":[1,0.5],"timestamps":[1700000000000,1700000015000]}
 *
 * Times are whole milliseconds. States are no numbers and are left out. What `silex export --url` gives is exact instead. */
#include "server/native/native_int.h"

#include "formats/formats.h"

#include <math.h>
#include <stdio.h>

enum { ROWS_PER_LINE = 10000, COLUMNS_MAX = 64 };

enum { MATCH, START, END, UNIT, PER_LINE, FORMAT };

static const struct slx_native_field export_fields[] = {
	[MATCH] = { "match[]", SLX_ARG_LIST },
	[START] = { "start", SLX_ARG_TIME },
	[END] = { "end", SLX_ARG_TIME },
	[UNIT] = { "unit", SLX_ARG_TEXT },
	[PER_LINE] = { "max_rows_per_line", SLX_ARG_COUNT },
	[FORMAT] = { "format", SLX_ARG_TEXT },
};

struct column {
	enum { LABEL, VALUE, UNIX_S, UNIX_MS, UNIX_NS, RFC3339 } type;
	struct slx_str label;
};

struct way_out {
	struct slx_native_args args;
	struct slx_native_answer a;
	struct slx_native_selectors selectors;
	struct slx_query_plan plan;
	struct slx_query_cursor *c;
	uint64_t per_line;
	struct column columns[COLUMNS_MAX];
	size_t columns_n;
	uint64_t rows;
	/* the line under way */
	struct slx_buf times;
	uint64_t line_n, series;
};

/* ---- numbers ---- */

static bool is_number(enum slx_kind k) { return k != SLX_KIND_ENUM && !slx_kind_is_bytes(k); }

static void put_i64(struct slx_buf *b, int64_t v) { slx_native_put(b, "%lld", (long long)v); }

static void put_value(struct slx_buf *b, enum slx_kind kind, uint64_t bits, bool quoted)
{
	if (kind != SLX_KIND_FLOAT64) {
		put_i64(b, (int64_t)bits);
		return;
	}
	double v = slx_bits_f64(bits);
	const char *quote = isfinite(v) || !quoted ? "" : "\"";
	slx_native_put_text(b, quote);
	slx_encode_f64(b, v);
	slx_native_put_text(b, quote);
}

/* ---- JSON lines ---- */

static void end_line(struct way_out *o)
{
	if (!o->line_n)
		return;
	slx_native_put_text(&o->a.b, "],\"timestamps\":[");
	slx_buf_put(&o->a.b, o->times.p, o->times.n);
	slx_native_put_text(&o->a.b, "]}\n");
	o->a.b.failed |= o->times.failed;
	slx_buf_reset(&o->times);
	o->line_n = 0;
}

static bool put_lines(struct way_out *o, const struct slx_query_rows *r)
{
	if (r->series != o->series)
		end_line(o);
	o->series = r->series;
	for (size_t i = 0; i < r->n && is_number(r->kind); i++) {
		if (o->line_n == o->per_line) {
			end_line(o);
			if (!slx_native_answer_spill(&o->a))
				return false;
		}
		if (o->line_n == 0) {
			slx_native_put_text(&o->a.b, "{\"metric\":");
			slx_json_labels(&o->a.b, r->labels);
			slx_native_put_text(&o->a.b, ",\"values\":[");
		} else {
			slx_buf_u8(&o->a.b, ',');
			slx_buf_u8(&o->times, ',');
		}
		put_value(&o->a.b, r->kind, r->bits[i], true);
		put_i64(&o->times, slx_window_index(r->times[i], SLX_MS, 0));
		o->line_n++;
		o->rows++;
	}
	return o->line_n || slx_native_answer_spill(&o->a);
}

/* ---- CSV ---- */

static bool read_column(struct slx_str s, struct column *ret)
{
	static const struct {
		struct slx_str name;
		int type;
	} known[] = {
		{ SLX_STR("__value__"), VALUE },
		{ SLX_STR("__timestamp__"), UNIX_MS },
		{ SLX_STR("__timestamp__:unix_s"), UNIX_S },
		{ SLX_STR("__timestamp__:unix_ms"), UNIX_MS },
		{ SLX_STR("__timestamp__:unix_ns"), UNIX_NS },
		{ SLX_STR("__timestamp__:rfc3339"), RFC3339 },
	};
	*ret = (struct column){ .type = LABEL, .label = s };
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (slx_str_eq(s, known[i].name)) {
			ret->type = known[i].type;
			return true;
		}
	return s.n > 0 && (s.n < 13 || memcmp(s.p, "__timestamp__", 13) != 0);
}

static bool read_columns(struct way_out *o)
{
	struct slx_str s = slx_arg_text(&o->args, FORMAT);
	static const char expected[] = "columns with commas between: label names, __value__, __timestamp__:unix_s, unix_ms, unix_ns or rfc3339";
	if (!s.p)
		s = SLX_STR("__name__,__value__,__timestamp__:unix_ms");
	for (const char *p = s.p, *end = s.p + s.n; p <= end;) {
		const char *comma = p < end ? memchr(p, ',', (size_t)(end - p)) : NULL;
		struct slx_str part = { p, (size_t)((comma ? comma : end) - p) };
		if (o->columns_n == COLUMNS_MAX || !read_column(part, &o->columns[o->columns_n++])) {
			slx_native_fail_field(o->args.x, "format", expected, part);
			return false;
		}
		p += part.n + 1;
	}
	return true;
}

static void put_cell(struct slx_buf *b, struct slx_str s)
{
	bool quote = false;
	for (size_t i = 0; i < s.n && !quote; i++)
		quote = s.p[i] && strchr(",\"\r\n", s.p[i]);
	if (!quote) {
		slx_buf_put(b, s.p, s.n);
		return;
	}
	slx_buf_u8(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"')
			slx_buf_u8(b, '"');
		slx_buf_u8(b, (uint8_t)s.p[i]);
	}
	slx_buf_u8(b, '"');
}

static void put_time(struct slx_buf *b, int type, int64_t t)
{
	static const int64_t units[] = { [UNIX_S] = SLX_SECOND, [UNIX_MS] = SLX_MS, [UNIX_NS] = 1 };
	char text[SLX_TIME_TEXT_SIZE];
	if (type == RFC3339)
		slx_buf_put(b, text, slx_time_format(t, text));
	else
		put_i64(b, slx_window_index(t, units[type], 0));
}

static bool put_csv(struct way_out *o, const struct slx_query_rows *r)
{
	struct slx_buf *b = &o->a.b;
	for (size_t i = 0; i < r->n && is_number(r->kind); i++) {
		for (size_t k = 0; k < o->columns_n; k++) {
			const struct column *c = &o->columns[k];
			if (k)
				slx_buf_u8(b, ',');
			if (c->type == LABEL)
				put_cell(b, slx_labels_get(r->labels, c->label));
			else if (c->type == VALUE)
				put_value(b, r->kind, r->bits[i], false);
			else
				put_time(b, c->type, r->times[i]);
		}
		slx_buf_u8(b, '\n');
		o->rows++;
		if (i % 1024 == 1023 && !slx_native_answer_spill(&o->a))
			return false;
	}
	return slx_native_answer_spill(&o->a);
}

/* ---- both ---- */

static bool read_request(struct way_out *o, struct slx_native *n, struct slx_http_exchange *x)
{
	if (!slx_native_args(n, x, export_fields, sizeof export_fields / sizeof *export_fields, &o->args))
		return false;
	if (!o->args.values[MATCH].n) {
		slx_native_fail_field(x, "match[]", "at least one selector", (struct slx_str){ 0 });
		return false;
	}
	o->plan = (struct slx_query_plan){ .who = { .tenant = slx_http_tenant(x) }, .range = SLX_TIME_ALL, .timeout_ns = slx_core_config(n->core)->promql.timeout, .canceled = slx_http_canceled(x) };
	o->per_line = ROWS_PER_LINE;
	bool ok = slx_arg_selectors(&o->args, MATCH, &o->selectors) && slx_arg_time(&o->args, START, UNIT, &o->plan.range.from) &&
		slx_arg_time(&o->args, END, UNIT, &o->plan.range.to) && slx_arg_count(&o->args, PER_LINE, &o->per_line);
	o->per_line = o->per_line ? o->per_line : ROWS_PER_LINE;
	o->plan.selectors = o->selectors.v;
	o->plan.n_selectors = o->selectors.n;
	return ok;
}

static silex_status write_all(struct way_out *o, bool (*put)(struct way_out *o, const struct slx_query_rows *r), silex_error *err)
{
	struct slx_query_rows r;
	for (;;) {
		SLX_TRY(slx_query_next(o->c, &r, err));
		if (r.n == 0)
			return SILEX_OK;
		if (!put(o, &r) || atomic_load(slx_http_canceled(o->a.x)))
			return slx_err(err, SILEX_CANCELED, "the client went away");
	}
}

static void run(struct way_out *o, const char *content_type, bool (*put)(struct way_out *o, const struct slx_query_rows *r))
{
	struct slx_native *n = o->args.n;
	struct slx_http_exchange *x = o->args.x;
	silex_error err;
	struct slx_active_query active = { .text = slx_arg_text(&o->args, MATCH), .tenant = o->plan.who.tenant, .kind = "export",
		.request_id = slx_http_request_id(x) };
	slx_query_begin(&n->core->queries, &active);
	slx_native_answer_begin(&o->a, n, x, content_type);
	slx_buf_init(&o->times, n->core->mem, SLX_MEM_QUERY, 256 << 20);
	silex_status st = slx_query_open(slx_api_querier(slx_core_db(n->core)), &o->plan, &o->c, &err);
	if (st == SILEX_OK)
		st = write_all(o, put, &err);
	end_line(o);
	if (st != SILEX_OK && !o->a.streaming) {
		slx_native_answer_drop(&o->a);
		slx_native_fail(x, &err);
	} else {
		if (st != SILEX_OK) { /* no line that a reader could take for a sample */
			slx_native_put_text(&o->a.b, "# error: ");
			slx_native_put_text(&o->a.b, err.message);
			slx_native_put_text(&o->a.b, "\n");
		}
		slx_native_answer_end(&o->a);
	}
	slx_query_close(o->c);
	slx_buf_free(&o->times);
	slx_query_end(&n->core->queries, &active, 0, o->rows, st);
}

void slx_native_export(void *ctx, struct slx_http_exchange *x)
{
	struct way_out o = { .series = UINT64_MAX };
	if (read_request(&o, ctx, x))
		run(&o, "application/stream+json", put_lines);
	slx_native_selectors_free(&o.selectors);
}

void slx_native_export_csv(void *ctx, struct slx_http_exchange *x)
{
	struct way_out o = { .series = UINT64_MAX };
	if (read_request(&o, ctx, x) && read_columns(&o))
		run(&o, "text/csv; charset=utf-8", put_csv);
	slx_native_selectors_free(&o.selectors);
}
