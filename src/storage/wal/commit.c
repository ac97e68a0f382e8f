/* Appending to the file log and making it durable.
 *
 * Problem: many threads append small frames; each wants to know when its frame is safe; a write(2) or fdatasync for
 * each would be far too slow; and a failed sync must not lose what was acknowledged.
 *
 * Approach: appends copy frames into chunks of memory under one short lock (the checksum of the payload is computed
 * before). A waiter whose frame is not safe yet becomes the leader, if nobody else is: it writes all that is pending
 * and, with sync=always, syncs; meanwhile others append, wait, and form the next batch. With sync=interval a thread
 * does the sync, beside writes that go on. Chunks stay in memory until they are durable.
 *
 *      chunks:   [........durable|........written|......appended]   bytes, numbered by lsn
 *                                                  tail->n
 *
 * What may fail
 *  - write, no space: condition FULL; frames stay; the next append or sync tries to write them again, at the same
 *    place.
 *  - write, otherwise, or sync: the file is never written or synced again. All frames not known durable move to
 *    continuation segments (same scope, so series references stay valid), which are written and synced at once. If
 *    that fails the log is STOPPED (or FULL, when it is space again).
 *  - In each case waits for frames not safe at that moment return an error, also when the frames get safe later.
 *
 * sync=never keeps no written frames, so there a failed sync stops the log at once. */
#include "storage/wal/clock.h"
#include "storage/wal/file_int.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { GATHER_SHARE = 4, GATHER_YIELDS_MAX = 1000 };

static struct slx_wal_file *self(struct slx_wal *w) { return (struct slx_wal_file *)w; }

static uint64_t chunk_end(const struct slx_wal_chunk *c) { return c->lsn + c->n; }

/* --- memory of chunks; lock held --- */

static void free_chunk(struct slx_wal_file *w, struct slx_wal_chunk *c)
{
	w->retained -= c->cap;
	if (c->cap == SLX_WAL_CHUNK_SIZE && w->free_count < SLX_WAL_FREE_CHUNKS_MAX) {
		c->next = w->free_chunks;
		w->free_chunks = c;
		w->free_count++;
	} else {
		slx_free(w->mem, SLX_MEM_WAL, c, sizeof *c + c->cap);
	}
}

/* Drops chunks that nobody needs: all but the tail, which may still grow. */
static void drop_chunks(struct slx_wal_file *w)
{
	uint64_t safe_lsn = w->sync == SLX_WAL_NEVER ? w->written_lsn : w->durable_lsn;
	for (struct slx_wal_chunk *c; (c = w->chunks) && c != w->tail;) {
		if (c->written < c->n || chunk_end(c) > safe_lsn)
			break;
		w->chunks = c->next;
		free_chunk(w, c);
	}
}

/* Closes files that get no more bytes and (unless sync=never) no more syncs. */
static void close_retired(struct slx_wal_file *w)
{
	for (struct slx_wal_segment *s = w->segments; s != w->current; s = s->next) {
		bool pending = w->chunks && w->chunks->segment->header.number <= s->header.number;
		if (!pending && s->file && (!s->dirty || w->sync == SLX_WAL_NEVER)) {
			slx_file_close(s->file);
			s->file = NULL;
		}
	}
}

/* Lets go of memory and files of retired segments, as far as nothing is pending; also of the tail. */
void slx_wal_release(struct slx_wal_file *w)
{
	uint64_t safe_lsn = w->sync == SLX_WAL_NEVER ? w->written_lsn : w->durable_lsn;
	drop_chunks(w);
	if (w->tail && w->tail == w->chunks && w->tail->written == w->tail->n && safe_lsn == w->appended_lsn) {
		free_chunk(w, w->tail);
		w->chunks = w->tail = NULL;
	}
	close_retired(w);
}

static struct slx_wal_chunk *new_chunk(struct slx_wal_file *w, size_t n)
{
	struct slx_wal_chunk *c = NULL;
	size_t cap = n > SLX_WAL_CHUNK_SIZE ? n : SLX_WAL_CHUNK_SIZE;
	if (cap == SLX_WAL_CHUNK_SIZE && w->free_chunks) {
		c = w->free_chunks;
		w->free_chunks = c->next;
		w->free_count--;
	} else {
		c = slx_alloc(w->mem, SLX_MEM_WAL, sizeof *c + cap);
	}
	if (!c)
		return NULL;
	*c = (struct slx_wal_chunk){ .segment = w->current, .cap = cap, .at = w->current->size, .lsn = w->appended_lsn };
	w->retained += cap;
	if (w->tail)
		w->tail->next = c;
	else
		w->chunks = c;
	w->tail = c;
	return c;
}

static bool tail_has_room(const struct slx_wal_file *w, size_t n)
{
	return w->tail && w->tail->segment == w->current && w->tail->cap - w->tail->n >= n;
}

/* Makes the tail chunk one of the current segment with room for n bytes. May wait for the disk. */
silex_status slx_wal_make_room(struct slx_wal_file *w, size_t n, silex_error *err)
{
	while (!tail_has_room(w, n)) {
		size_t cap = n > SLX_WAL_CHUNK_SIZE ? n : SLX_WAL_CHUNK_SIZE;
		bool durable = w->sync != SLX_WAL_NEVER;
		bool all_safe = w->appended_lsn == (durable ? w->durable_lsn : w->written_lsn);
		if (w->retained + cap > w->retain_size && !all_safe) {
			SLX_TRY(slx_wal_advance(w, w->appended_lsn, durable, w->failure.number, err));
			continue; /* the lock was released: look again */
		}
		if (!new_chunk(w, n))
			return slx_err_oom(err);
		drop_chunks(w);
	}
	return SILEX_OK;
}

/* --- files; the caller holds writing (syncing), not the lock --- */

static silex_status write_header(struct slx_wal_file *w, struct slx_wal_segment *s, silex_error *err)
{
	char name[SLX_WALSEG_NAME_SIZE], path[SLX_WAL_PATH_SIZE];
	uint8_t bytes[SLX_WALSEG_HEADER_SIZE];
	if (!s->file) {
		slx_wal_segment_name(s->header.number, name);
		SLX_TRY(slx_wal_path(w, name, path, err));
		SLX_TRY(w->vfs->open(w->vfs, path, SLX_OPEN_WRITE | SLX_OPEN_CREATE, &s->file, err));
	}
	slx_walseg_encode(&s->header, bytes);
	SLX_TRY(slx_file_write(s->file, bytes, sizeof bytes, 0, err));
	s->created = true;
	return SILEX_OK;
}

static silex_status write_chunk(struct slx_wal_file *w, struct slx_wal_chunk *c, size_t to, silex_error *err)
{
	struct slx_wal_segment *s = c->segment;
	if (!s->created)
		SLX_TRY(write_header(w, s, err));
	return slx_file_write(s->file, c->data + c->written, to - c->written, c->at + (c->written - c->start), err);
}

static silex_status sync_segment(struct slx_wal_file *w, struct slx_wal_segment *s, silex_error *err)
{
	char name[SLX_WALSEG_NAME_SIZE], path[SLX_WAL_PATH_SIZE];
	if (!s->file) { /* retired under sync=never */
		slx_wal_segment_name(s->header.number, name);
		SLX_TRY(slx_wal_path(w, name, path, err));
		SLX_TRY(w->vfs->open(w->vfs, path, SLX_OPEN_WRITE, &s->file, err));
	}
	return slx_file_sync(s->file, err);
}

/* --- steps; lock held on entry and exit, released during I/O --- */

/* Writes everything pending. */
static silex_status write_pending(struct slx_wal_file *w, silex_error *err)
{
	silex_status st = SILEX_OK;
	uint64_t lsn = 0, seq = 0;
	for (struct slx_wal_chunk *c = w->chunks; c; c = c->next) {
		size_t to = c->n;
		bool is_new = !c->segment->created;
		if (c == w->tail) {
			lsn = w->appended_lsn;
			seq = w->last_seq;
		}
		if (to == c->written)
			continue;
		pthread_mutex_unlock(&w->lock);
		st = write_chunk(w, c, to, err);
		pthread_mutex_lock(&w->lock);
		w->dir_dirty |= is_new && c->segment->file;
		w->writes++;
		if (st != SILEX_OK)
			return st;
		c->written = to;
		c->segment->dirty = true;
		if (lsn)
			break; /* frames appended since are the next leader's */
	}
	if (lsn > w->written_lsn) {
		w->written_lsn = lsn;
		w->written_seq = seq;
	}
	if (w->condition == SLX_WAL_FULL)
		w->condition = SLX_WAL_RUNNING;
	if (w->sync == SLX_WAL_NEVER) {
		drop_chunks(w);
		if (!w->syncing) /* a sync under way uses those files */
			close_retired(w);
	}
	return SILEX_OK;
}

/* Syncs what has been written before the call. */
static silex_status sync_written(struct slx_wal_file *w, silex_error *err)
{
	uint64_t lsn = w->written_lsn, seq = w->written_seq;
	int64_t began = slx_monotonic_ns(w->clock);
	bool dir = w->dir_dirty;
	silex_status st = SILEX_OK;
	w->dir_dirty = false;
	for (struct slx_wal_segment *s = w->segments; s && st == SILEX_OK; s = s->next) {
		if (!s->dirty)
			continue;
		s->dirty = false;
		pthread_mutex_unlock(&w->lock);
		st = sync_segment(w, s, err);
		pthread_mutex_lock(&w->lock);
	}
	if (dir && st == SILEX_OK) {
		pthread_mutex_unlock(&w->lock);
		st = w->vfs->sync_dir(w->vfs, w->dir, err);
		pthread_mutex_lock(&w->lock);
	}
	if (st != SILEX_OK)
		return st;
	if (lsn > w->durable_lsn) {
		w->durable_lsn = lsn;
		w->durable_seq = seq;
	}
	w->syncs++;
	w->last_sync_ns = slx_wall_ns(w->clock);
	w->last_sync_took_ns = (uint64_t)(slx_monotonic_ns(w->clock) - began);
	drop_chunks(w);
	close_retired(w);
	return SILEX_OK;
}

static void set_condition(struct slx_wal_file *w, enum slx_wal_condition condition, const silex_error *why)
{
	w->condition = condition;
	snprintf(w->reason, sizeof w->reason, "%.*s", (int)sizeof w->reason - 1, why->message);
}

/* Moves the chunks of segment `old` that are not safe to a new segment of the same scope. */
static silex_status continue_segment(
	struct slx_wal_file *w, struct slx_wal_segment *old, uint64_t safe_lsn, uint64_t safe_seq, silex_error *err)
{
	uint64_t first_seq = old->header.first_seq > safe_seq ? old->header.first_seq : safe_seq + 1;
	SLX_TRY(slx_wal_segment_add(w, old->header.scope, first_seq, err));
	struct slx_wal_segment *s = w->current;
	s->last_seq = old->last_seq > first_seq - 1 ? old->last_seq : first_seq - 1;
	for (struct slx_wal_chunk *c = w->chunks; c; c = c->next) {
		if (c->segment != old)
			continue;
		c->segment = s;
		c->start = c->lsn < safe_lsn ? (safe_lsn < chunk_end(c) ? (size_t)(safe_lsn - c->lsn) : c->n) : 0;
		c->written = c->start;
		c->at = s->size;
		s->size += c->n - c->start;
	}
	slx_file_close(old->file);
	old->file = NULL;
	old->dirty &= w->sync == SLX_WAL_NEVER; /* what was written before is only there; a sync may still keep it */
	return SILEX_OK;
}

/* Leaves the files that failed: see the top. The caller holds writing and syncing. */
static silex_status recover(struct slx_wal_file *w, silex_error *err)
{
	uint64_t safe_lsn = w->sync == SLX_WAL_NEVER ? w->written_lsn : w->durable_lsn;
	uint64_t safe_seq = w->sync == SLX_WAL_NEVER ? w->written_seq : w->durable_seq;
	struct slx_wal_segment *last = w->current;
	for (struct slx_wal_segment *s = w->segments;; s = s->next) {
		bool unsafe = s == last;
		for (struct slx_wal_chunk *c = w->chunks; c; c = c->next)
			unsafe |= c->segment == s && chunk_end(c) > safe_lsn;
		if (unsafe && continue_segment(w, s, safe_lsn, safe_seq, err) != SILEX_OK)
			return slx_err(err, SILEX_UNAVAILABLE, "out of memory while leaving a failed segment");
		if (s == last)
			break;
	}
	SLX_TRY(write_pending(w, err));
	return w->sync == SLX_WAL_NEVER ? SILEX_OK : sync_written(w, err);
}

/* A write or sync failed with *cause; this thread holds writing or syncing and no other flag. */
static void failed(struct slx_wal_file *w, silex_status st, const silex_error *cause, bool in_sync)
{
	bool full = st == SILEX_RESOURCE_EXHAUSTED && !in_sync;
	bool to_durable = in_sync || w->sync == SLX_WAL_ALWAYS;
	w->failure.number++;
	w->failure.from = to_durable ? w->durable_lsn : w->written_lsn;
	w->failure.to = w->appended_lsn;
	w->failure.error = *cause;
	w->failure.error.code = full ? SILEX_RESOURCE_EXHAUSTED : SILEX_UNAVAILABLE;
	if (full) {
		set_condition(w, SLX_WAL_FULL, cause);
		return;
	}
	if (w->condition == SLX_WAL_STOPPED || w->recovering)
		return; /* whoever recovers takes this file's frames along */
	if (in_sync && w->sync == SLX_WAL_NEVER) {
		set_condition(w, SLX_WAL_STOPPED, cause);
		return;
	}
	w->recovering = true;
	while (in_sync ? w->writing : w->syncing)
		pthread_cond_wait(&w->changed, &w->lock);
	w->writing = w->syncing = true;
	silex_error err = { SILEX_OK, "" };
	st = recover(w, &err);
	if (st != SILEX_OK)
		set_condition(w, st == SILEX_RESOURCE_EXHAUSTED ? SLX_WAL_FULL : SLX_WAL_STOPPED, &err);
	*(in_sync ? &w->writing : &w->syncing) = false; /* the other is the caller's to clear */
	w->recovering = false;
}

/* Writers that a sync has just released come back with their next frames a moment later; a leader that did not wait for
 * them would sync half of the writers each time, in two groups that take turns. So it waits until as many have arrived
 * as the last batch had, and came during its sync; at most for a fourth of what that sync took. A single writer never
 * waits. The caller holds writing. */
static void gather(struct slx_wal_file *w)
{
	if (w->arrived < w->expected) {
		int64_t until = slx_monotonic_ns(w->clock) + (int64_t)w->last_sync_took_ns / GATHER_SHARE;
		pthread_mutex_unlock(&w->lock);
		for (int i = 0; i < GATHER_YIELDS_MAX && w->arrived < w->expected && slx_monotonic_ns(w->clock) < until; i++)
			sched_yield();
		pthread_mutex_lock(&w->lock);
	}
	w->batch = w->arrived;
	w->arrived = 0;
}

static void write_step(struct slx_wal_file *w)
{
	silex_error err = { SILEX_OK, "" };
	w->writing = true;
	if (w->sync == SLX_WAL_ALWAYS)
		gather(w);
	silex_status st = write_pending(w, &err);
	if (st != SILEX_OK)
		failed(w, st, &err, false);
	w->writing = false;
}

static void sync_step(struct slx_wal_file *w)
{
	silex_error err = { SILEX_OK, "" };
	w->syncing = true;
	silex_status st = sync_written(w, &err);
	if (st != SILEX_OK)
		failed(w, st, &err, true);
	w->expected = w->batch + w->arrived;
	w->syncing = false;
}

static silex_status stopped(const struct slx_wal_file *w, silex_error *err)
{
	return slx_err(err, SILEX_UNAVAILABLE, "log stopped: %s", w->reason);
}

static silex_status advance(
	struct slx_wal_file *w, uint64_t lsn, bool durable, uint64_t since_failure, silex_error *err)
{
	for (;;) {
		if (w->failure.number > since_failure && lsn > w->failure.from && lsn <= w->failure.to)
			return slx_err(err, w->failure.error.code, "%s", w->failure.error.message);
		if ((durable ? w->durable_lsn : w->written_lsn) >= lsn)
			return SILEX_OK;
		if (w->condition == SLX_WAL_STOPPED)
			return stopped(w, err);
		bool to_write = w->written_lsn < lsn || w->condition == SLX_WAL_FULL;
		/* With sync=always frames gather while a sync is under way, and one leader does both steps in one go. */
		bool busy = to_write ? w->writing || (w->sync == SLX_WAL_ALWAYS && w->syncing) : w->syncing;
		if (busy || w->recovering) {
			pthread_cond_wait(&w->changed, &w->lock);
			continue;
		}
		if (to_write)
			write_step(w);
		else
			sync_step(w);
		/* Who waits for durability need not wake between the leader's two steps. */
		if (!to_write || !durable || w->recovering || w->failure.number > since_failure)
			pthread_cond_broadcast(&w->changed);
	}
}

/* Returns when lsn is written (durable), doing the work when nobody else does. Failures up to number since_failure do
 * not count. */
silex_status slx_wal_advance(
	struct slx_wal_file *w, uint64_t lsn, bool durable, uint64_t since_failure, silex_error *err)
{
	w->arrived += w->durable_lsn < lsn;
	return advance(w, lsn, durable, since_failure, err);
}

/* --- appending --- */

static void put_frame(
	struct slx_wal_file *w, const struct slx_envelope *e, uint32_t stored_crc, const struct iovec *parts, int count)
{
	struct slx_wal_chunk *c = w->tail;
	uint8_t *p = c->data + c->n;
	slx_envelope_encode(e, stored_crc, p);
	p += SLX_ENVELOPE_SIZE;
	for (int i = 0; i < count; i++) {
		memcpy(p, parts[i].iov_base, parts[i].iov_len);
		p += parts[i].iov_len;
	}
	size_t n = SLX_ENVELOPE_SIZE + (size_t)e->length;
	c->n += n;
	w->current->size += n;
	w->appended_lsn += n;
}

void slx_wal_put_mark(struct slx_wal_file *w)
{
	struct slx_envelope e = { .kind = SLX_WALSEG_KIND_MARK, .seq = w->durable_seq };
	put_frame(w, &e, 0, NULL, 0);
	w->marked_seq = w->durable_seq;
}

/* lock held. Whether frames can be taken; tries to write when there was no space. */
static silex_status accepting(struct slx_wal_file *w, silex_error *err)
{
	if (w->read_only)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the log is open read-only");
	if (!w->replayed)
		return slx_err(err, SILEX_INVALID, "append before replay");
	while (w->condition == SLX_WAL_FULL) {
		if (w->writing || w->recovering) {
			pthread_cond_wait(&w->changed, &w->lock);
			continue;
		}
		write_step(w);
		pthread_cond_broadcast(&w->changed);
		if (w->condition == SLX_WAL_FULL)
			return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "log: %s", w->reason);
	}
	return w->condition == SLX_WAL_STOPPED ? stopped(w, err) : SILEX_OK;
}

/* lock held. Everything up to put_frame, for a frame of n bytes and a mark before it. */
static silex_status prepare(struct slx_wal_file *w, size_t n, uint64_t expected_segment, silex_error *err)
{
	do {
		SLX_TRY(accepting(w, err));
		if (w->current->size > SLX_WALSEG_HEADER_SIZE && w->current->size + n > w->segment_size)
			SLX_TRY(slx_wal_segment_add(w, 0, w->last_seq + 1, err));
		if (expected_segment && expected_segment != w->scope)
			return slx_err(err, SILEX_CONFLICT, "segment %llu ended; the current one is %llu",
				(unsigned long long)expected_segment, (unsigned long long)w->scope);
		SLX_TRY(slx_wal_make_room(w, n, err));
	} while (
		w->condition != SLX_WAL_RUNNING || (expected_segment && expected_segment != w->scope) || !tail_has_room(w, n));
	return SILEX_OK;
}

static void want_sync(struct slx_wal_file *w)
{
	if (w->has_thread && !w->sync_wanted && w->appended_lsn - w->durable_lsn > w->retain_size / 2) {
		w->sync_wanted = true;
		pthread_cond_signal(&w->tick);
	}
}

silex_status slx_wal_file_append(struct slx_wal *base, uint8_t kind, uint8_t format, const struct iovec *parts,
	int count, uint64_t expected_segment, struct slx_wal_pos *ret, silex_error *err)
{
	struct slx_wal_file *w = self(base);
	struct slx_envelope e = { .kind = kind, .format = format };
	uint32_t crc = 0;
	size_t length = 0;
	for (int i = 0; i < count; i++) {
		length += parts[i].iov_len;
		if (parts[i].iov_len > SLX_WAL_FRAME_SIZE_MAX || length > SLX_WAL_FRAME_SIZE_MAX)
			return slx_err(
				err, SILEX_INVALID, "frame of %zu bytes or more; expected at most %d", length, SLX_WAL_FRAME_SIZE_MAX);
		crc = slx_crc32c(crc, parts[i].iov_base, parts[i].iov_len);
	}
	if (kind < SLX_WAL_KIND_FIRST)
		return slx_err(err, SILEX_INVALID, "frame of kind %u; expected at least %d", kind, SLX_WAL_KIND_FIRST);
	e.length = (uint32_t)length;
	int64_t wall_ns = slx_wall_ns(w->clock);

	pthread_mutex_lock(&w->lock);
	silex_status st = prepare(w, SLX_ENVELOPE_SIZE * 2 + length, expected_segment, err);
	if (st == SILEX_OK) {
		if (w->marked_seq < w->durable_seq)
			slx_wal_put_mark(w);
		e.seq = ++w->last_seq;
		e.version = w->last_version = slx_wal_next_version(w->last_version, wall_ns);
		put_frame(w, &e, crc, parts, count);
		w->current->last_seq = e.seq;
		w->frames++;
		*ret = (struct slx_wal_pos){ .seq = e.seq, .version = e.version, .lsn = w->appended_lsn };
		want_sync(w);
	}
	pthread_mutex_unlock(&w->lock);
	return st;
}

silex_status slx_wal_file_wait(struct slx_wal *base, uint64_t lsn, silex_error *err)
{
	struct slx_wal_file *w = self(base);
	bool durable = w->sync == SLX_WAL_ALWAYS;
	/* Without the lock: both only grow; a failure of this lsn is recorded before written_lsn may pass it. */
	if (!durable && w->written_lsn >= lsn && w->failure.to < lsn)
		return SILEX_OK;
	pthread_mutex_lock(&w->lock);
	silex_status st = slx_wal_advance(w, lsn, durable, 0, err);
	pthread_mutex_unlock(&w->lock);
	return st;
}

silex_status slx_wal_file_sync(struct slx_wal *base, silex_error *err)
{
	struct slx_wal_file *w = self(base);
	pthread_mutex_lock(&w->lock);
	silex_status st = slx_wal_advance(w, w->appended_lsn, true, w->failure.number, err);
	pthread_mutex_unlock(&w->lock);
	return st;
}

silex_status slx_wal_file_rotate(struct slx_wal *base, silex_error *err)
{
	struct slx_wal_file *w = self(base);
	pthread_mutex_lock(&w->lock);
	silex_status st = accepting(w, err);
	if (st == SILEX_OK && w->current->size > SLX_WALSEG_HEADER_SIZE)
		st = slx_wal_segment_add(w, 0, w->last_seq + 1, err);
	pthread_mutex_unlock(&w->lock);
	return st;
}
