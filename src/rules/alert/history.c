/* The history of alerts: all changes in range of the journal's series that match, gathered, sorted by time, the newest first. */
#include "rules/alert/alert_int.h"

#include <stdlib.h>

enum { BYTES_MAX = 64 << 20 };

/* A change: where its value and its series' labels lie in `bytes`. */
struct row {
	int64_t t;
	uint64_t rule;
	size_t labels_at, labels_n, value_at, value_n;
};

struct history {
	struct slx_alerts *a;
	struct slx_buf rows, bytes;
	struct slx_labels_builder b;
};

static struct row *rows_of(const struct history *h) { return (struct row *)(void *)h->rows.p; }

static silex_status gather_series(struct history *h, struct slx_blob_reader *r, size_t i, struct slx_time_range range, silex_error *err)
{
	struct row row = { .labels_at = h->bytes.n };
	struct slx_labels labels;
	struct slx_run run;
	SLX_TRY(slx_alert_unseries(slx_selection_labels(r->sel, i), &h->b, &row.rule, &labels, err));
	slx_buf_put(&h->bytes, labels.p, labels.n);
	row.labels_n = labels.n;
	SLX_TRY(slx_blob_reader_series(r, i, range, err));
	do {
		SLX_TRY(slx_blob_reader_next(r, &run, err));
		for (size_t k = 0; k < run.n; k++) {
			struct slx_str v = slx_value_bytes(run.bits[k]);
			row.t = run.ts[k];
			row.value_at = h->bytes.n;
			row.value_n = v.n;
			slx_buf_put(&h->bytes, v.p, v.n);
			slx_buf_put(&h->rows, &row, sizeof row);
		}
	} while (run.n && !h->rows.failed && !h->bytes.failed);
	if (h->rows.failed || h->bytes.failed)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "history of alerts: more than %d MB of changes; narrow the range or the selector", BYTES_MAX >> 20);
	return SILEX_OK;
}

static int newest_first(const void *x, const void *y)
{
	const struct row *a = x, *b = y;
	return a->t != b->t ? (a->t < b->t) - (a->t > b->t) : (a->labels_at > b->labels_at) - (a->labels_at < b->labels_at);
}

static silex_status give(struct history *h, struct slx_str tenant, uint64_t limit, slx_alert_event_fn *each, void *arg, silex_error *err)
{
	const struct row *row = rows_of(h);
	size_t n = h->rows.n / sizeof *row;
	bool more = true;
	for (size_t i = 0; i < n && more && (limit == 0 || i < limit); i++) {
		struct slx_alert_record r;
		struct slx_labels labels = { h->bytes.p + row[i].labels_at, row[i].labels_n };
		SLX_TRY(slx_alert_record_decode((struct slx_str){ (const char *)h->bytes.p + row[i].value_at, row[i].value_n }, &r, err));
		const struct slx_alert_rule rule = { .id = row[i].rule, .tenant = tenant, .group = r.group, .name = r.name, .expr = r.expr,
			.interval_ns = r.interval_ns, .origin = r.origin };
		struct slx_alert_event e = { .from = r.from, .at_ns = row[i].t,
			.alert = { .rule = &rule, .labels = labels, .annotations = r.annotations, .state = r.to, .active_ns = r.active_ns, .fired_ns = r.fired_ns,
				.resolved_ns = r.resolved_ns, .changed_ns = row[i].t, .value = r.value,
				.fingerprint = slx_alert_fingerprint(tenant, row[i].rule, labels) } };
		e.id = slx_alert_event_id(e.alert.fingerprint, r.to, row[i].t);
		more = each(arg, &e);
	}
	return SILEX_OK;
}

/* The caller's matchers, after one that selects the journal. */
static silex_status matchers(struct slx_mem *m, const struct slx_selector *sel, struct slx_matcher ***ret, size_t *ret_n, silex_error *err)
{
	size_t n = 1 + (sel ? sel->n : 0);
	struct slx_matcher **ms = slx_calloc(m, SLX_MEM_QUERY, n * sizeof *ms);
	if (!ms)
		return slx_err_oom(err);
	for (size_t i = 1; i < n; i++)
		ms[i] = sel->matchers[i - 1];
	*ret = ms;
	*ret_n = n;
	return slx_matcher_new(m, SLX_MATCH_EQ, SLX_METRIC_NAME, SLX_STR("alert"), &ms[0], err);
}

static silex_status gather(struct history *h, struct slx_str tenant, struct slx_matcher *const *ms, size_t n, struct slx_time_range range, silex_error *err)
{
	char room[SLX_ALERT_TENANT_SIZE];
	struct slx_blob_reader r;
	silex_status status = slx_blob_reader_begin(&r, h->a->engine, slx_alert_tenant(tenant, room), ms, n, range, err);
	for (size_t i = 0, count = status == SILEX_OK ? slx_selection_count(r.sel) : 0; i < count && status == SILEX_OK; i++)
		status = gather_series(h, &r, i, range, err);
	if (status == SILEX_OK)
		status = slx_blob_reader_damage(&r, err);
	slx_blob_reader_end(&r);
	return status;
}

silex_status slx_alerts_history(struct slx_alerts *a, struct slx_str tenant, const struct slx_selector *sel, struct slx_time_range range, uint64_t limit,
	slx_alert_event_fn *each, void *arg, silex_error *err)
{
	struct history h = { .a = a };
	struct slx_matcher **ms = NULL;
	size_t n = 0;
	slx_buf_init(&h.rows, a->mem, SLX_MEM_QUERY, BYTES_MAX);
	slx_buf_init(&h.bytes, a->mem, SLX_MEM_QUERY, BYTES_MAX);
	slx_labels_builder_init(&h.b, a->mem, SLX_MEM_QUERY, NULL);
	silex_status status = matchers(a->mem, sel, &ms, &n, err);
	if (status == SILEX_OK)
		status = gather(&h, tenant, ms, n, range, err);
	if (status == SILEX_OK && h.rows.n)
		qsort(h.rows.p, h.rows.n / sizeof(struct row), sizeof(struct row), newest_first);
	if (status == SILEX_OK)
		status = give(&h, tenant, limit, each, arg, err);
	if (ms)
		slx_matcher_free(ms[0]);
	slx_free(a->mem, SLX_MEM_QUERY, ms, n * sizeof *ms);
	slx_labels_builder_free(&h.b);
	slx_buf_free(&h.rows);
	slx_buf_free(&h.bytes);
	return status;
}
