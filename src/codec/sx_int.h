/* A vector in the SX form, parsed. Shared with the cold codec, whose parts may be such vectors. */
#ifndef SLX_CODEC_SX_INT_H
#define SLX_CODEC_SX_INT_H

#include "codec/bitpack.h"

/* What a vector's integers do not say. Two sorts of values: "far" ones have no decimal form (NaN, infinities, -0.0, all
 * 53 bits in use); "near" ones are a decimal but for the last bits, as sums and means of decimals are
 * (44.833999999999996): their integer is kept and a correction of -4..4 units in the last place. */
struct slx_decimals {
	unsigned exp;
	bool f32;
	size_t failed, nears; /* how many */
	uint64_t fails[SLX_VECTOR_MAX / 64], near[SLX_VECTOR_MAX / 64]; /* bit i: value i */
};

/* Integers for v at the least decimal exponent, by what the hint says first. On success d holds them, far ones (at most
 * a quarter, without counting NaN and its like) filled with their neighbour; false: not a decimal vector. */
bool slx_to_decimals(const double *v, size_t n, struct slx_sx_hint *hint, int64_t *d, struct slx_decimals *ret);
/* The conversion at one exponent, nothing filled yet. */
void slx_convert(const double *v, size_t n, unsigned exp, bool f32, int64_t *d, struct slx_decimals *ret);
/* Gives far values the integer before them (the first ones that after them). */
void slx_fill_failed(int64_t *d, size_t n, const uint64_t *fails);

struct slx_exceptions {
	size_t count; /* far ones */
	bool same;    /* one value for all of them */
	const uint8_t *runs, *runs_end, *values;
	size_t nears;
	const uint8_t *near, *near_end;
};

uint8_t *slx_exceptions_write(const double *v, const int64_t *d, size_t n, const struct slx_decimals *x, uint8_t *out);
bool slx_exceptions_read(struct slx_rd *r, size_t n, struct slx_exceptions *ret);
/* v: the decimals. */
void slx_exceptions_apply(const struct slx_exceptions *x, double *v);
/* Corrects an aggregate that counted d (repeats of neighbours) where the far ones are. Not for near ones. */
void slx_exceptions_aggregate(const struct slx_exceptions *x, const int64_t *d, struct slx_int_agg *ints,
	struct slx_agg *ret);

/* An aggregate from that of the integers d[n] and the exceptions among them. */
void slx_agg_decimals(struct slx_int_agg *ints, const int64_t *d, size_t n, unsigned exp, const struct slx_exceptions *x,
	struct slx_agg *ret);
void slx_agg_values(const double *v, size_t n, struct slx_agg *ret);

#endif
