/* silex demo: a guided tour. Most of it is the program's own commands, shown as they would be typed and run in this
 * process; what an application would do (columns of a host, late writes) is done with the library.
 *
 * Three databases under one folder, so that the bytes of each kind of data can be told apart: icu (ten vital signs once
 * a minute), ecg (two leads, 360 Hz), hosts (TSBS-like: ten counters of each of twenty machines every ten seconds,
 * made here, always the same). */
#include "app/commands.h"
#include "app/table.h"

#include "base/clock.h"
#include "base/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND      INT64_C(1000000000)
#define ICU_START   INT64_C(1714519885894000000) /* 2024-04-30T23:31:25.894Z: the header's time of day, another year */
#define HOSTS_START INT64_C(1714521600000000000) /* 2024-05-01T00:00:00Z */

enum { HOSTS = 20, FIELDS = 10, ROUNDS = 8640, DATASETS = 3 };

struct demo_options {
	const char *dir, *samples;
};

struct demo {
	struct app *a;
	const char *samples;
	char *dir;
	char *data[DATASETS];
	bool color;
	double began;
};

static const char *const dataset_names[DATASETS] = { "icu", "ecg", "hosts" };
static const char marker[] = "made-by-silex-demo";

/* --- telling ---------------------------------------------------------------------------------------------------- */

static void heading(struct demo *d, const char *text)
{
	fprintf(d->a->out, d->color ? "\n\033[1m%s\033[0m\n" : "\n%s\n", text);
	for (int n = app_text_width(text); n > 0; n--)
		fputs(d->a->utf8 ? "─" : "-", d->a->out);
	fputc('\n', d->a->out);
}

static void tell(struct demo *d, const char *text)
{
	if (*text == '\n') /* an empty line before: wrapping would take it for a blank */
		fputc('\n', d->a->out);
	app_put_wrapped(d->a->out, text, 0, 0);
}

/* A word as a shell would need it typed. */
static void put_word(FILE *f, const char *s)
{
	bool plain = *s && !s[strcspn(s, " \"'{}*?$&;|<>()#!~")];
	fprintf(f, plain ? " %s" : " '%s'", s);
}

enum { COMMAND_WORDS_MAX = 24 };

/* Shows and runs `silex WORDS... -d DATA`; words end with NULL. */
static int run(struct demo *d, int dataset, const char *const *words)
{
	char *argv[COMMAND_WORDS_MAX + 3];
	int n = 0;
	while (n < COMMAND_WORDS_MAX && words[n]) {
		argv[n] = (char *)words[n];
		n++;
	}
	argv[n++] = "-d";
	argv[n++] = d->data[dataset];
	argv[n] = NULL;
	fputs(d->color ? "\n\033[36m$ silex" : "\n$ silex", d->a->out);
	for (int i = 0; i < n; i++)
		put_word(d->a->out, argv[i]);
	fputs(d->color ? "\033[0m\n" : "\n", d->a->out);
	fflush(d->a->out);
	return app_run(d->a, n, argv);
}

#define RUN(d, dataset, ...) run(d, dataset, (const char *const[]){ __VA_ARGS__, NULL })

/* --- places ----------------------------------------------------------------------------------------------------- */

static bool has_samples(const char *dir)
{
	char *path = app_printf("%s/ecg/100s.hea", dir);
	bool ok = access(path, R_OK) == 0;
	free(path);
	return ok;
}

/* --samples, then the source tree this program was built from, then beside the installed program. */
static char *find_samples(const char *given)
{
	char exe[4096];
	if (given)
		return app_strdup(given);
	if (has_samples(SILEX_SAMPLES_SOURCE))
		return app_strdup(SILEX_SAMPLES_SOURCE);
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	for (int i = 0; i < 2 && n > 0; i++) /* bin/silex -> . */
		while (n > 0 && exe[--n] != '/')
			;
	exe[n > 0 ? n : 0] = 0;
	char *path = app_printf("%s/share/silex/samples", exe);
	if (has_samples(path))
		return path;
	free(path);
	return app_strdup(SILEX_SAMPLES_INSTALLED);
}

static int own_folder(struct demo *d, const char *given)
{
	if (!given) {
		d->dir = app_printf("%s/silex-demo-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
		if (mkdtemp(d->dir))
			return APP_OK;
		app_say("%s: %s", d->dir, strerror(errno));
		return APP_FAILED;
	}
	d->dir = app_strdup(given);
	char *mark = app_printf("%s/%s", given, marker);
	if (access(mark, F_OK) == 0)
		app_remove_tree(given); /* a former tour */
	free(mark);
	if (mkdir(given, 0777) == 0 || (errno == EEXIST && rmdir(given) == 0 && mkdir(given, 0777) == 0))
		return APP_OK;
	app_say("%s: %s; the tour wants a new or empty folder, or one of a former tour", given, strerror(errno));
	return APP_FAILED;
}

static int set_up(struct demo *d, const struct demo_options *o)
{
	if (!has_samples(d->samples)) {
		app_say("%s: the samples (icu/, ecg/100s.hea) are not here; --samples DIR says where they are", d->samples);
		return APP_FAILED;
	}
	int st = own_folder(d, o->dir);
	if (st != APP_OK)
		return st;
	char *mark = app_printf("%s/%s", d->dir, marker);
	FILE *f = fopen(mark, "w");
	if (f)
		fclose(f);
	free(mark);
	for (int i = 0; i < DATASETS; i++)
		d->data[i] = app_printf("%s/%s", d->dir, dataset_names[i]);
	return f ? APP_OK : APP_FAILED;
}

/* --- with the library ------------------------------------------------------------------------------------------- */

static silex_status open_dataset(struct demo *d, int dataset, silex_db **ret, silex_error *err)
{
	silex_options o;
	silex_options_init(&o);
	o.sync = SILEX_SYNC_INTERVAL;
	return silex_open(d->data[dataset], &o, ret, err);
}

static const char *const fields[FIELDS] = { "usage_user", "usage_system", "usage_idle", "usage_nice", "usage_iowait",
	"usage_irq", "usage_softirq", "usage_steal", "usage_guest", "usage_guest_nice" };

static silex_status open_host(silex_db *db, int host, silex_series **handles, silex_error *err)
{
	static const char *const regions[] = { "eu-west-1", "us-east-1", "ap-south-1" };
	static const char *const teams[] = { "SF", "NYC", "LON", "CHI" };
	char name[16], rack[8];
	snprintf(name, sizeof name, "host_%d", host);
	snprintf(rack, sizeof rack, "%d", host * 37 % 100);
	for (int f = 0; f < FIELDS; f++) {
		const silex_label labels[] = { { "__name__", fields[f] }, { "hostname", name }, { "region", regions[host % 3] },
			{ "rack", rack }, { "os", "Debian12" }, { "arch", host % 4 ? "x64" : "arm64" }, { "team", teams[host % 4] },
			{ "service", host % 5 ? "web" : "db" }, { "service_version", "1" },
			{ "service_environment", "production" } };
		silex_status st = silex_series_open(db, NULL, labels, sizeof labels / sizeof *labels, &handles[f], err);
		if (st != SILEX_OK)
			return st;
	}
	return SILEX_OK;
}

/* A step of about N(0,1), rounded: the sum of four uniforms. */
static int step(uint64_t *seed)
{
	uint64_t r = slx_rng_next(seed);
	double sum = 0;
	for (int i = 0; i < 4; i++)
		sum += (double)(r >> 16 * i & 0xffff) / 65536 - 0.5;
	double v = sum * 1.732;
	return (int)(v < 0 ? v - 0.5 : v + 0.5);
}

/* A day of one machine as rows of ten values that share their instants. */
static silex_status fill_host(silex_db *db, int host, silex_error *err)
{
	silex_series *handles[FIELDS] = { NULL };
	silex_columns *rows = NULL;
	int64_t *times = app_alloc(ROUNDS * sizeof *times);
	double *values = app_alloc(ROUNDS * FIELDS * sizeof *values);
	uint64_t seed = 1000 + (uint64_t)host;
	int v[FIELDS];
	for (int f = 0; f < FIELDS; f++)
		v[f] = (int)(slx_rng_next(&seed) % 101);
	for (int i = 0; i < ROUNDS; i++) {
		times[i] = HOSTS_START + i * 10 * SECOND;
		for (int f = 0; f < FIELDS; f++) {
			v[f] += step(&seed);
			v[f] = v[f] < 0 ? 0 : v[f] > 100 ? 100 : v[f];
			values[i * FIELDS + f] = v[f];
		}
	}
	silex_status st = open_host(db, host, handles, err);
	if (st == SILEX_OK)
		st = silex_columns_open(db, handles, FIELDS, &rows, err);
	if (st == SILEX_OK)
		st = silex_columns_append(rows, times, values, ROUNDS, err);
	silex_columns_close(rows);
	for (int f = 0; f < FIELDS; f++)
		silex_series_close(handles[f]);
	free(times);
	free(values);
	return st;
}

static int make_hosts(struct demo *d)
{
	silex_db *db;
	silex_error err;
	char points[APP_TEXT_SIZE], took[APP_TEXT_SIZE];
	double began = app_seconds();
	silex_status st = open_dataset(d, 2, &db, &err);
	if (st != SILEX_OK)
		return app_fail(NULL, &err);
	for (int host = 0; host < HOSTS && st == SILEX_OK; host++)
		st = fill_host(db, host, &err);
	if (silex_close(db, st == SILEX_OK ? &err : NULL) != SILEX_OK || st != SILEX_OK)
		return app_fail(NULL, &err);
	fprintf(d->a->out, "\n(library) silex_columns_append: %s points of %d machines in %s\n",
		app_count_text((uint64_t)HOSTS * FIELDS * ROUNDS, points), HOSTS,
		app_span_text((int64_t)((app_seconds() - began) * 1e9), took));
	return APP_OK;
}

/* --- sizes ------------------------------------------------------------------------------------------------------ */

static bool count_series(void *arg, const silex_label *labels, size_t n)
{
	++*(size_t *)arg;
	return true;
}

static silex_status measure(struct demo *d, int dataset, silex_metrics *ret, size_t *ret_series, silex_error *err)
{
	silex_db *db;
	silex_compact_options c;
	silex_compact_options_init(&c);
	c.full = true;
	silex_status st = open_dataset(d, dataset, &db, err);
	if (st != SILEX_OK)
		return st;
	*ret_series = 0;
	*ret = (silex_metrics){ .size = sizeof *ret };
	st = silex_checkpoint(db, err);
	if (st == SILEX_OK)
		st = silex_compact(db, &c, err);
	if (st == SILEX_OK)
		st = silex_get_metrics(db, ret, err);
	if (st == SILEX_OK)
		st = silex_list_series(db, NULL, "{}", SILEX_TIME_MIN, SILEX_TIME_MAX, count_series, ret_series, err);
	silex_close(db, NULL);
	return st;
}

static int show_sizes(struct demo *d)
{
	static const char *const titles[] = { "data", "series", "points", "as 16 bytes each", "on disk", "bytes/point",
		"ratio" };
	static const char *const what[] = { "ICU vitals, 1/min", "ECG, 360 Hz", "hosts, every 10 s" };
	struct app_table t;
	char text[APP_TEXT_SIZE];
	app_table_init(&t);
	for (size_t i = 0; i < 7; i++)
		app_table_column(&t, titles[i], i ? APP_RIGHT : APP_LEFT, i == 0);
	for (int i = 0; i < DATASETS; i++) {
		silex_metrics m;
		silex_error err;
		size_t series;
		if (measure(d, i, &m, &series, &err) != SILEX_OK) {
			app_table_free(&t);
			return app_fail(dataset_names[i], &err);
		}
		double bytes = (double)m.bytes_blocks, points = (double)m.points_blocks;
		app_table_add(&t, what[i]);
		app_table_add(&t, app_count_text(series, text));
		app_table_add(&t, app_count_text(m.points_blocks, text));
		app_table_add(&t, app_bytes_text(m.points_blocks * 16, text));
		app_table_add(&t, app_bytes_text(m.bytes_blocks, text));
		app_table_addf(&t, "%.3f", bytes / points);
		app_table_addf(&t, "%.1f : 1", points * 16 / bytes);
	}
	fputc('\n', d->a->out);
	app_table_print(&t, d->a->out, APP_TABLE, d->a->utf8);
	app_table_free(&t);
	return APP_OK;
}

/* --- changing the past ------------------------------------------------------------------------------------------ */

struct change {
	struct demo *d;
	silex_db *db;
	silex_error err;
};

static const silex_label note[] = { { "__name__", "HR" }, { "patient", "s00001" }, { "device", "monitor" } };
enum { NOTE_LABELS = 3 };

#define AT(minute) (ICU_START + (minute)*60 * SECOND + 7 * SECOND)

/* What the series of this chapter holds now, on one line. */
static silex_status show(struct change *c, const char *after)
{
	const char *selectors[] = { "HR{device=\"monitor\"}" };
	silex_query q;
	silex_cursor *cursor;
	silex_batch b;
	silex_query_init(&q);
	q.selectors = selectors;
	q.n_selectors = 1;
	q.start = SILEX_TIME_MIN;
	q.end = SILEX_TIME_MAX;
	silex_status st = silex_query_run(c->db, &q, &cursor, &c->err);
	if (st != SILEX_OK)
		return st;
	fprintf(c->d->a->out, "  %-40s", after);
	while ((st = silex_cursor_next(cursor, &b, &c->err)) == SILEX_OK && b.n)
		for (size_t i = 0; i < b.n; i++) {
			char time[APP_TEXT_SIZE], value[APP_TEXT_SIZE];
			app_time_text(b.times[i], time);
			time[16] = 0;
			fprintf(c->d->a->out, "  %s %s", time + 11, app_short_text(b.values[i], value));
		}
	fputc('\n', c->d->a->out);
	silex_cursor_close(cursor);
	return st;
}

static silex_status put(struct change *c, int minute, double v)
{
	return silex_insert(c->db, NULL, note, NOTE_LABELS, AT(minute), silex_float(v), &c->err);
}

static silex_status change_past(struct change *c)
{
	uint64_t n;
	char text[80];
	SLX_TRY(put(c, 3, 74));
	SLX_TRY(put(c, 4, 76));
	SLX_TRY(put(c, 5, 75));
	SLX_TRY(show(c, "three values"));
	SLX_TRY(put(c, 1, 71));
	SLX_TRY(show(c, "a late one, two minutes before them"));
	SLX_TRY(put(c, 4, 79));
	SLX_TRY(show(c, "an overwrite: the later write wins"));
	SLX_TRY(silex_delete(c->db, NULL, "HR{device=\"monitor\"}", AT(3), AT(4), &n, &c->err));
	snprintf(text, sizeof text, "a delete of %llu points", (unsigned long long)n);
	SLX_TRY(show(c, text));
	SLX_TRY(put(c, 3, 73));
	SLX_TRY(show(c, "written again after the delete: visible"));
	SLX_TRY(silex_checkpoint(c->db, &c->err));
	return show(c, "the same after a checkpoint");
}

static int changes(struct demo *d)
{
	struct change c = { .d = d };
	fputs("\n(library) silex_insert, silex_delete:\n", d->a->out);
	if (open_dataset(d, 0, &c.db, &c.err) != SILEX_OK)
		return app_fail(NULL, &c.err);
	silex_status st = change_past(&c);
	if (silex_close(c.db, st == SILEX_OK ? &c.err : NULL) != SILEX_OK && st == SILEX_OK)
		st = c.err.code;
	if (st == SILEX_OK && open_dataset(d, 0, &c.db, &c.err) == SILEX_OK) {
		st = show(&c, "the same after close and open");
		silex_close(c.db, NULL);
	}
	return st == SILEX_OK ? APP_OK : app_fail(NULL, &c.err);
}

/* --- the tour --------------------------------------------------------------------------------------------------- */

static int arrival(struct demo *d)
{
	char *icu = app_printf("%s/icu/s00001-2896-10-10-00-31n.hea", d->samples),
		 *ecg = app_printf("%s/ecg/100s.hea", d->samples);
	heading(d, "1. Real records go in");
	tell(d,
		"An intensive care monitor (MIMIC, PhysioNet): ten vital signs, once a minute. De-identification moved its\n"
		"date to the year 2896, outside the range of 64-bit nanoseconds (1677 to 2262), so --start gives another.");
	int st = RUN(d, 0, "import", "--start", "2024-04-30T23:31:25.894Z", "-L", "patient=s00001", icu);
	tell(d, "\nAn electrocardiogram (MIT-BIH record 100): two leads, 360 samples a second. Its header has no date.");
	if (st == APP_OK)
		st = RUN(d, 1, "import", "--start", "2024-05-01", "-L", "patient=100", ecg);
	tell(d,
		"\nTwenty machines with ten counters each, every ten seconds for a day, made here (always the same):\n"
		"rows of values that share their instant, as an agent on a host would write them.");
	if (st == APP_OK)
		st = make_hosts(d);
	free(icu);
	free(ecg);
	return st;
}

static int sizes(struct demo *d)
{
	heading(d, "2. What they take");
	tell(d, "After `silex compact --full`, all included: timestamps, values, names, index, statistics, checksums.");
	return show_sizes(d);
}

static int queries(struct demo *d)
{
	heading(d, "3. What comes out");
	tell(d, "Query 1: the newest value of every vital sign.");
	int st = RUN(d, 0, "query", "{}", "--latest");
	tell(d,
		"\nQuery 2: medians of four hours, side by side (a probe that is off reads 0: a mean would be pulled down).");
	if (st == APP_OK)
		st = RUN(d, 0, "query", "HR", "RESP", "SpO2", "--agg", "median", "--step", "4h");
	tell(d, "\nQuery 3: the 95th percentile (exact) of the heart rate of each patient.");
	if (st == APP_OK)
		st = RUN(d, 0, "query", "HR", "--agg", "p95", "--group-by", "patient");
	tell(d, "\nQuery 4: over all machines: the mean load by region.");
	if (st == APP_OK)
		st = RUN(d, 2, "query", "usage_user", "-a", "mean", "-w", "4h", "-g", "region");
	tell(d, "\nQuery 5: how far the ECG leads swing, by the half minute.");
	if (st == APP_OK)
		st = RUN(d, 1, "query", "ecg_mv", "-a", "range", "-w", "30s");
	return st;
}

static int charts(struct demo *d)
{
	heading(d, "4. Two pictures");
	tell(d, "The heart rate over the night, in the terminal:");
	int st = RUN(d, 0, "query", "HR", "-s", "2024-05-01T00:00", "-e", "2024-05-01T08:00", "-a", "mean", "-w", "5m",
		"-f", "chart");
	tell(d, "\nFour seconds of the ECG: beats.");
	if (st == APP_OK)
		st = RUN(d, 1, "query", "ecg_mv{signal=\"MLII\"}", "-s", "2024-05-01T00:00:10", "-e", "2024-05-01T00:00:14",
			"-f", "chart");
	return st;
}

static int past(struct demo *d)
{
	heading(d, "5. The past may change");
	tell(d, "Any sample may come late, be written again or be deleted, wherever it lies. A nurse's note on HR:");
	int st = changes(d);
	heading(d, "6. Trust, but verify");
	tell(d, "Every byte on disk is under a checksum. This reads all of them again:");
	for (int i = 0; i < DATASETS && st == APP_OK; i++)
		st = RUN(d, i, "verify");
	return st;
}

static void farewell(struct demo *d)
{
	char took[APP_TEXT_SIZE];
	heading(d, "Next");
	fprintf(d->a->out,
		"The tour took %s. Its databases stay in %s. Try:\n\n"
		"  # type queries, with history and completion\n"
		"  silex shell -d %s\n"
		"  # what is in it\n"
		"  silex series --info -d %s\n"
		"  # what each codec makes of the ECG\n"
		"  silex compression --start 2024-05-01 %s/ecg/100s.hea\n"
		"  # bring your own data\n"
		"  silex import --help\n"
		"  # how fast is this machine?\n"
		"  silex bench\n",
		app_span_text((int64_t)((app_seconds() - d->began) * 1e9), took), d->dir, d->data[0], d->data[2], d->samples);
}

static int demo_run(struct app *a, void *options, int argc, char **argv)
{
	const struct demo_options *o = options;
	static int (*const chapters[])(struct demo *) = { arrival, sizes, queries, charts, past };
	struct app_common common = a->common;
	char *samples = find_samples(o->samples);
	struct demo d = { .a = a, .samples = samples, .color = a->color, .began = app_seconds() };
	int width = a->width;
	a->common = (struct app_common){ 0 };
	a->width = width < 100 ? width : 100;
	int st = set_up(&d, o);
	for (size_t i = 0; i < sizeof chapters / sizeof *chapters && st == APP_OK; i++)
		st = chapters[i](&d);
	if (st == APP_OK)
		farewell(&d);
	a->common = common;
	a->width = width;
	for (int i = 0; i < DATASETS; i++)
		free(d.data[i]);
	free(d.dir);
	free(samples);
	return st;
}

static const struct app_opt demo_opts[] = {
	APP_OPT(demo_options, dir, "dir", 'D', APP_TEXT, "DIR", NULL,
		"where its databases go [a new folder in $TMPDIR or /tmp]"),
	APP_OPT(demo_options, samples, "samples", 0, APP_TEXT, "DIR", NULL,
		"where the sample records are [those of this program]"),
	APP_OPT_END,
};

const struct app_command app_demo = {
	.name = "demo",
	.args = "",
	.summary = "a guided tour on real patient data",
	.text =
		"Imports an intensive care record, an electrocardiogram and a day of twenty machines; shows what they take,\n"
		"asks five queries, draws two charts, changes the past and verifies. It takes some seconds and changes\n"
		"nothing else.",
	.examples = "silex demo\n"
				"silex demo --dir /tmp/tour\n",
	.options = demo_opts,
	.options_size = sizeof(struct demo_options),
	.args_min = 0,
	.args_max = 0,
	.uses = APP_NOT_IN_SHELL,
	.run = demo_run,
};
