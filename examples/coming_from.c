/* Every Silex call that docs/coming-from.md names, compiled and run: proof that the page is true.
 *
 *	cc coming_from.c $(pkg-config --cflags --libs silex)
 *	./a.out [DIRECTORY] */
#include <silex/silex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define T0     INT64_C(1714521600000000000) /* 2024-05-01T00:00:00Z */

static silex_error err;

/* Ends the program, naming the line, when a call fails or an expectation does not hold. */
#define MUST(call)                                                   \
	do {                                                             \
		if ((call) != SILEX_OK) {                                    \
			fprintf(stderr, "line %d: %s\n", __LINE__, err.message); \
			exit(1);                                                 \
		}                                                            \
	} while (0)
#define EXPECT(condition)                                                    \
	do {                                                                     \
		if (!(condition)) {                                                  \
			fprintf(stderr, "line %d: expected %s\n", __LINE__, #condition); \
			exit(1);                                                         \
		}                                                                    \
	} while (0)

static const silex_label hr[] = { { "__name__", "hr" }, { "patient", "1" } };
static const silex_label spo2[] = { { "__name__", "spo2" }, { "patient", "1" } };

static bool count_series(void *arg, const silex_label *labels, size_t n)
{
	(void)labels;
	(void)n;
	++*(int *)arg;
	return true;
}

static bool count_text(void *arg, const char *text)
{
	(void)text;
	++*(int *)arg;
	return true;
}

/* Rows that a cursor gives; the last value goes to *ret_last. */
static size_t drain(silex_cursor *c, double *ret_last)
{
	silex_batch b;
	size_t rows = 0;
	for (;;) {
		MUST(silex_cursor_next(c, &b, &err));
		if (b.n == 0)
			break;
		rows += b.n;
		*ret_last = b.values[b.n - 1];
	}
	silex_cursor_close(c);
	return rows;
}

/* --- 1. insert / insert_batch / query / list_series / delete / snapshot / metrics ------------------------------- */

static void async_done(void *arg, silex_status status, const silex_batch_result *result, const silex_error *e)
{
	(void)e;
	atomic_store((atomic_int *)arg, status == SILEX_OK && result->accepted == 1 ? 1 : -1);
}

static void labelled_store(const char *dir)
{
	silex_db *db;
	silex_cursor *c;
	silex_query q;
	silex_metrics m = { .size = sizeof m };
	silex_batch_result result;
	const char *selectors[] = { "hr{patient=\"1\"}" };
	const silex_row rows[] = { { hr, 2, T0 + 1 * SECOND, silex_float(74) },
		{ spo2, 2, T0 + 1 * SECOND, silex_float(97) } };
	atomic_int done = 0;
	double last;
	uint64_t deleted;
	int series = 0, names = 0, labels = 0, values = 0, tenants = 0;

	MUST(silex_open(dir, NULL, &db, &err));
	MUST(silex_insert(db, NULL, hr, 2, T0, silex_float(72), &err));
	MUST(silex_insert_batch(db, NULL, rows, 2, &result, &err));
	EXPECT(result.accepted == 2 && result.refused == 0);
	MUST(silex_insert_async(
		db, NULL, &(silex_row){ hr, 2, T0 + 2 * SECOND, silex_float(75) }, 1, async_done, &done, &err));
	MUST(silex_flush(db, &err)); /* everything acknowledged is durable */

	silex_query_init(&q);
	q.selectors = selectors;
	q.n_selectors = 1;
	q.start = T0;
	q.end = T0 + 60 * SECOND;
	q.agg = SILEX_AGG_MAX;
	while (atomic_load(&done) == 0) /* the callback comes once the row is durable */
		usleep(1000);
	EXPECT(atomic_load(&done) == 1);
	MUST(silex_query_run(db, &q, &c, &err));
	EXPECT(drain(c, &last) == 1 && last == 75);

	MUST(silex_list_series(db, NULL, "{patient=\"1\"}", SILEX_TIME_MIN, SILEX_TIME_MAX, count_series, &series, &err));
	MUST(silex_list_names(db, NULL, count_text, &names, &err));
	MUST(silex_label_names(db, NULL, NULL, count_text, &labels, &err));
	MUST(silex_label_values(db, NULL, "patient", NULL, count_text, &values, &err));
	MUST(silex_list_tenants(db, count_text, &tenants, &err));
	EXPECT(series == 2 && names == 2 && labels == 2 && values == 1 && tenants == 1);

	MUST(silex_delete(db, NULL, "hr", T0, T0, &deleted, &err));
	EXPECT(deleted == 1);
	MUST(silex_get_metrics(db, &m, &err));
	EXPECT(m.healthy && m.points_ingested == 4);

	/* snapshot: a cursor holds all that was acknowledged before it, and writers go on beside it (what they write may
	 * show); files that can be copied are those of a checkpoint. */
	q.agg = SILEX_AGG_NONE;
	MUST(silex_query_run(db, &q, &c, &err));
	MUST(silex_insert(db, NULL, hr, 2, T0 + 3 * SECOND, silex_float(90), &err));
	EXPECT(drain(c, &last) >= 2);
	MUST(silex_checkpoint(db, &err));
	MUST(silex_close(db, &err));
	printf("1. insert, insert_batch, query, list_series, delete, snapshot, metrics\n");
}

/* --- 2. insert_point / query_range / get_latest_point / get_series_info / cleanup_old_data / checkpoint --------- */

static void series_store(const char *dir)
{
	silex_db *db;
	silex_series *s;
	silex_cursor *c;
	silex_query q;
	silex_series_info info;
	silex_verify_report report;
	const char *selectors[] = { "hr" };
	double last;
	uint64_t gone;

	MUST(silex_open(dir, NULL, &db, &err));
	MUST(silex_series_open(db, NULL, hr, 2, &s, &err)); /* once; then by handle */
	for (int i = 10; i < 20; i++)
		MUST(silex_append(db, &(silex_point){ s, T0 + i * SECOND, 80 + i }, 1, &err));
	MUST(
		silex_append_values(s, &(int64_t){ T0 + 20 * SECOND }, &(silex_value){ SILEX_FLOAT64, { .f = 100 } }, 1, &err));
	silex_series_close(s);

	silex_query_init(&q);
	q.selectors = selectors;
	q.n_selectors = 1;
	q.start = T0 + 10 * SECOND;
	q.end = T0 + 19 * SECOND; /* included */
	MUST(silex_query_run(db, &q, &c, &err));
	EXPECT(drain(c, &last) == 10 && last == 99);

	MUST(silex_latest(db, NULL, "hr", &c, &err));
	EXPECT(drain(c, &last) == 1 && last == 100);
	MUST(silex_series_info_get(db, NULL, hr, 2, &info, &err));
	EXPECT(info.count == 14 && info.last == 100 && info.last_time == T0 + 20 * SECOND);
	MUST(silex_cleanup(db, NULL, T0 + 10 * SECOND, &gone, &err)); /* older than; exclusive */
	EXPECT(gone == 4);
	MUST(silex_checkpoint(db, &err));
	MUST(silex_close(db, &err));
	MUST(silex_verify(dir, NULL, NULL, NULL, NULL, &report, &err));
	EXPECT(report.faults == 0);
	printf("2. insert_point, query_range, get_latest_point, get_series_info, cleanup_old_data, checkpoint\n");
}

/* --- 3. a builder with compressor and config -------------------------------------------------------------------- */

static void built_store(const char *dir)
{
	silex_options o;
	silex_compact_options compact;
	silex_compress_options packing;
	silex_compressed_info info;
	silex_db *db;
	int64_t times[100], back_times[100];
	double values[100], back_values[100];
	static unsigned char packed[8192];
	size_t size, n;

	silex_options_init(&o);
	o.time_unit = SILEX_MS;
	MUST(silex_options_set(&o, "codec", "gorilla", &err));
	MUST(silex_options_set(&o, "compression", "zstd", &err));
	MUST(silex_options_set(&o, "memory_limit", "32MB", &err));
	MUST(silex_options_set(&o, "block_duration", "2h", &err));
	MUST(silex_options_set(&o, "sync", "interval", &err));
	MUST(silex_open(NULL, &o, &db, &err));                                      /* in memory */
	MUST(silex_insert(db, "ward-3", hr, 2, T0 / 1000000, silex_int(72), &err)); /* milliseconds now; a tenant */
	MUST(silex_close(db, &err));

	MUST(silex_open(dir, &o, &db, &err)); /* another codec on existing data: what is there stays readable */
	silex_compact_options_init(&compact);
	compact.full = compact.recode = true;
	MUST(silex_compact(db, &compact, &err));
	MUST(silex_close(db, &err));

	/* The compressor alone, for arrays. */
	for (int i = 0; i < 100; i++) {
		times[i] = T0 + i * SECOND;
		values[i] = 36.6 + (i % 5) / 10.0;
	}
	silex_compress_options_init(&packing);
	MUST(silex_compress(times, values, 100, &packing, packed, sizeof packed, &size, &err));
	MUST(silex_compressed_info_read(packed, size, &info, &err));
	MUST(silex_decompress(packed, size, NULL, back_times, back_values, 100, &n, &err));
	EXPECT(info.n == 100 && n == 100 && memcmp(times, back_times, sizeof times) == 0 &&
		memcmp(values, back_values, sizeof values) == 0);
	printf("3. a builder with compressor and config: 100 points in %zu bytes\n", size);
}

int main(int argc, char **argv)
{
	char temporary[] = "/tmp/silex-coming-XXXXXX";
	const char *dir = argc > 1 ? argv[1] : mkdtemp(temporary);
	labelled_store(dir);
	series_store(dir);
	built_store(dir);
	return 0;
}
