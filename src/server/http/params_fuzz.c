/* Fuzz: query strings, forms, paths against routes, list headers. */
#include "server/http/http_int.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void nothing(void *ctx, struct slx_http_exchange *x) {}

static const struct slx_http_route routes[] = {
	{ .methods = "GET,POST", .path = "/a", .handle = nothing },
	{ .methods = "GET", .path = "/label/{name}/values", .handle = nothing },
	{ .methods = "DELETE", .path = "/{x}/{y}/{z}", .handle = nothing },
	{ .methods = "GET", .path = "/static/", .handle = nothing, .flags = SLX_HTTP_PREFIX },
};

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct slx_mem m;
	struct slx_arena a;
	struct slx_http_params params = { 0 };
	struct slx_http_found found = { 0 };
	slx_mem_init(&m, NULL);
	slx_arena_init(&a, &m, SLX_MEM_OTHER, 65536);
	struct slx_http_routes *r = slx_http_routes_new(&m);
	for (size_t i = 0; r && i < sizeof routes / sizeof *routes; i++)
		slx_http_routes_add(r, &routes[i]);
	char *text = malloc(n + 1); /* headers and targets end with a zero byte */
	if (text && r) {
		struct slx_str s = { text, n }, path;
		memcpy(text, p, n);
		text[n] = 0;
		if (slx_http_params_parse(&a, s, &params, NULL) == SILEX_OK)
			for (size_t i = 0; i < params.n; i++)
				if (params.v[i].name.n > n || params.v[i].value.n > n)
					abort();
		if (slx_http_unescape(&a, s, false, &path, NULL) == SILEX_OK && slx_http_routes_find(r, s, path, SLX_METHOD_GET, &a, &found, NULL) == SILEX_OK)
			for (size_t i = 0; i < found.n_segments; i++)
				if (found.segments[i].value.n == 0 || found.segments[i].value.n > n)
					abort();
		int w = slx_http_weight(s, "gzip");
		if (w < -1 || w > 1000)
			abort();
	}
	free(text);
	slx_http_routes_free(r);
	slx_arena_clear(&a);
	if (slx_mem_total(&m) != 0)
		abort();
	return 0;
}
