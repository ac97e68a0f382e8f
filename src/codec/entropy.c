/* Huffman codes of at most 11 bits.
 *
 * Small lengths keep the decoder's table in the first-level cache. An entry tells all whole symbols among the next bits:
 * at two bits a symbol one look-up gives four of them, which is what makes a serial bit stream fast. Two streams side
 * by side hide the latency where symbols are long. */
#include "codec/entropy.h"

#include <math.h>
#include <stdlib.h>

struct node {
	uint32_t weight;
	int16_t parent;
	int16_t symbol;
};

static int by_weight(const void *a, const void *b)
{
	const struct node *x = a, *y = b;
	if (x->weight != y->weight)
		return x->weight < y->weight ? -1 : 1;
	return x->symbol - y->symbol;
}

/* Code lengths without a limit, by the two queues of sorted leaves and of sums; returns how many leaves. */
static size_t plain_lengths(const uint32_t *count, unsigned symbols, uint8_t *len, uint16_t *order)
{
	struct node node[2 * SLX_HUFF_SYMBOLS];
	uint8_t depth[2 * SLX_HUFF_SYMBOLS];
	size_t n = 0;
	for (unsigned s = 0; s < symbols; s++)
		if (count[s])
			node[n++] = (struct node){ count[s], -1, (int16_t)s };
	qsort(node, n, sizeof *node, by_weight);
	size_t leaf = 0, sum = n, end = n;
	while (end < 2 * n - 1) {
		node[end] = (struct node){ 0, -1, -1 };
		for (int i = 0; i < 2; i++) {
			size_t least = leaf < n && (sum >= end || node[leaf].weight <= node[sum].weight) ? leaf++ : sum++;
			node[least].parent = (int16_t)end;
			node[end].weight += node[least].weight;
		}
		end++;
	}
	depth[2 * n - 2] = 0;
	for (size_t i = 2 * n - 2; i-- > 0;)
		depth[i] = (uint8_t)(depth[node[i].parent] + 1);
	for (size_t i = 0; i < n; i++) {
		order[i] = (uint16_t)node[i].symbol;
		len[node[i].symbol] = depth[i];
	}
	return n;
}

/* Cuts lengths to `bits` and repairs the sum of 2^-length to exactly 1. order: rarest symbols first. */
static void limit_lengths(uint8_t *len, const uint16_t *order, size_t n, unsigned bits)
{
	uint32_t full = 1u << bits, sum = 0;
	for (size_t i = 0; i < n; i++) {
		uint8_t *l = &len[order[i]];
		*l = *l > bits ? (uint8_t)bits : *l;
		sum += full >> *l;
	}
	for (size_t i = 0; sum > full; i = i + 1 < n ? i + 1 : 0) { /* lengthen the rarest that still can be */
		uint8_t *l = &len[order[i]];
		if (*l < bits) {
			sum -= full >> (*l + 1);
			++*l;
		}
	}
	for (size_t i = n; i-- > 0;) { /* give what is left over to the most usual */
		uint8_t *l = &len[order[i]];
		while (*l > 1 && sum + (full >> *l) <= full) {
			sum += full >> *l;
			--*l;
		}
	}
}

static uint32_t reversed(uint32_t code, unsigned len)
{
	uint32_t r = 0;
	for (unsigned i = 0; i < len; i++)
		r |= (code >> i & 1) << (len - 1 - i);
	return r;
}

/* Canonical codes: shorter first, then by symbol. */
static void codes_of(const uint8_t *len, unsigned symbols, uint16_t *code)
{
	uint32_t next = 0;
	for (unsigned l = 1; l <= SLX_HUFF_BITS_MAX; l++, next <<= 1)
		for (unsigned s = 0; s < symbols; s++)
			if (len[s] == l)
				code[s] = (uint16_t)reversed(next++, l);
}

/* A small alphabet needs no long codes, and a small table is built faster. */
static unsigned bits_for(size_t used)
{
	unsigned b = 3;
	while (b < SLX_HUFF_BITS_MAX && (1u << (b - 3)) < used)
		b++;
	return b < 7 ? 7 : b;
}

void slx_huff_make(const uint32_t *count, unsigned symbols, struct slx_huff_code *ret)
{
	uint32_t c[SLX_HUFF_SYMBOLS] = { 0 };
	uint16_t order[SLX_HUFF_SYMBOLS];
	size_t used = 0;
	memcpy(c, count, symbols * sizeof *c);
	symbols = symbols < 2 ? 2 : symbols;
	for (unsigned s = 0; s < symbols; s++)
		used += c[s] > 0;
	for (unsigned s = 0; used < 2; s++) {
		used += c[s] == 0;
		c[s] = c[s] ? c[s] : 1;
	}
	*ret = (struct slx_huff_code){ .symbols = symbols, .bits = bits_for(used) };
	size_t n = plain_lengths(c, symbols, ret->len, order);
	limit_lengths(ret->len, order, n, ret->bits);
	codes_of(ret->len, symbols, ret->code);
}

double slx_huff_cost(const uint32_t *count, unsigned symbols)
{
	float total = 0, bits = 0;
	for (unsigned s = 0; s < symbols; s++) {
		float c = (float)count[s];
		total += c;
		bits -= count[s] > 1 ? c * log2f(c) : 0;
	}
	return total > 0 ? (double)(bits + total * log2f(total) + total * 0.03f) + 4.0 * symbols : 0;
}

uint8_t *slx_huff_write(const struct slx_huff_code *c, uint8_t *out)
{
	*out++ = (uint8_t)(c->symbols - 1);
	*out++ = (uint8_t)c->bits;
	uint8_t nibble[2 * SLX_HUFF_SYMBOLS + 1];
	size_t n = 0;
	for (unsigned s = 0; s < c->symbols; s++) {
		nibble[n++] = c->len[s];
		if (c->len[s])
			continue;
		unsigned zeros = 1;
		while (zeros < 16 && s + zeros < c->symbols && c->len[s + zeros] == 0)
			zeros++;
		nibble[n++] = (uint8_t)(zeros - 1);
		s += zeros - 1;
	}
	nibble[n] = 0;
	for (size_t i = 0; i < n; i += 2)
		*out++ = (uint8_t)(nibble[i] | nibble[i + 1] << 4);
	return out;
}

static uint8_t next_nibble(struct slx_rd *r, bool *half, uint8_t *byte)
{
	*half = !*half;
	if (!*half)
		return *byte >> 4;
	*byte = slx_rd_u8(r);
	return *byte & 15;
}

static void build_table(const uint8_t *len, struct slx_huff_table *t)
{
	uint16_t code[SLX_HUFF_SYMBOLS];
	uint8_t sym1[1 << SLX_HUFF_BITS_MAX], len1[1 << SLX_HUFF_BITS_MAX];
	uint32_t size = 1u << t->bits;
	codes_of(len, t->symbols, code);
	for (unsigned s = 0; s < t->symbols; s++) {
		if (len[s] == 0)
			continue;
		for (uint32_t i = code[s]; i < size; i += 1u << len[s]) {
			sym1[i] = (uint8_t)s;
			len1[i] = len[s];
		}
	}
	for (uint32_t i = 0; i < size; i++) {
		uint64_t entry = 0, count = 0;
		unsigned at = 0;
		while (count < 4 && at + len1[i >> at] <= t->bits) {
			entry |= (uint64_t)sym1[i >> at] << 8 * count++;
			at += len1[i >> at];
		}
		t->entry[i] = entry | count << 32 | (uint64_t)at << 40;
	}
}

bool slx_huff_read(struct slx_rd *r, struct slx_huff_table *ret)
{
	uint8_t len[SLX_HUFF_SYMBOLS] = { 0 }, byte = 0;
	bool half = false;
	ret->symbols = slx_rd_u8(r) + 1u;
	ret->bits = slx_rd_u8(r);
	if (r->bad || ret->bits == 0 || ret->bits > SLX_HUFF_BITS_MAX)
		return false;
	uint32_t sum = 0, full = 1u << ret->bits;
	for (unsigned s = 0; s < ret->symbols; s++) {
		len[s] = next_nibble(r, &half, &byte);
		if (len[s] == 0)
			s += next_nibble(r, &half, &byte);
		else if (len[s] > ret->bits)
			return false;
		else
			sum += full >> len[s];
	}
	if (r->bad || sum != full) /* complete, so that every entry of the table is set */
		return false;
	build_table(len, ret);
	return true;
}

size_t slx_huff_stream_bound(size_t n) { return n * SLX_HUFF_BITS_MAX / 8 + 9; }

uint8_t *slx_huff_encode(const struct slx_huff_code *c, const uint8_t *sym, size_t n, uint8_t *out)
{
	uint64_t acc = 0;
	unsigned fill = 0;
	for (size_t i = 0; i < n; i++) {
		acc |= (uint64_t)c->code[sym[i]] << fill;
		fill += c->len[sym[i]];
		if (fill >= 32) {
			slx_store32(out, (uint32_t)acc);
			out += 4;
			acc >>= 32;
			fill -= 32;
		}
	}
	for (; fill; fill = fill > 8 ? fill - 8 : 0, acc >>= 8)
		*out++ = (uint8_t)acc;
	return out;
}

/* A stream being read: bits at the low end of acc. */
struct stream {
	const uint8_t *p, *end;
	uint64_t acc;
	unsigned have;
	uint8_t *sym, *sym_end;
	bool bad;
};

static inline void refill_fast(struct stream *s) /* 8 bytes are there */
{
	s->acc |= slx_load64(s->p) << s->have;
	s->p += (63 - s->have) >> 3;
	s->have |= 56;
}

static inline void step(const struct slx_huff_table *t, uint64_t mask, struct stream *s)
{
	uint64_t e = t->entry[s->acc & mask];
	slx_store32(s->sym, (uint32_t)e);
	s->sym += e >> 32 & 255;
	s->acc >>= e >> 40;
	s->have -= (unsigned)(e >> 40);
}

enum { STEPS = 4 }; /* between refills: 4 * 11 bits, up to 16 symbols */

static inline bool roomy(const struct stream *s) { return s->end - s->p >= 8 && s->sym_end - s->sym >= 4 * STEPS; }

/* The last symbols, by the byte. */
static void finish(const struct slx_huff_table *t, struct stream *s)
{
	uint64_t mask = (1u << t->bits) - 1;
	while (s->sym < s->sym_end) {
		for (; s->have <= 56 && s->p < s->end; s->have += 8)
			s->acc |= (uint64_t)*s->p++ << s->have;
		uint64_t e = t->entry[s->acc & mask];
		unsigned count = e >> 32 & 255, bits = (unsigned)(e >> 40);
		size_t want = (size_t)(s->sym_end - s->sym);
		if (count <= want && bits > s->have) {
			s->bad = true;
			return;
		}
		for (unsigned i = 0; i < count && i < want; i++)
			*s->sym++ = (uint8_t)(e >> 8 * i);
		s->acc >>= bits;
		s->have = s->have > bits ? s->have - bits : 0;
	}
}

bool slx_huff_decode(const struct slx_huff_table *t, const uint8_t *in, size_t len, uint8_t *sym, size_t n)
{
	struct stream s = { .p = in, .end = in + len, .sym = sym, .sym_end = sym + n };
	uint64_t mask = (1u << t->bits) - 1;
	while (roomy(&s)) {
		refill_fast(&s);
		for (int i = 0; i < STEPS; i++)
			step(t, mask, &s);
	}
	s.acc &= s.have ? UINT64_MAX >> (64 - s.have) : 0; /* a fast refill left bits above */
	finish(t, &s);
	return !s.bad;
}

bool slx_huff_decode2(const struct slx_huff_table *t, const uint8_t *a, size_t a_len, uint8_t *a_sym, size_t na,
	const uint8_t *b, size_t b_len, uint8_t *b_sym, size_t nb)
{
	struct stream x = { .p = a, .end = a + a_len, .sym = a_sym, .sym_end = a_sym + na };
	struct stream y = { .p = b, .end = b + b_len, .sym = b_sym, .sym_end = b_sym + nb };
	uint64_t mask = (1u << t->bits) - 1;
	while (roomy(&x) && roomy(&y)) {
		refill_fast(&x);
		refill_fast(&y);
		for (int i = 0; i < STEPS; i++) {
			step(t, mask, &x);
			step(t, mask, &y);
		}
	}
	x.acc &= x.have ? UINT64_MAX >> (64 - x.have) : 0;
	y.acc &= y.have ? UINT64_MAX >> (64 - y.have) : 0;
	finish(t, &x);
	finish(t, &y);
	return !x.bad && !y.bad;
}
