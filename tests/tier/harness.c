#include "harness.h"

#include "base/clock.h"

#include <pthread.h>

/* --- the store ------------------------------------------------------------------------------------------------------------- */

struct object {
	struct object *next;
	char name[129];
	uint8_t *p;
	size_t n;
};

struct flaky {
	pthread_mutex_t lock; /* all */
	struct object *objects;
	silex_store_type type;
	enum flaky_fault fault;
	uint64_t rng, calls, kill_at;
	bool kill_after;
	struct slx_vfs_sim *sim;
};

struct flaky_store {
	silex_store base;
	struct flaky *f;
};

struct flaky_writer {
	struct object *o;
};

static struct flaky *of(silex_store *s) { return ((struct flaky_store *)s)->f; }

/* Whether a call has its effect and whether it tells of it. */
struct fate {
	bool done, told;
};

static struct fate call(struct flaky *f)
{
	struct fate fate = { true, true };
	f->calls++;
	if (f->kill_at && f->calls >= f->kill_at) {
		bool now = f->calls == f->kill_at;
		if (now)
			slx_vfs_sim_arm(f->sim, SLX_SIM_KILL, 1);
		return (struct fate){ now && f->kill_after, false };
	}
	if (f->fault == FLAKY_DOWN)
		return (struct fate){ false, false };
	if (f->fault == FLAKY_SOMETIMES && slx_rng_next(&f->rng) % 4 == 0)
		fate = (struct fate){ slx_rng_next(&f->rng) % 2 == 0, false };
	return fate;
}

static silex_status tell(silex_error *err, silex_status status, const char *what)
{
	if (err) {
		err->code = status;
		snprintf(err->message, sizeof err->message, "%s", what);
	}
	return status;
}

static silex_status away(silex_error *err) { return tell(err, SILEX_UNAVAILABLE, "connection refused (test)"); }

static struct object **find(struct flaky *f, const char *name)
{
	struct object **at = &f->objects;
	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static void free_object(struct object *o)
{
	free(o->p);
	free(o);
}

static silex_status flaky_begin(silex_store *s, const char *name, void **ret, silex_error *err)
{
	struct flaky *f = of(s);
	pthread_mutex_lock(&f->lock);
	struct fate fate = call(f);
	bool there = *find(f, name) != NULL;
	pthread_mutex_unlock(&f->lock);
	if (!fate.told)
		return away(err);
	if (there)
		return tell(err, SILEX_CONFLICT, "there is one");
	struct object *o = calloc(1, sizeof *o);
	snprintf(o->name, sizeof o->name, "%s", name);
	*ret = o;
	return SILEX_OK;
}

static silex_status flaky_append(silex_store *s, void *writer, const void *bytes, size_t n, silex_error *err)
{
	struct flaky *f = of(s);
	struct object *o = writer;
	pthread_mutex_lock(&f->lock);
	struct fate fate = call(f);
	pthread_mutex_unlock(&f->lock);
	if (!fate.told)
		return away(err);
	o->p = realloc(o->p, o->n + n);
	memcpy(o->p + o->n, bytes, n);
	o->n += n;
	return SILEX_OK;
}

static void flaky_abort(silex_store *s, void *writer) { free_object(writer); }

static silex_status flaky_commit(silex_store *s, void *writer, silex_error *err)
{
	struct flaky *f = of(s);
	struct object *o = writer;
	pthread_mutex_lock(&f->lock);
	struct fate fate = call(f);
	if (fate.done) {
		if (f->fault == FLAKY_LOSES)
			o->n /= 2;
		assert_null(*find(f, o->name));
		o->next = f->objects;
		f->objects = o;
	} else {
		free_object(o);
	}
	pthread_mutex_unlock(&f->lock);
	return fate.told ? SILEX_OK : away(err);
}

static silex_status flaky_get_range(silex_store *s, const char *name, uint64_t offset, void *buf, size_t n, silex_error *err)
{
	struct flaky *f = of(s);
	silex_status status = SILEX_OK;
	pthread_mutex_lock(&f->lock);
	struct fate fate = call(f);
	struct object *o = *find(f, name);
	bool unlucky = slx_rng_next(&f->rng) % 4 == 0;
	if (!fate.told)
		status = away(err);
	else if (!o)
		status = tell(err, SILEX_NOT_FOUND, "no such object");
	else if (offset > o->n || n > o->n - offset || (f->fault == FLAKY_SHORT && unlucky))
		status = tell(err, SILEX_CORRUPT, "ends early");
	else
		memcpy(buf, o->p + offset, n);
	if (status == SILEX_OK && n > 0 && (f->fault == FLAKY_ROTTEN || (f->fault == FLAKY_FLIPS && unlucky)))
		((uint8_t *)buf)[slx_rng_next(&f->rng) % n] ^= 4;
	pthread_mutex_unlock(&f->lock);
	return status;
}

static silex_status flaky_size(silex_store *s, const char *name, uint64_t *ret, silex_error *err)
{
	struct flaky *f = of(s);
	pthread_mutex_lock(&f->lock);
	struct fate fate = call(f);
	struct object *o = *find(f, name);
	if (o)
		*ret = o->n;
	pthread_mutex_unlock(&f->lock);
	return !fate.told ? away(err) : o ? SILEX_OK : tell(err, SILEX_NOT_FOUND, "no such object");
}

static silex_status flaky_list(silex_store *s, const char *prefix, silex_store_name_fn each, void *arg, silex_error *err)
{
	return away(err); /* tiers never list */
}

static silex_status flaky_remove(silex_store *s, const char *name, silex_error *err)
{
	struct flaky *f = of(s);
	pthread_mutex_lock(&f->lock);
	struct fate fate = call(f);
	struct object **at = find(f, name), *o = *at;
	if (o && fate.done) {
		*at = o->next;
		free_object(o);
	}
	pthread_mutex_unlock(&f->lock);
	return !fate.told ? away(err) : o ? SILEX_OK : tell(err, SILEX_NOT_FOUND, "no such object");
}

static void flaky_close(silex_store *s) { free(s); }

static const silex_store_ops flaky_ops = {
	.struct_size = sizeof flaky_ops,
	.begin = flaky_begin,
	.append = flaky_append,
	.commit = flaky_commit,
	.abort = flaky_abort,
	.get_range = flaky_get_range,
	.size = flaky_size,
	.list = flaky_list,
	.remove = flaky_remove,
	.close = flaky_close,
};

static silex_status flaky_open(void *ctx, const silex_store_config *c, const silex_env *env, silex_store **ret, silex_error *err)
{
	struct flaky_store *s = calloc(1, sizeof *s);
	s->base.ops = &flaky_ops;
	s->f = ctx;
	*ret = &s->base;
	return SILEX_OK;
}

struct flaky *flaky_new(uint64_t seed)
{
	struct flaky *f = calloc(1, sizeof *f);
	f->rng = seed;
	f->type = (silex_store_type){ .struct_size = sizeof f->type, .scheme = "flaky", .ctx = f, .open = flaky_open };
	pthread_mutex_init(&f->lock, NULL);
	return f;
}

void flaky_forget(struct flaky *f)
{
	while (f->objects) {
		struct object *next = f->objects->next;
		free_object(f->objects);
		f->objects = next;
	}
}

void flaky_free(struct flaky *f)
{
	flaky_forget(f);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

const silex_store_type *flaky_type(struct flaky *f) { return &f->type; }
uint64_t flaky_calls(const struct flaky *f) { return f->calls; }

void flaky_fail(struct flaky *f, enum flaky_fault fault)
{
	pthread_mutex_lock(&f->lock);
	f->fault = fault;
	f->kill_at = 0;
	pthread_mutex_unlock(&f->lock);
}

void flaky_kill_at(struct flaky *f, struct slx_vfs_sim *sim, uint64_t at, bool after)
{
	f->sim = sim;
	f->kill_at = f->calls + at;
	f->kill_after = after;
}

size_t flaky_objects(const struct flaky *f)
{
	size_t n = 0;
	for (const struct object *o = f->objects; o; o = o->next)
		n++;
	return n;
}

uint64_t flaky_bytes(const struct flaky *f)
{
	uint64_t n = 0;
	for (const struct object *o = f->objects; o; o = o->next)
		n += o->n;
	return n;
}

void flaky_plant(struct flaky *f, const char *name)
{
	struct object *o = calloc(1, sizeof *o);
	snprintf(o->name, sizeof o->name, "%s", name);
	o->next = f->objects;
	f->objects = o;
}

bool flaky_has(const struct flaky *f, const char *name) { return *find((struct flaky *)f, name) != NULL; }

/* --- the world -------------------------------------------------------------------------------------------------------------- */

#define MINUTE INT64_C(60000000000)
#define EPOCH  INT64_C(1700000000000000000)

static int64_t wall_ns(void *ctx) { return ((struct tier_world *)ctx)->now_ns; }

static int64_t monotonic_ns(void *ctx)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

uint64_t world_random(struct tier_world *w, uint64_t below) { return slx_rng_next(&w->rng) % below; }

struct tier_world *world_new(uint64_t seed, const char *url)
{
	struct tier_world *w = calloc(1, sizeof *w);
	silex_error err;
	w->rng = seed;
	w->path = "db";
	w->now_ns = EPOCH + 100 * 1440 * MINUTE;
	w->sim = slx_vfs_sim_new(seed);
	w->store = flaky_new(seed);
	w->types[0] = flaky_type(w->store);
	w->config = (silex_store_config){ .struct_size = sizeof w->config, .name = "archive", .url = url ? url : "flaky:" };
	silex_options_init(&w->opt);
	w->opt.env.vfs = slx_vfs_sim_vfs(w->sim);
	w->opt.env.clock = (silex_clock){ .ctx = w, .wall_ns = wall_ns, .monotonic_ns = monotonic_ns };
	w->opt.no_background = true;
	w->opt.threads = 1;
	w->opt.stores = &w->config;
	w->opt.n_stores = 1;
	w->opt.store_types = w->types;
	w->opt.n_store_types = 1;
	strcpy(w->opt.cold_store, "archive");
	w->opt.cold_after_ms = 30 * INT64_C(86400000);
	world_open(w);
	assert_int_equal(silex_open(NULL, NULL, &w->twin, &err), SILEX_OK);
	return w;
}

void world_open(struct tier_world *w)
{
	silex_error err = { SILEX_OK, "" };
	if (silex_open(w->path, &w->opt, &w->db, &err) != SILEX_OK)
		fail_msg("open: %s", err.message);
}

void world_close(struct tier_world *w)
{
	silex_error err = { SILEX_OK, "" };
	if (silex_close(w->db, &err) != SILEX_OK)
		fail_msg("close: %s", err.message);
	w->db = NULL;
}

void world_free(struct tier_world *w)
{
	if (w->db)
		world_close(w);
	silex_close(w->twin, NULL);
	slx_vfs_sim_free(w->sim);
	flaky_free(w->store);
	free(w);
}

void world_crash(struct tier_world *w, bool power_cut)
{
	flaky_fail(w->store, FLAKY_NONE);
	if (!slx_vfs_sim_fired(w->sim))
		slx_vfs_sim_arm(w->sim, SLX_SIM_KILL, 1);
	silex_close(w->db, NULL); /* fails: nothing reaches the disk any more */
	slx_vfs_sim_reboot(w->sim, power_cut);
	slx_vfs_sim_heal(w->sim);
	world_open(w);
}

static void write_series(struct tier_world *w, silex_db *db, int s, int64_t from, int n, uint64_t salt)
{
	char name[8];
	silex_series *h;
	silex_error err = { SILEX_OK, "" };
	silex_label labels[2] = { { "__name__", "m" }, { "s", name } };
	int64_t *t = malloc((size_t)n * sizeof *t);
	silex_value *v = malloc((size_t)n * sizeof *v);
	snprintf(name, sizeof name, "s%d", s);
	for (int i = 0; i < n; i++) {
		t[i] = EPOCH + (from + i) * MINUTE;
		v[i] = silex_float((double)((salt + (uint64_t)i * 7919 + (uint64_t)s) % 100000) / 8);
	}
	assert_int_equal(silex_series_open(db, NULL, labels, 2, &h, &err), SILEX_OK);
	if (silex_append_values(h, t, v, (size_t)n, &err) != SILEX_OK)
		fail_msg("append: %s", err.message);
	silex_series_close(h);
	free(t);
	free(v);
}

void world_write(struct tier_world *w, int64_t from, int n)
{
	uint64_t salt = world_random(w, 1 << 30), which = 1 + world_random(w, (1 << TIER_SERIES) - 1);
	for (int s = 0; s < TIER_SERIES; s++)
		if (which >> s & 1) {
			write_series(w, w->db, s, from, n, salt);
			write_series(w, w->twin, s, from, n, salt);
		}
}

void world_delete(struct tier_world *w, int64_t from, int n)
{
	char selector[32];
	silex_error err = { SILEX_OK, "" };
	uint64_t a = 0, b = 0;
	snprintf(selector, sizeof selector, "m{s=\"s%d\"}", (int)world_random(w, TIER_SERIES));
	int64_t to = EPOCH + (from + n) * MINUTE;
	if (silex_delete(w->db, NULL, selector, EPOCH + from * MINUTE, to, &a, &err) != SILEX_OK)
		fail_msg("delete: %s", err.message);
	assert_int_equal(silex_delete(w->twin, NULL, selector, EPOCH + from * MINUTE, to, &b, &err), SILEX_OK);
	assert_int_equal(a, b);
}

void world_checkpoint(struct tier_world *w)
{
	silex_error err = { SILEX_OK, "" };
	if (silex_checkpoint(w->db, &err) != SILEX_OK)
		fail_msg("checkpoint: %s", err.message);
}

/* --- comparing --------------------------------------------------------------------------------------------------------------- */

struct samples {
	uint64_t hash, n;
};

static silex_status read_all(silex_db *db, struct samples *ret, silex_error *err)
{
	const char *selector = "m";
	silex_query q;
	silex_cursor *c;
	silex_batch b;
	*ret = (struct samples){ 0 };
	silex_query_init(&q);
	q.selectors = &selector;
	q.n_selectors = 1;
	q.start = SILEX_TIME_MIN;
	q.end = SILEX_TIME_MAX;
	silex_status status = silex_query_run(db, &q, &c, err);
	if (status != SILEX_OK)
		return status;
	while ((status = silex_cursor_next(c, &b, err)) == SILEX_OK && b.n > 0)
		for (size_t i = 0; i < b.n; i++) {
			uint64_t bits, x = (uint64_t)b.times[i] * 31 + (uint64_t)(unsigned char)b.labels[1].value[1];
			memcpy(&bits, &b.values[i], sizeof bits);
			x ^= bits;
			ret->hash += slx_rng_next(&x);
			ret->n++;
		}
	silex_cursor_close(c);
	return status;
}

bool world_compare(struct tier_world *w, bool may_fail, const char *what)
{
	struct samples a, b;
	silex_error err = { SILEX_OK, "" };
	silex_status status = read_all(w->db, &a, &err);
	if (may_fail && (status == SILEX_UNAVAILABLE || status == SILEX_CORRUPT)) {
		if (!strstr(err.message, "archive"))
			fail_msg("%s: the error does not name the store: %s", what, err.message);
		return false;
	}
	if (status != SILEX_OK)
		fail_msg("%s: query says %s: %s", what, silex_status_text(status), err.message);
	assert_int_equal(read_all(w->twin, &b, &err), SILEX_OK);
	if (a.n != b.n || a.hash != b.hash)
		fail_msg("%s: %llu samples, the twin has %llu%s", what, (unsigned long long)a.n, (unsigned long long)b.n, a.n == b.n ? ", other ones" : "");
	return true;
}

silex_metrics world_metrics(struct tier_world *w)
{
	silex_metrics m = { .size = sizeof m };
	silex_error err;
	assert_int_equal(silex_get_metrics(w->db, &m, &err), SILEX_OK);
	return m;
}

struct count {
	const char *suffix;
	size_t n;
};

static bool count_file(void *arg, const char *name)
{
	struct count *c = arg;
	size_t n = strlen(name), k = strlen(c->suffix);
	c->n += n >= k && strcmp(name + n - k, c->suffix) == 0;
	return true;
}

size_t world_files(struct tier_world *w, const char *dir, const char *suffix)
{
	struct count c = { suffix, 0 };
	struct slx_vfs *vfs = slx_vfs_sim_vfs(w->sim);
	silex_error err;
	silex_status status = vfs->list(vfs, dir, count_file, &c, &err);
	assert_true(status == SILEX_OK || status == SILEX_NOT_FOUND);
	return c.n;
}

void world_settle(struct tier_world *w)
{
	silex_error err = { SILEX_OK, "" };
	silex_tier_options o;
	silex_tier_options_init(&o);
	o.remove_now = true;
	if (silex_compact(w->db, NULL, &err) != SILEX_OK || silex_tier_move(w->db, &o, NULL, &err) != SILEX_OK)
		fail_msg("settle: %s", err.message);
}

void world_check_places(struct tier_world *w, const char *what)
{
	silex_metrics m = world_metrics(w);
	size_t there = w->config.url[1] == 'l' ? flaky_objects(w->store) : world_files(w, "archive", "");
	if (there != m.blocks_cold)
		fail_msg("%s: %zu objects in the store, %llu cold blocks", what, there, (unsigned long long)m.blocks_cold);
	if (world_files(w, "db/blocks", ".slx") != m.blocks - m.blocks_cold || world_files(w, "db/blocks", ".stub") != m.blocks_cold)
		fail_msg("%s: %zu blocks and %zu stubs here; expected %llu and %llu", what, world_files(w, "db/blocks", ".slx"),
			world_files(w, "db/blocks", ".stub"), (unsigned long long)(m.blocks - m.blocks_cold), (unsigned long long)m.blocks_cold);
}
