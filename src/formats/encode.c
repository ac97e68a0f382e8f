/* Rows -> text. */
#include "formats/formats_int.h"
#include "formats/lineprotocol.h"

#include <math.h>
#include <stdio.h>

static void put_text(struct slx_buf *b, const char *z) { slx_buf_put(b, z, strlen(z)); }

__attribute__((format(printf, 2, 3))) static void put_format(struct slx_buf *b, const char *fmt, ...)
{
	char text[32];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	slx_buf_put(b, text, (size_t)n);
}

static void put_value(struct slx_buf *b, const struct slx_row *row)
{
	switch (row->kind) {
	case SLX_KIND_INT64:
		put_format(b, "%lld", (long long)(int64_t)row->bits);
		break;
	case SLX_KIND_FLOAT64:
		slx_encode_f64(b, slx_bits_f64(row->bits));
		break;
	default:
		put_format(b, "%llu", (unsigned long long)row->bits);
	}
}

static void put_time(struct slx_buf *b, int64_t t)
{
	char text[SLX_TIME_TEXT_SIZE];
	slx_buf_put(b, text, slx_time_format(t, text));
}

static struct slx_str label_value(const struct slx_row *row, struct slx_str name)
{
	for (uint32_t i = 0; i < row->labels_n; i++)
		if (slx_str_eq(row->labels[i].name, name))
			return row->labels[i].value;
	return (struct slx_str){ "", 0 };
}

static bool is_name(const struct slx_label *l) { return slx_str_eq(l->name, SLX_METRIC_NAME); }

/* ---- exposition ---- */

static void put_escaped(struct slx_buf *b, struct slx_str s)
{
	slx_buf_u8(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '\n')
			put_text(b, "\\n");
		else if (c == '"' || c == '\\')
			slx_buf_put(b, (char[]){ '\\', c }, 2);
		else
			slx_buf_u8(b, (uint8_t)c);
	}
	slx_buf_u8(b, '"');
}

static bool is_plain(struct slx_str s, bool colons)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
		if (!letter && c != '_' && !(colons && c == ':') && !(i && slx_is_digit(c)))
			return false;
	}
	return s.n > 0;
}

/* name{label="value"}, a name outside the classic alphabet quoted inside the braces. */
static void put_series(struct slx_buf *b, const struct slx_row *row)
{
	struct slx_str name = label_value(row, SLX_METRIC_NAME);
	bool outside = is_plain(name, true), open = false;
	if (outside)
		slx_buf_put(b, name.p, name.n);
	else if (name.n) {
		slx_buf_u8(b, '{');
		open = true;
		put_escaped(b, name);
	}
	for (uint32_t i = 0; i < row->labels_n; i++) {
		const struct slx_label *l = &row->labels[i];
		if (is_name(l))
			continue;
		slx_buf_u8(b, open ? ',' : '{');
		open = true;
		if (is_plain(l->name, false))
			slx_buf_put(b, l->name.p, l->name.n);
		else
			put_escaped(b, l->name);
		slx_buf_u8(b, '=');
		put_escaped(b, l->value);
	}
	if (open)
		slx_buf_u8(b, '}');
	else if (!outside)
		put_text(b, "{}");
}

/* Nanoseconds as seconds, exactly, without trailing zeros. */
static void put_seconds(struct slx_buf *b, int64_t t)
{
	uint64_t a = t < 0 ? 0 - (uint64_t)t : (uint64_t)t;
	unsigned rest = (unsigned)(a % 1000000000u);
	put_format(b, "%s%llu", t < 0 ? "-" : "", (unsigned long long)(a / 1000000000u));
	if (!rest)
		return;
	char text[16];
	int n = snprintf(text, sizeof text, ".%09u", rest);
	while (text[n - 1] == '0')
		n--;
	slx_buf_put(b, text, (size_t)n);
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

void slx_encode_exposition(struct slx_buf *b, const struct slx_row *row, bool openmetrics)
{
	put_series(b, row);
	slx_buf_u8(b, ' ');
	put_value(b, row);
	if (row->has_time) {
		slx_buf_u8(b, ' ');
		if (openmetrics)
			put_seconds(b, row->t);
		else
			put_format(b, "%lld", (long long)floor_div(row->t, SLX_MS));
	}
	slx_buf_u8(b, '\n');
}

/* ---- line protocol ---- */

bool slx_encode_line(struct slx_buf *b, const struct slx_row *row, enum slx_time_unit precision)
{
	struct slx_line_value v = { .key = SLX_STR("value") };
	switch (row->kind) {
	case SLX_KIND_FLOAT64:
		v.type = SLX_LINE_FLOAT;
		v.value.f64 = slx_bits_f64(row->bits);
		break;
	case SLX_KIND_BOOL:
		v.type = SLX_LINE_BOOL;
		v.value.b = row->bits != 0;
		break;
	default:
		v.type = SLX_LINE_INT;
		v.value.i64 = (int64_t)row->bits;
	}
	return slx_line_write(
		b, label_value(row, SLX_METRIC_NAME), row->labels, row->labels_n, &v, 1, floor_div(row->t, slx_unit_ns(precision)));
}

/* ---- JSON lines ---- */

static void put_json_string(struct slx_buf *b, struct slx_str s)
{
	slx_buf_u8(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '"' || c == '\\')
			slx_buf_put(b, (char[]){ '\\', (char)c }, 2);
		else if (c < 32)
			put_format(b, "\\u%04x", c);
		else
			slx_buf_u8(b, c);
	}
	slx_buf_u8(b, '"');
}

static void put_json_value(struct slx_buf *b, const struct slx_row *row)
{
	double v = slx_bits_f64(row->bits);
	if (row->kind == SLX_KIND_BOOL) {
		put_text(b, row->bits ? "true" : "false");
	} else if (row->kind != SLX_KIND_FLOAT64) {
		put_value(b, row);
	} else if (!isfinite(v)) {
		slx_buf_u8(b, '"');
		slx_encode_f64(b, v);
		slx_buf_u8(b, '"');
	} else {
		size_t n = b->n;
		slx_encode_f64(b, v);
		/* a float that looks like an integer keeps its kind */
		if (!b->failed && !memchr(b->p + n, '.', b->n - n) && !memchr(b->p + n, 'e', b->n - n))
			put_text(b, ".0");
	}
}

void slx_encode_jsonl(struct slx_buf *b, const struct slx_row *row)
{
	put_text(b, "{\"name\":");
	put_json_string(b, label_value(row, SLX_METRIC_NAME));
	put_text(b, ",\"labels\":{");
	bool first = true;
	for (uint32_t i = 0; i < row->labels_n; i++) {
		if (is_name(&row->labels[i]))
			continue;
		if (!first)
			slx_buf_u8(b, ',');
		first = false;
		put_json_string(b, row->labels[i].name);
		slx_buf_u8(b, ':');
		put_json_string(b, row->labels[i].value);
	}
	slx_buf_u8(b, '}');
	if (row->has_time) {
		put_text(b, ",\"time\":\"");
		put_time(b, row->t);
		slx_buf_u8(b, '"');
	}
	put_text(b, ",\"value\":");
	put_json_value(b, row);
	put_text(b, "}\n");
}

/* ---- CSV ---- */

static char delimiter(const struct slx_csv_encode_options *o) { return o->delimiter ? o->delimiter : ','; }

static void put_cell(struct slx_buf *b, char delim, struct slx_str s)
{
	bool quote = s.n && (s.p[0] == ' ' || s.p[s.n - 1] == ' ');
	for (size_t i = 0; i < s.n && !quote; i++)
		quote = s.p[i] == delim || s.p[i] == '"' || s.p[i] == '\n' || s.p[i] == '\r';
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

void slx_encode_csv_header(struct slx_buf *b, const struct slx_csv_encode_options *o)
{
	char delim = delimiter(o);
	put_text(b, "time");
	slx_buf_u8(b, (uint8_t)delim);
	if (!o->columns) {
		put_text(b, "series");
		slx_buf_u8(b, (uint8_t)delim);
	}
	for (uint32_t i = 0; o->columns && i < o->columns_n; i++) {
		put_cell(b, delim, slx_str(o->columns[i]));
		slx_buf_u8(b, (uint8_t)delim);
	}
	put_text(b, "value\n");
}

static void put_series_cell(struct slx_buf *b, char delim, const struct slx_row *row)
{
	struct slx_buf text;
	slx_buf_init(&text, b->mem, b->use, b->size_max);
	put_series(&text, row);
	b->failed |= text.failed;
	put_cell(b, delim, (struct slx_str){ (const char *)text.p, text.n });
	slx_buf_free(&text);
}

void slx_encode_csv(struct slx_buf *b, const struct slx_csv_encode_options *o, const struct slx_row *row)
{
	char delim = delimiter(o);
	if (o->time_number)
		put_format(b, "%lld", (long long)row->t);
	else
		put_time(b, row->t);
	slx_buf_u8(b, (uint8_t)delim);
	if (!o->columns) {
		put_series_cell(b, delim, row);
		slx_buf_u8(b, (uint8_t)delim);
	}
	for (uint32_t i = 0; o->columns && i < o->columns_n; i++) {
		put_cell(b, delim, label_value(row, slx_str(o->columns[i])));
		slx_buf_u8(b, (uint8_t)delim);
	}
	if (row->kind == SLX_KIND_BOOL)
		put_text(b, row->bits ? "true" : "false");
	else
		put_value(b, row);
	slx_buf_u8(b, '\n');
}
