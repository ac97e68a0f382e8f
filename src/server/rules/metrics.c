/* What there is to watch about rules, in Prometheus' words where it has them. */
#include "server/rules/rules_int.h"

#include <stdio.h>

struct totals {
	uint64_t groups, rules, evaluations, failures, iterations, missed, corrections, failing;
};

static bool add(void *arg, struct slx_rule_group *g)
{
	struct totals *t = arg;
	slx_rule_group_lock(g);
	t->groups++;
	t->rules += g->def->n_rules;
	t->iterations += g->iterations;
	t->missed += g->missed;
	t->corrections += g->corrections;
	for (size_t i = 0; i < g->def->n_rules; i++) {
		t->evaluations += g->rules[i].evaluations;
		t->failures += g->rules[i].failures;
		t->failing += g->rules[i].health == SLX_RULE_ERR;
	}
	slx_rule_group_unlock(g);
	return true;
}

static void collect(void *ctx, struct slx_metrics_writer *w)
{
	struct slx_server_rules *r = ctx;
	struct totals t = { 0 };
	struct slx_alert_counts c;
	slx_rules_each(r->rules, (struct slx_str){ 0 }, add, &t);
	slx_alerts_count(r->alerts, &c);
	slx_metrics_emit(w, SLX_GAUGE, "silex_rule_groups", "Groups of rule files.", "", (double)t.groups);
	slx_metrics_emit(w, SLX_GAUGE, "silex_rule_group_rules", "Rules of rule files.", "", (double)t.rules);
	slx_metrics_emit(w, SLX_GAUGE, "silex_rules_failing", "Rules whose last evaluation failed.", "", (double)t.failing);
	slx_metrics_emit(w, SLX_COUNTER, "silex_rule_evaluations_total", "Evaluations of rules.", "", (double)t.evaluations);
	slx_metrics_emit(w, SLX_COUNTER, "silex_rule_evaluation_failures_total", "Those that failed.", "", (double)t.failures);
	slx_metrics_emit(w, SLX_COUNTER, "silex_rule_group_iterations_total", "Evaluations of whole groups.", "", (double)t.iterations);
	slx_metrics_emit(w, SLX_COUNTER, "silex_rule_group_iterations_missed_total", "Left out because the one before took too long.", "", (double)t.missed);
	slx_metrics_emit(w, SLX_COUNTER, "silex_rule_group_corrections_total", "Recording rules evaluated again for late samples, by group.", "", (double)t.corrections);
	slx_metrics_emit(w, SLX_GAUGE, "silex_alerts", "Active alerts of all kinds of rules.", "state=\"pending\"", (double)c.pending);
	slx_metrics_emit(w, SLX_GAUGE, "silex_alerts", "Active alerts of all kinds of rules.", "state=\"firing\"", (double)c.firing);
	slx_metrics_emit(w, SLX_COUNTER, "silex_alert_changes_total", "Changes of alerts that went into the journal.", "", (double)c.changes);
	slx_metrics_emit(w, SLX_COUNTER, "silex_alert_changes_failed_total", "Changes that could not be written; they are tried again.", "", (double)c.failed);
}

void slx_server_rules_metrics(struct slx_server_rules *r) { slx_metrics_collector(r->core->metrics, collect, r); }
