/* The archive of the log: its segments at the target, soon after they were written.
 *
 * The log itself keeps what we have not shipped: a segment that a flush would remove moves to wal/archive (slx_wal_archive). Each
 * call ships, oldest first, what is durable and not at the target: of a segment that may still grow the new frames as a piece, of a
 * closed one the whole, in place of its pieces. Only durable frames: what a power cut takes from here must not be there, where the
 * numbers go on with other frames.
 *
 * The target itself tells what it has, so nothing is remembered here over a restart. */
#include "backup/logs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shipped {
	char stem[SLX_LOG_STEM_SIZE];
	uint64_t offset; /* the target has the bytes before it */
	bool done;
};

struct slx_archive {
	struct slx_place place;
	struct slx_engine *engine;
	struct slx_store *store;
	char wal[SLX_PATH_SIZE], closed[SLX_PATH_SIZE]; /* folders */
	uint64_t keep_bytes;
	silex_archive_info info;
	struct shipped *v;
	size_t n, cap;
};

/* A segment here. */
struct local {
	char path[SLX_PATH_SIZE];
	struct slx_walfile_header header;
	uint64_t size;
	bool archived; /* waits in wal/archive: ours to remove */
	bool closed;
};
struct locals {
	struct slx_mem *mem;
	struct local *v;
	size_t n, cap;
};

/* --- what the target has ------------------------------------------------------------------------------------------------------------ */

static struct shipped *entry(struct slx_archive *a, const char *stem)
{
	for (size_t i = a->n; i-- > 0;)
		if (strcmp(a->v[i].stem, stem) == 0)
			return &a->v[i];
	if (a->n == a->cap) {
		size_t cap = a->cap ? a->cap * 2 : 16;
		struct shipped *v = slx_realloc(a->place.mem, SLX_MEM_OTHER, a->v, a->cap * sizeof *v, cap * sizeof *v);
		if (!v)
			return NULL;
		a->v = v;
		a->cap = cap;
	}
	a->v[a->n] = (struct shipped){ .offset = 0 };
	snprintf(a->v[a->n].stem, sizeof a->v[a->n].stem, "%s", stem);
	return &a->v[a->n++];
}

static silex_status learn(struct slx_archive *a, silex_error *err)
{
	struct slx_logs logs = { .n = 0 };
	char uuid[SLX_LOG_UUID_TEXT];
	slx_log_uuid_text(slx_wal_uuid(slx_engine_log_of(a->engine)), uuid);
	SLX_TRY(slx_logs_list(&a->place, a->store, uuid, &logs, err));
	silex_status st = SILEX_OK;
	for (size_t i = 0; i < logs.n && st == SILEX_OK; i++) {
		struct shipped *s = entry(a, logs.v[i].stem);
		st = s ? slx_log_size(a->store, &logs, &logs.v[i], &s->offset, err) : slx_err_oom(err);
		if (s)
			s->done = logs.v[i].complete;
	}
	slx_logs_free(&logs);
	return st;
}

/* --- what is here ---------------------------------------------------------------------------------------------------------------------- */

static silex_status add_local(struct slx_archive *a, struct locals *l, const char *dir, const char *name, silex_error *err)
{
	struct local f = { .archived = dir == a->closed };
	struct slx_file *file;
	uint8_t header[SLX_WALFILE_HEADER_SIZE];
	SLX_TRY(slx_place_path(f.path, dir, name, err));
	silex_status st = a->place.vfs->open(a->place.vfs, f.path, SLX_OPEN_READ, &file, err);
	if (st == SILEX_NOT_FOUND)
		return SILEX_OK; /* it moved to wal/archive in this moment: the next call finds it there */
	if (st != SILEX_OK)
		return st;
	st = slx_file_size(file, &f.size, err);
	bool begun = st == SILEX_OK && f.size >= sizeof header;
	if (begun)
		st = slx_file_read(file, header, sizeof header, 0, err);
	slx_file_close(file);
	if (st != SILEX_OK || !begun || slx_walfile_header_decode(header, name, &f.header, NULL) != SILEX_OK)
		return st; /* a header that is not whole yet, or damaged: replay tells of it */
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 16;
		struct local *v = slx_realloc(l->mem, SLX_MEM_OTHER, l->v, l->cap * sizeof *v, cap * sizeof *v);
		if (!v)
			return slx_err_oom(err);
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = f;
	return SILEX_OK;
}

static silex_status add_folder(struct slx_archive *a, struct locals *l, const char *dir, silex_error *err)
{
	struct slx_names names;
	bool there;
	silex_status st = slx_place_list(&a->place, dir, &names, &there, err);
	for (size_t i = 0; i < names.n && st == SILEX_OK; i++) {
		size_t n = strlen(names.v[i]);
		if (n > 4 && strcmp(names.v[i] + n - 4, ".wal") == 0)
			st = add_local(a, l, dir, names.v[i], err);
	}
	slx_names_free(&names);
	return st;
}

static int by_seq(const void *a, const void *b)
{
	const struct local *x = a, *y = b;
	if (x->header.first_seq != y->header.first_seq)
		return x->header.first_seq < y->header.first_seq ? -1 : 1;
	return (x->header.number > y->header.number) - (x->header.number < y->header.number);
}

static silex_status find_local(struct slx_archive *a, struct locals *l, silex_error *err)
{
	SLX_TRY(add_folder(a, l, a->closed, err));
	SLX_TRY(add_folder(a, l, a->wal, err));
	struct local *open = NULL;
	for (size_t i = 0; i < l->n; i++) {
		l->v[i].closed = true;
		if (!l->v[i].archived && (!open || l->v[i].header.number > open->header.number))
			open = &l->v[i];
	}
	if (open)
		open->closed = false;
	if (l->n)
		qsort(l->v, l->n, sizeof *l->v, by_seq);
	return SILEX_OK;
}

/* --- shipping ---------------------------------------------------------------------------------------------------------------------------- */

struct slice {
	struct slx_file *file;
	uint64_t from;
};

static silex_status read_slice(void *source, uint64_t offset, size_t n, void *to, silex_error *err)
{
	struct slice *s = source;
	return slx_file_read(s->file, to, n, s->from + offset, err);
}

/* Bytes [from, to) as an object. One of that name is there already when the answer to an earlier try was lost. */
static silex_status put_range(struct slx_archive *a, struct slx_file *f, uint64_t from, uint64_t to, const char *name, uint64_t *ret_size, silex_error *err)
{
	struct slx_store_writer *w;
	struct slx_progress none = { 0 };
	silex_error own = { 0 };
	silex_status st = slx_store_begin(a->store, name, &w, &own);
	if (st == SILEX_CONFLICT)
		return slx_store_size(a->store, name, ret_size, err);
	if (st != SILEX_OK)
		return slx_err(err, st, "%s", own.message);
	st = slx_pump(&a->place, read_slice, &(struct slice){ f, from }, to - from, slx_object_write, w, &none, NULL, err);
	if (st != SILEX_OK) {
		slx_store_abort(w);
		return st;
	}
	SLX_TRY(slx_store_commit(w, err));
	a->info.bytes += to - from;
	*ret_size = to - from;
	return SILEX_OK;
}

static silex_status remove_parts(struct slx_archive *a, const char *stem, silex_error *err)
{
	struct slx_names names;
	char prefix[SLX_LOG_NAME_SIZE];
	snprintf(prefix, sizeof prefix, "%s-", stem);
	silex_status st = slx_target_names(&a->place, a->store, prefix, &names, err);
	for (size_t i = 0; i < names.n && st == SILEX_OK; i++)
		st = slx_store_remove(a->store, names.v[i], err);
	slx_names_free(&names);
	return st;
}

static silex_status ship_closed(struct slx_archive *a, struct slx_file *file, struct shipped *s, uint64_t end, silex_error *err)
{
	char name[SLX_LOG_NAME_SIZE];
	uint64_t size;
	slx_log_whole_name(s->stem, name);
	SLX_TRY(put_range(a, file, 0, end, name, &size, err));
	SLX_TRY(remove_parts(a, s->stem, err));
	s->done = true;
	a->info.segments++;
	return SILEX_OK;
}

static silex_status ship_file(struct slx_archive *a, const struct local *f, struct slx_file *file, struct shipped *s, uint64_t durable_seq, silex_error *err)
{
	struct slx_walfile_run run;
	char name[SLX_LOG_NAME_SIZE];
	uint64_t size, from = s->offset ? s->offset : SLX_WALFILE_HEADER_SIZE;
	SLX_TRY(slx_walfile_walk(a->place.mem, file, from, durable_seq, UINT64_MAX, &run, err));
	if (run.frames)
		a->info.shipped_ms = (int64_t)(run.last_version >> 16); /* when what follows succeeds */
	if (f->closed && !run.limited && (s->offset || run.frames))
		return ship_closed(a, file, s, run.end, err);
	if (f->closed && !run.limited) {
		s->done = true; /* nothing in it */
		return SILEX_OK;
	}
	if (!run.frames)
		return SILEX_OK;
	slx_log_part_name(s->stem, s->offset, name);
	SLX_TRY(put_range(a, file, s->offset, run.end, name, &size, err));
	s->offset += size;
	return SILEX_OK;
}

static silex_status ship_local(struct slx_archive *a, struct local *f, uint64_t durable_seq, silex_error *err)
{
	struct slx_file *file;
	char stem[SLX_LOG_STEM_SIZE];
	slx_log_stem(&f->header, stem);
	struct shipped *s = entry(a, stem);
	if (!s)
		return slx_err_oom(err);
	if (!s->done) {
		silex_status st = a->place.vfs->open(a->place.vfs, f->path, SLX_OPEN_READ, &file, err);
		if (st == SILEX_NOT_FOUND)
			return SILEX_OK;
		if (st != SILEX_OK)
			return st;
		int64_t before = a->info.shipped_ms;
		st = ship_file(a, f, file, s, durable_seq, err);
		slx_file_close(file);
		if (st != SILEX_OK) {
			a->info.shipped_ms = before;
			return st;
		}
	}
	if (!s->done || !f->archived)
		return SILEX_OK;
	f->archived = false;
	return a->place.vfs->unlink(a->place.vfs, f->path, err);
}

/* Of what waits no more than keep_bytes: a target that is away for long must not fill the disk. */
static void give_up(struct slx_archive *a, const struct locals *l)
{
	uint64_t waiting = 0;
	for (size_t i = 0; i < l->n; i++)
		waiting += l->v[i].archived ? l->v[i].size : 0;
	for (size_t i = 0; i < l->n && waiting > a->keep_bytes; i++)
		if (l->v[i].archived && a->place.vfs->unlink(a->place.vfs, l->v[i].path, NULL) == SILEX_OK) {
			waiting -= l->v[i].size;
			a->info.lost_segments++;
		}
	a->info.waiting_bytes = waiting;
}

silex_status slx_archive_ship(struct slx_archive *a, silex_archive_info *ret, silex_error *err)
{
	struct locals l = { .mem = a->place.mem };
	struct slx_wal *wal = slx_engine_log_of(a->engine);
	struct slx_wal_stats stats;
	SLX_TRY(slx_wal_sync(wal, err));
	slx_wal_stats(wal, &stats);
	silex_status st = find_local(a, &l, err);
	for (size_t i = 0; i < l.n && st == SILEX_OK; i++)
		st = ship_local(a, &l.v[i], stats.durable_seq, err);
	give_up(a, &l);
	slx_free(a->place.mem, SLX_MEM_OTHER, l.v, l.cap * sizeof *l.v);
	if (ret)
		*ret = a->info;
	return st;
}

/* --- life ---------------------------------------------------------------------------------------------------------------------------------- */

void slx_archive_close(struct slx_archive *a)
{
	if (!a)
		return;
	slx_store_close(a->store);
	slx_free(a->place.mem, SLX_MEM_OTHER, a->v, a->cap * sizeof *a->v);
	slx_free(a->place.mem, SLX_MEM_OTHER, a, sizeof *a);
}

static silex_status begin(struct slx_archive *a, const char *target, silex_error *err)
{
	SLX_TRY(slx_place_path(a->wal, slx_engine_path(a->engine), "wal", err));
	SLX_TRY(slx_place_path(a->closed, a->wal, SLX_WAL_ARCHIVE, err));
	SLX_TRY(slx_wal_archive(slx_engine_log_of(a->engine), true, err));
	SLX_TRY(slx_target_open(&a->place, target, true, &a->store, err));
	return learn(a, err);
}

silex_status slx_archive_open(struct slx_engine *e, const char *target, uint64_t keep_bytes, struct slx_archive **ret, silex_error *err)
{
	if (!slx_engine_path(e))
		return slx_err(err, SILEX_INVALID, "a database in memory has no log to archive");
	struct slx_archive *a = slx_calloc(slx_engine_mem(e), SLX_MEM_OTHER, sizeof *a);
	if (!a)
		return slx_err_oom(err);
	slx_place_of(e, &a->place);
	a->engine = e;
	a->keep_bytes = keep_bytes ? keep_bytes : UINT64_C(4) << 30;
	silex_status st = begin(a, target, err);
	if (st == SILEX_OK)
		*ret = a;
	else
		slx_archive_close(a);
	return st;
}

silex_status slx_archive_end(struct slx_engine *e, silex_error *err)
{
	struct slx_place p;
	char path[SLX_PATH_SIZE];
	if (!slx_engine_path(e))
		return SILEX_OK;
	slx_place_of(e, &p);
	SLX_TRY(slx_wal_archive(slx_engine_log_of(e), false, err));
	SLX_TRY(slx_place_path(path, slx_engine_path(e), "wal/" SLX_WAL_ARCHIVE, err));
	return slx_place_remove(&p, path, err);
}
