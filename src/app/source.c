#include "app/source.h"

#include "app/input.h"
#include "base/status.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BLOCK_SIZE = 128 << 10, WFDB_HEADER_SIZE_MAX = 1 << 20 };

struct app_source {
	struct app_input *in;
	struct slx_decoder *decoder;
	enum app_source_format format;
	size_t n; /* bytes in block that the decoder has not had */
	char block[BLOCK_SIZE];
};

/* --- which format ----------------------------------------------------------------------------------------------- */

/* The file's name without folder and packing: "/a/b.csv.gz" -> "b.csv". The caller frees it. */
static char *plain_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = app_strdup(slash ? slash + 1 : path);
	static const char *const packed[] = { ".gz", ".zst" };
	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(name), k = strlen(packed[i]);
		if (n > k && strcmp(name + n - k, packed[i]) == 0)
			name[n - k] = 0;
	}
	return name;
}

static enum app_source_format format_of_name(const char *path)
{
	static const struct {
		const char *extension;
		enum app_source_format format;
	} known[] = {
		{ ".csv", APP_SOURCE_CSV },
		{ ".tsv", APP_SOURCE_TSV },
		{ ".lp", APP_SOURCE_LINE },
		{ ".line", APP_SOURCE_LINE },
		{ ".influx", APP_SOURCE_LINE },
		{ ".jsonl", APP_SOURCE_JSONL },
		{ ".ndjson", APP_SOURCE_JSONL },
		{ ".prom", APP_SOURCE_PROM },
		{ ".om", APP_SOURCE_OPENMETRICS },
		{ ".openmetrics", APP_SOURCE_OPENMETRICS },
		{ ".hea", APP_SOURCE_WFDB },
	};
	enum app_source_format format = APP_ANY;
	char *name = plain_name(path);
	const char *dot = strrchr(name, '.');
	for (size_t i = 0; dot && i < sizeof known / sizeof *known; i++)
		if (strcasecmp(dot, known[i].extension) == 0)
			format = known[i].format;
	free(name);
	return format;
}

/* By the first line that is not a comment. `m,tag=a field=1 123` has a blank before its first free "=" sign's word;
 * `name{...} 1` and `name 1` are exposition text; what begins with { is JSON; the rest is taken for CSV. */
static enum app_source_format format_of_text(const char *p, size_t n)
{
	const char *end = p + n;
	if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3;
	while (p < end && (*p == '#' || isspace((unsigned char)*p))) {
		size_t left = (size_t)(end - p);
		if (left > 7 && (memcmp(p, "# TYPE ", 7) == 0 || memcmp(p, "# HELP ", 7) == 0))
			return memmem(p, left, "\n# EOF", 6) ? APP_SOURCE_OPENMETRICS : APP_SOURCE_PROM;
		const char *line = memchr(p, '\n', left);
		p = line ? line + 1 : end;
	}
	const char *line = memchr(p, '\n', (size_t)(end - p));
	size_t k = (size_t)((line ? line : end) - p), name = 0;
	if (k && *p == '{')
		return APP_SOURCE_JSONL;
	const char *blank = memchr(p, ' ', k);
	if (blank && memchr(blank, '=', k - (size_t)(blank - p)) && !memchr(p, '{', k) && *p != '"')
		return APP_SOURCE_LINE;
	while (name < k && (isalnum((unsigned char)p[name]) || p[name] == '_' || p[name] == ':'))
		name++;
	if (name && name + 1 < k && (p[name] == '{' || (p[name] == ' ' && strchr("+-.0123456789NIni", p[name + 1]))) &&
		!isdigit((unsigned char)*p))
		return APP_SOURCE_PROM;
	return APP_SOURCE_CSV;
}

/* --- decoders --------------------------------------------------------------------------------------------------- */

static enum slx_time_unit unit_of(int choice) /* of ns|us|ms|s; 0: AUTO */
{
	static const enum slx_time_unit units[] = { SLX_UNIT_AUTO, SLX_UNIT_NS, SLX_UNIT_US, SLX_UNIT_MS, SLX_UNIT_S };
	return units[choice];
}

static silex_status open_csv(struct app *a, struct app_source *s, const struct app_source_options *o, const char *path,
	const struct slx_sink *sink, silex_error *err)
{
	static const enum slx_time_unit units[] = { SLX_UNIT_AUTO, SLX_UNIT_AUTO, SLX_UNIT_AUTO, SLX_UNIT_S, SLX_UNIT_MS,
		SLX_UNIT_US, SLX_UNIT_NS }; /* of auto|rfc3339|s|ms|us|ns */
	char *name = strcmp(path, "-") == 0 ? app_strdup("stdin") : plain_name(path);
	char *dot = strrchr(name, '.');
	if (dot && dot > name)
		*dot = 0;
	struct slx_csv_options c = {
		.delimiter = o->delimiter         ? strcmp(o->delimiter, "\\t") == 0 ? '\t' : *o->delimiter
			: s->format == APP_SOURCE_TSV ? '\t'
										  : 0,
		.header = o->header == 1 ? SLX_CSV_HEADER_YES
			: o->header == 2     ? SLX_CSV_HEADER_NO
								 : SLX_CSV_HEADER_AUTO,
		.time_column = o->time_column,
		.time_unit = units[o->time_format],
		.value_columns = o->value_columns,
		.label_columns = o->label_columns,
		.name_template = o->name_template,
		.metric = o->metric ? o->metric : name,
		.field_label = o->field_label,
	};
	silex_status st = slx_decoder_csv(&a->mem, &c, NULL, sink, &s->decoder, err);
	free(name);
	return st;
}

/* The header is `path` itself; the signal file that it names lies beside it. */
static silex_status open_wfdb(struct app *a, struct app_source *s, const struct app_source_options *o, const char *path,
	const struct slx_sink *sink, silex_error *err)
{
	struct slx_wfdb_options w = { .has_start = o->start.set, .start = o->start.ns };
	char *header;
	size_t n;
	SLX_TRY(app_input_whole(path, WFDB_HEADER_SIZE_MAX, &header, &n, err));
	silex_status st = slx_decoder_wfdb(&a->mem, header, n, &w, NULL, sink, &s->decoder, err);
	free(header);
	SLX_TRY(st);
	const char *slash = strrchr(path, '/');
	char *signals = app_printf("%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, slx_wfdb_file(s->decoder));
	s->in = app_input_open(signals, err);
	st = s->in ? SILEX_OK : slx_err_wrap(err, "%s", signals);
	free(signals);
	return st;
}

static silex_status open_decoder(struct app *a, struct app_source *s, const struct app_source_options *o,
	const char *path, const struct slx_sink *sink, silex_error *err)
{
	struct slx_line_options line = { unit_of(o->precision) };
	struct slx_exposition_options exposition = { .openmetrics = s->format == APP_SOURCE_OPENMETRICS };
	switch (s->format) {
	case APP_SOURCE_LINE:
		return slx_decoder_line_protocol(&a->mem, &line, NULL, sink, &s->decoder, err);
	case APP_SOURCE_JSONL:
		return slx_decoder_jsonl(&a->mem, NULL, sink, &s->decoder, err);
	case APP_SOURCE_PROM:
	case APP_SOURCE_OPENMETRICS:
		return slx_decoder_exposition(&a->mem, &exposition, NULL, sink, &s->decoder, err);
	default:
		return open_csv(a, s, o, path, sink, err);
	}
}

static silex_status open_text(struct app *a, struct app_source *s, const struct app_source_options *o, const char *path,
	const struct slx_sink *sink, silex_error *err)
{
	s->in = app_input_open(path, err);
	if (!s->in)
		return err->code;
	SLX_TRY(app_input_read(s->in, s->block, sizeof s->block, &s->n, err));
	if (s->format == APP_ANY)
		s->format = format_of_text(s->block, s->n);
	return open_decoder(a, s, o, path, sink, err);
}

struct app_source *app_source_open(
	struct app *a, const struct app_source_options *o, const char *path, const struct slx_sink *sink, silex_error *err)
{
	struct app_source *s = app_alloc(sizeof *s);
	s->format = o->format ? (enum app_source_format)o->format : format_of_name(path);
	silex_status st =
		s->format == APP_SOURCE_WFDB ? open_wfdb(a, s, o, path, sink, err) : open_text(a, s, o, path, sink, err);
	if (st == SILEX_OK)
		return s;
	app_source_close(s);
	return NULL;
}

silex_status app_source_run(struct app_source *s, app_source_step step, void *arg, silex_error *err)
{
	uint64_t done, size;
	do {
		if (s->n)
			SLX_TRY(slx_decoder_feed(s->decoder, s->block, s->n, err));
		app_input_position(s->in, &done, &size);
		if (step)
			step(arg, done, size);
		SLX_TRY(app_input_read(s->in, s->block, sizeof s->block, &s->n, err));
	} while (s->n);
	return slx_decoder_finish(s->decoder, err);
}

const struct slx_decode_stats *app_source_stats(const struct app_source *s) { return slx_decoder_stats(s->decoder); }

uint64_t app_source_line(const struct app_source *s) { return slx_decoder_line(s->decoder); }

void app_source_close(struct app_source *s)
{
	if (!s)
		return;
	slx_decoder_free(s->decoder);
	app_input_close(s->in);
	free(s);
}

/* --- folders ---------------------------------------------------------------------------------------------------- */

static void add(struct app_texts *t, char *s)
{
	t->v = realloc(t->v, (t->n + 1) * sizeof *t->v);
	if (!t->v)
		app_alloc(SIZE_MAX);
	t->v[t->n++] = s;
}

static int known(const struct dirent *e) { return e->d_name[0] != '.' && format_of_name(e->d_name) != APP_ANY; }

silex_status app_source_expand(int argc, char **argv, struct app_texts *ret, silex_error *err)
{
	for (int i = 0; i < argc; i++) {
		struct stat s;
		if (strcmp(argv[i], "-") == 0 || stat(argv[i], &s) != 0 || !S_ISDIR(s.st_mode)) {
			add(ret, app_strdup(argv[i]));
			continue;
		}
		struct dirent **names;
		int n = scandir(argv[i], &names, known, alphasort);
		for (int k = 0; k < n; k++) {
			add(ret, app_printf("%s/%s", argv[i], names[k]->d_name));
			free(names[k]);
		}
		if (n >= 0)
			free(names);
		if (n <= 0)
			return slx_err(err, SILEX_NOT_FOUND, "%s: no file of a known format in this folder", argv[i]);
	}
	return SILEX_OK;
}
