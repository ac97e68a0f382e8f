/* SX: a vector of up to 512 doubles as integers.
 *
 * Measured values are decimals: 36.6 is 366 / 10. The encoder finds the least exponent that gives every value back bit
 * for bit by the decoder's own arithmetic, and packs the integers, or their differences, into fields of one width.
 * Values without a decimal form (NaN, infinities, -0.0) are listed apart, and their slots repeat the neighbour so that
 * the fields stay narrow; values that miss a decimal by a few units in the last place keep a small correction. Doubles
 * that were float32 are decimals rounded to float32. Doubles that use all their bits are cut in two: the left 7..16 bits
 * (sign, exponent) come from a small dictionary, the right ones are packed (after ALP-RD: Afroozeh et al., SIGMOD 2024).
 *
 *   u8      mode (bits 0-2) | f32 << 3 | exceptions << 4 | scale << 5 | near << 6 (some exceptions are)
 *   u8      FOR, DELTA: decimal exponent
 *   u8      if scale: decimal digits to show
 *   RAW     n * 8 bytes
 *   FOR     PFOR of n integers
 *   DELTA   zigzag first, PFOR of n - 1 differences
 *   RD      u8 right width 48..57, u8 entries 1..8, entries * u16, fields of n indexes, fields of n right parts,
 *           varint count of other left parts, then each: varint positions since the one before, u16
 *   if exceptions: see decimal.c
 */
#include "codec/sx_int.h"

enum { RAW = 0, FOR = 1, DELTA = 2, RD = 3, MODE = 7, F32 = 8, EXCEPTIONS = 16, SCALE = 32, NEAR = 64, KNOWN = 127 };
enum { RD_WIDTH_MIN = 48, RD_WIDTH_MAX = 57, RD_ENTRIES = 8, RD_SAMPLE = 32 };
enum { WORK = 8 * SLX_VECTOR_MAX * 3 };

#define U(x) ((uint64_t)(x))

size_t slx_sx_bound(size_t n) { return 3 + 8 * n; }

/* ---- encoding ---- */

static uint8_t *put_head(uint8_t *out, unsigned head, int exp, int scale)
{
	*out++ = (uint8_t)(head | (scale >= 0 ? SCALE : 0));
	if (exp >= 0)
		*out++ = (uint8_t)exp;
	if (scale >= 0)
		*out++ = (uint8_t)scale;
	return out;
}

static uint8_t *write_ints(const int64_t *d, size_t n, struct slx_decimals *x, int scale, uint8_t *out)
{
	const struct slx_codec_kernels *k = slx_codec_kernels();
	unsigned head = (x->f32 ? F32 : 0) | (x->failed || x->nears ? EXCEPTIONS : 0) | (x->nears ? NEAR : 0);
	int64_t min, max, step_min = 0, step_max = 0, step[SLX_VECTOR_MAX];
	k->range(d, n, &min, &max);
	unsigned width = slx_bits(U(max) - U(min)), step_width = 64;
	if (n > 2 && width) {
		k->delta_range(d, n, &step_min, &step_max);
		step_width = slx_bits(U(step_max) - U(step_min));
	}
	/* What is behind by more than a bit seldom wins by patches: it is not planned. */
	struct slx_pfor_plan ints = { .bits = SIZE_MAX }, steps = { .bits = SIZE_MAX };
	if (width <= step_width + 1)
		ints = slx_pfor_plan(d, n, min, max);
	if (step_width <= width + 1) {
		for (size_t i = 1; i < n; i++)
			step[i - 1] = d[i] - d[i - 1];
		steps = slx_pfor_plan(step, n - 1, step_min, step_max);
		steps.bits += n / 2 + 8; /* differences decode at half the speed */
	}
	if (steps.bits < ints.bits) {
		out = put_head(out, head | DELTA, (int)x->exp, scale);
		out = slx_put_varint(out, slx_zigzag(d[0]));
		return slx_pfor_write(&steps, step, n - 1, out);
	}
	out = put_head(out, head | FOR, (int)x->exp, scale);
	return slx_pfor_write(&ints, d, n, out);
}

struct left_dict {
	unsigned width; /* of the right part */
	size_t entries;
	uint16_t left[RD_ENTRIES];
};

static size_t find_left(const struct left_dict *dict, uint16_t left)
{
	size_t i = 0;
	while (i < dict->entries && dict->left[i] != left)
		i++;
	return i;
}

static unsigned index_width(size_t entries) { return slx_bits(entries - 1); }

/* The most usual left parts of a sample; returns the bits a value would take. */
static size_t fill_dict(const double *v, size_t n, unsigned width, struct left_dict *dict)
{
	uint16_t seen[RD_SAMPLE];
	uint8_t count[RD_SAMPLE];
	size_t kinds = 0, sample = n < RD_SAMPLE ? n : RD_SAMPLE;
	for (size_t i = 0; i < sample; i++) {
		uint16_t left = (uint16_t)(slx_f64_bits(v[i * n / sample]) >> width);
		size_t j = 0;
		while (j < kinds && seen[j] != left)
			j++;
		if (j == kinds) {
			seen[kinds] = left;
			count[kinds++] = 0;
		}
		count[j]++;
	}
	*dict = (struct left_dict){ .width = width };
	size_t covered = 0;
	while (dict->entries < RD_ENTRIES && dict->entries < kinds) {
		size_t best = 0;
		for (size_t j = 1; j < kinds; j++)
			best = count[j] > count[best] ? j : best;
		covered += count[best];
		count[best] = 0;
		dict->left[dict->entries++] = seen[best];
	}
	return n * (width + index_width(dict->entries)) + (sample - covered) * n / sample * 28 + 16 * dict->entries;
}

static uint8_t *write_rd(const double *v, size_t n, int scale, uint8_t *out)
{
	struct left_dict dict, best = { 0 };
	size_t best_bits = SIZE_MAX, others = 0, last = 0;
	for (unsigned width = RD_WIDTH_MIN; width <= RD_WIDTH_MAX; width++) {
		size_t bits = fill_dict(v, n, width, &dict);
		if (bits < best_bits) {
			best_bits = bits;
			best = dict;
		}
	}
	out = put_head(out, RD, -1, scale);
	*out++ = (uint8_t)best.width;
	*out++ = (uint8_t)best.entries;
	for (size_t i = 0; i < best.entries; i++, out += 2)
		slx_store16(out, best.left[i]);
	int64_t index[SLX_VECTOR_MAX], right[SLX_VECTOR_MAX];
	for (size_t i = 0; i < n; i++) {
		uint64_t bits = slx_f64_bits(v[i]);
		size_t at = find_left(&best, (uint16_t)(bits >> best.width));
		others += at == best.entries;
		index[i] = at == best.entries ? 0 : (int64_t)at;
		right[i] = (int64_t)bits;
	}
	out = slx_pack(index, n, 0, index_width(best.entries), out);
	out = slx_pack(right, n, 0, best.width, out);
	out = slx_put_varint(out, others);
	for (size_t i = 0; i < n && others; i++) {
		uint16_t left = (uint16_t)(slx_f64_bits(v[i]) >> best.width);
		if (find_left(&best, left) < best.entries)
			continue;
		out = slx_put_varint(out, i - last);
		slx_store16(out, left);
		out += 2;
		last = i;
	}
	return out;
}

static uint8_t *write_raw(const double *v, size_t n, int scale, uint8_t *out)
{
	out = put_head(out, RAW, -1, scale);
	memcpy(out, v, 8 * n);
	return out + 8 * n;
}

size_t slx_sx_encode(const double *v, size_t n, struct slx_sx_hint *hint, int scale, uint8_t *out, size_t cap)
{
	if (n == 0 || n > SLX_VECTOR_MAX)
		return 0;
	struct slx_sx_hint fresh = { 0 };
	struct slx_decimals x;
	int64_t d[SLX_VECTOR_MAX];
	uint8_t work[WORK], *end;
	if (scale > SLX_SCALE_MAX)
		scale = SLX_SCALE_MAX;
	if (slx_to_decimals(v, n, hint ? hint : &fresh, d, &x)) {
		end = write_ints(d, n, &x, scale > (int)x.exp || x.nears ? scale : SLX_SCALE_NONE, work);
		if (x.failed || x.nears)
			end = slx_exceptions_write(v, d, n, &x, end);
	} else {
		end = write_rd(v, n, scale, work);
	}
	if ((size_t)(end - work) > 8 * n)
		end = write_raw(v, n, scale, work);
	size_t size = (size_t)(end - work);
	if (size > cap)
		return 0;
	memcpy(out, work, size);
	return size;
}

/* ---- decoding ---- */

struct vector {
	unsigned mode, exp;
	bool f32;
	int scale;
	int64_t first; /* DELTA */
	struct slx_pfor ints;
	struct slx_exceptions exceptions;
	const uint8_t *bytes; /* RAW; the rest of RD */
	size_t left;
};

static silex_status corrupt(silex_error *err, size_t len, size_t n, const char *what)
{
	return slx_err(err, SILEX_CORRUPT, "sx vector (%zu bytes for %zu values): %s", len, n, what);
}

static silex_status read_head(struct slx_rd *r, size_t n, struct vector *ret, unsigned *ret_head, silex_error *err)
{
	size_t len = slx_rd_left(r);
	unsigned head = slx_rd_u8(r);
	ret->mode = head & MODE; /* field by field: to clear all of it costs a fifth of the decoding */
	ret->f32 = head & F32;
	ret->exp = 0;
	ret->scale = SLX_SCALE_NONE;
	ret->first = 0;
	ret->exceptions.count = ret->exceptions.nears = 0;
	if (ret->mode > RD || head & ~(unsigned)KNOWN || n == 0 || n > SLX_VECTOR_MAX)
		return corrupt(err, len, n, "unknown mode");
	bool ints = ret->mode == FOR || ret->mode == DELTA;
	if ((!ints && head & (F32 | EXCEPTIONS)) || (head & NEAR && !(head & EXCEPTIONS)))
		return corrupt(err, len, n, "unknown mode");
	if (ints) {
		ret->exp = slx_rd_u8(r);
		ret->scale = head & NEAR ? SLX_SCALE_NONE : (int)ret->exp;
	}
	if (head & SCALE)
		ret->scale = slx_rd_u8(r);
	if (r->bad || ret->exp > SLX_SCALE_MAX || ret->scale > SLX_SCALE_MAX)
		return corrupt(err, len, n, "exponent out of range");
	*ret_head = head;
	return SILEX_OK;
}

static silex_status parse(const uint8_t *in, size_t len, size_t n, struct vector *ret, silex_error *err)
{
	struct slx_rd r = slx_rd_init(in, len);
	unsigned head = 0;
	SLX_TRY(read_head(&r, n, ret, &head, err));
	if (ret->mode == RAW && slx_rd_left(&r) < 8 * n)
		return corrupt(err, len, n, "too short");
	if (ret->mode == DELTA)
		ret->first = slx_unzigzag(slx_rd_varint(&r));
	if ((ret->mode == FOR && !slx_pfor_read(&r, n, &ret->ints)) ||
		(ret->mode == DELTA && !slx_pfor_read(&r, n - 1, &ret->ints)))
		return corrupt(err, len, n, "packed run is damaged or too short");
	if (head & EXCEPTIONS && (!slx_exceptions_read(&r, n, &ret->exceptions) || !(head & NEAR) != !ret->exceptions.nears))
		return corrupt(err, len, n, "exceptions are damaged or too short");
	ret->bytes = r.p;
	ret->left = slx_rd_left(&r);
	return SILEX_OK;
}

static silex_status decode_rd(const struct vector *x, double *v, size_t n, size_t len, silex_error *err)
{
	struct slx_rd r = slx_rd_init(x->bytes, x->left);
	unsigned width = slx_rd_u8(&r), entries = slx_rd_u8(&r);
	if (width < RD_WIDTH_MIN || width > RD_WIDTH_MAX || entries == 0 || entries > RD_ENTRIES)
		return corrupt(err, len, n, "dictionary is damaged");
	uint64_t dict[RD_ENTRIES] = { 0 }, index[SLX_VECTOR_MAX], bits[SLX_VECTOR_MAX];
	for (unsigned i = 0; i < entries; i++)
		dict[i] = U(slx_rd_u16(&r)) << width;
	const uint8_t *indexes = slx_rd_bytes(&r, slx_packed_size(n, index_width(entries)));
	const uint8_t *rights = slx_rd_bytes(&r, slx_packed_size(n, width));
	uint64_t others = slx_rd_varint(&r);
	if (r.bad || others > n)
		return corrupt(err, len, n, "too short");
	const struct slx_codec_kernels *k = slx_codec_kernels();
	k->unpack(indexes, n, index_width(entries), index);
	k->unpack(rights, n, width, bits);
	for (size_t i = 0; i < n; i++)
		v[i] = slx_bits_f64(bits[i] | dict[index[i]]);
	for (size_t i = 0, at = 0; i < others; i++) {
		uint64_t gap = slx_rd_varint(&r), left = slx_rd_u16(&r);
		if (r.bad || gap >= n - at)
			return corrupt(err, len, n, "left parts are damaged");
		at += gap;
		v[at] = slx_bits_f64(bits[at] | left << width);
	}
	return SILEX_OK;
}

/* The integers of a FOR or DELTA vector, patches applied. */
static void ints_of(const struct vector *x, size_t n, int64_t *d)
{
	if (x->mode == DELTA) {
		d[0] = x->first;
		slx_pfor_unpack(&x->ints, d + 1);
		slx_codec_kernels()->prefix(d + 1, n - 1, x->first, x->ints.base);
		return;
	}
	slx_pfor_unpack(&x->ints, d);
	for (size_t i = 0; i < n; i++)
		d[i] = (int64_t)(U(d[i]) + U(x->ints.base));
}

/* Patches are put among the unpacked integers, of 32 bits where these do. */

static bool narrow_patched(const struct vector *x)
{
	return x->ints.narrow_patches && slx_narrow(x->ints.n, x->ints.width, x->mode == DELTA ? x->ints.base : 0);
}

static void decode_patched(const struct vector *x, double *v)
{
	const struct slx_codec_kernels *k = slx_codec_kernels();
	const struct slx_pfor *p = &x->ints;
	if (narrow_patched(x)) {
		int32_t d[SLX_VECTOR_MAX];
		slx_pfor_unpack_narrow(p, d);
		if (x->mode == DELTA)
			k->narrow_steps_f64(d, p->n, x->first, p->base, x->exp, v);
		else
			k->narrow_ints_f64(d, p->n, p->base, x->exp, v);
	} else {
		int64_t d[SLX_VECTOR_MAX];
		slx_pfor_unpack(p, d);
		if (x->mode == DELTA)
			k->steps_f64(d, p->n, x->first, p->base, x->exp, v);
		else
			k->ints_f64(d, p->n, p->base, x->exp, v);
	}
}

static void decode_ints(const struct vector *x, double *v, size_t n)
{
	const struct slx_codec_kernels *k = slx_codec_kernels();
	const struct slx_pfor *p = &x->ints;
	double *packed = v;
	if (x->mode == DELTA)
		*packed++ = k->decimal((double)x->first, x->exp);
	if (p->patches)
		decode_patched(x, packed);
	else if (x->mode == DELTA)
		k->delta_f64(p->fields, p->n, p->width, x->first, p->base, x->exp, packed);
	else
		k->for_f64(p->fields, p->n, p->width, p->base, x->exp, packed);
	if (x->f32)
		for (size_t i = 0; i < n; i++)
			v[i] = (double)(float)v[i];
	if (x->exceptions.count || x->exceptions.nears)
		slx_exceptions_apply(&x->exceptions, v);
}

static silex_status decode_parsed(const struct vector *x, double *v, size_t n, size_t len, silex_error *err)
{
	if (x->mode == RAW)
		memcpy(v, x->bytes, 8 * n);
	else if (x->mode == RD)
		return decode_rd(x, v, n, len, err);
	else
		decode_ints(x, v, n);
	return SILEX_OK;
}

silex_status slx_sx_decode(const uint8_t *in, size_t len, double *v, size_t n, silex_error *err)
{
	struct vector x;
	SLX_TRY(parse(in, len, n, &x, err));
	return decode_parsed(&x, v, n, len, err);
}

silex_status slx_sx_peek(const uint8_t *in, size_t len, size_t n, struct slx_sx_info *ret, silex_error *err)
{
	struct slx_rd r = slx_rd_init(in, len);
	struct vector x;
	unsigned head = 0;
	SLX_TRY(read_head(&r, n, &x, &head, err));
	ret->scale = x.scale;
	return SILEX_OK;
}

void slx_agg_values(const double *v, size_t n, struct slx_agg *ret)
{
	struct slx_stats s;
	slx_stats(v, n, &s);
	*ret = (struct slx_agg){ .count = s.count, .sum = s.sum, .comp = s.comp, .min = s.min, .max = s.max };
}

void slx_agg_decimals(struct slx_int_agg *ints, const int64_t *d, size_t n, unsigned exp, const struct slx_exceptions *x,
	struct slx_agg *ret)
{
	*ret = slx_agg_none();
	if (x->count)
		slx_exceptions_aggregate(x, d, ints, ret);
	if (x->count == n)
		return;
	double (*decimal)(double, unsigned) = slx_codec_kernels()->decimal;
	struct slx_agg part = { .count = n - x->count, .sum = decimal((double)ints->sum, exp),
		.min = decimal((double)ints->min, exp), .max = decimal((double)ints->max, exp) };
	if (ret->count)
		slx_agg_merge(ret, &part);
	else
		*ret = part;
}

static void aggregate_patched(const struct vector *x, struct slx_int_agg *ret)
{
	const struct slx_codec_kernels *k = slx_codec_kernels();
	const struct slx_pfor *p = &x->ints;
	if (narrow_patched(x)) {
		int32_t d[SLX_VECTOR_MAX];
		slx_pfor_unpack_narrow(p, d);
		if (x->mode == DELTA)
			k->narrow_steps_agg(d, p->n, x->first, p->base, ret);
		else
			k->narrow_ints_agg(d, p->n, p->base, ret);
	} else {
		int64_t d[SLX_VECTOR_MAX];
		slx_pfor_unpack(p, d);
		if (x->mode == DELTA)
			k->steps_agg(d, p->n, x->first, p->base, ret);
		else
			k->ints_agg(d, p->n, p->base, ret);
	}
}

static void aggregate_ints(const struct vector *x, size_t n, struct slx_agg *ret)
{
	const struct slx_codec_kernels *k = slx_codec_kernels();
	const struct slx_pfor *p = &x->ints;
	bool delta = x->mode == DELTA;
	struct slx_int_agg ints;
	int64_t d[SLX_VECTOR_MAX];
	if (x->exceptions.count) {
		ints_of(x, n, d);
		k->ints_agg(d, n, 0, &ints);
		delta = false;
	} else if (p->patches) {
		aggregate_patched(x, &ints);
	} else if (delta) {
		k->delta_agg(p->fields, n - 1, p->width, x->first, p->base, &ints);
	} else {
		k->for_agg(p->fields, n, p->width, p->base, &ints);
	}
	if (delta) { /* the first value is not among the differences */
		ints.sum = (int64_t)(U(ints.sum) + U(x->first));
		ints.min = x->first < ints.min ? x->first : ints.min;
		ints.max = x->first > ints.max ? x->first : ints.max;
	}
	slx_agg_decimals(&ints, d, n, x->exp, &x->exceptions, ret);
}

silex_status slx_sx_aggregate(const uint8_t *in, size_t len, size_t n, struct slx_agg *ret, silex_error *err)
{
	struct vector x;
	SLX_TRY(parse(in, len, n, &x, err));
	if (x.mode == RAW || x.mode == RD || x.f32 || x.exceptions.nears) {
		double v[SLX_VECTOR_MAX];
		SLX_TRY(decode_parsed(&x, v, n, len, err));
		slx_agg_values(v, n, ret);
		return SILEX_OK;
	}
	aggregate_ints(&x, n, ret);
	return SILEX_OK;
}
