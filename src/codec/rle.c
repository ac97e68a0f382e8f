/* Run lengths of states, for bool and enum.
 *
 *   pairs   varint state, varint length - 1; their lengths sum to n
 *
 * With two states that take turns, as a bool does, the state need not be said again:
 *
 *   u8      0: pairs | 1: two states: varint a, varint b, then varint length - 1 of runs of a, b, a, b... */
#include "base/bytes.h"
#include "codec/codec.h"

enum { PAIRS, TURNS };

size_t slx_rle_bound(size_t n) { return 16 + 6 * n; }

static bool two_states(const uint32_t *s, size_t n, uint32_t *ret_b)
{
	*ret_b = s[0];
	for (size_t i = 1; i < n; i++) {
		if (s[i] == s[0] || s[i] == *ret_b)
			continue;
		if (*ret_b != s[0])
			return false;
		*ret_b = s[i];
	}
	return true;
}

size_t slx_rle_encode(const uint32_t *states, size_t n, uint8_t *out, size_t cap)
{
	if (n == 0 || n > SLX_CHUNK_MAX || cap < slx_rle_bound(n))
		return 0;
	uint32_t other;
	bool turns = two_states(states, n, &other);
	uint8_t *p = out;
	*p++ = turns ? TURNS : PAIRS;
	if (turns) {
		p = slx_put_varint(p, states[0]);
		p = slx_put_varint(p, other);
	}
	for (size_t i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n && states[i + run] == states[i];)
			run++;
		if (!turns)
			p = slx_put_varint(p, states[i]);
		p = slx_put_varint(p, run - 1);
	}
	return (size_t)(p - out);
}

silex_status slx_rle_decode(const uint8_t *in, size_t len, uint32_t *states, size_t n, silex_error *err)
{
	struct slx_rd r = slx_rd_init(in, len);
	uint8_t form = slx_rd_u8(&r);
	uint64_t turn[2] = { 0 };
	if (form == TURNS) {
		turn[0] = slx_rd_varint(&r);
		turn[1] = slx_rd_varint(&r);
	}
	if (r.bad || form > TURNS || turn[0] > UINT32_MAX || turn[1] > UINT32_MAX)
		return slx_err(err, SILEX_CORRUPT, "run lengths: unknown form %u", form);
	for (size_t i = 0, k = 0; i < n; k++) {
		uint64_t state = form == TURNS ? turn[k & 1] : slx_rd_varint(&r);
		uint64_t run = slx_rd_varint(&r);
		if (r.bad || state > UINT32_MAX || run >= n - i)
			return slx_err(err, SILEX_CORRUPT, "run lengths: run %zu at value %zu of %zu is damaged", k, i, n);
		for (run++; run; run--)
			states[i++] = (uint32_t)state;
	}
	return SILEX_OK;
}
