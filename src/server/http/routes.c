/* Finding the route of a path: exact paths by hash, then patterns in the order they were added, then the longest prefix. */
#include "server/http/http_int.h"

struct entry {
	struct slx_http_route route;
	struct slx_str path;
	unsigned methods;
	bool pattern;
	size_t next; /* with the same hash slot; 0: none, else index + 1 */
};

enum { SLOTS = 512 };

struct slx_http_routes {
	struct slx_mem *mem;
	struct entry *v;
	size_t n, cap;
	size_t slots[SLOTS]; /* index + 1 of exact paths */
};

static const char *const methods[] = { "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS" };
enum { METHODS = sizeof methods / sizeof *methods };

unsigned slx_http_method_bit(const char *method, const char **ret_name)
{
	for (unsigned i = 0; i < METHODS; i++)
		if (strcmp(methods[i], method) == 0) {
			*ret_name = methods[i];
			return 1u << i;
		}
	*ret_name = "(other)";
	return 0;
}

void slx_http_allow_text(unsigned allow, char ret[64])
{
	size_t n = 0;
	*ret = 0;
	for (unsigned i = 0; i < METHODS; i++)
		if (allow & 1u << i) {
			size_t k = strlen(methods[i]);
			if (n) {
				memcpy(ret + n, ", ", 2);
				n += 2;
			}
			memcpy(ret + n, methods[i], k + 1);
			n += k;
		}
}

static unsigned parse_methods(const char *s)
{
	unsigned m = SLX_METHOD_OPTIONS;
	while (*s) {
		size_t k = strcspn(s, ",");
		for (unsigned i = 0; i < METHODS; i++)
			if (strlen(methods[i]) == k && memcmp(methods[i], s, k) == 0)
				m |= 1u << i;
		s += k + (s[k] == ',');
	}
	return m & SLX_METHOD_GET ? m | SLX_METHOD_HEAD : m;
}

struct slx_http_routes *slx_http_routes_new(struct slx_mem *m)
{
	struct slx_http_routes *r = slx_calloc(m, SLX_MEM_OTHER, sizeof *r);
	if (r)
		r->mem = m;
	return r;
}

void slx_http_routes_free(struct slx_http_routes *r)
{
	if (!r)
		return;
	slx_free(r->mem, SLX_MEM_OTHER, r->v, r->cap * sizeof *r->v);
	slx_free(r->mem, SLX_MEM_OTHER, r, sizeof *r);
}

static size_t slot_of(struct slx_str path) { return slx_hash64(path.p, path.n) % SLOTS; }

bool slx_http_routes_add(struct slx_http_routes *r, const struct slx_http_route *route)
{
	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 64;
		struct entry *v = slx_realloc(r->mem, SLX_MEM_OTHER, r->v, r->cap * sizeof *v, cap * sizeof *v);
		if (!v)
			return false;
		r->v = v;
		r->cap = cap;
	}
	struct entry *e = &r->v[r->n++];
	*e = (struct entry){ .route = *route, .path = slx_str(route->path), .methods = parse_methods(route->methods) };
	e->pattern = strchr(route->path, '{') != NULL;
	if (!e->pattern && !(route->flags & SLX_HTTP_PREFIX)) {
		size_t *slot = &r->slots[slot_of(e->path)];
		e->next = *slot;
		*slot = r->n;
	}
	return true;
}

/* Notes entry e of the path: its methods, and itself when it serves the method and none was found before. */
static void note(struct slx_http_found *f, const struct entry *e, unsigned method)
{
	f->allow |= e->methods;
	if (!f->route && e->methods & method)
		f->route = &e->route;
}

static struct slx_str next_segment(const char **p, const char *end)
{
	const char *s = *p, *slash = memchr(s, '/', (size_t)(end - s));
	slash = slash ? slash : end;
	*p = slash < end ? slash + 1 : NULL;
	return (struct slx_str){ s, (size_t)(slash - s) };
}

/* Matches "/a/{x}/b" against the raw path, so that an escaped slash stays inside of its segment. */
static silex_status match(const struct entry *e, struct slx_str raw, struct slx_arena *a, struct slx_http_found *f, bool *ret, silex_error *err)
{
	const char *p = e->path.p, *pe = p + e->path.n, *q = raw.p, *qe = q + raw.n;
	struct slx_http_pair got[SLX_HTTP_SEGMENTS_MAX];
	size_t n = 0;
	*ret = false;
	while (p && q) {
		struct slx_str want = next_segment(&p, pe), is = next_segment(&q, qe);
		bool name = want.n > 2 && want.p[0] == '{';
		SLX_TRY(slx_http_unescape(a, is, false, &is, err));
		if (name ? is.n == 0 || n == SLX_HTTP_SEGMENTS_MAX : !slx_str_eq(want, is))
			return SILEX_OK;
		if (name)
			got[n++] = (struct slx_http_pair){ { want.p + 1, want.n - 2 }, is };
	}
	if (p || q)
		return SILEX_OK;
	memcpy(f->segments, got, n * sizeof *got);
	f->n_segments = n;
	*ret = true;
	return SILEX_OK;
}

silex_status slx_http_routes_find(const struct slx_http_routes *r, struct slx_str raw, struct slx_str decoded, unsigned method, struct slx_arena *a,
	struct slx_http_found *ret, silex_error *err)
{
	struct slx_http_found f = { 0 };
	size_t longest = 0;
	for (size_t i = r->slots[slot_of(decoded)]; i; i = r->v[i - 1].next)
		if (slx_str_eq(r->v[i - 1].path, decoded))
			note(&f, &r->v[i - 1], method);
	for (size_t i = 0; !f.route && i < r->n; i++)
		if (r->v[i].pattern) {
			bool is = false;
			SLX_TRY(match(&r->v[i], raw, a, &f, &is, err));
			if (is)
				note(&f, &r->v[i], method);
		}
	for (size_t i = 0; !f.route && !f.allow && i < r->n; i++) {
		const struct entry *e = &r->v[i];
		if (e->route.flags & SLX_HTTP_PREFIX && e->path.n <= decoded.n && memcmp(e->path.p, decoded.p, e->path.n) == 0 && e->path.n > longest)
			longest = e->path.n;
	}
	for (size_t i = 0; longest && i < r->n; i++)
		if (r->v[i].route.flags & SLX_HTTP_PREFIX && r->v[i].path.n == longest && memcmp(r->v[i].path.p, decoded.p, longest) == 0)
			note(&f, &r->v[i], method);
	*ret = f;
	return SILEX_OK;
}
