/* The file log as a whole: open, cut, close, statistics. commit.c appends, replay.c reads. docs/format/wal.md */
#include "base/buf.h"
#include "storage/wal/file_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const uint8_t unset_uuid[SLX_WAL_UUID_SIZE];

static struct slx_wal_file *self(struct slx_wal *w) { return (struct slx_wal_file *)w; }

void slx_wal_segment_name(uint64_t number, char to[SLX_WALSEG_NAME_SIZE])
{
	snprintf(to, SLX_WALSEG_NAME_SIZE, "%08llu.wal", (unsigned long long)number);
}

silex_status slx_wal_path(const struct slx_wal_file *w, const char *name, char to[SLX_WAL_PATH_SIZE], silex_error *err)
{
	int n = snprintf(to, SLX_WAL_PATH_SIZE, "%s/%s", w->dir, name);
	return n < SLX_WAL_PATH_SIZE
		? SILEX_OK
		: slx_err(err, SILEX_INVALID, "path of %d bytes; expected at most %d", n, SLX_WAL_PATH_SIZE - 1);
}

static void append_segment(struct slx_wal_file *w, struct slx_wal_segment *s)
{
	struct slx_wal_segment **at = &w->segments;
	while (*at)
		at = &(*at)->next;
	*at = s;
}

silex_status slx_wal_segment_add(struct slx_wal_file *w, uint64_t scope, uint64_t first_seq, silex_error *err)
{
	struct slx_wal_segment *s = slx_calloc(w->mem, SLX_MEM_WAL, sizeof *s);
	if (!s)
		return slx_err_oom(err);
	s->header = (struct slx_walseg_header){
		.flags = scope ? SLX_WALSEG_CONTINUATION : 0,
		.number = w->next_number,
		.scope = scope ? scope : w->next_number,
		.first_seq = first_seq,
		.synced_seq = w->durable_seq,
		.version = w->last_version,
	};
	w->next_number++;
	memcpy(s->header.log_uuid, w->uuid, SLX_WAL_UUID_SIZE);
	w->random->fill(w->random->ctx, s->header.uuid, SLX_WAL_UUID_SIZE);
	s->header_found = true;
	s->last_seq = first_seq - 1;
	s->size = SLX_WALSEG_HEADER_SIZE;
	append_segment(w, s);
	w->current = s;
	w->scope = s->header.scope;
	return SILEX_OK;
}

/* --- open --- */

static bool nothing(void *arg, const char *name) { return false; }

/* Archiving is on while its folder is there. */
static silex_status find_archive(struct slx_wal_file *w, silex_error *err)
{
	char path[SLX_WAL_PATH_SIZE];
	silex_error own;
	SLX_TRY(slx_wal_path(w, SLX_WAL_ARCHIVE, path, err));
	silex_status st = w->vfs->list(w->vfs, path, nothing, NULL, &own);
	atomic_store(&w->archive, st == SILEX_OK);
	return st == SILEX_OK || st == SILEX_NOT_FOUND ? SILEX_OK : slx_err(err, st, "%s", own.message);
}

struct numbers {
	struct slx_buf found; /* u64 each: segments */
	uint64_t highest;     /* over segments and those set aside */
};

static bool collect_name(void *arg, const char *name)
{
	struct numbers *n = arg;
	char *end = NULL;
	if (name[0] < '0' || name[0] > '9')
		return true;
	errno = 0;
	unsigned long long number = strtoull(name, &end, 10);
	bool is_segment = strcmp(end, ".wal") == 0;
	char expected[SLX_WALSEG_NAME_SIZE];
	slx_wal_segment_name(number, expected);
	if (errno || number == 0 || number > UINT64_MAX / 2 || strncmp(name, expected, strlen(expected)) != 0)
		return true;
	if (is_segment)
		slx_buf_u64(&n->found, number);
	if (number > n->highest)
		n->highest = number;
	return true;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = slx_load64(a), y = slx_load64(b);
	return x < y ? -1 : x > y;
}

static void uuid_text(const uint8_t uuid[SLX_WAL_UUID_SIZE], char to[33])
{
	for (int i = 0; i < SLX_WAL_UUID_SIZE; i++)
		snprintf(to + 2 * i, 3, "%02x", uuid[i]);
}

static silex_status check_header(
	struct slx_wal_file *w, const char *name, uint64_t number, const struct slx_walseg_header *h, silex_error *err)
{
	char ours[33], theirs[33];
	if (h->format > SLX_WALSEG_FORMAT)
		return slx_err(err, SILEX_UNSUPPORTED, "%s/%s: log format %u; this release reads up to %d", w->dir, name,
			h->format, SLX_WALSEG_FORMAT);
	if (memcmp(w->uuid, unset_uuid, sizeof unset_uuid) == 0)
		memcpy(w->uuid, h->log_uuid, SLX_WAL_UUID_SIZE);
	if (memcmp(w->uuid, h->log_uuid, SLX_WAL_UUID_SIZE) != 0) {
		uuid_text(w->uuid, ours);
		uuid_text(h->log_uuid, theirs);
		return slx_err(
			err, SILEX_CORRUPT, "%s/%s: offset 16: segment of log %s; expected log %s", w->dir, name, theirs, ours);
	}
	if (h->number != number)
		return slx_err(err, SILEX_CORRUPT, "%s/%s: offset 48: the header says segment %llu", w->dir, name,
			(unsigned long long)h->number);
	return SILEX_OK;
}

static silex_status load_segment(struct slx_wal_file *w, uint64_t number, silex_error *err)
{
	char name[SLX_WALSEG_NAME_SIZE], path[SLX_WAL_PATH_SIZE];
	struct slx_walseg_reader r;
	slx_wal_segment_name(number, name);
	SLX_TRY(slx_wal_path(w, name, path, err));
	struct slx_wal_segment *s = slx_calloc(w->mem, SLX_MEM_WAL, sizeof *s);
	if (!s)
		return slx_err_oom(err);
	append_segment(w, s);
	SLX_TRY(slx_walseg_open(&r, w->vfs, w->mem, path, err));
	silex_status st = slx_walseg_read_header(&r, &s->header, &s->header_found, err);
	if (st == SILEX_OK && s->header_found)
		st = check_header(w, name, number, &s->header, err);
	if (!s->header_found)
		s->header = (struct slx_walseg_header){ .number = number, .scope = number };
	s->size = r.size;
	s->created = true;
	slx_walseg_close(&r);
	return st;
}

static silex_status load_segments(struct slx_wal_file *w, silex_error *err)
{
	struct numbers n = { .highest = 0 };
	slx_buf_init(&n.found, w->mem, SLX_MEM_WAL, 1 << 24);
	silex_status st = w->vfs->list(w->vfs, w->dir, collect_name, &n, err);
	if (st == SILEX_NOT_FOUND && w->read_only)
		st = SILEX_OK;
	if (st == SILEX_OK && n.found.failed)
		st = slx_err_oom(err);
	if (n.found.n)
		qsort(n.found.p, n.found.n / 8, 8, by_number);
	for (size_t i = 0; i < n.found.n && st == SILEX_OK; i += 8)
		st = load_segment(w, slx_load64(n.found.p + i), err);
	w->next_number = n.highest + 1;
	slx_buf_free(&n.found);
	return st;
}

static void free_chunks(struct slx_wal_file *w, struct slx_wal_chunk *c)
{
	for (struct slx_wal_chunk *next; c; c = next) {
		next = c->next;
		slx_free(w->mem, SLX_MEM_WAL, c, sizeof *c + c->cap);
	}
}

static void free_segments(struct slx_wal_file *w, struct slx_wal_segment *s)
{
	for (struct slx_wal_segment *next; s; s = next) {
		next = s->next;
		slx_file_close(s->file);
		slx_free(w->mem, SLX_MEM_WAL, s, sizeof *s);
	}
}

static void free_wal(struct slx_wal_file *w)
{
	free_chunks(w, w->chunks);
	free_chunks(w, w->free_chunks);
	free_segments(w, w->segments);
	pthread_cond_destroy(&w->tick);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	if (w->dir)
		slx_free(w->mem, SLX_MEM_WAL, w->dir, strlen(w->dir) + 1);
	slx_free(w->mem, SLX_MEM_WAL, w, sizeof *w);
}

/* --- cut --- */

enum { GIVEN_UP_SHARE = 16 }; /* a current segment with this part of its size is given up rather than kept to be filled */

/* lock held. Whether the segment's whole scope is covered by seq and on disk for good. */
static bool cuttable(const struct slx_wal_file *w, const struct slx_wal_segment *s, uint64_t seq)
{
	for (const struct slx_wal_segment *t = w->segments; t; t = t->next) {
		if (t->header.scope != s->header.scope)
			continue;
		bool durable = !t->dirty || w->sync == SLX_WAL_NEVER;
		if (t == w->current || t->last_seq > seq || !durable || t->file)
			return false;
		for (const struct slx_wal_chunk *c = w->chunks; c; c = c->next)
			if (c->segment == t)
				return false;
	}
	return true;
}

/* lock held. Takes the segments that go out of the list. */
static struct slx_wal_segment *take_cuttable(struct slx_wal_file *w, uint64_t seq)
{
	struct slx_wal_segment *taken = NULL, **to = &taken;
	/* Ask before anything is taken: the answer depends on all segments of a scope. */
	for (struct slx_wal_segment *s = w->segments; s; s = s->next)
		s->cut = cuttable(w, s, seq);
	for (struct slx_wal_segment **at = &w->segments; *at;) {
		struct slx_wal_segment *s = *at;
		if (!s->cut) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		s->next = NULL;
		*to = s;
		to = &s->next;
	}
	return taken;
}

static silex_status move_to_archive(struct slx_wal_file *w, const struct slx_wal_segment *s, const char *path, silex_error *err)
{
	char name[SLX_WALSEG_NAME_SIZE + 64], to[SLX_WAL_PATH_SIZE], uuid[33];
	uuid_text(s->header.uuid, uuid);
	snprintf(name, sizeof name, SLX_WAL_ARCHIVE "/%08llu-%s.wal", (unsigned long long)s->header.number, uuid);
	SLX_TRY(slx_wal_path(w, name, to, err));
	return w->vfs->rename(w->vfs, path, to, err);
}

silex_status slx_wal_remove_segment(struct slx_wal_file *w, const struct slx_wal_segment *s, silex_error *err)
{
	char name[SLX_WALSEG_NAME_SIZE], path[SLX_WAL_PATH_SIZE], aside[SLX_WAL_PATH_SIZE];
	if (!s->created)
		return SILEX_OK;
	slx_wal_segment_name(s->header.number, name);
	SLX_TRY(slx_wal_path(w, name, path, err));
	if (!s->damaged)
		return atomic_load(&w->archive) && s->header_found ? move_to_archive(w, s, path, err) : w->vfs->unlink(w->vfs, path, err);
	if ((size_t)snprintf(aside, sizeof aside, "%s.damaged", path) >= sizeof aside)
		return slx_err(err, SILEX_INVALID, "%s: path too long", path);
	return w->vfs->rename(w->vfs, path, aside, err);
}

silex_status slx_wal_set_aside(struct slx_wal_file *w, struct slx_wal_segment *s, silex_error *err)
{
	s->damaged = true;
	return slx_wal_remove_segment(w, s, err);
}

static silex_status sync_archive(struct slx_wal_file *w, silex_error *err)
{
	char path[SLX_WAL_PATH_SIZE];
	SLX_TRY(slx_wal_path(w, SLX_WAL_ARCHIVE, path, err));
	return w->vfs->sync_dir(w->vfs, path, err);
}

static silex_status file_cut(struct slx_wal *base, uint64_t seq, silex_error *err)
{
	struct slx_wal_file *w = self(base);
	silex_status st = SILEX_OK;
	if (w->read_only)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the log is open read-only");
	pthread_mutex_lock(&w->lock);
	/* The current segment, all of which is covered, would keep its room until it is full. */
	if (w->condition == SLX_WAL_RUNNING && w->current->size >= w->segment_size / GIVEN_UP_SHARE && w->current->last_seq <= seq)
		st = slx_wal_segment_add(w, 0, w->last_seq + 1, err);
	/* Segments still waiting for a sync cannot go; when the sync fails (a full disk, say), the others can. */
	if (w->sync != SLX_WAL_NEVER)
		slx_wal_advance(w, w->appended_lsn, true, w->failure.number, NULL);
	while (w->syncing || w->recovering)
		pthread_cond_wait(&w->changed, &w->lock);
	slx_wal_release(w);
	struct slx_wal_segment *taken = take_cuttable(w, seq);
	pthread_mutex_unlock(&w->lock);
	for (struct slx_wal_segment *s = taken; s && st == SILEX_OK; s = s->next)
		st = slx_wal_remove_segment(w, s, err);
	if (taken && st == SILEX_OK && atomic_load(&w->archive))
		st = sync_archive(w, err); /* where they are now, before they are not where they were */
	if (taken && st == SILEX_OK)
		st = w->vfs->sync_dir(w->vfs, w->dir, err);
	free_segments(w, taken); /* a file that could not be removed is found again at the next open */
	return st;
}

/* --- the rest --- */

static silex_status file_archive(struct slx_wal *base, bool on, silex_error *err)
{
	struct slx_wal_file *w = self(base);
	char path[SLX_WAL_PATH_SIZE];
	if (w->read_only)
		return slx_err(err, SILEX_PERMISSION_DENIED, "the log is open read-only");
	SLX_TRY(slx_wal_path(w, SLX_WAL_ARCHIVE, path, err));
	if (on)
		SLX_TRY(slx_vfs_make_dir(w->vfs, path, err));
	atomic_store(&w->archive, on);
	return SILEX_OK;
}

static uint64_t file_segment(struct slx_wal *base) { return self(base)->scope; }

static const uint8_t *file_uuid(struct slx_wal *base) { return self(base)->uuid; }

static void file_stats(struct slx_wal *base, struct slx_wal_stats *ret)
{
	struct slx_wal_file *w = self(base);
	pthread_mutex_lock(&w->lock);
	*ret = (struct slx_wal_stats){
		.condition = w->condition,
		.sync = w->sync,
		.last_seq = w->last_seq,
		.last_version = w->last_version,
		.written_seq = w->written_seq,
		.durable_seq = w->durable_seq,
		.frames = w->frames,
		.writes = w->writes,
		.syncs = w->syncs,
		.unsynced_bytes = w->appended_lsn - w->durable_lsn,
		.retained_bytes = w->retained,
		.last_sync_ns = w->last_sync_ns,
		.last_sync_took_ns = w->last_sync_took_ns,
	};
	if (w->condition != SLX_WAL_RUNNING)
		memcpy(ret->reason, w->reason, sizeof ret->reason);
	for (const struct slx_wal_segment *s = w->segments; s; s = s->next) {
		ret->segments += s->created;
		ret->bytes += s->created || s->size > SLX_WALSEG_HEADER_SIZE ? s->size : 0;
	}
	pthread_mutex_unlock(&w->lock);
}

static void *sync_thread(void *arg)
{
	struct slx_wal_file *w = arg;
	pthread_mutex_lock(&w->lock);
	while (!w->closing) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		int64_t ns = until.tv_nsec + w->sync_interval_ns % 1000000000;
		until.tv_sec += w->sync_interval_ns / 1000000000 + ns / 1000000000;
		until.tv_nsec = ns % 1000000000;
		while (!w->closing && !w->sync_wanted)
			if (pthread_cond_timedwait(&w->tick, &w->lock, &until) == ETIMEDOUT)
				break;
		w->sync_wanted = false;
		if (w->durable_lsn < w->appended_lsn && !w->closing)
			slx_wal_advance(w, w->appended_lsn, true, w->failure.number, NULL); /* stats and waiters tell of errors */
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

silex_status slx_wal_start_thread(struct slx_wal_file *w, silex_error *err)
{
	if (w->sync != SLX_WAL_INTERVAL || w->sync_interval_ns < 0)
		return SILEX_OK;
	int r = pthread_create(&w->thread, NULL, sync_thread, w);
	if (r != 0)
		return slx_err_errno(err, r, "start the log's sync thread");
	pthread_setname_np(w->thread, "silex-wal-sync");
	w->has_thread = true;
	return SILEX_OK;
}

/* lock held. Everything durable, then a mark that says so, which is what "closed in order" means. */
static silex_status finish(struct slx_wal_file *w, silex_error *err)
{
	if (w->read_only || !w->replayed)
		return SILEX_OK;
	SLX_TRY(slx_wal_advance(w, w->appended_lsn, true, w->failure.number, err));
	if (w->marked_seq == w->durable_seq || w->frames == 0)
		return SILEX_OK;
	SLX_TRY(slx_wal_make_room(w, SLX_ENVELOPE_SIZE, err));
	slx_wal_put_mark(w);
	return slx_wal_advance(w, w->appended_lsn, true, w->failure.number, err);
}

static silex_status file_close(struct slx_wal *base, silex_error *err)
{
	struct slx_wal_file *w = self(base);
	pthread_mutex_lock(&w->lock);
	w->closing = true;
	pthread_cond_signal(&w->tick);
	pthread_mutex_unlock(&w->lock);
	if (w->has_thread)
		pthread_join(w->thread, NULL);
	pthread_mutex_lock(&w->lock);
	silex_status st = finish(w, err);
	pthread_mutex_unlock(&w->lock);
	free_wal(w);
	return st;
}

static const struct slx_wal_ops file_ops = {
	.replay = slx_wal_file_replay,
	.append = slx_wal_file_append,
	.wait = slx_wal_file_wait,
	.sync = slx_wal_file_sync,
	.segment = file_segment,
	.rotate = slx_wal_file_rotate,
	.archive = file_archive,
	.cut = file_cut,
	.stats = file_stats,
	.uuid = file_uuid,
	.close = file_close,
};

static struct slx_wal_file *new_wal(const struct slx_wal_options *o)
{
	struct slx_wal_file *w = slx_calloc(o->mem, SLX_MEM_WAL, sizeof *w);
	pthread_condattr_t monotonic;
	if (!w)
		return NULL;
	w->base.ops = &file_ops;
	w->vfs = o->vfs;
	w->mem = o->mem;
	w->clock = o->clock;
	w->random = o->random;
	w->sync = o->sync;
	w->sync_interval_ns = o->sync_interval_ns ? o->sync_interval_ns : 1000000000;
	w->segment_size = o->segment_size ? o->segment_size : 64 << 20;
	w->retain_size = o->retain_size ? o->retain_size : 16 << 20;
	w->read_only = o->read_only;
	w->last_seq = o->min_seq;
	w->last_version = o->min_version;
	memcpy(w->uuid, o->uuid, SLX_WAL_UUID_SIZE);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->tick, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return w;
}

silex_status slx_wal_open_file(const struct slx_wal_options *o, struct slx_wal **ret, silex_error *err)
{
	struct slx_wal_file *w = new_wal(o);
	if (!w)
		return slx_err_oom(err);
	silex_status st = SILEX_OK;
	size_t dir_size = strlen(o->dir) + 1;
	if (!(w->dir = slx_alloc(w->mem, SLX_MEM_WAL, dir_size)))
		st = slx_err_oom(err);
	else
		memcpy(w->dir, o->dir, dir_size);
	if (st == SILEX_OK && !w->read_only)
		st = slx_vfs_make_dir(w->vfs, w->dir, err);
	if (st == SILEX_OK)
		st = find_archive(w, err);
	if (st == SILEX_OK)
		st = load_segments(w, err);
	if (st != SILEX_OK) {
		free_wal(w);
		return st;
	}
	if (memcmp(w->uuid, unset_uuid, sizeof unset_uuid) == 0)
		w->random->fill(w->random->ctx, w->uuid, SLX_WAL_UUID_SIZE);
	*ret = &w->base;
	return SILEX_OK;
}
