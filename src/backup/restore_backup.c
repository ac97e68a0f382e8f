/* A backup into a staging folder, with the archived log up to a moment when that is asked for.
 *
 * The log comes as segments of files of its own numbers, cut behind the last frame whose version is not later than the moment; opening
 * the staged database replays it. Every frame from the backup's checkpoint on must be there: a gap is an error that says how
 * far one can go. */
#include "backup/logs.h"
#include "backup/record.h"
#include "backup/restore_int.h"
#include "model/time.h"

#include <stdio.h>
#include <string.h>

struct staging {
	struct slx_place *place;
	struct slx_store *store;
	const char *dir;
	const silex_restore_options *o;
	struct slx_backup_record record;
	struct slx_progress progress;
	uint64_t version_max; /* of the log */
	uint64_t frames, last_version;
};

static void ms_text(int64_t ms, char to[SLX_TIME_TEXT_SIZE]) { slx_time_format(ms * 1000000, to); }

/* --- which backup ---------------------------------------------------------------------------------------------------------------- */

static silex_status choose_by_id(struct staging *s, silex_error *err)
{
	char name[SLX_STORE_NAME_SIZE_MAX];
	silex_error own = { 0 };
	if ((size_t)snprintf(name, sizeof name, SLX_RECORD_PREFIX "%s", s->o->id) >= sizeof name)
		return slx_err(err, SILEX_INVALID, "backup id of %zu bytes", strlen(s->o->id));
	silex_status st = slx_backup_record_get(s->place, s->store, name, &s->record, &own);
	if (st == SILEX_NOT_FOUND)
		return slx_err(err, st, "there is no backup %s: see silex backup list", s->o->id);
	if (st == SILEX_OK && s->record.version > s->version_max) {
		slx_backup_record_free(&s->record);
		return slx_err(err, SILEX_INVALID, "backup %s is later than the moment asked for: leave out which, or choose an older one", s->o->id);
	}
	return st == SILEX_OK ? st : slx_err(err, st, "%s", own.message);
}

static silex_status none_fits(struct staging *s, const char *oldest, silex_error *err)
{
	char text[SLX_TIME_TEXT_SIZE] = "";
	if (!oldest)
		return slx_err(err, SILEX_NOT_FOUND, "there is no backup at the target");
	ms_text(s->o->until_ns / 1000000, text);
	return slx_err(err, SILEX_NOT_FOUND, "no backup is as old as %s: the oldest is %s", text, oldest + strlen(SLX_RECORD_PREFIX));
}

/* The newest that is not later than the moment. */
static silex_status choose(struct staging *s, silex_error *err)
{
	struct slx_names names;
	bool found = false;
	if (s->o->id)
		return choose_by_id(s, err);
	silex_status st = slx_target_names(s->place, s->store, SLX_RECORD_PREFIX, &names, err);
	for (size_t i = names.n; i-- > 0 && st == SILEX_OK && !found;) {
		st = slx_backup_record_get(s->place, s->store, names.v[i], &s->record, err);
		found = st == SILEX_OK && s->record.version <= s->version_max;
		if (st == SILEX_OK && !found)
			slx_backup_record_free(&s->record);
	}
	if (st == SILEX_OK && !found)
		st = none_fits(s, names.n ? names.v[0] : NULL, err);
	slx_names_free(&names);
	return st;
}

/* --- blocks and documents ---------------------------------------------------------------------------------------------------------- */

static silex_status get_blocks(struct staging *s, silex_error *err)
{
	const struct slx_backup_record *r = &s->record;
	struct slx_store *to;
	char path[SLX_PATH_SIZE];
	SLX_TRY(slx_place_path(path, s->dir, "blocks", err));
	SLX_TRY(slx_store_open_folder(s->place->vfs, s->place->mem, path, 0, false, &to, err));
	silex_status st = SILEX_OK;
	for (size_t i = 0; i < r->n_blocks && st == SILEX_OK; i++) {
		silex_error own = { 0 };
		const struct slx_backup_block *b = &r->blocks[i];
		char object[SLX_BLOCK_OBJECT_SIZE];
		st = slx_object_copy(s->place, s->store, slx_backup_object(b->name, object), b->size, to, b->name, &b->hash, &s->progress, NULL, &own);
		if (st != SILEX_OK)
			slx_err(err, st, "backup %s: %s", r->info.id, own.message);
	}
	slx_store_close(to);
	return st;
}

/* --- the log -------------------------------------------------------------------------------------------------------------------------- */

/* The segments to replay: from the one that holds the first frame behind the checkpoint, or the one whose definitions that uses. */
static silex_status first_segment(struct staging *s, const struct slx_logs *l, size_t *ret, silex_error *err)
{
	size_t first = 0;
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].first_seq <= s->record.checkpoint + 1)
			first = i;
	for (;; first--) {
		struct slx_walfile_header h;
		SLX_TRY(slx_log_header(s->store, l, &l->v[first], &h, err));
		if (!h.continuation || first == 0)
			break;
	}
	*ret = first;
	return SILEX_OK;
}

struct scope {
	uint64_t old, new; /* numbers of the segment that the last ones belong to */
};

/* Numbers as the archive has them may repeat; here they are 1, 2, ... */
static silex_status renumber(struct slx_file *f, uint64_t number, struct scope *scope, silex_error *err)
{
	uint8_t header[SLX_WALFILE_HEADER_SIZE];
	struct slx_walfile_header h;
	SLX_TRY(slx_file_read(f, header, sizeof header, 0, err));
	SLX_TRY(slx_walfile_header_decode(header, "archived log", &h, err));
	if (!h.continuation || h.scope != scope->old)
		*scope = (struct scope){ h.scope, number };
	SLX_TRY(slx_walfile_header_renumber(header, number, scope->new, err));
	return slx_file_write(f, header, sizeof header, 0, err);
}

static silex_status gap(const struct staging *s, uint64_t from, uint64_t to, silex_error *err)
{
	char text[SLX_TIME_TEXT_SIZE];
	ms_text((int64_t)((s->last_version ? s->last_version : s->record.version) >> 16), text);
	return slx_err(err, SILEX_CORRUPT, "the archived log has a gap (frames %llu to %llu): restore until %s at most, or from a later backup",
		(unsigned long long)from, (unsigned long long)to, text);
}

/* Cuts the file where the moment is; *ret_end: nothing later is wanted. */
static silex_status cut(struct staging *s, struct slx_file *f, bool *ret_end, silex_error *err)
{
	struct slx_walfile_run run;
	uint64_t expected = s->record.checkpoint + s->frames + 1;
	SLX_TRY(slx_walfile_walk(s->place->mem, f, SLX_WALFILE_HEADER_SIZE, UINT64_MAX, s->version_max, &run, err));
	if (run.frames && run.first_seq > expected)
		return gap(s, expected, run.first_seq - 1, err);
	if (run.frames && run.last_seq >= expected) {
		s->frames = run.last_seq - s->record.checkpoint;
		s->last_version = run.last_version;
	}
	*ret_end = run.limited;
	SLX_TRY(slx_file_truncate(f, run.end, err));
	return slx_file_sync(f, err);
}

static silex_status get_segment(struct staging *s, const struct slx_logs *l, const struct slx_log_segment *g, const char *wal, uint64_t number,
	struct scope *scope, bool *ret_end, silex_error *err)
{
	char name[32], path[SLX_PATH_SIZE];
	struct slx_growing to = { 0 };
	snprintf(name, sizeof name, "%08llu.wal", (unsigned long long)number);
	SLX_TRY(slx_place_path(path, wal, name, err));
	SLX_TRY(s->place->vfs->open(s->place->vfs, path, SLX_OPEN_WRITE | SLX_OPEN_CREATE, &to.file, err));
	silex_status st = slx_log_fetch(s->place, s->store, l, g, &to, &s->progress, err);
	if (st == SILEX_OK)
		st = renumber(to.file, number, scope, err);
	if (st == SILEX_OK)
		st = cut(s, to.file, ret_end, err);
	slx_file_close(to.file);
	return st;
}

static silex_status get_segments(struct staging *s, const struct slx_logs *l, silex_error *err)
{
	char wal[SLX_PATH_SIZE];
	struct scope scope = { 0 };
	size_t first;
	bool end = false;
	SLX_TRY(slx_place_path(wal, s->dir, "wal", err));
	SLX_TRY(slx_vfs_make_dir(s->place->vfs, wal, err));
	SLX_TRY(first_segment(s, l, &first, err));
	if (l->v[first].first_seq > s->record.checkpoint + 1)
		return gap(s, s->record.checkpoint + 1, l->v[first].first_seq - 1, err);
	for (size_t i = first; i < l->n && !end; i++)
		SLX_TRY(get_segment(s, l, &l->v[i], wal, i - first + 1, &scope, &end, err));
	return s->place->vfs->sync_dir(s->place->vfs, wal, err);
}

static silex_status get_log(struct staging *s, silex_error *err)
{
	struct slx_logs logs = { .n = 0 };
	char uuid[SLX_LOG_UUID_TEXT];
	slx_log_uuid_text(s->record.log_uuid, uuid);
	SLX_TRY(slx_logs_list(s->place, s->store, uuid, &logs, err));
	s->progress.stage = "log";
	s->progress.total = 0;
	silex_status st = logs.n ? get_segments(s, &logs, err)
		: slx_err(err, SILEX_NOT_FOUND, "no log of this database is archived at the target: only the backups themselves can be restored");
	slx_logs_free(&logs);
	return st;
}

/* --- all -------------------------------------------------------------------------------------------------------------------------------- */

static silex_status stage(struct staging *s, silex_error *err)
{
	SLX_TRY(choose(s, err));
	s->progress.total = s->record.info.bytes;
	SLX_TRY(get_blocks(s, err));
	if (s->o->until_ns)
		SLX_TRY(get_log(s, err));
	return slx_docs_put(s->place, s->dir, s->record.docs, s->record.n_docs, err);
}

/* Versions are milliseconds and a counter below; what came in the moment's own millisecond counts. */
static uint64_t version_of(int64_t until_ns)
{
	if (until_ns == 0 || until_ns == SILEX_TIME_MAX)
		return UINT64_MAX;
	return until_ns < 0 ? 0 : ((uint64_t)(until_ns / 1000000) << 16) | 0xffff;
}

silex_status slx_stage_backup(struct slx_place *p, const char *target, const char *dir, const silex_restore_options *o, silex_restore_info *info,
	silex_error *err)
{
	struct staging s = { .place = p, .dir = dir, .o = o, .record.mem = p->mem, .progress = { o->progress, o->progress_arg, "restore", 0, 0 } };
	s.version_max = version_of(o->until_ns);
	SLX_TRY(slx_target_open(p, target, false, &s.store, err));
	silex_status st = stage(&s, err);
	if (st == SILEX_OK) {
		snprintf(info->id, sizeof info->id, "%s", s.record.info.id);
		info->frames = s.frames;
	}
	slx_backup_record_free(&s.record);
	slx_store_close(s.store);
	return st;
}
