/* Opening and closing; replay is in replay.c. */
#include "engine/retention_int.h"
#include "engine/rollup_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void slx_engine_log(struct slx_engine *e, int level, const char *fmt, ...)
{
	char text[1024];
	if (!e->opt.log)
		return;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	e->opt.log(e->opt.log_arg, level, text);
}

bool slx_engine_read_only(const struct slx_engine *e)
{
	return e->opt.read_only;
}

/* --- pieces of open ------------------------------------------------------------------------------------------------------------------ */

static char *path_join(struct slx_engine *e, const char *name)
{
	size_t n = strlen(e->path) + strlen(name) + 2;
	char *p = slx_alloc(&e->mem, SLX_MEM_OTHER, n);
	if (p)
		snprintf(p, n, "%s/%s", e->path, name);
	return p;
}

static void path_free(struct slx_engine *e, char *p)
{
	if (p)
		slx_free(&e->mem, SLX_MEM_OTHER, p, strlen(p) + 1);
}

static int choose_codec(const struct slx_engine *e)
{
	const char *name = e->opt.codec;
	if (!name || strcmp(name, "auto") == 0)
		return -1;
	for (size_t i = 0; i < e->opt.n_codecs; i++)
		if (strcmp(e->opt.codecs[i]->name, name) == 0)
			return e->opt.codecs[i]->id;
	return silex_codec_by_name(name);
}

static enum slx_wrap choose_wrap(const char *name)
{
	if (name && strcmp(name, "none") == 0)
		return SLX_WRAP_NONE;
	return name && strcmp(name, "zstd") == 0 ? SLX_WRAP_ZSTD : SLX_WRAP_LZ4;
}

static void init_locks(struct slx_engine *e)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_t *locks[] = { &e->view_lock, &e->manifest_lock, &e->flush_lock, &e->compact_lock, &e->tenants_lock, &e->bg_lock, &e->health_lock, &e->tier.lock };
	for (size_t i = 0; i < sizeof locks / sizeof locks[0]; i++)
		pthread_mutex_init(locks[i], NULL);
	for (unsigned i = 0; i < SLX_STRIPES; i++)
		pthread_mutex_init(&e->stripes[i].lock, NULL);
	pthread_cond_init(&e->bg_wake, &monotonic);
	pthread_cond_init(&e->bg_room, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static void init_stripes(struct slx_engine *e)
{
	for (unsigned i = 0; i < SLX_STRIPES; i++) {
		struct slx_stripe *st = &e->stripes[i];
		slx_buf_init(&st->frame, &e->mem, SLX_MEM_WAL, SLX_WAL_FRAME_SIZE_MAX);
		slx_buf_init(&st->defs, &e->mem, SLX_MEM_WAL, SLX_WAL_FRAME_SIZE_MAX);
		slx_buf_init(&st->label, &e->mem, SLX_MEM_WAL, 1 << 20);
	}
}

static void free_stripes(struct slx_engine *e)
{
	for (unsigned i = 0; i < SLX_STRIPES; i++) {
		struct slx_stripe *st = &e->stripes[i];
		if (!st->frame.mem)
			continue;
		slx_buf_free(&st->frame);
		slx_buf_free(&st->defs);
		slx_buf_free(&st->label);
	}
}

/* The holder's pid is in the lock file, for the message only; the lock itself is the kernel's. */
static silex_status in_use(struct slx_engine *e, silex_error *err)
{
	char pid[32] = "";
	uint64_t n = 0;
	if (slx_file_size(e->lock_file, &n, NULL) != SILEX_OK || n >= sizeof pid || slx_file_read(e->lock_file, pid, n, 0, NULL) != SILEX_OK)
		n = 0;
	pid[n] = 0;
	pid[strcspn(pid, "\n")] = 0;
	return slx_err(err, SILEX_CONFLICT, "%s is in use by pid %s%s", e->path, pid[0] ? pid : "unknown",
		e->opt.read_only ? "; a read-only open beside a live writer would miss its newest data: ask that process, or copy a snapshot" : "");
}

static silex_status take_lock(struct slx_engine *e, silex_error *err)
{
	char *path = path_join(e, "LOCK");
	if (!path)
		return slx_err_oom(err);
	silex_error own = { 0 };
	unsigned flags = e->opt.read_only ? SLX_OPEN_READ : SLX_OPEN_WRITE | SLX_OPEN_CREATE;
	silex_status status = e->vfs->open(e->vfs, path, flags, &e->lock_file, &own);
	path_free(e, path);
	if (status == SILEX_NOT_FOUND && e->opt.read_only) {
		e->lock_file = NULL; /* a copy without its lock file: nobody can be writing */
		return SILEX_OK;
	}
	if (status != SILEX_OK)
		return slx_err(err, status, "%s", own.message);
	status = slx_file_lock(e->lock_file, e->opt.read_only ? SLX_LOCK_SHARED : SLX_LOCK_EXCLUSIVE, &own);
	if (status == SILEX_CONFLICT)
		return in_use(e, err);
	if (status != SILEX_OK)
		return slx_err(err, status, "%s", own.message);
	if (e->opt.read_only)
		return SILEX_OK;
	char pid[32];
	int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	SLX_TRY(slx_file_truncate(e->lock_file, 0, err));
	return slx_file_write(e->lock_file, pid, (size_t)n, 0, err);
}

static bool name_found(void *arg, const char *name)
{
	const char *suffix = ((const char **)arg)[0];
	size_t n = strlen(name), k = strlen(suffix);
	if (n <= k || strcmp(name + n - k, suffix) != 0)
		return true;
	((const char **)arg)[0] = NULL;
	return false;
}

/* Whether a folder of the database has a file whose name ends so. */
static silex_status has_files(struct slx_engine *e, const char *dir, const char *suffix, bool *ret, silex_error *err)
{
	char *path = path_join(e, dir);
	const char *found = suffix;
	silex_error own;
	if (!path)
		return slx_err_oom(err);
	silex_status status = e->vfs->list(e->vfs, path, name_found, &found, &own);
	path_free(e, path);
	*ret = !found;
	return status == SILEX_OK || status == SILEX_NOT_FOUND ? SILEX_OK : slx_err(err, status, "%s", own.message);
}

/* A database has a manifest from the beginning. Blocks or a log without one are not taken for an empty database, in which
 * the blocks would be leftovers to remove. */
static silex_status check_exists(struct slx_engine *e, silex_error *err)
{
	bool log, blocks, need = e->opt.must_exist || e->opt.read_only;
	char *path = path_join(e, "meta/MANIFEST");
	struct slx_file *f = NULL;
	silex_error own = { 0 };
	silex_status status = path ? e->vfs->open(e->vfs, path, SLX_OPEN_READ, &f, &own) : slx_err_oom(&own);
	path_free(e, path);
	slx_file_close(f);
	if (status == SILEX_OK)
		return SILEX_OK;
	if (status != SILEX_NOT_FOUND)
		return slx_err(err, status, "%s", own.message);
	SLX_TRY(has_files(e, "wal", ".wal", &log, err));
	SLX_TRY(has_files(e, "blocks", ".slx", &blocks, err));
	if (log || blocks)
		return slx_err(err, SILEX_CORRUPT, "%s/meta/MANIFEST is missing, though there is %s: restore it from a copy", e->path, blocks ? "a block" : "a log");
	return need ? slx_err(err, SILEX_NOT_FOUND, "%s holds no Silex database", e->path) : slx_vfs_make_dir(e->vfs, e->path, err);
}

static silex_status open_stores(struct slx_engine *e, silex_error *err)
{
	const struct slx_store_env env = {
		.vfs = e->vfs,
		.mem = &e->mem,
		.clock = &e->clock,
		.random = &e->random,
		.types = e->opt.store_types,
		.n_types = e->opt.n_store_types,
		.read_only = e->opt.read_only,
	};
	if (e->opt.n_stores == 0)
		return SILEX_OK;
	e->stores = slx_calloc(&e->mem, SLX_MEM_OTHER, e->opt.n_stores * sizeof *e->stores);
	if (!e->stores)
		return slx_err_oom(err);
	for (size_t i = 0; i < e->opt.n_stores; i++) {
		e->stores[i].name = e->opt.stores[i].name;
		SLX_TRY(slx_store_open(&env, &e->opt.stores[i], &e->stores[i].store, err));
	}
	return SILEX_OK;
}

struct slx_store *slx_engine_store(struct slx_engine *e, const char *name)
{
	for (size_t i = 0; e->stores && i < e->opt.n_stores; i++)
		if (strcmp(e->stores[i].name, name) == 0)
			return e->stores[i].store;
	return NULL;
}

static void stop_stores(struct slx_engine *e)
{
	for (size_t i = 0; e->stores && i < e->opt.n_stores; i++)
		slx_store_stop(e->stores[i].store);
}

static void close_stores(struct slx_engine *e)
{
	for (size_t i = 0; e->stores && i < e->opt.n_stores; i++)
		slx_store_close(e->stores[i].store);
	slx_free(&e->mem, SLX_MEM_OTHER, e->stores, e->opt.n_stores * sizeof *e->stores);
}

static silex_status open_storage(struct slx_engine *e, silex_error *err)
{
	if (!e->path) {
		SLX_TRY(slx_meta_open_memory(&e->mem, &e->meta, err));
		return slx_store_open_memory(&e->mem, &e->store, err);
	}
	SLX_TRY(check_exists(e, err));
	SLX_TRY(take_lock(e, err));
	char *meta = path_join(e, "meta"), *blocks = path_join(e, "blocks");
	silex_status status = meta && blocks ? slx_meta_open_file(e->vfs, &e->mem, meta, e->opt.read_only, &e->meta, err) : slx_err_oom(err);
	if (status == SILEX_OK)
		status = slx_store_open_folder(e->vfs, &e->mem, blocks, 0, e->opt.read_only, &e->store, err);
	path_free(e, meta);
	path_free(e, blocks);
	return status;
}

/* --- files that no manifest names --------------------------------------------------------------------------------------------------------- */

struct orphans {
	struct slx_engine *e;
	char names[64][SLX_BLOCK_NAME_SIZE];
	size_t n;
};

static bool orphan_look(void *arg, const char *name)
{
	struct orphans *o = arg;
	size_t n = strlen(name);
	bool block = n >= 4 && strcmp(name + n - 4, ".slx") == 0, stub = n >= 5 && strcmp(name + n - 5, ".stub") == 0;
	if (n >= SLX_BLOCK_NAME_SIZE || (!block && !stub))
		return true;
	for (size_t i = 0; i < o->e->view->n_blocks; i++)
		if (slx_tier_file_is_of(name, o->e->view->blocks[i]->info.name, o->e->view->blocks[i]->upload))
			return true;
	for (const struct slx_lost_block *l = o->e->lost; l; l = l->next)
		if (slx_tier_file_is_of(name, l->info.name, stub))
			return true;
	memcpy(o->names[o->n++], name, n + 1);
	return o->n < 64;
}

/* Leftovers of a flush or compaction that a crash cut short. */
static silex_status remove_orphans(struct slx_engine *e, silex_error *err)
{
	struct orphans *o = slx_calloc(&e->mem, SLX_MEM_OTHER, sizeof *o);
	if (!o)
		return slx_err_oom(err);
	o->e = e;
	silex_status status;
	do {
		o->n = 0;
		status = slx_store_list(e->store, "", orphan_look, o, err);
		for (size_t i = 0; i < o->n && status == SILEX_OK; i++) {
			slx_engine_log(e, 1, "removing %s, left over from a crash", o->names[i]);
			status = slx_store_remove(e->store, o->names[i], err);
		}
	} while (status == SILEX_OK && o->n == 64);
	slx_free(&e->mem, SLX_MEM_OTHER, o, sizeof *o);
	return status;
}

/* --- log ------------------------------------------------------------------------------------------------------------------------------------ */

static silex_status open_log(struct slx_engine *e, const uint8_t uuid[SLX_WAL_UUID_SIZE], silex_error *err)
{
	struct slx_wal_options o = {
		.vfs = e->vfs,
		.mem = &e->mem,
		.clock = &e->clock,
		.random = &e->random,
		.sync = e->opt.sync == SILEX_SYNC_ALWAYS ? SLX_WAL_ALWAYS : e->opt.sync == SILEX_SYNC_INTERVAL ? SLX_WAL_INTERVAL : SLX_WAL_NEVER,
		.sync_interval_ns = e->opt.wal_sync_interval_ms * SLX_MS,
		.segment_size = e->opt.wal_segment_size,
		.min_seq = e->checkpoint_seq,
		.min_version = e->known_version,
		.read_only = e->opt.read_only,
	};
	/* A small database has small log buffers. */
	o.retain_size = e->opt.memory_limit / 16 < (16u << 20) ? e->opt.memory_limit / 16 : 16u << 20;
	memcpy(o.uuid, uuid, SLX_WAL_UUID_SIZE);
	if (!e->path || e->opt.wal == SILEX_WAL_NONE) {
		SLX_TRY(slx_wal_open_none(&o, &e->wal, err));
		return slx_engine_replay(e, err);
	}
	char *dir = path_join(e, "wal");
	o.dir = dir;
	silex_status status = dir ? slx_wal_open_file(&o, &e->wal, err) : slx_err_oom(err);
	path_free(e, dir);
	if (status == SILEX_OK)
		status = slx_engine_replay(e, err);
	if (status == SILEX_OK && !e->opt.read_only)
		status = slx_wal_cut(e->wal, e->checkpoint_seq, err);
	return status;
}

/* Stripes have cache lines of their own; an application's allocator aligns to less. */
enum { ENGINE_ALIGN = _Alignof(struct slx_engine), ENGINE_BLOCK_SIZE = sizeof(struct slx_engine) + ENGINE_ALIGN - 1 };

/* --- open, close ---------------------------------------------------------------------------------------------------------------------------------- */

static silex_status first_view(struct slx_engine *e, silex_error *err)
{
	struct slx_head *head;
	e->generation++;
	SLX_TRY(slx_head_new(&e->mem, &e->codecs, e->generation, &head, err));
	struct slx_view *v = slx_view_copy(e, 0, 0);
	if (!v) {
		slx_head_unref(head);
		return slx_err_oom(err);
	}
	v->active = head;
	atomic_store(&e->active, slx_head_ref(head));
	slx_view_install(e, v);
	return SILEX_OK;
}

static silex_status open_all(struct slx_engine *e, silex_error *err)
{
	uint8_t uuid[SLX_WAL_UUID_SIZE] = { 0 };
	init_stripes(e);
	SLX_TRY(slx_rollups_new(e, err));
	uint64_t cache = e->opt.cache_size ? e->opt.cache_size : e->opt.memory_limit / 4;
	SLX_TRY(slx_cache_new(&e->mem, cache, &e->cache, err));
	SLX_TRY(open_storage(e, err));
	SLX_TRY(open_stores(e, err));
	e->view = slx_view_copy(e, 0, 0);
	if (!e->view)
		return slx_err_oom(err);
	SLX_TRY(slx_retention_load(e, err)); /* before any tenant is made */
	SLX_TRY(slx_tier_init(e, err));
	SLX_TRY(slx_manifest_load(e, uuid, err));
	if (!e->opt.read_only)
		SLX_TRY(remove_orphans(e, err));
	for (size_t i = 0; i < e->view->n_blocks; i++)
		if (e->view->blocks[i]->info.vmax > e->flushed_version)
			e->flushed_version = e->view->blocks[i]->info.vmax;
	if (e->max_version > e->flushed_version)
		e->flushed_version = e->max_version;
	SLX_TRY(first_view(e, err));
	SLX_TRY(open_log(e, uuid, err));
	if (e->path && !e->opt.read_only && e->manifest_version == 0)
		SLX_TRY(slx_manifest_store(e, e->view, 0, 0, err));
	slx_room_look(e);
	unsigned threads = e->opt.threads ? e->opt.threads : (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	SLX_TRY(slx_pool_new(&e->mem, threads > 1 ? threads - 1 : 1, "silex-query", &e->pool, err));
	SLX_TRY(slx_background_start(e, err));
	return slx_rollup_start(e, err);
}

static silex_status teardown(struct slx_engine *e, silex_error *err)
{
	silex_status status = SILEX_OK;
	atomic_store(&e->stopping, true);
	stop_stores(e); /* background work does not wait for one that is away */
	slx_rollup_stop(e);
	slx_background_stop(e);
	slx_pool_free(e->pool);
	status = slx_wal_close(e->wal, err);
	if (e->active)
		slx_head_unref(atomic_load(&e->active));
	slx_view_unref(e->view);
	while (e->lost) {
		struct slx_lost_block *next = e->lost->next;
		slx_free(&e->mem, SLX_MEM_OTHER, e->lost, sizeof *e->lost);
		e->lost = next;
	}
	if (e->cache)
		slx_cache_free(e->cache);
	slx_store_close(e->store);
	close_stores(e);
	slx_meta_close(e->meta);
	slx_file_close(e->lock_file);
	slx_retention_unref(e->retention);
	slx_companions_free(e);
	slx_tier_free(e);
	slx_rollups_free(e);
	slx_tenants_free(e);
	free_stripes(e);
	path_free(e, e->path);
	struct slx_mem mem = e->mem;
	mem.allocator.free(mem.allocator.ctx, e->block, ENGINE_BLOCK_SIZE);
	return status;
}

silex_status slx_engine_open(const char *path, const silex_options *o, struct slx_engine **ret, silex_error *err)
{
	struct slx_mem mem;
	slx_mem_init(&mem, &o->env.allocator);
	void *block = mem.allocator.alloc(mem.allocator.ctx, ENGINE_BLOCK_SIZE);
	if (!block)
		return slx_err_oom(err);
	struct slx_engine *e = (struct slx_engine *)(((uintptr_t)block + ENGINE_ALIGN - 1) & ~(uintptr_t)(ENGINE_ALIGN - 1));
	memset(e, 0, sizeof *e);
	e->block = block;
	slx_mem_init(&e->mem, &o->env.allocator);
	e->opt = *o;
	if (!path)
		e->opt.wal = SILEX_WAL_NONE;
	slx_clock_init(&e->clock, &o->env.clock);
	slx_random_init(&e->random, &o->env.random);
	e->vfs = o->env.vfs ? o->env.vfs : slx_vfs_posix();
	e->codecs = (struct slx_codec_choice){ choose_codec(e), choose_wrap(o->compression), o->codecs, o->n_codecs };
	slx_levels_init(&e->levels, o->block_duration_ms * SLX_MS);
	e->opened_ns = slx_monotonic_ns(&e->clock);
	init_locks(e);
	silex_status status = SILEX_OK;
	if (path) {
		e->path = slx_alloc(&e->mem, SLX_MEM_OTHER, strlen(path) + 1);
		status = e->path ? (strcpy(e->path, path), SILEX_OK) : slx_err_oom(err);
	}
	if (status == SILEX_OK)
		status = open_all(e, err);
	if (status != SILEX_OK) {
		teardown(e, NULL);
		return status;
	}
	*ret = e;
	return SILEX_OK;
}

silex_status slx_engine_close(struct slx_engine *e, silex_error *err)
{
	return e ? teardown(e, err) : SILEX_OK;
}
