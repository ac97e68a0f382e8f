/* What is known beside the samples: metadata of metrics, exemplars of series. */
#include "server/prom/prom_int.h"

void slx_prom_metadata(void *ctx, struct slx_http_exchange *x)
{
	struct slx_answer a;
	uint64_t limit, per_metric;
	if (!slx_prom_limit_param(x, "limit", &limit) || !slx_prom_limit_param(x, "limit_per_metric", &per_metric))
		return;
	slx_answer_begin_json(&a, ctx, x);
	SLX_JSON_LITERAL(&a.b, "{}");
	slx_answer_end_json(&a, NULL, 0, NULL, 0);
}

void slx_prom_query_exemplars(void *ctx, struct slx_http_exchange *x)
{
	struct slx_answer a;
	struct slx_time_range range;
	if (!slx_prom_range_params(x, &range))
		return;
	slx_answer_begin_json(&a, ctx, x);
	SLX_JSON_LITERAL(&a.b, "[]");
	slx_answer_end_json(&a, NULL, 0, NULL, 0);
}
