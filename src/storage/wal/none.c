/* wal=none: numbers and versions are issued as by a real log, nothing is kept. */
#include "storage/wal/clock.h"
#include "storage/wal/wal.h"

#include <pthread.h>
#include <string.h>

struct none_wal {
	struct slx_wal base;
	struct slx_mem *mem;
	const silex_clock *clock;
	uint8_t uuid[SLX_WAL_UUID_SIZE];
	pthread_mutex_t lock;
	/* lock */
	uint64_t seq, version, frames;
};

static struct none_wal *self(struct slx_wal *w) { return (struct none_wal *)w; }

static silex_status none_replay(struct slx_wal *w, uint64_t after_seq, slx_wal_replay_fn *cb, void *arg,
	struct slx_wal_report *ret, silex_error *err)
{
	struct none_wal *n = self(w);
	pthread_mutex_lock(&n->lock);
	if (n->seq < after_seq)
		n->seq = after_seq;
	pthread_mutex_unlock(&n->lock);
	memset(ret, 0, sizeof *ret);
	ret->clean = true;
	return SILEX_OK;
}

static silex_status none_append(struct slx_wal *w, uint8_t kind, uint8_t format, const struct iovec *parts, int count,
	uint64_t expected_segment, struct slx_wal_pos *ret, silex_error *err)
{
	struct none_wal *n = self(w);
	int64_t wall_ns = slx_wall_ns(n->clock);
	pthread_mutex_lock(&n->lock);
	n->version = slx_wal_next_version(n->version, wall_ns);
	n->seq++;
	n->frames++;
	*ret = (struct slx_wal_pos){ .seq = n->seq, .version = n->version, .lsn = n->seq };
	pthread_mutex_unlock(&n->lock);
	return SILEX_OK;
}

static silex_status none_wait(struct slx_wal *w, uint64_t lsn, silex_error *err) { return SILEX_OK; }

static silex_status none_sync(struct slx_wal *w, silex_error *err) { return SILEX_OK; }

static uint64_t none_segment(struct slx_wal *w) { return 1; }

static silex_status none_cut(struct slx_wal *w, uint64_t seq, silex_error *err) { return SILEX_OK; }

static silex_status none_archive(struct slx_wal *w, bool on, silex_error *err)
{
	return on ? slx_err(err, SILEX_INVALID, "the database keeps no log (wal=none): there is nothing to archive") : SILEX_OK;
}

static void none_stats(struct slx_wal *w, struct slx_wal_stats *ret)
{
	struct none_wal *n = self(w);
	memset(ret, 0, sizeof *ret);
	ret->sync = SLX_WAL_NEVER;
	pthread_mutex_lock(&n->lock);
	ret->last_seq = n->seq;
	ret->last_version = n->version;
	ret->frames = n->frames;
	pthread_mutex_unlock(&n->lock);
}

static const uint8_t *none_uuid(struct slx_wal *w) { return self(w)->uuid; }

static silex_status none_close(struct slx_wal *w, silex_error *err)
{
	struct none_wal *n = self(w);
	pthread_mutex_destroy(&n->lock);
	slx_free(n->mem, SLX_MEM_WAL, n, sizeof *n);
	return SILEX_OK;
}

static const struct slx_wal_ops none_ops = {
	.replay = none_replay,
	.append = none_append,
	.wait = none_wait,
	.sync = none_sync,
	.segment = none_segment,
	.rotate = none_sync,
	.archive = none_archive,
	.cut = none_cut,
	.stats = none_stats,
	.uuid = none_uuid,
	.close = none_close,
};

silex_status slx_wal_open_none(const struct slx_wal_options *o, struct slx_wal **ret, silex_error *err)
{
	static const uint8_t unset[SLX_WAL_UUID_SIZE];
	struct none_wal *n = slx_calloc(o->mem, SLX_MEM_WAL, sizeof *n);
	if (!n)
		return slx_err_oom(err);
	n->base.ops = &none_ops;
	n->mem = o->mem;
	n->clock = o->clock;
	n->seq = o->min_seq;
	n->version = o->min_version;
	memcpy(n->uuid, o->uuid, sizeof n->uuid);
	if (memcmp(n->uuid, unset, sizeof unset) == 0)
		o->random->fill(o->random->ctx, n->uuid, sizeof n->uuid);
	pthread_mutex_init(&n->lock, NULL);
	*ret = &n->base;
	return SILEX_OK;
}
