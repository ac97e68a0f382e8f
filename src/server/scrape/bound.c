/* The bounds of classic histograms and summaries in one spelling, as Prometheus 3 keeps what it scrapes: le="1" and le="1.0" of two
 * client libraries are one series. */
#include "server/scrape/scrape_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIGITS_MAX = 17, EXPONENT_FROM = 6, EXPONENT_BELOW = -4 };

/* The shortest text that reads back the same: with an exponent below 1e-4 and from 1e6 on, and never looking whole. */
static int print(double v, char to[SCRAPE_BOUND_SIZE])
{
	char text[SCRAPE_BOUND_SIZE];
	int digits = 0;
	do
		snprintf(text, sizeof text, "%.*e", digits, v);
	while (strtod(text, NULL) != v && ++digits < DIGITS_MAX);
	int exponent = atoi(strchr(text, 'e') + 1);
	if (exponent < EXPONENT_BELOW || exponent >= EXPONENT_FROM)
		return snprintf(to, SCRAPE_BOUND_SIZE, "%s", text);
	int decimals = digits - exponent;
	return snprintf(to, SCRAPE_BOUND_SIZE, "%.*f", decimals > 1 ? decimals : 1, v);
}

size_t scrape_bound(struct slx_str s, char to[SCRAPE_BOUND_SIZE])
{
	char text[SCRAPE_BOUND_SIZE], *end;
	if (s.n == 0 || s.n >= sizeof text)
		return 0;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	double v = strtod(text, &end);
	if (end != text + s.n)
		return 0;
	int n = isnan(v) ? snprintf(to, SCRAPE_BOUND_SIZE, "NaN") : isinf(v) ? snprintf(to, SCRAPE_BOUND_SIZE, v > 0 ? "+Inf" : "-Inf") : print(v, to);
	return (size_t)n;
}
