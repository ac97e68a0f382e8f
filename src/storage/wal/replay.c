/* Reading the file log back.
 *
 * Frames are numbered densely; `next` is the number expected. Segments are read by number. Whenever the frame `next` is
 * not there (unreadable bytes, a number too high, a segment that starts too late) there are three answers, asked in
 * this order:
 *
 *  superseded  a later segment begins at or before `next`: what is left here was given up by a recovery, or torn by an
 *              earlier crash. Leave this segment.
 *  damaged     a mark or a later header says that `next` was durable once, so it is not a crash that took it. Name the
 *              place, go on with the next intact frame.
 *  torn        nothing says so: the end of the log. What lies behind was not durable either, and comes from writes that
 *              reached the disk out of order: it is not replayed, for the log stays a prefix without gaps.
 *
 * Marks that could speak for `next` lie behind it, so the first gap reads the rest of the log once, for marks alone.
 *
 * Afterwards (unless read-only) segments behind a tear are removed, or set aside when they hold intact frames; what is
 * left is synced, since it may come from the page cache of a process that died; and a new segment begins. The torn
 * bytes stay where they are: the new segment's first_seq supersedes them. */
#include "storage/wal/file_int.h"

#include <stdio.h>
#include <string.h>

enum gap { SUPERSEDED, DAMAGED, TORN };

struct replay {
	struct slx_wal_file *w;
	uint64_t after_seq;
	slx_wal_replay_fn *cb;
	void *arg;
	struct slx_wal_report *report;
	uint64_t next;    /* frame expected */
	uint64_t marked;  /* highest number known to have been durable */
	uint64_t version; /* highest seen */
	bool looked_ahead;
	bool at_damage;               /* the last place of damage is followed by nothing yet */
	struct slx_wal_segment *torn; /* where the log ends early */
};

static silex_status open_segment(
	struct slx_wal_file *w, const struct slx_wal_segment *s, struct slx_walseg_reader *ret, silex_error *err)
{
	char name[SLX_WALSEG_NAME_SIZE], path[SLX_WAL_PATH_SIZE];
	slx_wal_segment_name(s->header.number, name);
	SLX_TRY(slx_wal_path(w, name, path, err));
	return slx_walseg_open(ret, w->vfs, w->mem, path, err);
}

static bool superseded(const struct replay *x, const struct slx_wal_segment *s)
{
	for (s = s->next; s; s = s->next)
		if (s->header_found && s->header.first_seq <= x->next)
			return true;
	return false;
}

/* Reads marks, and counts frames that a tear would drop, from offset in s to the end of the log. */
static silex_status look_ahead(struct replay *x, struct slx_wal_segment *s, uint64_t offset, silex_error *err)
{
	uint64_t next = x->next;
	x->looked_ahead = true;
	x->report->torn_frames = 0;
	for (; s; s = s->next, offset = SLX_WALSEG_HEADER_SIZE) {
		struct slx_walseg_reader r;
		if (s->header_found && s->header.synced_seq > x->marked)
			x->marked = s->header.synced_seq;
		if (s->header_found && s->header.first_seq > next)
			next = s->header.first_seq;
		s->frames_ahead = 0;
		SLX_TRY(open_segment(x->w, s, &r, err));
		silex_status st = SILEX_OK;
		for (bool found = true; st == SILEX_OK && found;) {
			struct slx_walseg_frame f;
			st = slx_walseg_find(&r, offset, s->header.first_seq, next, &f, &found, err);
			if (st != SILEX_OK || !found)
				break;
			offset = f.end;
			if (f.envelope.kind == SLX_WALSEG_KIND_MARK) {
				x->marked = f.envelope.seq > x->marked ? f.envelope.seq : x->marked;
			} else {
				s->frames_ahead++;
				x->report->torn_frames++;
				next = f.envelope.seq + 1 > next ? f.envelope.seq + 1 : next;
			}
		}
		slx_walseg_close(&r);
		SLX_TRY(st);
	}
	return SILEX_OK;
}

/* Frame x->next is not at offset in s: which of the three is it? */
static silex_status judge(struct replay *x, struct slx_wal_segment *s, uint64_t offset, enum gap *ret, silex_error *err)
{
	*ret = SUPERSEDED;
	if (superseded(x, s))
		return SILEX_OK;
	if (x->next > x->marked || !x->looked_ahead)
		SLX_TRY(look_ahead(x, s, offset, err));
	*ret = x->next <= x->marked ? DAMAGED : TORN;
	if (*ret == DAMAGED) {
		x->report->torn_frames = 0;
	} else {
		x->torn = s;
		x->report->torn_bytes += s->size - offset;
		s->damaged |= s->frames_ahead > 0;
	}
	return SILEX_OK;
}

/* Bytes [offset, offset + size) of s hold no frame. */
static void note_damage(struct replay *x, const struct slx_wal_segment *s, uint64_t offset, uint64_t size)
{
	struct slx_wal_report *r = x->report;
	if (r->damage_count < SLX_WAL_DAMAGE_MAX) {
		struct slx_wal_damage *d = &r->damage[r->damage_count];
		*d = (struct slx_wal_damage){ .offset = offset, .size = size, .first_seq = x->next, .last_seq = x->next - 1 };
		slx_wal_segment_name(s->header.number, d->file);
	}
	r->damage_count++;
	x->at_damage = true;
}

/* Frames x->next .. seq - 1 are gone; they belong to the damage just noted or, without one, to a place of their own. */
static void note_lost(struct replay *x, const struct slx_wal_segment *s, uint64_t offset, uint64_t seq)
{
	struct slx_wal_report *r = x->report;
	if (!x->at_damage)
		note_damage(x, s, offset, 0);
	if (r->damage_count <= SLX_WAL_DAMAGE_MAX)
		r->damage[r->damage_count - 1].last_seq = seq - 1;
	r->lost_frames += seq - x->next;
	x->next = seq;
}

static silex_status check_envelope(const struct slx_wal_segment *s, const struct slx_walseg_frame *f, silex_error *err)
{
	const struct slx_envelope *e = &f->envelope;
	char name[SLX_WALSEG_NAME_SIZE];
	slx_wal_segment_name(s->header.number, name);
	if (e->kind < SLX_WAL_KIND_FIRST || e->codec != SLX_ENVELOPE_PLAIN || e->flags || e->key_id)
		return slx_err(err, SILEX_UNSUPPORTED,
			"%s: offset %llu: frame of kind %u with codec %u, flags %u, key %u; this release reads plain frames", name,
			(unsigned long long)f->offset, e->kind, e->codec, e->flags, e->key_id);
	return SILEX_OK;
}

static silex_status deliver(
	struct replay *x, struct slx_wal_segment *s, const struct slx_walseg_frame *f, silex_error *err)
{
	struct slx_wal_report *r = x->report;
	SLX_TRY(check_envelope(s, f, err));
	struct slx_wal_frame frame = {
		.seq = f->envelope.seq,
		.version = f->envelope.version,
		.segment = s->header.scope,
		.kind = f->envelope.kind,
		.format = f->envelope.format,
		.covered = f->envelope.seq <= x->after_seq,
		.payload = f->stored,
		.n = f->envelope.length,
	};
	r->frames++;
	r->bytes += frame.n;
	r->first_seq = r->first_seq ? r->first_seq : frame.seq;
	r->last_seq = frame.seq;
	r->clean = false;
	s->last_seq = frame.seq;
	s->frames++;
	x->version = frame.version > x->version ? frame.version : x->version;
	x->next = frame.seq + 1;
	x->at_damage = false;
	return x->cb ? x->cb(x->arg, &frame, err) : SILEX_OK;
}

/* Takes the intact frame f; *ret_leave when the rest of the segment is not wanted. */
static silex_status take_frame(
	struct replay *x, struct slx_wal_segment *s, const struct slx_walseg_frame *f, bool *ret_leave, silex_error *err)
{
	uint64_t seq = f->envelope.seq;
	if (f->envelope.kind == SLX_WALSEG_KIND_MARK) {
		x->marked = seq > x->marked ? seq : x->marked;
		x->report->clean = seq + 1 == x->next;
		return SILEX_OK;
	}
	if (seq < x->next)
		return SILEX_OK; /* a continuation repeats what its failed predecessor kept after all */
	if (seq > x->next) {
		enum gap gap;
		SLX_TRY(judge(x, s, f->offset, &gap, err));
		*ret_leave = gap != DAMAGED;
		if (*ret_leave)
			return SILEX_OK;
		note_lost(x, s, f->offset, seq);
	}
	return deliver(x, s, f, err);
}

/* No intact frame at offset. *ret_offset: where to go on; *ret_leave when nowhere. */
static silex_status pass_bad_bytes(struct replay *x, struct slx_wal_segment *s, struct slx_walseg_reader *r,
	uint64_t offset, uint64_t *ret_offset, bool *ret_leave, silex_error *err)
{
	struct slx_walseg_frame f;
	enum gap gap;
	bool found = false;
	SLX_TRY(slx_walseg_only_zeros(r, offset, ret_leave, err));
	if (*ret_leave)
		return SILEX_OK;
	x->report->clean = false;
	SLX_TRY(judge(x, s, offset, &gap, err));
	*ret_leave = gap != DAMAGED;
	if (*ret_leave)
		return SILEX_OK;
	SLX_TRY(slx_walseg_find(r, offset + 1, s->header.first_seq, x->next, &f, &found, err));
	*ret_offset = found ? f.offset : r->size;
	note_damage(x, s, offset, *ret_offset - offset);
	s->damaged = true;
	return SILEX_OK;
}

static silex_status replay_frames(
	struct replay *x, struct slx_wal_segment *s, struct slx_walseg_reader *r, silex_error *err)
{
	uint64_t offset = s->header_found ? SLX_WALSEG_HEADER_SIZE : 0;
	bool leave = false;
	while (offset < r->size && !leave) {
		struct slx_walseg_frame f;
		bool found = false;
		if (offset >= SLX_WALSEG_HEADER_SIZE)
			SLX_TRY(slx_walseg_frame_at(r, offset, &f, &found, err));
		if (found) {
			offset = f.end;
			SLX_TRY(take_frame(x, s, &f, &leave, err));
		} else {
			SLX_TRY(pass_bad_bytes(x, s, r, offset, &offset, &leave, err));
		}
	}
	return SILEX_OK;
}

static silex_status replay_segment(struct replay *x, struct slx_wal_segment *s, silex_error *err)
{
	if (s->header_found) {
		x->marked = s->header.synced_seq > x->marked ? s->header.synced_seq : x->marked;
		x->version = s->header.version > x->version ? s->header.version : x->version;
	}
	if (s->header_found && s->header.first_seq > x->next) {
		enum gap gap;
		SLX_TRY(judge(x, s, 0, &gap, err));
		if (gap != DAMAGED)
			return SILEX_OK;
		note_lost(x, s, 0, s->header.first_seq);
	}
	struct slx_walseg_reader r;
	SLX_TRY(open_segment(x->w, s, &r, err));
	silex_status st = replay_frames(x, s, &r, err);
	slx_walseg_close(&r);
	return st;
}

/* The first segment that holds anything after after_seq. */
static struct slx_wal_segment *first_needed(struct slx_wal_file *w, uint64_t after_seq)
{
	struct slx_wal_segment *first = w->segments;
	for (struct slx_wal_segment *s = w->segments; s; s = s->next)
		if (s->header_found && !(s->header.flags & SLX_WALSEG_CONTINUATION) && s->header.first_seq <= after_seq + 1)
			first = s;
	for (struct slx_wal_segment *s = w->segments; s != first; s = s->next)
		s->last_seq = first->header.first_seq - 1;
	return first;
}

static silex_status replay_all(struct replay *x, silex_error *err)
{
	struct slx_wal_segment *first = first_needed(x->w, x->after_seq);
	x->next = x->after_seq + 1;
	if (first && first->header_found && first->header.first_seq < x->next)
		x->next = first->header.first_seq;
	struct slx_wal_segment *last = NULL;
	for (struct slx_wal_segment *s = first; s && !x->torn; s = s->next) {
		s->last_seq = x->next - 1;
		SLX_TRY(replay_segment(x, s, err));
		last = s;
	}
	if (last && !x->torn && x->next <= x->marked)
		note_lost(x, last, last->size, x->marked + 1);
	for (struct slx_wal_segment *s = x->torn ? x->torn->next : NULL; s; s = s->next)
		x->report->torn_bytes += s->size;
	return SILEX_OK;
}

/* --- afterwards --- */

/* Segments behind a tear would be mixed up with what is written from now on. */
static silex_status clear_torn(struct replay *x, silex_error *err)
{
	struct slx_wal_file *w = x->w;
	bool behind = false;
	for (struct slx_wal_segment **at = &w->segments; *at;) {
		struct slx_wal_segment *s = *at;
		bool empty = !s->header_found || s->header.first_seq > x->next;
		bool remove = behind || (s == x->torn && s->frames == 0 && empty);
		behind |= s == x->torn;
		if (!remove) {
			at = &s->next;
			continue;
		}
		if (s->frames_ahead)
			SLX_TRY(slx_wal_set_aside(w, s, err));
		else
			SLX_TRY(slx_wal_remove_segment(w, s, err));
		*at = s->next;
		slx_free(w->mem, SLX_MEM_WAL, s, sizeof *s);
	}
	return SILEX_OK;
}

static silex_status sync_found(struct slx_wal_file *w, silex_error *err)
{
	for (struct slx_wal_segment *s = w->segments; s; s = s->next) {
		char name[SLX_WALSEG_NAME_SIZE], path[SLX_WAL_PATH_SIZE];
		struct slx_file *f = NULL;
		slx_wal_segment_name(s->header.number, name);
		SLX_TRY(slx_wal_path(w, name, path, err));
		SLX_TRY(w->vfs->open(w->vfs, path, SLX_OPEN_WRITE, &f, err));
		silex_status st = slx_file_sync(f, err);
		slx_file_close(f);
		SLX_TRY(st);
	}
	return w->vfs->sync_dir(w->vfs, w->dir, err);
}

static silex_status make_ready(struct replay *x, silex_error *err)
{
	struct slx_wal_file *w = x->w;
	if (!w->read_only) {
		SLX_TRY(clear_torn(x, err));
		if (!x->report->clean)
			SLX_TRY(sync_found(w, err));
	}
	pthread_mutex_lock(&w->lock);
	if (x->next - 1 > w->last_seq)
		w->last_seq = x->next - 1;
	if (x->version > w->last_version)
		w->last_version = x->version;
	w->marked_seq = w->written_seq = w->durable_seq = w->last_seq;
	silex_status st = w->read_only ? SILEX_OK : slx_wal_segment_add(w, 0, w->last_seq + 1, err);
	w->replayed = st == SILEX_OK;
	pthread_mutex_unlock(&w->lock);
	if (st == SILEX_OK && !w->read_only)
		st = slx_wal_start_thread(w, err);
	return st;
}

silex_status slx_wal_file_replay(struct slx_wal *base, uint64_t after_seq, slx_wal_replay_fn *cb, void *arg,
	struct slx_wal_report *ret, silex_error *err)
{
	struct slx_wal_file *w = (struct slx_wal_file *)base;
	struct replay x = { .w = w, .after_seq = after_seq, .cb = cb, .arg = arg, .report = ret };
	if (w->replayed)
		return slx_err(err, SILEX_INVALID, "the log was replayed already");
	memset(ret, 0, sizeof *ret);
	ret->clean = true;
	SLX_TRY(replay_all(&x, err));
	return make_ready(&x, err);
}
