/* retention: the rules in force, and what they take or would take. */
#include "server/native/native_int.h"

#include <silex/retention.h>

static void put_text(struct slx_buf *b, const char *before, const char *key, const char *value)
{
	slx_native_put(b, "%s\"%s\":", before, key);
	if (value)
		slx_json_text(b, slx_str(value));
	else
		slx_native_put_text(b, "null");
}

static void put_rule(struct slx_buf *b, const silex_retention_rule *x)
{
	put_text(b, "{", "tenant", x->tenant);
	put_text(b, ",", "selector", x->selector);
	put_text(b, ",", "rollup", x->rollup);
	put_text(b, ",", "hold", x->hold);
	slx_native_put(b, ",\"keep_ms\":%lld}", (long long)x->keep_ms);
}

void slx_native_retention(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_native_answer a;
	silex_retention *r;
	silex_error err;
	if (silex_get_retention(slx_core_db(n->core), &r, &err) != SILEX_OK) {
		slx_native_fail(x, &err);
		return;
	}
	slx_native_answer_begin(&a, n, x, "application/json");
	put_text(&a.b, "{", "origin", r->origin);
	slx_native_put(&a.b, ",\"size_max\":%llu,\"rules\":[", (unsigned long long)r->size_max);
	for (size_t i = 0; i < r->n_rules; i++) {
		slx_native_put_text(&a.b, i ? "," : "");
		put_rule(&a.b, &r->rules[i]);
	}
	slx_native_put_text(&a.b, "],\"dedup\":[");
	for (size_t i = 0; i < r->n_dedup; i++) {
		put_text(&a.b, i ? ",{" : "{", "tenant", r->dedup[i].tenant);
		slx_native_put(&a.b, ",\"interval_ms\":%lld}", (long long)r->dedup[i].interval_ms);
	}
	slx_native_put_text(&a.b, "]}\n");
	slx_native_answer_end(&a);
	silex_retention_free(slx_core_db(n->core), r);
}

struct expired {
	struct slx_native_answer a;
	size_t n;
};

static void put_time(struct slx_buf *b, const char *key, int64_t ns)
{
	char text[SLX_TIME_TEXT_SIZE];
	slx_time_format(ns, text);
	slx_native_put(b, ",\"%s\":\"%s\"", key, text);
}

static bool put_expired(void *arg, const silex_expired *x)
{
	struct expired *e = arg;
	struct slx_buf *b = &e->a.b;
	put_text(b, e->n++ ? ",{" : "{", "tenant", x->tenant);
	put_text(b, ",", "selector", x->selector);
	put_text(b, ",", "rollup", x->rollup);
	slx_native_put(b, ",\"keep_ms\":%lld,\"series\":%llu,\"points\":%llu,\"bytes\":%llu", (long long)x->keep_ms, (unsigned long long)x->series,
		(unsigned long long)x->points, (unsigned long long)x->bytes);
	put_time(b, "first", x->first);
	put_time(b, "last", x->last);
	slx_native_put_text(b, "}");
	return !b->failed;
}

static const struct slx_native_field apply_fields[] = { { "dry_run", SLX_ARG_BOOL } };

void slx_native_retention_apply(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_native_args args;
	struct expired e = { .n = 0 };
	bool dry_run = false;
	silex_error err;
	if (!slx_native_args(n, x, apply_fields, 1, &args) || !slx_arg_bool(&args, 0, &dry_run))
		return;
	slx_native_answer_begin(&e.a, n, x, "application/json");
	slx_native_put(&e.a.b, "{\"dry_run\":%s,\"expired\":[", dry_run ? "true" : "false");
	if (silex_apply_retention(slx_core_db(n->core), dry_run, put_expired, NULL, &e, &err) != SILEX_OK) {
		slx_native_answer_drop(&e.a);
		slx_native_fail(x, &err);
		return;
	}
	slx_native_put_text(&e.a.b, "]}\n");
	slx_native_answer_end(&e.a);
}
