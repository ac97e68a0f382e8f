/* The manifest: the one document that says what the database is made of (docs/format/manifest.md).
 *
 *     u32 format version; u32 feature bits; log uuid[16]; u64 checkpoint seq; u64 max version; u64 generation
 *     u32 n; blocks    { u8 n, name; u32 level; i64 window; i64 tmin, tmax; u64 vmin, vmax, floor, size, points, chunks, series, sections }
 *     u32 n; tombstones{ u64 version; i64 from, to; varint n, tenant; varint n, selector }
 *     u32 n; tenants   { varint n, name; varint series_max; varint head_bytes_max; u8 limits set; varint states; { varint n, text }* }
 *     parts            { varint tag; varint n, bytes }* to the end; since format 1
 *
 * A part is what one subject of the engine keeps (the table `parts`). A reader refuses an odd tag that it does not know and
 * leaves out an even one.
 *
 * It is changed whole, by compare-and-set (storage/meta): a flush adds its blocks and moves the checkpoint in one edit, a
 * compaction swaps blocks in one edit. An unknown feature bit refuses to open. */
#include "engine/rollup_int.h"

enum { MANIFEST_FORMAT = 1, MANIFEST_SIZE_MAX = SLX_META_SIZE_MAX };
static const char MANIFEST_KEY[] = "MANIFEST";

static const struct part {
	uint64_t tag;
	bool of_place; /* speaks of this directory and its stores: not in an image, all of whose blocks are files */
	void (*put)(struct slx_engine *e, const struct slx_view *v, struct slx_buf *b); /* v: what is being stored. Nothing: the part is left out */
	silex_status (*get)(struct slx_engine *e, struct slx_rd *r, silex_error *err);
} parts[] = {
	{ 1, true, slx_tier_put, slx_tier_get },
	{ 3, false, slx_rollups_put, slx_rollups_get },
};
enum { PARTS_N = sizeof parts / sizeof parts[0] };

static void put_str(struct slx_buf *b, const void *p, size_t n)
{
	slx_buf_varint(b, n);
	slx_buf_put(b, p, n);
}

/* --- out -------------------------------------------------------------------------------------------------------------------- */

static void put_block(struct slx_buf *b, const struct slx_block_info *i)
{
	size_t n = strlen(i->name);
	slx_buf_u8(b, (uint8_t)n);
	slx_buf_put(b, i->name, n);
	slx_buf_u32(b, i->level);
	slx_buf_u64(b, (uint64_t)i->window_start);
	slx_buf_u64(b, (uint64_t)i->tmin);
	slx_buf_u64(b, (uint64_t)i->tmax);
	const uint64_t rest[] = { i->vmin, i->vmax, i->floor, i->size, i->points, i->chunks, i->series, i->sections };
	for (size_t k = 0; k < sizeof rest / sizeof rest[0]; k++)
		slx_buf_u64(b, rest[k]);
}

static void put_tenants(struct slx_engine *e, struct slx_buf *b)
{
	pthread_mutex_lock(&e->tenants_lock);
	size_t at = b->n;
	uint32_t n = 0;
	slx_buf_u32(b, 0);
	for (uint32_t i = 0; i < e->tenants.cap; i++) {
		const struct slx_tenant *t = e->tenants.map[i];
		if (!t || (!t->states && !atomic_load(&t->limits_set)))
			continue; /* its data names it */
		put_str(b, t->name.p, t->name.n);
		slx_buf_varint(b, atomic_load(&t->series_max));
		slx_buf_varint(b, atomic_load(&t->head_bytes_max));
		slx_buf_u8(b, atomic_load(&t->limits_set));
		slx_buf_varint(b, t->states ? t->states->n : 0);
		for (uint32_t k = 0; t->states && k < t->states->n; k++)
			put_str(b, t->states->text[k], strlen(t->states->text[k]));
		n++;
	}
	if (!b->failed)
		slx_store32(b->p + at, n);
	pthread_mutex_unlock(&e->tenants_lock);
}

static void put_parts(struct slx_engine *e, const struct slx_view *v, bool image, struct slx_buf *b)
{
	struct slx_buf one;
	slx_buf_init(&one, &e->mem, SLX_MEM_OTHER, MANIFEST_SIZE_MAX);
	for (size_t i = 0; i < PARTS_N; i++) {
		slx_buf_reset(&one);
		if (image && parts[i].of_place)
			continue;
		parts[i].put(e, v, &one);
		if (one.n) {
			slx_buf_varint(b, parts[i].tag);
			put_str(b, one.p, one.n);
		}
		b->failed |= one.failed;
	}
	slx_buf_free(&one);
}

static void encode(struct slx_engine *e, const struct slx_view *v, const uint8_t log_uuid[SLX_WAL_UUID_SIZE], uint64_t checkpoint_seq, uint64_t max_version,
	struct slx_buf *b)
{
	slx_buf_u32(b, MANIFEST_FORMAT);
	slx_buf_u32(b, 0);
	slx_buf_put(b, log_uuid, SLX_WAL_UUID_SIZE);
	slx_buf_u64(b, checkpoint_seq);
	slx_buf_u64(b, max_version);
	slx_buf_u64(b, e->generation);
	uint32_t lost = 0;
	for (const struct slx_lost_block *l = e->lost; l; l = l->next)
		lost++;
	slx_buf_u32(b, (uint32_t)v->n_blocks + lost);
	for (size_t i = 0; i < v->n_blocks; i++)
		put_block(b, &v->blocks[i]->info);
	for (const struct slx_lost_block *l = e->lost; l; l = l->next)
		put_block(b, &l->info);
	slx_buf_u32(b, (uint32_t)v->n_tombs);
	for (size_t i = 0; i < v->n_tombs; i++) {
		const struct slx_tombstone *t = v->tombs[i];
		slx_buf_u64(b, t->version);
		slx_buf_u64(b, (uint64_t)t->range.from);
		slx_buf_u64(b, (uint64_t)t->range.to);
		put_str(b, t->tenant.p, t->tenant.n);
		put_str(b, t->text, t->text_n);
	}
	put_tenants(e, b);
}

/* An edit that reported an error may have reached the file all the same (renamed, but the folder's sync failed): the
 * file tells by its version. Then it is written once more, so that "OK" always means durable. */
static silex_status store_again(struct slx_engine *e, const struct slx_buf *b, silex_error *err)
{
	uint8_t *p;
	size_t n;
	uint64_t version;
	if (slx_meta_get(e->meta, MANIFEST_KEY, &p, &n, &version, NULL) != SILEX_OK) {
		e->manifest_unsure = true;
		return err ? err->code : SILEX_UNAVAILABLE;
	}
	slx_free(&e->mem, SLX_MEM_OTHER, p, n);
	if (version == e->manifest_version)
		return err ? err->code : SILEX_UNAVAILABLE;
	e->manifest_version = version;
	silex_status status = slx_meta_cas(e->meta, MANIFEST_KEY, b->p, b->n, e->manifest_version, &e->manifest_version, err);
	e->manifest_unsure = status != SILEX_OK;
	return status;
}

/* A delete that the manifest lists, or whose effect is in a block that it names, must not outlive the log records before
 * it: after a power cut what is left has to be a prefix. The view before the edit still has all such deletes. */
static silex_status sync_deletes(struct slx_engine *e, uint64_t max_version, silex_error *err)
{
	const struct slx_view *v = e->view; /* stable under manifest_lock */
	uint64_t newest = v->n_tombs ? v->tombs[v->n_tombs - 1]->version : 0;
	if (newest <= max_version || newest <= e->known_version)
		return SILEX_OK;
	SLX_TRY(slx_wal_sync(e->wal, err));
	e->known_version = newest;
	return SILEX_OK;
}

silex_status slx_manifest_store(struct slx_engine *e, const struct slx_view *v, uint64_t checkpoint_seq, uint64_t max_version, silex_error *err)
{
	struct slx_buf b;
	silex_error own = { 0 };
	if (!err)
		err = &own;
	SLX_TRY(sync_deletes(e, max_version, err));
	slx_tier_mark(e, v);
	slx_buf_init(&b, &e->mem, SLX_MEM_OTHER, MANIFEST_SIZE_MAX);
	encode(e, v, slx_wal_uuid(e->wal), checkpoint_seq, max_version, &b);
	put_parts(e, v, false, &b);
	silex_status status;
	if (b.failed) {
		status = slx_err(err, SILEX_RESOURCE_EXHAUSTED, "manifest: out of memory, or above %d bytes", MANIFEST_SIZE_MAX);
	} else {
		status = slx_meta_cas(e->meta, MANIFEST_KEY, b.p, b.n, e->manifest_version, &e->manifest_version, err);
		if (status != SILEX_OK)
			status = store_again(e, &b, err);
		else
			e->manifest_unsure = false;
	}
	slx_buf_free(&b);
	if (status != SILEX_OK)
		return status;
	e->checkpoint_seq = checkpoint_seq;
	if (max_version > e->max_version)
		e->max_version = max_version;
	return SILEX_OK;
}

silex_status slx_manifest_image(struct slx_engine *e, const struct slx_view *v, struct slx_buf *out, silex_error *err)
{
	static const uint8_t new_log[SLX_WAL_UUID_SIZE];
	encode(e, v, new_log, e->checkpoint_seq, e->max_version, out);
	put_parts(e, v, true, out);
	return out->failed ? slx_err(err, SILEX_RESOURCE_EXHAUSTED, "manifest: out of memory, or above %d bytes", MANIFEST_SIZE_MAX) : SILEX_OK;
}

/* --- in ------------------------------------------------------------------------------------------------------------------------ */

static struct slx_str get_str(struct slx_rd *r)
{
	size_t n = slx_rd_varint(r);
	const uint8_t *p = slx_rd_bytes(r, n);
	return p ? (struct slx_str){ (const char *)p, n } : (struct slx_str){ "", 0 };
}

static void get_block(struct slx_rd *r, struct slx_block_info *i)
{
	*i = (struct slx_block_info){ 0 };
	size_t n = slx_rd_u8(r);
	const uint8_t *name = slx_rd_bytes(r, n);
	if (!name || n == 0 || n >= sizeof i->name || memchr(name, 0, n))
		r->bad = true;
	else
		memcpy(i->name, name, n);
	i->level = slx_rd_u32(r);
	i->window_start = (int64_t)slx_rd_u64(r);
	i->tmin = (int64_t)slx_rd_u64(r);
	i->tmax = (int64_t)slx_rd_u64(r);
	uint64_t *rest[] = { &i->vmin, &i->vmax, &i->floor, &i->size, &i->points, &i->chunks, &i->series, &i->sections };
	for (size_t k = 0; k < sizeof rest / sizeof rest[0]; k++)
		*rest[k] = slx_rd_u64(r);
}

/* A block that does not open is kept in the manifest, counted as damage and named; the rest of the database works. */
static silex_status open_block(struct slx_engine *e, struct slx_view *v, const struct slx_block_info *info, silex_error *err)
{
	struct slx_upload *u = slx_tier_upload_of(e, info->name);
	struct slx_used_block *b = u ? slx_used_block_cold(e, u, err) : slx_used_block_new(e, info->name, err);
	if (b) {
		b->info.level = info->level;
		v->blocks[v->n_blocks++] = b;
		return SILEX_OK;
	}
	if (!err || (err->code != SILEX_CORRUPT && err->code != SILEX_NOT_FOUND))
		return err ? err->code : SILEX_INTERNAL;
	struct slx_lost_block *l = slx_calloc(&e->mem, SLX_MEM_OTHER, sizeof *l);
	if (!l)
		return slx_err_oom(err);
	slx_engine_log(e, 3, "block %s cannot be read and is left out: %s", info->name, err->message);
	l->info = *info;
	l->next = e->lost;
	e->lost = l;
	atomic_fetch_add(&e->damaged_pages, 1);
	return SILEX_OK;
}

static silex_status get_blocks(struct slx_rd *r, struct slx_block_info *ret, uint32_t n, silex_error *err)
{
	for (uint32_t i = 0; i < n; i++) {
		get_block(r, &ret[i]);
		if (r->bad)
			return slx_err(err, SILEX_CORRUPT, "manifest: block %u is cut short or has no legal name", i);
	}
	return SILEX_OK;
}

static silex_status open_blocks(struct slx_engine *e, const struct slx_block_info *info, uint32_t n, silex_error *err)
{
	struct slx_view *view = slx_view_copy(e, n, 0);
	silex_status status = view ? SILEX_OK : slx_err_oom(err);
	for (uint32_t i = 0; i < n && status == SILEX_OK; i++) {
		silex_error own = { 0 };
		status = open_block(e, view, &info[i], &own);
		if (status != SILEX_OK)
			slx_err(err, status, "%s", own.message);
	}
	if (status != SILEX_OK) {
		slx_view_unref(view);
		return status;
	}
	slx_view_sort_blocks(view);
	slx_view_install(e, view);
	return SILEX_OK;
}

static silex_status get_tombs(struct slx_engine *e, struct slx_rd *r, silex_error *err)
{
	uint32_t n = slx_rd_u32(r);
	if (r->bad || n > slx_rd_left(r) / 26)
		return slx_err(err, SILEX_CORRUPT, "manifest: number of tombstones does not fit its size");
	struct slx_view *v = slx_view_copy(e, 0, n);
	if (!v)
		return slx_err_oom(err);
	silex_status status = SILEX_OK;
	for (uint32_t i = 0; i < n && status == SILEX_OK; i++) {
		uint64_t version = slx_rd_u64(r);
		struct slx_time_range range;
		range.from = (int64_t)slx_rd_u64(r);
		range.to = (int64_t)slx_rd_u64(r);
		struct slx_str tenant = get_str(r), text = get_str(r);
		struct slx_tombstone *t = r->bad ? NULL : slx_tombstone_new(e, tenant, text, range, version, err);
		if (t)
			v->tombs[v->n_tombs++] = t;
		else
			status = r->bad ? slx_err(err, SILEX_CORRUPT, "manifest: tombstone %u is cut short", i) : SILEX_CORRUPT;
	}
	if (status == SILEX_OK)
		slx_view_install(e, v);
	else
		slx_view_unref(v);
	return status;
}

/* New versions are greater than all that the manifest knows, also when the clock went back. */
static uint64_t newest_known(const struct slx_engine *e)
{
	uint64_t newest = e->max_version;
	for (size_t i = 0; i < e->view->n_tombs; i++)
		newest = e->view->tombs[i]->version > newest ? e->view->tombs[i]->version : newest;
	for (size_t i = 0; i < e->view->n_blocks; i++)
		newest = e->view->blocks[i]->info.floor > newest ? e->view->blocks[i]->info.floor : newest;
	return newest;
}

static silex_status get_tenants(struct slx_engine *e, struct slx_rd *r, silex_error *err)
{
	uint32_t n = slx_rd_u32(r);
	for (uint32_t i = 0; i < n && !r->bad; i++) {
		struct slx_str name = get_str(r);
		uint64_t series_max = slx_rd_varint(r), head_bytes_max = slx_rd_varint(r);
		bool set = slx_rd_u8(r);
		uint64_t states = slx_rd_varint(r);
		struct slx_tenant *t;
		if (r->bad)
			break;
		SLX_TRY(slx_tenant_check_stored(name, err));
		SLX_TRY(slx_engine_tenant(e, name, &t, err));
		atomic_store(&t->series_max, series_max);
		atomic_store(&t->head_bytes_max, head_bytes_max);
		atomic_store(&t->limits_set, set);
		for (uint64_t k = 0; k < states && !r->bad; k++) {
			struct slx_str text = get_str(r);
			if (r->bad)
				break;
			pthread_mutex_lock(&e->tenants_lock);
			silex_status status = slx_states_set(e, t, (uint32_t)k, text, err);
			pthread_mutex_unlock(&e->tenants_lock);
			SLX_TRY(status);
		}
	}
	return r->bad ? slx_err(err, SILEX_CORRUPT, "manifest: the list of tenants is cut short") : SILEX_OK;
}

static silex_status get_part(struct slx_engine *e, uint64_t tag, struct slx_rd r, silex_error *err)
{
	for (size_t i = 0; i < PARTS_N; i++)
		if (parts[i].tag == tag)
			return parts[i].get(e, &r, err);
	return tag % 2 == 0 ? SILEX_OK
						: slx_err(err, SILEX_UNSUPPORTED, "manifest has a part %llu that this release does not know: use a newer silex", (unsigned long long)tag);
}

static silex_status get_parts(struct slx_engine *e, struct slx_rd *r, silex_error *err)
{
	while (!r->bad && slx_rd_left(r) > 0) {
		uint64_t tag = slx_rd_varint(r);
		size_t n = slx_rd_varint(r);
		const uint8_t *p = slx_rd_bytes(r, n);
		if (p)
			SLX_TRY(get_part(e, tag, slx_rd_init(p, n), err));
	}
	return r->bad ? slx_err(err, SILEX_CORRUPT, "manifest: its last part is cut short") : SILEX_OK;
}

/* The blocks are opened last: where they lie is in a part. */
static silex_status decode(struct slx_engine *e, const uint8_t *p, size_t n, uint8_t *ret_log_uuid, silex_error *err)
{
	struct slx_rd r = slx_rd_init(p, n);
	uint32_t format = slx_rd_u32(&r), features = slx_rd_u32(&r);
	if (!r.bad && format > MANIFEST_FORMAT)
		return slx_err(err, SILEX_UNSUPPORTED, "manifest has format %u, this release reads up to %d: use a newer silex", format, MANIFEST_FORMAT);
	if (!r.bad && features)
		return slx_err(err, SILEX_UNSUPPORTED, "manifest needs features 0x%x that this release does not have: use a newer silex", features);
	const uint8_t *uuid = slx_rd_bytes(&r, SLX_WAL_UUID_SIZE);
	e->checkpoint_seq = slx_rd_u64(&r);
	e->max_version = slx_rd_u64(&r);
	e->generation = slx_rd_u64(&r);
	if (r.bad)
		return slx_err(err, SILEX_CORRUPT, "manifest ends early");
	memcpy(ret_log_uuid, uuid, SLX_WAL_UUID_SIZE);
	uint32_t n_blocks = slx_rd_u32(&r);
	if (r.bad || n_blocks > slx_rd_left(&r) / 64)
		return slx_err(err, SILEX_CORRUPT, "manifest: number of blocks does not fit its size");
	size_t size = (n_blocks + 1) * sizeof(struct slx_block_info);
	struct slx_block_info *blocks = slx_alloc(&e->mem, SLX_MEM_OTHER, size);
	silex_status status = blocks ? get_blocks(&r, blocks, n_blocks, err) : slx_err_oom(err);
	if (status == SILEX_OK)
		status = get_tombs(e, &r, err);
	if (status == SILEX_OK)
		status = get_tenants(e, &r, err);
	if (status == SILEX_OK && format >= 1)
		status = get_parts(e, &r, err);
	if (status == SILEX_OK)
		status = open_blocks(e, blocks, n_blocks, err);
	slx_free(&e->mem, SLX_MEM_OTHER, blocks, size);
	SLX_TRY(status);
	e->known_version = newest_known(e);
	return SILEX_OK;
}

silex_status slx_manifest_load(struct slx_engine *e, uint8_t ret_log_uuid[SLX_WAL_UUID_SIZE], silex_error *err)
{
	uint8_t *p;
	size_t n;
	silex_error own;
	silex_status status = slx_meta_get(e->meta, MANIFEST_KEY, &p, &n, &e->manifest_version, &own);
	if (status == SILEX_NOT_FOUND)
		return SILEX_OK; /* a new database */
	if (status != SILEX_OK) {
		if (err)
			*err = own;
		return status;
	}
	status = decode(e, p, n, ret_log_uuid, err);
	slx_free(&e->mem, SLX_MEM_OTHER, p, n);
	return status;
}
