/* One run: the script with one fault, then the reboot, the check, and a little more work on what came back. */
#include "crash.h"

#include "oracle.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char PATH[] = "db";

struct run {
	const struct script *s;
	struct slx_vfs_sim *sim;
	silex_db *db;
	silex_options opt;
	struct history h;
	struct state seen;
	int fault;
	uint64_t random;
	_Atomic int64_t now;
	bool verbose, crashed; /* crashed: reports of damage are wrong from here on */
	_Atomic unsigned damage;
	/* sync=never, and a close told that its sync failed: the system may keep those frames in memory and never write them,
	 * and it does not tell the next process. Such a run does not end in a power cut. */
	bool told_lost;
	struct slx_vfs plant, *inner; /* see plant_early_cut */
	bool in_checkpoint;
	_Atomic uint64_t allocations; /* so far */
	uint64_t fail_from, fail_to;  /* these are refused; 0, 0: none */
	_Atomic bool refused;
	_Atomic int64_t outstanding;  /* bytes */
	_Atomic unsigned wrong_sizes;
};

/* --- the host: a clock and random numbers that a run repeats ---------------------------------------------------------- */

static int64_t tick(void *ctx)
{
	return atomic_fetch_add(&((struct run *)ctx)->now, 1000000);
}

static void fill(void *ctx, void *bytes, size_t n)
{
	for (uint8_t *p = bytes; n--; p++)
		*p = (uint8_t)slx_rng_next(&((struct run *)ctx)->random);
}

static bool refuse(struct run *r)
{
	uint64_t n = atomic_fetch_add(&r->allocations, 1) + 1;
	if (n < r->fail_from || n >= r->fail_to)
		return false;
	atomic_store(&r->refused, true);
	return true;
}

/* Each block knows its size, so that a free with another one is found. */
enum { BLOCK_HEAD = 16 };

static void check_size(struct run *r, void *p, size_t n)
{
	size_t own;
	memcpy(&own, (char *)p - BLOCK_HEAD, sizeof own);
	if (own != n && atomic_fetch_add(&r->wrong_sizes, 1) == 0)
		printf("  a block of %zu bytes was given back as one of %zu\n", own, n);
	atomic_fetch_sub(&r->outstanding, (int64_t)own);
}

static void *block_begin(struct run *r, char *p, size_t n)
{
	if (!p)
		return NULL;
	memcpy(p, &n, sizeof n);
	atomic_fetch_add(&r->outstanding, (int64_t)n);
	return p + BLOCK_HEAD;
}

static void *count_alloc(void *ctx, size_t n)
{
	return refuse(ctx) ? NULL : block_begin(ctx, malloc(n + BLOCK_HEAD), n);
}

static void *count_realloc(void *ctx, void *p, size_t old_size, size_t n)
{
	if (refuse(ctx))
		return NULL;
	check_size(ctx, p, old_size);
	return block_begin(ctx, realloc((char *)p - BLOCK_HEAD, n + BLOCK_HEAD), n);
}

static void count_free(void *ctx, void *p, size_t n)
{
	if (!p)
		return;
	check_size(ctx, p, n);
	free((char *)p - BLOCK_HEAD);
}

/* Whether the fault of this run has happened. */
static bool fired(struct run *r)
{
	return r->fault == FAULT_NO_MEMORY ? atomic_load(&r->refused) : slx_vfs_sim_fired(r->sim);
}

static void on_log(void *arg, int level, const char *message)
{
	struct run *r = arg;
	if (level >= 3 && r->crashed)
		atomic_fetch_add(&r->damage, 1);
	if (r->verbose || (level >= 3 && r->crashed))
		printf("  log %d: %s\n", level, message);
}

/* --- a planted bug: the log is cut before the manifest that covers it is written ----------------------------------------- */

static bool older_name(void *arg, const char *name)
{
	char (*found)[2][64] = arg; /* the two greatest names so far; digits of one width */
	if (strcmp(name, (*found)[1]) > 0) {
		memcpy((*found)[0], (*found)[1], 64);
		snprintf((*found)[1], 64, "%s", name);
	} else if (strcmp(name, (*found)[0]) > 0) {
		snprintf((*found)[0], 64, "%s", name);
	}
	return true;
}

static silex_status early_open(struct slx_vfs *v, const char *path, unsigned flags, struct slx_file **ret, silex_error *err)
{
	struct run *r = v->ctx;
	char found[2][64] = { "", "" }, old[80];
	if (r->in_checkpoint && strstr(path, "MANIFEST.tmp") && r->inner->list(r->inner, "db/wal", older_name, &found, NULL) == SILEX_OK && found[0][0]) {
		snprintf(old, sizeof old, "db/wal/%s", found[0]);
		r->inner->unlink(r->inner, old, NULL);
		r->inner->sync_dir(r->inner, "db/wal", NULL);
	}
	return r->inner->open(r->inner, path, flags, ret, err);
}

static silex_status early_unlink(struct slx_vfs *v, const char *path, silex_error *err)
{
	struct run *r = v->ctx;
	silex_status status = r->inner->unlink(r->inner, path, err);
	return status == SILEX_NOT_FOUND ? SILEX_OK : status;
}

/* The other calls find the simulator behind the pointer they are given. */
#define PASS(name, params, args)                                                      \
	static silex_status pass_##name params                                           \
	{                                                                                \
		struct slx_vfs *in = ((struct run *)v->ctx)->inner;                          \
		return in->name args;                                                        \
	}
PASS(rename, (struct slx_vfs *v, const char *a, const char *b, silex_error *err), (in, a, b, err))
PASS(link, (struct slx_vfs *v, const char *a, const char *b, silex_error *err), (in, a, b, err))
PASS(mkdir, (struct slx_vfs *v, const char *a, silex_error *err), (in, a, err))
PASS(rmdir, (struct slx_vfs *v, const char *a, silex_error *err), (in, a, err))
PASS(sync_dir, (struct slx_vfs *v, const char *a, silex_error *err), (in, a, err))
PASS(list, (struct slx_vfs *v, const char *a, bool (*each)(void *, const char *), void *arg, silex_error *err), (in, a, each, arg, err))
PASS(free_space, (struct slx_vfs *v, const char *a, uint64_t *ret, uint64_t *total, silex_error *err), (in, a, ret, total, err))

static void plant_early_cut(struct run *r)
{
	r->inner = r->opt.env.vfs;
	r->plant = (struct slx_vfs){ r, early_open, early_unlink, pass_rename, pass_link, pass_mkdir, pass_rmdir, pass_sync_dir, pass_list, pass_free_space };
	r->opt.env.vfs = &r->plant;
}

static void configure(struct run *r)
{
	silex_options_init(&r->opt);
	r->opt.sync = r->s->sync;
	r->opt.wal_sync_interval_ms = 3600000; /* by calls alone */
	r->opt.wal_segment_size = r->s->segment_size;
	r->opt.codec = r->s->codec;
	r->opt.compression = r->s->compression;
	r->opt.no_background = true;
	r->opt.threads = 1;
	r->opt.env.vfs = slx_vfs_sim_vfs(r->sim);
	r->opt.env.clock = (silex_clock){ r, tick, tick };
	r->opt.env.random = (silex_random){ r, fill };
	r->opt.env.allocator = (silex_allocator){ r, count_alloc, count_realloc, count_free };
	r->opt.log = on_log;
	r->opt.log_arg = r;
}

/* --- operations --------------------------------------------------------------------------------------------------------- */

static silex_value value_of(const struct sample *x)
{
	silex_value v = { .kind = x->kind };
	if (x->kind == SILEX_FLOAT64)
		memcpy(&v.as.f, &x->bits, sizeof v.as.f);
	else if (x->kind == SILEX_ENUM)
		v.as.state = state_text[x->bits];
	else
		v.as.i = (int64_t)x->bits;
	return v;
}

struct waiting {
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool called;
	silex_status status;
	silex_error err;
};

static void async_done(void *arg, silex_status status, const silex_batch_result *result, const silex_error *err)
{
	struct waiting *w = arg;
	pthread_mutex_lock(&w->lock);
	w->called = true;
	w->status = status != SILEX_OK ? status : result->refused ? result->error.code : SILEX_OK;
	w->err = status != SILEX_OK ? *err : result->error;
	pthread_cond_signal(&w->done);
	pthread_mutex_unlock(&w->lock);
}

static silex_status insert_rows(struct run *r, const struct op *op, silex_error *err)
{
	silex_row rows[ROWS_MAX];
	silex_label labels[ROWS_MAX][2];
	char text[ROWS_MAX][2][8];
	const char *tenant = tenant_name[op->tenant];
	for (size_t i = 0; i < op->n; i++) {
		series_labels(op->rows[i].series, text[i], labels[i]);
		rows[i] = (silex_row){ labels[i], 2, r->s->time[op->rows[i].slot], value_of(&op->rows[i].sample) };
	}
	if (op->kind == OP_INSERT)
		return silex_insert(r->db, tenant, labels[0], 2, rows[0].time, rows[0].value, err);
	if (op->kind == OP_BATCH)
		return silex_insert_batch(r->db, tenant, rows, op->n, NULL, err);
	struct waiting w = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, SILEX_OK, { SILEX_OK, "" } };
	silex_status status = silex_insert_async(r->db, tenant, rows, op->n, async_done, &w, err);
	if (status != SILEX_OK)
		return status;
	pthread_mutex_lock(&w.lock);
	while (!w.called)
		pthread_cond_wait(&w.done, &w.lock);
	pthread_mutex_unlock(&w.lock);
	*err = w.err;
	return w.status;
}

static silex_status append_columns(struct run *r, const struct op *op, silex_series *const *series, silex_error *err)
{
	silex_series *one = series[op->rows[0].series];
	silex_columns *c;
	int64_t times[ROWS_MAX];
	double values[ROWS_MAX];
	silex_status status = silex_columns_open(r->db, &one, 1, &c, err);
	for (size_t i = 0; i < op->n; i++) {
		times[i] = r->s->time[op->rows[i].slot];
		values[i] = value_of(&op->rows[i].sample).as.f;
	}
	if (status == SILEX_OK) {
		status = silex_columns_append(c, times, values, op->n, err);
		silex_columns_close(c);
	}
	return status;
}

static silex_status append_rows(struct run *r, const struct op *op, silex_error *err)
{
	silex_series *series[SERIES] = { NULL };
	silex_point points[ROWS_MAX];
	silex_value values[ROWS_MAX];
	int64_t times[ROWS_MAX];
	silex_status status = SILEX_OK;
	for (int i = 0; i < SERIES && status == SILEX_OK; i++) {
		char text[2][8];
		silex_label labels[2];
		series_labels(i, text, labels);
		status = silex_series_open(r->db, tenant_name[op->tenant], labels, 2, &series[i], err);
	}
	for (size_t i = 0; i < op->n; i++) {
		times[i] = r->s->time[op->rows[i].slot];
		values[i] = value_of(&op->rows[i].sample);
		points[i] = (silex_point){ series[op->rows[i].series], times[i], values[i].as.f };
	}
	if (status == SILEX_OK && op->kind == OP_APPEND)
		status = silex_append(r->db, points, op->n, err);
	else if (status == SILEX_OK && op->kind == OP_VALUES)
		status = silex_append_values(series[op->rows[0].series], times, values, op->n, err);
	else if (status == SILEX_OK)
		status = append_columns(r, op, series, err);
	for (int i = 0; i < SERIES; i++)
		silex_series_close(series[i]);
	return status;
}

static silex_status insert_bytes(struct run *r, const struct op *op, silex_error *err)
{
	int64_t times[ROWS_MAX];
	uint64_t bits[ROWS_MAX];
	silex_label labels[2];
	char text[2][8];
	for (size_t i = 0; i < op->n; i++) {
		times[i] = r->s->time[op->rows[i].slot];
		bits[i] = op->rows[i].sample.bits;
	}
	series_labels(op->rows[0].series, text, labels);
	return oracle_write(r->db, tenant_name[op->tenant], labels, 2, op->rows[0].sample.kind, times, bits, op->n, err);
}

static bool dead(struct run *r)
{
	return fired(r) && (r->fault == SLX_SIM_POWER_CUT || r->fault == SLX_SIM_KILL);
}

/* Closes and opens again. An open that met the fault is tried once more: then it has to work. */
static silex_status reopen(struct run *r, int i, silex_error *err)
{
	silex_status closed = SILEX_OK;
	if (r->db)
		closed = silex_close(r->db, err);
	r->db = NULL;
	if (closed == SILEX_OK)
		r->h.durable = i;
	else
		r->told_lost |= r->s->sync == SILEX_SYNC_NEVER && !dead(r);
	silex_error own;
	silex_status status = silex_open(PATH, &r->opt, &r->db, &own);
	if (status != SILEX_OK && fired(r) && !dead(r)) {
		slx_vfs_sim_heal(r->sim);
		r->fail_from = r->fail_to = 0;
		status = silex_open(PATH, &r->opt, &r->db, &own);
		if (status != SILEX_OK)
			printf("  open again: %s\n", own.message);
	}
	if (status != SILEX_OK)
		*err = own;
	return closed != SILEX_OK ? closed : status;
}

static silex_status run_op(struct run *r, int i, silex_error *err)
{
	const struct op *op = &r->s->ops[i];
	silex_compact_options c;
	switch (op->kind) {
	case OP_INSERT:
	case OP_BATCH:
	case OP_ASYNC:
		return insert_rows(r, op, err);
	case OP_APPEND:
	case OP_VALUES:
	case OP_COLUMNS:
		return append_rows(r, op, err);
	case OP_BYTES:
		return insert_bytes(r, op, err);
	case OP_DELETE:
		return silex_delete(r->db, tenant_name[op->tenant], op->selector, r->s->time[op->from], r->s->time[op->to], NULL, err);
	case OP_CLEANUP:
		return silex_cleanup(r->db, tenant_name[op->tenant], r->s->time[op->to] + 1, NULL, err);
	case OP_FLUSH:
		return silex_flush(r->db, err);
	case OP_CHECKPOINT:
		return silex_checkpoint(r->db, err);
	case OP_COMPACT:
		silex_compact_options_init(&c);
		c.full = op->full;
		c.recode = op->full && i % 3 == 0;
		return silex_compact(r->db, &c, err);
	default:
		return reopen(r, i, err);
	}
}

static bool run_script(struct run *r)
{
	silex_error err;
	int full_until = 0;
	silex_status status = reopen(r, 0, &err);
	for (int i = 0; i < r->s->n && r->db; i++) {
		if (fired(r) && r->fault == SLX_SIM_ENOSPC && full_until == 0)
			full_until = i + 3;
		if (full_until && i == full_until)
			slx_vfs_sim_heal(r->sim);
		const struct op *op = &r->s->ops[i];
		r->in_checkpoint = op->kind == OP_CHECKPOINT;
		status = run_op(r, i, &err);
		r->in_checkpoint = false;
		r->h.tried = i + 1;
		r->h.fate[i] = status == SILEX_OK ? ACKNOWLEDGED : FAILED;
		if (status == SILEX_OK && (op->kind == OP_FLUSH || op->kind == OP_CHECKPOINT))
			r->h.durable = i + 1;
		if (r->verbose)
			printf("  %2d call %llu: %s %s\n", i, (unsigned long long)slx_vfs_sim_calls(r->sim), op_name[op->kind], status == SILEX_OK ? "ok" : err.message);
		if (status != SILEX_OK && !fired(r)) {
			printf("  %s failed before any fault: %s\n", op_name[op->kind], err.message);
			return false;
		}
		if (status != SILEX_OK && r->fault == FAULT_NO_MEMORY && status != SILEX_RESOURCE_EXHAUSTED) {
			printf("  %s failed for lack of memory and says: %s: %s\n", op_name[op->kind], silex_status_text(status), err.message);
			return false;
		}
		if (dead(r))
			return true;
	}
	if (r->db || dead(r))
		return true;
	printf("  the database does not open again: %s\n", err.message);
	return false;
}

/* --- after the fault ------------------------------------------------------------------------------------------------------ */

/* The process that met the fault goes on: it reads, and what it holds is allowed. One failing call may fail a few
 * operations, not all that follow; sync=never stops its log at a failed sync, for it keeps no frames to write again. */
static bool check_living(struct run *r)
{
	slx_vfs_sim_heal(r->sim);
	if (!state_read(r->db, r->s, &r->seen) || !state_allowed(r->s, &r->h, &r->seen, true))
		return false;
	silex_error err;
	silex_metrics m = { .size = sizeof m };
	silex_label label = { "__name__", "m0" };
	silex_status status = silex_insert(r->db, "after", &label, 1, 1, silex_float(1), &err);
	if (status != SILEX_OK) /* the first try after a full disk may find the frames before it */
		status = silex_insert(r->db, "after", &label, 1, 1, silex_float(1), &err);
	if (status == SILEX_OK || (r->s->sync == SILEX_SYNC_NEVER && status == SILEX_UNAVAILABLE))
		return silex_get_metrics(r->db, &m, &err) == SILEX_OK;
	printf("  writes do not go on after the fault: %s\n", err.message);
	return false;
}

/* How a process that survived the fault ends: in order, killed, or by a power cut. Returns what that may lose. */
static enum slx_sim_fault end_process(struct run *r, enum slx_sim_fault fault)
{
	if (fault == SLX_SIM_NONE) {
		silex_error err;
		if (silex_close(r->db, &err) != SILEX_OK)
			fault = SLX_SIM_KILL; /* it told that it could not sync */
	} else {
		if (!dead(r))
			slx_vfs_sim_arm(r->sim, fault, 1);
		silex_close(r->db, NULL);
		slx_vfs_sim_reboot(r->sim, fault == SLX_SIM_POWER_CUT);
	}
	r->db = NULL;
	slx_vfs_sim_heal(r->sim);
	return fault;
}

static bool fault_line(void *arg, const char *line)
{
	printf("  verify: %s\n", line);
	return true;
}

/* What came back takes writes, flushes, closes, opens, and every byte of it is right. */
static bool works_on(struct run *r)
{
	silex_error err;
	silex_verify_report report;
	silex_row rows[SERIES];
	silex_label labels[SERIES][2];
	char text[SERIES][2][8];
	struct state expected = r->seen;
	int slot = (int)(r->s->seed % SLOTS);
	for (int i = 0; i < SERIES; i++) {
		struct sample x = { true, i == SERIES - 1 ? SILEX_ENUM : SILEX_INT64, i == SERIES - 1 ? 2 : 77000 + (uint64_t)i };
		series_labels(i, text[i], labels[i]);
		rows[i] = (silex_row){ labels[i], 2, r->s->time[slot], value_of(&x) };
		expected.at[1][i][slot] = x;
	}
	silex_status status = silex_insert_batch(r->db, tenant_name[1], rows, SERIES, NULL, &err);
	if (status == SILEX_OK)
		status = silex_checkpoint(r->db, &err);
	if (status == SILEX_OK && r->s->seed % 2)
		status = silex_compact(r->db, NULL, &err);
	if (status != SILEX_OK) {
		printf("  after the reboot: %s\n", err.message);
		return false;
	}
	for (int round = 0; round < 2; round++) {
		if (!state_read(r->db, r->s, &r->seen))
			return false;
		if (!state_equal(&expected, &r->seen)) {
			printf("  %s differs from what was there before it\n", round ? "the second reopen" : "a write and a checkpoint");
			return false;
		}
		if (round == 0 && reopen(r, 0, &err) != SILEX_OK) {
			printf("  the second reopen: %s\n", err.message);
			return false;
		}
	}
	status = silex_close(r->db, &err);
	r->db = NULL;
	if (status == SILEX_OK)
		status = silex_verify(PATH, &r->opt, NULL, fault_line, NULL, &report, &err);
	if (status != SILEX_OK)
		printf("  close and verify: %s\n", err.message);
	return status == SILEX_OK;
}

static bool check_reborn(struct run *r, enum slx_sim_fault ended)
{
	silex_error err;
	r->crashed = true;
	if (silex_open(PATH, &r->opt, &r->db, &err) != SILEX_OK) {
		printf("  reopen: %s\n", err.message);
		return false;
	}
	bool all = ended != SLX_SIM_POWER_CUT || r->s->sync == SILEX_SYNC_ALWAYS;
	if (!state_read(r->db, r->s, &r->seen) || !state_allowed(r->s, &r->h, &r->seen, all) || !works_on(r))
		return false;
	if (r->damage)
		printf("  a crash was reported as damage\n");
	return r->damage == 0;
}

static enum slx_sim_fault draw_end(const struct run *r, uint64_t at)
{
	static const enum slx_sim_fault ends[] = { SLX_SIM_NONE, SLX_SIM_KILL, SLX_SIM_POWER_CUT, SLX_SIM_POWER_CUT };
	enum slx_sim_fault end = ends[(at + r->s->seed) % 4];
	return end == SLX_SIM_POWER_CUT && r->told_lost ? SLX_SIM_KILL : end;
}

struct outcome crash_run(const struct script *s, int fault, uint64_t at, enum plant plant, bool verbose)
{
	struct run r = { .s = s, .fault = fault, .random = s->seed ^ 0x5e6d, .now = INT64_C(1700000000000000000), .verbose = verbose };
	struct outcome o = { 0 };
	r.sim = slx_vfs_sim_new(s->seed * 1000003 + at * 7 + (uint64_t)fault);
	configure(&r);
	if (plant == PLANT_MISSING_SYNC)
		slx_vfs_sim_lie_about_sync(r.sim, ".wal");
	else if (plant == PLANT_EARLY_CUT)
		plant_early_cut(&r);
	if (fault == FAULT_NO_MEMORY) {
		r.fail_from = at;
		r.fail_to = at + (at % 3 ? 1 : 30); /* once, or for a while */
	} else if (fault != SLX_SIM_NONE) {
		slx_vfs_sim_arm(r.sim, (enum slx_sim_fault)fault, at);
	}
	o.ok = run_script(&r);
	o.calls = slx_vfs_sim_calls(r.sim);
	o.allocations = atomic_load(&r.allocations);
	o.fired = fired(&r);
	o.fired_call = fault == FAULT_NO_MEMORY ? at : slx_vfs_sim_fired_call(r.sim);
	snprintf(o.fired_at, sizeof o.fired_at, "%s", fault == FAULT_NO_MEMORY ? "allocation" : slx_vfs_sim_fired_at(r.sim));
	r.fail_from = r.fail_to = 0;
	if (o.ok && (o.fired || fault == SLX_SIM_NONE)) {
		bool died = dead(&r);
		o.ok = died || check_living(&r);
		if (o.ok)
			o.ok = check_reborn(&r, end_process(&r, died ? (enum slx_sim_fault)fault : draw_end(&r, at)));
	}
	slx_vfs_sim_heal(r.sim);
	silex_close(r.db, NULL);
	slx_vfs_sim_free(r.sim);
	if (atomic_load(&r.outstanding) != 0)
		printf("  %lld bytes of memory were not given back\n", (long long)atomic_load(&r.outstanding));
	o.ok = o.ok && atomic_load(&r.outstanding) == 0 && atomic_load(&r.wrong_sizes) == 0;
	return o;
}
