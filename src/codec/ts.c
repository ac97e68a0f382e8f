/* Timestamps to bytes.
 *
 * Most series are regular, or regular with some jitter, gaps and now and then a step back. In order of preference:
 * CONST, a line with nothing left over; LINE, small residuals to a straight line (no prefix sum, one bit less than
 * differences); DELTA, differences less the least, for gaps and irregular times; RAW. What is packed is packed by PFOR,
 * so that single outliers are patched.
 *
 *   u8      mode | e << 4: first and unit are multiples of 10^e
 *   RAW     n * 8 bytes
 *   others  zigzag first / 10^e, then
 *   CONST   zigzag step / 10^e
 *   LINE    varint unit / 10^e, zigzag step, varint frac, varint bias (both < 2^32), PFOR of n residuals
 *   DELTA   varint unit / 10^e, PFOR of n - 1 differences
 *
 * With u the unit: y[i] = (t[i] - first) / u, t[i] = first + u * y[i] (wrapping), y[0] = 0.
 *   LINE    y[i] = i * step + ((i * frac + bias) >> 32) + residual[i]
 *   DELTA   y[i] = y[i - 1] + difference[i - 1]
 * The fraction is for clocks that do not divide a second: 360 Hz in microseconds is 2777, 2778, 2778... and becomes a
 * line with residuals 0. Everything wraps modulo 2^64, which makes the modes lossless for any input; the unit is more
 * than 1 only where all differences to the first fit an int64, so that the division is exact. */
#include "codec/bitpack.h"

enum { EXP_MAX = 15, HEAD_MAX = 64 };

static const uint64_t pow10_u64[EXP_MAX + 1] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000,
	1000000000, 10000000000, 100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000 };

#define U(x) ((uint64_t)(x))

/* A line through the y, in units: step + frac / 2^32 apart. */
struct line {
	int64_t step;
	uint32_t frac, bias;
};

static inline uint64_t line_at(const struct line *l, size_t i)
{
	return i * U(l->step) + ((i * U(l->frac) + l->bias) >> 32);
}

size_t slx_ts_bound(size_t n) { return 1 + 8 * n + 8; }

static bool is_const(const int64_t *ts, size_t n)
{
	uint64_t step = n > 1 ? U(ts[1]) - U(ts[0]) : 0, odd = 0;
	for (size_t i = 1; i < n; i++)
		odd |= (U(ts[i]) - U(ts[i - 1])) ^ step;
	return odd == 0;
}

/* Largest e with 10^e dividing both. */
static unsigned common_exp(int64_t a, uint64_t b)
{
	unsigned e = 0;
	while (e < EXP_MAX && a % (int64_t)pow10_u64[e + 1] == 0 && b % pow10_u64[e + 1] == 0)
		e++;
	return e;
}

static uint8_t *put_head(uint8_t *out, enum slx_ts_mode mode, int64_t first, unsigned e)
{
	*out++ = (uint8_t)(mode | e << 4);
	return slx_put_varint(out, slx_zigzag(first / (int64_t)pow10_u64[e]));
}

static size_t encode_const(const int64_t *ts, size_t n, uint8_t *out)
{
	int64_t step = n > 1 ? (int64_t)(U(ts[1]) - U(ts[0])) : 0;
	unsigned e = common_exp(ts[0], step < 0 ? -U(step) : U(step));
	uint8_t *p = put_head(out, SLX_TS_CONST, ts[0], e);
	return (size_t)(slx_put_varint(p, slx_zigzag(step / (int64_t)pow10_u64[e])) - out);
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

/* Greatest common divisor of the differences to the first; 1 where those do not fit an int64. */
static uint64_t unit_of(const int64_t *ts, size_t n)
{
	int64_t min, max;
	slx_codec_kernels()->range(ts, n, &min, &max);
	if (U(max) - U(min) > INT64_MAX)
		return 1;
	uint64_t g = 0;
	for (size_t i = 1; i < n && g != 1; i++) {
		uint64_t d = ts[i] < ts[i - 1] ? U(ts[i - 1]) - U(ts[i]) : U(ts[i]) - U(ts[i - 1]);
		if (d && d != g && (g == 0 || d % g))
			g = gcd(g, d);
	}
	return g ? g : 1;
}

/* The differences to the first, in units. Their division has no rest, so it is a shift and a multiplication by the inverse of the
 * odd part modulo 2^64 (Newton: each step doubles the bits that are right). */
static void to_units(const int64_t *ts, size_t n, uint64_t unit, int64_t *y)
{
	unsigned twos = (unsigned)__builtin_ctzll(unit);
	uint64_t odd = unit >> twos, inverse = odd;
	for (int k = 0; k < 5; k++)
		inverse *= 2 - odd * inverse;
	for (size_t i = 0; i < n; i++)
		y[i] = (int64_t)(U((int64_t)(U(ts[i]) - U(ts[0])) >> twos) * inverse);
}

/* y[i] - i * step - frac part, wrapping; its least and greatest. */
static void residuals(const int64_t *y, size_t n, const struct line *l, int64_t *r, int64_t *ret_min, int64_t *ret_max)
{
	for (size_t i = 0; i < n; i++)
		r[i] = (int64_t)(U(y[i]) - line_at(l, i));
	slx_codec_kernels()->range(r, n, ret_min, ret_max);
}

/* Where max(e) and min(e) of e[i] = (r[i] - base) * 2^32 - i * frac lie; returns max(e). */
static int64_t spread(const int64_t *r, size_t n, int64_t base, uint64_t frac, size_t *ret_at_max, size_t *ret_at_min)
{
	int64_t max = INT64_MIN, min = INT64_MAX;
	for (size_t i = 0; i < n; i++) {
		int64_t e = (r[i] - base) * (INT64_C(1) << 32) - (int64_t)(i * frac);
		if (e > max) {
			max = e;
			*ret_at_max = i;
		}
		if (e < min) {
			min = e;
			*ret_at_min = i;
		}
	}
	return max;
}

/* The fraction and bias that bring the residuals closest together. max(e) - min(e) is convex in the fraction, so the
 * side on which it falls shows from where the extremes lie. r[i] - base: residuals to whole steps, 0 .. 2^30. */
static void fit_fraction(const int64_t *r, size_t n, int64_t base, struct line *l)
{
	uint64_t lo = 0, hi = UINT32_MAX;
	size_t at_max = 0, at_min = 0;
	while (lo < hi) {
		uint64_t mid = (lo + hi) / 2;
		spread(r, n, base, mid, &at_max, &at_min);
		if (at_max > at_min)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* y = floor(i * slope + bias) wants the greatest e as bias; whole units of it go to the base of PFOR. */
	l->frac = (uint32_t)lo;
	l->bias = (uint32_t)spread(r, n, base, lo, &at_max, &at_min);
}

struct plan {
	bool delta;
	struct line line;
	struct slx_pfor_plan pfor;
};

static void try_line(const int64_t *y, size_t n, struct line l, int64_t *r, int64_t *ret_min, int64_t *ret_max,
	struct plan *best)
{
	residuals(y, n, &l, r, ret_min, ret_max);
	struct slx_pfor_plan p = slx_pfor_plan(r, n, *ret_min, *ret_max);
	p.bits += l.frac ? 80 : 0;
	if (p.bits < best->pfor.bits)
		*best = (struct plan){ .line = l, .pfor = p };
}

/* The line through both ends: first of whole steps, rounded down; then, if what is left drifts, with a fraction; and if
 * next to nothing is left then, with the best one. */
static void try_mean_line(const int64_t *y, size_t n, int64_t *r, struct plan *best)
{
	int64_t span = (int64_t)(U(y[n - 1]) - U(y[0])), m = (int64_t)(n - 1), min, max;
	if (span > INT64_MAX / 2 || span < INT64_MIN / 2)
		return;
	int64_t rest = (span % m + m) % m;
	struct line l = { .step = (span - rest) / m };
	if (l.step == 0)
		return; /* times that stand still or jump to and fro: rows of many series in a log frame, not worth the search */
	try_line(y, n, l, r, &min, &max, best);
	if (rest == 0 || n < 32 || U(max) - U(min) > 2 * n + (UINT64_C(1) << 29))
		return;
	l.frac = (uint32_t)((U(rest) << 32) / U(m));
	int64_t fmin, fmax;
	try_line(y, n, l, r, &fmin, &fmax, best);
	if (U(fmax) - U(fmin) > 3)
		return;
	l.frac = 0;
	residuals(y, n, &l, r, &min, &max);
	fit_fraction(r, n, min, &l);
	try_line(y, n, l, r, &fmin, &fmax, best);
}

static struct plan choose(const int64_t *y, size_t n, int64_t *work)
{
	struct plan best = { .pfor.bits = SIZE_MAX };
	int64_t min, max;
	slx_codec_kernels()->delta_range(y, n, &min, &max);
	for (size_t i = 1; i < n; i++)
		work[i - 1] = (int64_t)(U(y[i]) - U(y[i - 1]));
	best = (struct plan){ .delta = true, .pfor = slx_pfor_plan(work, n - 1, min, max) };
	best.pfor.bits += n / 2; /* a line is read faster */

	int64_t usual = work[(n - 1) / 2]; /* unlike the mean, not bent by patches or a jump or two */
	try_line(y, n, (struct line){ .step = usual }, work, &min, &max, &best);
	try_mean_line(y, n, work, &best);
	return best;
}

static uint8_t *write_plan(const struct plan *p, const int64_t *y, size_t n, int64_t *work, uint8_t *out)
{
	if (p->delta) {
		for (size_t i = 1; i < n; i++)
			work[i - 1] = (int64_t)(U(y[i]) - U(y[i - 1]));
		return slx_pfor_write(&p->pfor, work, n - 1, out);
	}
	for (size_t i = 0; i < n; i++)
		work[i] = (int64_t)(U(y[i]) - line_at(&p->line, i));
	out = slx_put_varint(out, slx_zigzag(p->line.step));
	out = slx_put_varint(out, p->line.frac);
	out = slx_put_varint(out, p->line.bias);
	return slx_pfor_write(&p->pfor, work, n, out);
}

static size_t encode_raw(const int64_t *ts, size_t n, uint8_t *out)
{
	out[0] = SLX_TS_RAW;
	memcpy(out + 1, ts, 8 * n);
	return 1 + 8 * n;
}

size_t slx_ts_encode(const int64_t *ts, size_t n, uint8_t *out, size_t cap)
{
	if (n == 0 || n > SLX_CHUNK_MAX || cap < slx_ts_bound(n))
		return 0;
	if (n > 1 && !is_const(ts, n)) {
		int64_t y[SLX_CHUNK_MAX], work[SLX_CHUNK_MAX];
		uint64_t unit = unit_of(ts, n);
		unsigned e = common_exp(ts[0], unit);
		to_units(ts, n, unit, y);
		struct plan plan = choose(y, n, work);
		if (plan.pfor.bits / 8 + HEAD_MAX + plan.pfor.patches * 9 >= 8 * n)
			return encode_raw(ts, n, out);
		uint8_t *p = put_head(out, plan.delta ? SLX_TS_DELTA : SLX_TS_LINE, ts[0], e);
		p = slx_put_varint(p, unit / pow10_u64[e]);
		return (size_t)(write_plan(&plan, y, n, work, p) - out);
	}
	return encode_const(ts, n, out);
}

static silex_status corrupt(silex_error *err, size_t len, size_t n, const char *what)
{
	return slx_err(err, SILEX_CORRUPT, "timestamps (%zu bytes for %zu): %s", len, n, what);
}

static silex_status read_head(struct slx_rd *r, size_t n, struct slx_ts_info *ret, unsigned *ret_exp, silex_error *err)
{
	size_t len = slx_rd_left(r);
	uint8_t head = slx_rd_u8(r);
	unsigned e = head >> 4;
	*ret = (struct slx_ts_info){ .mode = head & 15 };
	if (r->bad || n == 0 || n > SLX_CHUNK_MAX)
		return corrupt(err, len, n, "empty, or more than a chunk holds");
	if (ret->mode > SLX_TS_DELTA || e > EXP_MAX || (ret->mode == SLX_TS_RAW && e))
		return corrupt(err, len, n, "unknown mode");
	if (ret->mode == SLX_TS_RAW) {
		if (slx_rd_left(r) < 8 * n)
			return corrupt(err, len, n, "too short");
		ret->first = (int64_t)slx_load64(r->p);
		return SILEX_OK;
	}
	ret->first = (int64_t)(U(slx_unzigzag(slx_rd_varint(r))) * pow10_u64[e]);
	if (ret->mode == SLX_TS_CONST)
		ret->step = (int64_t)(U(slx_unzigzag(slx_rd_varint(r))) * pow10_u64[e]);
	*ret_exp = e;
	return r->bad ? corrupt(err, len, n, "too short") : SILEX_OK;
}

silex_status slx_ts_peek(const uint8_t *in, size_t len, size_t n, struct slx_ts_info *ret, silex_error *err)
{
	struct slx_rd r = slx_rd_init(in, len);
	unsigned e = 0;
	return read_head(&r, n, ret, &e, err);
}

static silex_status decode_packed(struct slx_rd *r, const struct slx_ts_info *info, uint64_t scale, int64_t *ts,
	size_t n, size_t len, silex_error *err)
{
	bool is_line = info->mode == SLX_TS_LINE;
	uint64_t unit = slx_rd_varint(r) * scale;
	struct line l = { 0 };
	struct slx_pfor pfor;
	if (is_line) {
		l.step = slx_unzigzag(slx_rd_varint(r));
		uint64_t frac = slx_rd_varint(r), bias = slx_rd_varint(r);
		if (frac > UINT32_MAX || bias > UINT32_MAX)
			return corrupt(err, len, n, "fraction out of range");
		l.frac = (uint32_t)frac;
		l.bias = (uint32_t)bias;
	}
	if (!slx_pfor_read(r, is_line ? n : n - 1, &pfor))
		return corrupt(err, len, n, "packed run is damaged or too short");
	if (is_line) {
		slx_pfor_unpack(&pfor, ts);
		for (size_t i = 0; i < n; i++)
			ts[i] = (int64_t)(U(info->first) + (U(ts[i]) + U(pfor.base) + line_at(&l, i)) * unit);
		return ts[0] == info->first ? SILEX_OK : corrupt(err, len, n, "first timestamp is not where the line begins");
	}
	slx_pfor_unpack(&pfor, ts + 1);
	uint64_t at = U(ts[0] = info->first), step = U(pfor.base) * unit;
	for (size_t i = 1; i < n; i++)
		ts[i] = (int64_t)(at += U(ts[i]) * unit + step);
	return SILEX_OK;
}

silex_status slx_ts_decode(const uint8_t *in, size_t len, int64_t *ts, size_t n, silex_error *err)
{
	struct slx_rd r = slx_rd_init(in, len);
	struct slx_ts_info info;
	unsigned e = 0;
	SLX_TRY(read_head(&r, n, &info, &e, err));
	switch (info.mode) {
	case SLX_TS_RAW:
		memcpy(ts, r.p, 8 * n);
		return SILEX_OK;
	case SLX_TS_CONST:
		for (size_t i = 0; i < n; i++)
			ts[i] = (int64_t)(U(info.first) + i * U(info.step));
		return SILEX_OK;
	default:
		return decode_packed(&r, &info, pow10_u64[e], ts, n, len, err);
	}
}
