/* Native histograms as bytes (docs of the fields: histogram.h).
 *
 *     u8      flags: INTEGER, PACKED, two bits of reset hint, ZERO, START
 *     varint  zigzag schema
 *     counts  one: count
 *     f64     sum
 *     ZERO:   f64 threshold, counts one: zero count      (without: both are +0)
 *     START:  varint zigzag start
 *     schema CUSTOM: varint n, n x f64 bounds
 *     side    positive
 *     side    negative (not of CUSTOM)
 *
 *     side =  varint spans, per span: varint zigzag offset, varint length; then counts, as many as the lengths add up to
 *     counts = PACKED: varint zigzag, each the difference to the one before in this run; else f64
 *
 * PACKED is set when INTEGER is and every count is a whole number below 2^63. So one histogram has one form of bytes. */
#include "model/histogram.h"

#include <math.h>

enum { INTEGER = 1, PACKED = 2, RESET_SHIFT = 2, RESET_MASK = 3 << RESET_SHIFT, ZERO = 16, START = 32, FLAGS = 63 };

/* ---- check ---- */

static silex_status check_spans(
	const char *side, const struct slx_span *s, uint32_t n, uint32_t buckets, silex_error *err)
{
	if (n > SLX_HISTOGRAM_BUCKETS_MAX || buckets > SLX_HISTOGRAM_BUCKETS_MAX)
		return slx_err(err, SILEX_INVALID, "%s side has %u spans and %u buckets; expected at most %d", side, n, buckets,
			SLX_HISTOGRAM_BUCKETS_MAX);
	uint64_t sum = 0;
	int64_t index = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (i > 0 && s[i].offset < 0)
			return slx_err(err, SILEX_INVALID, "%s side, span %u: offset %d; expected 0 or more after the first", side,
				i, (int)s[i].offset);
		sum += s[i].length;
		index += (int64_t)s[i].offset + s[i].length;
		if (index > INT32_MAX || index < INT32_MIN)
			return slx_err(
				err, SILEX_INVALID, "%s side, span %u: bucket index %lld; expected 32 bits", side, i, (long long)index);
	}
	if (sum != buckets)
		return slx_err(err, SILEX_INVALID, "%s side: spans of %llu buckets, but %u counts", side,
			(unsigned long long)sum, buckets);
	return SILEX_OK;
}

static silex_status check_counts(const char *side, const double *c, uint32_t n, silex_error *err)
{
	for (uint32_t i = 0; i < n; i++)
		if (c[i] < 0)
			return slx_err(err, SILEX_INVALID, "%s side, bucket %u: count %g; expected 0 or more", side, i, c[i]);
	return SILEX_OK;
}

static silex_status check_custom(const struct slx_histogram *h, silex_error *err)
{
	if (h->custom_n > SLX_HISTOGRAM_BUCKETS_MAX)
		return slx_err(
			err, SILEX_INVALID, "%u custom bounds; expected at most %d", h->custom_n, SLX_HISTOGRAM_BUCKETS_MAX);
	for (uint32_t i = 0; i < h->custom_n; i++) {
		if (isnan(h->custom[i]) || h->custom[i] == INFINITY)
			return slx_err(err, SILEX_INVALID,
				"custom bound %u: %g; expected a number below +Inf, whose bucket is implied", i, h->custom[i]);
		if (i > 0 && h->custom[i] <= h->custom[i - 1])
			return slx_err(err, SILEX_INVALID, "custom bound %u: %g after %g; expected ascending bounds", i,
				h->custom[i], h->custom[i - 1]);
	}
	int64_t end = 0;
	for (uint32_t i = 0; i < h->positive_spans_n; i++)
		end += (int64_t)h->positive_spans[i].offset + h->positive_spans[i].length;
	if ((h->positive_spans_n && h->positive_spans[0].offset < 0) || end > (int64_t)h->custom_n + 1)
		return slx_err(err, SILEX_INVALID, "spans of custom buckets reach outside the %u buckets", h->custom_n + 1);
	if (h->zero_count != 0 || h->zero_threshold != 0 || h->negative_spans_n || h->negative_n)
		return slx_err(err, SILEX_INVALID, "a zero bucket or negative buckets beside custom buckets");
	return SILEX_OK;
}

silex_status slx_histogram_check(const struct slx_histogram *h, silex_error *err)
{
	bool custom = h->schema == SLX_HISTOGRAM_CUSTOM;
	if (!custom && (h->schema < SLX_HISTOGRAM_SCHEMA_MIN || h->schema > SLX_HISTOGRAM_SCHEMA_MAX))
		return slx_err(err, SILEX_INVALID, "histogram schema %d; expected %d to %d or %d", h->schema,
			SLX_HISTOGRAM_SCHEMA_MIN, SLX_HISTOGRAM_SCHEMA_MAX, SLX_HISTOGRAM_CUSTOM);
	if (h->reset > SLX_RESET_GAUGE)
		return slx_err(err, SILEX_INVALID, "counter reset hint %u; expected 0 to %d", h->reset, SLX_RESET_GAUGE);
	if (h->count < 0)
		return slx_err(err, SILEX_INVALID, "histogram count %g; expected 0 or more", h->count);
	if (h->zero_count < 0 || !(h->zero_threshold >= 0))
		return slx_err(err, SILEX_INVALID, "zero bucket of width %g with count %g; expected 0 or more",
			h->zero_threshold, h->zero_count);
	SLX_TRY(check_spans("positive", h->positive_spans, h->positive_spans_n, h->positive_n, err));
	SLX_TRY(check_spans("negative", h->negative_spans, h->negative_spans_n, h->negative_n, err));
	SLX_TRY(check_counts("positive", h->positive, h->positive_n, err));
	SLX_TRY(check_counts("negative", h->negative, h->negative_n, err));
	if (custom)
		return check_custom(h, err);
	if (h->custom_n)
		return slx_err(
			err, SILEX_INVALID, "custom bounds with schema %d; expected schema %d", h->schema, SLX_HISTOGRAM_CUSTOM);
	return SILEX_OK;
}

/* ---- encode ---- */

static bool whole(double v) { return v >= 0 && v < 0x1p63 && v == floor(v) && !signbit(v); }

static bool all_whole(const double *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!whole(v[i]))
			return false;
	return true;
}

static void put_f64(struct slx_buf *out, double v) { slx_buf_u64(out, slx_f64_bits(v)); }

static void put_counts(struct slx_buf *out, bool packed, const double *v, uint32_t n)
{
	int64_t before = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!packed) {
			put_f64(out, v[i]);
			continue;
		}
		int64_t now = (int64_t)v[i];
		slx_buf_varint(out, slx_zigzag(now - before));
		before = now;
	}
}

static void put_side(
	struct slx_buf *out, bool packed, const struct slx_span *s, uint32_t spans_n, const double *v, uint32_t n)
{
	slx_buf_varint(out, spans_n);
	for (uint32_t i = 0; i < spans_n; i++) {
		slx_buf_varint(out, slx_zigzag(s[i].offset));
		slx_buf_varint(out, s[i].length);
	}
	put_counts(out, packed, v, n);
}

void slx_histogram_encode(const struct slx_histogram *h, struct slx_buf *out)
{
	bool packed = h->integer && whole(h->count) && whole(h->zero_count) && all_whole(h->positive, h->positive_n) &&
		all_whole(h->negative, h->negative_n);
	bool zero = slx_f64_bits(h->zero_threshold) || slx_f64_bits(h->zero_count);
	slx_buf_u8(out,
		(uint8_t)((h->integer ? INTEGER : 0) | (packed ? PACKED : 0) | h->reset << RESET_SHIFT | (zero ? ZERO : 0) |
			(h->start ? START : 0)));
	slx_buf_varint(out, slx_zigzag(h->schema));
	put_counts(out, packed, &h->count, 1);
	put_f64(out, h->sum);
	if (zero) {
		put_f64(out, h->zero_threshold);
		put_counts(out, packed, &h->zero_count, 1);
	}
	if (h->start)
		slx_buf_varint(out, slx_zigzag(h->start));
	if (h->schema == SLX_HISTOGRAM_CUSTOM) {
		slx_buf_varint(out, h->custom_n);
		for (uint32_t i = 0; i < h->custom_n; i++)
			put_f64(out, h->custom[i]);
	}
	put_side(out, packed, h->positive_spans, h->positive_spans_n, h->positive, h->positive_n);
	if (h->schema != SLX_HISTOGRAM_CUSTOM)
		put_side(out, packed, h->negative_spans, h->negative_spans_n, h->negative, h->negative_n);
}

/* ---- decode ---- */

/* What a decoder reads from; `why` says what was wrong first, NULL when bytes were missing. */
struct source {
	struct slx_rd r;
	struct slx_arena *arena;
	bool packed, oom;
	const char *why;
};

static void wrong(struct source *s, const char *why)
{
	if (!s->r.bad)
		s->why = why;
	s->r.bad = true;
}

static double get_f64(struct source *s) { return slx_bits_f64(slx_rd_u64(&s->r)); }

static void get_counts(struct source *s, double *v, uint32_t n)
{
	uint64_t now = 0; /* wraps; the result is looked at */
	for (uint32_t i = 0; i < n && !s->r.bad; i++) {
		if (!s->packed) {
			v[i] = get_f64(s);
			continue;
		}
		now += (uint64_t)slx_unzigzag(slx_rd_varint(&s->r));
		if (now > INT64_MAX)
			wrong(s, "a packed count outside 63 bits");
		v[i] = (double)now;
	}
}

/* A number of things of at least `size` bytes each that are still to come. */
static uint32_t get_length(struct source *s, size_t size)
{
	uint64_t n = slx_rd_varint(&s->r);
	if (n > SLX_HISTOGRAM_BUCKETS_MAX || n * size > slx_rd_left(&s->r))
		wrong(s, "a length beyond the bytes or the limit");
	return s->r.bad ? 0 : (uint32_t)n;
}

static void *get_room(struct source *s, uint32_t n, size_t size)
{
	void *p = n && !s->r.bad ? slx_arena_alloc(s->arena, n * size, 8) : NULL;
	if (n && !s->r.bad && !p)
		s->oom = s->r.bad = true;
	return p;
}

static void get_side(
	struct source *s, const struct slx_span **ret_spans, uint32_t *ret_spans_n, const double **ret, uint32_t *ret_n)
{
	uint32_t spans_n = get_length(s, 2);
	struct slx_span *spans = get_room(s, spans_n, sizeof *spans);
	uint64_t n = 0;
	for (uint32_t i = 0; i < spans_n && !s->r.bad; i++) {
		int64_t offset = slx_unzigzag(slx_rd_varint(&s->r));
		uint64_t length = slx_rd_varint(&s->r);
		if (offset < INT32_MIN || offset > INT32_MAX || length > SLX_HISTOGRAM_BUCKETS_MAX ||
			(n += length) > SLX_HISTOGRAM_BUCKETS_MAX)
			wrong(s, "a span outside the limits");
		spans[i] = (struct slx_span){ (int32_t)offset, (uint32_t)length };
	}
	if (n * (s->packed ? 1 : 8) > slx_rd_left(&s->r))
		wrong(s, "more buckets than bytes");
	double *v = get_room(s, (uint32_t)n, sizeof *v);
	if (s->r.bad)
		return;
	get_counts(s, v, (uint32_t)n);
	*ret_spans = spans;
	*ret_spans_n = spans_n;
	*ret = v;
	*ret_n = (uint32_t)n;
}

static void get_custom(struct source *s, struct slx_histogram *h)
{
	uint32_t n = get_length(s, 8);
	double *bounds = get_room(s, n, sizeof *bounds);
	for (uint32_t i = 0; i < n && !s->r.bad; i++)
		bounds[i] = get_f64(s);
	h->custom = bounds;
	h->custom_n = s->r.bad ? 0 : n;
}

static void get_histogram(struct source *s, struct slx_histogram *h)
{
	uint8_t flags = slx_rd_u8(&s->r);
	if (flags & ~FLAGS || (flags & PACKED && !(flags & INTEGER)))
		wrong(s, "unknown flags");
	int64_t schema = slx_unzigzag(slx_rd_varint(&s->r));
	if (schema < INT8_MIN || schema > INT8_MAX)
		wrong(s, "a schema outside 8 bits");
	s->packed = flags & PACKED;
	h->integer = flags & INTEGER;
	h->reset = (flags & RESET_MASK) >> RESET_SHIFT;
	h->schema = (int8_t)schema;
	get_counts(s, &h->count, 1);
	h->sum = get_f64(s);
	if (flags & ZERO) {
		h->zero_threshold = get_f64(s);
		get_counts(s, &h->zero_count, 1);
	}
	if (flags & START)
		h->start = slx_unzigzag(slx_rd_varint(&s->r));
	if (h->schema == SLX_HISTOGRAM_CUSTOM)
		get_custom(s, h);
	get_side(s, &h->positive_spans, &h->positive_spans_n, &h->positive, &h->positive_n);
	if (h->schema != SLX_HISTOGRAM_CUSTOM)
		get_side(s, &h->negative_spans, &h->negative_spans_n, &h->negative, &h->negative_n);
}

silex_status slx_histogram_decode(
	const uint8_t *p, size_t n, struct slx_arena *a, struct slx_histogram *ret, silex_error *err)
{
	struct source s = { .r = slx_rd_init(p, n), .arena = a };
	struct slx_histogram h = { 0 };
	get_histogram(&s, &h);
	size_t at = (size_t)(s.r.p - p);
	if (s.oom)
		return slx_err_oom(err);
	if (s.r.bad)
		return slx_err(err, SILEX_CORRUPT, "histogram, offset %zu: %s", at, s.why ? s.why : "the bytes end too soon");
	if (slx_rd_left(&s.r))
		return slx_err(err, SILEX_CORRUPT, "histogram, offset %zu: %zu bytes too many", at, slx_rd_left(&s.r));
	silex_error why;
	if (slx_histogram_check(&h, &why) != SILEX_OK)
		return slx_err(err, SILEX_CORRUPT, "histogram, before offset %zu: %s", at, why.message);
	*ret = h;
	return SILEX_OK;
}
