/* delete, checkpoint, moving blocks to the cold store. */
#include "server/native/native_int.h"

#include <stdio.h>

static void answer_count(struct slx_native *n, struct slx_http_exchange *x, const char *key, uint64_t v)
{
	struct slx_buf b;
	slx_buf_init(&b, n->core->mem, SLX_MEM_OTHER, 4096);
	slx_native_put(&b, "{\"%s\":%llu}\n", key, (unsigned long long)v);
	slx_http_reply(x, 200, "application/json", &b);
}

enum { SELECTOR, START, END, BEFORE, UNIT, DROP };

static const struct slx_native_field delete_fields[] = {
	[SELECTOR] = { "selector", SLX_ARG_LIST },
	[START] = { "start", SLX_ARG_TIME },
	[END] = { "end", SLX_ARG_TIME },
	[BEFORE] = { "before", SLX_ARG_TIME },
	[UNIT] = { "unit", SLX_ARG_TEXT },
	[DROP] = { "drop_tenant", SLX_ARG_BOOL },
};

struct removal {
	struct slx_native_args a;
	struct slx_native_selectors selectors;
	struct slx_time_range range;
	int64_t before;
	bool drop;
};

static bool read_removal(struct removal *r)
{
	const struct slx_native_values *v = r->a.values;
	if (!slx_arg_bool(&r->a, DROP, &r->drop) || !slx_arg_time(&r->a, START, UNIT, &r->range.from) || !slx_arg_time(&r->a, END, UNIT, &r->range.to) ||
		!slx_arg_time(&r->a, BEFORE, UNIT, &r->before) || !slx_arg_selectors(&r->a, SELECTOR, &r->selectors))
		return false;
	unsigned ways = (v[SELECTOR].n > 0) + (v[BEFORE].n > 0) + r->drop;
	if (ways == 1 && (v[SELECTOR].n || (!v[START].n && !v[END].n)))
		return true;
	slx_native_fail_field(r->a.x, "selector", "a selector (with start and end), or before, or drop_tenant: one of them", (struct slx_str){ 0 });
	return false;
}

static silex_status remove_all(struct removal *r, uint64_t *ret, silex_error *err)
{
	silex_db *db = slx_core_db(r->a.n->core);
	struct slx_tenant *tenant;
	const char *name = slx_native_zstr(r->a.x, slx_http_tenant(r->a.x));
	*ret = 0;
	if (!name)
		return slx_err_oom(err);
	if (r->drop)
		return silex_drop_tenant(db, name, err);
	if (r->a.values[BEFORE].n)
		return silex_cleanup(db, name, r->before, ret, err);
	SLX_TRY(slx_engine_tenant(slx_api_engine(db), slx_str(name), &tenant, err));
	for (size_t i = 0; i < r->selectors.n; i++) {
		uint64_t n = 0;
		SLX_TRY(slx_engine_delete(slx_api_engine(db), tenant, &r->selectors.v[i], r->range, &n, err));
		*ret += n;
	}
	return SILEX_OK;
}

void slx_native_delete(void *ctx, struct slx_http_exchange *x)
{
	struct removal r = { .range = SLX_TIME_ALL };
	silex_error err;
	uint64_t points;
	if (slx_native_args(ctx, x, delete_fields, sizeof delete_fields / sizeof *delete_fields, &r.a) && read_removal(&r)) {
		if (remove_all(&r, &points, &err) == SILEX_OK)
			answer_count(ctx, x, "deleted", points);
		else
			slx_native_fail(x, &err);
	}
	slx_native_selectors_free(&r.selectors);
}

void slx_native_checkpoint(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	silex_metrics m = { .size = sizeof m };
	silex_error err;
	silex_db *db = slx_core_db(n->core);
	silex_status st = silex_checkpoint(db, &err);
	if (st == SILEX_OK)
		st = silex_get_metrics(db, &m, &err);
	if (st == SILEX_OK)
		answer_count(n, x, "wal_bytes", m.bytes_wal);
	else
		slx_native_fail(x, &err);
}

/* ---- tiers ---- */

enum { AFTER, REMOVE_NOW };

static const struct slx_native_field tier_fields[] = {
	[AFTER] = { "after", SLX_ARG_SPAN },
	[REMOVE_NOW] = { "remove_now", SLX_ARG_BOOL },
};

void slx_native_tier_move(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_native_args a;
	silex_tier_options o;
	silex_tier_report r;
	silex_error err;
	int64_t after = 0;
	struct slx_buf b;
	silex_tier_options_init(&o);
	if (!slx_native_args(n, x, tier_fields, sizeof tier_fields / sizeof *tier_fields, &a) || !slx_arg_span(&a, AFTER, &after) ||
		!slx_arg_bool(&a, REMOVE_NOW, &o.remove_now))
		return;
	o.after_ms = after / SLX_MS;
	if (silex_tier_move(slx_core_db(n->core), &o, &r, &err) != SILEX_OK) {
		slx_native_fail(x, &err);
		return;
	}
	slx_buf_init(&b, n->core->mem, SLX_MEM_OTHER, 4096);
	slx_native_put(&b, "{\"blocks\":%llu,\"bytes\":%llu,\"removed\":%llu}\n", (unsigned long long)r.blocks, (unsigned long long)r.bytes,
		(unsigned long long)r.removed);
	slx_http_reply(x, 200, "application/json", &b);
}
