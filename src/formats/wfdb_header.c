/* WFDB header files (header(5) of the WFDB Applications Guide, PhysioNet):
 *
 *     RECORD[/segments] signals [frequency[/counter[(base)]] [samples [time [date]]]]
 *     FILE format[xN][:skew][+offset] [GAIN [bits [zero [initial [checksum [block [description]]]]]]]
 *
 * with GAIN = gain[(baseline)][/unit];
 * one line for the record, one for each signal; blank lines and # comments anywhere. What is absent has the defaults of
 * the guide: 250 Hz, gain 200 per mV, baseline = ADC zero = 0. */
#include "formats/wfdb.h"

#include <ctype.h>
#include <stdio.h>

enum { HEADER_SIZE_MAX = 1 << 20 };

struct reader {
	const char *p, *end;         /* what is left of the header */
	unsigned line;               /* of `rest` */
	const char *rest, *rest_end; /* what is left of the line */
	silex_error *err;
};

/* Steps to the next line that is neither blank nor a comment. */
static bool next_line(struct reader *r)
{
	while (r->p < r->end) {
		const char *nl = memchr(r->p, '\n', (size_t)(r->end - r->p));
		r->rest = r->p;
		r->rest_end = nl ? nl : r->end;
		r->p = nl ? nl + 1 : r->end;
		r->line++;
		while (r->rest < r->rest_end && isspace((unsigned char)*r->rest))
			r->rest++;
		while (r->rest_end > r->rest && isspace((unsigned char)r->rest_end[-1]))
			r->rest_end--;
		if (r->rest < r->rest_end && *r->rest != '#')
			return true;
	}
	return false;
}

/* The next word of the line; empty at its end. */
static struct slx_str next_word(struct reader *r)
{
	const char *p = r->rest;
	while (p < r->rest_end && !isspace((unsigned char)*p))
		p++;
	struct slx_str w = { r->rest, (size_t)(p - r->rest) };
	while (p < r->rest_end && isspace((unsigned char)*p))
		p++;
	r->rest = p;
	return w;
}

static silex_status bad(struct reader *r, struct slx_str found, const char *expected)
{
	return slx_err(r->err, SILEX_INVALID, "header line %u: expected %s, found \"%.*s\"", r->line, expected,
		(int)(found.n < 60 ? found.n : 60), found.p);
}

/* Cuts w at the first c: w keeps what stands before, the rest is returned (empty when there is no c). */
static struct slx_str cut(struct slx_str *w, char c)
{
	const char *at = memchr(w->p, c, w->n);
	if (!at)
		return (struct slx_str){ w->p + w->n, 0 };
	struct slx_str tail = { at + 1, (size_t)(w->p + w->n - (at + 1)) };
	w->n = (size_t)(at - w->p);
	return tail;
}

static const char *copy(struct slx_arena *a, struct slx_str s)
{
	char *z = slx_arena_alloc(a, s.n + 1, 1);
	if (z) {
		memcpy(z, s.p, s.n);
		z[s.n] = 0;
	}
	return z;
}

static bool read_int(struct slx_str w, int64_t min, int64_t max, int64_t *ret)
{
	bool range;
	return slx_int64_parse(w.p, w.n, ret, &range) && *ret >= min && *ret <= max;
}

/* ---- the frequency ---- */

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t t = a % b;
		a = b;
		b = t;
	}
	return a;
}

/* The fraction with the least denominator in [an/ad, bn/bd] (walk down the Stern-Brocot tree). */
static void simplest_fraction(uint64_t an, uint64_t ad, uint64_t bn, uint64_t bd, uint64_t *ret_n, uint64_t *ret_d)
{
	uint64_t whole = an / ad;
	if (an % ad == 0 || bn / bd > whole) {
		*ret_n = whole + (an % ad != 0);
		*ret_d = 1;
		return;
	}
	uint64_t n, d;
	simplest_fraction(bd, bn - whole * bd, ad, an - whole * ad, &n, &d);
	*ret_n = whole * n + d;
	*ret_d = n;
}

/* A decimal as a fraction. Ten or more significant digits say that a fraction was rounded (0.0166666666667 is once a
 * minute), so the simplest one that rounds to these digits is meant; shorter decimals are meant as they stand. */
static bool read_rate(struct slx_str w, uint64_t *ret_n, uint64_t *ret_d)
{
	uint64_t v = 0, scale = 1;
	int digits = 0;
	bool point = false;
	for (size_t i = 0; i < w.n; i++) {
		if (w.p[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (!slx_is_digit(w.p[i]) || digits == 15 || scale > UINT64_C(100000000000000000))
			return false;
		v = v * 10 + (uint64_t)(w.p[i] - '0');
		digits += v != 0;
		scale *= point ? 10 : 1;
	}
	if (v == 0)
		return false;
	if (digits >= 10 && scale > 1) {
		simplest_fraction(2 * v - 1, 2 * scale, 2 * v + 1, 2 * scale, ret_n, ret_d);
		return true;
	}
	uint64_t g = gcd(v, scale);
	*ret_n = v / g;
	*ret_d = scale / g;
	return true;
}

/* ---- the record line ---- */

/* "[[HH:]MM:]SS[.fraction]" as nanoseconds of a day. */
static bool read_clock(struct slx_str w, int64_t *ret)
{
	int64_t parts[3] = { 0 }, total;
	size_t n = 0;
	struct slx_str rest = w;
	for (struct slx_str part; n < 2 && memchr(rest.p, ':', rest.n); n++) {
		part = rest;
		rest = cut(&part, ':');
		if (!read_int(part, 0, 59, &parts[n]))
			return false;
	}
	if (!rest.n || !slx_is_digit(*rest.p) || !slx_decimal_time(rest.p, rest.n, SLX_UNIT_S, &total) ||
		total >= 60 * SLX_SECOND)
		return false;
	int64_t hours = n == 2 ? parts[0] : 0, minutes = n ? parts[n - 1] : 0;
	*ret = hours * SLX_HOUR + minutes * SLX_MINUTE + total;
	return hours < 24;
}

static bool read_date(struct slx_str w, int64_t ret[3])
{
	struct slx_str month = cut(&w, '/'), year = cut(&month, '/');
	int64_t y, m;
	unsigned d;
	if (!read_int(w, 1, 31, &ret[0]) || !read_int(month, 1, 12, &ret[1]) || !read_int(year, 1, 9999, &ret[2]))
		return false;
	/* a day that does not exist comes back as another one */
	int64_t days = slx_days_from_civil(ret[2], (unsigned)ret[1], (unsigned)ret[0]);
	unsigned month_back;
	slx_civil_from_days(days, &y, &month_back, &d);
	m = month_back;
	return d == ret[0] && m == ret[1];
}

static silex_status read_start(struct reader *r, const struct slx_wfdb_options *o, struct slx_wfdb_header *h)
{
	struct slx_str clock = next_word(r), date = next_word(r);
	int64_t of_day = 0, dmy[3];
	if (clock.n && !read_clock(clock, &of_day))
		return bad(r, clock, "a time HH:MM:SS");
	if (date.n && !read_date(date, dmy))
		return bad(r, date, "a date DD/MM/YYYY");
	if (o && o->has_start) {
		h->start = o->start;
		return SILEX_OK;
	}
	if (!date.n)
		return slx_err(r->err, SILEX_INVALID,
			"header line %u: the record has no date; give its start time (--start TIME)", r->line);
	/* whole days first, so that nothing overflows for years like 2896 */
	int64_t days = slx_days_from_civil(dmy[2], (unsigned)dmy[1], (unsigned)dmy[0]);
	int64_t limit = SLX_TIME_MAX / SLX_DAY - 1;
	if (days < -limit || days > limit)
		return slx_err(r->err, SILEX_INVALID,
			"header line %u: the date %.*s lies outside the years 1677 to 2262; give another start time "
			"(--start TIME)",
			r->line, (int)date.n, date.p);
	h->start = days * SLX_DAY + of_day;
	return SILEX_OK;
}

static silex_status read_record_line(
	struct reader *r, const struct slx_wfdb_options *o, uint32_t signals_max, struct slx_wfdb_header *h)
{
	if (!next_line(r))
		return slx_err(r->err, SILEX_INVALID, "the header has no record line");
	struct slx_str name = next_word(r), count = next_word(r), rate = next_word(r), frames = next_word(r);
	struct slx_str segments = cut(&name, '/');
	int64_t n = 0;
	if (segments.n)
		return slx_err(r->err, SILEX_UNSUPPORTED,
			"header line %u: records of several segments are not supported; import the segments", r->line);
	if (!name.n || !slx_utf8_valid(name.p, name.n))
		return bad(r, name, "a record name");
	if (!read_int(count, 1, signals_max, &n))
		return bad(r, count, "a number of signals within the limit");
	h->signals_n = (uint32_t)n;
	h->rate_n = 250;
	h->rate_d = 1;
	cut(&rate, '/');
	if (rate.n && !read_rate(rate, &h->rate_n, &h->rate_d))
		return bad(r, rate, "a sampling frequency of at most 15 digits");
	if (frames.n && !read_int(frames, 0, INT64_MAX, &n))
		return bad(r, frames, "a number of samples");
	h->frames = frames.n ? (uint64_t)n : 0;
	h->record = copy(&h->arena, name);
	return h->record ? read_start(r, o, h) : slx_err_oom(r->err);
}

/* ---- signal lines ---- */

static silex_status read_format(
	struct reader *r, struct slx_str w, struct slx_wfdb_header *h, struct slx_wfdb_signal *s)
{
	struct slx_str all = w, offset = cut(&w, '+'), skew = cut(&w, ':'), per_frame = cut(&w, 'x');
	int64_t format, n = 0;
	if (!read_int(w, 0, 9999, &format))
		return bad(r, all, "a signal format");
	if (format != 16 && format != 212)
		return slx_err(r->err, SILEX_UNSUPPORTED, "header line %u: signal format %.*s; 16 and 212 are supported",
			r->line, (int)w.n, w.p);
	if ((per_frame.n && !(read_int(per_frame, 1, 1, &n))) || (skew.n && !read_int(skew, 0, 0, &n)))
		return slx_err(r->err, SILEX_UNSUPPORTED,
			"header line %u: several samples per frame, or a skew (\"%.*s\"), are not supported", r->line, (int)all.n,
			all.p);
	n = 0;
	if (offset.n && !read_int(offset, 0, INT64_MAX, &n))
		return bad(r, offset, "a byte offset");
	h->offset = (uint64_t)n;
	s->format = (uint16_t)format;
	return SILEX_OK;
}

/* gain[(baseline)][/unit] */
static silex_status read_gain(
	struct reader *r, struct slx_wfdb_header *h, struct slx_wfdb_signal *s, bool *ret_baseline)
{
	struct slx_str w = next_word(r), all = w, unit = cut(&w, '/'), baseline = cut(&w, '(');
	struct slx_number number;
	int64_t v = 0;
	*ret_baseline = baseline.n > 0;
	if (baseline.n && (baseline.p[--baseline.n] != ')' || !read_int(baseline, INT32_MIN, INT32_MAX, &v)))
		return bad(r, all, "gain(baseline)/unit");
	if (w.n && slx_number_parse(w.p, w.n, &number) != SLX_NUMBER_INT &&
		slx_number_parse(w.p, w.n, &number) != SLX_NUMBER_FLOAT)
		return bad(r, all, "a gain");
	s->gain = w.n && number.f64 != 0 ? number.f64 : 200; /* 0: not calibrated */
	s->baseline = (int32_t)v;
	s->unit = unit.n && slx_utf8_valid(unit.p, unit.n) ? copy(&h->arena, unit) : "mV";
	return s->unit ? SILEX_OK : slx_err_oom(r->err);
}

static silex_status read_signal_line(struct reader *r, struct slx_wfdb_header *h, uint32_t i)
{
	struct slx_wfdb_signal *s = &h->signals[i];
	struct slx_wfdb_check *c = &h->checks[i];
	if (!next_line(r))
		return slx_err(r->err, SILEX_INVALID, "the header ends before signal %u of %u", i + 1, h->signals_n);
	struct slx_str file = next_word(r), format = next_word(r);
	bool has_baseline;
	SLX_TRY(read_format(r, format, h, s));
	SLX_TRY(read_gain(r, h, s, &has_baseline));
	struct slx_str bits = next_word(r), zero = next_word(r), initial = next_word(r), sum = next_word(r);
	struct slx_str block = next_word(r);
	int64_t v = 0;
	if (bits.n && !read_int(bits, 0, 64, &v))
		return bad(r, bits, "the bits of the converter");
	v = 0;
	if (zero.n && !read_int(zero, INT32_MIN, INT32_MAX, &v))
		return bad(r, zero, "the converter's zero");
	if (!has_baseline)
		s->baseline = (int32_t)v;
	if (initial.n && !read_int(initial, INT32_MIN, INT32_MAX, &v))
		return bad(r, initial, "an initial value");
	c->has_initial = initial.n > 0;
	c->initial = (int32_t)v;
	if (sum.n && !read_int(sum, -65536, 65535, &v))
		return bad(r, sum, "a checksum of 16 bits");
	c->has_checksum = sum.n > 0;
	c->checksum = (int16_t)(uint16_t)v;
	if (block.n && !read_int(block, 0, INT32_MAX, &v))
		return bad(r, block, "a block size");
	struct slx_str description = { r->rest, (size_t)(r->rest_end - r->rest) };
	if (!slx_utf8_valid(description.p, description.n))
		return bad(r, description, "a description in UTF-8");
	s->description = copy(&h->arena, description);
	s->file = copy(&h->arena, file);
	s->samples = h->frames;
	return s->description && s->file ? SILEX_OK : slx_err_oom(r->err);
}

static silex_status parse(
	struct reader *r, const struct slx_wfdb_options *o, uint32_t signals_max, struct slx_wfdb_header *h)
{
	SLX_TRY(read_record_line(r, o, signals_max, h));
	size_t size = h->signals_n * sizeof *h->signals, checks_size = h->signals_n * sizeof *h->checks;
	h->signals = slx_arena_alloc(&h->arena, size, 8);
	h->checks = slx_arena_alloc(&h->arena, checks_size, 8);
	if (!h->signals || !h->checks)
		return slx_err_oom(r->err);
	memset(h->signals, 0, size);
	memset(h->checks, 0, checks_size);
	for (uint32_t i = 0; i < h->signals_n; i++) {
		uint64_t offset = h->offset;
		SLX_TRY(read_signal_line(r, h, i));
		if (i &&
			(strcmp(h->signals[i].file, h->signals[0].file) != 0 || h->signals[i].format != h->signals[0].format ||
				h->offset != offset))
			return slx_err(r->err, SILEX_UNSUPPORTED,
				"header line %u: signals in several files or formats are not supported", r->line);
	}
	return SILEX_OK;
}

silex_status slx_wfdb_header_parse(struct slx_mem *m, const char *p, size_t n, const struct slx_wfdb_options *o,
	uint32_t signals_max, struct slx_wfdb_header *ret, silex_error *err)
{
	struct reader r = { .p = p, .end = p + n, .err = err };
	struct slx_wfdb_header h = { 0 };
	if (n > HEADER_SIZE_MAX)
		return slx_err(err, SILEX_INVALID, "the header is longer than %d bytes", HEADER_SIZE_MAX);
	if (memchr(p, 0, n))
		return slx_err(err, SILEX_INVALID, "the header holds a zero byte: it is not a text");
	slx_arena_init(&h.arena, m, SLX_MEM_OTHER, 64 * 1024);
	silex_status st = parse(&r, o, signals_max, &h);
	if (st == SILEX_OK)
		*ret = h;
	else
		slx_wfdb_header_free(&h);
	return st;
}

void slx_wfdb_header_free(struct slx_wfdb_header *h)
{
	if (h->arena.mem)
		slx_arena_clear(&h->arena);
}
