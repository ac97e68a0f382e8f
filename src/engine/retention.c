/* The rules in force: checked, kept, and asked for a series' cutoff (retention.h).
 *
 * They lie as a document of their own beside the manifest (docs/format/retention.md):
 *
 *     u32 format; varint n; rules{ str tenant, selector, rollup, hold; varint keep_ms }; varint n; dedup{ str tenant; varint interval_ms };
 *     varint size_max; str origin                                                   str: varint n, bytes
 *
 * What an application gives and what lies on disk go the same way: encoded, then decoded and checked. A new object is installed
 * while all stripes are locked, so a writer uses it under its stripe without a reference; others take one under view_lock. */
#include "engine/retention_int.h"

#include <stdio.h>

enum { FORMAT = 0, DOCUMENT_MAX = 4 << 20, RULES_MAX = 10000 };
static const char KEY[] = "RETENTION";

/* --- in and out of bytes ------------------------------------------------------------------------------------------------- */

static void put_text(struct slx_buf *b, const char *z)
{
	size_t n = z ? strlen(z) : 0;
	slx_buf_varint(b, n);
	slx_buf_put(b, z, n);
}

static void encode(const silex_retention *r, struct slx_buf *b)
{
	slx_buf_u32(b, FORMAT);
	slx_buf_varint(b, r->n_rules);
	for (size_t i = 0; i < r->n_rules; i++) {
		const silex_retention_rule *x = &r->rules[i];
		put_text(b, x->tenant);
		put_text(b, x->selector);
		put_text(b, x->rollup);
		put_text(b, x->hold);
		slx_buf_varint(b, (uint64_t)x->keep_ms);
	}
	slx_buf_varint(b, r->n_dedup);
	for (size_t i = 0; i < r->n_dedup; i++) {
		put_text(b, r->dedup[i].tenant);
		slx_buf_varint(b, (uint64_t)r->dedup[i].interval_ms);
	}
	slx_buf_varint(b, r->size_max);
	put_text(b, r->origin ? r->origin : "api");
}

/* A copy with a 0 behind it. */
static struct slx_str get_text(struct slx_retention *r, struct slx_rd *rd)
{
	size_t n = slx_rd_varint(rd);
	const uint8_t *p = slx_rd_bytes(rd, n);
	char *to = p && !memchr(p, 0, n) ? slx_arena_alloc(&r->arena, n + 1, 1) : NULL;
	if (!to) {
		rd->bad = true;
		return SLX_STR("");
	}
	memcpy(to, p, n);
	to[n] = 0;
	return (struct slx_str){ to, n };
}

static silex_status get_span(struct slx_rd *rd, int64_t *ret_ns, silex_error *err)
{
	uint64_t ms = slx_rd_varint(rd);
	if (ms > (uint64_t)(INT64_MAX / SLX_MS))
		return slx_err(err, SILEX_INVALID, "%lld ms; expected 0 to 292 years", (long long)ms);
	*ret_ns = (int64_t)ms * SLX_MS;
	return SILEX_OK;
}

/* A level is named by the width of its buckets, written in one way: 60m is 1h. */
static silex_status settle_level(struct slx_retention *r, struct slx_str *level, silex_error *err)
{
	char text[SLX_DURATION_TEXT_SIZE];
	int64_t width;
	if (level->n == 0 || slx_str_eq(*level, SLX_STR("*")))
		return SILEX_OK;
	if (slx_duration_parse(level->p, level->n, &width, NULL) != SILEX_OK || width <= 0)
		return slx_err(err, SILEX_INVALID, "rollup \"%s\"; expected a level such as 1m or 1h, or *", level->p);
	size_t n = slx_duration_format(width, text);
	char *to = slx_arena_alloc(&r->arena, n + 1, 1);
	if (!to)
		return slx_err_oom(err);
	memcpy(to, text, n + 1);
	*level = (struct slx_str){ to, n };
	return SILEX_OK;
}

static silex_status get_rule(struct slx_retention *r, struct slx_rd *rd, struct slx_retention_rule *x, silex_error *err)
{
	x->tenant = get_text(r, rd);
	struct slx_str selector = get_text(r, rd);
	x->rollup = get_text(r, rd);
	x->hold = get_text(r, rd);
	SLX_TRY(get_span(rd, &x->keep, err));
	if (rd->bad)
		return SILEX_OK; /* said once, at the end */
	if (x->tenant.n)
		SLX_TRY(slx_tenant_check(x->tenant, err));
	SLX_TRY(settle_level(r, &x->rollup, err));
	if (x->hold.n && (x->keep || x->rollup.n))
		return slx_err(err, SILEX_INVALID, "a hold is for ever and of every level; expected no keep and no rollup beside it");
	x->text = selector;
	return slx_selector_parse(r->mem, selector, &x->sel, err);
}

static silex_status get_rules(struct slx_retention *r, struct slx_rd *rd, silex_error *err)
{
	uint64_t n = slx_rd_varint(rd);
	if (rd->bad || n > RULES_MAX || n > slx_rd_left(rd) / 5)
		return slx_err(err, SILEX_INVALID, "retention: %llu rules; expected at most %d", (unsigned long long)n, RULES_MAX);
	r->rules = slx_arena_alloc(&r->arena, n * sizeof *r->rules, 8);
	if (!r->rules)
		return slx_err_oom(err);
	for (uint64_t i = 0; i < n && !rd->bad; i++) {
		r->rules[i] = (struct slx_retention_rule){ 0 };
		r->n = i + 1;
		silex_status status = get_rule(r, rd, &r->rules[i], err);
		if (status != SILEX_OK)
			return err ? slx_err_wrap(err, "retention rule %llu", (unsigned long long)i + 1) : status;
	}
	return SILEX_OK;
}

static silex_status get_dedup(struct slx_retention *r, struct slx_rd *rd, silex_error *err)
{
	uint64_t n = slx_rd_varint(rd);
	if (rd->bad || n > RULES_MAX || n > slx_rd_left(rd) / 2)
		return slx_err(err, SILEX_INVALID, "retention: %llu intervals of dedup; expected at most %d", (unsigned long long)n, RULES_MAX);
	r->dedup = slx_arena_alloc(&r->arena, n * sizeof *r->dedup, 8);
	if (!r->dedup)
		return slx_err_oom(err);
	for (; r->n_dedup < n && !rd->bad; r->n_dedup++) {
		struct slx_dedup *d = &r->dedup[r->n_dedup];
		d->tenant = get_text(r, rd);
		if (d->tenant.n && !rd->bad)
			SLX_TRY(slx_tenant_check(d->tenant, err));
		SLX_TRY(get_span(rd, &d->interval, err));
	}
	return SILEX_OK;
}

static silex_status decode_into(struct slx_retention *r, const void *p, size_t n, silex_error *err)
{
	struct slx_rd rd = slx_rd_init(p, n);
	uint32_t format = slx_rd_u32(&rd);
	if (!rd.bad && format > FORMAT)
		return slx_err(err, SILEX_UNSUPPORTED, "retention rules have format %u, this release reads up to %d: use a newer silex", format, FORMAT);
	SLX_TRY(get_rules(r, &rd, err));
	SLX_TRY(get_dedup(r, &rd, err));
	r->size_max = slx_rd_varint(&rd);
	r->origin = get_text(r, &rd);
	return rd.bad ? slx_err(err, SILEX_CORRUPT, "retention rules are cut short, or memory is out") : SILEX_OK;
}

static silex_status decode(struct slx_mem *m, const void *p, size_t n, struct slx_retention **ret, silex_error *err)
{
	struct slx_retention *r = slx_calloc(m, SLX_MEM_OTHER, sizeof *r);
	if (!r)
		return slx_err_oom(err);
	r->mem = m;
	atomic_init(&r->refs, 1);
	slx_arena_init(&r->arena, m, SLX_MEM_OTHER, 64 << 10);
	silex_status status = decode_into(r, p, n, err);
	if (status == SILEX_OK)
		*ret = r;
	else
		slx_retention_unref(r);
	return status;
}

void slx_retention_unref(struct slx_retention *r)
{
	if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < r->n; i++)
		slx_selector_free(&r->rules[i].sel);
	slx_arena_clear(&r->arena);
	slx_free(r->mem, SLX_MEM_OTHER, r, sizeof *r);
}

/* --- asking ------------------------------------------------------------------------------------------------------------------ */

/* What a tenant as stored is of: the user's tenant, and the level of roll-ups ("" the samples and their exemplars). */
struct slice {
	struct slx_str tenant, level;
	bool forever; /* metadata, the alerts' journal: nothing that a rule is about */
};

/* Roll-ups lie in T!<level>.<column>. */
static struct slice slice_of(struct slx_str stored)
{
	const char *mark = stored.n ? memchr(stored.p, '!', stored.n) : NULL;
	if (!mark)
		return (struct slice){ stored, SLX_STR(""), false };
	struct slx_str word = { mark + 1, stored.n - (size_t)(mark + 1 - stored.p) };
	struct slice s = { { stored.p, (size_t)(mark - stored.p) }, SLX_STR(""), false };
	if (word.n && word.p[0] >= '0' && word.p[0] <= '9') {
		const char *dot = memchr(word.p, '.', word.n);
		s.level = (struct slx_str){ word.p, dot ? (size_t)(dot - word.p) : word.n };
	} else {
		s.forever = !slx_str_eq(word, SLX_STR("exemplars"));
	}
	return s;
}

static bool level_fits(const struct slx_retention_rule *x, struct slx_str level)
{
	if (x->hold.n)
		return true;
	return slx_str_eq(x->rollup, level) || (level.n && slx_str_eq(x->rollup, SLX_STR("*")));
}

static bool rule_concerns(const struct slx_retention_rule *x, const struct slice *s)
{
	return (x->tenant.n == 0 || slx_str_eq(x->tenant, s->tenant)) && level_fits(x, s->level);
}

silex_status slx_retention_find(const struct slx_retention *r, struct slx_str tenant, struct slx_labels l, const struct slx_retention_rule **ret,
	silex_error *err)
{
	struct slice s = slice_of(tenant);
	*ret = NULL;
	for (size_t i = 0; r && i < r->n && !s.forever; i++) {
		const struct slx_retention_rule *x = &r->rules[i];
		if (!rule_concerns(x, &s) || (*ret && !x->hold.n))
			continue;
		bool yes;
		SLX_TRY(slx_matchers_test(x->sel.matchers, x->sel.n, l, &yes, err));
		if (yes && (!*ret || x->hold.n))
			*ret = x;
		if (yes && x->hold.n)
			break;
	}
	return SILEX_OK;
}

int64_t slx_retention_before(const struct slx_retention_rule *x, int64_t now)
{
	return x && x->keep ? slx_time_sub(now, x->keep) : INT64_MIN;
}

silex_status slx_retention_cutoff(const struct slx_retention *r, struct slx_str tenant, struct slx_labels l, int64_t now, int64_t *ret, silex_error *err)
{
	const struct slx_retention_rule *x;
	SLX_TRY(slx_retention_find(r, tenant, l, &x, err));
	*ret = slx_retention_before(x, now);
	return SILEX_OK;
}

struct slx_retention_bounds slx_retention_bounds(const struct slx_retention *r, struct slx_str tenant, int64_t now)
{
	struct slice s = slice_of(tenant);
	struct slx_retention_bounds b = { .all = INT64_MIN, .some = INT64_MIN, .last = INT64_MIN };
	int64_t all = INT64_MAX;
	bool ended = false;
	for (size_t i = 0; r && i < r->n && !s.forever; i++) {
		const struct slx_retention_rule *x = &r->rules[i];
		if (!rule_concerns(x, &s))
			continue;
		if (x->hold.n) {
			all = INT64_MIN;
			b.held = true;
		} else if (!ended) {
			int64_t before = slx_retention_before(x, now);
			all = before < all ? before : all;
			b.some = before > b.some ? before : b.some;
			b.last = before != INT64_MIN && (b.last == INT64_MIN || before < b.last) ? before : b.last;
			ended = x->sel.n == 0; /* later ones never count */
		}
	}
	b.all = ended ? all : INT64_MIN;
	return b;
}

int64_t slx_retention_dedup(const struct slx_retention *r, struct slx_str tenant)
{
	int64_t other = 0;
	for (size_t i = 0; r && i < r->n_dedup; i++) {
		if (slx_str_eq(r->dedup[i].tenant, tenant))
			return r->dedup[i].interval;
		if (r->dedup[i].tenant.n == 0)
			other = r->dedup[i].interval;
	}
	return slx_tenant_is_internal(tenant) ? 0 : other;
}

/* --- in the engine ------------------------------------------------------------------------------------------------------------ */

struct slx_retention *slx_retention_get(struct slx_engine *e)
{
	pthread_mutex_lock(&e->view_lock);
	struct slx_retention *r = e->retention;
	if (r)
		atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
	pthread_mutex_unlock(&e->view_lock);
	return r;
}

void slx_retention_tenant(struct slx_engine *e, struct slx_tenant *t)
{
	/* now 0: a cutoff is the negative of what is kept */
	struct slx_retention_bounds b = slx_retention_bounds(e->retention, t->name, 0);
	bool none = b.some == INT64_MIN || t != t->payer;
	atomic_store_explicit(&t->keep_least, none ? 0 : -b.some, memory_order_relaxed);
}

int64_t slx_retention_floor(struct slx_engine *e, const struct slx_tenant *t)
{
	int64_t keep = atomic_load_explicit(&t->keep_least, memory_order_relaxed);
	return keep ? slx_time_sub(slx_wall_ns(&e->clock), keep) : INT64_MIN;
}

/* Under the stripe's lock: the rule of a series, found once for each set of rules. */
static silex_status rule_of(struct slx_engine *e, struct slx_head *head, struct slx_head_series *s, struct slx_str tenant, struct slx_buf *label,
	const struct slx_retention_rule **ret, silex_error *err)
{
	const struct slx_retention *r = e->retention;
	if (s->keep_gen != r->gen) {
		slx_buf_reset(label);
		slx_head_labels(head, s, label);
		if (label->failed)
			return slx_err_oom(err);
		SLX_TRY(slx_retention_find(r, tenant, (struct slx_labels){ label->p, label->n }, ret, err));
		s->keep_rule = *ret ? (uint32_t)(*ret - r->rules) : UINT32_MAX;
		s->keep_gen = r->gen;
	}
	*ret = s->keep_rule == UINT32_MAX ? NULL : &r->rules[s->keep_rule];
	return SILEX_OK;
}

silex_status slx_retention_check(struct slx_engine *e, struct slx_head *head, struct slx_head_series *s, struct slx_str tenant, int64_t t, int64_t now,
	struct slx_buf *label, silex_error *err)
{
	const struct slx_retention_rule *x = NULL;
	if (!e->retention)
		return SILEX_OK;
	SLX_TRY(rule_of(e, head, s, tenant, label, &x, err));
	if (t >= slx_retention_before(x, now))
		return SILEX_OK;
	atomic_fetch_add_explicit(&e->points_expired, 1, memory_order_relaxed);
	if (!err)
		return SILEX_INVALID;
	char time[SLX_TIME_TEXT_SIZE], keep[SLX_DURATION_TEXT_SIZE];
	slx_time_format(t, time);
	slx_duration_format(x->keep, keep);
	return slx_err(err, SILEX_INVALID, "time %s is older than the retention of its series, %s", time, keep);
}

silex_status slx_retention_load(struct slx_engine *e, silex_error *err)
{
	uint8_t *p;
	size_t n;
	silex_error own;
	silex_status status = slx_meta_get(e->meta, KEY, &p, &n, &e->retention_version, &own);
	if (status == SILEX_NOT_FOUND)
		return SILEX_OK;
	if (status != SILEX_OK)
		return slx_err(err, status, "%s", own.message);
	status = decode(&e->mem, p, n, &e->retention, err);
	slx_free(&e->mem, SLX_MEM_OTHER, p, n);
	if (status == SILEX_OK)
		e->retention->gen = ++e->retention_gen;
	return status;
}

/* An edit that reported an error may have happened: the version tells (as the manifest's). */
static silex_status store(struct slx_engine *e, const struct slx_buf *b, silex_error *err)
{
	silex_error own;
	silex_status status = slx_meta_cas(e->meta, KEY, b->p, b->n, e->retention_version, &e->retention_version, &own);
	if (status == SILEX_OK)
		return SILEX_OK;
	uint8_t *p;
	size_t n;
	uint64_t version;
	if (slx_meta_get(e->meta, KEY, &p, &n, &version, NULL) == SILEX_OK) {
		slx_free(&e->mem, SLX_MEM_OTHER, p, n);
		e->retention_version = version;
	}
	return slx_err(err, status, "retention rules: %s; they may hold from the next open on", own.message);
}

/* manifest_lock held. */
static void install(struct slx_engine *e, struct slx_retention *r)
{
	slx_engine_lock_stripes(e);
	pthread_mutex_lock(&e->tenants_lock);
	pthread_mutex_lock(&e->view_lock);
	struct slx_retention *old = e->retention;
	r->gen = ++e->retention_gen;
	e->retention = r;
	pthread_mutex_unlock(&e->view_lock);
	for (uint32_t i = 0; i < e->tenants.cap; i++)
		if (e->tenants.map[i])
			slx_retention_tenant(e, e->tenants.map[i]);
	pthread_mutex_unlock(&e->tenants_lock);
	slx_engine_unlock_stripes(e);
	slx_retention_unref(old);
}

silex_status slx_engine_set_retention(struct slx_engine *e, const silex_retention *r, silex_error *err)
{
	struct slx_buf b;
	struct slx_retention *made = NULL;
	if (e->opt.read_only)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	slx_buf_init(&b, &e->mem, SLX_MEM_OTHER, DOCUMENT_MAX);
	encode(r, &b);
	silex_status status = b.failed ? slx_err(err, SILEX_RESOURCE_EXHAUSTED, "retention rules: out of memory, or above %d bytes", DOCUMENT_MAX) :
					 decode(&e->mem, b.p, b.n, &made, err);
	if (status == SILEX_OK) {
		pthread_mutex_lock(&e->manifest_lock);
		status = store(e, &b, err);
		if (status == SILEX_OK)
			install(e, made);
		else
			slx_retention_unref(made);
		pthread_mutex_unlock(&e->manifest_lock);
	}
	slx_buf_free(&b);
	if (status == SILEX_OK)
		slx_background_want_expire(e);
	return status;
}

/* --- for the application -------------------------------------------------------------------------------------------------------- */

struct copy {
	size_t size;
	silex_retention r;
};

static size_t texts_size(const struct slx_retention *r)
{
	size_t n = r->origin.n + 1;
	for (size_t i = 0; i < r->n; i++)
		n += r->rules[i].tenant.n + r->rules[i].text.n + r->rules[i].rollup.n + r->rules[i].hold.n + 4;
	for (size_t i = 0; i < r->n_dedup; i++)
		n += r->dedup[i].tenant.n + 1;
	return n;
}

/* NULL for an empty one. */
static const char *put_copy(char **at, struct slx_str s)
{
	if (s.n == 0)
		return NULL;
	char *to = *at;
	memcpy(to, s.p, s.n);
	to[s.n] = 0;
	*at += s.n + 1;
	return to;
}

static void fill(const struct slx_retention *r, struct copy *c)
{
	silex_retention_rule *rules = (silex_retention_rule *)(c + 1);
	silex_dedup *dedup = (silex_dedup *)(rules + r->n);
	char *at = (char *)(dedup + r->n_dedup);
	for (size_t i = 0; i < r->n; i++) {
		const struct slx_retention_rule *x = &r->rules[i];
		rules[i].tenant = put_copy(&at, x->tenant);
		rules[i].selector = put_copy(&at, x->text);
		rules[i].rollup = put_copy(&at, x->rollup);
		rules[i].hold = put_copy(&at, x->hold);
		rules[i].keep_ms = x->keep / SLX_MS;
	}
	for (size_t i = 0; i < r->n_dedup; i++)
		dedup[i] = (silex_dedup){ put_copy(&at, r->dedup[i].tenant), r->dedup[i].interval / SLX_MS };
	c->r.rules = rules;
	c->r.n_rules = r->n;
	c->r.dedup = dedup;
	c->r.n_dedup = r->n_dedup;
	c->r.size_max = r->size_max;
	c->r.origin = put_copy(&at, r->origin);
}

silex_status slx_engine_get_retention(struct slx_engine *e, silex_retention **ret, silex_error *err)
{
	struct slx_retention *r = slx_retention_get(e);
	size_t size = sizeof(struct copy);
	if (r)
		size += r->n * sizeof(silex_retention_rule) + r->n_dedup * sizeof(silex_dedup) + texts_size(r);
	struct copy *c = slx_calloc(&e->mem, SLX_MEM_OTHER, size);
	if (c) {
		c->size = size;
		c->r.size = sizeof c->r;
		if (r)
			fill(r, c);
		*ret = &c->r;
	}
	slx_retention_unref(r);
	return c ? SILEX_OK : slx_err_oom(err);
}

void slx_engine_retention_free(struct slx_engine *e, silex_retention *r)
{
	if (!r)
		return;
	struct copy *c = (struct copy *)((char *)r - offsetof(struct copy, r));
	slx_free(&e->mem, SLX_MEM_OTHER, c, c->size);
}
