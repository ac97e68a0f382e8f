/* Names and values of query strings and forms (WHATWG URL, application/x-www-form-urlencoded), and weights of list headers. */
#include "server/http/http_int.h"

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

silex_status slx_http_unescape(struct slx_arena *a, struct slx_str text, bool plus, struct slx_str *ret, silex_error *err)
{
	if (!memchr(text.p, '%', text.n) && !(plus && memchr(text.p, '+', text.n))) {
		*ret = text;
		return SILEX_OK;
	}
	char *to = slx_arena_alloc(a, text.n, 1), *p = to;
	if (!to)
		return slx_err_oom(err);
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '%') {
			int hi = i + 2 < text.n ? hex(text.p[i + 1]) : -1, lo = i + 2 < text.n ? hex(text.p[i + 2]) : -1;
			if (hi < 0 || lo < 0)
				return slx_err(err, SILEX_INVALID, "invalid URL escape \"%.*s\"", (int)(text.n - i < 3 ? text.n - i : 3), text.p + i);
			*p++ = (char)(hi << 4 | lo);
			i += 2;
		} else
			*p++ = plus && text.p[i] == '+' ? ' ' : text.p[i];
	}
	*ret = (struct slx_str){ to, (size_t)(p - to) };
	return SILEX_OK;
}

static silex_status grow(struct slx_arena *a, struct slx_http_params *p, silex_error *err)
{
	if (p->n == SLX_HTTP_PARAMS_MAX)
		return slx_err(err, SILEX_INVALID, "more than %d parameters", SLX_HTTP_PARAMS_MAX);
	if (p->n < p->cap)
		return SILEX_OK;
	size_t cap = p->cap ? p->cap * 4 : 8;
	struct slx_http_pair *v = slx_arena_alloc(a, cap * sizeof *v, _Alignof(struct slx_http_pair));
	if (!v)
		return slx_err_oom(err);
	if (p->n)
		memcpy(v, p->v, p->n * sizeof *v);
	p->v = v;
	p->cap = cap;
	return SILEX_OK;
}

silex_status slx_http_params_parse(struct slx_arena *a, struct slx_str text, struct slx_http_params *p, silex_error *err)
{
	const char *end = text.p + text.n;
	for (const char *s = text.p; s < end;) {
		const char *amp = memchr(s, '&', (size_t)(end - s));
		amp = amp ? amp : end;
		const char *eq = memchr(s, '=', (size_t)(amp - s));
		struct slx_str name = { s, (size_t)((eq ? eq : amp) - s) }, value = { eq ? eq + 1 : amp, eq ? (size_t)(amp - eq - 1) : 0 };
		if (amp > s) {
			SLX_TRY(grow(a, p, err));
			struct slx_http_pair *pair = &p->v[p->n];
			SLX_TRY(slx_http_unescape(a, name, true, &pair->name, err));
			SLX_TRY(slx_http_unescape(a, value, true, &pair->value, err));
			p->n++;
		}
		s = amp + 1;
	}
	return SILEX_OK;
}

/* "0.25" in thousandths */
static int quality(const char *p, const char *end)
{
	int q = 0, scale = 1000;
	for (bool dot = false; p < end && ((*p >= '0' && *p <= '9') || *p == '.'); p++) {
		if (*p == '.') {
			dot = true;
			continue;
		}
		if (dot)
			scale /= 10;
		q += (*p - '0') * scale;
		if (q > 1000)
			return 1000;
	}
	return q;
}

int slx_http_weight(struct slx_str list, const char *name)
{
	size_t n = strlen(name);
	const char *p = list.p, *end = list.p + list.n;
	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		comma = comma ? comma : end;
		while (p < comma && (*p == ' ' || *p == '\t'))
			p++;
		const char *token = p;
		while (p < comma && *p != ';' && *p != ' ' && *p != '\t')
			p++;
		if ((size_t)(p - token) == n && strncasecmp(token, name, n) == 0) {
			const char *q = memmem(p, (size_t)(comma - p), "q=", 2);
			return q ? quality(q + 2, comma) : 1000;
		}
		p = comma + 1;
	}
	return -1;
}
