/* A vector in the SX form, parsed. Shared with the cold codec, whose parts may be such vectors. */
#ifndef SLX_CODEC_SX_INT_H
#define SLX_CODEC_SX_INT_H

#include "codec/bitpack.h"

/* The values that are not decimal: runs of positions, and their bits. */
struct slx_exceptions {
	size_t count; /* 0: none */
	bool same;    /* one value for all of them */
	const uint8_t *runs, *runs_end, *values;
};

/* Longest encoding of exceptions among n values. */
size_t slx_exceptions_bound(size_t n);
/* fails: bit i set for value i, count of them. */
uint8_t *slx_exceptions_write(const double *v, size_t n, const uint64_t *fails, size_t count, uint8_t *out);
bool slx_exceptions_read(struct slx_rd *r, size_t n, struct slx_exceptions *ret);
void slx_exceptions_apply(const struct slx_exceptions *x, double *v);
/* Corrects an aggregate that counted d (repeats of neighbours) where the exceptions are. */
void slx_exceptions_aggregate(const struct slx_exceptions *x, const int64_t *d, struct slx_int_agg *ints,
	struct slx_agg *ret);

/* Integers for v at the least decimal exponent, by what the hint says first. On success d holds them, exceptions
 * (at most a quarter of distinct ones) filled with their neighbour; false: not a decimal vector. */
struct slx_decimals {
	unsigned exp;
	bool f32;
	size_t failed;
	uint64_t fails[SLX_VECTOR_MAX / 64];
};

bool slx_to_decimals(const double *v, size_t n, struct slx_sx_hint *hint, int64_t *d, struct slx_decimals *ret);

/* An aggregate from that of the integers d[n] and the exceptions among them. */
void slx_agg_decimals(struct slx_int_agg *ints, const int64_t *d, size_t n, unsigned exp, const struct slx_exceptions *x,
	struct slx_agg *ret);
void slx_agg_values(const double *v, size_t n, struct slx_agg *ret);

#endif
