/* Images for snapshots and backups. The view is pinned under manifest_lock, so that blocks, tombstones, checkpoint and versions
 * belong together; the files of its blocks stay until the image goes, whatever flush and compaction do meanwhile. */
#include "engine/engine_int.h"
#include "engine/image.h"

#include <stdio.h>

const char *slx_engine_path(const struct slx_engine *e) { return e->path; }
struct slx_vfs *slx_engine_vfs(struct slx_engine *e) { return e->vfs; }
const silex_options *slx_engine_options(const struct slx_engine *e) { return &e->opt; }
struct slx_wal *slx_engine_log_of(struct slx_engine *e) { return e->wal; }
const silex_random *slx_engine_random(struct slx_engine *e) { return &e->random; }

static struct slx_image_doc *add_doc(struct slx_image *i, const char *key)
{
	if (i->n_docs == i->docs_cap) {
		size_t cap = i->docs_cap ? i->docs_cap * 2 : 8, size = sizeof *i->docs;
		struct slx_image_doc *docs = slx_realloc(&i->engine->mem, SLX_MEM_OTHER, i->docs, i->docs_cap * size, cap * size);
		if (!docs)
			return NULL;
		i->docs = docs;
		i->docs_cap = cap;
	}
	struct slx_image_doc *d = &i->docs[i->n_docs++];
	*d = (struct slx_image_doc){ 0 };
	snprintf(d->key, sizeof d->key, "%s", key);
	return d;
}

void slx_image_free(struct slx_image *i)
{
	if (!i)
		return;
	struct slx_mem *m = &i->engine->mem;
	for (size_t k = 0; k < i->n_docs; k++)
		slx_free(m, SLX_MEM_OTHER, i->docs[k].p, i->docs[k].n);
	slx_free(m, SLX_MEM_OTHER, i->docs, i->docs_cap * sizeof *i->docs);
	slx_free(m, SLX_MEM_OTHER, i->blocks, i->n_blocks * sizeof *i->blocks);
	slx_view_unref(i->view);
	slx_free(m, SLX_MEM_OTHER, i, sizeof *i);
}

/* --- the manifest and its blocks --- */

/* Deletes that came after the call need not show, and would without the writes before them. */
static void drop_later_tombs(struct slx_engine *e, struct slx_view *v, uint64_t limit)
{
	while (v->n_tombs && v->tombs[v->n_tombs - 1]->version > limit)
		slx_tombstone_unref(e, v->tombs[--v->n_tombs]);
}

static silex_status take_manifest(struct slx_image *i, silex_error *err)
{
	struct slx_buf b;
	struct slx_image_doc *d = add_doc(i, "MANIFEST");
	if (!d)
		return slx_err_oom(err);
	slx_buf_init(&b, &i->engine->mem, SLX_MEM_OTHER, SLX_META_SIZE_MAX);
	silex_status status = slx_manifest_image(i->engine, i->view, &b, err);
	d->p = status == SILEX_OK ? slx_alloc(&i->engine->mem, SLX_MEM_OTHER, b.n) : NULL;
	if (status == SILEX_OK && !d->p)
		status = slx_err_oom(err);
	if (d->p) {
		d->n = b.n;
		memcpy(d->p, b.p, b.n);
	}
	slx_buf_free(&b);
	return status;
}

static silex_status take_blocks(struct slx_image *i, silex_error *err)
{
	const struct slx_view *v = i->view;
	i->blocks = v->n_blocks ? slx_calloc(&i->engine->mem, SLX_MEM_OTHER, v->n_blocks * sizeof *i->blocks) : NULL;
	if (v->n_blocks && !i->blocks)
		return slx_err_oom(err);
	for (; i->n_blocks < v->n_blocks; i->n_blocks++) {
		const struct slx_used_block *b = v->blocks[i->n_blocks];
		i->blocks[i->n_blocks] = (struct slx_image_block){ &b->info, b->store, b->store == i->engine->store && i->engine->path };
		i->version = b->info.floor > i->version ? b->info.floor : i->version;
		i->points += b->info.points;
		i->bytes += b->info.size;
	}
	if (v->n_tombs && v->tombs[v->n_tombs - 1]->version > i->version)
		i->version = v->tombs[v->n_tombs - 1]->version;
	return SILEX_OK;
}

static silex_status pin(struct slx_image *i, uint64_t limit, silex_error *err)
{
	struct slx_engine *e = i->engine;
	if (e->lost)
		return slx_err(err, SILEX_CORRUPT, "block %s is damaged or missing: a copy without it would not be whole; put it back from an older copy first",
			e->lost->info.name);
	i->view = slx_view_copy(e, 0, 0);
	if (!i->view)
		return slx_err_oom(err);
	if (e->opt.read_only && slx_head_series_count(i->view->active) > 0)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only and part of it is in the log alone: open it for writing");
	limit = e->max_version > limit ? e->max_version : limit;
	drop_later_tombs(e, i->view, limit);
	memcpy(i->log_uuid, slx_wal_uuid(e->wal), sizeof i->log_uuid);
	i->checkpoint = e->checkpoint_seq;
	i->version = e->max_version;
	SLX_TRY(take_manifest(i, err));
	return take_blocks(i, err);
}

/* --- other documents --- */

struct keys {
	struct slx_image *image;
	bool failed;
};

static bool take_key(void *arg, const char *key)
{
	struct keys *k = arg;
	if (strcmp(key, "MANIFEST") != 0 && strcmp(key, SLX_TIER_ID_KEY) != 0)
		k->failed = !add_doc(k->image, key);
	return !k->failed;
}

static silex_status take_docs(struct slx_image *i, silex_error *err)
{
	struct keys k = { .image = i };
	size_t kept = i->n_docs;
	uint64_t version;
	SLX_TRY(slx_meta_list(i->engine->meta, "", take_key, &k, err));
	if (k.failed)
		return slx_err_oom(err);
	for (size_t n = kept; n < i->n_docs; n++) {
		struct slx_image_doc *d = &i->docs[n];
		SLX_TRY(slx_meta_get(i->engine->meta, d->key, &d->p, &d->n, &version, err));
	}
	return SILEX_OK;
}

/* --- all --- */

silex_status slx_engine_image(struct slx_engine *e, bool skip_head, struct slx_image **ret, silex_error *err)
{
	struct slx_wal_stats st = { 0 };
	slx_wal_stats(e->wal, &st);
	if (!skip_head && !e->opt.read_only)
		SLX_TRY(slx_engine_flush(e, err));
	struct slx_image *i = slx_calloc(&e->mem, SLX_MEM_OTHER, sizeof *i);
	if (!i)
		return slx_err_oom(err);
	i->engine = e;
	pthread_mutex_lock(&e->manifest_lock);
	silex_status status = pin(i, st.last_version, err);
	pthread_mutex_unlock(&e->manifest_lock);
	if (status == SILEX_OK)
		status = take_docs(i, err);
	if (status != SILEX_OK) {
		slx_image_free(i);
		return status;
	}
	*ret = i;
	return SILEX_OK;
}
