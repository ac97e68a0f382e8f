/* What functions say about their arguments, in Prometheus' words. */
#include "promql/functions_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct slx_pq_node *slx_pq_range_arg(const struct slx_pq_call *c)
{
	for (size_t i = 0; i < c->node->call.n_args; i++) {
		const struct slx_pq_node *n = slx_pq_arg(c, i);
		if (n->type == SLX_PQ_MATRIX || n->type == SLX_PQ_SUBQUERY)
			return n;
	}
	return slx_pq_arg(c, 0);
}

enum slx_pq_smoothing slx_pq_smoothing(const struct slx_pq_call *c)
{
	const struct slx_pq_node *n = slx_pq_arg(c, 0);
	return n->type == SLX_PQ_MATRIX ? n->matrix.vector->vector.smoothing : SLX_PQ_PLAIN;
}

void slx_pq_note_metric(struct slx_pq_call *c, bool info, const char *what)
{
	slx_pq_note(c->notes, info, slx_pq_arg(c, 0)->pos, "PromQL %s: %s \"%.*s\"", info ? "info" : "warning", what,
		(int)c->metric.n, c->metric.p);
}

void slx_pq_note_mix(struct slx_pq_call *c)
{
	slx_pq_note_metric(c, false, "encountered a mix of histograms and floats for metric name");
}

void slx_pq_note_ignored(struct slx_pq_call *c)
{
	slx_pq_note_metric(c, true, "ignored histograms in a range containing both floats and histograms for metric name");
}

void slx_pq_go_number(double v, char *to, size_t size)
{
	if (!isfinite(v)) {
		snprintf(to, size, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
		return;
	}
	int digits = 1;
	while (digits < 17 && (snprintf(to, size, "%.*e", digits - 1, v), strtod(to, NULL) != v))
		digits++;
	snprintf(to, size, "%.*e", digits - 1, v);
	int exponent = atoi(strchr(to, 'e') + 1);
	if (exponent >= -4 && exponent < 6)
		snprintf(to, size, "%.*f", digits - 1 > exponent ? digits - 1 - exponent : 0, v);
}

void slx_pq_note_quantile(struct slx_pq_call *c, double q, size_t arg)
{
	char text[40];
	if (q >= 0 && q <= 1)
		return;
	slx_pq_go_number(q, text, sizeof text);
	slx_pq_note(c->notes, false, slx_pq_arg(c, arg)->pos,
		"PromQL warning: quantile value should be between 0 and 1, got %s", text);
}

void slx_pq_note_found(struct slx_pq_call *c, unsigned found)
{
	if (found & SLX_PQ_HIST_COLLISION)
		slx_pq_note(c->notes, false, slx_pq_arg(c, 0)->pos, SLX_PQ_COLLISION "aggregation");
	if (found & SLX_PQ_HIST_RECONCILED)
		slx_pq_note(c->notes, true, slx_pq_arg(c, 0)->pos, SLX_PQ_RECONCILED "aggregation");
}

void slx_pq_scratch(const struct slx_pq_call *c, struct slx_arena *ret)
{
	slx_arena_init(ret, c->arena->mem, SLX_MEM_QUERY, 65536);
}

bool slx_pq_finish(struct slx_pq_call *c, struct slx_pq_hist *w, struct slx_pq_value *ret)
{
	size_t before = c->arena->total;
	*ret = (struct slx_pq_value){ .h = slx_pq_hist_finish_to(w, c->arena) };
	slx_arena_clear(w->arena);
	if (!ret->h)
		c->status = slx_err_oom(&c->error);
	else if (c->exec && !slx_pq_book(c->exec, c->arena, before))
		c->status = slx_pq_oom(c->exec, &c->error);
	return c->status == SILEX_OK;
}
