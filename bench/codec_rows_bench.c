/* The codec rows of the table; bench/codec_bench.c has the whole matrix. */
#include "bench.h"
#include "codec/codec.h"

enum { VECTOR = 128, SERIES = 512, REPEAT = 40 };

static double values[SERIES][VECTOR];
static uint8_t packed[SERIES][VECTOR * 10 + 256];
static size_t sizes[SERIES];

static void make(int scale)
{
	for (int i = 0; i < SERIES; i++)
		for (int j = 0, v = (int)(bench_random() % 101) * scale; j < VECTOR; j++)
			values[i][j] = bench_walk(&v, scale);
}

/* M values/s of sealing: timestamps and values of a tail of 128. */
static double seal(void)
{
	struct slx_sx_hint hint[SERIES] = { 0 };
	int64_t ts[VECTOR];
	uint8_t ts_bytes[4096];
	for (int j = 0; j < VECTOR; j++)
		ts[j] = j * INT64_C(10000000000);
	double from = bench_cpu();
	for (int r = 0; r < REPEAT; r++)
		for (int i = 0; i < SERIES; i++) {
			slx_ts_encode(ts, VECTOR, ts_bytes, sizeof ts_bytes);
			sizes[i] = slx_sx_encode(values[i], VECTOR, &hint[i], SLX_SCALE_NONE, packed[i], sizeof packed[i]);
		}
	return (double)REPEAT * SERIES * VECTOR / (bench_cpu() - from) / 1e6;
}

static double decode(void)
{
	double out[VECTOR];
	double from = bench_cpu();
	for (int r = 0; r < REPEAT * 10; r++)
		for (int i = 0; i < SERIES; i++)
			BENCH_OK(slx_sx_decode(packed[i], sizes[i], out, VECTOR, e));
	return (double)REPEAT * 10 * SERIES * VECTOR / (bench_cpu() - from) / 1e9;
}

static double fused(void)
{
	double from = bench_cpu();
	for (int r = 0; r < REPEAT * 10; r++)
		for (int i = 0; i < SERIES; i++) {
			struct slx_agg a = slx_agg_none();
			BENCH_OK(slx_sx_aggregate(packed[i], sizes[i], VECTOR, &a, e));
		}
	return (double)REPEAT * 10 * SERIES * VECTOR / (bench_cpu() - from) / 1e9;
}

static double best_of(double (*f)(void))
{
	double v[5];
	for (int i = 0; i < 5; i++)
		v[i] = f();
	return bench_percentile(v, 5, 50);
}

static void codecs(void)
{
	make(1);
	double s1 = best_of(seal), d1 = best_of(decode), f1 = best_of(fused);
	make(100);
	double s2 = best_of(seal), d2 = best_of(decode), f2 = best_of(fused);
	bench_row("seal SX, TSBS integers", s1, 100, 300, true, "M values/s", slx_codec_simd());
	bench_row("seal SX, two decimals", s2, 100, 300, true, "M values/s", "");
	bench_row("decode SX delta, TSBS integers", d1, 2, 4, true, "G values/s", "vectors of 128");
	bench_row("decode SX delta, two decimals", d2, 2, 4, true, "G values/s", "");
	bench_row("fused sum+max, TSBS integers", f1, 2.3, 5, true, "G values/s", "");
	bench_row("fused sum+max, two decimals", f2, 2.3, 5, true, "G values/s", "");
	for (int i = 0; i < SERIES; i++) /* noise: FOR wins over delta */
		for (int j = 0; j < VECTOR; j++)
			values[i][j] = (double)(bench_random() % 1000);
	seal();
	bench_row("decode SX FOR", best_of(decode), 4, 8, true, "G values/s", "integers below 1,000, noise");
}

const struct bench codec_benches[] = {
	{ "codecs", "seal, decode and fused aggregates of SX", codecs },
	{ NULL, NULL, NULL },
};
