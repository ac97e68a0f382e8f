/* silex import: rows of decoders into the engine.
 *
 * A decoder numbers the series it meets; here each number has a handle, opened with the series' first row. float64
 * points of all series go in mixed batches (silex_append). Rows of other kinds are collected, sorted by series (stable:
 * of equal times the later row must win) and appended run by run. A series that changes kind in mid-file makes both
 * batches go out first, for the same reason. */
#include "app/commands.h"
#include "app/source.h"
#include "app/store.h"
#ifdef SILEX_WITH_SERVER
#include "app/remote.h"
#endif

#include "model/labels.h"

#include <stdlib.h>
#include <string.h>

enum { POINTS_MAX = 4096, VALUES_MAX = 65536, ERRORS_SHOWN = 10 };

static const struct slx_hash128 no_id;

struct series {
	silex_series *handle; /* NULL: the engine refused it */
	char *reason;         /* then: why */
	size_t id;            /* its place in ids, once it has one */
	enum slx_kind kind;   /* of the newest row */
};

struct origin {
	uint64_t line;
	uint32_t key;
};

struct value {
	uint32_t key;
	uint32_t order;
	uint64_t line;
	int64_t time;
	silex_value value;
};

struct import_options {
	struct app_source_options source;
	struct app_texts labels;
	int errors; /* 1 all, 2 none */
	bool strict, quiet, backfill;
};

struct import {
	struct app *a;
	struct app_store store;
	silex_db *db;              /* NULL: a server, and */
	struct app_upload *upload; /* the way there */
	const struct import_options *o;
	const char *tenant;
	const char *path;
	struct app_source *source;
	struct app_progress progress;
	silex_label *constants; /* --label */
	size_t constants_n;

	struct series *series; /* by key; [0] is not used */
	size_t series_n, series_cap;
	silex_point *points;
	struct origin *origins; /* of the points */
	size_t points_n;
	struct value *values;
	size_t values_n;
	int64_t *times; /* one run of values */
	silex_value *run;

	struct slx_buf text; /* NUL-terminated label strings of one series */
	silex_label *row_labels;
	size_t row_labels_cap;
	struct slx_labels_builder builder; /* for the identity */
	struct slx_hash128 *ids;
	size_t ids_n, ids_cap;

	uint64_t accepted, refused, skipped, untimed;
	silex_status status; /* a failure of the engine that ends the import */
	silex_error error;
};

/* --- complaints ------------------------------------------------------------------------------------------------- */

/* A refused line; false: stop (--strict). */
static bool complain(struct import *m, uint64_t line, uint64_t column, const char *message)
{
	uint64_t n = ++m->refused;
	bool shown = m->o->strict || m->o->errors == 1 || (m->o->errors == 0 && n <= ERRORS_SHOWN);
	if (shown) {
		app_progress_end(&m->progress);
		fprintf(stderr, "%s:%llu:%llu: %s\n", strcmp(m->path, "-") == 0 ? "stdin" : m->path, (unsigned long long)line,
			(unsigned long long)column, message);
	} else if (m->o->errors == 0 && n == ERRORS_SHOWN + 1)
		fputs("(further bad lines are only counted; --errors all shows them)\n", stderr);
	return !m->o->strict;
}

static bool on_error(void *arg, uint64_t line, uint64_t column, const char *message)
{
	return complain(arg, line, column, message);
}

static bool broken(struct import *m)
{
	m->status = m->error.code;
	return false;
}

/* --- batches ---------------------------------------------------------------------------------------------------- */

/* Whether m->error is about one series (its labels, or a limit that keeps new series out, which names itself): then
 * only that series is refused. Other failures, a full disk among them, end the import. */
static bool of_one_series(const struct import *m)
{
	return m->error.code == SILEX_INVALID ||
		(m->error.code == SILEX_RESOURCE_EXHAUSTED && strstr(m->error.message, "series limit"));
}

static void refuse_series(struct import *m, struct series *s)
{
	silex_series_close(s->handle);
	if (s->handle)
		m->ids[s->id] = no_id; /* counted too early */
	s->handle = NULL;
	s->reason = app_strdup(m->error.message);
}

/* The batch failed for some series' sake: point by point, to refuse those only. Writing a point twice does no harm. */
static bool append_singly(struct import *m)
{
	for (size_t i = 0; i < m->points_n; i++) {
		struct series *s = &m->series[m->origins[i].key];
		if (s->handle && silex_append(m->db, &m->points[i], 1, &m->error) == SILEX_OK) {
			m->accepted++;
			continue;
		}
		if (s->handle && !of_one_series(m))
			return broken(m);
		if (s->handle)
			refuse_series(m, s);
		if (!complain(m, m->origins[i].line, 0, s->reason))
			return false;
	}
	m->points_n = 0;
	return true;
}

static bool flush_points(struct import *m)
{
	if (m->points_n && silex_append(m->db, m->points, m->points_n, &m->error) != SILEX_OK)
		return of_one_series(m) ? append_singly(m) : broken(m);
	m->accepted += m->points_n;
	m->points_n = 0;
	return true;
}

static int by_series(const void *a, const void *b)
{
	const struct value *x = a, *y = b;
	return x->key != y->key ? (x->key < y->key ? -1 : 1) : x->order < y->order ? -1 : 1;
}

/* Values from..to are of one series. */
static bool append_run(struct import *m, size_t from, size_t to)
{
	struct series *s = &m->series[m->values[from].key];
	for (size_t i = from; i < to; i++) {
		m->times[i - from] = m->values[i].time;
		m->run[i - from] = m->values[i].value;
	}
	if (s->handle && silex_append_values(s->handle, m->times, m->run, to - from, &m->error) == SILEX_OK) {
		m->accepted += to - from;
		return true;
	}
	if (s->handle && !of_one_series(m))
		return broken(m);
	if (s->handle)
		refuse_series(m, s);
	for (size_t i = from; i < to; i++)
		if (!complain(m, m->values[i].line, 0, s->reason))
			return false;
	return true;
}

static bool flush_values(struct import *m)
{
	qsort(m->values, m->values_n, sizeof *m->values, by_series);
	for (size_t i = 0, k; i < m->values_n; i = k) {
		for (k = i + 1; k < m->values_n && m->values[k].key == m->values[i].key; k++)
			;
		if (!append_run(m, i, k))
			return false;
	}
	m->values_n = 0;
	return true;
}

/* --- series ----------------------------------------------------------------------------------------------------- */

/* Room has been reserved: the buffer does not move. */
static const char *keep_text(struct import *m, struct slx_str s)
{
	const char *at = (char *)m->text.p + m->text.n;
	slx_buf_put(&m->text, s.p, s.n);
	slx_buf_u8(&m->text, 0);
	return at;
}

static bool is_constant(const struct import *m, struct slx_str name)
{
	for (size_t i = 0; i < m->constants_n; i++)
		if (slx_str_eq(name, slx_str(m->constants[i].name)))
			return true;
	return false;
}

/* The row's labels as the API wants them, --label winning over the file. Returns their number. */
static size_t row_labels(struct import *m, const struct slx_row *row)
{
	size_t n = 0, size = 0;
	slx_buf_reset(&m->text);
	while (m->row_labels_cap <= row->labels_n + m->constants_n)
		m->row_labels = app_grow(m->row_labels, m->row_labels_cap, &m->row_labels_cap, sizeof *m->row_labels);
	for (uint32_t i = 0; i < row->labels_n; i++)
		size += row->labels[i].name.n + row->labels[i].value.n + 2;
	if (!slx_buf_reserve(&m->text, size))
		app_alloc(SIZE_MAX);
	for (uint32_t i = 0; i < row->labels_n; i++)
		if (!is_constant(m, row->labels[i].name)) {
			m->row_labels[n].name = keep_text(m, row->labels[i].name);
			m->row_labels[n++].value = keep_text(m, row->labels[i].value);
		}
	for (size_t i = 0; i < m->constants_n; i++)
		m->row_labels[n++] = m->constants[i];
	return n;
}

/* Remembers the identity, to count distinct series over all files. Returns its place. */
static size_t note_series(struct import *m, size_t labels_n)
{
	struct slx_labels set;
	slx_labels_builder_reset(&m->builder);
	for (size_t i = 0; i < labels_n; i++)
		if (*m->row_labels[i].value)
			slx_labels_builder_add(&m->builder, slx_str(m->row_labels[i].name), slx_str(m->row_labels[i].value));
	m->ids = app_grow(m->ids, m->ids_n, &m->ids_cap, sizeof *m->ids);
	m->ids[m->ids_n] =
		slx_labels_builder_finish(&m->builder, &set, NULL) == SILEX_OK ? slx_series_id(slx_str(m->tenant), set) : no_id;
	return m->ids_n++;
}

/* NULL: the import is over. A series that the engine refuses is one without a handle. */
static struct series *new_series(struct import *m, const struct slx_row *row)
{
	size_t n = row_labels(m, row);
	while (m->series_n <= row->series_key) {
		m->series = app_grow(m->series, m->series_n, &m->series_cap, sizeof *m->series);
		m->series[m->series_n++] = (struct series){ 0 };
	}
	struct series *s = &m->series[row->series_key];
	s->kind = row->kind;
	if (silex_series_open(m->db, m->tenant, m->row_labels, n, &s->handle, &m->error) == SILEX_OK) {
		s->id = note_series(m, n);
		return s;
	}
	s->handle = NULL;
	if (!of_one_series(m)) {
		broken(m);
		return NULL;
	}
	refuse_series(m, s);
	return s;
}

static silex_value value_of(const struct slx_row *row)
{
	return row->kind == SLX_KIND_FLOAT64 ? silex_float(slx_bits_f64(row->bits))
		: row->kind == SLX_KIND_INT64    ? silex_int((int64_t)row->bits)
										 : silex_bool(row->bits != 0);
}

/* A row whose series the decoder does not number (its table is full). */
static bool insert_row(struct import *m, const struct slx_row *row, int64_t time)
{
	size_t n = row_labels(m, row);
	if (silex_insert(m->db, m->tenant, m->row_labels, n, time, value_of(row), &m->error) != SILEX_OK)
		return of_one_series(m) ? complain(m, app_source_line(m->source), 0, m->error.message) : broken(m);
	note_series(m, n);
	m->accepted++;
	return true;
}

#ifdef SILEX_WITH_SERVER
/* A server takes rows by the key of their series; 1 is for rows without one. */
static bool upload_row(struct import *m, const struct slx_row *row, int64_t time)
{
	if (!row->series_key || row->series_key >= m->series_n) {
		size_t n = row_labels(m, row);
		note_series(m, n);
		if (app_upload_series(m->upload, row->series_key + 1, m->row_labels, n, &m->error) != SILEX_OK)
			return broken(m);
	}
	while (m->series_n <= row->series_key) {
		m->series = app_grow(m->series, m->series_n, &m->series_cap, sizeof *m->series);
		m->series[m->series_n++] = (struct series){ 0 };
	}
	m->accepted++; /* so far: the server has the last word */
	return app_upload_row(m->upload, row->series_key + 1, row, time, &m->error) == SILEX_OK || broken(m);
}

static bool flush_upload(struct import *m) { return !m->upload || app_upload_end(m->upload, &m->error) == SILEX_OK || broken(m); }

static void begin_upload(struct import *m)
{
	if (m->store.remote)
		m->upload = app_upload_new(m->store.remote, m->o->backfill);
}

/* What was stored, and what the server says of the rest. */
static void end_upload(struct import *m)
{
	uint64_t refused;
	const char *reason;
	if (!m->upload)
		return;
	app_upload_counts(m->upload, &m->accepted, &refused, &reason);
	m->refused += refused;
	if (reason)
		app_say("%s", reason);
	app_upload_free(m->upload);
}
#else
static bool upload_row(struct import *m, const struct slx_row *row, int64_t time) { return false; }
static bool flush_upload(struct import *m) { return true; }
static void begin_upload(struct import *m) {}
static void end_upload(struct import *m) {}
#endif

static bool on_row(void *arg, const struct slx_row *row)
{
	struct import *m = arg;
	int64_t time = row->has_time ? row->t : m->a->now;
	m->untimed += !row->has_time;
	if (m->upload)
		return upload_row(m, row, time);
	if (!row->series_key)
		return insert_row(m, row, time);
	bool known = row->series_key < m->series_n;
	struct series *s = known ? &m->series[row->series_key] : new_series(m, row);
	if (!s)
		return false;
	if (!s->handle)
		return complain(m, app_source_line(m->source), 0, s->reason);
	if (s->kind != row->kind) {
		if (!flush_points(m) || !flush_values(m))
			return false;
		s->kind = row->kind;
	}
	if (row->kind == SLX_KIND_FLOAT64) {
		m->origins[m->points_n] = (struct origin){ app_source_line(m->source), row->series_key };
		m->points[m->points_n++] = (silex_point){ s->handle, time, slx_bits_f64(row->bits) };
		return m->points_n < POINTS_MAX || flush_points(m);
	}
	m->values[m->values_n] = (struct value){ .key = row->series_key,
		.order = (uint32_t)m->values_n,
		.line = app_source_line(m->source),
		.time = time,
		.value = value_of(row) };
	return ++m->values_n < VALUES_MAX || flush_values(m);
}

/* --- files ------------------------------------------------------------------------------------------------------ */

static void on_step(void *arg, uint64_t done, uint64_t size)
{
	struct import *m = arg;
	app_progress_show(&m->progress, done, size, m->accepted + m->points_n + m->values_n);
}

static int import_file(struct import *m, const char *path)
{
	struct slx_sink sink = { .arg = m, .row = on_row, .error = on_error };
	silex_error err;
	m->path = path;
	m->series_n = 0;
	app_progress_begin(&m->progress, m->a, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
	m->source = app_source_open(m->a, &m->o->source, path, &sink, &err);
	if (!m->source)
		return app_fail(path, &err);
	silex_status st = app_source_run(m->source, on_step, m, &err);
	m->skipped += app_source_stats(m->source)->skipped;
	bool flushed = m->status == SILEX_OK && flush_points(m) && flush_values(m) && flush_upload(m);
	app_progress_end(&m->progress);
	for (size_t i = 1; i < m->series_n; i++) {
		silex_series_close(m->series[i].handle);
		free(m->series[i].reason);
	}
	app_source_close(m->source);
	if (!flushed)
		return app_fail(path, &m->error);
	if (st == SILEX_CANCELED) {
		app_say("%s: stopped at the first bad line (--strict); what came before it is stored", path);
		return APP_FAILED;
	}
	return st == SILEX_OK ? APP_OK : app_fail(path, &err);
}

/* no_id sorts first and is not counted. */
static int by_id(const void *a, const void *b) { return memcmp(a, b, sizeof(struct slx_hash128)); }

static uint64_t distinct_series(struct import *m)
{
	uint64_t n = 0;
	qsort(m->ids, m->ids_n, sizeof *m->ids, by_id);
	for (size_t i = 0; i < m->ids_n; i++)
		n += by_id(&m->ids[i], i ? &m->ids[i - 1] : &no_id) != 0;
	return n;
}

static void summary(struct import *m, double took)
{
	char points[APP_TEXT_SIZE], series[APP_TEXT_SIZE], time[APP_TEXT_SIZE], rate[APP_TEXT_SIZE], more[APP_TEXT_SIZE];
	fprintf(m->a->out, "imported %s points of %s series in %s (%s points/s)", app_count_text(m->accepted, points),
		app_count_text(distinct_series(m), series), app_span_text((int64_t)(took * 1e9), time),
		app_rate_text((double)m->accepted / (took > 1e-9 ? took : 1e-9), rate));
	if (m->refused)
		fprintf(m->a->out, "; %s lines refused", app_count_text(m->refused, more));
	if (m->skipped)
		fprintf(m->a->out, "; %s values that are no samples skipped", app_count_text(m->skipped, more));
	if (m->untimed)
		fprintf(m->a->out, "; %s had no time and got now", app_count_text(m->untimed, more));
	fputc('\n', m->a->out);
}

static int take_labels(struct import *m, const struct import_options *o)
{
	m->constants = app_alloc((o->labels.n + 1) * sizeof *m->constants);
	for (size_t i = 0; i < o->labels.n; i++) {
		const char *equals = strchr(o->labels.v[i], '=');
		if (!equals || equals == o->labels.v[i])
			return app_usage("--label %s: expected NAME=VALUE", o->labels.v[i]);
		m->constants[m->constants_n++] =
			(silex_label){ app_strndup(o->labels.v[i], (size_t)(equals - o->labels.v[i])), equals + 1 };
	}
	return APP_OK;
}

static void import_init(struct import *m, struct app *a, const struct import_options *o)
{
	*m = (struct import){ .a = a, .o = o, .tenant = a->common.tenant ? a->common.tenant : "default" };
	m->points = app_alloc(POINTS_MAX * sizeof *m->points);
	m->origins = app_alloc(POINTS_MAX * sizeof *m->origins);
	m->values = app_alloc(VALUES_MAX * sizeof *m->values);
	m->times = app_alloc(VALUES_MAX * sizeof *m->times);
	m->run = app_alloc(VALUES_MAX * sizeof *m->run);
	slx_buf_init(&m->text, &a->mem, SLX_MEM_OTHER, 64 << 20);
	slx_labels_builder_init(&m->builder, &a->mem, SLX_MEM_OTHER, NULL);
}

static void import_free(struct import *m)
{
	for (size_t i = 0; i < m->constants_n; i++)
		free((char *)m->constants[i].name);
	free(m->constants);
	free(m->series);
	free(m->points);
	free(m->origins);
	free(m->values);
	free(m->times);
	free(m->run);
	free(m->row_labels);
	free(m->ids);
	slx_buf_free(&m->text);
	slx_labels_builder_free(&m->builder);
}

static int import_all(struct import *m, const struct app_texts *files)
{
	int st = app_store_open(m->a, APP_WRITE, &m->store);
	if (st != APP_OK)
		return st;
	m->db = m->store.db;
	begin_upload(m);
	double began = app_seconds();
	for (size_t i = 0; i < files->n && st == APP_OK; i++) {
		st = import_file(m, files->v[i]);
		if (st != APP_OK && m->status == SILEX_OK && !m->o->strict && i + 1 < files->n)
			st = APP_OK, m->refused++; /* said already; the other files still come in */
	}
	end_upload(m);
	st = app_store_close(&m->store, APP_WRITE, st); /* flushed: what the summary counts is on disk */
	if (!m->o->quiet && (st == APP_OK || m->accepted))
		summary(m, app_seconds() - began);
	return st == APP_OK && m->refused ? APP_REFUSED : st;
}

static int import_run(struct app *a, void *options, int argc, char **argv)
{
	struct import m;
	struct app_texts files = { 0 };
	silex_error err;
	import_init(&m, a, options);
	int st = take_labels(&m, options);
	a->backfill = m.o->backfill;
	if (st == APP_OK && app_source_expand(argc, argv, &files, &err) != SILEX_OK)
		st = app_fail(NULL, &err);
	if (st == APP_OK)
		st = import_all(&m, &files);
	for (size_t i = 0; i < files.n; i++)
		free((char *)files.v[i]);
	free(files.v);
	import_free(&m);
	return st;
}

static const struct app_opt import_opts[] = {
	APP_SOURCE_TABLE(import_options),
	APP_OPT(import_options, labels, "label", 'L', APP_TEXTS, "NAME=VALUE", NULL, "add this label to every series"),
	APP_OPT(import_options, errors, "errors", 0, APP_CHOICE, "WHICH", "all|none",
		"which bad lines are shown [the first ten]"),
	APP_OPT(import_options, strict, "strict", 0, APP_FLAG, NULL, NULL, "stop at the first bad line"),
	APP_OPT(import_options, backfill, "backfill", 0, APP_FLAG, NULL, NULL, "data of the past: rules on arrival do not look at it, whatever its times"),
	APP_OPT(import_options, quiet, "quiet", 'q', APP_FLAG, NULL, NULL, "no summary"),
	APP_OPT_END,
};

const struct app_command app_import = {
	.name = "import",
	.args = "FILE...",
	.summary = "read measurement files into a database",
	.text =
		"Reads CSV and TSV, InfluxDB line protocol, JSON lines, Prometheus and OpenMetrics text, and WFDB records\n"
		"(.hea, formats 16 and 212), also packed with gzip or zstd. A folder stands for the files in it; - is\n"
		"standard input. The format follows from the file's name, then from its content, unless --format says it.\n\n"
		"A line that cannot be read is reported as file:line:column: reason; the others are imported, and the exit\n"
		"status is 3. What the summary counts is on disk when it is printed.",
	.examples = "silex import vitals.csv\tcolumns are found out: a time, numbers, labels\n"
				"silex import -m temperature -t when -v celsius -l room,floor log.tsv.gz\twith the columns named\n"
				"silex import --start 2024-05-01 records/s00001.hea\ta WFDB record whose header has no usable date\n"
				"curl -s localhost:9100/metrics | silex import -f prom -L instance=here -\tfrom a pipe\n",
	.options = import_opts,
	.options_size = sizeof(struct import_options),
	.args_min = 1,
	.args_max = -1,
	.uses = APP_USES_DATA | APP_USES_URL | APP_ARGS_FILES,
	.run = import_run,
};
