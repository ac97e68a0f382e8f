/* The configuration as text: for people, for /api/v1/status/config, for the documentation. */
#include "server/core/config.h"
#include "server/core/schema.h"

#include <stdio.h>

static void put_z(struct slx_buf *b, const char *z) { slx_buf_put(b, z, strlen(z)); }

static void put_indent(struct slx_buf *b, unsigned depth)
{
	while (depth--)
		put_z(b, "  ");
}

/* A scalar, in quotes unless it is surely plain. */
static void put_scalar(struct slx_buf *b, const char *s)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-";
	char esc[8];
	if (*s && *s != '-' && strspn(s, safe) == strlen(s) && strcmp(s, "null") != 0) {
		put_z(b, s);
		return;
	}
	slx_buf_u8(b, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			slx_buf_u8(b, '\\');
		if ((unsigned char)*s < 32)
			slx_buf_put(b, esc, (size_t)snprintf(esc, sizeof esc, "\\x%02x", *s));
		else
			slx_buf_u8(b, (uint8_t)*s);
	}
	slx_buf_u8(b, '"');
}

static bool is_secret(const char *key)
{
	static const char *const secrets[] = { "password", "bearer_token", "credentials", "token", "client_secret", "secret", "secret_key", "session_token", NULL };
	for (size_t i = 0; key && secrets[i]; i++)
		if (strcmp(key, secrets[i]) == 0)
			return true;
	return false;
}

static void put_tree(struct slx_buf *b, const struct slx_yaml *y, unsigned depth);

/* What stands behind "key:" or "-". */
static void put_value(struct slx_buf *b, const struct slx_yaml *x, unsigned depth)
{
	if (slx_yaml_null(x))
		put_z(b, " null\n");
	else if (x->type == SLX_YAML_SCALAR) {
		put_z(b, " ");
		put_scalar(b, is_secret(x->key) ? "<secret>" : x->text.p);
		put_z(b, "\n");
	} else if (!x->child)
		put_z(b, x->type == SLX_YAML_MAP ? " {}\n" : " []\n");
	else {
		put_z(b, "\n");
		put_tree(b, x, depth + 1);
	}
}

/* The children of y, each on lines of its own. Depth is bounded by the parser. */
static void put_tree(struct slx_buf *b, const struct slx_yaml *y, unsigned depth)
{
	for (const struct slx_yaml *x = y->child; x; x = x->next) {
		put_indent(b, depth);
		if (y->type == SLX_YAML_MAP) {
			put_scalar(b, x->key);
			put_z(b, ":");
		} else
			put_z(b, "-");
		put_value(b, x, depth);
	}
}

static void put_list(struct slx_buf *b, const struct slx_config_list *l)
{
	put_z(b, " [");
	for (size_t i = 0; i < l->n; i++) {
		put_z(b, i ? ", " : "");
		put_scalar(b, l->v[i]);
	}
	put_z(b, "]\n");
}

/* "key: value" at its indentation; sections are opened by the caller. */
static void put_key(struct slx_buf *b, const struct slx_config *c, const struct slx_key *k, unsigned depth)
{
	const char *dot = strchr(k->path, '.'), *value = c->values[k - slx_keys];
	const void *at = (const char *)c + k->offset;
	const struct slx_yaml *tree = k->type == SLX_KEY_TREE ? *(const struct slx_yaml *const *)at : NULL;
	put_indent(b, depth);
	put_z(b, dot ? dot + 1 : k->path);
	put_z(b, ":");
	if (tree)
		put_value(b, tree, depth);
	else if (k->type == SLX_KEY_LIST)
		put_list(b, at);
	else {
		put_z(b, " ");
		put_scalar(b, value ? value : "");
		put_z(b, "\n");
	}
}

static bool is_given(const struct slx_config *c, const struct slx_key *k)
{
	const char *v = c->values[k - slx_keys];
	if (k->type == SLX_KEY_TREE)
		return *(const struct slx_yaml *const *)((const char *)c + k->offset) != NULL;
	return v != NULL;
}

void slx_config_write(const struct slx_config *c, struct slx_buf *out)
{
	const char *section = "";
	size_t section_n = 0;
	for (size_t i = 0; i < slx_keys_n; i++) {
		const struct slx_key *k = &slx_keys[i];
		const char *dot = strchr(k->path, '.');
		size_t n = dot ? (size_t)(dot - k->path) : 0;
		if (!is_given(c, k))
			continue;
		if (n && (n != section_n || memcmp(k->path, section, n) != 0)) {
			slx_buf_put(out, k->path, n);
			put_z(out, ":\n");
		}
		section = k->path;
		section_n = n;
		put_key(out, c, k, dot ? 1 : 0);
	}
}

void slx_config_each(const struct slx_config *c, void (*each)(void *arg, const char *key, const char *value), void *arg)
{
	for (size_t i = 0; i < slx_keys_n; i++)
		each(arg, slx_keys[i].path, c->values[i] ? c->values[i] : "");
}

void slx_config_doc(struct slx_buf *out)
{
	put_z(out, "| key | default | live | what |\n|---|---|---|---|\n");
	for (size_t i = 0; i < slx_keys_n; i++) {
		const struct slx_key *k = &slx_keys[i];
		const char *normal = k->normal && *k->normal ? k->normal : k->type == SLX_KEY_ENGINE && k->words ? k->words : "";
		put_z(out, "| `");
		put_z(out, k->path);
		put_z(out, "` | ");
		put_z(out, normal);
		put_z(out, k->live ? " | yes | " : " | | ");
		put_z(out, k->doc);
		if (k->type == SLX_KEY_CHOICE) {
			put_z(out, ": ");
			put_z(out, k->words);
		}
		put_z(out, " |\n");
	}
}

/* One node with what is below it; its neighbours are other keys. */
static bool same_tree(const struct slx_yaml *a, const struct slx_yaml *b)
{
	bool null = slx_yaml_null(a);
	if (null || null != slx_yaml_null(b))
		return null == slx_yaml_null(b);
	if (a->type != b->type || a->n != b->n || !a->key != !b->key || (a->key && strcmp(a->key, b->key) != 0))
		return false;
	if (a->type == SLX_YAML_SCALAR)
		return slx_str_eq(a->text, b->text);
	for (a = a->child, b = b->child; a && b; a = a->next, b = b->next)
		if (!same_tree(a, b))
			return false;
	return !a == !b;
}

static bool same(const struct slx_config *a, const struct slx_config *b, const struct slx_key *k)
{
	const char *x = a->values[k - slx_keys], *y = b->values[k - slx_keys];
	const void *at = (const char *)a + k->offset, *bt = (const char *)b + k->offset;
	if (k->type == SLX_KEY_TREE)
		return same_tree(*(const struct slx_yaml *const *)at, *(const struct slx_yaml *const *)bt);
	if (k->type == SLX_KEY_LIST) {
		const struct slx_config_list *p = at, *q = bt;
		bool eq = p->n == q->n;
		for (size_t i = 0; eq && i < p->n; i++)
			eq = strcmp(p->v[i], q->v[i]) == 0;
		return eq;
	}
	return x == y || (x && y && strcmp(x, y) == 0);
}

const char *slx_config_needs_restart(const struct slx_config *a, const struct slx_config *b)
{
	for (size_t i = 0; i < slx_keys_n; i++)
		if (!slx_keys[i].live && !same(a, b, &slx_keys[i]))
			return slx_keys[i].path;
	return NULL;
}
