/* Rows as JSON, JSON lines and CSV, written while they are read.
 *
 *     JSON   {"series":[{"labels":{..},"kind":"float64","samples":[["2024-05-01T10:00:00Z",72.5],..]},..],"stats":{..}}
 *     lines  {"name":"hr","labels":{..},"time":"..","value":72.5}           what `silex import` and /api/v1/import read
 *     CSV    time,series,value
 *
 * A float64 has a point or an exponent, an int64 has none; NaN and infinities are strings. When a query fails after the first piece went
 * out, JSON ends with "error" in place of "stats", lines with {"error":..}, CSV with a line "# error: ..". */
#include "server/native/native_int.h"

#include "formats/formats.h"

#include <math.h>

enum { ROW_SIZE_MAX = SLX_TIME_TEXT_SIZE + SLX_F64_TEXT_SIZE + 40 };

struct out {
	struct slx_native_answer a;
	enum slx_rows_format format;
	enum slx_rows_time times;
	struct slx_query_cursor *c;
	struct slx_buf head; /* what stands before or in every row of the series: its name and labels */
	uint64_t series;     /* number of the one that is open */
	enum slx_kind kind;
	bool any, first; /* a series is open; no sample of it yet */
	uint64_t rows, series_n;
};

bool slx_rows_format(const struct slx_native_args *a, size_t field, enum slx_rows_format *ret)
{
	struct slx_str accept = slx_http_header(a->x, "Accept");
	unsigned k = SLX_ROWS_JSON;
	if (accept.p && memmem(accept.p, accept.n, "text/csv", 8))
		k = SLX_ROWS_CSV;
	else if (accept.p && (memmem(accept.p, accept.n, "ndjson", 6) || memmem(accept.p, accept.n, "jsonl", 5)))
		k = SLX_ROWS_JSONL;
	bool ok = slx_arg_choice(a, field, "json|jsonl|csv", &k);
	*ret = (enum slx_rows_format)k;
	return ok;
}

/* ---- parts of a row; there is room for ROW_SIZE_MAX at `to` ---- */

static uint8_t *write_time(uint8_t *to, int64_t t, enum slx_rows_time form, bool quoted)
{
	static const int64_t units[] = { [SLX_ROWS_S] = SLX_SECOND, [SLX_ROWS_MS] = SLX_MS, [SLX_ROWS_US] = SLX_US, [SLX_ROWS_NS] = 1 };
	if (form == SLX_ROWS_RFC3339) {
		if (quoted)
			*to++ = '"';
		to += slx_time_format(t, (char *)to);
		if (quoted)
			*to++ = '"';
		return to;
	}
	uint64_t unit = (uint64_t)units[form], a = t < 0 ? 0 - (uint64_t)t : (uint64_t)t, rest = a % unit;
	if (t < 0)
		*to++ = '-';
	to += slx_format_u64(a / unit, (char *)to);
	if (rest) { /* exact: as many digits as are needed */
		*to++ = '.';
		for (uint64_t place = unit / 10; rest; place /= 10) {
			*to++ = (uint8_t)('0' + rest / place);
			rest %= place;
		}
	}
	return to;
}

static uint8_t *write_f64(uint8_t *to, double v, bool json)
{
	if (!isfinite(v) && json)
		*to++ = '"';
	size_t n = slx_format_f64(v, (char *)to);
	bool whole = json && isfinite(v) && !memchr(to, '.', n) && !memchr(to, 'e', n);
	to += n;
	if (whole) {
		memcpy(to, ".0", 2);
		to += 2;
	}
	if (!isfinite(v) && json)
		*to++ = '"';
	return to;
}

static uint8_t *write_number(uint8_t *to, enum slx_kind kind, uint64_t bits, bool json)
{
	if (kind == SLX_KIND_FLOAT64)
		return write_f64(to, slx_bits_f64(bits), json);
	if (kind == SLX_KIND_BOOL) {
		memcpy(to, bits ? "true" : "false", 5);
		return to + (bits ? 4 : 5);
	}
	int64_t v = (int64_t)bits;
	if (v < 0)
		*to++ = '-';
	return to + slx_format_u64(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, (char *)to);
}

static void put_csv_text(struct slx_buf *b, struct slx_str s)
{
	bool quote = false;
	for (size_t i = 0; i < s.n && !quote; i++)
		quote = strchr(",\"\r\n ", s.p[i]) != NULL;
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

static void put_state(struct out *o, uint64_t bits)
{
	struct slx_str text = slx_str(slx_query_state(o->c, (uint32_t)bits));
	if (o->format == SLX_ROWS_CSV)
		put_csv_text(&o->a.b, text);
	else
		slx_json_text(&o->a.b, text);
}

/* ---- series ---- */

static void put_name_and_labels(struct slx_buf *b, struct slx_labels l)
{
	struct slx_labels_iter it = slx_labels_iter(l);
	bool first = true;
	slx_native_put_text(b, "{\"name\":");
	slx_json_text(b, slx_labels_get(l, SLX_METRIC_NAME));
	slx_native_put_text(b, ",\"labels\":{");
	for (struct slx_label label; slx_labels_next(&it, &label);) {
		if (slx_str_eq(label.name, SLX_METRIC_NAME))
			continue;
		if (!first)
			slx_buf_u8(b, ',');
		first = false;
		slx_json_text(b, label.name);
		slx_buf_u8(b, ':');
		slx_json_text(b, label.value);
	}
	slx_native_put_text(b, "},\"time\":");
}

static void put_series_cell(struct slx_buf *b, struct slx_labels l)
{
	struct slx_buf text;
	slx_buf_init(&text, b->mem, b->use, 1 << 20);
	slx_labels_format(l, &text);
	b->failed |= text.failed;
	slx_buf_u8(b, ',');
	put_csv_text(b, (struct slx_str){ (const char *)text.p, text.n });
	slx_buf_u8(b, ',');
	slx_buf_free(&text);
}

static void open_series(struct out *o, const struct slx_query_rows *r)
{
	struct slx_buf *b = &o->a.b;
	slx_buf_reset(&o->head);
	o->series_n += !o->any || o->series != r->series;
	if (o->format == SLX_ROWS_JSONL)
		put_name_and_labels(&o->head, r->labels);
	if (o->format == SLX_ROWS_CSV)
		put_series_cell(&o->head, r->labels);
	b->failed |= o->head.failed;
	if (o->format == SLX_ROWS_JSON) {
		slx_native_put_text(b, o->any ? "]},\n{\"labels\":" : "\n{\"labels\":");
		slx_json_labels(b, r->labels);
		slx_native_put(b, ",\"kind\":\"%s\",\"samples\":[", slx_kind_name(r->kind));
	}
	o->any = o->first = true;
	o->series = r->series;
	o->kind = r->kind;
}

/* ---- rows ---- */

static void put_value(struct out *o, const struct slx_query_rows *r, size_t i)
{
	struct slx_buf *b = &o->a.b;
	if (r->null && r->null[i]) {
		if (o->format != SLX_ROWS_CSV)
			slx_native_put_text(b, "null");
	} else if (r->kind == SLX_KIND_ENUM) {
		put_state(o, r->bits[i]);
	} else {
		uint8_t *to = slx_buf_reserve(b, ROW_SIZE_MAX);
		if (to)
			b->n = (size_t)(write_number(to, r->kind, r->bits[i], o->format != SLX_ROWS_CSV) - b->p);
	}
}

static void put_row(struct out *o, const struct slx_query_rows *r, size_t i)
{
	struct slx_buf *b = &o->a.b;
	if (o->format == SLX_ROWS_JSON)
		slx_native_put_text(b, o->first ? "[" : ",[");
	if (o->format == SLX_ROWS_JSONL)
		slx_buf_put(b, o->head.p, o->head.n);
	uint8_t *to = slx_buf_reserve(b, ROW_SIZE_MAX);
	if (to)
		b->n = (size_t)(write_time(to, r->times[i], o->times, o->format != SLX_ROWS_CSV) - b->p);
	switch (o->format) {
	case SLX_ROWS_JSON:
		slx_buf_u8(b, ',');
		put_value(o, r, i);
		slx_buf_u8(b, ']');
		break;
	case SLX_ROWS_JSONL:
		slx_native_put_text(b, ",\"value\":");
		put_value(o, r, i);
		slx_native_put_text(b, "}\n");
		break;
	default:
		slx_buf_put(b, o->head.p, o->head.n);
		put_value(o, r, i);
		slx_buf_u8(b, '\n');
	}
	o->first = false;
}

static bool put_batch(struct out *o, const struct slx_query_rows *r)
{
	if (!o->any || r->series != o->series || r->kind != o->kind)
		open_series(o, r);
	for (size_t i = 0; i < r->n; i++) {
		put_row(o, r, i);
		if (i % 1024 == 1023 && !slx_native_answer_spill(&o->a))
			return false;
	}
	o->rows += r->n;
	return slx_native_answer_spill(&o->a);
}

/* ---- the end ---- */

static void put_stats(struct out *o)
{
	silex_query_stats s;
	slx_query_stats(o->c, &s);
	slx_native_put(&o->a.b, "\"stats\":{\"series\":%llu,\"rows\":%llu,\"points\":%llu,\"chunks\":%llu,\"chunks_by_header\":%llu,", (unsigned long long)s.series,
		(unsigned long long)o->rows, (unsigned long long)s.points, (unsigned long long)s.chunks, (unsigned long long)s.chunks_by_header);
	slx_native_put(&o->a.b, "\"bytes_read\":%llu,\"elapsed_s\":%.9f}", (unsigned long long)s.bytes_read, (double)s.elapsed_ns / 1e9);
}

static void put_end(struct out *o, silex_status st, const silex_error *err)
{
	struct slx_buf *b = &o->a.b;
	if (o->format == SLX_ROWS_JSON) {
		slx_native_put_text(b, o->any ? "]}\n]," : "],");
		if (st == SILEX_OK) {
			put_stats(o);
		} else {
			slx_native_put_text(b, "\"error\":");
			slx_native_put_problem(b, err);
		}
		slx_native_put_text(b, "}\n");
	} else if (st != SILEX_OK && o->format == SLX_ROWS_JSONL) {
		slx_native_put_text(b, "{\"error\":");
		slx_native_put_problem(b, err);
		slx_native_put_text(b, "}\n");
	} else if (st != SILEX_OK) {
		slx_native_put_text(b, "# error: ");
		slx_native_put_text(b, err->message);
		slx_native_put_text(b, "\n");
	}
}

static silex_status put_all(struct out *o, silex_error *err)
{
	const _Atomic bool *canceled = slx_http_canceled(o->a.x);
	struct slx_query_rows r;
	for (;;) {
		SLX_TRY(slx_query_next(o->c, &r, err));
		if (r.n == 0)
			return SILEX_OK;
		if (!put_batch(o, &r) || atomic_load_explicit(canceled, memory_order_relaxed))
			return slx_err(err, SILEX_CANCELED, "the client went away");
	}
}

silex_status slx_rows_answer(struct slx_native *n, struct slx_http_exchange *x, enum slx_rows_format format, enum slx_rows_time times,
	struct slx_query_cursor *c, uint64_t *ret_series, uint64_t *ret_rows)
{
	static const char *const types[] = { "application/json", "application/x-ndjson", "text/csv; charset=utf-8" };
	struct out o = { .format = format, .times = times, .c = c };
	silex_error err;
	slx_native_answer_begin(&o.a, n, x, types[format]);
	slx_buf_init(&o.head, n->core->mem, SLX_MEM_QUERY, 2 << 20);
	if (format != SLX_ROWS_JSONL)
		slx_native_put_text(&o.a.b, format == SLX_ROWS_JSON ? "{\"series\":[" : "time,series,value\n");
	silex_status st = put_all(&o, &err);
	if (st != SILEX_OK && !o.a.streaming) {
		slx_native_answer_drop(&o.a);
		slx_native_fail(x, &err);
	} else {
		put_end(&o, st, &err);
		slx_native_answer_end(&o.a);
	}
	slx_buf_free(&o.head);
	slx_query_close(c);
	*ret_series += o.series_n;
	*ret_rows += o.rows;
	return st;
}
