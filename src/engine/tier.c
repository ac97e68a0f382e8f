/* Which blocks lie where: the list of uploads, its part of the manifest, and what is counted. See tier.h. */
#include "engine/engine_int.h"

#include <stdio.h>

#define OVERLAY_LARGE (UINT64_C(64) << 20)

/* --- life ----------------------------------------------------------------------------------------------------------------- */

static struct slx_place *place_of(struct slx_engine *e, struct slx_str name, silex_error *err)
{
	for (struct slx_place *p = e->tier.places; p; p = p->next)
		if (slx_str_eq((struct slx_str){ p->name, strlen(p->name) }, name))
			return p;
	struct slx_place *p = slx_calloc(&e->mem, SLX_MEM_OTHER, sizeof *p + name.n + 1);
	if (!p) {
		slx_err_oom(err);
		return NULL;
	}
	memcpy(p->name, name.p, name.n);
	p->source.name = p->name;
	p->source.store = slx_engine_store(e, p->name);
	p->next = e->tier.places;
	e->tier.places = p;
	return p;
}

silex_status slx_tier_init(struct slx_engine *e, silex_error *err)
{
	uint8_t *p;
	size_t n;
	uint64_t version;
	silex_error own;
	silex_status status = slx_meta_get(e->meta, SLX_TIER_ID_KEY, &p, &n, &version, &own);
	if (status == SILEX_OK) {
		e->tier.has_id = n == SLX_TIER_ID_SIZE;
		if (e->tier.has_id)
			memcpy(e->tier.id, p, n);
		slx_free(&e->mem, SLX_MEM_OTHER, p, n);
		if (!e->tier.has_id)
			return slx_err(err, SILEX_CORRUPT, "document %s has %zu bytes, expected %d: restore it from a copy", SLX_TIER_ID_KEY, n, SLX_TIER_ID_SIZE);
	} else if (status != SILEX_NOT_FOUND) {
		return slx_err(err, status, "%s", own.message);
	}
	if (!e->opt.cold_store[0])
		return SILEX_OK;
	if (!slx_engine_store(e, e->opt.cold_store))
		return slx_err(err, SILEX_INVALID, "cold_store: there is no store \"%s\"; name one of the stores given", e->opt.cold_store);
	e->tier.target = place_of(e, (struct slx_str){ e->opt.cold_store, strlen(e->opt.cold_store) }, err);
	return e->tier.target ? SILEX_OK : SILEX_RESOURCE_EXHAUSTED;
}

/* The number of this database, made at its first move. */
silex_status slx_tier_make_id(struct slx_engine *e, silex_error *err)
{
	if (e->tier.has_id)
		return SILEX_OK;
	e->random.fill(e->random.ctx, e->tier.id, sizeof e->tier.id);
	SLX_TRY(slx_meta_cas(e->meta, SLX_TIER_ID_KEY, e->tier.id, sizeof e->tier.id, 0, NULL, err));
	e->tier.has_id = true;
	return SILEX_OK;
}

void slx_tier_object_name(const struct slx_engine *e, const char *block, char ret[SLX_STORE_NAME_SIZE_MAX + 1])
{
	char id[2 * SLX_TIER_ID_SIZE + 1];
	for (size_t i = 0; i < SLX_TIER_ID_SIZE; i++)
		snprintf(id + 2 * i, 3, "%02x", e->tier.id[i]);
	snprintf(ret, SLX_STORE_NAME_SIZE_MAX + 1, "%s.%s", id, block);
}

bool slx_tier_is_ours(const struct slx_engine *e, const struct slx_upload *u)
{
	char object[sizeof u->object];
	slx_tier_object_name(e, u->block, object);
	return e->tier.has_id && strcmp(object, u->object) == 0;
}

void slx_tier_free(struct slx_engine *e)
{
	while (e->tier.uploads) {
		struct slx_upload *next = e->tier.uploads->next;
		slx_free(&e->mem, SLX_MEM_OTHER, e->tier.uploads, sizeof *e->tier.uploads);
		e->tier.uploads = next;
	}
	while (e->tier.places) {
		struct slx_place *next = e->tier.places->next;
		slx_free(&e->mem, SLX_MEM_OTHER, e->tier.places, sizeof *e->tier.places + strlen(e->tier.places->name) + 1);
		e->tier.places = next;
	}
}

/* --- the part of the manifest: { u8 state; u64 since; str store; str block; str object }* ------------------------------------- */

static void put_text(struct slx_buf *b, const char *s)
{
	size_t n = strlen(s);
	slx_buf_varint(b, n);
	slx_buf_put(b, s, n);
}

void slx_tier_put(struct slx_engine *e, const struct slx_view *v, struct slx_buf *b)
{
	(void)v;
	for (const struct slx_upload *u = e->tier.uploads; u; u = u->next) {
		slx_buf_u8(b, u->state);
		slx_buf_u64(b, (uint64_t)u->since_ms);
		put_text(b, u->place->name);
		put_text(b, u->block);
		put_text(b, u->object);
	}
}

static bool get_text(struct slx_rd *r, char *to, size_t size)
{
	uint64_t n = slx_rd_varint(r);
	const uint8_t *p = n > 0 && n < size ? slx_rd_bytes(r, n) : NULL;
	if (!p || memchr(p, 0, n))
		return false;
	memcpy(to, p, n);
	to[n] = 0;
	return true;
}

silex_status slx_tier_get(struct slx_engine *e, struct slx_rd *r, silex_error *err)
{
	while (slx_rd_left(r) > 0) {
		char store[SLX_STORE_NAME_SIZE_MAX + 1];
		struct slx_upload *u = slx_calloc(&e->mem, SLX_MEM_OTHER, sizeof *u);
		if (!u)
			return slx_err_oom(err);
		u->state = slx_rd_u8(r);
		u->since_ms = (int64_t)slx_rd_u64(r);
		bool ok = get_text(r, store, sizeof store) && get_text(r, u->block, sizeof u->block) && get_text(r, u->object, sizeof u->object);
		u->next = e->tier.uploads;
		e->tier.uploads = u;
		if (!ok || r->bad || u->state < SLX_UPLOAD_BEGUN || u->state > SLX_UPLOAD_GARBAGE)
			return slx_err(err, SILEX_CORRUPT, "manifest: the list of uploads is cut short or names something illegal");
		u->place = place_of(e, (struct slx_str){ store, strlen(store) }, err);
		if (!u->place)
			return SILEX_RESOURCE_EXHAUSTED;
	}
	return SILEX_OK;
}

/* --- questions ---------------------------------------------------------------------------------------------------------------- */

struct slx_upload *slx_tier_upload_of(struct slx_engine *e, const char *block)
{
	struct slx_upload *u = e->tier.uploads;
	while (u && !(u->state == SLX_UPLOAD_COLD && strcmp(u->block, block) == 0))
		u = u->next;
	return u;
}

static bool is_lost(const struct slx_engine *e, const char *block)
{
	const struct slx_lost_block *l = e->lost;
	while (l && strcmp(l->info.name, block) != 0)
		l = l->next;
	return l != NULL;
}

/* A block that lies here, still to be moved to where the upload went. */
static bool awaits(const struct slx_engine *e, const struct slx_view *v, const struct slx_upload *u)
{
	for (size_t i = 0; i < v->n_blocks; i++)
		if (!v->blocks[i]->upload && strcmp(v->blocks[i]->info.name, u->block) == 0)
			return u->place == e->tier.target;
	return false;
}

void slx_tier_mark(struct slx_engine *e, const struct slx_view *v)
{
	uint64_t garbage = 0;
	for (struct slx_upload *u = e->tier.uploads; u; u = u->next)
		u->read = false;
	for (size_t i = 0; i < v->n_blocks; i++)
		if (v->blocks[i]->upload)
			v->blocks[i]->upload->read = true;
	for (struct slx_upload *u = e->tier.uploads; u; u = u->next) {
		bool lost = u->state == SLX_UPLOAD_COLD && is_lost(e, u->block);
		if (u->read || lost) {
			u->state = SLX_UPLOAD_COLD;
		} else if (u->state == SLX_UPLOAD_COLD || (u->state == SLX_UPLOAD_BEGUN && !u->moving && !awaits(e, v, u))) {
			u->state = SLX_UPLOAD_GARBAGE;
			u->since_ms = slx_wall_ns(&e->clock) / SLX_MS;
		}
		garbage += u->state == SLX_UPLOAD_GARBAGE;
	}
	atomic_store(&e->tier.garbage, garbage);
}

void slx_tier_stub_name(const char *block, char ret[SLX_BLOCK_NAME_SIZE])
{
	size_t n = strlen(block);
	if (n > 4 && strcmp(block + n - 4, ".slx") == 0)
		n -= 4;
	snprintf(ret, SLX_BLOCK_NAME_SIZE, "%.*s.stub", (int)(n < SLX_BLOCK_NAME_SIZE - 6 ? n : SLX_BLOCK_NAME_SIZE - 6), block);
}

static silex_status sums_of(struct slx_engine *e, const struct slx_upload *u, struct slx_stub *ret, silex_error *err)
{
	struct slx_store *from = u->place->source.store;
	uint64_t size;
	SLX_TRY(slx_store_size(from, u->object, &size, err));
	return slx_stub_make(from, u->object, size, &e->mem, NULL, NULL, ret, err);
}

/* Where its directory begins: the block tells, opened without a stub. */
static silex_status find_tail(struct slx_engine *e, struct slx_upload *u, const char *stub_name, uint64_t *ret, silex_error *err)
{
	struct slx_stub stub;
	struct slx_store *one;
	struct slx_block *b;
	SLX_TRY(sums_of(e, u, &stub, err));
	SLX_TRY(slx_far_open(&u->place->source, u->object, e->store, stub_name, &stub, e->cache, &e->mem, &one, err));
	silex_status status = slx_block_open(one, u->block, e->cache, &e->mem, &b, err);
	if (status == SILEX_OK) {
		*ret = slx_stub_tail(b);
		slx_block_unref(b);
	}
	slx_store_close(one);
	return status;
}

silex_status slx_tier_mend(struct slx_engine *e, struct slx_upload *u, const char *stub_name, silex_error *err)
{
	struct slx_stub stub;
	uint64_t tail_at;
	if (e->opt.read_only || !u->place->source.store)
		return slx_err(err, SILEX_CORRUPT, "the stub of cold block %s is gone or damaged: open the database for writing with store \"%s\"", u->block,
			u->place->name);
	slx_engine_log(e, 2, "the stub of cold block %s is gone or damaged: it is made again from store \"%s\"", u->block, u->place->name);
	SLX_TRY(find_tail(e, u, stub_name, &tail_at, err));
	SLX_TRY(sums_of(e, u, &stub, err));
	stub.tail_at = tail_at;
	slx_store_remove(e->store, stub_name, NULL);
	silex_status status = slx_stub_write(&stub, u->place->source.store, u->object, e->store, stub_name, err);
	slx_stub_free(&stub);
	return status;
}

bool slx_tier_file_is_of(const char *file, const char *block, bool cold)
{
	char stub[SLX_BLOCK_NAME_SIZE];
	slx_tier_stub_name(block, stub);
	return strcmp(file, cold ? stub : block) == 0;
}

/* A small block over a cold one stays until the two are merged. */
static bool lies_over_cold(const struct slx_view *v, const struct slx_used_block *b)
{
	struct slx_time_range r = { b->info.tmin, b->info.tmax };
	if (b->info.size >= OVERLAY_LARGE)
		return false;
	for (size_t i = 0; i < v->n_blocks; i++) {
		const struct slx_used_block *c = v->blocks[i];
		if (c->upload && slx_range_overlaps(r, (struct slx_time_range){ c->info.tmin, c->info.tmax }))
			return true;
	}
	return false;
}

bool slx_tier_due(const struct slx_engine *e, const struct slx_view *v, const struct slx_used_block *b, int64_t after_ms)
{
	return !b->upload && b->info.tmax < slx_wall_ns(&e->clock) - after_ms * SLX_MS && !lies_over_cold(v, b);
}

void slx_tier_metrics(struct slx_engine *e, const struct slx_view *v, silex_metrics *m)
{
	for (size_t i = 0; i < v->n_blocks; i++) {
		const struct slx_used_block *b = v->blocks[i];
		if (b->upload) {
			m->blocks_cold++;
			m->bytes_cold += b->info.size;
		} else if (e->tier.target && slx_tier_due(e, v, b, e->opt.cold_after_ms)) {
			m->cold_backlog_blocks++;
			m->cold_backlog_bytes += b->info.size;
		}
	}
	for (const struct slx_place *p = e->tier.places; p; p = p->next) {
		m->cold_requests += atomic_load(&p->source.counters.requests);
		m->cold_read_bytes += atomic_load(&p->source.counters.bytes);
		m->cold_errors += atomic_load(&p->source.counters.failures) + atomic_load(&p->source.counters.corrupted);
	}
	m->cold_errors += atomic_load(&e->tier.errors);
	m->cold_moves = atomic_load(&e->tier.moves);
	m->cold_moved_bytes = atomic_load(&e->tier.moved_bytes);
	m->cold_garbage = atomic_load(&e->tier.garbage);
	m->cold_removed = atomic_load(&e->tier.removed);
	pthread_mutex_lock(&e->health_lock);
	snprintf(m->cold_error, sizeof m->cold_error, "%s", e->tier.error);
	pthread_mutex_unlock(&e->health_lock);
}
