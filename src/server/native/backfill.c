/* backfill: the recording rules of a file over the past. The answer is lines of JSON: how far it is, then how much was written,
 * or why it ended. */
#include "rules/group/group.h"
#include "server/core/json.h"
#include "server/native/native_int.h"

#include <stdio.h>

enum { FROM, TO, UNIT, FILE_NAME, RULES };

static const struct slx_native_field fields[] = {
	[FROM] = { "from", SLX_ARG_TIME },
	[TO] = { "to", SLX_ARG_TIME },
	[UNIT] = { "unit", SLX_ARG_TEXT },
	[FILE_NAME] = { "file", SLX_ARG_TEXT },
	[RULES] = { "rules", SLX_ARG_TEXT },
};

static bool tell(void *arg, size_t done, size_t n)
{
	char line[80];
	int size = snprintf(line, sizeof line, "{\"done\":%zu,\"total\":%zu}\n", done, n);
	return slx_http_stream_write(arg, line, (size_t)size);
}

static void end(struct slx_http_exchange *x, silex_status status, uint64_t samples, const silex_error *err)
{
	struct slx_buf b;
	slx_buf_init(&b, slx_http_core(x)->mem, SLX_MEM_OTHER, 4096);
	if (status == SILEX_OK) {
		slx_native_put(&b, "{\"samples\":%llu}\n", (unsigned long long)samples);
	} else {
		SLX_JSON_LITERAL(&b, "{\"error\":");
		slx_json_text(&b, slx_str(err->message));
		SLX_JSON_LITERAL(&b, "}\n");
	}
	slx_http_stream_write(x, b.p, b.n);
	slx_buf_free(&b);
	slx_http_stream_end(x);
}

static void run(struct slx_native *n, struct slx_http_exchange *x, struct slx_rule_file *f, struct slx_time_range range)
{
	const struct slx_config *c = slx_core_config(n->core);
	const struct slx_rule_env env = { .engine = slx_native_engine(n), .lookback_ms = c->promql.lookback / SLX_MS, .timeout_ns = c->promql.timeout,
		.samples_max = c->promql.samples_max, .experimental = c->promql.experimental, .canceled = slx_http_canceled(x) };
	uint64_t samples = 0;
	silex_error err = { 0 };
	if (!slx_http_stream_begin(x, 200, "application/stream+json"))
		return;
	silex_status status = slx_rule_file_backfill(&env, slx_http_tenant(x), f, range, tell, x, &samples, &err);
	end(x, status, samples, &err);
}

/* false: the error has been answered. */
static bool read_range(const struct slx_native_args *a, struct slx_time_range *ret)
{
	*ret = (struct slx_time_range){ INT64_MAX, INT64_MIN };
	if (!slx_arg_time(a, FROM, UNIT, &ret->from) || !slx_arg_time(a, TO, UNIT, &ret->to))
		return false;
	if (a->values[FROM].n == 0 || a->values[TO].n == 0 || slx_range_empty(*ret))
		slx_native_fail_field(a->x, a->values[FROM].n ? "to" : "from", "a time; the range must not end before it begins", (struct slx_str){ 0 });
	return a->values[FROM].n && a->values[TO].n && !slx_range_empty(*ret);
}

void slx_native_backfill(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_native_args a;
	struct slx_time_range range;
	struct slx_rule_file *f;
	silex_error err;
	if (!slx_native_args(n, x, fields, sizeof fields / sizeof *fields, &a) || !read_range(&a, &range))
		return;
	struct slx_str rules = slx_arg_text(&a, RULES), name = slx_arg_text(&a, FILE_NAME);
	const char *file = slx_native_zstr(x, name.n ? name : SLX_STR("rules.yml"));
	silex_status status = file ? SILEX_OK : slx_err_oom(&err);
	if (status == SILEX_OK)
		status = slx_rule_file_parse(n->core->mem, file, rules.p, rules.n, slx_core_config(n->core)->promql.experimental, &f, &err);
	if (status != SILEX_OK) {
		slx_native_fail_of(x, "rules", &err);
		return;
	}
	run(n, x, f, range);
	slx_rule_file_unref(f);
}
