#include "server/scrape/scrape_int.h"

#include <glob.h>
#include <stdio.h>

enum { FILE_MAX = 32 << 20, LABELS_MAX = 128 };

bool scrape_targets_add(struct slx_mem *m, struct scrape_targets *list, struct scrape_target *t)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 16;
		struct scrape_target **v = slx_realloc(m, SLX_MEM_OTHER, list->v, list->cap * sizeof *v, cap * sizeof *v);
		if (!v)
			return false;
		list->v = v;
		list->cap = cap;
	}
	list->v[list->n++] = t;
	return true;
}

static silex_status group_labels(const struct slx_yaml *y, struct slx_label *labels, size_t *n, silex_error *err)
{
	if (slx_yaml_null(y))
		return SILEX_OK;
	if (y->type != SLX_YAML_MAP)
		return slx_yaml_err(y, err, "labels: expected names with values");
	for (const struct slx_yaml *l = y->child; l; l = l->next) {
		if (l->type != SLX_YAML_SCALAR)
			return slx_yaml_err(l, err, "label %s: expected a text", l->key);
		if (*n == LABELS_MAX)
			return slx_yaml_err(l, err, "at most %d labels", LABELS_MAX);
		labels[(*n)++] = (struct slx_label){ slx_str(l->key), l->text };
	}
	return SILEX_OK;
}

static silex_status group(struct slx_mem *m, const struct scrape_job *job, const struct slx_yaml *g, const struct slx_label *meta, size_t n_meta,
	struct scrape_targets *to, silex_error *err)
{
	struct slx_label labels[LABELS_MAX];
	size_t n = 0;
	if (g->type != SLX_YAML_MAP)
		return slx_yaml_err(g, err, "expected a group of targets");
	for (size_t i = 0; i < n_meta; i++)
		labels[n++] = meta[i];
	SLX_TRY(group_labels(slx_yaml_get(g, "labels"), labels, &n, err));
	const struct slx_yaml *targets = slx_yaml_get(g, "targets");
	if (slx_yaml_null(targets))
		return SILEX_OK;
	if (targets->type != SLX_YAML_LIST)
		return slx_yaml_err(targets, err, "targets: expected a list of addresses");
	for (const struct slx_yaml *y = targets->child; y; y = y->next) {
		struct scrape_target *t;
		if (y->type != SLX_YAML_SCALAR || y->text.n == 0 || memchr(y->text.p, '/', y->text.n))
			return slx_yaml_err(y, err, "targets: expected host:port");
		SLX_TRY(scrape_target_new(m, job, y->text, labels, n, &t, err));
		if (!scrape_targets_add(m, to, t)) {
			scrape_target_free(t);
			return slx_err_oom(err);
		}
	}
	return SILEX_OK;
}

silex_status scrape_groups(struct slx_mem *m, const struct scrape_job *job, const struct slx_yaml *groups, const struct slx_label *meta, size_t n_meta,
	struct scrape_targets *to, silex_error *err)
{
	if (slx_yaml_null(groups))
		return SILEX_OK;
	if (groups->type != SLX_YAML_LIST)
		return slx_yaml_err(groups, err, "expected a list of target groups");
	for (const struct slx_yaml *g = groups->child; g; g = g->next)
		SLX_TRY(group(m, job, g, meta, n_meta, to, err));
	return SILEX_OK;
}

static silex_status read_file(struct slx_mem *m, const char *path, struct slx_buf *out, silex_error *err)
{
	char block[8192];
	size_t n;
	FILE *f = fopen(path, "rb");
	if (!f)
		return slx_err(err, SILEX_UNAVAILABLE, "%s: cannot be read", path);
	while ((n = fread(block, 1, sizeof block, f)) > 0)
		slx_buf_put(out, block, n);
	bool bad = ferror(f);
	fclose(f);
	return bad || out->failed ? slx_err(err, SILEX_UNAVAILABLE, "%s: cannot be read, or is larger than %d MB", path, FILE_MAX >> 20) : SILEX_OK;
}

static silex_status one_file(struct slx_mem *m, const struct scrape_job *job, const char *path, struct scrape_targets *to, silex_error *err)
{
	struct slx_arena arena;
	struct slx_buf text;
	struct slx_yaml *groups = NULL;
	struct slx_label meta = { SLX_STR("__meta_filepath"), slx_str(path) };
	slx_arena_init(&arena, m, SLX_MEM_OTHER, 1 << 16);
	slx_buf_init(&text, m, SLX_MEM_OTHER, FILE_MAX);
	silex_status st = read_file(m, path, &text, err);
	if (st == SILEX_OK)
		st = slx_yaml_parse(&arena, path, text.p ? (const void *)text.p : "", text.n, &groups, err);
	if (st == SILEX_OK)
		st = scrape_groups(m, job, groups, &meta, 1, to, err);
	slx_buf_free(&text);
	slx_arena_clear(&arena);
	return st;
}

silex_status scrape_files(struct slx_mem *m, const struct scrape_job *job, const char *pattern, struct scrape_targets *to, silex_error *err)
{
	glob_t found;
	silex_status st = SILEX_OK;
	if (glob(pattern, 0, NULL, &found) != 0)
		return SILEX_OK; /* none yet */
	for (size_t i = 0; i < found.gl_pathc && st == SILEX_OK; i++)
		st = one_file(m, job, found.gl_pathv[i], to, err);
	globfree(&found);
	return st;
}
