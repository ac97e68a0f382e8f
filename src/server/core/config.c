/* Loading: defaults, file, environment and command line go through one function, slx_key by slx_key, each over the one before;
 * then what no single key can know is checked. */
#include "server/core/config.h"

#include "model/model.h"
#include "model/time.h"
#include "server/core/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_SIZE_MAX = 16 << 20 };

struct load {
	struct slx_config *c;
	silex_error *err;
};

static char *copy(struct load *l, const char *p, size_t n)
{
	char *z = slx_arena_alloc(&l->c->arena, n + 1, 1);
	if (z) {
		memcpy(z, p, n);
		z[n] = 0;
	}
	return z;
}

/* --- one value -------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 5, 6))) static silex_status bad(
	struct load *l, const struct slx_key *k, const char *where, const char *text, const char *fmt, ...)
{
	char expected[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(expected, sizeof expected, fmt, ap);
	va_end(ap);
	return slx_err(l->err, SILEX_INVALID, "%s: %s: \"%.100s\" given, expected %s", where, k->path, text, expected);
}

static bool is_word(const char *words, const char *text)
{
	size_t n = strlen(text);
	for (const char *p = words; *p;) {
		size_t k = strcspn(p, " ");
		if (k == n && memcmp(p, text, n) == 0)
			return true;
		p += k + (p[k] == ' ');
	}
	return false;
}

static silex_status set_number(struct load *l, const struct slx_key *k, void *at, const char *text, const char *where)
{
	uint64_t v;
	int64_t ns;
	if (k->type == SLX_KEY_SPAN) {
		if (slx_duration_parse(text, strlen(text), &ns, NULL) != SILEX_OK || ns < k->min || ns > k->max)
			return bad(l, k, where, text, "a duration (\"30s\", \"5m\") of %g s to %g s", (double)k->min / 1e9, (double)k->max / 1e9);
		*(int64_t *)at = ns;
		return SILEX_OK;
	}
	if (!slx_word_count(text, &v) || v < (uint64_t)k->min || v > (uint64_t)k->max)
		return bad(l, k, where, text, "a %s of %lld to %lld", k->type == SLX_KEY_SIZE ? "size (\"64MB\")" : "number", (long long)k->min, (long long)k->max);
	*(uint64_t *)at = v;
	return SILEX_OK;
}

/* "a, b,c" */
static silex_status set_list(struct load *l, struct slx_config_list *at, const char *text)
{
	size_t n = 0, cap = 1;
	for (const char *p = text; *p; p++)
		cap += *p == ',';
	const char **v = slx_arena_alloc(&l->c->arena, cap * sizeof *v, _Alignof(const char *));
	if (!v)
		return slx_err_oom(l->err);
	while (*text) {
		text += strspn(text, ", ");
		size_t k = strcspn(text, ",");
		size_t end = k;
		while (end && text[end - 1] == ' ')
			end--;
		if (end && !(v[n++] = copy(l, text, end)))
			return slx_err_oom(l->err);
		text += k;
	}
	*at = (struct slx_config_list){ v, n };
	return SILEX_OK;
}

static silex_status set_tree(struct load *l, const struct slx_key *k, const struct slx_yaml **at, const char *text, const char *where)
{
	struct slx_yaml *y = NULL;
	silex_error e;
	silex_status st = slx_yaml_parse(&l->c->arena, where, text, strlen(text), &y, &e);
	if (st != SILEX_OK)
		return slx_err(l->err, st, "%s: %s", k->path, e.message);
	*at = y;
	return SILEX_OK;
}

/* Key k from text; where names the place: "silex.yml:12", "SILEX_DATA", "--data". */
static silex_status set_text(struct load *l, const struct slx_key *k, const char *text, const char *where)
{
	char *at = (char *)l->c + k->offset;
	char *kept = copy(l, text, strlen(text));
	silex_error e;
	silex_status st = SILEX_OK;
	if (!kept)
		return slx_err_oom(l->err);
	switch (k->type) {
	case SLX_KEY_TEXT:
		*(const char **)at = kept;
		break;
	case SLX_KEY_CHOICE:
		if (!is_word(k->words, kept))
			return bad(l, k, where, kept, "one of: %s", k->words);
		*(const char **)at = kept;
		break;
	case SLX_KEY_BOOL:
		if (!slx_word_bool(kept, (bool *)at))
			return bad(l, k, where, kept, "true or false");
		break;
	case SLX_KEY_COUNT:
	case SLX_KEY_SIZE:
	case SLX_KEY_SPAN:
		st = set_number(l, k, at, kept, where);
		break;
	case SLX_KEY_LIST:
		st = set_list(l, (struct slx_config_list *)at, kept);
		break;
	case SLX_KEY_TREE:
		st = set_tree(l, k, (const struct slx_yaml **)at, kept, where);
		break;
	case SLX_KEY_ENGINE:
		if (silex_options_set(&l->c->engine, strchr(k->path, '.') + 1, kept, &e) != SILEX_OK)
			return slx_err(l->err, e.code, "%s: storage.%s", where, strncmp(e.message, "option ", 7) == 0 ? e.message + 7 : e.message);
		break;
	}
	l->c->values[k - slx_keys] = k->type == SLX_KEY_TREE ? "(given)" : kept;
	return st;
}

/* --- the file --------------------------------------------------------------------------------------------------- */

static const struct slx_key *find(const char *path)
{
	for (size_t i = 0; i < slx_keys_n; i++)
		if (strcmp(slx_keys[i].path, path) == 0)
			return &slx_keys[i];
	return NULL;
}

static bool is_section(const char *path)
{
	size_t n = strlen(path);
	for (size_t i = 0; i < slx_keys_n; i++)
		if (strncmp(slx_keys[i].path, path, n) == 0 && slx_keys[i].path[n] == '.')
			return true;
	return false;
}

static silex_status unknown_key(struct load *l, const char *where, const char *path)
{
	const char *names[128];
	size_t n = 0;
	const char *dot = strrchr(path, '.');
	for (size_t i = 0; i < slx_keys_n && n < 127; i++)
		names[n++] = slx_keys[i].path;
	names[n] = NULL;
	const char *near = NULL;
	for (size_t i = 0; !near && dot && i < slx_keys_n; i++) { /* the right word in the wrong section */
		const char *last = strrchr(slx_keys[i].path, '.');
		if (last && strcmp(last, dot) == 0)
			near = slx_keys[i].path;
	}
	if (!near)
		near = slx_word_nearest(path, names);
	if (near)
		return slx_err(l->err, SILEX_INVALID, "%s: unknown key \"%.100s\"; did you mean \"%s\"?", where, path, near);
	return slx_err(l->err, SILEX_INVALID, "%s: unknown key \"%.100s\" (docs/configuration.md lists them)", where, path);
}

static silex_status set_yaml_list(struct load *l, const struct slx_key *k, const struct slx_yaml *y, const char *where)
{
	struct slx_config_list *at = (struct slx_config_list *)((char *)l->c + k->offset);
	const char **v = slx_arena_alloc(&l->c->arena, (y->n + 1) * sizeof *v, _Alignof(const char *));
	if (!v)
		return slx_err_oom(l->err);
	size_t n = 0;
	for (const struct slx_yaml *i = y->child; i; i = i->next)
		SLX_TRY(slx_yaml_text(i, &v[n++], l->err));
	*at = (struct slx_config_list){ v, n };
	return SILEX_OK;
}

static silex_status set_yaml(struct load *l, const struct slx_key *k, const struct slx_yaml *y)
{
	char where[320];
	snprintf(where, sizeof where, "%s:%u", y->file, y->line);
	if (k->type == SLX_KEY_TREE) {
		*(const struct slx_yaml **)((char *)l->c + k->offset) = slx_yaml_null(y) ? NULL : y;
		l->c->values[k - slx_keys] = "(given)";
		return SILEX_OK;
	}
	if (slx_yaml_null(y))
		return SILEX_OK; /* key without a value: the default */
	if (k->type == SLX_KEY_LIST && y->type == SLX_YAML_LIST)
		return set_yaml_list(l, k, y, where);
	if (y->type != SLX_YAML_SCALAR)
		return slx_err(l->err, SILEX_INVALID, "%s: %s: expected one value", where, k->path);
	return set_text(l, k, y->text.p, where);
}

static silex_status walk(struct load *l, const struct slx_yaml *map, const char *prefix)
{
	if (slx_yaml_null(map))
		return SILEX_OK;
	if (map->type != SLX_YAML_MAP)
		return slx_yaml_err(map, l->err, "%s%sexpected keys with values", prefix, *prefix ? ": " : "");
	for (const struct slx_yaml *y = map->child; y; y = y->next) {
		char path[256], where[320];
		snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", y->key);
		const struct slx_key *k = find(path);
		if (k)
			SLX_TRY(set_yaml(l, k, y));
		else if (is_section(path))
			SLX_TRY(walk(l, y, path));
		else {
			snprintf(where, sizeof where, "%s:%u", y->file, y->line);
			return unknown_key(l, where, path);
		}
	}
	return SILEX_OK;
}

static silex_status set_environment(struct load *l, char *const *environ_)
{
	for (size_t i = 0; i < slx_keys_n; i++) {
		char name[128] = "SILEX_";
		size_t n = 6;
		for (const char *p = slx_keys[i].path; *p && n < sizeof name - 1; p++)
			name[n++] = *p == '.' ? '_' : *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
		name[n] = 0;
		for (char *const *e = environ_; *e; e++)
			if (strncmp(*e, name, n) == 0 && (*e)[n] == '=' && (*e)[n + 1])
				SLX_TRY(set_text(l, &slx_keys[i], *e + n + 1, name));
	}
	return SILEX_OK;
}

/* --- what no single key can know -------------------------------------------------------------------------------- */

/* Half of what this process may use: the machine's memory or the limit of its control group. */
static uint64_t half_of_machine(void)
{
	uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	unsigned long long limit;
	FILE *f = fopen("/sys/fs/cgroup/memory.max", "re");
	if (f) {
		if (fscanf(f, "%llu", &limit) == 1 && limit < all)
			all = limit;
		fclose(f);
	}
	return all / 2;
}

static silex_status check_tenants(struct load *l)
{
	static const char *const known[] = { "series_max", "head_bytes_max", NULL };
	const struct slx_yaml *t = l->c->tenants.limits;
	silex_error e;
	uint64_t v;
	if (slx_tenant_check(slx_str(l->c->tenants.fallback), &e) != SILEX_OK)
		return slx_err(l->err, SILEX_INVALID, "tenants.default: %s", e.message);
	if (t && t->type != SLX_YAML_MAP)
		return slx_yaml_err(t, l->err, "tenants.limits: expected names of tenants with their limits");
	for (const struct slx_yaml *y = t ? t->child : NULL; y; y = y->next) {
		if (slx_tenant_check(slx_str(y->key), &e) != SILEX_OK)
			return slx_yaml_err(y, l->err, "tenants.limits: %s", e.message);
		SLX_TRY(slx_yaml_keys(y, "a tenant's limits", known, l->err));
		SLX_TRY(slx_yaml_count(slx_yaml_get(y, "series_max"), 0, UINT32_MAX, &v, l->err));
		SLX_TRY(slx_yaml_count(slx_yaml_get(y, "head_bytes_max"), 0, INT64_MAX, &v, l->err));
	}
	return SILEX_OK;
}

static silex_status check_url(struct load *l)
{
	struct slx_config *c = l->c;
	const char *prefix = c->http.route_prefix, *url = c->http.external_url;
	size_t n = strlen(prefix);
	if (strcmp(prefix, "/") == 0)
		c->http.route_prefix = "";
	else if (n && (prefix[0] != '/' || prefix[n - 1] == '/' || strpbrk(prefix, "?#% \"<>")))
		return slx_err(l->err, SILEX_INVALID, "http.route_prefix: \"%s\" given, expected a path like /silex", prefix);
	if (*url && strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return slx_err(l->err, SILEX_INVALID, "http.external_url: \"%s\" given, expected http:// or https://", url);
	n = strlen(url);
	if (n && url[n - 1] == '/') {
		char *cut = copy(l, url, n - 1);
		if (!cut)
			return slx_err_oom(l->err);
		c->http.external_url = cut;
	}
	return SILEX_OK;
}

static silex_status check(struct load *l)
{
	struct slx_config *c = l->c;
	if (!*c->data)
		return slx_err(l->err, SILEX_INVALID, "data: empty, expected a directory");
	if (!*c->http.tls_cert != !*c->http.tls_key)
		return slx_err(l->err, SILEX_INVALID, "http.tls_cert and http.tls_key: only one of them is given");
	SLX_TRY(check_url(l));
	SLX_TRY(check_tenants(l));
	SLX_TRY(slx_config_read_stores(c, l->err));
	if (!c->engine.memory_limit)
		c->engine.memory_limit = half_of_machine();
	if (!c->http.upload_memory)
		c->http.upload_memory = c->engine.memory_limit / 8;
	if (c->http.upload_memory > c->engine.memory_limit / 2)
		return slx_err(l->err, SILEX_INVALID, "http.upload_memory: more than half of storage.memory_limit (%llu bytes)",
			(unsigned long long)c->engine.memory_limit);
	if (!c->http.read_workers)
		c->http.read_workers = c->promql.concurrency;
	return SILEX_OK;
}

/* --- loading ---------------------------------------------------------------------------------------------------- */

static silex_status set_all(struct load *l, const struct slx_yaml *root, char *const *environ_, const struct slx_config_set *set, size_t n_set)
{
	for (size_t i = 0; i < slx_keys_n; i++)
		if (slx_keys[i].normal)
			SLX_TRY(set_text(l, &slx_keys[i], slx_keys[i].normal, "default"));
	SLX_TRY(walk(l, root, ""));
	if (environ_)
		SLX_TRY(set_environment(l, environ_));
	for (size_t i = 0; i < n_set; i++) {
		const struct slx_key *k = find(set[i].key);
		if (!k)
			return unknown_key(l, set[i].from, set[i].key);
		SLX_TRY(set_text(l, k, set[i].value, set[i].from));
	}
	return check(l);
}

silex_status slx_config_parse(struct slx_mem *m, const char *file, const void *text, size_t n, char *const *environ_,
	const struct slx_config_set *set, size_t n_set, struct slx_config **ret, silex_error *err)
{
	struct slx_config *c = slx_calloc(m, SLX_MEM_OTHER, sizeof *c);
	if (!c)
		return slx_err_oom(err);
	struct load l = { .c = c, .err = err };
	struct slx_yaml *root = NULL;
	slx_arena_init(&c->arena, m, SLX_MEM_OTHER, 65536);
	silex_options_init(&c->engine);
	silex_status st = SILEX_OK;
	c->values = slx_arena_alloc(&c->arena, slx_keys_n * sizeof *c->values, _Alignof(const char *));
	if (!c->values)
		st = slx_err_oom(err);
	else
		memset(c->values, 0, slx_keys_n * sizeof *c->values);
	if (st == SILEX_OK && file) {
		c->file = copy(&l, file, strlen(file));
		st = c->file ? slx_yaml_parse(&c->arena, file, text, n, &root, err) : slx_err_oom(err);
	}
	if (st == SILEX_OK)
		st = set_all(&l, root, environ_, set, n_set);
	if (st == SILEX_OK)
		*ret = c;
	else
		slx_config_free(c);
	return st;
}

static silex_status read_file(struct slx_buf *b, const char *path, silex_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return slx_err_errno(err, errno, path);
	ssize_t got = 1;
	while (got > 0 && !b->failed) {
		uint8_t *to = slx_buf_reserve(b, 65536);
		got = to ? read(fd, to, 65536) : 0;
		b->n += got > 0 ? (size_t)got : 0;
	}
	int e = errno;
	close(fd);
	if (got < 0)
		return slx_err_errno(err, e, path);
	return b->failed ? slx_err(err, SILEX_INVALID, "%s: over %d bytes", path, FILE_SIZE_MAX) : SILEX_OK;
}

silex_status slx_config_load(struct slx_mem *m, const char *file, char *const *environ_, const struct slx_config_set *set, size_t n_set,
	struct slx_config **ret, silex_error *err)
{
	struct slx_buf b;
	slx_buf_init(&b, m, SLX_MEM_OTHER, FILE_SIZE_MAX);
	silex_status st = file ? read_file(&b, file, err) : SILEX_OK;
	if (st == SILEX_OK)
		st = slx_config_parse(m, file, b.p, b.n, environ_, set, n_set, ret, err);
	slx_buf_free(&b);
	return st;
}

void slx_config_free(struct slx_config *c)
{
	if (!c)
		return;
	struct slx_mem *m = c->arena.mem;
	slx_arena_clear(&c->arena);
	slx_free(m, SLX_MEM_OTHER, c, sizeof *c);
}
