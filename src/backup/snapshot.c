/* An image as a folder that opens as a database: blocks as hard links where the file system lets us, the manifest last. A crash in
 * between leaves blocks without a manifest, which no open takes for a database. */
#include "backup/backup_int.h"
#include "backup/portable.h"

#include <stdio.h>
#include <string.h>

struct snapshot {
	struct slx_place *place;
	struct slx_image *image;
	struct slx_progress progress;
	silex_snapshot_info info;
	struct slx_store *blocks; /* of the snapshot; opened for the first copy */
	char dir[SLX_PATH_SIZE];  /* blocks/ */
};

/* true when the block is there as a link. Whatever stands in the way (another file system, one without links), a copy will do or say. */
static bool link_block(struct snapshot *s, const struct slx_image_block *b)
{
	char from[SLX_PATH_SIZE], to[SLX_PATH_SIZE];
	struct slx_vfs *v = s->place->vfs;
	if (!b->local || snprintf(from, sizeof from, "%s/blocks/%s", slx_engine_path(s->image->engine), b->info->name) >= SLX_PATH_SIZE ||
		slx_place_path(to, s->dir, b->info->name, NULL) != SILEX_OK)
		return false;
	return v->link(v, from, to, NULL) == SILEX_OK;
}

static silex_status put_block(struct snapshot *s, const struct slx_image_block *b, silex_error *err)
{
	if (link_block(s, b)) {
		s->info.linked++;
		return slx_progress_add(&s->progress, b->info->size, err);
	}
	if (!s->blocks)
		SLX_TRY(slx_store_open_folder(s->place->vfs, s->place->mem, s->dir, 0, false, &s->blocks, err));
	return slx_object_copy(s->place, b->store, b->info->name, b->info->size, s->blocks, b->info->name, NULL, &s->progress, NULL, err);
}

silex_status slx_docs_put(struct slx_place *p, const char *dir, const struct slx_image_doc *docs, size_t n, silex_error *err)
{
	struct slx_meta *meta;
	char path[SLX_PATH_SIZE];
	SLX_TRY(slx_place_path(path, dir, "meta", err));
	SLX_TRY(slx_meta_open_file(p->vfs, p->mem, path, false, &meta, err));
	silex_status st = SILEX_OK;
	for (size_t i = n; i-- > 0 && st == SILEX_OK;) /* the first, the manifest, is what makes it a database */
		st = slx_meta_cas(meta, docs[i].key, docs[i].p, docs[i].n, 0, NULL, err);
	slx_meta_close(meta);
	return st;
}

static silex_status put_folder(struct snapshot *s, const char *path, silex_error *err)
{
	const struct slx_image *i = s->image;
	silex_status st = SILEX_OK;
	SLX_TRY(slx_place_path(s->dir, path, "blocks", err));
	SLX_TRY(slx_vfs_make_dir(s->place->vfs, path, err));
	SLX_TRY(slx_vfs_make_dir(s->place->vfs, s->dir, err));
	for (size_t k = 0; k < i->n_blocks && st == SILEX_OK; k++)
		st = put_block(s, &i->blocks[k], err);
	slx_store_close(s->blocks);
	if (st == SILEX_OK)
		st = s->place->vfs->sync_dir(s->place->vfs, s->dir, err);
	return st == SILEX_OK ? slx_docs_put(s->place, path, i->docs, i->n_docs, err) : st;
}

/* Nothing, or an empty folder where a folder is wanted. */
static silex_status check_free(struct slx_place *p, const char *path, bool one_file, silex_error *err)
{
	struct slx_names names;
	struct slx_file *f = NULL;
	bool folder, there = false;
	silex_status st = slx_place_list(p, path, &names, &folder, NULL);
	if (st == SILEX_OK && folder)
		there = one_file || names.n > 0;
	else if (p->vfs->open(p->vfs, path, SLX_OPEN_READ, &f, NULL) == SILEX_OK)
		there = true;
	slx_file_close(f);
	slx_names_free(&names);
	return there ? slx_err(err, SILEX_CONFLICT, "%s is there already: name a new %s for the snapshot", path, one_file ? "file" : "folder") : SILEX_OK;
}

silex_status slx_backup_snapshot(struct slx_engine *e, const char *path, const silex_snapshot_options *o, silex_snapshot_info *ret, silex_error *err)
{
	struct slx_place p;
	struct snapshot s = { .place = &p, .progress = { o->progress, o->progress_arg, "snapshot", 0, 0 } };
	slx_place_of(e, &p);
	SLX_TRY(check_free(&p, path, o->one_file, err));
	SLX_TRY(slx_engine_image(e, o->skip_head, &s.image, err));
	s.progress.total = s.image->bytes;
	s.info.blocks = s.image->n_blocks;
	s.info.points = s.image->points;
	s.info.bytes = s.image->bytes;
	silex_status st = o->one_file ? slx_portable_write_file(&p, s.image, path, &s.progress, err) : put_folder(&s, path, err);
	slx_image_free(s.image);
	if (st != SILEX_OK && !o->one_file)
		slx_place_remove(&p, path, NULL);
	if (st == SILEX_OK && ret)
		*ret = s.info;
	return st;
}

silex_status slx_backup_stream(struct slx_engine *e, bool skip_head, silex_status (*put)(void *arg, const void *p, size_t n, silex_error *err), void *arg,
	silex_error *err)
{
	struct slx_place p;
	struct slx_image *image;
	struct slx_progress none = { 0 };
	slx_place_of(e, &p);
	SLX_TRY(slx_engine_image(e, skip_head, &image, err));
	silex_status st = slx_portable_write(&p, image, put, arg, &none, err);
	slx_image_free(image);
	return st;
}
