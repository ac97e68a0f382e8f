/* Numbers about the engine, gathered when asked. */
#include "engine/engine_int.h"

#include <stdio.h>

static const char *promise(const struct slx_engine *e)
{
	if (!e->path)
		return "in memory: nothing survives the process";
	if (e->opt.wal == SILEX_WAL_NONE)
		return "no log: what is not checkpointed dies with the process";
	switch (e->opt.sync) {
	case SILEX_SYNC_ALWAYS:
		return "kill -9 and power cuts lose nothing acknowledged";
	case SILEX_SYNC_INTERVAL:
		return "kill -9 loses nothing acknowledged; a power cut at most the last wal_sync_interval";
	default:
		return "kill -9 loses nothing acknowledged; a power cut what the system had not written yet";
	}
}

static void health(struct slx_engine *e, const struct slx_wal_stats *w, silex_metrics *m)
{
	m->healthy = false;
	pthread_mutex_lock(&e->health_lock);
	if (w->condition != SLX_WAL_RUNNING)
		snprintf(m->health, sizeof m->health, "log: %.140s", w->reason);
	else if (e->flush_error[0])
		snprintf(m->health, sizeof m->health, "%.159s", e->flush_error);
	else if (e->lost)
		snprintf(m->health, sizeof m->health, "block %s cannot be read and is left out", e->lost->info.name);
	else if (m->damaged_pages || m->damaged_frames)
		snprintf(m->health, sizeof m->health, "%llu damaged pages, %llu damaged log frames", (unsigned long long)m->damaged_pages,
			(unsigned long long)m->damaged_frames);
	else if (slx_room_text(e, m->health))
		m->healthy = atomic_load(&e->room) != SLX_ROOM_LOW;
	else {
		m->healthy = true;
		snprintf(m->health, sizeof m->health, "ok");
	}
	pthread_mutex_unlock(&e->health_lock);
}

static double ingest_rate(struct slx_engine *e)
{
	uint64_t now = (uint64_t)(slx_monotonic_ns(&e->clock) / SLX_SECOND), sum = 0;
	uint64_t up = (uint64_t)((slx_monotonic_ns(&e->clock) - e->opened_ns) / SLX_SECOND) + 1;
	for (unsigned i = 0; i < SLX_RATE_SECONDS; i++)
		if (atomic_load(&e->rate_second[i]) + SLX_RATE_SECONDS > now)
			sum += atomic_load(&e->rate_points[i]);
	return (double)sum / (double)(up < SLX_RATE_SECONDS ? up : SLX_RATE_SECONDS);
}

static void blocks(struct slx_view *v, silex_metrics *m)
{
	for (size_t i = 0; i < v->n_blocks; i++) {
		m->points_blocks += v->blocks[i]->info.points - v->blocks[i]->internal_points;
		m->bytes_blocks += v->blocks[i]->info.size;
	}
	m->blocks = v->n_blocks;
	slx_tier_metrics(v->engine, v, m);
	m->tombstones = v->n_tombs;
	m->ratio = m->bytes_blocks ? 16.0 * (double)m->points_blocks / (double)m->bytes_blocks : 0;
}

static void queries(struct slx_engine *e, silex_metrics *m)
{
	m->queries = atomic_load(&e->queries);
	m->query_mean_ms = m->queries ? (double)atomic_load(&e->query_ns) / 1e6 / (double)m->queries : 0;
	for (unsigned i = 0; i < SILEX_LATENCY_BUCKETS; i++)
		m->query_latency[i] = atomic_load(&e->query_latency[i]);
}

static bool count_tenant(void *arg, struct slx_str name)
{
	++*(uint64_t *)arg;
	return true;
}

void slx_engine_metrics(struct slx_engine *e, silex_metrics *m)
{
	struct slx_wal_stats w;
	struct slx_view *v = slx_view_get(e);
	slx_wal_stats(e->wal, &w);
	m->promise = promise(e);
	m->uptime_ms = (slx_monotonic_ns(&e->clock) - e->opened_ns) / SLX_MS;
	slx_engine_tenants(e, count_tenant, &m->tenants, NULL);
	m->series = slx_head_series_count(v->active) - slx_head_internal_count(v->active);
	m->points_head = atomic_load(&e->points_head) + atomic_load(&e->points_frozen);
	m->points_ingested = atomic_load(&e->points_ingested);
	m->points_refused = atomic_load(&e->points_refused);
	m->bytes_head = (uint64_t)atomic_load(&e->mem.used[SLX_MEM_HEAD]);
	blocks(v, m);
	m->bytes_wal = w.bytes;
	m->wal_segments = w.segments;
	m->wal_frames = w.frames;
	m->wal_syncs = w.syncs;
	m->wal_unsynced_bytes = (int64_t)w.unsynced_bytes;
	m->memory_used = (uint64_t)slx_mem_total(&e->mem);
	m->memory_limit = e->opt.memory_limit;
	m->memory_cache = (uint64_t)atomic_load(&e->mem.used[SLX_MEM_CACHE]);
	m->memory_query = (uint64_t)atomic_load(&e->mem.used[SLX_MEM_QUERY]);
	m->ingest_rate = ingest_rate(e);
	m->flushes = atomic_load(&e->flushes);
	m->compactions = atomic_load(&e->compactions);
	queries(e, m);
	m->damaged_pages = atomic_load(&e->damaged_pages);
	m->damaged_frames = atomic_load(&e->damaged_frames);
	m->torn_bytes = atomic_load(&e->torn_bytes);
	m->disk_free = atomic_load(&e->disk_free);
	m->disk_total = atomic_load(&e->disk_total);
	m->disk_mark = slx_room_mark(e, m->disk_total);
	m->writes_refused = atomic_load(&e->room) == SLX_ROOM_LOW;
	m->points_expired = atomic_load(&e->points_expired);
	m->expired_blocks = atomic_load(&e->expired_blocks);
	m->expired_bytes = atomic_load(&e->expired_bytes);
	health(e, &w, m);
	slx_view_unref(v);
}

void slx_engine_count_query(struct slx_engine *e, int64_t elapsed_ns)
{
	unsigned i = 0;
	while (i + 1 < SILEX_LATENCY_BUCKETS && elapsed_ns > (INT64_C(16000) << i))
		i++;
	atomic_fetch_add_explicit(&e->queries, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&e->query_ns, (uint64_t)elapsed_ns, memory_order_relaxed);
	atomic_fetch_add_explicit(&e->query_latency[i], 1, memory_order_relaxed);
}

silex_status slx_engine_store_metrics(struct slx_engine *e, size_t i, silex_store_metrics *ret, silex_error *err)
{
	struct slx_store_stats s;
	if (i >= e->opt.n_stores)
		return slx_err(err, SILEX_NOT_FOUND, "store %zu: the database has %zu", i, e->opt.n_stores);
	slx_store_stats(e->stores[i].store, &s);
	*ret = (silex_store_metrics){
		.size = ret->size,
		.name = e->stores[i].name,
		.reads = s.gets,
		.bytes_read = s.get_bytes,
		.objects_written = s.puts,
		.bytes_written = s.put_bytes,
		.objects_removed = s.removes,
		.errors = s.errors,
	};
	return SILEX_OK;
}
