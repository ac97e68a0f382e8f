/* From doubles to integers: the search for the decimal exponent, and the values that have none. */
#include "codec/sx_int.h"

static inline bool bit(const uint64_t *set, size_t i) { return set[i / 64] >> (i & 63) & 1; }

enum { NEAR_MAX = 4, NEAR_BITS = 3 };

/* Below this many digits a decimal is much farther from the next one than NEAR_MAX units: a near hit is no accident. */
#define NEAR_LIMIT (INT64_C(1) << 40)

/* v's distance to d / 10^exp in units of the last place; 0 also when it is out of range. */
static int near_units(double v, int64_t d, unsigned exp)
{
	if (d <= -NEAR_LIMIT || d >= NEAR_LIMIT || d == 0)
		return 0;
	int64_t units = (int64_t)(slx_f64_bits(v) - slx_f64_bits(slx_decimal((double)d, exp)));
	return units >= -NEAR_MAX && units <= NEAR_MAX ? (int)units : 0;
}

/* -4..-1, 1..4 as 0..7, and back. */
static unsigned near_code(int units) { return (unsigned)(units < 0 ? units + NEAR_MAX : units + NEAR_MAX - 1); }
static int near_of_code(unsigned code) { return (int)code < NEAR_MAX ? (int)code - NEAR_MAX : (int)code - NEAR_MAX + 1; }

static uint8_t *write_far(const double *v, size_t n, const uint64_t *fails, bool same, uint8_t *out)
{
	for (size_t i = 0, end = 0; i < n; i++) {
		if (!bit(fails, i))
			continue;
		size_t begin = i;
		while (i + 1 < n && bit(fails, i + 1))
			i++;
		size_t run = i + 1 - begin;
		out = slx_put_varint(out, (begin - end) << 1 | (run > 1));
		if (run > 1)
			out = slx_put_varint(out, run - 2);
		end = i + 1;
	}
	for (size_t i = 0; i < n; i++) {
		if (!bit(fails, i))
			continue;
		slx_store_f64(out, v[i]);
		out += 8;
		if (same)
			break;
	}
	return out;
}

/*   varint  far ones << 2 | near ones present << 1 | same
 *   far     runs: varint gap << 1 | (length > 1), then varint length - 2 if so; gap: positions since the last run's end
 *           values: 8 bytes, one for all when same, else one each
 *   near    varint count, then each: varint positions since the one before << 3 | code */
uint8_t *slx_exceptions_write(const double *v, const int64_t *d, size_t n, const struct slx_decimals *x, uint8_t *out)
{
	bool same = true;
	uint64_t one = 0;
	for (size_t i = 0, seen = 0; i < n && same && x->failed; i++) {
		if (!bit(x->fails, i))
			continue;
		one = seen++ ? one : slx_f64_bits(v[i]);
		same = slx_f64_bits(v[i]) == one;
	}
	out = slx_put_varint(out, x->failed << 2 | (x->nears > 0) << 1 | same);
	if (x->failed)
		out = write_far(v, n, x->fails, same, out);
	if (x->nears == 0)
		return out;
	out = slx_put_varint(out, x->nears);
	for (size_t i = 0, last = 0; i < n; i++) {
		if (!bit(x->near, i))
			continue;
		out = slx_put_varint(out, (i - last) << NEAR_BITS | near_code(near_units(v[i], d[i], x->exp)));
		last = i;
	}
	return out;
}

static bool read_near(struct slx_rd *r, size_t n, struct slx_exceptions *ret)
{
	ret->nears = slx_rd_varint(r);
	ret->near = r->p;
	if (r->bad || ret->nears == 0 || ret->nears > n)
		return false;
	for (size_t i = 0, at = 0; i < ret->nears; i++) {
		uint64_t gap = slx_rd_varint(r) >> NEAR_BITS;
		if (r->bad || gap >= n - at)
			return false;
		at += gap;
	}
	ret->near_end = r->p;
	return true;
}

bool slx_exceptions_read(struct slx_rd *r, size_t n, struct slx_exceptions *ret)
{
	uint64_t head = slx_rd_varint(r);
	*ret = (struct slx_exceptions){ .count = head >> 2, .same = head & 1, .runs = r->p };
	if (r->bad || ret->count > n || head >> 1 == 0)
		return false;
	size_t at = 0, seen = 0;
	while (seen < ret->count) {
		uint64_t gap = slx_rd_varint(r), run = 1;
		if (gap & 1)
			run = slx_rd_varint(r);
		if (r->bad || gap >> 1 > n - at || run > n)
			return false;
		run += gap & 1 ? 2 : 0;
		at += gap >> 1;
		if (run > n - at || run > ret->count - seen)
			return false;
		at += run;
		seen += run;
	}
	ret->runs_end = r->p;
	if (ret->count)
		ret->values = slx_rd_bytes(r, ret->same ? 8 : 8 * ret->count);
	return !r->bad && (!(head & 2) || read_near(r, n, ret));
}

/* Calls for each run; its bytes were checked by slx_exceptions_read. */
static bool next_run(struct slx_rd *r, size_t *at, size_t *ret_len)
{
	if (slx_rd_left(r) == 0)
		return false;
	uint64_t gap = slx_rd_varint(r);
	*at += gap >> 1;
	*ret_len = gap & 1 ? slx_rd_varint(r) + 2 : 1;
	return true;
}

void slx_exceptions_apply(const struct slx_exceptions *x, double *v)
{
	struct slx_rd near = { .p = x->near, .end = x->near_end };
	for (size_t i = 0, at = 0; i < x->nears; i++) {
		uint64_t entry = slx_rd_varint(&near);
		at += entry >> NEAR_BITS;
		v[at] = slx_bits_f64(slx_f64_bits(v[at]) + (uint64_t)(int64_t)near_of_code(entry & 7));
	}
	struct slx_rd r = { .p = x->runs, .end = x->runs_end };
	const uint8_t *from = x->values;
	for (size_t at = 0, run; next_run(&r, &at, &run); at += run) {
		for (size_t i = 0; i < run; i++, from += x->same ? 0 : 8)
			v[at + i] = slx_load_f64(from);
	}
}

void slx_exceptions_aggregate(const struct slx_exceptions *x, const int64_t *d, struct slx_int_agg *ints,
	struct slx_agg *ret)
{
	struct slx_rd r = { .p = x->runs, .end = x->runs_end };
	const uint8_t *from = x->values;
	for (size_t at = 0, run; next_run(&r, &at, &run); at += run) {
		for (size_t i = 0; i < run; i++, from += x->same ? 0 : 8) {
			double v = slx_load_f64(from);
			ints->sum = (int64_t)((uint64_t)ints->sum - (uint64_t)d[at + i]);
			struct slx_agg one = { .count = v == v, .sum = v, .min = v + 0.0, .max = v + 0.0 };
			slx_agg_merge(ret, &one);
		}
	}
}

/* Least exponent from `from` that gives x back, or nearly so; SLX_SCALE_NONE when there is none. */
static int exponent_of(double x, unsigned from, bool f32, bool near)
{
	const struct slx_codec_kernels *k = &slx_codec_scalar;
	int64_t d;
	uint64_t fail;
	for (unsigned e = from; e <= SLX_SCALE_MAX && fabs(x) * slx_pow10[e] < (double)SLX_INT_LIMIT; e++)
		if (k->to_ints(&x, 1, e, f32, &d, &fail) == 0 || (near && near_units(x, d, e)))
			return (int)e;
	return SLX_SCALE_NONE;
}

static bool ordinary(double x) { return isfinite(x) && slx_f64_bits(x) != slx_f64_bits(-0.0); }

/* Looks at up to `tries` of the values that failed: the greatest exponent they need, or SLX_SCALE_NONE when most of
 * them have none. */
static int exponent_of_failed(const double *v, size_t n, const uint64_t *fails, unsigned from, bool f32, size_t tries)
{
	int best = SLX_SCALE_NONE;
	size_t looked = 0, none = 0;
	for (size_t w = 0; w < (n + 63) / 64; w++) {
		for (uint64_t left = fails[w]; left && looked < tries; left &= left - 1) {
			double x = v[w * 64 + (size_t)__builtin_ctzll(left)];
			if (!ordinary(x))
				continue;
			int e = exponent_of(x, from, f32, !f32);
			looked++;
			none += e < 0;
			best = e > best ? e : best;
		}
	}
	return 2 * none > looked ? SLX_SCALE_NONE : best;
}

static size_t failed_ordinary(const double *v, size_t n, const uint64_t *fails)
{
	size_t count = 0;
	for (size_t w = 0; w < (n + 63) / 64; w++)
		for (uint64_t left = fails[w]; left; left &= left - 1)
			count += ordinary(v[w * 64 + (size_t)__builtin_ctzll(left)]);
	return count;
}

void slx_convert(const double *v, size_t n, unsigned exp, bool f32, int64_t *d, struct slx_decimals *ret)
{
	ret->exp = exp;
	ret->f32 = f32;
	ret->nears = 0;
	ret->failed = slx_codec_kernels()->to_ints(v, n, exp, f32, d, ret->fails);
	memset(ret->near, 0, sizeof ret->near);
	if (ret->failed == 0 || f32)
		return;
	for (size_t w = 0; w < (n + 63) / 64; w++)
		for (uint64_t left = ret->fails[w]; left; left &= left - 1) {
			size_t i = w * 64 + (size_t)__builtin_ctzll(left);
			ret->near[w] |= near_units(v[i], d[i], exp) ? left & -left : 0;
		}
	for (size_t w = 0; w < (n + 63) / 64; w++) {
		ret->fails[w] &= ~ret->near[w];
		ret->nears += (size_t)__builtin_popcountll(ret->near[w]);
	}
	ret->failed -= ret->nears;
}

/* Converts at exponent e and, while values fail that a greater one may save, at greater ones. The best stays in d. */
static void convert(const double *v, size_t n, unsigned e, bool f32, int64_t *d, struct slx_decimals *ret)
{
	slx_convert(v, n, e, f32, d, ret);
	for (int tries = 0; tries < 4 && ret->failed && failed_ordinary(v, n, ret->fails); tries++) {
		int up = exponent_of_failed(v, n, ret->fails, ret->exp + 1, f32, 4);
		if (up < 0)
			return;
		struct slx_decimals better;
		int64_t other[SLX_VECTOR_MAX];
		slx_convert(v, n, (unsigned)up, f32, other, &better);
		if (better.failed >= ret->failed)
			return;
		memcpy(d, other, n * sizeof *d);
		*ret = better;
	}
}

/* A hint may be too large an exponent: takes away the trailing zeros that all integers share. One value without a
 * trailing zero ends the search, usually the first. */
static void reduce(const double *v, size_t n, int64_t *d, struct slx_decimals *x)
{
	unsigned zeros = x->exp;
	for (size_t i = 0; i < n && zeros; i++) {
		int64_t a = d[i];
		if (bit(x->fails, i) || a == 0)
			continue;
		unsigned z = 0;
		for (; z < zeros && a % 10 == 0; a /= 10)
			z++;
		zeros = z;
	}
	if (zeros == 0)
		return;
	struct slx_decimals less;
	int64_t other[SLX_VECTOR_MAX];
	slx_convert(v, n, x->exp - zeros, x->f32, other, &less);
	if (less.failed > x->failed || less.nears > x->nears)
		return;
	memcpy(d, other, n * sizeof *d);
	*x = less;
}

void slx_fill_failed(int64_t *d, size_t n, const uint64_t *fails)
{
	size_t first = 0;
	while (first < n && bit(fails, first))
		first++;
	int64_t last = first < n ? d[first] : 0;
	for (size_t i = 0; i < n; i++)
		last = d[i] = bit(fails, i) ? last : d[i];
}

/* More than a quarter of ordinary values without a decimal form: another mode is smaller. */
static bool good(const double *v, size_t n, const struct slx_decimals *x)
{
	return x->failed <= n / 4 || failed_ordinary(v, n, x->fails) <= n / 4;
}

bool slx_to_decimals(const double *v, size_t n, struct slx_sx_hint *hint, int64_t *d, struct slx_decimals *ret)
{
	if (hint->kind == 2 && hint->skip) {
		hint->skip--;
		return false;
	}
	bool f32 = hint->kind == 1;
	convert(v, n, hint->kind == 2 ? 0 : hint->exp, f32, d, ret);
	if (!good(v, n, ret)) {
		f32 = !f32;
		convert(v, n, 0, f32, d, ret);
	}
	if (!good(v, n, ret)) {
		hint->kind = 2;
		hint->fails = hint->fails < 6 ? hint->fails + 1 : 6;
		hint->skip = (uint8_t)(1u << hint->fails);
		return false;
	}
	if (ret->failed < n)
		reduce(v, n, d, ret);
	*hint = (struct slx_sx_hint){ .exp = (uint8_t)ret->exp, .kind = f32 };
	if (ret->failed)
		slx_fill_failed(d, n, ret->fails);
	return true;
}

int slx_sx_scale(const double *v, size_t n)
{
	int scale = SLX_SCALE_NONE;
	for (size_t i = 0; i < n; i++) {
		if (!isfinite(v[i]))
			continue;
		int64_t d;
		uint64_t fail;
		if (scale >= 0 && slx_codec_scalar.to_ints(&v[i], 1, (unsigned)scale, false, &d, &fail) == 0)
			continue;
		int e = exponent_of(v[i] == 0 ? 0 : v[i], scale < 0 ? 0 : (unsigned)scale, false, false);
		if (e < 0)
			return SLX_SCALE_NONE;
		scale = e;
	}
	return scale;
}
