/* A target: its labels, and what becomes of the text it answers. */
#include "server/scrape/scrape_int.h"

#include <math.h>
#include <stdio.h>

enum { LABELS_MAX = 256, METADATA_MAX = 5000 };

/* ---- making: discovered labels -> relabelled -> url and labels of the series ---- */

static struct slx_str keep(struct slx_arena *a, struct slx_str s)
{
	char *p = slx_arena_alloc(a, s.n + 1, 1);
	if (!p)
		return SLX_STR("");
	memcpy(p, s.p, s.n);
	p[s.n] = 0;
	return (struct slx_str){ p, s.n };
}

static void put_kept(struct slx_label_set *s, struct slx_str name, struct slx_str value)
{
	slx_label_set_put(s, keep(s->arena, name), keep(s->arena, value));
}

static void put_defaults(struct slx_label_set *s, const struct scrape_job *job)
{
	char text[SLX_DURATION_TEXT_SIZE], name[300];
	const struct {
		const char *name, *value;
	} plain[] = { { "job", job->name }, { "__scheme__", job->scheme }, { "__metrics_path__", job->metrics_path } };
	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
		if (slx_label_set_get(s, slx_str(plain[i].name)).n == 0)
			put_kept(s, slx_str(plain[i].name), slx_str(plain[i].value));
	slx_duration_format(job->interval, text);
	put_kept(s, SLX_STR("__scrape_interval__"), slx_str(text));
	slx_duration_format(job->timeout, text);
	put_kept(s, SLX_STR("__scrape_timeout__"), slx_str(text));
	for (size_t i = 0; i < job->n_params; i++) {
		snprintf(name, sizeof name, "__param_%.200s", job->params[i].name);
		if (slx_label_set_get(s, slx_str(name)).n == 0)
			put_kept(s, slx_str(name), slx_str(job->params[i].value));
	}
}

/* The address with the scheme's port, when it names none. */
static void put_address(struct slx_label_set *s)
{
	char text[400];
	struct slx_str a = slx_label_set_get(s, SLX_STR("__address__"));
	bool https = slx_str_eq(slx_label_set_get(s, SLX_STR("__scheme__")), SLX_STR("https"));
	const char *bracket = memchr(a.p, ']', a.n), *from = bracket ? bracket : a.p;
	if (!memchr(from, ':', a.n - (size_t)(from - a.p))) {
		snprintf(text, sizeof text, "%.*s:%d", (int)(a.n < 300 ? a.n : 300), a.p, https ? 443 : 80);
		put_kept(s, SLX_STR("__address__"), slx_str(text));
	}
	if (slx_label_set_get(s, SLX_STR("instance")).n == 0)
		slx_label_set_put(s, SLX_STR("instance"), slx_label_set_get(s, SLX_STR("__address__")));
}

static void put_escaped(struct slx_buf *b, struct slx_str s)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];
		if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '_' || c == '.' || c == '~') {
			slx_buf_u8(b, c);
		} else {
			const char escape[3] = { '%', digits[c >> 4], digits[c & 15] };
			slx_buf_put(b, escape, 3);
		}
	}
}

/* Parameters: the first value of each may have been relabelled, the others are the job's. */
static void put_params(struct slx_buf *b, const struct slx_label_set *s, const struct scrape_job *job)
{
	static const char prefix[] = "__param_";
	char join = '?';
	for (size_t i = 0; i < s->n; i++) {
		struct slx_str name = s->p[i].name;
		if (name.n <= sizeof prefix - 1 || memcmp(name.p, prefix, sizeof prefix - 1) != 0)
			continue;
		name = (struct slx_str){ name.p + sizeof prefix - 1, name.n - sizeof prefix + 1 };
		bool first = true;
		slx_buf_u8(b, (uint8_t)join);
		join = '&';
		put_escaped(b, name);
		slx_buf_u8(b, '=');
		put_escaped(b, s->p[i].value);
		for (size_t k = 0; k < job->n_params; k++) {
			if (!slx_str_eq(slx_str(job->params[k].name), name))
				continue;
			if (!first) {
				slx_buf_u8(b, '&');
				put_escaped(b, name);
				slx_buf_u8(b, '=');
				put_escaped(b, slx_str(job->params[k].value));
			}
			first = false;
		}
	}
}

static bool make_url(struct scrape_target *t, const struct slx_label_set *s)
{
	struct slx_buf b;
	slx_buf_init(&b, t->mem, SLX_MEM_OTHER, 1 << 16);
	const struct slx_str parts[] = { slx_label_set_get(s, SLX_STR("__scheme__")), SLX_STR("://"), slx_label_set_get(s, SLX_STR("__address__")),
		slx_label_set_get(s, SLX_STR("__metrics_path__")) };
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		slx_buf_put(&b, parts[i].p, parts[i].n);
	put_params(&b, s, t->job);
	if (!b.failed)
		t->url = keep(&t->arena, (struct slx_str){ (const char *)b.p, b.n }).p;
	slx_buf_free(&b);
	return t->url && *t->url;
}

static struct slx_label *copy_labels(struct slx_arena *a, const struct slx_label_set *s, bool own_only, size_t *ret_n)
{
	struct slx_label *p = slx_arena_alloc(a, (s->n + 1) * sizeof *p, 8);
	*ret_n = 0;
	for (size_t i = 0; p && i < s->n; i++)
		if (!own_only || s->p[i].name.n < 2 || memcmp(s->p[i].name.p, "__", 2) != 0)
			p[(*ret_n)++] = s->p[i];
	return p;
}

static void interval_of(const struct slx_label_set *s, const char *name, int64_t *t)
{
	struct slx_str v = slx_label_set_get(s, slx_str(name));
	int64_t ns;
	if (slx_duration_parse(v.p, v.n, &ns, NULL) == SILEX_OK && ns > 0)
		*t = ns;
}

static void identify(struct scrape_target *t)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < t->n_labels; i++) /* labels have no order */
		sum += slx_hash128(t->labels[i].value.p, t->labels[i].value.n, slx_hash64(t->labels[i].name.p, t->labels[i].name.n)).lo;
	t->identity = slx_hash128(t->url, strlen(t->url), sum ^ slx_hash64(t->job->name, strlen(t->job->name)));
}

silex_status scrape_target_new(struct slx_mem *m, const struct scrape_job *job, struct slx_str address, const struct slx_label *group, size_t n_group,
	struct scrape_target **ret, silex_error *err)
{
	struct scrape_target *t = slx_calloc(m, SLX_MEM_OTHER, sizeof *t);
	if (!t)
		return slx_err_oom(err);
	t->mem = m;
	t->job = job;
	t->interval = job->interval;
	t->timeout = job->timeout;
	slx_arena_init(&t->arena, m, SLX_MEM_OTHER, 1 << 16);
	slx_buf_init(&t->body, m, SLX_MEM_OTHER, (size_t)1 << 31);
	scrape_cache_init(&t->cache, m);
	struct slx_label_set s = { .arena = &t->arena };
	put_kept(&s, SLX_STR("__address__"), address);
	for (size_t i = 0; i < n_group; i++)
		put_kept(&s, group[i].name, group[i].value);
	put_defaults(&s, job);
	t->discovered = copy_labels(&t->arena, &s, false, &t->n_discovered);
	t->dropped = !slx_relabel_apply(&job->relabel, &s) || slx_label_set_get(&s, SLX_STR("__address__")).n == 0;
	if (!t->dropped)
		put_address(&s);
	interval_of(&s, "__scrape_interval__", &t->interval);
	interval_of(&s, "__scrape_timeout__", &t->timeout);
	t->labels = copy_labels(&t->arena, &s, true, &t->n_labels);
	if (s.failed || !t->discovered || !t->labels || !make_url(t, &s)) {
		scrape_target_free(t);
		return slx_err_oom(err);
	}
	identify(t);
	*ret = t;
	return SILEX_OK;
}

void scrape_target_free(struct scrape_target *t)
{
	if (!t)
		return;
	scrape_cache_free(&t->cache);
	slx_buf_free(&t->body);
	slx_arena_clear(&t->arena);
	slx_free(t->mem, SLX_MEM_OTHER, t, sizeof *t);
}

/* ---- storing a scrape ---- */

struct store {
	struct slx_core *core;
	struct scrape_target *t;
	struct slx_intake_batch *batch;
	struct slx_labels_builder builder;
	struct slx_arena scratch; /* of relabelling one series */
	pthread_mutex_t *lock;
	uint64_t samples, kept, added;
	bool too_many, bad;
	char error[256];
	uint32_t last; /* intake's series of the last row, plus one */
	const struct scrape_metadata *family; /* whose lines come now; NULL: not known */
};

/* The value of a label as it is kept. */
static struct slx_str kept_value(const struct store *x, const struct slx_label *l, struct slx_arena *a)
{
	const char *bound = !x->family ? "" : slx_str_eq(x->family->type, SLX_STR("histogram")) ? "le" : slx_str_eq(x->family->type, SLX_STR("summary")) ? "quantile" : "";
	char text[SCRAPE_BOUND_SIZE];
	size_t n = slx_str_eq(l->name, slx_str(bound)) ? scrape_bound(l->value, text) : 0;
	char *p = n ? slx_arena_alloc(a, n, 1) : NULL;
	return p ? (struct slx_str){ memcpy(p, text, n), n } : l->value;
}

/* Labels of a scraped series with the target's, by the rules of honor_labels. */
static void join_labels(const struct store *x, const struct slx_row *row, struct slx_label_set *s)
{
	const struct scrape_target *t = x->t;
	for (uint32_t i = 0; i < row->labels_n; i++)
		slx_label_set_put(s, row->labels[i].name, kept_value(x, &row->labels[i], s->arena));
	for (size_t i = 0; i < t->n_labels; i++) {
		struct slx_str name = t->labels[i].name, theirs = slx_label_set_get(s, name);
		if (theirs.n && t->job->honor_labels)
			continue;
		if (theirs.n) {
			struct slx_str exported = name;
			do { /* exported_exported_... until it is free */
				char *p = slx_arena_alloc(s->arena, exported.n + 9, 1);
				if (!p) {
					s->failed = true;
					return;
				}
				memcpy(p, "exported_", 9);
				memcpy(p + 9, exported.p, exported.n);
				exported = (struct slx_str){ p, exported.n + 9 };
			} while (slx_label_set_get(s, exported).n);
			slx_label_set_put(s, exported, theirs);
		}
		slx_label_set_put(s, name, t->labels[i].value);
	}
}

/* A series the target shows for the first time. NULL: it cannot be kept; told in x. */
static struct scrape_entry *learn(struct store *x, const struct slx_row *row)
{
	struct scrape_target *t = x->t;
	struct slx_labels labels;
	silex_error err;
	slx_arena_clear(&x->scratch);
	struct slx_label_set s = { .arena = &x->scratch };
	join_labels(x, row, &s);
	bool kept = slx_relabel_apply(&t->job->metric_relabel, &s);
	if (s.failed) {
		snprintf(x->error, sizeof x->error, "out of memory");
		x->bad = true;
		return NULL;
	}
	if (kept && t->job->label_limit && s.n > t->job->label_limit) {
		snprintf(x->error, sizeof x->error, "label_limit exceeded: %zu labels, limit %llu", s.n, (unsigned long long)t->job->label_limit);
		x->bad = true;
		return NULL;
	}
	slx_labels_builder_reset(&x->builder);
	for (size_t i = 0; kept && i < s.n; i++)
		slx_labels_builder_add(&x->builder, s.p[i].name, s.p[i].value);
	if (kept && slx_labels_builder_finish(&x->builder, &labels, &err) != SILEX_OK) {
		slx_intake_refuse(x->batch, 1, SILEX_INVALID, s.p, s.n, err.message);
		kept = false;
	}
	struct scrape_entry *e = scrape_cache_add(&t->cache, row->key, kept ? &labels : NULL);
	if (!e) {
		snprintf(x->error, sizeof x->error, "out of memory");
		x->bad = true;
	}
	x->added += e && kept;
	return e;
}

/* The batch's number of a series. */
static bool resolve(struct store *x, const struct scrape_entry *e, uint32_t *ret)
{
	struct slx_label labels[LABELS_MAX], l;
	size_t n = 0;
	silex_error err;
	if (slx_intake_lookup(x->batch, slx_intake_key(SLX_SPACE_SCRAPE, &e->id, sizeof e->id), ret) == SILEX_OK)
		return true;
	struct slx_labels_iter it = slx_labels_iter((struct slx_labels){ e->labels, e->labels_n });
	while (n < LABELS_MAX && slx_labels_next(&it, &l))
		labels[n++] = l;
	silex_status st = slx_intake_define(x->batch, slx_intake_key(SLX_SPACE_SCRAPE, &e->id, sizeof e->id), labels, n, ret, &err);
	if (st != SILEX_OK)
		slx_intake_refuse(x->batch, 1, st, labels, n, err.message);
	return st == SILEX_OK;
}

static uint32_t on_known(void *arg, struct slx_hash128 key)
{
	struct store *x = arg;
	size_t i = scrape_cache_find(&x->t->cache, key);
	return i == SIZE_MAX ? 0 : (uint32_t)i + 1;
}

static bool on_row(void *arg, const struct slx_row *row)
{
	struct store *x = arg;
	struct scrape_target *t = x->t;
	uint32_t series;
	x->last = 0;
	x->samples++;
	struct scrape_entry *e = row->labels_n ? learn(x, row) : &t->cache.v[row->series_key - 1];
	if (!e)
		return !x->bad;
	e->seen = t->cache.round;
	if (!e->labels)
		return true;
	e->timed = row->has_time && t->job->honor_timestamps;
	if (++x->kept > t->job->sample_limit && t->job->sample_limit) {
		x->too_many = true;
		return false;
	}
	if (resolve(x, e, &series)) {
		slx_intake_value(x->batch, series, e->timed ? row->t : t->scraped_ms * SLX_MS, row->kind, row->bits);
		x->last = series + 1;
	}
	return true;
}

static bool on_error(void *arg, uint64_t line, uint64_t column, const char *message)
{
	struct store *x = arg;
	snprintf(x->error, sizeof x->error, "line %llu, column %llu: %s", (unsigned long long)line, (unsigned long long)column, message);
	x->bad = true;
	return false;
}

static void on_exemplar(void *arg, const struct slx_exemplar *e)
{
	struct store *x = arg;
	if (x->last)
		slx_intake_exemplar(x->batch, x->last - 1, e->has_time ? e->t : x->t->scraped_ms * SLX_MS, e->value, e->labels, e->labels_n);
}

static struct scrape_metadata *metadata_of(struct scrape_target *t, struct slx_str metric)
{
	if (t->n_metadata && slx_str_eq(t->metadata[t->n_metadata - 1].metric, metric)) /* its lines follow each other */
		return &t->metadata[t->n_metadata - 1];
	for (size_t i = 0; i < t->n_metadata; i++)
		if (slx_str_eq(t->metadata[i].metric, metric))
			return &t->metadata[i];
	if (t->n_metadata == METADATA_MAX)
		return NULL;
	if (t->n_metadata == t->metadata_cap) {
		size_t cap = t->metadata_cap ? t->metadata_cap * 2 : 64;
		struct scrape_metadata *p = slx_arena_alloc(&t->arena, cap * sizeof *p, 8);
		if (!p)
			return NULL;
		if (t->n_metadata)
			memcpy(p, t->metadata, t->n_metadata * sizeof *p);
		t->metadata = p;
		t->metadata_cap = cap;
	}
	struct scrape_metadata *d = &t->metadata[t->n_metadata++];
	*d = (struct scrape_metadata){ keep(&t->arena, metric), SLX_STR(""), SLX_STR(""), SLX_STR("") };
	return d;
}

static bool update(struct slx_arena *a, struct slx_str *to, struct slx_str s)
{
	if (!s.p || slx_str_eq(*to, s))
		return false;
	*to = keep(a, s);
	return true;
}

static void on_metadata(void *arg, struct slx_str metric, struct slx_str type, struct slx_str unit, struct slx_str help)
{
	struct store *x = arg;
	pthread_mutex_lock(x->lock);
	struct scrape_metadata *d = metadata_of(x->t, metric);
	bool changed = d && (update(&x->t->arena, &d->type, type) | update(&x->t->arena, &d->unit, unit) | update(&x->t->arena, &d->help, help));
	pthread_mutex_unlock(x->lock);
	x->family = d;
	if (changed)
		slx_intake_metadata(x->batch, d->metric, d->type, d->unit, d->help);
}

static silex_status decode(struct store *x, struct slx_str text, silex_error *err)
{
	struct slx_sink sink = { .arg = x, .row = on_row, .error = on_error, .known = on_known, .exemplar = on_exemplar, .metadata = on_metadata };
	struct slx_exposition_options o = { .openmetrics = x->t->openmetrics, .lenient = true };
	struct slx_decoder *d;
	SLX_TRY(slx_decoder_exposition(x->t->mem, &o, NULL, &sink, &d, err));
	silex_status st = slx_decoder_feed(d, text.p, text.n, err);
	if (st == SILEX_OK)
		st = slx_decoder_finish(d, err);
	slx_decoder_free(d);
	return st;
}

/* Stale markers for series that were there in the round before and are not now. all: whatever was there. */
static void mark_stale(struct store *x, bool all)
{
	struct scrape_cache *c = &x->t->cache;
	for (size_t i = 0; i < c->n; i++) {
		struct scrape_entry *e = &c->v[i];
		uint32_t series;
		bool gone = all ? e->seen == c->round || e->seen + 1 == c->round : e->seen + 1 == c->round;
		if (!gone || !e->labels || e->timed)
			continue;
		if (resolve(x, e, &series))
			slx_intake_float(x->batch, series, x->t->scraped_ms * SLX_MS, slx_bits_f64(SLX_STALE_NAN));
		if (all)
			e->seen = c->round >= 2 ? c->round - 2 : 0; /* told once */
	}
}

static void report(struct store *x, const char *name, double v)
{
	struct scrape_target *t = x->t;
	struct slx_label labels[LABELS_MAX];
	struct slx_hash128 key = slx_hash128(name, strlen(name), t->identity.lo);
	size_t n = 0;
	uint32_t series;
	silex_error err;
	labels[n++] = (struct slx_label){ SLX_METRIC_NAME, slx_str(name) };
	for (size_t i = 0; i < t->n_labels && n < LABELS_MAX; i++)
		labels[n++] = t->labels[i];
	if (slx_intake_lookup(x->batch, slx_intake_key(SLX_SPACE_SCRAPE, &key, sizeof key), &series) == SILEX_OK ||
		slx_intake_define(x->batch, slx_intake_key(SLX_SPACE_SCRAPE, &key, sizeof key), labels, n, &series, &err) == SILEX_OK)
		slx_intake_float(x->batch, series, t->scraped_ms * SLX_MS, v);
}

static void reports(struct store *x, bool up, double seconds)
{
	report(x, "up", up);
	report(x, "scrape_duration_seconds", seconds);
	report(x, "scrape_samples_scraped", (double)x->samples);
	report(x, "scrape_samples_post_metric_relabeling", (double)x->kept);
	report(x, "scrape_series_added", (double)x->added);
}

static void commit(struct store *x)
{
	struct slx_intake_result result;
	silex_error err;
	if (slx_intake_commit(x->batch, &result, &err) != SILEX_OK)
		slx_log(x->core->log, SLX_LOG_WARN, "scrape was not stored", SLX_TEXT("job", x->t->job->name), SLX_TEXT("url", x->t->url), SLX_TEXT("error", err.message));
	else if (result.refused)
		slx_log(x->core->log, SLX_LOG_WARN, "samples of a scrape were refused", SLX_TEXT("url", x->t->url), SLX_INT("refused", result.refused),
			SLX_TEXT("series", result.first_series), SLX_TEXT("error", result.first_message));
}

static void store_init(struct store *x, struct slx_core *core, struct scrape_target *t, pthread_mutex_t *lock)
{
	*x = (struct store){ .core = core, .t = t, .lock = lock };
	slx_labels_builder_init(&x->builder, t->mem, SLX_MEM_OTHER, NULL);
	slx_arena_init(&x->scratch, t->mem, SLX_MEM_OTHER, 1 << 16);
}

static void store_clear(struct store *x)
{
	slx_labels_builder_free(&x->builder);
	slx_arena_clear(&x->scratch);
}

/* Decodes into the batch. False: the scrape is bad, x->error says why; the batch is a fresh one then. */
static bool take(struct store *x, struct slx_intake *intake, struct slx_str text)
{
	silex_error err;
	silex_status st = decode(x, text, &err);
	if (st == SILEX_OK && !x->bad)
		return true;
	if (x->too_many)
		snprintf(x->error, sizeof x->error, "sample_limit exceeded: more than %llu samples", (unsigned long long)x->t->job->sample_limit);
	else if (!x->bad)
		snprintf(x->error, sizeof x->error, "%.200s", err.message);
	slx_intake_abandon(x->batch);
	x->batch = NULL;
	if (slx_intake_begin(intake, slx_str(x->t->job->tenant), &x->batch, &err) != SILEX_OK)
		x->batch = NULL;
	return false;
}

void scrape_target_store(struct slx_core *core, struct slx_intake *intake, struct scrape_target *t, struct slx_str text, const char *error,
	double seconds, pthread_mutex_t *lock, struct scrape_result *ret)
{
	struct store x;
	silex_error err;
	*ret = (struct scrape_result){ .up = error == NULL };
	store_init(&x, core, t, lock);
	silex_status st = slx_intake_begin(intake, slx_str(t->job->tenant), &x.batch, &err);
	if (st != SILEX_OK) {
		*ret = (struct scrape_result){ .up = false };
		snprintf(ret->error, sizeof ret->error, "not stored: %.200s", err.message);
		store_clear(&x);
		return;
	}
	t->cache.round++;
	if (ret->up && !take(&x, intake, text)) {
		ret->up = false;
		error = x.error;
		x.added = 0;
	}
	if (error)
		snprintf(ret->error, sizeof ret->error, "%s", error);
	if (x.batch) {
		mark_stale(&x, !ret->up);
		reports(&x, ret->up, seconds);
		commit(&x);
	}
	scrape_cache_trim(&t->cache);
	store_clear(&x);
}

void scrape_target_end(struct slx_core *core, struct slx_intake *intake, struct scrape_target *t, int64_t t_ms)
{
	static const char *const names[] = { "up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling",
		"scrape_series_added" };
	struct store x;
	pthread_mutex_t none = PTHREAD_MUTEX_INITIALIZER;
	silex_error err;
	if (t->last_ms == 0)
		return;
	store_init(&x, core, t, &none);
	t->scraped_ms = t_ms;
	if (slx_intake_begin(intake, slx_str(t->job->tenant), &x.batch, &err) == SILEX_OK) {
		mark_stale(&x, true);
		for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
			report(&x, names[i], slx_bits_f64(SLX_STALE_NAN));
		commit(&x);
	}
	store_clear(&x);
}
