/* Rules of retention against a slow model: random rules, writes, overwrites, deletes, holds, flushes, compactions, reopens and a
 * clock that moves. The seed is printed; give it as the first argument to repeat a run, the number of steps as the second.
 *
 * What the model knows of a sample: its newest value, and whether it ever was too old since it was written. One that was may be
 * there or not when a longer rule would show it again (it depends on what was removed), but if it is there it has that value:
 * nothing overwritten or deleted comes back. */
#include "base/clock.h"
#include "base/vfs_sim.h"

#include <silex/retention.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TENANTS = 2, SERIES = 8, SLOTS = 400, RULES_MAX = 4, STEPS_ROUND = 4000 };
static const int64_t SPACING = 60 * INT64_C(1000000000);
static const char *const tenant_name[TENANTS] = { "default", "ward" };

enum state { ABSENT, THERE, MAYBE };

struct sample {
	enum state state;
	double value;
};

struct rule {
	int tenant, selector; /* -1: every tenant */
	int64_t keep;         /* in slots; 0: for ever */
	bool hold;
};

struct run {
	uint64_t rng, steps, checks, refused, held;
	struct slx_vfs_sim *sim;
	silex_options opt;
	silex_db *db;
	int64_t now; /* of the clock, in slots */
	struct sample at[TENANTS][SERIES][SLOTS];
	struct rule rules[RULES_MAX];
	int n_rules;
	int dedup[TENANTS]; /* slots; 0: none */
};

static uint64_t below(struct run *r, uint64_t n) { return slx_rng_next(&r->rng) % n; }

static bool failed(const char *what, const silex_error *err)
{
	printf("%s: %s\n", what, err->message);
	return false;
}

static int64_t wall(void *ctx) { return ((struct run *)ctx)->now * SPACING; }
static int64_t monotonic(void *ctx) { return ((struct run *)ctx)->now * SPACING + INT64_C(1000000000); }

/* --- the model ------------------------------------------------------------------------------------------------------------------ */

static const char *const selector_text[] = { "", "m0", "{host=\"h1\"}", "m1{host=~\"h[23]\"}", "{host!=\"h0\"}" };

static bool selects(int selector, int s)
{
	int metric = s / 4, host = s % 4;
	switch (selector) {
	case 1:
		return metric == 0;
	case 2:
		return host == 1;
	case 3:
		return metric == 1 && host >= 2;
	case 4:
		return host != 0;
	default:
		return true;
	}
}

static bool is_held(const struct run *r, int tenant, int s)
{
	for (int i = 0; i < r->n_rules; i++)
		if (r->rules[i].hold && (r->rules[i].tenant < 0 || r->rules[i].tenant == tenant) && selects(r->rules[i].selector, s))
			return true;
	return false;
}

/* The first slot that is not too old. */
static int64_t cutoff(const struct run *r, int tenant, int s)
{
	if (is_held(r, tenant, s))
		return 0;
	for (int i = 0; i < r->n_rules; i++) {
		const struct rule *x = &r->rules[i];
		if (!x->hold && (x->tenant < 0 || x->tenant == tenant) && selects(x->selector, s))
			return x->keep && r->now > x->keep ? r->now - x->keep : 0;
	}
	return 0;
}

/* The last slot of the interval of dedup that slot i lies in. */
static int64_t last_of(const struct run *r, int tenant, int64_t i)
{
	int d = r->dedup[tenant];
	return d ? (i + d - 1) / d * d : i;
}

/* Is a later sample of the interval there (or perhaps there)? */
static bool beaten(const struct run *r, int tenant, int s, int64_t i, bool perhaps)
{
	for (int64_t k = i + 1; k <= last_of(r, tenant, i) && k < SLOTS; k++)
		if (r->at[tenant][s][k].state == THERE || (perhaps && r->at[tenant][s][k].state == MAYBE))
			return true;
	return false;
}

/* What is too old now may be removed from now on. */
static void age(struct run *r)
{
	for (int t = 0; t < TENANTS; t++)
		for (int s = 0; s < SERIES; s++)
			for (int64_t i = 0, end = cutoff(r, t, s); i < end && i < SLOTS; i++)
				if (r->at[t][s][i].state == THERE)
					r->at[t][s][i].state = MAYBE;
}

/* --- steps ------------------------------------------------------------------------------------------------------------------------ */

static bool open_db(struct run *r)
{
	silex_error err;
	return silex_open("db", &r->opt, &r->db, &err) == SILEX_OK || failed("open", &err);
}

static bool set_rules(struct run *r)
{
	silex_retention_rule rules[RULES_MAX] = { 0 };
	silex_retention x;
	silex_error err;
	silex_retention_init(&x);
	r->n_rules = (int)below(r, RULES_MAX + 1);
	for (int i = 0; i < r->n_rules; i++) {
		struct rule *rule = &r->rules[i];
		rule->tenant = (int)below(r, TENANTS + 1) - 1;
		rule->selector = (int)below(r, 5);
		rule->hold = below(r, 6) == 0;
		rule->keep = rule->hold || below(r, 8) == 0 ? 0 : 1 + (int64_t)below(r, 200);
		rules[i].tenant = rule->tenant < 0 ? NULL : tenant_name[rule->tenant];
		rules[i].selector = selector_text[rule->selector];
		rules[i].keep_ms = rule->keep * SPACING / 1000000;
		rules[i].hold = rule->hold ? "case 7" : NULL;
	}
	silex_dedup dedup[TENANTS];
	for (int t = 0; t < TENANTS; t++)
		dedup[t] = (silex_dedup){ tenant_name[t], r->dedup[t] * SPACING / 1000000 };
	x.dedup = dedup;
	x.n_dedup = TENANTS;
	x.rules = rules;
	x.n_rules = (size_t)r->n_rules;
	if (silex_set_retention(r->db, &x, &err) != SILEX_OK)
		return failed("set retention", &err);
	age(r);
	return true;
}

/* Slots up to the clock's, mostly late ones. */
static int random_slot(struct run *r)
{
	int64_t top = r->now < SLOTS ? r->now : SLOTS - 1;
	return below(r, 3) ? (int)(top - (int64_t)below(r, (uint64_t)(top < 20 ? top + 1 : 20))) : (int)below(r, (uint64_t)top + 1);
}

static bool insert(struct run *r)
{
	enum { ROWS = 40 };
	silex_row rows[ROWS];
	silex_label labels[ROWS][2];
	char text[ROWS][2][16];
	silex_batch_result result;
	silex_error err;
	size_t n = 1 + below(r, ROWS), refused = 0;
	int t = (int)below(r, TENANTS);
	for (size_t i = 0; i < n; i++) {
		int s = (int)below(r, SERIES), slot = random_slot(r);
		double v = (double)below(r, 1000);
		snprintf(text[i][0], 16, "m%d", s / 4);
		snprintf(text[i][1], 16, "h%d", s % 4);
		labels[i][0] = (silex_label){ "__name__", text[i][0] };
		labels[i][1] = (silex_label){ "host", text[i][1] };
		rows[i] = (silex_row){ labels[i], 2, slot * SPACING, silex_float(v) };
		if (slot < cutoff(r, t, s))
			refused++;
		else
			r->at[t][s][slot] = (struct sample){ THERE, v };
	}
	if (silex_insert_batch(r->db, tenant_name[t], rows, n, &result, &err) != SILEX_OK)
		return failed("insert", &err);
	r->refused += refused;
	if (result.refused != refused)
		printf("%zu rows refused (%s), %zu are too old\n", result.refused, result.refused ? result.error.message : "", refused);
	return result.refused == refused;
}

static bool delete_some(struct run *r)
{
	int t = (int)below(r, TENANTS), selector = (int)below(r, 5);
	int64_t asked = (int64_t)below(r, SLOTS), to = asked + (int64_t)below(r, below(r, 4) ? 20 : SLOTS);
	int64_t from = r->dedup[t] && asked ? last_of(r, t, asked) - r->dedup[t] + 1 : asked;
	uint64_t least = 0, most = 0, got = 0;
	bool must_refuse = false, may_refuse = false;
	silex_error err;
	for (int s = 0; s < SERIES; s++)
		for (int64_t i = from > cutoff(r, t, s) ? from : cutoff(r, t, s); selects(selector, s) && i <= to && i < SLOTS; i++) {
			const struct sample *x = &r->at[t][s][i];
			bool sure = x->state == THERE && !beaten(r, t, s, i, true), perhaps = x->state != ABSENT && !beaten(r, t, s, i, false);
			least += sure;
			most += perhaps;
			must_refuse |= sure && is_held(r, t, s);
			may_refuse |= perhaps && is_held(r, t, s);
		}
	silex_status status = silex_delete(r->db, tenant_name[t], selector_text[selector], asked * SPACING, to * SPACING, &got, &err);
	if (status == SILEX_PERMISSION_DENIED && may_refuse) {
		r->held++;
		return true;
	}
	if (status != SILEX_OK || must_refuse || got < least || got > most) {
		printf("delete: %s, %llu samples; expected %llu to %llu%s\n", status == SILEX_OK ? "ok" : err.message, (unsigned long long)got,
			(unsigned long long)least, (unsigned long long)most, must_refuse ? ", refused by a hold" : "");
		return false;
	}
	for (int s = 0; s < SERIES; s++)
		for (int64_t i = from; selects(selector, s) && i <= to && i < SLOTS; i++)
			r->at[t][s][i].state = ABSENT;
	return true;
}

static bool compare_series(struct run *r, int t, int s, const struct sample *got)
{
	for (int64_t i = 0; i < SLOTS; i++) {
		struct sample *want = &r->at[t][s][i];
		bool old = i < cutoff(r, t, s);
		bool there = got[i].state == THERE;
		bool ok = there ? !old && want->state != ABSENT && want->value == got[i].value && !beaten(r, t, s, i, false) :
			old || want->state != THERE || beaten(r, t, s, i, true);
		if (!ok) {
			printf("tenant %s m%d{host=\"h%d\"} slot %lld of now %lld, kept from %lld: got %s %g, expected state %d value %g\n", tenant_name[t], s / 4, s % 4,
				(long long)i, (long long)r->now, (long long)cutoff(r, t, s), there ? "sample" : "nothing", got[i].value, want->state, want->value);
			return false;
		}
		if (!there && !old && !beaten(r, t, s, i, true))
			want->state = ABSENT; /* and it does not come back */
	}
	return true;
}

static bool read_all(struct run *r, int t, struct sample got[SERIES][SLOTS], uint64_t *ret_n)
{
	silex_query q;
	silex_cursor *c;
	silex_batch b;
	silex_error err;
	silex_query_init(&q);
	q.tenant = tenant_name[t];
	q.start = INT64_MIN;
	q.end = INT64_MAX;
	*ret_n = 0;
	if (silex_query_run(r->db, &q, &c, &err) != SILEX_OK)
		return failed("query", &err);
	silex_status status;
	while ((status = silex_cursor_next(c, &b, &err)) == SILEX_OK && b.n) {
		int s = (b.labels[0].value[1] - '0') * 4 + b.labels[1].value[1] - '0';
		for (size_t i = 0; i < b.n; i++)
			got[s][b.times[i] / SPACING] = (struct sample){ THERE, b.values[i] };
		*ret_n += b.n;
	}
	silex_cursor_close(c);
	return status == SILEX_OK || failed("read", &err);
}

/* The way over chunk headers gives the same number. */
static bool count_all(struct run *r, int t, uint64_t want)
{
	silex_query q;
	silex_cursor *c;
	silex_batch b;
	silex_error err;
	silex_query_init(&q);
	q.tenant = tenant_name[t];
	q.start = 0;
	q.end = SLOTS * SPACING;
	q.agg = SILEX_AGG_COUNT;
	q.group = true;
	if (silex_query_run(r->db, &q, &c, &err) != SILEX_OK)
		return failed("count", &err);
	silex_status status = silex_cursor_next(c, &b, &err);
	uint64_t got = status == SILEX_OK && b.n ? (uint64_t)b.values[0] : 0;
	silex_cursor_close(c);
	if (status != SILEX_OK)
		return failed("count", &err);
	if (got != want)
		printf("count says %llu, the samples are %llu\n", (unsigned long long)got, (unsigned long long)want);
	return got == want;
}

static bool check(struct run *r)
{
	static struct sample got[SERIES][SLOTS];
	r->checks++;
	for (int t = 0; t < TENANTS; t++) {
		uint64_t n;
		memset(got, 0, sizeof got);
		if (!read_all(r, t, got, &n) || !count_all(r, t, n))
			return false;
		for (int s = 0; s < SERIES; s++)
			if (!compare_series(r, t, s, got[s]))
				return false;
	}
	return true;
}

static bool compact(struct run *r)
{
	silex_compact_options o;
	silex_error err;
	silex_compact_options_init(&o);
	o.full = below(r, 2);
	if (below(r, 3) == 0)
		return silex_apply_retention(r->db, false, NULL, NULL, NULL, &err) == SILEX_OK || failed("apply", &err);
	return silex_compact(r->db, &o, &err) == SILEX_OK || failed("compact", &err);
}

static bool reopen(struct run *r)
{
	silex_error err;
	if (below(r, 2)) { /* as after kill -9 */
		slx_vfs_sim_reboot(r->sim, false);
		silex_close(r->db, NULL);
	} else if (silex_close(r->db, &err) != SILEX_OK) {
		return failed("close", &err);
	}
	return open_db(r);
}

static bool step(struct run *r)
{
	silex_error err;
	uint64_t k = below(r, 1000);
	if (k < 700)
		return insert(r);
	if (k < 760) {
		r->now += (int64_t)below(r, 6);
		age(r);
		return true;
	}
	if (k < 800)
		return delete_some(r);
	if (k < 880)
		return check(r);
	if (k < 920)
		return silex_checkpoint(r->db, &err) == SILEX_OK || failed("checkpoint", &err);
	return k < 960 ? compact(r) : k < 985 ? set_rules(r) : reopen(r);
}

static bool round_of(uint64_t seed, uint64_t *steps)
{
	struct run *r = calloc(1, sizeof *r);
	silex_error err;
	if (!r)
		abort();
	r->rng = seed;
	r->now = 10;
	r->sim = slx_vfs_sim_new(seed);
	silex_options_init(&r->opt);
	r->opt.env.vfs = slx_vfs_sim_vfs(r->sim);
	r->opt.env.clock = (silex_clock){ r, wall, monotonic };
	r->opt.no_background = true;
	r->opt.sync = SILEX_SYNC_NEVER;
	r->opt.block_duration_ms = below(r, 2) ? 7200000 : 600000;
	r->opt.threads = 2;
	r->dedup[1] = (int)below(r, 3) * 4;
	bool ok = open_db(r) && set_rules(r);
	while (ok && r->steps < STEPS_ROUND) {
		ok = step(r);
		r->steps++;
	}
	ok = ok && check(r) && reopen(r) && check(r);
	if (ok && silex_close(r->db, &err) != SILEX_OK)
		ok = failed("close", &err);
	printf("seed %llu: %llu steps, %llu comparisons, %llu writes too old, %llu deletes held: %s\n", (unsigned long long)seed, (unsigned long long)r->steps,
		(unsigned long long)r->checks, (unsigned long long)r->refused, (unsigned long long)r->held, ok ? "ok" : "FAILED");
	fflush(stdout);
	*steps += r->steps;
	if (ok)
		slx_vfs_sim_free(r->sim);
	free(r);
	return ok;
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20261121;
	uint64_t wanted = argc > 2 ? strtoull(argv[2], NULL, 0) : 60000, done = 0;
	bool ok = true;
	for (; ok && done < wanted; seed++)
		ok = round_of(seed, &done);
	return ok ? 0 : 1;
}
