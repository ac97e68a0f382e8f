/* YAML into a tree, by libyaml's events. Anchors and aliases are refused: they make small files large. */
#include "yaml/yaml.h"

#include "model/time.h"

#include <errno.h>
#include <stdlib.h>
#include <yaml.h>

enum { DEPTH_MAX = 32, NODES_MAX = 1000000 };

struct parse {
	struct slx_arena *a;
	const char *file;
	yaml_parser_t yaml;
	silex_error *err;
	size_t nodes;
};

silex_status slx_yaml_err(const struct slx_yaml *y, silex_error *err, const char *fmt, ...)
{
	char message[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	return slx_err(err, SILEX_INVALID, "%s:%u: %s", y->file, y->line, message);
}

static char *copy(struct slx_arena *a, const char *p, size_t n)
{
	char *z = slx_arena_alloc(a, n + 1, 1);
	if (z) {
		memcpy(z, p, n);
		z[n] = 0;
	}
	return z;
}

static silex_status next_event(struct parse *p, yaml_event_t *ret)
{
	if (yaml_parser_parse(&p->yaml, ret))
		return SILEX_OK;
	if (p->yaml.error == YAML_MEMORY_ERROR)
		return slx_err_oom(p->err);
	return slx_err(p->err, SILEX_INVALID, "%s:%zu: %s%s%s", p->file, p->yaml.problem_mark.line + 1, p->yaml.problem ? p->yaml.problem : "not YAML",
		p->yaml.context ? ", " : "", p->yaml.context ? p->yaml.context : "");
}

static silex_status new_node(struct parse *p, const yaml_event_t *e, enum slx_yaml_type type, struct slx_yaml **ret)
{
	struct slx_yaml *y = slx_arena_alloc(p->a, sizeof *y, _Alignof(struct slx_yaml));
	if (!y)
		return slx_err_oom(p->err);
	*y = (struct slx_yaml){ .type = type, .line = (unsigned)e->start_mark.line + 1, .column = (unsigned)e->start_mark.column + 1, .file = p->file };
	if (++p->nodes > NODES_MAX)
		return slx_yaml_err(y, p->err, "more than %d values", NODES_MAX);
	*ret = y;
	return SILEX_OK;
}

static silex_status node(struct parse *p, const yaml_event_t *e, unsigned depth, struct slx_yaml **ret);

static silex_status scalar(struct parse *p, const yaml_event_t *e, struct slx_yaml **ret)
{
	const char *text = (const char *)e->data.scalar.value;
	size_t n = e->data.scalar.length;
	struct slx_yaml *y = NULL;
	SLX_TRY(new_node(p, e, SLX_YAML_SCALAR, &y));
	if (memchr(text, 0, n))
		return slx_yaml_err(y, p->err, "a value holds a zero byte");
	y->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	y->text = (struct slx_str){ copy(p->a, text, n), n };
	if (!y->text.p)
		return slx_err_oom(p->err);
	*ret = y;
	return SILEX_OK;
}

/* A key of a map: a scalar that was not there before. */
static silex_status key(struct parse *p, const yaml_event_t *e, const struct slx_yaml *map, const char **ret)
{
	struct slx_yaml *y = NULL;
	if (e->type != YAML_SCALAR_EVENT)
		return slx_err(p->err, SILEX_INVALID, "%s:%zu: expected a name as key", p->file, e->start_mark.line + 1);
	SLX_TRY(scalar(p, e, &y));
	const struct slx_yaml *before = slx_yaml_get(map, y->text.p);
	if (before)
		return slx_yaml_err(y, p->err, "key \"%s\" was given on line %u already", y->text.p, before->line);
	*ret = y->text.p;
	return SILEX_OK;
}

static silex_status children(struct parse *p, struct slx_yaml *y, unsigned depth)
{
	yaml_event_type_t end = y->type == SLX_YAML_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
	struct slx_yaml **at = &y->child;
	silex_status st = SILEX_OK;
	for (bool done = false; st == SILEX_OK && !done;) {
		yaml_event_t e;
		const char *name = NULL;
		SLX_TRY(next_event(p, &e));
		done = e.type == end;
		if (!done && y->type == SLX_YAML_MAP) {
			st = key(p, &e, y, &name);
			yaml_event_delete(&e);
			if (st == SILEX_OK)
				st = next_event(p, &e);
			if (st != SILEX_OK)
				break;
		}
		if (!done)
			st = node(p, &e, depth + 1, at);
		if (!done && st == SILEX_OK) {
			(*at)->key = name;
			at = &(*at)->next;
			y->n++;
		}
		yaml_event_delete(&e);
	}
	return st;
}

static silex_status node(struct parse *p, const yaml_event_t *e, unsigned depth, struct slx_yaml **ret)
{
	if (depth > DEPTH_MAX)
		return slx_err(p->err, SILEX_INVALID, "%s:%zu: nested deeper than %d", p->file, e->start_mark.line + 1, DEPTH_MAX);
	if (e->type == YAML_SCALAR_EVENT && !e->data.scalar.anchor)
		return scalar(p, e, ret);
	bool map = e->type == YAML_MAPPING_START_EVENT, list = e->type == YAML_SEQUENCE_START_EVENT;
	if ((map && !e->data.mapping_start.anchor) || (list && !e->data.sequence_start.anchor)) {
		struct slx_yaml *y = NULL;
		SLX_TRY(new_node(p, e, map ? SLX_YAML_MAP : SLX_YAML_LIST, &y));
		*ret = y;
		return children(p, y, depth);
	}
	return slx_err(p->err, SILEX_INVALID, "%s:%zu: anchors (&) and aliases (*) are not taken here", p->file, e->start_mark.line + 1);
}

static silex_status document(struct parse *p, struct slx_yaml **ret)
{
	struct slx_yaml *root = NULL;
	silex_status st = SILEX_OK;
	for (bool done = false; st == SILEX_OK && !done;) {
		yaml_event_t e;
		SLX_TRY(next_event(p, &e));
		done = e.type == YAML_STREAM_END_EVENT;
		if (e.type == YAML_DOCUMENT_START_EVENT && root)
			st = slx_err(p->err, SILEX_INVALID, "%s:%zu: a second document begins; expected one", p->file, e.start_mark.line + 1);
		else if (e.type == YAML_SCALAR_EVENT || e.type == YAML_SEQUENCE_START_EVENT || e.type == YAML_MAPPING_START_EVENT
			|| e.type == YAML_ALIAS_EVENT)
			st = node(p, &e, 0, &root);
		yaml_event_delete(&e);
	}
	if (st == SILEX_OK)
		*ret = root && !slx_yaml_null(root) ? root : NULL;
	return st;
}

silex_status slx_yaml_parse(struct slx_arena *a, const char *file, const void *text, size_t n, struct slx_yaml **ret, silex_error *err)
{
	struct parse p = { .a = a, .file = copy(a, file, strlen(file)), .err = err };
	if (!p.file || !yaml_parser_initialize(&p.yaml))
		return slx_err_oom(err);
	yaml_parser_set_input_string(&p.yaml, text, n);
	silex_status st = document(&p, ret);
	yaml_parser_delete(&p.yaml);
	return st;
}

/* --- reading the tree ------------------------------------------------------------------------------------------- */

const struct slx_yaml *slx_yaml_get(const struct slx_yaml *map, const char *name)
{
	if (map && map->type == SLX_YAML_MAP)
		for (const struct slx_yaml *y = map->child; y; y = y->next)
			if (y->key && strcmp(y->key, name) == 0)
				return y;
	return NULL;
}

bool slx_yaml_null(const struct slx_yaml *y)
{
	if (!y)
		return true;
	return y->type == SLX_YAML_SCALAR && !y->quoted && (y->text.n == 0 || strcmp(y->text.p, "~") == 0 || strcmp(y->text.p, "null") == 0);
}

static size_t distance(const char *a, const char *b)
{
	size_t n = strlen(b), row[64];
	if (n >= 63)
		return 99;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (; *a; a++) {
		size_t diagonal = row[0]++;
		for (size_t j = 1; j <= n; j++) {
			size_t up = row[j], best = diagonal + (*a != b[j - 1]);
			best = up + 1 < best ? up + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			row[j] = best;
			diagonal = up;
		}
	}
	return row[n];
}

const char *slx_word_nearest(const char *word, const char *const *names)
{
	const char *nearest = NULL;
	size_t best = strlen(word) / 2 + 2;
	for (; *names; names++) {
		size_t d = distance(word, *names);
		if (d < best) {
			best = d;
			nearest = *names;
		}
	}
	return nearest;
}

silex_status slx_yaml_keys(const struct slx_yaml *map, const char *what, const char *const *known, silex_error *err)
{
	if (slx_yaml_null(map))
		return SILEX_OK;
	if (map->type != SLX_YAML_MAP)
		return slx_yaml_err(map, err, "%s: expected keys with values", what);
	for (const struct slx_yaml *y = map->child; y; y = y->next) {
		size_t i = 0;
		while (known[i] && strcmp(known[i], y->key) != 0)
			i++;
		if (known[i])
			continue;
		const char *near = slx_word_nearest(y->key, known);
		if (near)
			return slx_yaml_err(y, err, "unknown key \"%s\" in %s; did you mean \"%s\"?", y->key, what, near);
		return slx_yaml_err(y, err, "unknown key \"%s\" in %s", y->key, what);
	}
	return SILEX_OK;
}

silex_status slx_yaml_text(const struct slx_yaml *y, const char **ret, silex_error *err)
{
	if (!y)
		return SILEX_OK;
	if (y->type != SLX_YAML_SCALAR)
		return slx_yaml_err(y, err, "%s: expected one value", y->key ? y->key : "item");
	*ret = slx_yaml_null(y) ? "" : y->text.p;
	return SILEX_OK;
}

silex_status slx_yaml_bool(const struct slx_yaml *y, bool *ret, silex_error *err)
{
	const char *s = NULL;
	SLX_TRY(slx_yaml_text(y, &s, err));
	if (!s)
		return SILEX_OK;
	bool is = slx_word_bool(s, ret);
	return is ? SILEX_OK : slx_yaml_err(y, err, "%s: \"%s\" given, expected true or false", y->key ? y->key : "item", s);
}

silex_status slx_yaml_count(const struct slx_yaml *y, uint64_t min, uint64_t max, uint64_t *ret, silex_error *err)
{
	const char *s = NULL;
	uint64_t v;
	SLX_TRY(slx_yaml_text(y, &s, err));
	if (!s)
		return SILEX_OK;
	if (!slx_word_count(s, &v) || v < min || v > max)
		return slx_yaml_err(y, err, "%s: \"%s\" given, expected a number of %llu to %llu", y->key ? y->key : "item", s, (unsigned long long)min,
			(unsigned long long)max);
	*ret = v;
	return SILEX_OK;
}

silex_status slx_yaml_duration(const struct slx_yaml *y, int64_t min, int64_t max, int64_t *ret_ns, silex_error *err)
{
	const char *s = NULL;
	int64_t v;
	SLX_TRY(slx_yaml_text(y, &s, err));
	if (!s)
		return SILEX_OK;
	if (slx_duration_parse(s, strlen(s), &v, NULL) != SILEX_OK || v < min || v > max)
		return slx_yaml_err(y, err, "%s: \"%s\" given, expected a duration (\"15s\", \"5m\") of %g s to %g s", y->key ? y->key : "item", s,
			(double)min / 1e9, (double)max / 1e9);
	*ret_ns = v;
	return SILEX_OK;
}
