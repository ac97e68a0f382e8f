/* Snapshots into a staging folder. */
#include "backup/portable.h"
#include "backup/restore_int.h"

#include <string.h>

/* --- a folder ------------------------------------------------------------------------------------------------------------------ */

static silex_status copy_file(struct slx_place *p, const char *from, const char *to, struct slx_progress *progress, silex_error *err)
{
	struct slx_file *in = NULL, *out = NULL;
	uint64_t size = 0;
	silex_status st = p->vfs->open(p->vfs, from, SLX_OPEN_READ, &in, err);
	if (st == SILEX_OK)
		st = slx_file_size(in, &size, err);
	if (st == SILEX_OK)
		st = p->vfs->open(p->vfs, to, SLX_OPEN_WRITE | SLX_OPEN_CREATE, &out, err);
	if (st == SILEX_OK)
		st = slx_pump(p, slx_file_source, in, size, slx_file_sink, &(struct slx_growing){ out, 0 }, progress, NULL, err);
	if (st == SILEX_OK)
		st = slx_file_sync(out, err);
	slx_file_close(in);
	slx_file_close(out);
	return st;
}

/* The files of one room; folders inside it are none of a database's. */
static silex_status copy_room(struct slx_place *p, const char *from, const char *staging, const char *room, struct slx_progress *progress, silex_error *err)
{
	char source[SLX_PATH_SIZE], target[SLX_PATH_SIZE], a[SLX_PATH_SIZE], b[SLX_PATH_SIZE];
	struct slx_names names;
	bool there;
	SLX_TRY(slx_place_path(source, from, room, err));
	SLX_TRY(slx_place_path(target, staging, room, err));
	silex_status st = slx_place_list(p, source, &names, &there, err);
	if (st == SILEX_OK && there)
		st = slx_vfs_make_dir(p->vfs, target, err);
	for (size_t i = 0; i < names.n && st == SILEX_OK; i++) {
		if (strcmp(names.v[i], SLX_WAL_ARCHIVE) == 0)
			continue;
		st = slx_place_path(a, source, names.v[i], err);
		if (st == SILEX_OK)
			st = slx_place_path(b, target, names.v[i], err);
		if (st == SILEX_OK)
			st = copy_file(p, a, b, progress, err);
	}
	slx_names_free(&names);
	return st == SILEX_OK && there ? p->vfs->sync_dir(p->vfs, target, err) : st;
}

/* A database that a program has open changes while it is copied: a snapshot of it does not. */
static silex_status check_idle(struct slx_place *p, const char *from, silex_error *err)
{
	char path[SLX_PATH_SIZE];
	struct slx_file *f = NULL;
	silex_error own;
	SLX_TRY(slx_place_path(path, from, "LOCK", err));
	if (p->vfs->open(p->vfs, path, SLX_OPEN_READ, &f, NULL) != SILEX_OK)
		return SILEX_OK; /* a snapshot has none */
	silex_status st = slx_file_lock(f, SLX_LOCK_SHARED, &own);
	slx_file_close(f);
	return st == SILEX_OK ? st : slx_err(err, st, "%s: it is no snapshot but a database at work; make a snapshot of it first", own.message);
}

static silex_status stage_folder(struct slx_place *p, const char *from, const char *staging, struct slx_progress *progress, silex_error *err)
{
	SLX_TRY(check_idle(p, from, err));
	SLX_TRY(copy_room(p, from, staging, "blocks", progress, err));
	SLX_TRY(copy_room(p, from, staging, "wal", progress, err));
	return copy_room(p, from, staging, "meta", progress, err);
}

/* --- a file -------------------------------------------------------------------------------------------------------------------- */

struct unpacking {
	struct slx_place *place;
	struct slx_progress *progress;
	struct slx_store *blocks;
	struct slx_store_writer *writer; /* of the part, when it is a block */
	struct slx_meta *meta;
	struct slx_buf doc; /* when it is a document */
	char key[SLX_PORTABLE_NAME_MAX + 1];
};

static silex_status begin_part(void *arg, const char *name, uint64_t size, silex_error *err)
{
	struct unpacking *u = arg;
	if (strncmp(name, "blocks/", 7) == 0)
		return slx_store_begin(u->blocks, name + 7, &u->writer, err);
	if (strncmp(name, "meta/", 5) != 0 || size > SLX_META_SIZE_MAX)
		return slx_err(err, SILEX_CORRUPT, "part \"%s\" of %llu bytes; expected a block or a document", name, (unsigned long long)size);
	slx_buf_reset(&u->doc);
	memcpy(u->key, name + 5, strlen(name + 5) + 1);
	return SILEX_OK;
}

static silex_status take_data(void *arg, const uint8_t *bytes, size_t n, silex_error *err)
{
	struct unpacking *u = arg;
	SLX_TRY(slx_progress_add(u->progress, n, err));
	if (u->writer)
		return slx_store_append(u->writer, bytes, n, err);
	slx_buf_put(&u->doc, bytes, n);
	return u->doc.failed ? slx_err_oom(err) : SILEX_OK;
}

static silex_status end_part(void *arg, silex_error *err)
{
	struct unpacking *u = arg;
	struct slx_store_writer *w = u->writer;
	u->writer = NULL;
	return w ? slx_store_commit(w, err) : slx_meta_cas(u->meta, u->key, u->doc.p ? u->doc.p : (uint8_t *)"", u->doc.n, 0, NULL, err);
}

static silex_status unpack(struct unpacking *u, struct slx_file *f, const char *from, silex_error *err)
{
	const struct slx_portable_sink sink = { begin_part, take_data, end_part, u };
	silex_error own = { 0 };
	silex_status st = slx_file_size(f, &u->progress->total, err);
	if (st != SILEX_OK)
		return st;
	st = slx_portable_read(u->place->mem, slx_file_source, f, u->progress->total, &sink, &own);
	return st == SILEX_OK ? st : slx_err(err, st, "%s: %s", from, own.message);
}

static silex_status stage_file(struct slx_place *p, const char *from, const char *staging, struct slx_progress *progress, silex_error *err)
{
	struct unpacking u = { .place = p, .progress = progress };
	char path[SLX_PATH_SIZE];
	struct slx_file *f = NULL;
	slx_buf_init(&u.doc, p->mem, SLX_MEM_OTHER, SLX_META_SIZE_MAX);
	SLX_TRY(p->vfs->open(p->vfs, from, SLX_OPEN_READ, &f, err));
	silex_status st = slx_place_path(path, staging, "blocks", err);
	if (st == SILEX_OK)
		st = slx_store_open_folder(p->vfs, p->mem, path, 0, false, &u.blocks, err);
	if (st == SILEX_OK)
		st = slx_place_path(path, staging, "meta", err);
	if (st == SILEX_OK)
		st = slx_meta_open_file(p->vfs, p->mem, path, false, &u.meta, err);
	if (st == SILEX_OK)
		st = unpack(&u, f, from, err);
	slx_store_abort(u.writer);
	slx_meta_close(u.meta);
	slx_store_close(u.blocks);
	slx_buf_free(&u.doc);
	slx_file_close(f);
	return st;
}

/* --- which ----------------------------------------------------------------------------------------------------------------------- */

silex_status slx_stage(struct slx_place *p, const char *from, const char *staging, const silex_restore_options *o, silex_restore_info *info,
	silex_error *err)
{
	struct slx_progress progress = { o->progress, o->progress_arg, "restore", 0, 0 };
	struct slx_names names;
	struct slx_file *f = NULL;
	bool folder = false;
	silex_status st = slx_place_list(p, from, &names, &folder, NULL);
	bool database = st == SILEX_OK && folder && slx_names_have(&names, "meta");
	slx_names_free(&names);
	if (database || (!folder && p->vfs->open(p->vfs, from, SLX_OPEN_READ, &f, NULL) == SILEX_OK)) {
		slx_file_close(f);
		if (o->id || o->until_ns)
			return slx_err(err, SILEX_INVALID, "%s is a snapshot: it has one state only, and no log; leave out which backup and until when", from);
		return database ? stage_folder(p, from, staging, &progress, err) : stage_file(p, from, staging, &progress, err);
	}
	return slx_stage_backup(p, from, staging, o, info, err);
}
