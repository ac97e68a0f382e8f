/* A codec of one's own: set points of an infusion pump stay the same for hours, so runs of equal values are stored
 * as (count, value).
 *
 *	cc custom_codec.c $(pkg-config --cflags --libs silex)
 *	./a.out [DIRECTORY]
 *
 * What to look at: the table of three functions, its id of the application's range (stored with the data: never give it
 * another meaning), codec=runs by name, bytes per point beside the built-in choice, and what a program without the
 * codec is told. */
#include <silex/silex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS = 20000, RUNS_CODEC_ID = 200, RUN_SIZE = 4 + 8 };

#define SECOND INT64_C(1000000000)
#define BEGIN  INT64_C(1714521600000000000)

static silex_error err;

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, err.message);
	return 1;
}

/* --- the codec: runs of [u32 count][8 bytes of the value], little-endian as the host is ------------------------- */

static size_t runs_bound(void *ctx, size_t n)
{
	(void)ctx;
	return n * RUN_SIZE;
}

static size_t runs_encode(void *ctx, const double *values, size_t n, void *out, size_t cap)
{
	unsigned char *to = out;
	(void)ctx;
	size_t used = 0;
	for (size_t i = 0, k; i < n; i = k) {
		for (k = i + 1; k < n && memcmp(&values[k], &values[i], 8) == 0; k++)
			; /* bits, not ==: NaN payloads and -0.0 must come back */
		const uint32_t count = (uint32_t)(k - i);
		if (used + RUN_SIZE > cap)
			return 0;
		memcpy(to + used, &count, 4);
		memcpy(to + used + 4, &values[i], 8);
		used += RUN_SIZE;
	}
	return used;
}

static silex_status corrupt(silex_error *e, const char *what, size_t offset)
{
	if (e) {
		e->code = SILEX_CORRUPT;
		snprintf(e->message, sizeof e->message, "runs: %s at offset %zu", what, offset);
	}
	return SILEX_CORRUPT;
}

static silex_status runs_decode(void *ctx, const void *bytes, size_t size, double *values, size_t n, silex_error *e)
{
	const unsigned char *from = bytes;
	size_t done = 0;
	(void)ctx;
	if (size % RUN_SIZE)
		return corrupt(e, "half a run", size);
	for (size_t at = 0; at < size; at += RUN_SIZE) {
		uint32_t count;
		memcpy(&count, from + at, 4);
		if (count == 0 || count > n - done)
			return corrupt(e, "an impossible count", at);
		for (; count; count--)
			memcpy(&values[done++], from + at + 4, 8);
	}
	return done == n ? SILEX_OK : corrupt(e, "too few values", size);
}

static const silex_codec runs = {
	.struct_size = sizeof(silex_codec),
	.id = RUNS_CODEC_ID,
	.name = "runs",
	.bound = runs_bound,
	.encode = runs_encode,
	.decode = runs_decode,
};
static const silex_codec *const codecs[] = { &runs };

/* --- data ------------------------------------------------------------------------------------------------------- */

static void set_points(int64_t *times, double *values)
{
	for (int i = 0; i < POINTS; i++) {
		times[i] = BEGIN + i * SECOND;
		values[i] = 2.5 + (double)(i / 3600) * 0.25; /* ml/h, changed every hour */
	}
}

/* Without a database: arrays in, bytes out, and back. */
static int standalone(const int64_t *times, const double *values)
{
	static unsigned char packed[POINTS * 20 + 4096];
	static int64_t back_times[POINTS];
	static double back_values[POINTS];
	static const char *const names[] = { "runs", "gorilla", "sx" };
	silex_compress_options o;
	size_t size, n;
	silex_compress_options_init(&o);
	o.codecs = codecs;
	o.codecs_n = 1;
	for (size_t i = 0; i < 3; i++) {
		silex_compressed_info info;
		o.codec = names[i];
		if (silex_compress(times, values, POINTS, &o, packed, sizeof packed, &size, &err) != SILEX_OK)
			return fail(names[i]);
		if (silex_compressed_info_read(packed, size, &info, &err) != SILEX_OK ||
			silex_decompress(packed, size, &o, back_times, back_values, POINTS, &n, &err) != SILEX_OK)
			return fail(names[i]);
		if (n != POINTS || memcmp(values, back_values, sizeof back_values) ||
			memcmp(times, back_times, sizeof back_times)) {
			fprintf(stderr, "%s: did not come back\n", names[i]);
			return 1;
		}
		printf("%-8s %6.3f bytes per value\n", names[i], (double)info.values_size / POINTS);
	}
	return 0;
}

static silex_status sum_of(silex_db *db, double *ret)
{
	const char *selectors[] = { "pump_rate" };
	silex_query q;
	silex_cursor *c;
	silex_batch b;
	*ret = 0;
	silex_query_init(&q);
	q.selectors = selectors;
	q.n_selectors = 1;
	q.start = SILEX_TIME_MIN;
	q.end = SILEX_TIME_MAX;
	silex_status st = silex_query_run(db, &q, &c, &err);
	if (st != SILEX_OK)
		return st;
	while ((st = silex_cursor_next(c, &b, &err)) == SILEX_OK && b.n)
		for (size_t i = 0; i < b.n; i++)
			*ret += b.values[i];
	silex_cursor_close(c);
	return st;
}

static silex_status fill(silex_db *db, const int64_t *times, const double *values)
{
	static const silex_label labels[] = { { "__name__", "pump_rate" }, { "pump", "3" } };
	static silex_value column[POINTS];
	silex_series *s;
	for (int i = 0; i < POINTS; i++)
		column[i] = silex_float(values[i]);
	silex_status st = silex_series_open(db, NULL, labels, 2, &s, &err);
	if (st != SILEX_OK)
		return st;
	st = silex_append_values(s, times, column, POINTS, &err);
	silex_series_close(s);
	return st == SILEX_OK ? silex_checkpoint(db, &err) : st;
}

int main(int argc, char **argv)
{
	static int64_t times[POINTS];
	static double values[POINTS];
	char temporary[] = "/tmp/silex-codec-XXXXXX";
	const char *dir = argc > 1 ? argv[1] : mkdtemp(temporary);
	double want = 0, got = 0, nothing;
	silex_options o;
	silex_db *db;
	set_points(times, values);
	for (int i = 0; i < POINTS; i++)
		want += values[i];
	if (standalone(times, values) != 0)
		return 1;

	silex_options_init(&o);
	o.codecs = codecs;
	o.n_codecs = 1;
	o.codec = "runs";
	if (silex_open(dir, &o, &db, &err) != SILEX_OK)
		return fail("open");
	if (fill(db, times, values) != SILEX_OK)
		return fail("fill");
	if (silex_close(db, &err) != SILEX_OK)
		return fail("close");

	if (silex_open(dir, &o, &db, &err) != SILEX_OK || sum_of(db, &got) != SILEX_OK)
		return fail("read");
	silex_close(db, NULL);
	printf("database: sum %.2f, expected %.2f\n", got, want);

	silex_options_init(&o); /* a program that does not know the codec */
	if (silex_open(dir, &o, &db, &err) != SILEX_OK)
		return fail("open");
	silex_status st = sum_of(db, &nothing);
	printf("without the codec: %s: %s\n", silex_status_text(st), st != SILEX_OK ? err.message : "");
	silex_close(db, NULL);
	return got != want || st != SILEX_UNSUPPORTED;
}
