/* Restore: a snapshot or a backup becomes a database.
 *
 *   1. lock        DIR/LOCK, as an open does: nobody works in DIR meanwhile
 *   2. stage       everything into DIR/restore.tmp, each checksum compared on the way (sources: restore_from.c)
 *   3. verify      the staged database is opened, which replays the log that came with it, and every byte is read again
 *   4. swap        what was in DIR moves to DIR/before-restore, the staged files move up, the manifest last
 *   5. clean       DIR/before-restore and DIR/restore.tmp go
 *
 * Until 4 DIR is as it was, whatever fails. A crash inside of 4 leaves DIR without a manifest, which an open refuses: nothing is lost
 * (the old files are in before-restore, the backup is where it was), and the same restore with force begins anew.
 *
 * The restored database gets a log of its own: its archive must not be taken for that of the database it was copied from, which
 * may have gone on. */
#include "backup/restore_int.h"

#include <stdio.h>
#include <string.h>

static const char staging_name[] = "restore.tmp", before_name[] = "before-restore";
static const char *const rooms[] = { "meta", "wal", "blocks" };
enum { ROOMS = sizeof rooms / sizeof *rooms, STAGED_MEMORY = 512 << 20 };

/* --- 1. the directory -------------------------------------------------------------------------------------------------------- */

/* What is in dir: nothing of ours, or a database. Other things are not touched, so they must not be there. */
static silex_status look(struct slx_place *p, const char *dir, bool force, silex_error *err)
{
	struct slx_names names;
	bool there, database = false;
	const char *other = NULL;
	silex_status st = slx_place_list(p, dir, &names, &there, err);
	for (size_t i = 0; i < names.n; i++) {
		const char *n = names.v[i];
		if (strcmp(n, "meta") == 0 || strcmp(n, "wal") == 0 || strcmp(n, "blocks") == 0 || strcmp(n, before_name) == 0)
			database = true;
		else if (strcmp(n, "LOCK") != 0 && strcmp(n, staging_name) != 0 && strcmp(n, "lost+found") != 0)
			other = n;
	}
	if (st == SILEX_OK && database && !force)
		st = slx_err(err, SILEX_CONFLICT, "%s holds a database: restore into an empty directory, or replace it with --force", dir);
	else if (st == SILEX_OK && other && !database)
		st = slx_err(err, SILEX_CONFLICT, "%s is not empty (there is %s) and holds no database: restore into an empty directory", dir, other);
	slx_names_free(&names);
	return st;
}

static silex_status lock(struct slx_place *p, const char *dir, struct slx_file **ret, silex_error *err)
{
	char path[SLX_PATH_SIZE];
	silex_error own;
	SLX_TRY(slx_place_path(path, dir, "LOCK", err));
	SLX_TRY(p->vfs->open(p->vfs, path, SLX_OPEN_WRITE | SLX_OPEN_CREATE, ret, err));
	silex_status st = slx_file_lock(*ret, SLX_LOCK_EXCLUSIVE, &own);
	if (st == SILEX_OK)
		return SILEX_OK;
	slx_file_close(*ret);
	*ret = NULL;
	return slx_err(err, st, st == SILEX_CONFLICT ? "%s: end the program that uses it, then restore" : "%s", own.message);
}

/* --- 3. verify ---------------------------------------------------------------------------------------------------------------- */

struct checking {
	const silex_restore_options *o;
	char first[256]; /* fault */
	unsigned faults;
};

static bool note_fault(void *arg, const char *line)
{
	struct checking *c = arg;
	if (c->faults++ == 0)
		snprintf(c->first, sizeof c->first, "%s", line);
	return true;
}

static bool pass_progress(void *arg, const char *stage, uint64_t done, uint64_t total)
{
	const silex_restore_options *o = ((struct checking *)arg)->o;
	return !o->progress || o->progress(o->progress_arg, stage, done, total);
}

static silex_status read_again(struct slx_engine *e, const silex_restore_options *o, silex_error *err)
{
	struct checking c = { .o = o };
	silex_verify_report report = { 0 };
	silex_error own = { 0 };
	silex_status st = slx_engine_verify(e, pass_progress, note_fault, &c, &report, &own);
	return st == SILEX_OK ? st : slx_err(err, st, "what was restored is damaged: %s", c.faults ? c.first : own.message);
}

/* The image of the staged database is what it shall be: all in blocks, a log that has not begun. */
static silex_status settle(struct slx_engine *e, struct slx_image **image, const silex_restore_options *o, silex_restore_info *info,
	silex_error *err)
{
	SLX_TRY(slx_engine_image(e, false, image, err));
	info->blocks = (*image)->n_blocks;
	info->points = (*image)->points;
	info->bytes = (*image)->bytes;
	if ((*image)->version)
		info->until_ms = (int64_t)((*image)->version >> 16);
	return read_again(e, o, err);
}

static silex_status rewrite_meta(struct slx_place *p, const char *staging, const struct slx_image *i, silex_error *err)
{
	char path[SLX_PATH_SIZE];
	SLX_TRY(slx_place_path(path, staging, "wal", err));
	SLX_TRY(slx_place_remove(p, path, err));
	SLX_TRY(slx_place_path(path, staging, "meta", err));
	SLX_TRY(slx_place_remove(p, path, err));
	return slx_docs_put(p, staging, i->docs, i->n_docs, err);
}

static silex_status staged_open(const struct slx_place *p, const char *staging, const silex_options *db, bool read_only, struct slx_engine **ret,
	silex_error *err)
{
	silex_options o = *db;
	o.must_exist = true;
	o.read_only = read_only;
	o.no_background = true;
	o.wal = SILEX_WAL_FILE;
	o.sync = SILEX_SYNC_INTERVAL;
	o.env.vfs = p->vfs;
	o.memory_limit = o.memory_limit > STAGED_MEMORY ? STAGED_MEMORY : o.memory_limit; /* perhaps beside the one it goes into */
	return slx_engine_open(staging, &o, ret, err);
}

static silex_status verify(struct slx_place *p, const char *staging, const silex_restore_options *o, silex_restore_info *info, silex_error *err)
{
	struct slx_engine *e;
	struct slx_image *image = NULL;
	silex_error own = { 0 };
	silex_status st = staged_open(p, staging, o->db, false, &e, &own);
	if (st != SILEX_OK)
		return slx_err(err, st, "what was restored does not open: %s", own.message);
	st = settle(e, &image, o, info, err);
	/* The image keeps only documents and names from here on: its blocks are read no more. */
	if (st == SILEX_OK)
		st = rewrite_meta(p, staging, image, err);
	slx_image_free(image);
	silex_status closed = slx_engine_close(e, st == SILEX_OK ? err : NULL);
	if (st != SILEX_OK || closed != SILEX_OK)
		return st != SILEX_OK ? st : closed;
	char path[SLX_PATH_SIZE];
	SLX_TRY(slx_place_path(path, staging, "wal", err));
	return slx_place_remove(p, path, err); /* the close may have made it again */
}

/* --- 4. swap -------------------------------------------------------------------------------------------------------------------- */

static silex_status move_room(struct slx_place *p, const char *from_dir, const char *to_dir, const char *room, silex_error *err)
{
	char from[SLX_PATH_SIZE], to[SLX_PATH_SIZE];
	SLX_TRY(slx_place_path(from, from_dir, room, err));
	SLX_TRY(slx_place_path(to, to_dir, room, err));
	return slx_place_move(p, from, to, "MANIFEST", err);
}

static silex_status swap(struct slx_place *p, const char *dir, const char *staging, silex_error *err)
{
	char before[SLX_PATH_SIZE], archive[SLX_PATH_SIZE];
	SLX_TRY(slx_place_path(before, dir, before_name, err));
	SLX_TRY(slx_vfs_make_dir(p->vfs, before, err));
	SLX_TRY(slx_place_path(archive, dir, "wal/archive", err));
	SLX_TRY(slx_place_remove(p, archive, err)); /* of the old log; the move is of files only */
	for (size_t i = 0; i < ROOMS; i++) /* the manifest first */
		SLX_TRY(move_room(p, dir, before, rooms[i], err));
	for (size_t i = ROOMS; i-- > 0;) /* the manifest last */
		SLX_TRY(move_room(p, staging, dir, rooms[i], err));
	return SILEX_OK;
}

/* --- all ------------------------------------------------------------------------------------------------------------------------- */

static silex_status clean(struct slx_place *p, const char *dir, const char *name, silex_error *err)
{
	char path[SLX_PATH_SIZE];
	SLX_TRY(slx_place_path(path, dir, name, err));
	return slx_place_remove(p, path, err);
}

static silex_status restore_locked(struct slx_place *p, const char *from, const char *dir, const silex_restore_options *o, silex_restore_info *info,
	silex_error *err)
{
	char staging[SLX_PATH_SIZE];
	SLX_TRY(slx_place_path(staging, dir, staging_name, err));
	SLX_TRY(slx_place_remove(p, staging, err));
	SLX_TRY(slx_vfs_make_dir(p->vfs, staging, err));
	silex_status st = slx_stage(p, from, staging, o, info, err);
	if (st == SILEX_OK)
		st = verify(p, staging, o, info, err);
	if (st != SILEX_OK) {
		slx_place_remove(p, staging, NULL); /* a failure here is told by the next restore, which does the same */
		return st;
	}
	st = swap(p, dir, staging, err);
	if (st != SILEX_OK)
		return err ? slx_err_wrap(err, "moving the restored files into place (the old ones are in %s/%s)", dir, before_name) : st;
	SLX_TRY(clean(p, dir, before_name, err));
	return slx_place_remove(p, staging, err);
}

silex_status slx_backup_restore(const char *from, const char *dir, const silex_restore_options *o, silex_restore_info *ret, silex_error *err)
{
	struct slx_mem mem;
	struct slx_place p;
	struct slx_file *held = NULL;
	silex_restore_info info = { .id = "" };
	slx_place_init(&p, &mem, o->db);
	SLX_TRY(look(&p, dir, o->force, err));
	SLX_TRY(slx_vfs_make_dir(p.vfs, dir, err));
	SLX_TRY(lock(&p, dir, &held, err));
	silex_status st = restore_locked(&p, from, dir, o, &info, err);
	slx_file_close(held);
	if (st == SILEX_OK && ret)
		*ret = info;
	return st;
}

static silex_status staged_into(struct slx_place *p, const char *from, const char *staging, struct slx_engine *e, const silex_restore_options *o,
	silex_restore_info *info, silex_error *err)
{
	struct slx_engine *source;
	silex_error own = { 0 };
	SLX_TRY(slx_stage(p, from, staging, o, info, err));
	silex_status st = staged_open(p, staging, o->db, true, &source, &own);
	if (st != SILEX_OK)
		return slx_err(err, st, "what was restored does not open: %s", own.message);
	st = slx_tenant_copy(source, o->tenant_from, e, o->tenant_to, &(struct slx_progress){ o->progress, o->progress_arg, "restore", 0, 0 }, info, err);
	slx_engine_close(source, NULL);
	return st;
}

silex_status slx_backup_restore_into(const char *from, struct slx_engine *e, const silex_restore_options *o, silex_restore_info *ret, silex_error *err)
{
	struct slx_place p;
	char staging[SLX_PATH_SIZE];
	silex_restore_info info = { .id = "" };
	if (!slx_engine_path(e))
		return slx_err(err, SILEX_INVALID, "the database is in memory: there is no folder to restore through");
	slx_place_of(e, &p);
	SLX_TRY(slx_place_path(staging, slx_engine_path(e), staging_name, err));
	SLX_TRY(slx_place_remove(&p, staging, err));
	SLX_TRY(slx_vfs_make_dir(p.vfs, staging, err));
	silex_status st = staged_into(&p, from, staging, e, o, &info, err);
	silex_status removed = slx_place_remove(&p, staging, st == SILEX_OK ? err : NULL);
	if (st != SILEX_OK || removed != SILEX_OK)
		return st != SILEX_OK ? st : removed;
	if (ret)
		*ret = info;
	return SILEX_OK;
}
