/* rollups: what is built, and building again. */
#include "server/native/native_int.h"

#include <silex/rollup.h>

#include <stdio.h>

struct listing {
	struct slx_native_answer a;
	size_t n;
};

static bool put_rollup(void *arg, const silex_rollup *r)
{
	struct listing *l = arg;
	struct slx_buf *b = &l->a.b;
	char time[SLX_TIME_TEXT_SIZE];
	slx_native_put_text(b, l->n++ ? ",{\"tenant\":" : "{\"tenant\":");
	slx_json_text(b, slx_str(r->tenant));
	slx_native_put_text(b, ",\"selector\":");
	slx_json_text(b, slx_str(r->selector));
	slx_native_put(b, ",\"level\":\"%s\",\"width_ms\":%lld,\"built\":", r->level, (long long)r->width_ms);
	if (r->built == SILEX_ROLLUP_NOTHING_BUILT) {
		slx_native_put_text(b, "null");
	} else {
		slx_time_format(r->built, time);
		slx_native_put(b, "\"%s\"", time);
	}
	slx_native_put(b, ",\"late\":%llu,\"buckets\":%llu}", (unsigned long long)r->late, (unsigned long long)r->buckets);
	return !b->failed;
}

void slx_native_rollups(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct listing l = { .n = 0 };
	silex_error err;
	slx_native_answer_begin(&l.a, n, x, "application/json");
	slx_native_put_text(&l.a.b, "{\"rollups\":[");
	if (silex_rollup_list(slx_core_db(n->core), put_rollup, &l, &err) != SILEX_OK) {
		slx_native_answer_drop(&l.a);
		slx_native_fail(x, &err);
		return;
	}
	slx_native_put_text(&l.a.b, "]}\n");
	slx_native_answer_end(&l.a);
}

enum { START, END, UNIT, FIELDS };
static const struct slx_native_field rebuild_fields[FIELDS] = { { "start", SLX_ARG_TIME }, { "end", SLX_ARG_TIME }, { "unit", SLX_ARG_TEXT } };

static bool go_on(void *arg, const char *stage, uint64_t done, uint64_t total)
{
	const _Atomic bool *canceled = arg;
	(void)stage;
	(void)done;
	(void)total;
	return !canceled || !atomic_load_explicit(canceled, memory_order_relaxed);
}

void slx_native_rollups_rebuild(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_native_args args;
	struct slx_native_answer a;
	char tenant[SLX_TENANT_SIZE_MAX + 1];
	int64_t start = SLX_TIME_MIN, end = SLX_TIME_MAX;
	silex_error err;
	struct slx_str name = slx_http_tenant(x);
	if (!slx_native_args(n, x, rebuild_fields, FIELDS, &args) || !slx_arg_time(&args, START, UNIT, &start) || !slx_arg_time(&args, END, UNIT, &end))
		return;
	snprintf(tenant, sizeof tenant, "%.*s", (int)name.n, name.p);
	if (silex_rollup_rebuild(slx_core_db(n->core), tenant, start, end, go_on, (void *)(uintptr_t)slx_http_canceled(x), &err) != SILEX_OK) {
		slx_native_fail(x, &err);
		return;
	}
	slx_native_answer_begin(&a, n, x, "application/json");
	slx_native_put_text(&a.b, "{\"rebuilt\":true}\n");
	slx_native_answer_end(&a);
}
