#include "codec/bitpack.h"

/* Two shapes are tried: base at the minimum, with patches above; and a window around a middle value, with patches on
 * both sides (a counter's reset, a spike down). Both from one histogram each of the bits that a value needs. */

static size_t bits_of(size_t n, unsigned width, size_t patches) { return n * width + patches * SLX_PFOR_PATCH_BITS; }

/* Width that makes the fewest bits, given how many values need exactly b bits. At most a quarter is patched. */
static void best_width(const uint32_t hist[65], size_t n, struct slx_pfor_plan *best, int64_t base, bool centred)
{
	size_t above = 0;
	for (unsigned w = 65; w-- > 0 && above <= n / 4; above += hist[w]) {
		size_t bits = bits_of(n, w, above);
		if (bits < best->bits) {
			int64_t half = centred && w ? (int64_t)(UINT64_C(1) << (w - 1)) : 0;
			*best = (struct slx_pfor_plan){ .base = (int64_t)((uint64_t)base - (uint64_t)half), .width = w,
				.patches = above, .bits = bits };
		}
	}
}

/* A middle value: the median of nine. */
static int64_t middle(const int64_t *x, size_t n)
{
	int64_t s[9];
	for (size_t i = 0; i < 9; i++) {
		int64_t v = x[(2 * i + 1) * n / 18];
		size_t j = i;
		for (; j > 0 && s[j - 1] > v; j--)
			s[j] = s[j - 1];
		s[j] = v;
	}
	return s[4];
}

struct slx_pfor_plan slx_pfor_plan(const int64_t *x, size_t n, int64_t min, int64_t max)
{
	unsigned width = slx_bits((uint64_t)max - (uint64_t)min);
	struct slx_pfor_plan best = { .base = min, .width = width, .bits = n * width };
	if (width < 2 || n < 8)
		return best;
	int64_t mid = middle(x, n);
	uint32_t up[65] = { 0 }, both[65] = { 0 };
	for (size_t i = 0; i < n; i++) {
		up[slx_bits((uint64_t)x[i] - (uint64_t)min)]++;
		both[slx_bits(slx_zigzag((int64_t)((uint64_t)x[i] - (uint64_t)mid)))]++;
	}
	best_width(up, n, &best, min, false);
	best_width(both, n, &best, mid, true);
	return best;
}

size_t slx_pfor_bound(size_t n) { return 1 + 10 + 8 * n + 10 + (n / 4 + 1) * 12; }

static bool fits(int64_t x, const struct slx_pfor_plan *plan)
{
	return plan->width == 64 || ((uint64_t)x - (uint64_t)plan->base) >> plan->width == 0;
}

static uint8_t *write_patches(const struct slx_pfor_plan *plan, const int64_t *x, size_t n, uint8_t *out)
{
	out = slx_put_varint(out, plan->patches);
	size_t last = 0;
	for (size_t i = 0; i < n; i++) {
		if (fits(x[i], plan))
			continue;
		out = slx_put_varint(out, i - last);
		out = slx_put_varint(out, slx_zigzag((int64_t)((uint64_t)x[i] - (uint64_t)plan->base)));
		last = i;
	}
	return out;
}

uint8_t *slx_pfor_write(const struct slx_pfor_plan *plan, const int64_t *x, size_t n, uint8_t *out)
{
	*out++ = (uint8_t)(plan->width | (plan->patches ? 128 : 0));
	out = slx_put_varint(out, slx_zigzag(plan->base));
	out = slx_pack(x, n, plan->base, plan->width, out);
	return plan->patches ? write_patches(plan, x, n, out) : out;
}

bool slx_pfor_read(struct slx_rd *r, size_t n, struct slx_pfor *ret)
{
	uint8_t head = slx_rd_u8(r);
	*ret = (struct slx_pfor){ .width = head & 127, .n = n };
	ret->base = slx_unzigzag(slx_rd_varint(r));
	if (ret->width > 64)
		return false;
	ret->fields = slx_rd_bytes(r, slx_packed_size(n, ret->width));
	if (r->bad || !(head & 128))
		return !r->bad;
	ret->patches = slx_rd_varint(r);
	ret->patch_bytes = r->p;
	if (ret->patches > n)
		return false;
	for (size_t i = 0, at = 0; i < ret->patches; i++) {
		uint64_t gap = slx_rd_varint(r);
		slx_rd_varint(r);
		if (r->bad || gap >= n - at)
			return false;
		at += gap;
	}
	ret->patch_end = r->p;
	return true;
}

void slx_pfor_unpack(const struct slx_pfor *p, int64_t *x)
{
	slx_codec_kernels()->unpack(p->fields, p->n, p->width, (uint64_t *)x);
	struct slx_rd r = { .p = p->patch_bytes, .end = p->patch_end }; /* checked by slx_pfor_read */
	for (size_t i = 0, at = 0; i < p->patches; i++) {
		at += slx_rd_varint(&r);
		x[at] = slx_unzigzag(slx_rd_varint(&r));
	}
}
