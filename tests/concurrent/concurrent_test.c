/* Everything at once: writers by handle, by rows, by queue and by columns; readers; a deleter; flushes and compactions by
 * call and in the background, with little memory. Each writer owns its series and writes 0, 1, 2... at instants 0, 1,
 * 2..., so a reader knows what an answer must hold: all numbers acknowledged before it asked, without gaps, from at
 * least what the deleter had begun to delete.
 *
 *     concurrent_test [seconds [seed]] */
#include "base/clock.h"
#include "base/vfs_sim.h"

#include <silex/silex.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SERIES = 8, WRITERS = 5, BATCH = 32, STEP_NS = 100000000 };

struct writer {
	char name[8];
	_Atomic uint64_t begun;    /* numbers below may be in */
	_Atomic uint64_t written;  /* numbers below are acknowledged */
	_Atomic uint64_t deleting; /* numbers below may be gone */
	_Atomic uint64_t deleted;  /* numbers below are gone */
};

struct all {
	silex_db *db;
	struct writer writers[WRITERS];
	_Atomic bool stop;
	_Atomic unsigned faults;
	_Atomic uint64_t answers, deletes, checkpoints, compactions, waiting, samples;
	uint64_t seed;
};

static void fault(struct all *a, const char *what, const silex_error *err)
{
	if (atomic_fetch_add(&a->faults, 1) < 5)
		printf("%s: %s\n", what, err ? err->message : "");
	atomic_store(&a->stop, true);
}

/* A reader may be refused for its memory, or its snapshot's. */
static void no_room_or_fault(struct all *a, const silex_error *err)
{
	if (err->code != SILEX_RESOURCE_EXHAUSTED)
		fault(a, "read", err);
}

static int64_t time_of(uint64_t number)
{
	return INT64_C(1700000000000000000) + (int64_t)number * STEP_NS;
}

static void labels_of(const struct writer *w, int k, char text[8], silex_label ret[2])
{
	snprintf(text, 8, "s%u", (unsigned)k % 100);
	ret[0] = (silex_label){ "__name__", w->name };
	ret[1] = (silex_label){ "k", text };
}

/* --- writers ------------------------------------------------------------------------------------------------------------ */

static void open_series(struct all *a, const struct writer *w, silex_series *series[SERIES])
{
	silex_error err;
	for (int k = 0; k < SERIES; k++) {
		char text[8];
		silex_label labels[2];
		labels_of(w, k, text, labels);
		if (silex_series_open(a->db, NULL, labels, 2, &series[k], &err) != SILEX_OK)
			fault(a, "series", &err);
	}
}

static silex_status write_points(struct all *a, silex_series *series[SERIES], uint64_t from, silex_error *err)
{
	silex_point p[SERIES * BATCH];
	for (size_t i = 0; i < SERIES * BATCH; i++)
		p[i] = (silex_point){ series[i % SERIES], time_of(from + i / SERIES), (double)(from + i / SERIES) };
	return silex_append(a->db, p, SERIES * BATCH, err);
}

static silex_status write_columns(silex_columns *c, uint64_t from, silex_error *err)
{
	int64_t times[BATCH];
	double values[BATCH * SERIES];
	for (size_t i = 0; i < BATCH; i++) {
		times[i] = time_of(from + i);
		for (size_t k = 0; k < SERIES; k++)
			values[i * SERIES + k] = (double)(from + i);
	}
	return silex_columns_append(c, times, values, BATCH, err);
}

struct rows {
	silex_row rows[SERIES * BATCH];
	silex_label labels[SERIES][2];
	char text[SERIES][8];
};

static void fill_rows(struct rows *r, const struct writer *w, uint64_t from, bool late)
{
	for (int k = 0; k < SERIES; k++)
		labels_of(w, k, r->text[k], r->labels[k]);
	for (size_t i = 0; i < SERIES * BATCH; i++) {
		uint64_t number = from + (late ? BATCH - 1 - i / SERIES : i / SERIES);
		r->rows[i] = (silex_row){ r->labels[i % SERIES], 2, time_of(number), silex_float((double)number) };
	}
}

static void on_async(void *arg, silex_status status, const silex_batch_result *result, const silex_error *err)
{
	struct all *a = ((void **)arg)[0];
	struct writer *w = ((void **)arg)[1];
	if (status != SILEX_OK)
		fault(a, "async insert", err);
	else
		atomic_fetch_add(&w->written, BATCH);
}

static void *writer_main(void *arg)
{
	struct all *a = ((void **)arg)[0];
	struct writer *w = ((void **)arg)[1];
	size_t way = (size_t)(w - a->writers) % WRITERS;
	silex_series *series[SERIES] = { NULL };
	silex_columns *columns = NULL;
	silex_error err;
	static struct rows rows[WRITERS];
	open_series(a, w, series);
	if (silex_columns_open(a->db, series, SERIES, &columns, &err) != SILEX_OK)
		fault(a, "columns", &err);
	while (!atomic_load(&a->stop)) {
		silex_status status;
		uint64_t from = atomic_load(&w->begun);
		atomic_store(&w->begun, from + BATCH);
		if (way == 0) {
			status = write_points(a, series, from, &err);
		} else if (way == 1) {
			status = write_columns(columns, from, &err);
		} else {
			fill_rows(&rows[way], w, from, way == 4);
			if (way != 3) {
				status = silex_insert_batch(a->db, NULL, rows[way].rows, SERIES * BATCH, NULL, &err);
			} else {
				status = silex_insert_async(a->db, NULL, rows[way].rows, SERIES * BATCH, on_async, arg, &err);
				while (status == SILEX_RESOURCE_EXHAUSTED) { /* the queue is full: that is its bound */
					atomic_fetch_add(&a->waiting, 1);
					nanosleep(&(struct timespec){ 0, 200000 }, NULL);
					status = silex_insert_async(a->db, NULL, rows[way].rows, SERIES * BATCH, on_async, arg, &err);
				}
			}
		}
		if (status != SILEX_OK)
			fault(a, "write", &err);
		else if (way != 3)
			atomic_store(&w->written, from + BATCH);
	}
	while (way == 3 && atomic_load(&a->faults) == 0 && atomic_load(&w->written) < atomic_load(&w->begun))
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	silex_columns_close(columns);
	for (int k = 0; k < SERIES; k++)
		silex_series_close(series[k]);
	return NULL;
}

/* --- readers ------------------------------------------------------------------------------------------------------------- */

struct expect {
	uint64_t written, deleted; /* before the question */
	struct writer *w;
};

/* May the numbers from .. to - 1 be missing in an answer? Each must be deleted (or about to be) or not yet acknowledged:
 * a batch or a delete under way may show in parts, and a late batch shows from its end. */
static bool may_miss(const struct expect *x, uint64_t from, uint64_t to)
{
	uint64_t deleting = atomic_load(&x->w->deleting);
	return to <= deleting || (from > deleting ? from : deleting) >= x->written;
}

static void check_answer(struct all *a, const struct expect *x, silex_cursor *c)
{
	silex_batch b;
	silex_error err;
	silex_status status;
	uint64_t series = 0, current = UINT64_MAX, next = 0;
	bool ok = true;
	while ((status = silex_cursor_next(c, &b, &err)) == SILEX_OK && b.n > 0 && ok) {
		size_t i = 0;
		if (b.series != current) {
			ok = series == 0 || next >= x->written;
			series++;
			current = b.series;
			next = (uint64_t)b.values[0];
			ok = ok && next >= x->deleted && may_miss(x, x->deleted, next);
		}
		for (; i < b.n && ok; i++) {
			uint64_t number = (uint64_t)b.values[i];
			ok = b.times[i] == time_of(number) && (number == next || (number > next && may_miss(x, next, number)));
			next = ok ? number + 1 : next;
		}
		atomic_fetch_add_explicit(&a->samples, b.n, memory_order_relaxed);
	}
	if (status != SILEX_OK)
		return no_room_or_fault(a, &err);
	ok = ok && (series == SERIES ? next >= x->written : atomic_load(&x->w->deleting) >= x->written);
	if (!ok) {
		printf("%s: %llu series, at number %llu; acknowledged before: %llu, deleted before %llu, deleting now %llu\n", x->w->name,
			(unsigned long long)series, (unsigned long long)next, (unsigned long long)x->written, (unsigned long long)x->deleted,
			(unsigned long long)atomic_load(&x->w->deleting));
		fault(a, "a wrong answer", NULL);
	}
}

static void ask(struct all *a, struct writer *w)
{
	silex_error err;
	silex_query q;
	silex_cursor *c;
	const char *selector = w->name;
	silex_query_init(&q);
	q.selectors = &selector;
	q.n_selectors = 1;
	q.start = SILEX_TIME_MIN;
	q.end = SILEX_TIME_MAX;
	struct expect x = { atomic_load(&w->written), atomic_load(&w->deleted), w };
	silex_status status = silex_query_run(a->db, &q, &c, &err);
	if (status != SILEX_OK)
		return no_room_or_fault(a, &err);
	check_answer(a, &x, c);
	silex_cursor_close(c);
	atomic_fetch_add(&a->answers, 1);
}

static void ask_latest(struct all *a, struct writer *w)
{
	silex_error err;
	silex_cursor *c;
	silex_batch b;
	uint64_t written = atomic_load(&w->written);
	silex_status status = silex_latest(a->db, NULL, w->name, &c, &err);
	if (status != SILEX_OK)
		return no_room_or_fault(a, &err);
	while ((status = silex_cursor_next(c, &b, &err)) == SILEX_OK && b.n > 0)
		if (b.values[b.n - 1] + 1 < (double)written) {
			printf("%s: latest is %.0f, acknowledged before: %llu\n", w->name, b.values[b.n - 1], (unsigned long long)written);
			fault(a, "a wrong latest", NULL);
		}
	silex_cursor_close(c);
}

static bool count_text(void *arg, const char *text)
{
	++*(unsigned *)arg;
	return true;
}

static void *reader_main(void *arg)
{
	struct all *a = ((void **)arg)[0];
	uint64_t rng = a->seed + (uint64_t)(size_t)((void **)arg)[1];
	silex_error err;
	while (!atomic_load(&a->stop)) {
		struct writer *w = &a->writers[slx_rng_next(&rng) % WRITERS];
		silex_metrics m = { .size = sizeof m };
		unsigned n = 0;
		switch (slx_rng_next(&rng) % 8) {
		case 0:
			ask_latest(a, w);
			break;
		case 1:
			if (silex_label_values(a->db, NULL, "k", NULL, count_text, &n, &err) != SILEX_OK || silex_get_metrics(a->db, &m, &err) != SILEX_OK ||
			    silex_list_names(a->db, NULL, count_text, &n, &err) != SILEX_OK)
				no_room_or_fault(a, &err);
			break;
		default:
			ask(a, w);
		}
	}
	return NULL;
}

/* --- deleter, keeper ------------------------------------------------------------------------------------------------------- */

static void *deleter_main(void *arg)
{
	struct all *a = ((void **)arg)[0];
	uint64_t rng = a->seed * 3;
	silex_error err;
	while (!atomic_load(&a->stop)) {
		struct writer *w = &a->writers[slx_rng_next(&rng) % WRITERS];
		uint64_t old = atomic_load(&w->deleted), to = atomic_load(&w->written), points;
		nanosleep(&(struct timespec){ 0, (long)(slx_rng_next(&rng) % 8000000) }, NULL);
		to = old + (to - old) * 3 / 4;
		if (to == old)
			continue;
		atomic_store(&w->deleting, to);
		if (silex_delete(a->db, NULL, w->name, SILEX_TIME_MIN, time_of(to) - 1, &points, &err) != SILEX_OK)
			fault(a, "delete", &err);
		else if (points != (to - old) * SERIES) {
			printf("%s: %llu points deleted, expected %llu\n", w->name, (unsigned long long)points, (unsigned long long)((to - old) * SERIES));
			fault(a, "a wrong count of deleted points", NULL);
		}
		atomic_store(&w->deleted, to);
		atomic_fetch_add(&a->deletes, 1);
	}
	return NULL;
}

static void *keeper_main(void *arg)
{
	struct all *a = ((void **)arg)[0];
	uint64_t rng = a->seed * 5;
	silex_error err;
	while (!atomic_load(&a->stop)) {
		silex_compact_options o;
		silex_compact_options_init(&o);
		o.full = slx_rng_next(&rng) % 2;
		o.recode = slx_rng_next(&rng) % 8 == 0;
		nanosleep(&(struct timespec){ 0, (long)(slx_rng_next(&rng) % 20000000) }, NULL);
		if (silex_checkpoint(a->db, &err) != SILEX_OK)
			fault(a, "checkpoint", &err);
		atomic_fetch_add(&a->checkpoints, 1);
		if (slx_rng_next(&rng) % 3 == 0)
			continue;
		if (silex_compact(a->db, &o, &err) != SILEX_OK)
			fault(a, "compact", &err);
		atomic_fetch_add(&a->compactions, 1);
	}
	return NULL;
}

/* --- a round ----------------------------------------------------------------------------------------------------------------- */

static void on_log(void *arg, int level, const char *message)
{
	if (level >= 2)
		printf("log: %s\n", message);
}

static bool run(struct all *a, struct slx_vfs_sim *sim, silex_sync sync, double seconds)
{
	static const char letters[] = "abcdefgh";
	pthread_t threads[WRITERS + 4];
	void *args[WRITERS + 4][2];
	silex_options o;
	silex_error err;
	int n = 0;
	silex_options_init(&o);
	o.sync = sync;
	o.wal_sync_interval_ms = 3;
	o.wal_segment_size = 256 << 10;
	o.memory_limit = 24 << 20;
	o.block_duration_ms = 60000;
	o.threads = 3;
	o.env.vfs = slx_vfs_sim_vfs(sim);
	o.log = on_log;
	if (silex_open("db", &o, &a->db, &err) != SILEX_OK)
		return printf("open: %s\n", err.message), false;
	atomic_store(&a->stop, false);
	for (int i = 0; i < WRITERS; i++) {
		snprintf(a->writers[i].name, sizeof a->writers[i].name, "w%c", letters[i]);
		args[n][0] = a;
		args[n][1] = &a->writers[i];
		pthread_create(&threads[n], NULL, writer_main, args[n]);
		n++;
	}
	void *(*const others[])(void *) = { reader_main, reader_main, deleter_main, keeper_main };
	for (size_t i = 0; i < 4; i++, n++) {
		args[n][0] = a;
		args[n][1] = (void *)i;
		pthread_create(&threads[n], NULL, others[i], args[n]);
	}
	for (double left = seconds; left > 0 && !atomic_load(&a->stop); left -= 0.02)
		nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
	atomic_store(&a->stop, true);
	while (n > 0)
		pthread_join(threads[--n], NULL);
	for (int i = 0; i < WRITERS; i++)
		ask(a, &a->writers[i]);
	if (silex_close(a->db, &err) != SILEX_OK)
		fault(a, "close", &err);
	if (silex_open("db", &o, &a->db, &err) != SILEX_OK)
		return printf("reopen: %s\n", err.message), false;
	for (int i = 0; i < WRITERS; i++)
		ask(a, &a->writers[i]);
	if (silex_close(a->db, &err) != SILEX_OK)
		fault(a, "the second close", &err);
	silex_verify_report report;
	if (atomic_load(&a->faults) == 0 && silex_verify("db", &o, NULL, count_text, &(unsigned){ 0 }, &report, &err) != SILEX_OK)
		fault(a, "verify", &err);
	return atomic_load(&a->faults) == 0;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 1.5;
	static const char *const names[] = { "always", "interval", "never" };
	bool ok = true;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < 3 && ok; i++) {
		struct all *a = calloc(1, sizeof *a);
		if (!a)
			return 1;
		a->seed = (argc > 2 ? strtoull(argv[2], NULL, 0) : 20261121) + (uint64_t)i;
		struct slx_vfs_sim *sim = slx_vfs_sim_new(a->seed);
		ok = run(a, sim, (silex_sync)(SILEX_SYNC_ALWAYS + i), seconds);
		uint64_t points = 0;
		for (int k = 0; k < WRITERS; k++)
			points += atomic_load(&a->writers[k].written) * SERIES;
		printf("sync=%s: %llu points, %llu answers over %llu samples, %llu deletes, %llu checkpoints, %llu compactions, %llu waits for the queue: %s\n", names[i],
			(unsigned long long)points, (unsigned long long)atomic_load(&a->answers), (unsigned long long)atomic_load(&a->samples),
			(unsigned long long)atomic_load(&a->deletes), (unsigned long long)atomic_load(&a->checkpoints), (unsigned long long)atomic_load(&a->compactions),
			(unsigned long long)atomic_load(&a->waiting), ok ? "ok" : "FAILED");
		slx_vfs_sim_free(sim);
		free(a);
	}
	return ok ? 0 : 1;
}
