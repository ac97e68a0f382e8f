#include "rules/unit/unit_int.h"

#include "base/vfs.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct reader {
	struct slx_unit_file *f;
	const char *path;
	silex_error *err;
};

__attribute__((format(printf, 3, 4))) static silex_status fail(struct reader *r, const struct slx_yaml *y, const char *fmt, ...)
{
	char words[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	return slx_err(r->err, SILEX_INVALID, "%s:%u:%u: %s", y->file, y->line, y->column, words);
}

static void *make(struct reader *r, size_t n, size_t size)
{
	void *p = slx_arena_alloc(&r->f->arena, n * size + 1, 8);
	return p ? memset(p, 0, n * size) : NULL;
}

static struct slx_str copy(struct reader *r, struct slx_str s)
{
	char *p = slx_arena_alloc(&r->f->arena, s.n + 1, 1);
	if (p) {
		memcpy(p, s.p, s.n);
		p[s.n] = 0;
	}
	return (struct slx_str){ p, s.n };
}

/* ---- fields ---- */

static silex_status text(struct reader *r, const struct slx_yaml *map, const char *key, struct slx_str *ret)
{
	const struct slx_yaml *y = slx_yaml_get(map, key);
	*ret = SLX_STR("");
	if (slx_yaml_null(y))
		return SILEX_OK;
	if (y->type != SLX_YAML_SCALAR)
		return fail(r, y, "%s: expected one value", key);
	*ret = copy(r, y->text);
	return ret->p ? SILEX_OK : slx_err_oom(r->err);
}

static silex_status duration(struct reader *r, const struct slx_yaml *map, const char *key, int64_t *ret_ns)
{
	struct slx_str s;
	SLX_TRY(text(r, map, key, &s));
	if (s.n && (slx_duration_parse(s.p, s.n, ret_ns, NULL) != SILEX_OK || *ret_ns < 0))
		return fail(r, slx_yaml_get(map, key), "%s: not a valid duration string: \"%s\"; expected one such as 30s, 5m or 1h30m", key, s.p);
	return SILEX_OK;
}

/* The items of a list (none: n 0), into an array of things of that size. */
static silex_status items(struct reader *r, const struct slx_yaml *map, const char *key, size_t size, const struct slx_yaml **ret_first, void **ret, size_t *ret_n)
{
	const struct slx_yaml *y = slx_yaml_get(map, key);
	*ret_first = NULL;
	*ret_n = 0;
	if (slx_yaml_null(y))
		return SILEX_OK;
	if (y->type != SLX_YAML_LIST)
		return fail(r, y, "%s: expected a list", key);
	*ret = make(r, y->n, size);
	*ret_first = y->child;
	*ret_n = y->n;
	return *ret ? SILEX_OK : slx_err_oom(r->err);
}

/* A map of texts as labels, and one more of the given name unless that is empty. */
static silex_status labels(struct reader *r, const struct slx_yaml *y, struct slx_str name, struct slx_str value, struct slx_labels *ret)
{
	struct slx_labels_builder b;
	struct slx_labels l;
	silex_error why;
	if (!slx_yaml_null(y) && y->type != SLX_YAML_MAP)
		return fail(r, y, "%s: expected names with values", y->key);
	slx_labels_builder_init(&b, r->f->mem, SLX_MEM_OTHER, NULL);
	for (const struct slx_yaml *x = slx_yaml_null(y) ? NULL : y->child; x; x = x->next)
		if (x->type == SLX_YAML_SCALAR && (!name.n || !slx_str_eq(name, slx_str(x->key))))
			slx_labels_builder_add(&b, slx_str(x->key), slx_yaml_null(x) ? SLX_STR("") : x->text);
	if (name.n)
		slx_labels_builder_add(&b, name, value);
	silex_status status = slx_labels_builder_finish(&b, &l, &why);
	uint8_t *p = status == SILEX_OK ? slx_arena_alloc(&r->f->arena, l.n, 1) : NULL;
	if (p)
		*ret = (struct slx_labels){ memcpy(p, l.p, l.n), l.n };
	slx_labels_builder_free(&b);
	if (status != SILEX_OK)
		return fail(r, y, "%s: %s", y->key, why.message);
	return p ? SILEX_OK : slx_err_oom(r->err);
}

static silex_status keys(struct reader *r, const struct slx_yaml *map, const char *what, const char *const *known)
{
	if (map->type != SLX_YAML_MAP)
		return fail(r, map, "%s: expected keys with values", what);
	return slx_yaml_keys(map, what, known, r->err);
}

/* ---- what is expected ---- */

int slx_unit_alert_cmp(const void *a, const void *b)
{
	const struct slx_unit_alert *x = a, *y = b;
	int c = slx_labels_cmp(x->labels, y->labels);
	return c ? c : slx_labels_cmp(x->annotations, y->annotations);
}

int slx_unit_sample_cmp(const void *a, const void *b)
{
	return slx_labels_cmp(((const struct slx_unit_sample *)a)->labels, ((const struct slx_unit_sample *)b)->labels);
}

static silex_status alert_test(struct reader *r, const struct slx_yaml *y, struct slx_unit_alert_test *t, const char **ret_error)
{
	static const char *const known[] = { "eval_time", "alertname", "exp_alerts", NULL };
	static const char *const alert_keys[] = { "exp_labels", "exp_annotations", NULL };
	const struct slx_yaml *x;
	SLX_TRY(keys(r, y, "alert_rule_test", known));
	SLX_TRY(duration(r, y, "eval_time", &t->at_ns));
	SLX_TRY(text(r, y, "alertname", &t->alertname));
	if (t->alertname.n == 0)
		*ret_error = "an item under alert_rule_test misses required attribute alertname";
	SLX_TRY(items(r, y, "exp_alerts", sizeof *t->expected, &x, (void **)&t->expected, &t->n));
	for (size_t i = 0; x; x = x->next, i++) {
		SLX_TRY(keys(r, x, "exp_alerts", alert_keys));
		SLX_TRY(labels(r, slx_yaml_get(x, "exp_labels"), SLX_STR("alertname"), t->alertname, &t->expected[i].labels));
		SLX_TRY(labels(r, slx_yaml_get(x, "exp_annotations"), SLX_STR(""), SLX_STR(""), &t->expected[i].annotations));
	}
	if (t->n)
		qsort(t->expected, t->n, sizeof *t->expected, slx_unit_alert_cmp);
	return SILEX_OK;
}

static silex_status number(struct reader *r, const struct slx_yaml *map, const char *key, double *ret)
{
	struct slx_str s;
	char *end;
	SLX_TRY(text(r, map, key, &s));
	if (s.n == 0)
		return SILEX_OK;
	const char *p = s.p, *digits = p + (*p == '+' || *p == '-');
	if (strcasecmp(digits, ".inf") == 0) {
		*ret = *p == '-' ? -INFINITY : INFINITY;
		return SILEX_OK;
	}
	*ret = strcasecmp(p, ".nan") == 0 ? (double)NAN : strtod(p, &end);
	if (strcasecmp(p, ".nan") != 0 && *end)
		return fail(r, slx_yaml_get(map, key), "%s: \"%s\" given, expected a number", key, p);
	return SILEX_OK;
}

static silex_status expected_sample(struct reader *r, const struct slx_yaml *y, struct slx_unit_expr_test *t, struct slx_unit_sample *s)
{
	static const char *const known[] = { "labels", "value", "histogram", NULL };
	struct slx_str metric;
	silex_error why;
	char words[600];
	SLX_TRY(keys(r, y, "exp_samples", known));
	if (!slx_yaml_null(slx_yaml_get(y, "histogram")))
		return fail(r, slx_yaml_get(y, "histogram"), "native histograms are not compared in tests");
	SLX_TRY(text(r, y, "labels", &metric));
	SLX_TRY(number(r, y, "value", &s->value));
	if (slx_unit_metric(r->f->mem, &r->f->arena, metric, &s->labels, &why) == SILEX_OK)
		return SILEX_OK;
	snprintf(words, sizeof words, "labels \"%s\": %s", metric.p, why.message);
	s->labels = (struct slx_labels){ (const uint8_t *)"", 1 };
	t->error = copy(r, slx_str(words)).p;
	return t->error ? SILEX_OK : slx_err_oom(r->err);
}

static silex_status expr_test(struct reader *r, const struct slx_yaml *y, struct slx_unit_expr_test *t)
{
	static const char *const known[] = { "expr", "eval_time", "exp_samples", NULL };
	const struct slx_yaml *x;
	SLX_TRY(keys(r, y, "promql_expr_test", known));
	SLX_TRY(duration(r, y, "eval_time", &t->at_ns));
	SLX_TRY(text(r, y, "expr", &t->expr));
	SLX_TRY(items(r, y, "exp_samples", sizeof *t->expected, &x, (void **)&t->expected, &t->n));
	for (size_t i = 0; x; x = x->next, i++)
		SLX_TRY(expected_sample(r, x, t, &t->expected[i]));
	if (t->n)
		qsort(t->expected, t->n, sizeof *t->expected, slx_unit_sample_cmp);
	return SILEX_OK;
}

/* ---- tests ---- */

static silex_status input_series(struct reader *r, const struct slx_yaml *y, struct slx_unit_series *s, const char **ret_error)
{
	static const char *const known[] = { "series", "values", NULL };
	struct slx_str metric, values;
	silex_error why;
	char words[600];
	SLX_TRY(keys(r, y, "input_series", known));
	SLX_TRY(text(r, y, "series", &metric));
	SLX_TRY(text(r, y, "values", &values));
	if (slx_unit_metric(r->f->mem, &r->f->arena, metric, &s->labels, &why) == SILEX_OK &&
	    slx_unit_values(&r->f->arena, values, &s->values, &s->n, &why) == SILEX_OK)
		return SILEX_OK;
	snprintf(words, sizeof words, "input_series, line %u: %s", y->line, why.message);
	s->n = 0;
	*ret_error = copy(r, slx_str(words)).p;
	return *ret_error ? SILEX_OK : slx_err_oom(r->err);
}

static silex_status one_test(struct reader *r, const struct slx_yaml *y, struct slx_unit_test *t)
{
	static const char *const known[] = { "name", "interval", "input_series", "alert_rule_test", "promql_expr_test", "external_labels", "external_url", NULL };
	const struct slx_yaml *x;
	SLX_TRY(keys(r, y, "test", known));
	SLX_TRY(text(r, y, "name", &t->name));
	SLX_TRY(text(r, y, "external_url", &t->external_url));
	SLX_TRY(labels(r, slx_yaml_get(y, "external_labels"), SLX_STR(""), SLX_STR(""), &t->external_labels));
	SLX_TRY(duration(r, y, "interval", &t->interval_ns));
	if (t->interval_ns == 0)
		t->interval_ns = r->f->interval_ns;
	SLX_TRY(items(r, y, "input_series", sizeof *t->series, &x, (void **)&t->series, &t->n_series));
	for (size_t i = 0; x; x = x->next, i++)
		SLX_TRY(input_series(r, x, &t->series[i], &t->error));
	SLX_TRY(items(r, y, "alert_rule_test", sizeof *t->alerts, &x, (void **)&t->alerts, &t->n_alerts));
	for (size_t i = 0; x; x = x->next, i++)
		SLX_TRY(alert_test(r, x, &t->alerts[i], &t->error));
	SLX_TRY(items(r, y, "promql_expr_test", sizeof *t->exprs, &x, (void **)&t->exprs, &t->n_exprs));
	for (size_t i = 0; x; x = x->next, i++)
		SLX_TRY(expr_test(r, x, &t->exprs[i]));
	return SILEX_OK;
}

/* The paths that a pattern beside the test file stands for. */
static silex_status expand(struct reader *r, struct slx_str pattern, struct slx_buf *paths)
{
	char path[4096];
	const char *slash = strrchr(r->path, '/');
	glob_t g;
	snprintf(path, sizeof path, "%.*s%s", pattern.p[0] == '/' || !slash ? 0 : (int)(slash - r->path + 1), r->path, pattern.p);
	if (glob(path, 0, NULL, &g) != 0)
		return SILEX_OK; /* as promtool: a file that is not there has no rules */
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct slx_str s = copy(r, slx_str(g.gl_pathv[i]));
		paths->failed |= !s.p;
		slx_buf_put(paths, &s, sizeof s);
	}
	globfree(&g);
	return SILEX_OK;
}

static silex_status rule_files(struct reader *r, const struct slx_yaml *root)
{
	const struct slx_yaml *y = slx_yaml_get(root, "rule_files");
	struct slx_buf paths;
	slx_buf_init(&paths, r->f->mem, SLX_MEM_OTHER, 1 << 24);
	for (const struct slx_yaml *x = slx_yaml_null(y) ? NULL : y->child; x; x = x->next)
		if (x->type == SLX_YAML_SCALAR)
			(void)expand(r, x->text, &paths);
	r->f->rule_files = make(r, paths.n, 1);
	r->f->n_rule_files = paths.n / sizeof *r->f->rule_files;
	bool failed = paths.failed || !r->f->rule_files;
	if (!failed && paths.n)
		memcpy(r->f->rule_files, paths.p, paths.n);
	slx_buf_free(&paths);
	return failed ? slx_err_oom(r->err) : SILEX_OK;
}

static silex_status order(struct reader *r, const struct slx_yaml *root)
{
	const struct slx_yaml *x;
	SLX_TRY(items(r, root, "group_eval_order", sizeof *r->f->order, &x, (void **)&r->f->order, &r->f->n_order));
	for (size_t i = 0; x; x = x->next, i++) {
		r->f->order[i] = copy(r, x->type == SLX_YAML_SCALAR ? x->text : SLX_STR(""));
		if (!r->f->order[i].p)
			return slx_err_oom(r->err);
		for (size_t k = 0; k < i; k++)
			if (slx_str_eq(r->f->order[k], r->f->order[i]))
				return fail(r, x, "group name repeated in evaluation order: %s", r->f->order[i].p);
	}
	return SILEX_OK;
}

static silex_status file(struct reader *r, const struct slx_yaml *root)
{
	static const char *const known[] = { "rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "tests", NULL };
	const struct slx_yaml *x;
	if (!root)
		return SILEX_OK;
	SLX_TRY(keys(r, root, "test file", known));
	SLX_TRY(duration(r, root, "evaluation_interval", &r->f->interval_ns));
	if (r->f->interval_ns == 0)
		r->f->interval_ns = SLX_MINUTE;
	SLX_TRY(slx_yaml_bool(slx_yaml_get(root, "fuzzy_compare"), &r->f->fuzzy, r->err));
	SLX_TRY(rule_files(r, root));
	SLX_TRY(order(r, root));
	SLX_TRY(items(r, root, "tests", sizeof *r->f->tests, &x, (void **)&r->f->tests, &r->f->n_tests));
	for (size_t i = 0; x; x = x->next, i++)
		SLX_TRY(one_test(r, x, &r->f->tests[i]));
	return SILEX_OK;
}

silex_status slx_unit_file_read(struct slx_mem *m, const char *path, struct slx_unit_file **ret, silex_error *err)
{
	uint8_t *p;
	size_t n;
	struct slx_arena tree;
	struct slx_yaml *root = NULL;
	SLX_TRY(slx_vfs_read_file(slx_vfs_posix(), m, path, SLX_RULE_FILE_SIZE_MAX, &p, &n, err));
	struct slx_unit_file *f = slx_calloc(m, SLX_MEM_OTHER, sizeof *f);
	slx_arena_init(&tree, m, SLX_MEM_OTHER, 64 << 10);
	silex_status status = f ? slx_yaml_parse(&tree, path, p, n, &root, err) : slx_err_oom(err);
	if (f) {
		f->mem = m;
		slx_arena_init(&f->arena, m, SLX_MEM_OTHER, 64 << 10);
	}
	struct reader r = { .f = f, .path = path, .err = err };
	if (status == SILEX_OK)
		status = file(&r, root);
	slx_arena_clear(&tree);
	slx_free(m, SLX_MEM_OTHER, p, n);
	if (status == SILEX_OK)
		*ret = f;
	else
		slx_unit_file_free(f);
	return status;
}

void slx_unit_file_free(struct slx_unit_file *f)
{
	if (!f)
		return;
	slx_arena_clear(&f->arena);
	slx_free(f->mem, SLX_MEM_OTHER, f, sizeof *f);
}
