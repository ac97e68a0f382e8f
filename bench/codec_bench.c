/* Sizes and speeds of the codecs on one core: `codec_bench [FOLDER]`, FOLDER with nab/, ecg/, icu/ as in
 * docs (data/timeseries); without it only the synthetic sets. */
#include "base/bytes.h"
#include "base/clock.h"
#include "codec/codec.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST = 1 << 20, HOT = 128, PART = 360 };

static int64_t ts[MOST], ts_back[MOST];
static double v[MOST], v_back[MOST];
static uint8_t out[MOST * 18];
static size_t at[MOST / HOT + 2];
static struct slx_mem mem;
static struct slx_cold_writer *writer;
static struct slx_cold_reader *reader;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Best of many runs, in millions of values a second. */
#define MEASURE(n, ret, what)                                    \
	do {                                                         \
		double best_ = 1e9, begin_ = now();                      \
		for (int k_ = 0; k_ < 3 || (now() - begin_ < 0.08 && k_ < 2000); k_++) { \
			double t_ = now();                                   \
			what;                                                \
			t_ = now() - t_;                                     \
			best_ = t_ < best_ ? t_ : best_;                     \
		}                                                        \
		*(ret) = (double)(n) / best_ / 1e6;                      \
	} while (0)

static size_t len_at(size_t n, size_t i, size_t step) { return n - i < step ? n - i : step; }

static size_t hot_encode(size_t n)
{
	struct slx_sx_hint hint = { 0 };
	size_t end = 0, k = 0;
	for (size_t i = 0; i < n; i += HOT) {
		at[k++] = end;
		end += slx_sx_encode(v + i, len_at(n, i, HOT), &hint, SLX_SCALE_NONE, out + end, sizeof out - end);
	}
	at[k] = end;
	return end;
}

static void hot_decode(size_t n)
{
	for (size_t i = 0, k = 0; i < n; i += HOT, k++)
		slx_sx_decode(out + at[k], at[k + 1] - at[k], v_back, len_at(n, i, HOT), NULL);
}

static double hot_aggregate(size_t n)
{
	struct slx_agg all = { 0 }, one;
	for (size_t i = 0, k = 0; i < n; i += HOT, k++) {
		slx_sx_aggregate(out + at[k], at[k + 1] - at[k], len_at(n, i, HOT), &one, NULL);
		slx_agg_merge(&all, &one);
	}
	return all.sum;
}

static size_t ts_encode(size_t n, size_t step)
{
	size_t end = 0, k = 0;
	for (size_t i = 0; i < n; i += step) {
		at[k++] = end;
		end += slx_ts_encode(ts + i, len_at(n, i, step), out + end, sizeof out - end);
	}
	at[k] = end;
	return end;
}

static void ts_decode(size_t n, size_t step)
{
	for (size_t i = 0, k = 0; i < n; i += step, k++)
		slx_ts_decode(out + at[k], at[k + 1] - at[k], ts_back, len_at(n, i, step), NULL);
}

static size_t cut(size_t n, uint16_t *lens)
{
	size_t parts = 0;
	for (size_t i = 0; i < n; i += PART)
		lens[parts++] = (uint16_t)len_at(n, i, PART);
	return parts;
}

static size_t cold_encode(size_t n)
{
	uint16_t lens[SLX_PARTS_MAX];
	size_t end = 0, k = 0;
	for (size_t i = 0; i < n; i += SLX_CHUNK_MAX) {
		size_t m = len_at(n, i, SLX_CHUNK_MAX), parts = cut(m, lens);
		at[k++] = end;
		end += slx_cold_encode(writer, v + i, lens, parts, SLX_SCALE_NONE, SLX_WRAP_ZSTD, out + end, sizeof out - end);
	}
	at[k] = end;
	return end;
}

static void cold_decode(size_t n, bool keep)
{
	uint16_t lens[SLX_PARTS_MAX];
	for (size_t i = 0, c = 0; i < n; i += SLX_CHUNK_MAX, c++) {
		size_t m = len_at(n, i, SLX_CHUNK_MAX), parts = cut(m, lens);
		slx_cold_open(reader, out + at[c], at[c + 1] - at[c], lens, parts, NULL);
		for (size_t k = 0; k < parts; k++)
			slx_cold_decode(reader, k, v_back + (keep ? i + k * PART : 0), NULL);
	}
}

static double total_bytes, total_points;

static void run(const char *name, size_t n)
{
	double enc, dec, agg, cenc, cdec, tenc, tdec, sink = 0;
	size_t ts_cold = ts_encode(n, SLX_CHUNK_MAX), ts_hot = ts_encode(n, HOT), hot, cold;
	MEASURE(n, &tenc, ts_encode(n, HOT));
	MEASURE(n, &tdec, ts_decode(n, HOT));
	hot = hot_encode(n);
	MEASURE(n, &enc, hot_encode(n));
	MEASURE(n, &dec, hot_decode(n));
	MEASURE(n, &agg, sink += hot_aggregate(n));
	cold = cold_encode(n);
	MEASURE(n, &cenc, cold_encode(n));
	MEASURE(n, &cdec, cold_decode(n, false));
	cold_decode(n, true);
	bool same = memcmp(v, v_back, n * sizeof *v) == 0;
	printf("%-28.28s %7zu | ts %5.3f %5.3f %5.0f %6.0f | sx128 %5.2f %5.0f %6.0f %6.0f | cold %6.3f %5.0f %5.0f %s%s | b/pt %.3f %.3f\n",
		name, n, (double)ts_hot / (double)n, (double)ts_cold / (double)n, tenc, tdec, (double)hot / (double)n, enc, dec, agg,
		(double)cold / (double)n, cenc, cdec, slx_cold_method_name(reader), same && sink == sink ? "" : " !",
		(double)(hot + ts_hot) / (double)n, (double)(cold + ts_cold) / (double)n);
	total_bytes += (double)(cold + ts_cold);
	total_points += (double)n;
}

static double gauss(uint64_t *rng)
{
	double u = ((double)(slx_rng_next(rng) >> 11) + 1) * 0x1p-53, w = (double)(slx_rng_next(rng) >> 11) * 0x1p-53;
	return sqrt(-2 * log(u)) * cos(2 * M_PI * w);
}

static void regular(size_t n, int64_t step)
{
	for (size_t i = 0; i < n; i++)
		ts[i] = INT64_C(1700000000000000000) + (int64_t)i * step;
}

/* As TSBS makes cpu values: a walk of normal steps between 0 and 100, `digits` decimals kept. */
static void walk(const char *name, double digits)
{
	uint64_t rng = 7;
	size_t n = 1 << 17;
	double x = 50;
	regular(n, 10000000000);
	for (size_t i = 0; i < n; i++) {
		x += gauss(&rng);
		x = x < 0 ? 0 : x > 100 ? 100 : x;
		v[i] = rint(x * digits) / digits;
	}
	run(name, n);
}

static void noise(void)
{
	uint64_t rng = 9;
	size_t n = 1 << 17;
	regular(n, 10000000000);
	for (size_t i = 0; i < n; i++)
		v[i] = (double)(slx_rng_next(&rng) % 10000) / 100;
	run("noise, 2 decimals (FOR)", n);
	for (size_t i = 0; i < n; i++)
		v[i] = 20 + (double)(slx_rng_next(&rng) >> 11) * 0x1p-53;
	run("full doubles", n);
	for (size_t i = 0; i < n; i++) {
		v[i] = (i ? v[i - 1] : 0) + (double)(slx_rng_next(&rng) % 50);
		ts[i] = INT64_C(1700000000000000000) + (int64_t)i * 15000000000 + (int64_t)(slx_rng_next(&rng) % 11) * 1000000;
	}
	run("counter, jitter", n);
}

static void csv(const char *folder, const char *file)
{
	char path[4096], line[512];
	snprintf(path, sizeof path, "%.3000s/%.500s", folder, file);
	FILE *f = fopen(path, "r");
	size_t n = 0;
	while (f && n < MOST && fgets(line, sizeof line, f)) {
		struct tm t = { 0 };
		const char *comma = strchr(line, ',');
		if (!comma || sscanf(line, "%d-%d-%d %d:%d:%d", &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour, &t.tm_min, &t.tm_sec) != 6)
			continue;
		t.tm_year -= 1900;
		t.tm_mon--;
		ts[n] = (int64_t)timegm(&t) * 1000000000;
		v[n++] = strtod(comma + 1, NULL);
	}
	if (f)
		fclose(f);
	if (n)
		run(file, n);
}

static void nab(const char *folder)
{
	char path[4000];
	struct dirent **list;
	snprintf(path, sizeof path, "%s/nab", folder);
	int n = scandir(path, &list, NULL, alphasort);
	total_bytes = total_points = 0;
	for (int i = 0; i < n; i++) {
		if (strstr(list[i]->d_name, ".csv"))
			csv(path, list[i]->d_name);
		free(list[i]);
	}
	if (n > 0) {
		free(list);
		printf("nab, all points: %.3f\n", total_bytes / total_points);
	}
}

static size_t slurp(const char *folder, const char *file, uint8_t *to, size_t cap)
{
	char path[4096];
	snprintf(path, sizeof path, "%.3000s/%.500s", folder, file);
	FILE *f = fopen(path, "rb");
	size_t n = f ? fread(to, 1, cap, f) : 0;
	if (f)
		fclose(f);
	return n;
}

static void ecg(const char *folder)
{
	static uint8_t raw[2000000];
	size_t n = slurp(folder, "ecg/100.dat", raw, sizeof raw) / 3;
	for (size_t i = 0; i < n; i++) {
		int x = raw[3 * i] | (raw[3 * i + 1] & 15) << 8;
		x = x > 2047 ? x - 4096 : x;
		v[i] = (x - 1024) / 200.0;
		ts[i] = INT64_C(1700000000000000000) + (int64_t)(i * 1000000 / 360) * 1000;
	}
	if (n)
		run("ecg mV", n);
}

static void icu(const char *folder)
{
	static int16_t raw[20000];
	static const double gain[10] = { 10, 10, 10, 10, 10, 10, 10, 10, 10, 10 };
	size_t n = slurp(folder, "icu/3975656n.dat", (uint8_t *)raw, sizeof raw) / 20;
	total_bytes = total_points = 0;
	for (size_t s = 0; s < 10 && n; s++) {
		char name[20];
		for (size_t i = 0; i < n; i++) {
			int16_t x = raw[i * 10 + s];
			v[i] = x == INT16_MIN ? NAN : x / gain[s];
		}
		regular(n, 60000000000);
		snprintf(name, sizeof name, "icu %zu", s);
		run(name, n);
	}
	if (n)
		printf("icu, all points: %.3f\n", total_bytes / total_points);
}

int main(int argc, char **argv)
{
	const char *folder = argc > 1 ? argv[1] : "/work/shared/data/timeseries";
	slx_mem_init(&mem, NULL);
	writer = slx_cold_writer_new(&mem, SLX_MEM_OTHER);
	reader = slx_cold_reader_new(&mem, SLX_MEM_OTHER);
	if (!writer || !reader)
		return 1;
	printf("%s. Bytes a value and M values/s: ts = per 128, per 8192, encode, decode; sx128 = bytes, encode, decode, fused\n"
		   "aggregate; cold = bytes, encode, decode, method of the last block; b/pt = hot, cold with timestamps\n", slx_codec_simd());
	walk("tsbs integers", 1);
	walk("walk, 2 decimals", 100);
	noise();
	ecg(folder);
	icu(folder);
	nab(folder);
	slx_cold_writer_free(writer);
	slx_cold_reader_free(reader);
	return 0;
}
