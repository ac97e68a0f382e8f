/* digest: one number for all samples, the same in whatever order and form they are stored. */
#include "app/commands.h"
#include "app/store.h"

#include "base/buf.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* Sums modulo 2^128 of the hash of each (series, time, kind, value): order and batches do not matter. */
struct digest {
	uint64_t lo, hi, points, series;
	struct slx_buf row; /* of one sample: hash of its series, kind, time, value */
};

static void add(struct digest *d, const struct slx_buf *row)
{
	struct slx_hash128 h = slx_hash128(row->p, row->n, 0);
	d->lo += h.lo;
	d->hi += h.hi + (d->lo < h.lo);
	d->points++;
}

static struct slx_hash128 series_hash(struct app *a, const silex_batch *b)
{
	struct slx_buf text;
	slx_buf_init(&text, &a->mem, SLX_MEM_OTHER, 1 << 20);
	app_put_series(&text, b->labels, b->n_labels, NULL);
	struct slx_hash128 h = slx_hash128(text.p, text.n, 0);
	slx_buf_free(&text);
	return h;
}

static void add_batch(struct app *a, struct digest *d, const silex_batch *b)
{
	struct slx_hash128 series = series_hash(a, b);
	for (size_t i = 0; i < b->n; i++) {
		slx_buf_reset(&d->row);
		slx_buf_u64(&d->row, series.lo);
		slx_buf_u64(&d->row, series.hi);
		slx_buf_u8(&d->row, (uint8_t)b->kind);
		slx_buf_u64(&d->row, (uint64_t)b->times[i]);
		if (b->states)
			slx_buf_put(&d->row, b->states[i], strlen(b->states[i]));
		else
			slx_buf_u64(&d->row, b->ints ? (uint64_t)b->ints[i] : slx_f64_bits(b->values[i]));
		add(d, &d->row);
	}
}

static silex_status add_all(struct app *a, struct app_rows *rows, struct digest *d, silex_error *err)
{
	silex_batch b;
	for (;;) {
		silex_status st = app_rows_next(rows, &b, err);
		if (st != SILEX_OK || b.n == 0)
			return st;
		d->series = b.series + 1;
		add_batch(a, d, &b);
	}
}

static int digest_run(struct app *a, void *options, int argc, char **argv)
{
	static const char *const everything[] = { "{}" };
	struct digest d = { 0 };
	struct app_store db;
	struct app_rows rows = { 0 };
	silex_query q;
	silex_error err;
	char n[APP_TEXT_SIZE];
	int st = app_store_open(a, APP_READ, &db);
	if (st != APP_OK)
		return st;
	silex_query_init(&q);
	q.tenant = a->common.tenant;
	q.selectors = argc ? (const char *const *)argv : everything;
	q.n_selectors = argc ? (size_t)argc : 1;
	q.start = SILEX_TIME_MIN;
	q.end = SILEX_TIME_MAX;
	slx_buf_init(&d.row, &a->mem, SLX_MEM_OTHER, 1 << 20);
	silex_status status = app_rows_open(&db, &q, NULL, false, &rows, &err);
	if (status == SILEX_OK)
		status = add_all(a, &rows, &d, &err);
	app_rows_close(&rows);
	slx_buf_free(&d.row);
	if (status != SILEX_OK)
		st = app_fail(NULL, &err);
	else
		fprintf(a->out, "%016llx%016llx  %s points\n", (unsigned long long)d.hi, (unsigned long long)d.lo, app_count_text(d.points, n));
	return app_store_close(&db, APP_READ, st);
}

const struct app_command app_digest = {
	.name = "digest",
	.args = "[SELECTOR...]",
	.summary = "one number for all samples, to compare two databases",
	.text = "The same samples give the same digest, however and in whatever order they are stored; any difference gives another. Native "
			"histograms are not looked at. Without a selector it is of all series of the tenant.",
	.examples = "silex digest -d /var/lib/ward\n",
	.args_min = 0,
	.args_max = -1,
	.uses = APP_USES_DATA | APP_USES_URL | APP_USES_OUTPUT | APP_ARGS_SELECTOR,
	.run = digest_run,
};
