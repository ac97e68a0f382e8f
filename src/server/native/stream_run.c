/* What subscriptions are sent.
 *
 * New samples are found by looking: every 250 ms, and only when the engine's counter of samples moved, each series of the selector
 * is scanned from the newest time that was told. So a sample that comes late (older than one told before) is not sent, and of two
 * with one time the first is. A series that was not there before is told with all it has. The first look only notes what is there. */
#include "server/native/stream_int.h"

#include <stdio.h>
#include <time.h>

enum {
	PIECE_SIZE = 128 << 10,   /* of a message; a new one begins */
	MESSAGE_MAX = 16 << 20,
	POINTS_AT_ONCE = 512,
	ALERTS_MAX = 20000,
	LOOKS_AFTER = 3, /* a counter may move before its samples can be seen */
};

/* ---- series that were told ---- */

static bool seen_grow(struct slx_stream_sub *sub)
{
	struct slx_mem *m = sub->n->core->mem;
	size_t cap = sub->seen_cap ? sub->seen_cap * 2 : 64;
	struct slx_stream_seen *p = slx_calloc(m, SLX_MEM_OTHER, cap * sizeof *p);
	if (!p)
		return false;
	for (size_t i = 0; i < sub->seen_cap; i++) {
		size_t k = sub->seen[i].id.lo & (cap - 1);
		while (sub->seen[i].used && p[k].used)
			k = (k + 1) & (cap - 1);
		if (sub->seen[i].used)
			p[k] = sub->seen[i];
	}
	slx_free(m, SLX_MEM_OTHER, sub->seen, sub->seen_cap * sizeof *p);
	sub->seen = p;
	sub->seen_cap = cap;
	return true;
}

/* NULL: out of memory. */
static struct slx_stream_seen *seen_get(struct slx_stream_sub *sub, struct slx_hash128 id)
{
	if (sub->seen_n * 2 >= sub->seen_cap && !seen_grow(sub))
		return NULL;
	size_t k = id.lo & (sub->seen_cap - 1);
	for (; sub->seen[k].used; k = (k + 1) & (sub->seen_cap - 1))
		if (sub->seen[k].id.lo == id.lo && sub->seen[k].id.hi == id.hi)
			return &sub->seen[k];
	sub->seen_n++;
	sub->seen[k] = (struct slx_stream_seen){ .id = id, .last = SLX_TIME_MIN, .used = true };
	return &sub->seen[k];
}

static struct slx_identity who(const struct slx_stream_sub *sub) { return (struct slx_identity){ .tenant = slx_str(sub->tenant) }; }

/* The newest time of every series. */
static silex_status note_newest(struct slx_stream_sub *sub, silex_error *err)
{
	struct slx_query_plan plan = { .who = who(sub), .selectors = &sub->selector, .n_selectors = 1, .range = SLX_TIME_ALL, .descending = true,
		.limit_per_series = 1 };
	struct slx_query_cursor *c;
	struct slx_query_rows r;
	silex_status st;
	SLX_TRY(slx_query_open(slx_api_querier(slx_core_db(sub->n->core)), &plan, &c, err));
	while ((st = slx_query_next(c, &r, err)) == SILEX_OK && r.n) {
		struct slx_stream_seen *seen = seen_get(sub, slx_series_id(slx_str(sub->tenant), r.labels));
		if (!seen) {
			st = slx_err_oom(err);
			break;
		}
		seen->last = r.times[0];
	}
	slx_query_close(c);
	return st;
}

/* ---- new samples ---- */

struct look {
	struct slx_stream *s;
	struct slx_stream_sub *sub;
	struct slx_snapshot *snap;
	struct slx_selection *sel;
	struct slx_scan *scan;
	struct slx_parts parts;
	struct slx_buf b;
	uint64_t samples; /* in b */
	bool any;         /* a series in b */
};

static void begin_message(struct look *l)
{
	slx_buf_reset(&l->b);
	slx_native_put(&l->b, "{\"id\":%llu,\"type\":\"samples\",\"series\":[", (unsigned long long)l->sub->id);
	l->samples = 0;
	l->any = false;
}

/* What was dropped is told before what comes after it. */
static void tell_dropped(struct look *l)
{
	struct slx_buf b;
	if (!l->sub->dropped)
		return;
	slx_buf_init(&b, l->b.mem, SLX_MEM_OTHER, 4096);
	slx_native_put(&b, "{\"id\":%llu,\"type\":\"dropped\",\"samples\":%llu}", (unsigned long long)l->sub->id, (unsigned long long)l->sub->dropped);
	if (!b.failed && slx_stream_send(l->s, l->sub, &b))
		l->sub->dropped = 0;
	slx_buf_free(&b);
}

static void send_message(struct look *l)
{
	if (!l->samples)
		return;
	slx_native_put_text(&l->b, "]}");
	tell_dropped(l);
	if (l->b.failed || l->sub->dropped || !slx_stream_send(l->s, l->sub, &l->b))
		l->sub->dropped += l->samples;
	begin_message(l);
}

static void open_series(struct look *l, size_t i)
{
	slx_native_put_text(&l->b, l->any ? ",{\"labels\":" : "{\"labels\":");
	slx_json_labels(&l->b, slx_selection_labels(l->sel, i));
	slx_native_put_text(&l->b, ",\"values\":[");
	l->any = true;
}

static void put_sample(struct look *l, enum slx_kind kind, int64_t t, uint64_t bits)
{
	int64_t ms = slx_window_index(t, SLX_MS, 0);
	double v = slx_bits_number(kind, bits);
	const char *state = kind == SLX_KIND_ENUM ? slx_snapshot_state(l->snap, (uint32_t)bits) : NULL;
	bool stale = kind == SLX_KIND_FLOAT64 && bits == SLX_STALE_NAN;
	if (!stale && !state) {
		slx_json_points(&l->b, &ms, &v, 0, 1);
		return;
	}
	slx_native_put_text(&l->b, "[");
	slx_json_time(&l->b, ms);
	slx_native_put_text(&l->b, ",");
	if (stale)
		slx_native_put_text(&l->b, "null");
	else
		slx_json_text(&l->b, slx_str(state));
	slx_native_put_text(&l->b, "]");
}

/* The samples of one series; a message that grows long is sent and another begun. */
static silex_status look_at(struct look *l, size_t i, silex_error *err)
{
	struct slx_stream_seen *seen = seen_get(l->sub, slx_selection_id(l->sel, i));
	struct slx_run run;
	bool more, open = false;
	if (!seen)
		return slx_err_oom(err);
	struct slx_time_range range = { slx_time_add(seen->last, seen->last > SLX_TIME_MIN), SLX_TIME_MAX };
	SLX_TRY(slx_snapshot_check(l->snap, err));
	SLX_TRY(slx_snapshot_collect(l->snap, l->sel, i, range, &l->parts, err));
	slx_scan_start(l->scan, l->parts.parts, l->parts.n, l->parts.hides, l->parts.n_hides, range);
	for (;;) {
		SLX_TRY(slx_scan_next(l->scan, &run, &more, err));
		if (!more)
			break;
		SLX_TRY(slx_scan_decode(l->scan, &run, err));
		seen->last = run.ts[run.n - 1];
		for (size_t k = 0; k < run.n && !slx_kind_is_bytes(run.kind); k++) {
			if (open && l->b.n > PIECE_SIZE) {
				slx_native_put_text(&l->b, "]}");
				send_message(l);
				open = false;
			}
			if (!open)
				open_series(l, i);
			else
				slx_native_put_text(&l->b, ",");
			open = true;
			put_sample(l, run.kind, run.ts[k], run.bits[k]);
			l->samples++;
		}
	}
	if (open)
		slx_native_put_text(&l->b, "]}");
	return SILEX_OK;
}

static silex_status look_at_all(struct look *l, silex_error *err)
{
	struct slx_engine *e = slx_native_engine(l->s->n);
	SLX_TRY(slx_snapshot_new(e, who(l->sub), &l->snap, err));
	SLX_TRY(slx_scan_new(l->b.mem, slx_engine_codecs(e), &l->scan, err));
	SLX_TRY(slx_snapshot_select(l->snap, l->sub->selector.matchers, l->sub->selector.n, SLX_TIME_ALL, &l->sel, err));
	if (slx_selection_count(l->sel) > SLX_STREAM_SERIES_MAX)
		return slx_err(err, SILEX_INVALID, "the selector has %zu series; a subscription has at most %d", slx_selection_count(l->sel), SLX_STREAM_SERIES_MAX);
	for (size_t i = 0; i < slx_selection_count(l->sel) && !atomic_load(&l->sub->gone); i++)
		SLX_TRY(look_at(l, i, err));
	return SILEX_OK;
}

static silex_status find_new(struct slx_stream *s, struct slx_stream_sub *sub, silex_error *err)
{
	struct look l = { .s = s, .sub = sub };
	struct slx_mem *m = slx_engine_mem(slx_native_engine(s->n));
	slx_buf_init(&l.b, m, SLX_MEM_QUERY, MESSAGE_MAX);
	slx_parts_init(&l.parts, m);
	begin_message(&l);
	silex_status st = look_at_all(&l, err);
	send_message(&l);
	tell_dropped(&l);
	slx_selection_free(l.sel);
	slx_scan_free(l.scan);
	slx_parts_free(&l.parts);
	slx_snapshot_free(l.snap);
	slx_buf_free(&l.b);
	return st;
}

/* Whether anything may have come since the last look. */
static bool moved(struct slx_stream_sub *sub)
{
	silex_metrics m = { .size = sizeof m };
	slx_engine_metrics(slx_native_engine(sub->n), &m);
	sub->quiet = m.points_ingested == sub->ingested ? sub->quiet + 1 : 0;
	sub->ingested = m.points_ingested;
	return sub->quiet < LOOKS_AFTER || sub->dropped;
}

static bool run_samples(struct slx_stream *s, struct slx_stream_sub *sub)
{
	silex_error err;
	if (!sub->begun && note_newest(sub, &err) != SILEX_OK) {
		slx_stream_send_error(s, sub, err.message);
		return false;
	}
	if (!sub->begun || !moved(sub))
		return true;
	silex_status st = find_new(s, sub, &err);
	if (st == SILEX_INVALID)
		slx_stream_send_error(s, sub, err.message);
	return st != SILEX_INVALID; /* a snapshot that was taken back, memory: again at the next look */
}

/* ---- results of queries ---- */

static void put_points(struct slx_buf *b, const struct slx_promql_series *series, bool vector)
{
	if (series->n) {
		slx_native_put_text(b, vector ? ",\"value\":" : ",\"values\":[");
		for (size_t i = 0; i < series->n; i += POINTS_AT_ONCE) {
			size_t n = series->n - i < POINTS_AT_ONCE ? series->n - i : POINTS_AT_ONCE;
			if (i)
				slx_buf_u8(b, ',');
			slx_json_points(b, &series->points[i].t_ms, &series->points[i].v, sizeof *series->points, n);
		}
		slx_native_put_text(b, vector ? "" : "]");
	}
	for (size_t i = 0; i < series->n_histograms; i++) {
		slx_native_put_text(b, i ? ",[" : vector ? ",\"histogram\":[" : ",\"histograms\":[[");
		slx_json_time(b, series->histograms[i].t_ms);
		slx_buf_u8(b, ',');
		slx_json_histogram(b, series->histograms[i].h);
		slx_buf_u8(b, ']');
	}
	if (series->n_histograms && !vector)
		slx_buf_u8(b, ']');
}

/* The data of /api/v1/query. */
static void put_result(struct slx_buf *b, const struct slx_promql_result *r)
{
	static const char *const types[] = { "none", "scalar", "vector", "matrix", "string" };
	bool vector = r->type == SLX_PROMQL_VECTOR;
	slx_native_put(b, "{\"resultType\":\"%s\",\"result\":", types[r->type]);
	if (r->type == SLX_PROMQL_SCALAR) {
		slx_json_points(b, &r->scalar.t_ms, &r->scalar.v, 0, 1);
	} else if (r->type == SLX_PROMQL_STRING) {
		slx_native_put_text(b, "[");
		slx_json_time(b, r->scalar.t_ms);
		slx_native_put_text(b, ",");
		slx_json_text(b, r->string);
		slx_native_put_text(b, "]");
	} else {
		slx_native_put_text(b, "[");
		for (size_t i = 0; i < r->n; i++) {
			slx_native_put_text(b, i ? ",{\"metric\":" : "{\"metric\":");
			slx_json_labels(b, r->series[i].labels);
			put_points(b, &r->series[i], vector);
			slx_native_put_text(b, "}");
		}
		slx_native_put_text(b, "]");
	}
	slx_native_put_text(b, "}");
}

static void send_result(struct slx_stream *s, struct slx_stream_sub *sub, const struct slx_promql_result *r)
{
	struct slx_buf b;
	slx_buf_init(&b, s->n->core->mem, SLX_MEM_QUERY, MESSAGE_MAX);
	slx_native_put(&b, "{\"id\":%llu,\"type\":\"result\",\"data\":", (unsigned long long)sub->id);
	put_result(&b, r);
	slx_native_put_text(&b, "}");
	if (b.failed)
		slx_stream_send_error(s, sub, "the result is larger than 16 MB");
	else
		slx_stream_send(s, sub, &b); /* not queued: the next one is newer */
	slx_buf_free(&b);
}

static bool run_query(struct slx_stream *s, struct slx_stream_sub *sub)
{
	struct slx_core *core = s->n->core;
	const struct slx_config *c = slx_core_config(core);
	struct slx_promql_result *r = NULL;
	silex_error err;
	int64_t now = slx_native_now(s->n) / SLX_MS;
	struct slx_promql_options o = {
		.who = who(sub),
		.start_ms = now,
		.end_ms = now,
		.lookback_ms = c->promql.lookback / SLX_MS,
		.experimental = c->promql.experimental,
		.delayed_name_removal = c->promql.experimental,
		.samples_max = c->promql.samples_max,
		.timeout_ns = c->promql.timeout,
		.canceled = &sub->gone,
	};
	struct slx_active_query active = { .text = slx_str(sub->text), .tenant = slx_str(sub->tenant), .kind = "stream" };
	slx_query_begin(&core->queries, &active);
	silex_status st = slx_promql_run(slx_native_engine(s->n), sub->query, &o, &r, &err);
	slx_query_end(&core->queries, &active, r ? r->n : 0, r ? r->stats.samples_total : 0, st);
	if (st == SILEX_OK)
		send_result(s, sub, r);
	else if (st != SILEX_CANCELED)
		slx_stream_send_error(s, sub, err.message);
	slx_promql_result_free(r);
	return st == SILEX_OK || sub->begun;
}

/* ---- alerts ---- */

struct listing {
	struct slx_stream_sub *sub;
	struct slx_silences *silences;
	struct slx_buf *b;
	int64_t now;
	size_t n;
};

/* Under the lock of rules/alert. */
static bool add_alert(void *arg, const struct slx_alert *a)
{
	struct listing *l = arg;
	struct slx_mute m;
	bool yes = false;
	if (slx_matchers_test(l->sub->selector.matchers, l->sub->selector.n, a->labels, &yes, NULL) != SILEX_OK || !yes)
		return true;
	slx_silences_mute(l->silences, a, l->now, &m);
	slx_buf_put(l->b, ",", l->n++ > 0);
	slx_json_alert(l->b, a, &m);
	return l->n < ALERTS_MAX;
}

/* All that are there; changes follow as they come (slx_stream_alert). */
static bool run_alerts(struct slx_stream *s, struct slx_stream_sub *sub)
{
	silex_db *db = slx_core_db(s->n->core);
	struct slx_buf b;
	struct listing l = { .sub = sub, .silences = slx_api_silences(db), .b = &b, .now = slx_native_now(s->n) };
	slx_buf_init(&b, s->n->core->mem, SLX_MEM_OTHER, MESSAGE_MAX);
	slx_native_put(&b, "{\"id\":%llu,\"type\":\"alerts\",\"alerts\":[", (unsigned long long)sub->id);
	slx_alerts_list(slx_api_alerts(db), slx_str(sub->tenant), add_alert, &l);
	slx_native_put_text(&b, "]}");
	if (b.failed)
		slx_stream_send_error(s, sub, "the list of alerts is larger than 16 MB: select fewer");
	else
		sub->interval_ns = slx_stream_send(s, sub, &b) ? SLX_STREAM_ALERTS_EVERY : SLX_SECOND;
	bool ok = !b.failed;
	slx_buf_free(&b);
	return ok;
}

bool slx_stream_run(struct slx_stream *s, struct slx_stream_sub *sub)
{
	return sub->alerts ? run_alerts(s, sub) : sub->query ? run_query(s, sub) : run_samples(s, sub);
}
