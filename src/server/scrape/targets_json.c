/* What is scraped, as JSON for /api/v1/targets and /api/v1/targets/metadata. */
#include "server/core/json.h"
#include "server/scrape/scrape_int.h"

#include <stdio.h>

static void put(struct slx_buf *b, const char *text) { slx_buf_put(b, text, strlen(text)); }

static void put_member(struct slx_buf *b, const char *name, struct slx_str value)
{
	slx_json_text(b, slx_str(name));
	slx_buf_u8(b, ':');
	slx_json_text(b, value);
}

static void put_labels(struct slx_buf *b, const struct slx_label *l, size_t n)
{
	slx_buf_u8(b, '{');
	for (size_t i = 0; i < n; i++) {
		if (i)
			slx_buf_u8(b, ',');
		slx_json_text(b, l[i].name);
		slx_buf_u8(b, ':');
		slx_json_text(b, l[i].value);
	}
	slx_buf_u8(b, '}');
}

static void put_time(struct slx_buf *b, int64_t ms)
{
	char text[SLX_TIME_TEXT_SIZE];
	size_t n = ms ? slx_time_format(ms * SLX_MS, text) : 0;
	slx_json_text(b, ms ? (struct slx_str){ text, n } : SLX_STR("0001-01-01T00:00:00Z"));
}

static void put_duration(struct slx_buf *b, const char *name, int64_t ns)
{
	char text[SLX_DURATION_TEXT_SIZE];
	size_t n = slx_duration_format(ns, text);
	slx_buf_u8(b, ',');
	put_member(b, name, (struct slx_str){ text, n });
}

static void put_active(struct slx_buf *b, const struct scrape_target *t)
{
	char number[64];
	put(b, "{\"discoveredLabels\":");
	put_labels(b, t->discovered, t->n_discovered);
	put(b, ",\"labels\":");
	put_labels(b, t->labels, t->n_labels);
	slx_buf_u8(b, ',');
	put_member(b, "scrapePool", slx_str(t->job->name));
	slx_buf_u8(b, ',');
	put_member(b, "scrapeUrl", slx_str(t->url));
	slx_buf_u8(b, ',');
	put_member(b, "globalUrl", slx_str(t->url));
	slx_buf_u8(b, ',');
	put_member(b, "lastError", slx_str(t->error));
	put(b, ",\"lastScrape\":");
	put_time(b, t->last_ms);
	slx_buf_put(b, number, (size_t)snprintf(number, sizeof number, ",\"lastScrapeDuration\":%.9g,", t->last_seconds));
	put_member(b, "health", slx_str(t->last_ms == 0 ? "unknown" : t->up ? "up" : "down"));
	put_duration(b, "scrapeInterval", t->interval);
	put_duration(b, "scrapeTimeout", t->timeout);
	slx_buf_u8(b, '}');
}

/* Calls each target of a pool ("": all) that is dropped, or is not. */
static void each_target(struct slx_scrape *s, struct slx_str pool, bool dropped, struct slx_buf *b, void (*put_one)(struct slx_buf *, const struct scrape_target *))
{
	bool first = true;
	for (size_t i = 0; i < s->n_feeds; i++)
		for (size_t k = 0; k < s->feeds[i].targets.n; k++) {
			const struct scrape_target *t = s->feeds[i].targets.v[k];
			if (t->dropped != dropped || (pool.n && !slx_str_eq(pool, slx_str(t->job->name))))
				continue;
			if (!first)
				slx_buf_u8(b, ',');
			first = false;
			put_one(b, t);
		}
}

static void put_dropped(struct slx_buf *b, const struct scrape_target *t)
{
	put(b, "{\"discoveredLabels\":");
	put_labels(b, t->discovered, t->n_discovered);
	slx_buf_u8(b, ',');
	put_member(b, "scrapePool", slx_str(t->job->name));
	slx_buf_u8(b, '}');
}

static size_t count_dropped(const struct slx_scrape *s, const struct scrape_job *job)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n_feeds; i++)
		for (size_t k = 0; s->feeds[i].job == job && k < s->feeds[i].targets.n; k++)
			n += s->feeds[i].targets.v[k]->dropped;
	return n;
}

void slx_scrape_targets_json(void *ctx, struct slx_str state, struct slx_str scrape_pool, struct slx_buf *out)
{
	struct slx_scrape *s = ctx;
	bool any = state.n == 0 || slx_str_eq(state, SLX_STR("any"));
	char number[32];
	pthread_mutex_lock(&s->lock);
	put(out, "{\"activeTargets\":[");
	if (any || slx_str_eq(state, SLX_STR("active")))
		each_target(s, scrape_pool, false, out, put_active);
	put(out, "],\"droppedTargets\":[");
	if (any || slx_str_eq(state, SLX_STR("dropped")))
		each_target(s, scrape_pool, true, out, put_dropped);
	put(out, "],\"droppedTargetCounts\":{");
	for (size_t i = 0; i < s->jobs.n; i++) {
		if (i)
			slx_buf_u8(out, ',');
		slx_json_text(out, slx_str(s->jobs.v[i].name));
		slx_buf_put(out, number, (size_t)snprintf(number, sizeof number, ":%zu", count_dropped(s, &s->jobs.v[i])));
	}
	put(out, "}}");
	pthread_mutex_unlock(&s->lock);
}

/* ---- metadata of targets ---- */

/* Do the target's labels match the selector? */
static bool target_matches(const struct scrape_target *t, const struct slx_selector *sel)
{
	for (size_t i = 0; i < sel->n; i++) {
		struct slx_str value = SLX_STR("");
		bool yes = false;
		for (size_t k = 0; k < t->n_labels; k++)
			if (slx_str_eq(t->labels[k].name, sel->matchers[i]->name))
				value = t->labels[k].value;
		if (slx_matcher_test(sel->matchers[i], value, &yes, NULL) != SILEX_OK || !yes)
			return false;
	}
	return true;
}

static void put_metadata(struct slx_buf *b, const struct scrape_target *t, const struct scrape_metadata *d, bool name_metric)
{
	put(b, "{\"target\":");
	put_labels(b, t->labels, t->n_labels);
	slx_buf_u8(b, ',');
	if (name_metric) {
		put_member(b, "metric", d->metric);
		slx_buf_u8(b, ',');
	}
	put_member(b, "type", d->type.n ? d->type : SLX_STR("unknown"));
	slx_buf_u8(b, ',');
	put_member(b, "help", d->help);
	slx_buf_u8(b, ',');
	put_member(b, "unit", d->unit);
	slx_buf_u8(b, '}');
}

static void metadata_locked(struct slx_scrape *s, const struct slx_selector *sel, struct slx_str metric, uint64_t limit, struct slx_buf *out)
{
	uint64_t n = 0;
	for (size_t i = 0; i < s->n_feeds; i++)
		for (size_t k = 0; k < s->feeds[i].targets.n; k++) {
			const struct scrape_target *t = s->feeds[i].targets.v[k];
			if (t->dropped || !target_matches(t, sel))
				continue;
			for (size_t m = 0; m < t->n_metadata && !(limit && n >= limit); m++) {
				if (metric.n && !slx_str_eq(metric, t->metadata[m].metric))
					continue;
				if (n++)
					slx_buf_u8(out, ',');
				put_metadata(out, t, &t->metadata[m], metric.n == 0);
			}
		}
}

void slx_scrape_metadata_json(void *ctx, struct slx_str match_target, struct slx_str metric, uint64_t limit, struct slx_buf *out)
{
	struct slx_scrape *s = ctx;
	struct slx_selector sel = { 0 };
	slx_buf_u8(out, '[');
	if (slx_selector_parse(s->mem, match_target, &sel, NULL) == SILEX_OK) {
		pthread_mutex_lock(&s->lock);
		metadata_locked(s, &sel, metric, limit, out);
		pthread_mutex_unlock(&s->lock);
	}
	slx_selector_free(&sel);
	slx_buf_u8(out, ']');
}
