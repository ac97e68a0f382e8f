/* silex compression: what each codec makes of somebody's files, without a database. */
#include "app/commands.h"
#include "app/source.h"
#include "app/table.h"

#include <silex/codec.h>
#include <stdlib.h>
#include <string.h>

enum { CODECS_MAX = 16 };
#define MEASURE_SECONDS 0.2 /* a codec is run over the data until this long has passed */

struct compression_options {
	struct app_source_options source;
	bool json;
	struct app_texts codecs;
};

struct samples { /* of one series */
	int64_t *t;
	double *v;
	size_t n, cap;
};

struct input {
	struct samples *series;
	size_t n, cap;
	size_t first; /* of the file under way: decoders count from 1 */
	uint64_t points, errors;
	size_t longest;
	int64_t now;
};

struct measure {
	const char *codec;
	uint64_t timestamps, values, all; /* bytes */
	double encode, decode;            /* points a second */
};

/* --- reading ---------------------------------------------------------------------------------------------------- */

static bool on_row(void *arg, const struct slx_row *row)
{
	struct input *in = arg;
	size_t at = in->first + row->series_key; /* key 0, "not numbered", gathers what is left over */
	while (in->n <= at) {
		in->series = app_grow(in->series, in->n, &in->cap, sizeof *in->series);
		in->series[in->n++] = (struct samples){ 0 };
	}
	struct samples *s = &in->series[at];
	size_t cap = s->cap;
	s->t = app_grow(s->t, s->n, &cap, sizeof *s->t);
	cap = s->cap;
	s->v = app_grow(s->v, s->n, &cap, sizeof *s->v);
	s->cap = cap;
	s->t[s->n] = row->has_time ? row->t : in->now;
	s->v[s->n++] = slx_bits_number(row->kind, row->bits);
	in->longest = s->n > in->longest ? s->n : in->longest;
	in->points++;
	return true;
}

static bool on_error(void *arg, uint64_t line, uint64_t column, const char *message)
{
	((struct input *)arg)->errors++;
	return true;
}

static int read_file(struct app *a, const struct compression_options *o, const char *path, struct input *in)
{
	struct slx_sink sink = { .arg = in, .row = on_row, .error = on_error };
	silex_error err;
	in->first = in->n;
	struct app_source *s = app_source_open(a, &o->source, path, &sink, &err);
	if (!s)
		return app_fail(path, &err);
	silex_status st = app_source_run(s, NULL, NULL, &err);
	app_source_close(s);
	return st == SILEX_OK ? APP_OK : app_fail(path, &err);
}

static void input_free(struct input *in)
{
	for (size_t i = 0; i < in->n; i++) {
		free(in->series[i].t);
		free(in->series[i].v);
	}
	free(in->series);
}

/* --- measuring -------------------------------------------------------------------------------------------------- */

struct packed {
	uint8_t *p;
	size_t n;
};

static silex_status encode_all(
	const struct input *in, const silex_compress_options *o, struct packed *out, silex_error *err)
{
	for (size_t i = 0; i < in->n; i++) {
		const struct samples *s = &in->series[i];
		silex_status st = silex_compress(s->t, s->v, s->n, o, out[i].p, silex_compress_bound(s->n), &out[i].n, err);
		if (st != SILEX_OK)
			return st;
	}
	return SILEX_OK;
}

static silex_status decode_all(
	const struct input *in, const struct packed *from, int64_t *t, double *v, silex_error *err)
{
	for (size_t i = 0; i < in->n; i++) {
		size_t n;
		silex_status st = silex_decompress(from[i].p, from[i].n, NULL, t, v, in->longest, &n, err);
		if (st != SILEX_OK)
			return st;
		if (n != in->series[i].n || (n && (memcmp(t, in->series[i].t, n * 8) || memcmp(v, in->series[i].v, n * 8)))) {
			*err = (silex_error){ SILEX_INTERNAL, "the codec did not give back what it was given" };
			return SILEX_INTERNAL;
		}
	}
	return SILEX_OK;
}

static silex_status sizes(const struct input *in, const struct packed *from, struct measure *m, silex_error *err)
{
	for (size_t i = 0; i < in->n; i++) {
		silex_compressed_info info;
		silex_status st = silex_compressed_info_read(from[i].p, from[i].n, &info, err);
		if (st != SILEX_OK)
			return st;
		m->timestamps += info.timestamps_size;
		m->values += info.values_size;
		m->all += from[i].n;
	}
	return SILEX_OK;
}

static silex_status measure(
	const struct input *in, struct packed *packed, int64_t *t, double *v, struct measure *m, silex_error *err)
{
	silex_compress_options o;
	silex_status st = SILEX_OK;
	double began = app_seconds(), now = began;
	int rounds = 0;
	silex_compress_options_init(&o);
	o.codec = m->codec;
	for (; st == SILEX_OK && now - began < MEASURE_SECONDS; rounds++, now = app_seconds())
		st = encode_all(in, &o, packed, err);
	m->encode = (double)in->points * rounds / (now - began);
	began = now = app_seconds();
	for (rounds = 0; st == SILEX_OK && now - began < MEASURE_SECONDS; rounds++, now = app_seconds())
		st = decode_all(in, packed, t, v, err);
	m->decode = (double)in->points * rounds / (now - began);
	return st == SILEX_OK ? sizes(in, packed, m, err) : st;
}

static size_t choose(const struct measure *m, size_t n)
{
	size_t best = 0;
	for (size_t i = 1; i < n; i++)
		if (m[i].all < m[best].all)
			best = i;
	return best;
}

/* --- printing --------------------------------------------------------------------------------------------------- */

static void print_json(struct app *a, const struct input *in, const struct measure *m, size_t n, size_t best)
{
	double points = (double)in->points;
	fprintf(a->out, "{\"points\":%llu,\"series\":%zu,\"choice\":\"%s\",\"codecs\":[", (unsigned long long)in->points,
		in->n, m[best].codec);
	for (size_t i = 0; i < n; i++)
		fprintf(a->out,
			"%s\n {\"codec\":\"%s\",\"bytes_per_point\":%.4f,\"timestamps\":%.4f,\"values\":%.4f,\"ratio\":%.3f,"
			"\"encode_points_per_s\":%.0f,\"decode_points_per_s\":%.0f}",
			i ? "," : "", m[i].codec, (double)m[i].all / points, (double)m[i].timestamps / points,
			(double)m[i].values / points, points * 16 / (double)m[i].all, m[i].encode, m[i].decode);
	fputs("\n]}\n", a->out);
}

static void print_table(struct app *a, const struct input *in, const struct measure *m, size_t n, size_t best)
{
	struct app_table t;
	char text[APP_TEXT_SIZE], series[APP_TEXT_SIZE];
	static const char *const titles[] = { "codec", "bytes/point", "timestamps", "values", "ratio to 16",
		"encode Mpoints/s", "decode Mpoints/s", "" };
	double points = (double)in->points;
	fprintf(a->out, "%s points in %s series\n", app_count_text(in->points, text), app_count_text(in->n, series));
	app_table_init(&t);
	for (size_t i = 0; i < 8; i++)
		app_table_column(&t, titles[i], i == 0 || i == 7 ? APP_LEFT : APP_POINT, i == 0);
	for (size_t i = 0; i < n; i++) {
		app_table_add(&t, m[i].codec);
		app_table_addf(&t, "%.3f", (double)m[i].all / points);
		app_table_addf(&t, "%.3f", (double)m[i].timestamps / points);
		app_table_addf(&t, "%.3f", (double)m[i].values / points);
		app_table_addf(&t, "%.1f", points * 16 / (double)m[i].all);
		app_table_addf(&t, "%.1f", m[i].encode / 1e6);
		app_table_addf(&t, "%.1f", m[i].decode / 1e6);
		app_table_add(&t, i == best ? "<- smallest" : "");
	}
	app_table_print(&t, a->out, APP_TABLE, a->utf8);
	app_table_free(&t);
}

/* --- the command ------------------------------------------------------------------------------------------------ */

/* Built-in codecs that take float64 columns, "auto" last; or those of --codec. */
static size_t list_codecs(const struct compression_options *o, struct measure *m)
{
	static const char *const names[] = { "raw", "gorilla", "sx", "cold", "auto" };
	size_t n = 0;
	for (size_t i = 0; i < o->codecs.n && n < CODECS_MAX; i++)
		m[n++] = (struct measure){ .codec = o->codecs.v[i] };
	for (size_t i = 0; i < 5 && !o->codecs.n; i++)
		m[n++] = (struct measure){ .codec = names[i] };
	return n;
}

static int measure_all(struct app *a, const struct compression_options *o, const struct input *in)
{
	struct measure m[CODECS_MAX];
	size_t n = list_codecs(o, m);
	struct packed *packed = app_alloc(in->n * sizeof *packed);
	int64_t *t = app_alloc(in->longest * 8);
	double *v = app_alloc(in->longest * 8);
	silex_status st = SILEX_OK;
	silex_error err;
	for (size_t i = 0; i < in->n; i++)
		packed[i].p = app_alloc(silex_compress_bound(in->series[i].n));
	for (size_t i = 0; i < n && st == SILEX_OK; i++)
		st = measure(in, packed, t, v, &m[i], &err);
	for (size_t i = 0; i < in->n; i++)
		free(packed[i].p);
	free(packed);
	free(t);
	free(v);
	if (st != SILEX_OK)
		return app_fail(NULL, &err);
	(o->json ? print_json : print_table)(a, in, m, n, choose(m, n));
	return APP_OK;
}

/* Series without rows (numbers that a decoder gave to what it then refused, and key 0) are not counted. */
static void drop_empty(struct input *in)
{
	size_t kept = 0;
	for (size_t i = 0; i < in->n; i++)
		if (in->series[i].n)
			in->series[kept++] = in->series[i];
	in->n = kept;
}

static int compression_run(struct app *a, void *options, int argc, char **argv)
{
	const struct compression_options *o = options;
	struct input in = { .now = a->now };
	struct app_texts files = { 0 };
	silex_error err;
	int st = app_source_expand(argc, argv, &files, &err) == SILEX_OK ? APP_OK : app_fail(NULL, &err);
	for (size_t i = 0; i < files.n && st == APP_OK; i++)
		st = read_file(a, o, files.v[i], &in);
	drop_empty(&in);
	if (st == APP_OK && !in.points) {
		app_say("no samples in these files");
		st = APP_FAILED;
	}
	if (st == APP_OK)
		st = measure_all(a, o, &in);
	if (st == APP_OK && in.errors) {
		app_say("%llu lines could not be read; `silex import` names them", (unsigned long long)in.errors);
		st = APP_REFUSED;
	}
	for (size_t i = 0; i < files.n; i++)
		free((char *)files.v[i]);
	free(files.v);
	input_free(&in);
	return st;
}

static const struct app_opt compression_opts[] = {
	APP_SOURCE_TABLE(compression_options),
	APP_OPT(
		compression_options, codecs, "codec", 'C', APP_NAMES, "NAMES", "raw|gorilla|sx|cold|auto", "only these codecs"),
	APP_OPT(compression_options, json, "json", 'j', APP_FLAG, NULL, NULL, "as JSON"),
	APP_OPT_END,
};

const struct app_command app_compression = {
	.name = "compression",
	.args = "FILE...",
	.summary = "measure the codecs on your own files",
	.text = "Reads what import reads, packs every series with every codec, checks that it comes back bit for bit, and\n"
			"prints bytes per point (split into timestamps and values) and speed on one core. auto takes the smallest\n"
			"codec for each run of samples.",
	.examples = "silex compression vitals.csv\n"
				"silex compression --json --start 2024-05-01 record.hea\n",
	.options = compression_opts,
	.options_size = sizeof(struct compression_options),
	.args_min = 1,
	.args_max = -1,
	.uses = APP_ARGS_FILES,
	.run = compression_run,
};
