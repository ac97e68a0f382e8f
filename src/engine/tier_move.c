/* Moving blocks to the cold store, and removing there what nothing reads any more. The steps of a move, and why a crash
 * between any two of them is harmless, are in tier.h. */
#include "engine/engine_int.h"

#include <inttypes.h>
#include <stdio.h>

enum { RETRY_MIN_MS = 1000, RETRY_MAX_MS = 300000 };

/* --- choosing ----------------------------------------------------------------------------------------------------------------- */

/* The oldest block that is due; NULL: none. *ret_merge: one that is due goes after a compaction. */
static struct slx_used_block *choose(struct slx_engine *e, const struct slx_view *v, int64_t after_ms, bool *ret_merge)
{
	struct slx_used_block *best = NULL;
	*ret_merge = false;
	for (size_t i = 0; i < v->n_blocks; i++) {
		struct slx_used_block *b = v->blocks[i];
		if (!slx_tier_due(e, v, b, after_ms) || atomic_load(&b->damaged))
			continue;
		if (slx_compact_wants(e, v, b))
			*ret_merge = true;
		else if (!best || b->info.tmax < best->info.tmax)
			best = b;
	}
	return best;
}

/* --- the list ------------------------------------------------------------------------------------------------------------------ */

/* manifest_lock. */
static void unlist(struct slx_engine *e, struct slx_upload *u)
{
	struct slx_upload **at = &e->tier.uploads;
	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	slx_free(&e->mem, SLX_MEM_OTHER, u, sizeof *u);
}

static silex_status store_manifest(struct slx_engine *e, silex_error *err)
{
	return slx_manifest_store(e, e->view, e->checkpoint_seq, e->max_version, err);
}

/* manifest_lock. An upload of this block that a crash or an error cut short, or a new one, in the manifest before it begins. */
static silex_status list_upload(struct slx_engine *e, const struct slx_used_block *b, struct slx_upload **ret, silex_error *err)
{
	struct slx_upload *u = e->tier.uploads;
	SLX_TRY(slx_tier_make_id(e, err));
	while (u && !(u->state == SLX_UPLOAD_BEGUN && u->place == e->tier.target && strcmp(u->block, b->info.name) == 0))
		u = u->next;
	if (u) {
		u->moving = true;
		*ret = u;
		return SILEX_OK;
	}
	u = slx_calloc(&e->mem, SLX_MEM_OTHER, sizeof *u);
	if (!u)
		return slx_err_oom(err);
	*u = (struct slx_upload){ .next = e->tier.uploads, .place = e->tier.target, .moving = true, .state = SLX_UPLOAD_BEGUN,
		.since_ms = slx_wall_ns(&e->clock) / SLX_MS };
	snprintf(u->block, sizeof u->block, "%s", b->info.name);
	slx_tier_object_name(e, u->block, u->object);
	e->tier.uploads = u;
	silex_status status = store_manifest(e, err);
	if (status != SILEX_OK) {
		unlist(e, u); /* should it be on disk all the same: nothing was sent */
		return status;
	}
	*ret = u;
	return SILEX_OK;
}

/* --- sending --------------------------------------------------------------------------------------------------------------------- */

struct send {
	struct slx_engine *e;
	struct slx_store_writer *to; /* NULL: only looked at */
};

static silex_status send_piece(void *arg, const void *bytes, size_t n, silex_error *err)
{
	struct send *s = arg;
	if (atomic_load_explicit(&s->e->stopping, memory_order_relaxed))
		return slx_err(err, SILEX_CANCELED, "the database is closing");
	return s->to ? slx_store_append(s->to, bytes, n, err) : SILEX_OK;
}

/* Whether the object is there with the right size: an earlier try sent it. One of another size is removed. */
static silex_status is_sent(struct slx_store *to, const struct slx_upload *u, uint64_t size, bool *ret, silex_error *err)
{
	uint64_t have = 0;
	silex_error own = { 0 };
	silex_status status = slx_store_size(to, u->object, &have, &own);
	*ret = status == SILEX_OK && have == size;
	if (*ret || status == SILEX_NOT_FOUND)
		return SILEX_OK;
	if (status == SILEX_OK)
		status = slx_store_remove(to, u->object, &own);
	return status == SILEX_OK ? SILEX_OK : slx_err(err, status, "%s", own.message);
}

/* The object into the store, its checksums into *ret. */
static silex_status send_object(struct slx_engine *e, const struct slx_used_block *b, const struct slx_upload *u, struct slx_stub *ret, silex_error *err)
{
	struct slx_store *to = u->place->source.store;
	struct send s = { .e = e };
	bool sent;
	SLX_TRY(is_sent(to, u, b->info.size, &sent, err));
	if (!sent)
		SLX_TRY(slx_store_begin(to, u->object, &s.to, err));
	silex_status status = slx_stub_make(b->store, b->info.name, b->info.size, &e->mem, send_piece, &s, ret, err);
	if (!s.to)
		return status;
	if (status != SILEX_OK) {
		slx_store_abort(s.to);
		return status;
	}
	status = slx_store_commit(s.to, err);
	if (status != SILEX_OK)
		slx_stub_free(ret);
	return status;
}

/* Reads the whole object back. One that differs is removed, and sent again by the next try. */
static silex_status read_back(struct slx_engine *e, const struct slx_upload *u, const struct slx_stub *is, silex_error *err)
{
	struct slx_store *from = u->place->source.store;
	struct slx_stub got;
	struct send s = { .e = e };
	uint64_t size;
	SLX_TRY(slx_store_size(from, u->object, &size, err));
	bool same = size == is->size;
	if (same) {
		SLX_TRY(slx_stub_make(from, u->object, size, &e->mem, send_piece, &s, &got, err));
		same = memcmp(got.sum, is->sum, is->n * sizeof *is->sum) == 0;
		slx_stub_free(&got);
	}
	if (same)
		return SILEX_OK;
	slx_store_remove(from, u->object, NULL);
	return slx_err(err, SILEX_UNAVAILABLE, "store \"%s\": object %s read back after it was sent is not what was sent; it is sent again later", u->place->name,
		u->object);
}

static silex_status write_stub(struct slx_engine *e, const struct slx_used_block *b, struct slx_stub *stub, silex_error *err)
{
	char name[SLX_BLOCK_NAME_SIZE];
	silex_error own;
	slx_tier_stub_name(b->info.name, name);
	stub->tail_at = slx_stub_tail(b->block);
	silex_status status = slx_store_remove(e->store, name, &own); /* of an earlier try */
	if (status != SILEX_OK && status != SILEX_NOT_FOUND)
		return slx_err(err, status, "%s", own.message);
	return slx_stub_write(stub, e->store, b->info.name, e->store, name, err);
}

/* --- the swap -------------------------------------------------------------------------------------------------------------------- */

/* manifest_lock. The block where it is read now takes the place of the one here. */
static silex_status swap(struct slx_engine *e, struct slx_used_block *warm, struct slx_upload *u, bool *ret_gone, silex_error *err)
{
	struct slx_view *v = slx_view_copy(e, 0, 0);
	size_t at = 0;
	if (!v)
		return slx_err_oom(err);
	while (at < v->n_blocks && v->blocks[at] != warm)
		at++;
	*ret_gone = at == v->n_blocks;
	struct slx_used_block *cold = *ret_gone ? NULL : slx_used_block_cold(e, u, err);
	if (!cold) {
		slx_view_unref(v);
		return *ret_gone ? SILEX_OK : err ? err->code : SILEX_UNAVAILABLE;
	}
	cold->info.level = warm->info.level;
	v->blocks[at] = cold;
	slx_used_block_unref(e, warm);
	silex_status status = slx_manifest_store(e, v, e->checkpoint_seq, e->max_version, err);
	if (status == SILEX_OK) {
		atomic_store(&warm->doomed, true);
		slx_view_install(e, v);
	} else {
		u->state = SLX_UPLOAD_BEGUN;
		slx_view_unref(v);
	}
	return status;
}

/* Compaction stands still meanwhile: a block that it is merging must not change under it. */
static silex_status commit(struct slx_engine *e, struct slx_used_block *warm, struct slx_upload *u, bool *ret_gone, silex_error *err)
{
	char stub[SLX_BLOCK_NAME_SIZE];
	pthread_mutex_lock(&e->compact_lock);
	pthread_mutex_lock(&e->manifest_lock);
	silex_status status = swap(e, warm, u, ret_gone, err);
	if ((status != SILEX_OK && !e->manifest_unsure) || *ret_gone) {
		slx_tier_stub_name(warm->info.name, stub);
		slx_store_remove(e->store, stub, NULL);
	}
	pthread_mutex_unlock(&e->manifest_lock);
	pthread_mutex_unlock(&e->compact_lock);
	return status;
}

static silex_status move(struct slx_engine *e, struct slx_used_block *b, bool *ret_did, silex_error *err)
{
	struct slx_upload *u = NULL;
	struct slx_stub stub = { 0 };
	bool gone = false;
	pthread_mutex_lock(&e->manifest_lock);
	silex_status status = list_upload(e, b, &u, err);
	pthread_mutex_unlock(&e->manifest_lock);
	SLX_TRY(status);
	status = send_object(e, b, u, &stub, err);
	if (status == SILEX_OK)
		status = read_back(e, u, &stub, err);
	if (status == SILEX_OK)
		status = write_stub(e, b, &stub, err);
	if (status == SILEX_OK)
		status = commit(e, b, u, &gone, err);
	slx_stub_free(&stub);
	pthread_mutex_lock(&e->manifest_lock);
	u->moving = false;
	pthread_mutex_unlock(&e->manifest_lock);
	SLX_TRY(status);
	*ret_did = true;
	if (!gone) {
		atomic_fetch_add(&e->tier.moves, 1);
		atomic_fetch_add(&e->tier.moved_bytes, b->info.size);
	}
	return SILEX_OK;
}

silex_status slx_tier_move_one(struct slx_engine *e, int64_t after_ms, bool *ret_did, silex_error *err)
{
	*ret_did = false;
	if (!e->tier.target)
		return slx_err(err, SILEX_INVALID, "there is no cold store: set cold_store to the name of a store");
	if (e->opt.read_only)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	pthread_mutex_lock(&e->tier.lock);
	struct slx_view *v = slx_view_get(e);
	bool merge_first;
	struct slx_used_block *b = choose(e, v, after_ms < 0 ? e->opt.cold_after_ms : after_ms, &merge_first);
	bool was = atomic_exchange(&e->tier.merge_first, !b && merge_first);
	if (!b && merge_first && !was) /* once: a compaction that fails is not asked for each second */
		slx_background_want_compact(e);
	silex_status status = b ? move(e, b, ret_did, err) : SILEX_OK;
	slx_view_unref(v);
	pthread_mutex_unlock(&e->tier.lock);
	return status;
}

/* --- removing ------------------------------------------------------------------------------------------------------------------- */

/* manifest_lock. Garbage that nobody reads and that is old enough. A clock that was set back starts the delay again. */
static struct slx_upload *find_garbage(struct slx_engine *e, int64_t delay_ms)
{
	int64_t now = slx_wall_ns(&e->clock) / SLX_MS;
	if (e->manifest_unsure)
		return NULL;
	for (struct slx_upload *u = e->tier.uploads; u; u = u->next) {
		if (u->since_ms > now)
			u->since_ms = now;
		if (u->state == SLX_UPLOAD_GARBAGE && !u->moving && atomic_load(&u->users) == 0 && u->place->source.store && now - u->since_ms >= delay_ms &&
		    slx_tier_is_ours(e, u))
			return u;
	}
	return NULL;
}

static silex_status collect(struct slx_engine *e, int64_t delay_ms, silex_error *err)
{
	silex_status status = SILEX_OK;
	bool any = false;
	pthread_mutex_lock(&e->manifest_lock);
	slx_tier_mark(e, e->view);
	for (struct slx_upload *u; status == SILEX_OK && !atomic_load(&e->stopping) && (u = find_garbage(e, delay_ms));) {
		silex_error own;
		u->moving = true;
		pthread_mutex_unlock(&e->manifest_lock);
		status = slx_store_remove(u->place->source.store, u->object, &own);
		if (status == SILEX_NOT_FOUND)
			status = SILEX_OK;
		if (status != SILEX_OK)
			slx_err(err, status, "%s", own.message);
		pthread_mutex_lock(&e->manifest_lock);
		u->moving = false;
		if (status != SILEX_OK)
			break;
		unlist(e, u);
		atomic_fetch_add(&e->tier.removed, 1);
		any = true;
	}
	if (any) {
		silex_status stored = store_manifest(e, status == SILEX_OK ? err : NULL);
		status = status == SILEX_OK ? stored : status;
	}
	pthread_mutex_unlock(&e->manifest_lock);
	return status;
}

silex_status slx_tier_collect(struct slx_engine *e, int64_t delay_ms, silex_error *err)
{
	if (e->opt.read_only)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	pthread_mutex_lock(&e->tier.lock);
	silex_status status = collect(e, delay_ms, err);
	pthread_mutex_unlock(&e->tier.lock);
	return status;
}

/* --- the call ------------------------------------------------------------------------------------------------------------------------ */

static silex_status move_all(struct slx_engine *e, const silex_tier_options *o, silex_error *err)
{
	uint64_t before = atomic_load(&e->tier.moves);
	for (bool did = true; did;) {
		SLX_TRY(slx_tier_move_one(e, o && o->after_ms ? o->after_ms : -1, &did, err));
		if (!did && atomic_load(&e->tier.merge_first)) {
			SLX_TRY(slx_engine_compact_step(e, &did, err));
			continue;
		}
		uint64_t done = atomic_load(&e->tier.moves) - before;
		if (did && o && o->progress && !o->progress(o->progress_arg, "move", done, 0))
			return slx_err(err, SILEX_CANCELED, "moving canceled; what was moved stays where it is now");
	}
	return SILEX_OK;
}

silex_status slx_engine_tier_move(struct slx_engine *e, const silex_tier_options *o, silex_tier_report *ret, silex_error *err)
{
	uint64_t moves = atomic_load(&e->tier.moves), bytes = atomic_load(&e->tier.moved_bytes), removed = atomic_load(&e->tier.removed);
	silex_status status = move_all(e, o, err);
	if (status == SILEX_OK)
		status = slx_tier_collect(e, o && o->remove_now ? 0 : e->opt.cold_remove_after_ms, err);
	if (ret)
		*ret = (silex_tier_report){ atomic_load(&e->tier.moves) - moves, atomic_load(&e->tier.moved_bytes) - bytes,
			atomic_load(&e->tier.removed) - removed };
	return status;
}

/* --- the thread's round ------------------------------------------------------------------------------------------------------------ */

static void remember_error(struct slx_engine *e, silex_status status, const silex_error *err)
{
	pthread_mutex_lock(&e->health_lock);
	snprintf(e->tier.error, sizeof e->tier.error, "%.*s", (int)sizeof e->tier.error - 1, status == SILEX_OK ? "" : err->message);
	pthread_mutex_unlock(&e->health_lock);
}

/* Twice as long after each failure, within a factor of two by chance, so that many databases do not come back at once. */
static void back_off(struct slx_engine *e)
{
	uint64_t chance;
	int64_t ms = (int64_t)RETRY_MIN_MS << (e->tier.failures < 9 ? e->tier.failures : 9);
	e->random.fill(e->random.ctx, &chance, sizeof chance);
	ms = ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
	e->tier.failures++;
	e->tier.retry_ns = slx_monotonic_ns(&e->clock) + (ms / 2 + (int64_t)(chance % (uint64_t)(ms / 2))) * SLX_MS;
}

void slx_tier_round(struct slx_engine *e, bool *ret_did)
{
	silex_error err = { 0 };
	silex_status status = SILEX_OK;
	*ret_did = false;
	if (slx_monotonic_ns(&e->clock) < e->tier.retry_ns)
		return;
	if (e->tier.target)
		status = slx_tier_move_one(e, -1, ret_did, &err);
	if (status == SILEX_OK && !*ret_did)
		status = slx_tier_collect(e, e->opt.cold_remove_after_ms, &err);
	if (status == SILEX_CANCELED)
		return;
	remember_error(e, status, &err);
	if (status == SILEX_OK) {
		e->tier.failures = 0;
		return;
	}
	atomic_fetch_add(&e->tier.errors, 1);
	back_off(e);
	slx_engine_log(e, 2, "cold blocks: %s; nothing is lost, trying again in %lld s", err.message,
		(long long)((e->tier.retry_ns - slx_monotonic_ns(&e->clock)) / SLX_SECOND + 1));
}
