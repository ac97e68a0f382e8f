/* The engine against the slow model: random inserts, late inserts, overwrites, kinds (bytes among them), deletes, re-inserts, flushes,
 * compactions, reopens. Runs rounds of different shapes (spacing of time, codec, block duration) until the number of
 * operations is reached. The seed is printed; give it as the first argument to repeat a run, and the number of
 * operations as the second. */
#include "base/clock.h"
#include "base/vfs_sim.h"
#include "model.h"
#include "oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPERATIONS_ROUND = 50000 };

struct run {
	uint64_t rng;
	struct model m;
	struct slx_vfs_sim *sim;
	silex_options opt;
	silex_db *db;
	int newest[MODEL_TENANTS][MODEL_SERIES];
	uint64_t operations, deleted, checked;
};

static uint64_t rnd(struct run *r) { return slx_rng_next(&r->rng); }
static uint64_t below(struct run *r, uint64_t n) { return rnd(r) % n; }

static bool failed(const char *what, const silex_error *err)
{
	printf("%s: %s\n", what, err->message);
	return false;
}

static bool open_db(struct run *r)
{
	silex_error err;
	return silex_open("db", &r->opt, &r->db, &err) == SILEX_OK || failed("open", &err);
}

/* --- operations ----------------------------------------------------------------------------------------------------- */

static silex_value random_value(struct run *r, int s, struct model_sample *ret)
{
	silex_value v;
	ret->present = true;
	if (model_is_enum(s)) {
		ret->bits = below(r, 4);
		v = silex_state(model_state[ret->bits]);
	} else if (s % 3 == 0 || below(r, 16) > 0) {
		uint64_t k = rnd(r), bits;
		double d = k % 3 == 0 ? (double)(k >> 8 & 1023) / 100 : k % 3 == 1 ? (double)(k >> 8 & 255) : 0;
		memcpy(&bits, &d, sizeof bits);
		if (k % 64 == 2)
			bits = rnd(r); /* any bits: NaN payloads, infinities, subnormals */
		if (bits == SILEX_NO_VALUE_BITS)
			bits ^= 1;
		memcpy(&d, &bits, sizeof d);
		ret->bits = bits;
		v = silex_float(d);
	} else if (below(r, 2)) {
		ret->bits = below(r, 4) ? below(r, 1000) : rnd(r);
		v = silex_int((int64_t)ret->bits);
	} else {
		ret->bits = below(r, 2);
		v = silex_bool(ret->bits);
	}
	ret->kind = v.kind;
	return v;
}

/* Mostly the next instant, sometimes the past, now and then a jump. */
static int random_slot(struct run *r, int tenant, int s)
{
	int newest = r->newest[tenant][s];
	uint64_t k = below(r, 100);
	if (k < 75 && newest + 1 < MODEL_SLOTS)
		return newest + 1;
	if (k < 76 && newest + 20 < MODEL_SLOTS)
		return newest + 1 + (int)below(r, 20);
	return (int)below(r, (uint64_t)(newest < 8 ? 8 : newest + 1));
}

static bool insert_some(struct run *r)
{
	enum { ROWS = 32 };
	silex_row rows[ROWS];
	silex_label labels[ROWS][2];
	char text[ROWS][2][16];
	silex_error err;
	size_t n = 1 + below(r, ROWS);
	int tenant = (int)below(r, MODEL_TENANTS), s = (int)below(r, MODEL_SERIES);
	bool same = below(r, 2);
	for (size_t i = 0; i < n; i++) {
		if (!same)
			s = (int)below(r, MODEL_SERIES);
		int slot = random_slot(r, tenant, s);
		model_labels(s, text[i], labels[i]);
		struct model_sample sample;
		rows[i] = (silex_row){ labels[i], 2, r->m.time[slot], random_value(r, s, &sample) };
		r->m.at[tenant][s][slot] = sample;
		if (slot > r->newest[tenant][s])
			r->newest[tenant][s] = slot;
	}
	r->operations += n;
	return silex_insert_batch(r->db, model_tenant[tenant], rows, n, NULL, &err) == SILEX_OK || failed("insert", &err);
}

/* Histograms or bytes of one series, any but those of states. */
static bool insert_bytes(struct run *r)
{
	enum { ROWS = 40 };
	int64_t times[ROWS];
	uint64_t bits[ROWS];
	silex_label labels[2];
	char text[2][16];
	silex_error err;
	int tenant = (int)below(r, MODEL_TENANTS), s;
	do {
		s = (int)below(r, MODEL_SERIES);
	} while (model_is_enum(s));
	silex_kind kind = s % 2 ? ORACLE_HISTOGRAM : ORACLE_BYTES;
	size_t n = 1 + below(r, ROWS);
	for (size_t i = 0; i < n; i++) {
		int slot = random_slot(r, tenant, s);
		times[i] = r->m.time[slot];
		bits[i] = 1 + (rnd(r) >> 2);
		r->m.at[tenant][s][slot] = (struct model_sample){ true, kind, bits[i] };
		if (slot > r->newest[tenant][s])
			r->newest[tenant][s] = slot;
	}
	model_labels(s, text, labels);
	r->operations += n;
	return oracle_write(r->db, model_tenant[tenant], labels, 2, kind, times, bits, n, &err) == SILEX_OK || failed("insert bytes", &err);
}

static bool delete_some(struct run *r)
{
	char selector[128];
	bool taken[MODEL_SERIES];
	silex_error err;
	uint64_t want = 0, got;
	int tenant = (int)below(r, MODEL_TENANTS);
	int from = (int)below(r, MODEL_SLOTS), to = from + (int)below(r, below(r, 10) ? 30 : MODEL_SLOTS);
	if (to >= MODEL_SLOTS)
		to = MODEL_SLOTS - 1;
	model_selector(rnd(r), selector, sizeof selector, taken);
	for (int s = 0; s < MODEL_SERIES; s++)
		for (int i = from; taken[s] && i <= to; i++) {
			want += r->m.at[tenant][s][i].present;
			r->m.at[tenant][s][i].present = false;
		}
	r->operations++;
	if (silex_delete(r->db, model_tenant[tenant], selector, r->m.time[from], r->m.time[to], &got, &err) != SILEX_OK)
		return failed("delete", &err);
	if (got != want)
		printf("delete %s slots %d..%d: %llu samples reported, the model had %llu\n", selector, from, to, (unsigned long long)got, (unsigned long long)want);
	r->deleted += got;
	return got == want;
}

static bool check_some(struct run *r)
{
	char selector[128];
	bool taken[MODEL_SERIES];
	int tenant = (int)below(r, MODEL_TENANTS);
	int from = (int)below(r, MODEL_SLOTS), to = from + (int)below(r, MODEL_SLOTS - (uint64_t)from);
	if (below(r, 4) == 0) {
		from = 0;
		to = MODEL_SLOTS - 1;
	}
	model_selector(rnd(r), selector, sizeof selector, taken);
	r->operations++;
	r->checked++;
	return model_compare(r->db, &r->m, tenant, selector, taken, from, to);
}

static bool compact(struct run *r)
{
	silex_compact_options o;
	silex_error err;
	silex_compact_options_init(&o);
	o.full = below(r, 3) == 0;
	o.recode = below(r, 8) == 0;
	return silex_compact(r->db, &o, &err) == SILEX_OK || failed("compact", &err);
}

static bool reopen(struct run *r)
{
	silex_error err;
	if (below(r, 2)) { /* as after kill -9: nothing is closed, what was written stays */
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
	if (k < 750)
		return insert_some(r);
	if (k < 900)
		return insert_bytes(r);
	if (k < 930)
		return delete_some(r);
	if (k < 985)
		return check_some(r);
	r->operations++;
	if (k < 993)
		return silex_checkpoint(r->db, &err) == SILEX_OK || failed("checkpoint", &err);
	return k < 997 ? compact(r) : reopen(r);
}

/* --- rounds ------------------------------------------------------------------------------------------------------------ */

static void random_shape(struct run *r)
{
	static const int64_t spacing[] = { 1, 1000000, 250000000, 15000000000, 3600000000000, 86400000000000, 7 * INT64_C(86400000000000) };
	static const char *const codecs[] = { "auto", "auto", "sx", "gorilla", "raw" };
	static const char *const wraps[] = { "lz4", "zstd", "none" };
	int64_t step = spacing[below(r, sizeof spacing / sizeof spacing[0])];
	int64_t t = (int64_t)below(r, 3) * 1700000000000000000 - (int64_t)below(r, 1000) * step;
	bool regular = below(r, 2);
	for (int i = 0; i < MODEL_SLOTS; i++) {
		r->m.time[i] = t;
		t += regular ? step : 1 + (int64_t)below(r, (uint64_t)(2 * step));
	}
	silex_options_init(&r->opt);
	r->opt.env.vfs = slx_vfs_sim_vfs(r->sim);
	r->opt.no_background = true;
	r->opt.sync = below(r, 2) ? SILEX_SYNC_ALWAYS : SILEX_SYNC_NEVER;
	r->opt.codec = codecs[below(r, 5)];
	r->opt.compression = wraps[below(r, 3)];
	r->opt.block_duration_ms = below(r, 2) ? 7200000 : 60000;
	r->opt.wal_segment_size = 1 << 20;
	r->opt.threads = 2;
}

static bool check_all(struct run *r)
{
	bool taken[MODEL_SERIES];
	memset(taken, true, sizeof taken);
	for (int tenant = 0; tenant < MODEL_TENANTS; tenant++)
		if (!model_compare(r->db, &r->m, tenant, "", taken, 0, MODEL_SLOTS - 1))
			return false;
	return true;
}

static bool round_of(uint64_t seed, uint64_t *operations)
{
	struct run *r = calloc(1, sizeof *r);
	silex_error err;
	if (!r)
		abort();
	r->rng = seed;
	r->sim = slx_vfs_sim_new(seed);
	random_shape(r);
	bool ok = open_db(r);
	while (ok && r->operations < OPERATIONS_ROUND)
		ok = step(r);
	ok = ok && check_all(r) && reopen(r) && check_all(r);
	if (ok && silex_close(r->db, &err) != SILEX_OK)
		ok = failed("close", &err);
	printf("seed %llu: %llu operations, %llu comparisons, %llu samples deleted: %s\n", (unsigned long long)seed, (unsigned long long)r->operations,
		(unsigned long long)r->checked, (unsigned long long)r->deleted, ok ? "ok" : "FAILED");
	fflush(stdout);
	*operations += r->operations;
	if (ok)
		slx_vfs_sim_free(r->sim);
	free(r);
	return ok;
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20261121;
	uint64_t wanted = argc > 2 ? strtoull(argv[2], NULL, 0) : 1000000, done = 0;
	bool ok = true;
	for (; ok && done < wanted; seed++)
		ok = round_of(seed, &done);
	printf("%llu operations against the model: %s\n", (unsigned long long)done, ok ? "equal" : "different");
	return ok ? 0 : 1;
}
