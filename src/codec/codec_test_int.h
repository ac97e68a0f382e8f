/* Inputs that the codec tests share: the shapes of values and timestamps that broke codecs before. */
#ifndef SLX_CODEC_TEST_INT_H
#define SLX_CODEC_TEST_INT_H

#include "base/bytes.h"
#include "base/clock.h"
#include "codec/codec.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* SLX_SEED in the environment repeats a run. */
static inline uint64_t test_seed(void)
{
	const char *s = getenv("SLX_SEED");
	uint64_t seed = s ? strtoull(s, NULL, 0) : 20240607;
	printf("seed %llu\n", (unsigned long long)seed);
	return seed;
}

static inline uint64_t test_below(uint64_t *rng, uint64_t n) { return slx_rng_next(rng) % n; }

static inline double test_special(uint64_t *rng)
{
	static const uint64_t bits[] = { 0x7ff0000000000002 /* Prometheus' stale marker */, 0x7ff8000000000000,
		0xfff8000000000001, 0x7ff4000000000123, 0x7ff0000000000000, 0xfff0000000000000, 0x8000000000000000, 0, 1,
		0x000fffffffffffff, 0x7fefffffffffffff, 0x4340000000000001, 0x4320000000000000, 0xc31fffffffffffff };
	return slx_bits_f64(bits[test_below(rng, sizeof bits / sizeof *bits)]);
}

enum { TEST_VALUE_SHAPES = 13 };

static inline void test_values(uint64_t *rng, unsigned shape, double *v, size_t n)
{
	int64_t at = (int64_t)test_below(rng, 100000);
	unsigned e = (unsigned)test_below(rng, 9);
	double scale = pow(10, e);
	for (size_t i = 0; i < n; i++) {
		uint64_t r = slx_rng_next(rng);
		at += (int64_t)(r % 9) - 4;
		switch (shape) {
		case 0: v[i] = 42.5; break;
		case 1: v[i] = (double)at; break;
		case 2: v[i] = (double)at / scale; break;
		case 3: v[i] = (double)(float)((double)at / scale); break;
		case 4: v[i] = slx_bits_f64(r); break;
		case 5: v[i] = 20 + (double)(r >> 11) * 0x1p-53; break;
		case 6: v[i] = r % 5 ? (double)at / scale : test_special(rng); break;
		case 7: v[i] = test_special(rng); break;
		case 8: v[i] = r % 50 ? (double)at : (double)(int64_t)(r >> 14); break; /* spikes */
		case 9: v[i] = (double)(i * 17 % 1000 + (r & 3)); break;                /* a counter with resets */
		case 10: v[i] = r % 7 ? (double)(int64_t)(r % 100) / 100 : slx_bits_f64(0x7ff0000000000002); break;
		case 11: v[i] = slx_bits_f64(slx_f64_bits((double)at / scale) + (r >> 40) % 7 - 3); break; /* off by a few bits */
		default: v[i] = (double)((int64_t)r >> test_below(rng, 64)) / scale; break;
		}
	}
}

enum { TEST_TS_SHAPES = 9 };

static inline void test_timestamps(uint64_t *rng, unsigned shape, int64_t *ts, size_t n)
{
	static const int64_t units[] = { 1, 1000, 1000000, 1000000000, 60000000000 };
	int64_t unit = units[test_below(rng, 5)], at = INT64_C(1700000000000000000);
	uint64_t phase = test_below(rng, 1000);
	for (size_t i = 0; i < n; i++) {
		uint64_t r = slx_rng_next(rng);
		switch (shape) {
		case 0: at += 15 * unit; break;
		case 1: at = INT64_C(1700000000000000000) + (int64_t)i * 15000000000 + (int64_t)(r % 11) * 1000000; break;
		case 2: at += (r % 20 ? 15 : 60) * unit; break;
		case 3: at = (int64_t)((i + phase) * 1000000000 / 360); break;
		case 4: at += (int64_t)(r % 100000) * unit / 1000; break;
		case 5: at = (int64_t)r; break;
		case 6: at += (r % 50 ? 10 : -500) * unit; break;
		case 7: at = r & 1 ? INT64_MAX - (int64_t)(r % 5) : INT64_MIN + (int64_t)(r % 5); break;
		default: at = (int64_t)((i + phase) * 1000000 / 360) * 1000; break;
		}
		ts[i] = at;
	}
}

#endif
