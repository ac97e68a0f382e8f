/* See json.h. What is written once per label or per point asks for its room once and writes through a plain pointer. */
#include "server/core/json.h"

#include "formats/formats.h"
#include "promql/histogram.h"

enum {
	ESCAPED_MAX = 6,    /* \u001f */
	TIME_SIZE_MAX = 24, /* sign, 16 digits, point, three digits */
	POINT_SIZE_MAX = TIME_SIZE_MAX + SLX_F64_TEXT_SIZE + 8,
};

/* ---- strings ---- */

/* Does any of the 8 bytes need an escape: below 0x20, a quote or a backslash? */
static bool eight_need_escape(uint64_t w)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
	uint64_t quote = w ^ ones * '"', slash = w ^ ones * '\\';
	return (((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & tops;
}

static uint8_t *write_escaped(uint8_t *to, uint8_t c)
{
	static const char hex[] = "0123456789abcdef";
	const char *short_form = c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : c == '"' ? "\\\"" : c == '\\' ? "\\\\" : NULL;
	if (short_form) {
		memcpy(to, short_form, 2);
		return to + 2;
	}
	if (c >= 0x20) {
		*to = c;
		return to + 1;
	}
	memcpy(to, "\\u00", 4);
	to[4] = (uint8_t)hex[c >> 4];
	to[5] = (uint8_t)hex[c & 15];
	return to + 6;
}

/* Copies the text as it is; false when a byte of it needs an escape. Whole words, of which the last two may overlap: names and
 * values are short, and a call to memcpy for each would cost as much as the copying. */
static bool copy_plain(uint8_t *to, struct slx_str s)
{
	uint64_t w;
	if (s.n >= 8) {
		for (size_t i = 0;; i += 8) {
			if (i + 8 > s.n)
				i = s.n - 8;
			memcpy(&w, s.p + i, 8);
			memcpy(to + i, &w, 8);
			if (eight_need_escape(w))
				return false;
			if (i + 8 == s.n)
				return true;
		}
	}
	if (s.n >= 4) {
		uint32_t first, last;
		memcpy(&first, s.p, 4);
		memcpy(&last, s.p + s.n - 4, 4);
		memcpy(to, &first, 4);
		memcpy(to + s.n - 4, &last, 4);
		return !eight_need_escape((uint64_t)first << 32 | last);
	}
	w = UINT64_C(0x2020202020202020);
	for (size_t i = 0; i < s.n; i++) {
		to[i] = (uint8_t)s.p[i];
		w = w << 8 | to[i];
	}
	return !eight_need_escape(w);
}

/* There is room for ESCAPED_MAX * s.n + 2 bytes. */
static uint8_t *write_string(uint8_t *to, struct slx_str s)
{
	*to++ = '"';
	if (copy_plain(to, s)) {
		to += s.n;
	} else {
		for (size_t i = 0; i < s.n; i++)
			to = write_escaped(to, (uint8_t)s.p[i]);
	}
	*to++ = '"';
	return to;
}

/* The length of the well-formed character at p; 0: none. */
static size_t character(const char *p, size_t n)
{
	uint8_t c = (uint8_t)*p;
	size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	return len <= n && slx_utf8_valid(p, len) ? len : 0;
}

static void put_mended(struct slx_buf *b, struct slx_str s)
{
	slx_buf_u8(b, '"');
	for (size_t i = 0; i < s.n;) {
		size_t len = character(s.p + i, s.n - i);
		uint8_t *to = slx_buf_reserve(b, ESCAPED_MAX);
		if (len == 0)
			SLX_JSON_LITERAL(b, "\xef\xbf\xbd");
		else if (len > 1)
			slx_buf_put(b, s.p + i, len);
		else if (to)
			b->n = (size_t)(write_escaped(to, (uint8_t)s.p[i]) - b->p);
		i += len ? len : 1;
	}
	slx_buf_u8(b, '"');
}

void slx_json_text(struct slx_buf *b, struct slx_str s)
{
	if (!slx_utf8_valid(s.p, s.n)) {
		put_mended(b, s);
		return;
	}
	uint8_t *to = slx_buf_reserve(b, ESCAPED_MAX * s.n + 2);
	if (to)
		b->n = (size_t)(write_string(to, s) - b->p);
}

void slx_json_labels(struct slx_buf *b, struct slx_labels l)
{
	/* In the worst case all bytes are escaped; quotes, colon and comma come to each of at most l.n / 2 labels. */
	uint8_t *start = slx_buf_reserve(b, (ESCAPED_MAX + 3) * l.n + 2), *to = start;
	if (!to)
		return;
	*to++ = '{';
	struct slx_labels_iter it = slx_labels_iter(l);
	for (struct slx_label label; slx_labels_next(&it, &label);) {
		if (to > start + 1)
			*to++ = ',';
		to = write_string(to, label.name);
		*to++ = ':';
		to = write_string(to, label.value);
	}
	*to++ = '}';
	b->n = (size_t)(to - b->p);
}

/* ---- numbers ---- */

static uint8_t *write_time(uint8_t *to, int64_t ms)
{
	uint64_t a = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
	unsigned fraction = (unsigned)(a % 1000);
	if (ms < 0)
		*to++ = '-';
	to += slx_format_u64(a / 1000, (char *)to);
	if (fraction) {
		to[0] = '.';
		to[1] = (uint8_t)('0' + fraction / 100);
		to[2] = (uint8_t)('0' + fraction / 10 % 10);
		to[3] = (uint8_t)('0' + fraction % 10);
		to += 4;
	}
	return to;
}

static uint8_t *write_value(uint8_t *to, double v)
{
	*to++ = '"';
	to += slx_format_f64(v, (char *)to);
	*to++ = '"';
	return to;
}

void slx_json_time(struct slx_buf *b, int64_t ms)
{
	uint8_t *to = slx_buf_reserve(b, TIME_SIZE_MAX);
	if (to)
		b->n = (size_t)(write_time(to, ms) - b->p);
}

void slx_json_value(struct slx_buf *b, double v)
{
	uint8_t *to = slx_buf_reserve(b, SLX_F64_TEXT_SIZE + 2);
	if (to)
		b->n = (size_t)(write_value(to, v) - b->p);
}

void slx_json_u64(struct slx_buf *b, uint64_t v)
{
	uint8_t *to = slx_buf_reserve(b, SLX_U64_TEXT_SIZE);
	if (to)
		b->n += slx_format_u64(v, (char *)to);
}

void slx_json_points(struct slx_buf *b, const int64_t *t, const double *v, size_t stride, size_t n)
{
	uint8_t *start = slx_buf_reserve(b, n * POINT_SIZE_MAX), *to = start;
	if (!to)
		return;
	for (size_t i = 0; i < n; i++) {
		if (i)
			*to++ = ',';
		*to++ = '[';
		to = write_time(to, *t);
		*to++ = ',';
		to = write_value(to, *v);
		*to++ = ']';
		t = (const int64_t *)((const char *)t + stride);
		v = (const double *)((const char *)v + stride);
	}
	b->n = (size_t)(to - b->p);
}

/* ---- histograms ---- */

/* [boundaries, lower, upper, count]; boundaries is Prometheus' number for which bounds belong to the bucket. */
static void put_bucket(struct slx_buf *b, const struct slx_pq_bucket *bucket)
{
	static const char *const open[2][2] = { { "[2,", "[0," }, { "[1,", "[3," } }; /* by lower, upper inclusive */
	slx_buf_put(b, open[bucket->lower_inclusive][bucket->upper_inclusive], 3);
	slx_json_value(b, bucket->lower);
	slx_buf_u8(b, ',');
	slx_json_value(b, bucket->upper);
	slx_buf_u8(b, ',');
	slx_json_value(b, bucket->count);
	slx_buf_u8(b, ']');
}

void slx_json_histogram(struct slx_buf *b, const struct slx_histogram *h)
{
	SLX_JSON_LITERAL(b, "{\"count\":");
	slx_json_value(b, h->count);
	SLX_JSON_LITERAL(b, ",\"sum\":");
	slx_json_value(b, h->sum);
	bool any = false;
	struct slx_pq_buckets it = slx_pq_buckets(h, false);
	for (struct slx_pq_bucket bucket; slx_pq_buckets_next(&it, &bucket);) {
		if (bucket.count == 0)
			continue;
		if (any)
			slx_buf_u8(b, ',');
		else
			SLX_JSON_LITERAL(b, ",\"buckets\":[");
		any = true;
		put_bucket(b, &bucket);
	}
	if (any)
		slx_buf_u8(b, ']');
	slx_buf_u8(b, '}');
}
