#include "base/clock.h"
#include "server/ingest/ingest_int.h"
#include "server/ingest/otlp_delta.h"

#include <stdio.h>

silex_status slx_ingest_init(struct slx_ingest *i, struct slx_core *core, silex_error *err)
{
	*i = (struct slx_ingest){ .core = core };
	return slx_otlp_deltas_new(core->mem, atomic_load(&core->config)->otlp.delta_series_max, &i->deltas, err);
}

void slx_ingest_open(struct slx_ingest *i, struct slx_intake *intake) { atomic_store(&i->intake, intake); }

void slx_ingest_free(struct slx_ingest *i) { slx_otlp_deltas_free(i->deltas); }

silex_status slx_ingest_begin(struct slx_ingest *i, struct slx_http_exchange *x, struct slx_intake_batch **ret, silex_error *err)
{
	struct slx_intake *intake = atomic_load(&i->intake);
	if (!intake)
		return slx_err(err, SILEX_UNAVAILABLE, "the database is not open yet; try again");
	bool backfill;
	SLX_TRY(slx_intake_read_backfill(slx_http_param(x, "backfill", 0), &backfill, err));
	SLX_TRY(slx_intake_begin(intake, slx_http_tenant(x), ret, err));
	if (backfill)
		slx_intake_backfill(*ret);
	return SILEX_OK;
}

int64_t slx_ingest_now(struct slx_ingest *i) { return slx_wall_ns(slx_engine_clock(slx_api_engine(atomic_load(&i->core->db)))); }

bool slx_ingest_is_retryable(silex_status st) { return st == SILEX_RESOURCE_EXHAUSTED || st == SILEX_UNAVAILABLE || st == SILEX_DEADLINE_EXCEEDED; }

silex_status slx_ingest_extra(struct slx_http_exchange *x, const struct slx_label **ret, size_t *ret_n, silex_error *err)
{
	size_t n = 0;
	struct slx_label *labels = slx_arena_alloc(slx_http_arena(x), SLX_INGEST_EXTRA_MAX * sizeof *labels, 8);
	if (!labels)
		return slx_err_oom(err);
	struct slx_str p;
	for (size_t i = 0; (p = slx_http_param(x, "extra_label", i)).p; i++) {
		const char *eq = memchr(p.p, '=', p.n);
		if (!eq || eq == p.p)
			return slx_err(err, SILEX_INVALID, "extra_label \"%.*s\": expected name=value", (int)(p.n < 80 ? p.n : 80), p.p);
		if (n == SLX_INGEST_EXTRA_MAX)
			return slx_err(err, SILEX_INVALID, "extra_label: at most %d", SLX_INGEST_EXTRA_MAX);
		labels[n++] = (struct slx_label){ { p.p, (size_t)(eq - p.p) }, { eq + 1, p.n - (size_t)(eq + 1 - p.p) } };
	}
	*ret = labels;
	*ret_n = n;
	return SILEX_OK;
}

void slx_ingest_routes(struct slx_http *h, struct slx_ingest *i)
{
	slx_remote_write_routes(h, i);
	slx_influx_routes(h, i);
	slx_import_routes(h, i);
	slx_otlp_routes(h, i);
}
