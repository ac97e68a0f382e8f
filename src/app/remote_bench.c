/* Writers send batches of a sample for each of their series, readers ask for what a dashboard asks: the last five minutes of one
 * series, an instant sum over all, an hour's rate by host. Each thread has a connection of its own, and times every request from
 * before it is sent until the answer is there. */
#include "app/remote_bench.h"

#include "app/remote.h"
#include "app/table.h"

#include "base/clock.h"
#include "base/status.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { LATENCIES_MAX = 1 << 20, THREADS_MAX = 256, BODY_MAX = 64 << 20, BATCH_SERIES = 1000 };

static const char *const questions[] = { "cpu{host=\"host-%zu\"}[5m]", "sum(cpu)", "avg by (region) (cpu)" };
enum { QUESTIONS = sizeof questions / sizeof *questions };

struct load;

struct client {
	struct load *load;
	struct app_remote *remote;
	bool writes;
	size_t first, end; /* of the series a writer writes */
	uint64_t seed, points;
	double *latencies; /* seconds */
	size_t latencies_n;
	bool started;
	silex_error err;
	silex_status status;
	pthread_t thread;
};

struct load {
	struct app *a;
	const struct app_remote_load *o;
	double began, took;
	struct client clients[THREADS_MAX];
	size_t n;
};

static bool more(const struct load *l) { return app_seconds() - l->began < l->o->seconds; }

static silex_status timed(struct client *c, const char *path, const char *type, const void *body, size_t n)
{
	const char *text;
	size_t text_n;
	double before = app_seconds();
	silex_status st = app_remote_request(c->remote, path, type, body, n, &text, &text_n, NULL, &c->err);
	if (c->latencies_n < LATENCIES_MAX)
		c->latencies[c->latencies_n++] = app_seconds() - before;
	return st;
}

/* ---- writing ---- */

static void put_batch(struct client *c, struct slx_buf *b, size_t first, size_t end, int64_t time)
{
	char text[160];
	slx_buf_reset(b);
	slx_buf_put(b, "{\"unit\":\"ns\",\"rows\":[", 21);
	for (size_t i = first; i < end; i++) {
		int n = snprintf(text, sizeof text,
			"%s{\"metric\":\"cpu\",\"labels\":{\"host\":\"host-%zu\",\"region\":\"r%zu\"},\"time\":%lld,\"value\":%.2f}", i > first ? "," : "", i, i % 4,
			(long long)time, (double)(slx_rng_next(&c->seed) % 10000) / 100);
		slx_buf_put(b, text, (size_t)n);
	}
	slx_buf_put(b, "]}", 2);
}

static void write_all(struct client *c)
{
	struct slx_mem mem;
	struct slx_buf b;
	slx_mem_init(&mem, NULL);
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, BODY_MAX);
	while (c->status == SILEX_OK && more(c->load)) {
		int64_t now = app_wall_ns();
		for (size_t i = c->first; i < c->end && c->status == SILEX_OK; i += BATCH_SERIES) {
			size_t end = i + BATCH_SERIES < c->end ? i + BATCH_SERIES : c->end;
			put_batch(c, &b, i, end, now);
			c->status = b.failed ? slx_err_oom(&c->err) : timed(c, "/api/silex/v1/batch", "json", b.p, b.n);
			c->points += end - i;
		}
	}
	slx_buf_free(&b);
}

/* ---- asking ---- */

static void ask_all(struct client *c)
{
	for (size_t k = 0; c->status == SILEX_OK && more(c->load); k++) {
		char query[128];
		snprintf(query, sizeof query, questions[k % QUESTIONS], (size_t)(slx_rng_next(&c->seed) % c->load->o->series));
		char *escaped = curl_easy_escape(NULL, query, 0);
		char *path = app_printf("/api/v1/query?query=%s", escaped ? escaped : "");
		curl_free(escaped);
		c->status = timed(c, path, NULL, NULL, 0);
		free(path);
	}
}

static void *run(void *arg)
{
	struct client *c = arg;
	(c->writes ? write_all : ask_all)(c);
	return NULL;
}

/* ---- the whole ---- */

static silex_status start(struct load *l, silex_error *err)
{
	const struct app_remote_load *o = l->o;
	const char *tenant = l->a->common.tenant ? l->a->common.tenant : "bench";
	for (size_t i = 0; i < o->writers + o->readers && i < THREADS_MAX; i++) {
		struct client *c = &l->clients[l->n];
		*c = (struct client){ .load = l, .writes = i < o->writers, .seed = i + 1 };
		if (c->writes) {
			c->first = o->series * i / o->writers;
			c->end = o->series * (i + 1) / o->writers;
		}
		SLX_TRY(app_remote_new(l->a->common.url, tenant, &c->remote, err));
		c->latencies = app_alloc(LATENCIES_MAX * sizeof *c->latencies);
		l->n++;
	}
	l->began = app_seconds();
	for (size_t i = 0; i < l->n; i++) {
		if (pthread_create(&l->clients[i].thread, NULL, run, &l->clients[i]) != 0)
			return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "a thread cannot be made");
		l->clients[i].started = true;
	}
	return SILEX_OK;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void row(struct app_table *t, const char *what, const char *value)
{
	app_table_add(t, what);
	app_table_add(t, value);
}

static void report_latencies(struct load *l, struct app_table *t, bool writes)
{
	static const struct {
		const char *name;
		size_t per_mille;
	} shares[] = { { "  median", 500 }, { "  90th percentile", 900 }, { "  99th percentile", 990 }, { "  99.9th percentile", 999 } };
	double *all = NULL;
	size_t n = 0, cap = 0;
	char text[APP_TEXT_SIZE];
	for (size_t i = 0; i < l->n; i++)
		for (size_t k = 0; l->clients[i].writes == writes && k < l->clients[i].latencies_n; k++) {
			all = app_grow(all, n, &cap, sizeof *all);
			all[n++] = l->clients[i].latencies[k];
		}
	if (n == 0)
		return;
	qsort(all, n, sizeof *all, by_size);
	row(t, writes ? "batches" : "queries", app_count_text(n, text));
	row(t, "  a second", app_rate_text((double)n / l->took, text));
	for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
		row(t, shares[i].name, app_span_text((int64_t)(all[n * shares[i].per_mille / 1000] * 1e9), text));
	row(t, "  slowest", app_span_text((int64_t)(all[n - 1] * 1e9), text));
	free(all);
}

static void report(struct load *l)
{
	struct app_table t;
	char text[APP_TEXT_SIZE];
	uint64_t points = 0;
	for (size_t i = 0; i < l->n; i++)
		points += l->clients[i].points;
	app_table_init(&t);
	t.plain = true;
	app_table_column(&t, "", APP_LEFT, true);
	app_table_column(&t, "", APP_RIGHT, true);
	row(&t, "seconds", app_short_text(l->took, text));
	row(&t, "series", app_count_text(l->o->series, text));
	row(&t, "points written", app_count_text(points, text));
	row(&t, "  a second", app_rate_text((double)points / l->took, text));
	report_latencies(l, &t, true);
	report_latencies(l, &t, false);
	app_table_print(&t, l->a->out, APP_TABLE, l->a->utf8);
	app_table_free(&t);
}

int app_remote_bench(struct app *a, const struct app_remote_load *o)
{
	struct load *l = app_alloc(sizeof *l);
	silex_error err;
	l->a = a;
	l->o = o;
	int status = start(l, &err) == SILEX_OK ? APP_OK : app_fail(NULL, &err);
	for (size_t i = 0; i < l->n; i++)
		if (l->clients[i].started)
			pthread_join(l->clients[i].thread, NULL);
	l->took = app_seconds() - l->began;
	for (size_t i = 0; i < l->n && status == APP_OK; i++)
		if (l->clients[i].status != SILEX_OK)
			status = app_fail(NULL, &l->clients[i].err);
	if (status == APP_OK)
		report(l);
	for (size_t i = 0; i < l->n; i++) {
		app_remote_free(l->clients[i].remote);
		free(l->clients[i].latencies);
	}
	free(l);
	return status;
}
