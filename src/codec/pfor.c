#include "codec/bitpack.h"

/* Two shapes are tried for each width below the full one: base at the minimum, with patches above; and a window around
 * a middle value, with patches on both sides (a counter's reset, a spike down). */

static int64_t middle_of_three(int64_t a, int64_t b, int64_t c)
{
	int64_t low = a < b ? a : b, high = a < b ? b : a;
	int64_t top = high < c ? high : c;
	return low > top ? low : top;
}

/* The middle of three middles of three: no branches, and near enough to the median. */
static int64_t middle(const int64_t *x, size_t n)
{
	const int64_t *y = x + n / 3, *z = x + n / 3 * 2;
	size_t step = n / 9;
	return middle_of_three(middle_of_three(x[0], x[step], x[2 * step]), middle_of_three(y[0], y[step], y[2 * step]),
		middle_of_three(z[0], z[step], z[2 * step]));
}

/* With patches, a vector is decoded in two passes: worth some bits. */
static size_t bits_of(size_t n, unsigned width, size_t patches)
{
	return n * width + (patches ? 32 + patches * SLX_PFOR_PATCH_BITS : 0);
}

static size_t try_base(const int64_t *x, size_t n, int64_t base, unsigned width, struct slx_pfor_plan *best)
{
	size_t patches = slx_codec_kernels()->outside(x, n, base, width), bits = bits_of(n, width, patches);
	if (bits < best->bits && patches <= n / 4)
		*best = (struct slx_pfor_plan){ .base = base, .width = width, .patches = patches, .bits = bits };
	return patches;
}

struct slx_pfor_plan slx_pfor_plan(const int64_t *x, size_t n, int64_t min, int64_t max)
{
	unsigned full = slx_bits((uint64_t)max - (uint64_t)min);
	struct slx_pfor_plan best = { .base = min, .width = full, .bits = n * full };
	if (full < 2 || n < 8)
		return best;
	int64_t mid = middle(x, n);
	/* A narrower window has no fewer patches, so the search ends when the next width cannot win. */
	for (unsigned w = full; w-- > 0;) {
		int64_t half = w ? (int64_t)(UINT64_C(1) << (w - 1)) : 0;
		size_t above = try_base(x, n, min, w, &best);
		size_t both = try_base(x, n, (int64_t)((uint64_t)mid - (uint64_t)half), w, &best);
		size_t least = above < both ? above : both;
		if (w == 0 || least > n / 4 || bits_of(n, w - 1, least) >= best.bits)
			break;
	}
	return best;
}

size_t slx_pfor_bound(size_t n) { return 1 + 10 + 8 * n + 10 + (n / 4 + 1) * 12; }

/* A width of 64 has no patches. */
static uint8_t *write_patches(const struct slx_pfor_plan *plan, const int64_t *x, uint8_t *out)
{
	out = slx_put_varint(out, plan->patches);
	for (size_t i = 0, last = 0, left = plan->patches; left; i++) {
		uint64_t u = (uint64_t)x[i] - (uint64_t)plan->base;
		if (u >> plan->width == 0)
			continue;
		out = slx_put_varint(out, i - last);
		out = slx_put_varint(out, slx_zigzag((int64_t)u));
		last = i;
		left--;
	}
	return out;
}

uint8_t *slx_pfor_write(const struct slx_pfor_plan *plan, const int64_t *x, size_t n, uint8_t *out)
{
	*out++ = (uint8_t)(plan->width | (plan->patches ? 128 : 0));
	out = slx_put_varint(out, slx_zigzag(plan->base));
	out = slx_pack(x, n, plan->base, plan->width, out);
	return plan->patches ? write_patches(plan, x, out) : out;
}

/* Patches are mostly small numbers, and there is one behind the other. */
static inline uint64_t varint(struct slx_rd *r)
{
	if (slx_rd_left(r) < 2)
		return slx_rd_varint(r);
	if (r->p[0] < 128)
		return *r->p++;
	if (r->p[1] >= 128)
		return slx_rd_varint(r);
	r->p += 2;
	return (r->p[-2] & 127u) | (unsigned)r->p[-1] << 7;
}

bool slx_pfor_read(struct slx_rd *r, size_t n, struct slx_pfor *ret)
{
	uint8_t head = slx_rd_u8(r);
	*ret = (struct slx_pfor){ .width = head & 127, .n = n };
	ret->base = slx_unzigzag(varint(r));
	if (ret->width > 64)
		return false;
	ret->fields = slx_rd_bytes(r, slx_packed_size(n, ret->width));
	if (r->bad || !(head & 128))
		return !r->bad;
	ret->patches = slx_rd_varint(r);
	ret->patch_bytes = r->p;
	if (ret->patches > n)
		return false;
	uint64_t zigzags = 0;
	for (size_t i = 0, at = 0; i < ret->patches; i++) {
		uint64_t gap = varint(r);
		zigzags |= varint(r);
		if (r->bad || gap >= n - at)
			return false;
		at += gap;
	}
	ret->patch_end = r->p;
	ret->narrow_patches = zigzags >> (SLX_NARROW + 1) == 0;
	return true;
}

void slx_pfor_unpack(const struct slx_pfor *p, int64_t *x)
{
	slx_codec_kernels()->unpack(p->fields, p->n, p->width, (uint64_t *)x);
	struct slx_rd r = { .p = p->patch_bytes, .end = p->patch_end }; /* checked by slx_pfor_read */
	for (size_t i = 0, at = 0; i < p->patches; i++) {
		at += varint(&r);
		x[at] = slx_unzigzag(varint(&r));
	}
}

void slx_pfor_unpack_narrow(const struct slx_pfor *p, int32_t *x)
{
	slx_codec_kernels()->narrow_unpack(p->fields, p->n, p->width, x);
	struct slx_rd r = { .p = p->patch_bytes, .end = p->patch_end };
	for (size_t i = 0, at = 0; i < p->patches; i++) {
		at += varint(&r);
		x[at] = (int32_t)slx_unzigzag(varint(&r));
	}
}
