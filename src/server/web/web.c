/* Serving the page. The names in /assets/ hold a hash of the content, so that browsers may keep them for ever; the page
 * itself is asked for again each time and answered by 304 while it is the same. */
#include "server/web/web.h"
#include "server/web/web_int.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Nothing from elsewhere, nothing inline: a label value that looks like markup stays text. */
static const char policy[] =
	"default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; "
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

static bool equals(struct slx_str s, const char *text) { return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0; }

const struct slx_web_file *slx_web_find(struct slx_str path)
{
	static const char page[] = "/index.html";
	if (equals(path, "/") || equals(path, "/graph"))
		path = (struct slx_str){ page, sizeof page - 1 };
	for (size_t i = 0; i < slx_web_files_n; i++)
		if (equals(path, slx_web_files[i].path))
			return &slx_web_files[i];
	return NULL;
}

/* Cuts the first element off a comma-separated list; blanks around it are left out. */
static bool next_element(struct slx_str *list, struct slx_str *ret)
{
	if (list->n == 0)
		return false;
	const char *comma = memchr(list->p, ',', list->n);
	size_t n = comma ? (size_t)(comma - list->p) : list->n;
	struct slx_str e = { list->p, n };
	size_t skip = comma ? n + 1 : n;
	list->p += skip;
	list->n -= skip;
	while (e.n > 0 && (*e.p == ' ' || *e.p == '\t'))
		e.p++, e.n--;
	while (e.n > 0 && (e.p[e.n - 1] == ' ' || e.p[e.n - 1] == '\t'))
		e.n--;
	*ret = e;
	return true;
}

/* "gzip;q=0" refuses: is there a digit but 0 in the weight, or no weight at all? */
static bool has_weight(struct slx_str e, size_t name_n)
{
	const char *q = memchr(e.p + name_n, '=', e.n - name_n);
	if (!q)
		return true;
	for (q++; q < e.p + e.n; q++)
		if (*q >= '1' && *q <= '9')
			return true;
	return false;
}

bool slx_web_takes_gzip(struct slx_str accept)
{
	struct slx_str e;
	bool any = false;
	while (accept.p && next_element(&accept, &e)) {
		size_t n = 0;
		while (n < e.n && e.p[n] != ';' && e.p[n] != ' ')
			n++;
		if (n == 4 && strncasecmp(e.p, "gzip", 4) == 0)
			return has_weight(e, n);
		if (n == 1 && *e.p == '*')
			any = has_weight(e, n);
	}
	return any;
}

bool slx_web_none_match(struct slx_str header, const char *etag)
{
	struct slx_str e;
	while (header.p && next_element(&header, &e)) {
		if (e.n > 2 && memcmp(e.p, "W/", 2) == 0) /* a proxy that compressed it made it weak */
			e.p += 2, e.n -= 2;
		if (equals(e, etag) || equals(e, "*"))
			return true;
	}
	return false;
}

static void serve(void *ctx, struct slx_http_exchange *x)
{
	struct slx_core *core = ctx;
	const struct slx_web_file *f = slx_web_find(slx_http_path(x));
	if (!f) {
		slx_http_reply_problem(x, 404, "Not Found", "there is no such part of the page");
		return;
	}
	bool gzip = f->gz && slx_web_takes_gzip(slx_http_header(x, "Accept-Encoding"));
	char etag[64];
	snprintf(etag, sizeof etag, "\"%s%s\"", f->tag, gzip ? "-gz" : "");
	slx_http_set_header(x, "ETag", etag);
	slx_http_set_header(
		x, "Cache-Control", strncmp(f->path, "/assets/", 8) == 0 ? "public, max-age=31536000, immutable" : "no-cache");
	slx_http_set_header(x, "X-Content-Type-Options", "nosniff");
	slx_http_set_header(x, "Referrer-Policy", "no-referrer");
	slx_http_set_header(x, "Content-Security-Policy", policy);
	if (slx_web_none_match(slx_http_header(x, "If-None-Match"), etag)) {
		slx_http_reply_text(x, 304, NULL, "");
		return;
	}
	if (gzip) {
		slx_http_set_header(x, "Content-Encoding", "gzip");
		slx_http_set_header(x, "Vary", "Accept-Encoding");
	}
	struct slx_buf body;
	slx_buf_init(&body, core->mem, SLX_MEM_OTHER, f->plain_n);
	slx_buf_put(&body, gzip ? f->gz : f->plain, gzip ? f->gz_n : f->plain_n);
	slx_http_reply(x, 200, f->type, &body);
}

void slx_web_routes(struct slx_http *h, struct slx_core *core)
{
	const unsigned flags = SLX_HTTP_WHEN_REPLAYING | SLX_HTTP_NO_TENANT;
	const struct slx_http_route routes[] = {
		{ .methods = "GET", .path = "/", .handle = serve, .ctx = core, .class = SLX_HTTP_PLAIN, .flags = flags },
		{ .methods = "GET", .path = "/graph", .handle = serve, .ctx = core, .class = SLX_HTTP_PLAIN, .flags = flags },
		{ .methods = "GET",
			.path = "/assets/",
			.handle = serve,
			.ctx = core,
			.class = SLX_HTTP_PLAIN,
			.flags = flags | SLX_HTTP_PREFIX },
	};
	slx_http_add(h, routes, sizeof routes / sizeof *routes);
}
