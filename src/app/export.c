/* silex export: what `silex import` reads back exactly. */
#include "app/commands.h"
#include "app/store.h"
#ifdef SILEX_WITH_SERVER
#include "app/remote.h"
#endif

#include "formats/formats.h"

#include <stdlib.h>
#include <string.h>

enum { FLUSH_SIZE = 256 << 10 };
enum export_format { EXPORT_JSONL, EXPORT_CSV, EXPORT_LINE, EXPORT_PROM, EXPORT_OPENMETRICS };

struct export_options {
	int format;
	struct app_time start, end;
};

struct export
{
	struct app *a;
	enum export_format format;
	struct slx_buf out;
	struct slx_csv_encode_options csv;
	char **columns;
	size_t columns_n, columns_cap;
	struct slx_label *labels; /* of the batch under way */
	size_t labels_cap;
	uint64_t points, left_out, rounded;
};

static bool add_column(void *arg, const char *name)
{
	struct export *x = arg;
	for (size_t i = 0; i < x->columns_n; i++)
		if (strcmp(x->columns[i], name) == 0)
			return true;
	x->columns = app_grow(x->columns, x->columns_n, &x->columns_cap, sizeof *x->columns);
	x->columns[x->columns_n++] = app_strdup(name);
	return true;
}

/* A CSV file has one column per label name of all series. */
static silex_status begin_csv(struct export *x, struct app_store *db, const silex_query *q, silex_error *err)
{
	silex_status st = SILEX_OK;
	add_column(x, "__name__");
	for (size_t i = 0; i < q->n_selectors && st == SILEX_OK; i++)
		st = app_label_names(db, q->selectors[i], add_column, x, err);
	x->csv.columns = (const char *const *)x->columns;
	x->csv.columns_n = (uint32_t)x->columns_n;
	slx_encode_csv_header(&x->out, &x->csv);
	return st;
}

static void put_row(struct export *x, const struct slx_row *row)
{
	switch (x->format) {
	case EXPORT_CSV:
		slx_encode_csv(&x->out, &x->csv, row);
		break;
	case EXPORT_LINE:
		if (!slx_encode_line(&x->out, row, SLX_UNIT_NS)) {
			x->left_out++;
			return;
		}
		break;
	case EXPORT_PROM:
		x->rounded += row->t % 1000000 != 0;
		slx_encode_exposition(&x->out, row, false);
		break;
	case EXPORT_OPENMETRICS:
		slx_encode_exposition(&x->out, row, true);
		break;
	default:
		slx_encode_jsonl(&x->out, row);
	}
	x->points++;
}

static void drain(struct export *x, size_t least)
{
	if (x->out.failed)
		app_alloc(SIZE_MAX);
	if (x->out.n < least)
		return;
	fwrite(x->out.p, 1, x->out.n, x->a->out);
	slx_buf_reset(&x->out);
}

static void put_batch(struct export *x, const silex_batch *b)
{
	while (x->labels_cap < b->n_labels + 1)
		x->labels = app_grow(x->labels, x->labels_cap, &x->labels_cap, sizeof *x->labels);
	for (size_t i = 0; i < b->n_labels; i++)
		x->labels[i] = (struct slx_label){ slx_str(b->labels[i].name), slx_str(b->labels[i].value) };
	struct slx_row row = { .labels = x->labels, .labels_n = (uint32_t)b->n_labels, .has_time = true };
	row.kind = b->kind == SILEX_INT64 ? SLX_KIND_INT64 : b->kind == SILEX_BOOL ? SLX_KIND_BOOL : SLX_KIND_FLOAT64;
	for (size_t i = 0; i < b->n; i++) {
		if (b->states) { /* no text format here has values that are words */
			x->left_out += b->n;
			return;
		}
		row.t = b->times[i];
		row.bits = b->ints ? (uint64_t)b->ints[i] : slx_f64_bits(b->values[i]);
		put_row(x, &row);
		drain(x, FLUSH_SIZE);
	}
}

#ifdef SILEX_WITH_SERVER
static bool on_remote_row(void *arg, const struct slx_row *row)
{
	struct export *x = arg;
	put_row(x, row);
	drain(x, FLUSH_SIZE);
	return true;
}

/* Texts as values: a state. */
static bool on_remote_error(void *arg, uint64_t line, uint64_t column, const char *message)
{
	((struct export *)arg)->left_out++;
	return true;
}

static bool on_remote_data(void *arg, const char *p, size_t n) { return slx_decoder_feed(arg, p, n, NULL) == SILEX_OK; }

/* The server's JSON lines are read as import would read them, row by row. */
static silex_status export_remote(struct export *x, struct app_store *s, const silex_query *q, silex_error *err)
{
	const struct slx_sink sink = { .arg = x, .row = on_remote_row, .error = on_remote_error };
	const struct slx_decode_limits limits = { .labels_every_row = true };
	struct slx_decoder *d;
	silex_status st = slx_decoder_jsonl(&x->a->mem, &limits, &sink, &d, err);
	if (st != SILEX_OK)
		return st;
	char *body = app_remote_query_json(q, NULL, "jsonl");
	st = app_remote_stream(s->remote, "/api/silex/v1/query", body, strlen(body), on_remote_data, d, err);
	free(body);
	if (st == SILEX_OK)
		st = slx_decoder_finish(d, err);
	slx_decoder_free(d);
	return st;
}
#else
static silex_status export_remote(struct export *x, struct app_store *s, const silex_query *q, silex_error *err) { return SILEX_UNSUPPORTED; }
#endif

static int export_db(struct export *x, struct app_store *db, const silex_query *q)
{
	silex_cursor *c = NULL;
	silex_batch b;
	silex_error err;
	silex_status st = x->format == EXPORT_CSV ? begin_csv(x, db, q, &err) : SILEX_OK;
	if (st == SILEX_OK && db->remote)
		st = export_remote(x, db, q, &err);
	else if (st == SILEX_OK)
		st = silex_query_run(db->db, q, &c, &err);
	while (c && st == SILEX_OK && (st = silex_cursor_next(c, &b, &err)) == SILEX_OK && b.n)
		put_batch(x, &b);
	if (st == SILEX_OK && x->format == EXPORT_OPENMETRICS)
		slx_buf_put(&x->out, "# EOF\n", 6);
	drain(x, 0);
	silex_cursor_close(c);
	return st == SILEX_OK ? APP_OK : app_fail(NULL, &err);
}

static void warn(const struct export *x)
{
	if (x->left_out)
		app_say(
			"%llu samples are not in the file: this format cannot say them (texts as values, odd names; line protocol: "
			"NaN and infinities); jsonl takes all numbers",
			(unsigned long long)x->left_out);
	if (x->rounded)
		app_say("%llu times were not whole milliseconds and were rounded; --format openmetrics keeps them",
			(unsigned long long)x->rounded);
}

static int export_run(struct app *a, void *options, int argc, char **argv)
{
	const struct export_options *o = options;
	static const char *const everything[] = { "{}" };
	struct export x = { .a = a, .format = o->format ? (enum export_format)(o->format - 1) : EXPORT_JSONL };
	silex_query q;
	struct app_store db;
	silex_query_init(&q);
	q.tenant = a->common.tenant;
	q.selectors = argc ? (const char *const *)argv : everything;
	q.n_selectors = argc ? (size_t)argc : 1;
	q.start = o->start.set ? o->start.ns : SILEX_TIME_MIN;
	q.end = o->end.set ? o->end.ns : SILEX_TIME_MAX;
	int st = app_store_open(a, APP_READ, &db);
	if (st != APP_OK)
		return st;
	slx_buf_init(&x.out, &a->mem, SLX_MEM_OTHER, 64 << 20);
	st = app_store_close(&db, APP_READ, export_db(&x, &db, &q));
	warn(&x);
	for (size_t i = 0; i < x.columns_n; i++)
		free(x.columns[i]);
	free(x.columns);
	free(x.labels);
	slx_buf_free(&x.out);
	return st == APP_OK && x.left_out ? APP_REFUSED : st;
}

static const struct app_opt export_opts[] = {
	APP_OPT(export_options, format, "format", 'f', APP_CHOICE, "FORMAT", "jsonl|csv|line|prom|openmetrics",
		"of the output [jsonl]"),
	APP_OPT(export_options, start, "start", 's', APP_TIME, "TIME", NULL, "from this time on"),
	APP_OPT(export_options, end, "end", 'e', APP_TIME, "TIME", NULL, "up to this time, included"),
	APP_OPT_END,
};

const struct app_command app_export = {
	.name = "export",
	.args = "[SELECTOR...]",
	.summary = "print samples in a format that import reads back",
	.text =
		"Without a selector everything is exported. jsonl and csv keep names, times and values exactly; line protocol\n"
		"cannot say NaN and infinities, Prometheus text counts milliseconds, and both exposition formats lose the\n"
		"difference between 72 and 72.0. What a format cannot say is counted, and the status is 3.",
	.examples = "silex export | gzip >all.jsonl.gz\teverything\n"
				"silex export 'hr' -s 2024-05-01 -e 2024-05-02 -f csv -o hr.csv\tone day of one name\n",
	.options = export_opts,
	.options_size = sizeof(struct export_options),
	.args_min = 0,
	.args_max = -1,
	.uses = APP_USES_DATA | APP_USES_URL | APP_USES_OUTPUT | APP_ARGS_SELECTOR,
	.run = export_run,
};
