/* Scripts of the language of Prometheus' own PromQL tests ("promqltest"; $SLX_SHARED/data/promqltest/README.md describes it), run
 * against an in-memory database without a server. Floats only: evals that name histograms are left to the server's runner.
 *
 * Without arguments: our scripts beside this file, then, where SLX_SHARED is set, the evals of its list stable.txt.
 * With arguments: those scripts, telling each eval that fails (for work on the executor). */
#include "api/api.h"
#include "engine/engine.h"
#include "promql/promql.h"

#include <silex/silex.h>

#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { VALUES_MAX = 20000, LINE_MAX_SIZE = 65536, EXPECTED_MAX = 512 };

struct value {
	double v;
	bool missing;
};

struct expected {
	struct slx_labels labels;
	struct value *values;
	size_t n;
	bool seen;
};

struct annotation {
	char kind[16]; /* fail, warn, info, no_warn, no_info */
	char *text;
	bool regex;
};

struct script {
	const char *name; /* file name without folder */
	bool experimental;
	const char *only; /* lines "file:number" to run; NULL: all */
	bool tell;
	silex_db *db;
	struct slx_mem mem;
	struct slx_arena arena; /* of one block */
	size_t line, run, failed, skipped;
	char why[4096];
};

/* ---- text ---- */

static bool parse_duration(const char *s, size_t n, int64_t *ret_ms)
{
	int64_t ns;
	char text[64];
	if (n >= sizeof text)
		return false;
	memcpy(text, s, n);
	text[n] = 0;
	if (strcmp(text, "0") == 0) {
		*ret_ms = 0;
		return true;
	}
	if (slx_duration_parse(text, n, &ns, NULL) != SILEX_OK)
		return false;
	*ret_ms = ns / SLX_MS;
	return true;
}

static char *skip_blanks(char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

static size_t word(const char *p) { return strcspn(p, " \t"); }

static struct slx_labels labels_of(struct script *s, const char *text, size_t n)
{
	struct slx_labels_builder b;
	struct slx_labels l;
	silex_error err;
	slx_labels_builder_init(&b, &s->mem, SLX_MEM_OTHER, NULL);
	if (slx_labels_parse_text(&b, (struct slx_str){ text, n }, &l, &err) != SILEX_OK)
		fail_msg("%s:%zu: %s", s->name, s->line, err.message);
	uint8_t *p = slx_arena_alloc(&s->arena, l.n, 1);
	memcpy(p, l.p, l.n);
	slx_labels_builder_free(&b);
	return (struct slx_labels){ p, l.n };
}

/* Where the metric of a series line ends. */
static size_t metric_size(const char *p)
{
	size_t i = 0;
	char quote = 0;
	bool braces = false;
	for (; p[i]; i++) {
		if (quote) {
			if (p[i] == '\\' && quote != '`' && p[i + 1])
				i++;
			else if (p[i] == quote)
				quote = 0;
		} else if (p[i] == '"' || p[i] == '\'' || p[i] == '`') {
			quote = p[i];
		} else if (p[i] == '{') {
			braces = true;
		} else if (p[i] == '}') {
			return i + 1;
		} else if (!braces && (p[i] == ' ' || p[i] == '\t')) {
			return i;
		}
	}
	return i;
}

/* "3", "1+2x5", "_x3", "stale", ...: false when there is something else (histograms). */
static bool parse_values(char *p, struct value *out, size_t *ret_n)
{
	size_t n = 0;
	for (p = skip_blanks(p); *p; p = skip_blanks(p)) {
		char *end;
		size_t len = word(p), times = 0;
		double first, step = 0;
		bool missing = false;
		if (p[0] == '_') {
			missing = true;
			first = 0;
			end = p + 1;
			times = *end == 'x' ? strtoul(end + 1, &end, 10) - 1 : 0;
		} else if (len == 5 && strncmp(p, "stale", 5) == 0) {
			first = slx_bits_f64(SLX_STALE_NAN);
			end = p + 5;
		} else {
			char *x = memchr(p, 'x', len);
			if (x)
				*x = 0; /* "1+0x10" has no hexadecimal number in it */
			first = strtod(p, &end);
			if (end == p)
				return false;
			if (*end == '+' || *end == '-')
				step = strtod(end, &end);
			if (x && end == x)
				times = strtoul(x + 1, &end, 10);
		}
		if (end != p + len || n + times + 1 > VALUES_MAX)
			return false;
		for (size_t i = 0; i <= times; i++)
			out[n++] = (struct value){ isnan(first) ? first : first + step * (double)i, missing };
		p = end;
	}
	*ret_n = n;
	return true;
}

/* ---- the database ---- */

static void open_db(struct script *s)
{
	silex_options o;
	silex_error err;
	silex_options_init(&o);
	o.no_background = true;
	if (silex_open(NULL, &o, &s->db, &err) != SILEX_OK)
		fail_msg("open: %s", err.message);
}

static void put(struct script *s, struct slx_labels l, int64_t t_ms, double v)
{
	silex_label labels[64];
	char text[LINE_MAX_SIZE], *to = text;
	struct slx_labels_iter it = slx_labels_iter(l);
	struct slx_label x;
	size_t n = 0;
	while (slx_labels_next(&it, &x)) {
		labels[n].name = to;
		to += sprintf(to, "%.*s", (int)x.name.n, x.name.p) + 1;
		labels[n++].value = to;
		to += sprintf(to, "%.*s", (int)x.value.n, x.value.p) + 1;
	}
	silex_error err;
	if (silex_insert(s->db, NULL, labels, n, t_ms * SLX_MS, silex_float(v), &err) != SILEX_OK)
		fail_msg("%s:%zu: %s", s->name, s->line, err.message);
}

static void load(struct script *s, int64_t step, char *line)
{
	static struct value values[VALUES_MAX];
	size_t metric = metric_size(line), n;
	if (!parse_values(line + metric, values, &n))
		return;
	struct slx_labels l = labels_of(s, line, metric);
	for (size_t i = 0; i < n; i++)
		if (!values[i].missing)
			put(s, l, (int64_t)i * step, values[i].v);
}

/* ---- evals ---- */

struct eval {
	size_t line;
	bool range, ordered, fails, unsupported;
	int64_t start, end, step;
	bool has_matrix; /* expect range vector */
	int64_t matrix_start, matrix_step;
	char *query;
	char *string;
	struct expected expected[EXPECTED_MAX];
	size_t n;
	struct annotation notes[32];
	size_t notes_n;
	bool scalar;
	double scalar_value;
};

static bool near(double a, double b)
{
	if (isnan(a) || isnan(b))
		return isnan(a) && isnan(b);
	return a == b || fabs(a - b) / (fabs(a) + fabs(b)) < 1e-6;
}

__attribute__((format(printf, 2, 3))) static bool wrong(struct script *s, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(s->why, sizeof s->why, fmt, args);
	va_end(args);
	return false;
}

static const char *show(struct slx_labels l)
{
	static struct slx_mem mem;
	static struct slx_buf b;
	if (!b.size_max) {
		slx_mem_init(&mem, NULL);
		slx_buf_init(&b, &mem, SLX_MEM_OTHER, 1 << 20);
	}
	slx_buf_reset(&b);
	slx_labels_format(l, &b);
	slx_buf_u8(&b, 0);
	return (const char *)b.p;
}

static struct expected *find(struct eval *e, struct slx_labels l)
{
	for (size_t i = 0; i < e->n; i++)
		if (slx_labels_eq(e->expected[i].labels, l))
			return &e->expected[i];
	return NULL;
}

static bool check_series(
	struct script *s, struct eval *e, const struct slx_promql_series *x, int64_t start, int64_t step)
{
	struct expected *want = find(e, x->labels);
	size_t at = 0;
	if (x->n_histograms)
		return wrong(s, "histogram in %s", show(x->labels));
	if (!want)
		return wrong(s, "unexpected %s = %g", show(x->labels), x->n ? x->points[0].v : NAN);
	if (want->seen)
		return wrong(s, "twice %s", show(x->labels));
	want->seen = true;
	for (size_t i = 0; i < want->n; i++) {
		if (want->values[i].missing)
			continue;
		if (at == x->n)
			return wrong(s, "%s: only %zu points", show(x->labels), x->n);
		if (step && x->points[at].t_ms != start + (int64_t)i * step)
			return wrong(s, "%s: point %zu at %lld ms, expected %lld", show(x->labels), at,
				(long long)x->points[at].t_ms, (long long)(start + (int64_t)i * step));
		if (!near(x->points[at].v, want->values[i].v))
			return wrong(
				s, "%s: value %zu is %.17g, expected %.17g", show(x->labels), i, x->points[at].v, want->values[i].v);
		at++;
	}
	return at == x->n || wrong(s, "%s: %zu points, expected %zu", show(x->labels), x->n, at);
}

static bool has_points(const struct expected *x)
{
	for (size_t i = 0; i < x->n; i++)
		if (!x->values[i].missing)
			return true;
	return false;
}

static bool check_result(struct script *s, struct eval *e, const struct slx_promql_result *r)
{
	if (e->string)
		return (r->type == SLX_PROMQL_STRING && r->string.n == strlen(e->string) &&
				   memcmp(r->string.p, e->string, r->string.n) == 0) ||
			wrong(s, "string \"%.*s\"", (int)r->string.n, r->string.p);
	if (e->scalar && r->type == SLX_PROMQL_SCALAR)
		return near(r->scalar.v, e->scalar_value) || wrong(s, "scalar %g", r->scalar.v);
	if (r->type == SLX_PROMQL_SCALAR)
		return wrong(s, "a scalar");
	for (size_t i = 0; i < e->n; i++)
		e->expected[i].seen = false;
	for (size_t i = 0; i < r->n; i++) {
		bool ok = check_series(s, e, &r->series[i], e->has_matrix ? e->matrix_start : e->start,
			e->has_matrix  ? e->matrix_step
				: e->range ? e->step
						   : 0);
		if (!ok)
			return false;
		if (e->ordered && find(e, r->series[i].labels) != &e->expected[i])
			return wrong(s, "%s is out of order", show(r->series[i].labels));
		if (i && (e->range) && slx_labels_cmp(r->series[i - 1].labels, r->series[i].labels) >= 0)
			return wrong(s, "%s is not sorted", show(r->series[i].labels));
	}
	for (size_t i = 0; i < e->n; i++)
		if (!e->expected[i].seen && has_points(&e->expected[i]))
			return wrong(s, "missing %s", show(e->expected[i].labels));
	return true;
}

static bool text_fits(const struct annotation *a, const char *text, size_t n)
{
	char copy[LINE_MAX_SIZE];
	snprintf(copy, sizeof copy, "%.*s", (int)n, text);
	if (!a->text)
		return true;
	if (!a->regex)
		return strcmp(copy, a->text) == 0;
	regex_t re;
	if (regcomp(&re, a->text, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	bool fits = regexec(&re, copy, 0, NULL, 0) == 0;
	regfree(&re);
	return fits;
}

static bool any_fits(const struct annotation *a, const struct slx_str *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text_fits(a, texts[i].p, texts[i].n))
			return true;
	return false;
}

static bool check_notes(struct script *s, const struct eval *e, const struct slx_promql_result *r)
{
	for (size_t i = 0; i < e->notes_n; i++) {
		const struct annotation *a = &e->notes[i];
		if (strcmp(a->kind, "no_warn") == 0 && r->n_warnings)
			return wrong(s, "warns: %.*s", (int)r->warnings[0].n, r->warnings[0].p);
		if (strcmp(a->kind, "no_info") == 0 && r->n_infos)
			return wrong(s, "informs: %.*s", (int)r->infos[0].n, r->infos[0].p);
		if (strcmp(a->kind, "warn") == 0 && !any_fits(a, r->warnings, r->n_warnings))
			return wrong(s, "no such warning, but %zu: %.*s", r->n_warnings, r->n_warnings ? (int)r->warnings[0].n : 0,
				r->n_warnings ? r->warnings[0].p : "");
		if (strcmp(a->kind, "info") == 0 && !any_fits(a, r->infos, r->n_infos))
			return wrong(s, "no such info, but %zu: %.*s", r->n_infos, r->n_infos ? (int)r->infos[0].n : 0,
				r->n_infos ? r->infos[0].p : "");
	}
	return true;
}

static bool check_failure(struct script *s, const struct eval *e, const silex_error *err)
{
	if (!e->fails)
		return wrong(s, "fails: %s", err->message);
	for (size_t i = 0; i < e->notes_n; i++)
		if (strcmp(e->notes[i].kind, "fail") == 0 && !text_fits(&e->notes[i], err->message, strlen(err->message)))
			return wrong(s, "fails otherwise: %s", err->message);
	return true;
}

static bool run_eval(struct script *s, struct eval *e)
{
	struct slx_engine *engine = slx_api_engine(s->db);
	struct slx_promql_options o = { .who = { .tenant = SLX_STR("default") },
		.start_ms = e->start,
		.end_ms = e->end,
		.step_ms = e->range ? e->step : 0,
		.experimental = s->experimental,
		.delayed_name_removal = s->experimental };
	struct slx_promql_expr *x = NULL;
	struct slx_promql_result *r = NULL;
	silex_error err = { 0 };
	silex_status st = slx_promql_parse(&s->mem, slx_str(e->query), s->experimental, &x, &err);
	if (st == SILEX_OK)
		st = slx_promql_run(engine, x, &o, &r, &err);
	bool ok;
	if (st != SILEX_OK)
		ok = check_failure(s, e, &err);
	else if (e->fails)
		ok = wrong(s, "does not fail");
	else
		ok = check_result(s, e, r) && check_notes(s, e, r);
	slx_promql_result_free(r);
	slx_promql_free(x);
	return ok;
}

static bool is_wanted(const struct script *s, size_t line)
{
	char key[256];
	if (!s->only)
		return true;
	snprintf(key, sizeof key, "%s:%zu\n", s->name, line);
	return strstr(s->only, key) != NULL;
}

static void finish_eval(struct script *s, struct eval *e)
{
	if (!is_wanted(s, e->line))
		return;
	if (e->unsupported) {
		s->skipped++;
		return;
	}
	s->run++;
	if (run_eval(s, e))
		return;
	s->failed++;
	fprintf(stderr, "%s:%zu: %s\n    %s\n", s->name, e->line, e->query, s->why);
}

/* ---- lines of a block ---- */

static char *keep(struct script *s, const char *p)
{
	char *to = slx_arena_alloc(&s->arena, strlen(p) + 1, 1);
	return strcpy(to, p);
}

static void expect_note(struct script *s, struct eval *e, const char *kind, size_t n, char *rest)
{
	struct annotation *a = &e->notes[e->notes_n++];
	snprintf(a->kind, sizeof a->kind, "%.*s", (int)n, kind);
	rest = skip_blanks(rest);
	a->regex = strncmp(rest, "regex:", 6) == 0;
	bool msg = strncmp(rest, "msg:", 4) == 0;
	a->text = a->regex || msg ? keep(s, skip_blanks(rest + (msg ? 4 : 6))) : NULL;
	e->fails |= strcmp(a->kind, "fail") == 0;
}

static void expect_line(struct script *s, struct eval *e, char *p)
{
	size_t n = word(p);
	if (strncmp(p, "ordered", n) == 0) {
		e->ordered = true;
	} else if (strncmp(p, "string", n) == 0) {
		char *from = strpbrk(p, "\"'`"), *to = from ? strrchr(from, *from) : NULL;
		if (!from || to == from || strchr(from, '\\')) {
			e->unsupported = true;
			return;
		}
		*to = 0;
		e->string = keep(s, from + 1);
	} else if (strncmp(p, "range", n) == 0) {
		char from[64], to[64], step[64];
		e->has_matrix = true;
		if (sscanf(p, "range vector from %63s to %63s step %63s", from, to, step) != 3 ||
			!parse_duration(from, strlen(from), &e->matrix_start) ||
			!parse_duration(step, strlen(step), &e->matrix_step))
			fail_msg("%s:%zu: bad line", s->name, s->line);
	} else {
		expect_note(s, e, p, n, p + n);
	}
}

static void expect_series(struct script *s, struct eval *e, char *p)
{
	static struct value values[VALUES_MAX];
	size_t metric = metric_size(p), n;
	char *end;
	double v = strtod(p, &end);
	if (end != p && !*skip_blanks(end)) {
		e->scalar = true;
		e->scalar_value = v;
		return;
	}
	if (!parse_values(p + metric, values, &n) || e->n == EXPECTED_MAX) {
		e->unsupported = true;
		return;
	}
	struct expected *x = &e->expected[e->n++];
	*x = (struct expected){ .labels = labels_of(s, p, metric), .n = n };
	x->values = slx_arena_alloc(&s->arena, n * sizeof *x->values, 8);
	memcpy(x->values, values, n * sizeof *x->values);
}

/* "eval instant at 5m QUERY", "eval range from 0 to 1h step 5m QUERY"; eval_fail and its kin. */
static void begin_eval(struct script *s, struct eval *e, char *p)
{
	memset(e, 0, sizeof *e);
	e->line = s->line;
	size_t n = word(p);
	if (n > 5)
		p[4] == '_' && strncmp(p + 5, "ordered", n - 5) == 0 ? (void)(e->ordered = true)
															 : expect_note(s, e, p + 5, n - 5, p + strlen(p));
	p = skip_blanks(p + n);
	e->range = strncmp(p, "range", 5) == 0;
	int64_t *to[3] = { &e->start, &e->end, &e->step };
	p = skip_blanks(p + word(p));
	for (int i = 0; i < (e->range ? 3 : 1); i++) {
		p = skip_blanks(p + word(p)); /* at, from, to, step */
		bool negative = *p == '-';
		size_t len = word(p);
		if (!parse_duration(p + negative, len - negative, to[i])) {
			double seconds = strtod(p + negative, NULL);
			*to[i] = (int64_t)(seconds * 1000);
		}
		if (negative)
			*to[i] = -*to[i];
		p = skip_blanks(p + len);
	}
	e->query = keep(s, p);
}

struct block {
	enum { NO_BLOCK, LOAD_BLOCK, EVAL_BLOCK } type;
	int64_t step;
	struct eval eval;
};

static void end_block(struct script *s, struct block *b)
{
	if (b->type == EVAL_BLOCK)
		finish_eval(s, &b->eval);
	b->type = NO_BLOCK;
	slx_arena_clear(&s->arena);
}

static void command(struct script *s, struct block *b, char *p)
{
	size_t n = word(p);
	if (strncmp(p, "clear", n) == 0) {
		silex_close(s->db, NULL);
		open_db(s);
	} else if (strncmp(p, "load", n) == 0 || strncmp(p, "load_with_nhcb", n) == 0) {
		b->type = LOAD_BLOCK;
		char *step = skip_blanks(p + n);
		if (!parse_duration(step, word(step), &b->step))
			fail_msg("%s:%zu: bad step", s->name, s->line);
	} else if (strncmp(p, "eval", 4) == 0) {
		b->type = EVAL_BLOCK;
		begin_eval(s, &b->eval, p);
	} else {
		fail_msg("%s:%zu: unknown command", s->name, s->line);
	}
}

static void block_line(struct script *s, struct block *b, char *p)
{
	if (b->type == LOAD_BLOCK) {
		if (p[0] != '@')
			load(s, b->step, p);
	} else if (strncmp(p, "expect ", 7) == 0) {
		expect_line(s, &b->eval, skip_blanks(p + 7));
	} else if (strncmp(p, "expected_fail_message ", 22) == 0) {
		struct annotation *a = &b->eval.notes[b->eval.notes_n++];
		*a = (struct annotation){ "fail", keep(s, skip_blanks(p + 22)), false };
	} else if (strncmp(p, "expected_fail_regexp ", 21) == 0) {
		struct annotation *a = &b->eval.notes[b->eval.notes_n++];
		*a = (struct annotation){ "fail", keep(s, skip_blanks(p + 21)), true };
	} else {
		expect_series(s, &b->eval, p);
	}
}

static void run_file(struct script *s, const char *path)
{
	static struct block b;
	static char line[LINE_MAX_SIZE];
	FILE *f = fopen(path, "r");
	if (!f)
		fail_msg("%s: cannot be read", path);
	s->name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	s->line = 0;
	b.type = NO_BLOCK;
	slx_mem_init(&s->mem, NULL);
	slx_arena_init(&s->arena, &s->mem, SLX_MEM_OTHER, 1 << 20);
	open_db(s);
	while (fgets(line, sizeof line, f)) {
		s->line++;
		line[strcspn(line, "\r\n")] = 0;
		for (size_t n = strlen(line); n && isspace((unsigned char)line[n - 1]); n--)
			line[n - 1] = 0;
		char *p = skip_blanks(line);
		if (!*p || *p == '#') {
			if (!*p || b.type == NO_BLOCK)
				end_block(s, &b);
		} else if (b.type == NO_BLOCK) {
			command(s, &b, p);
		} else {
			block_line(s, &b, p);
		}
	}
	end_block(s, &b);
	fclose(f);
	silex_close(s->db, NULL);
	assert_int_equal(slx_mem_total(&s->mem), 0);
}

/* ---- suites ---- */

static void run_folder(struct script *s, const char *folder)
{
	DIR *d = opendir(folder);
	if (!d)
		fail_msg("%s: cannot be read", folder);
	for (struct dirent *e; (e = readdir(d));) {
		char path[4096];
		size_t n = strlen(e->d_name);
		snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		if (n > 5 && strcmp(e->d_name + n - 5, ".test") == 0)
			run_file(s, path);
	}
	closedir(d);
	print_message("%zu evals, %zu failed, %zu skipped\n", s->run, s->failed, s->skipped);
	assert_true(s->run > 0);
	assert_int_equal(s->failed, 0);
}

static void our_scripts(void **state)
{
	struct script s = { .experimental = true };
	run_folder(&s, SLX_SOURCE_DIR "/tests/promql");
}

static const char *read_list(const char *path)
{
	static char text[1 << 20];
	FILE *f = fopen(path, "r");
	if (!f)
		fail_msg("%s: cannot be read", path);
	text[fread(text, 1, sizeof text - 1, f)] = 0;
	fclose(f);
	return text;
}

static void shared_scripts(void **state)
{
	const char *shared = getenv("SLX_SHARED");
	char path[4096];
	if (!shared)
		skip();
	snprintf(path, sizeof path, "%s/data/promqltest/stable.txt", shared);
	struct script s = { .experimental = true, .only = read_list(path) };
	snprintf(path, sizeof path, "%s/data/promqltest", shared);
	run_folder(&s, path);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		struct script s = { .experimental = !getenv("STABLE"),
			.only = getenv("ONLY") ? read_list(getenv("ONLY")) : NULL };
		for (int i = 1; i < argc; i++)
			run_file(&s, argv[i]);
		printf("%zu evals, %zu failed, %zu skipped\n", s.run, s.failed, s.skipped);
		return s.failed > 0;
	}
	const struct CMUnitTest tests[] = { cmocka_unit_test(our_scripts), cmocka_unit_test(shared_scripts) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
