/* What the levels of the statistics kernel share. */
#ifndef SLX_CODEC_STATS_INT_H
#define SLX_CODEC_STATS_INT_H

#include "codec/codec.h"

void slx_stats_scalar(const double *v, size_t n, struct slx_stats *ret);

/* Four lanes of compensated sums (Neumaier): what each level keeps in its registers. */
struct slx_stats_lanes {
	double sum[4], comp[4], rise[4];
};

/* Adds the lanes, in order. */
void slx_stats_fold(const struct slx_stats_lanes *l, struct slx_stats *ret);

static inline void slx_neumaier(double x, double *sum, double *comp)
{
	double t = *sum + x;
	/* Knuth's two-sum: no branch, the same in a register of any width. */
	double b = t - *sum;
	*comp += (*sum - (t - b)) + (x - b);
	*sum = t;
}

#endif
