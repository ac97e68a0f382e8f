/* Sums with compensation, as Prometheus makes them (private to promql/).
 * Source: Kahan summation as improved by Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen" (1974). */
#ifndef SLX_PROMQL_KAHAN_H
#define SLX_PROMQL_KAHAN_H

#include <math.h>

/* The value is s + c; when s is infinite, s alone. */
struct slx_pq_kahan {
	double s, c;
};

static inline void slx_pq_kahan_add(struct slx_pq_kahan *k, double v)
{
	double t = k->s + v;
	if (isinf(t))
		k->c = 0;
	else if (fabs(k->s) >= fabs(v))
		k->c += (k->s - t) + v;
	else
		k->c += (v - t) + k->s;
	k->s = t;
}

static inline double slx_pq_kahan_value(struct slx_pq_kahan k) { return isinf(k.s) ? k.s : k.s + k.c; }

#endif
