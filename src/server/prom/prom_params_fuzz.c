/* Parameters of the HTTP API: what is read lies in its bounds, what is printed of foreign bytes is JSON in UTF-8. */
#include "server/core/json.h"
#include "server/prom/params.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_text(struct slx_buf *b, struct slx_str s)
{
	slx_buf_reset(b);
	slx_json_text(b, s);
	check(b->failed || (b->n >= 2 && b->p[0] == '"' && b->p[b->n - 1] == '"' && slx_utf8_valid((const char *)b->p, b->n)));
	for (size_t i = 1; !b->failed && i + 1 < b->n; i++) {
		check(b->p[i] >= 0x20 && b->p[i] != '"');
		if (b->p[i] == '\\')
			check(++i + 1 < b->n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_str s = { (const char *)data, size };
	struct slx_mem mem;
	struct slx_buf b;
	silex_error err = { 0 };
	int64_t t;
	uint64_t n;
	slx_mem_init(&mem, NULL);
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, 1 << 20);
	if (slx_prom_parse_time(s, &t, &err) == SILEX_OK)
		check(t >= SLX_PROM_MS_MIN && t <= SLX_PROM_MS_MAX);
	slx_prom_parse_duration(s, &t, &err);
	if (slx_prom_parse_limit(s, &n, &err) == SILEX_OK)
		check(n <= INT64_MAX);
	slx_prom_unescape_name(s, &b);
	check(b.n <= size + 1);
	check_text(&b, s);
	check_text(&b, slx_str(err.message));
	slx_buf_free(&b);
	return 0;
}
