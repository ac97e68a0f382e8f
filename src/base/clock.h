/* Time and randomness handed in per database (silex_env), with the system's as default. */
#ifndef SLX_BASE_CLOCK_H
#define SLX_BASE_CLOCK_H

#include <silex/env.h>

void slx_clock_init(silex_clock *c, const silex_clock *from);   /* from NULL or zeroed: CLOCK_REALTIME, CLOCK_MONOTONIC */
void slx_random_init(silex_random *r, const silex_random *from); /* from NULL or zeroed: getrandom(2) */

static inline int64_t slx_wall_ns(const silex_clock *c) { return c->wall_ns(c->ctx); }
static inline int64_t slx_monotonic_ns(const silex_clock *c) { return c->monotonic_ns(c->ctx); }

/* A small seeded generator (splitmix64) for tests, sampling and jitter; not for secrets. */
static inline uint64_t slx_rng_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* CPU seconds of all threads of this process so far (for benchmarks and metrics). */
double slx_cpu_seconds(void);

#endif
