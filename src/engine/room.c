/* Room on the disk of the database. Below a mark user's writes get RESOURCE_EXHAUSTED, which clients take for "later", while reads,
 * deletes, flushes, compaction and retention go on with what is left: those are what makes room. Above a second mark people are
 * warned. So the log seldom meets a full disk; when it does, storage/wal keeps what was acknowledged.
 *
 *     low    less than free_min_percent of the disk, or than free_min (of a small disk: than a tenth of it)
 *     warn   less than free_warn_percent
 *
 * The flush thread looks once a second, so a write costs one load; without it (no_background) flush and compaction look, and a write
 * that would be refused. */
#include "engine/retention_int.h"

#include <stdio.h>

uint64_t slx_room_mark(const struct slx_engine *e, uint64_t total)
{
	uint64_t share = total / 100 * e->opt.free_min_percent, fixed = e->opt.free_min < total / 10 ? e->opt.free_min : total / 10;
	return share > fixed ? share : fixed;
}

static enum slx_room judge(const struct slx_engine *e, enum slx_room was, uint64_t free, uint64_t total)
{
	uint64_t mark = slx_room_mark(e, total);
	if (free < mark || (was == SLX_ROOM_LOW && free < mark + mark / 20)) /* does not waver */
		return SLX_ROOM_LOW;
	return free < total / 100 * e->opt.free_warn_percent ? SLX_ROOM_WARN : SLX_ROOM_OK;
}

static void say(struct slx_engine *e, enum slx_room was, enum slx_room now)
{
	char text[SLX_ROOM_TEXT_SIZE];
	slx_room_text(e, text);
	if (now == SLX_ROOM_LOW)
		slx_engine_log(e, 3, "%s", text);
	else if (now == SLX_ROOM_WARN && was == SLX_ROOM_OK)
		slx_engine_log(e, 2, "%s", text);
	else
		slx_engine_log(e, 1, "disk: there is room again, writes go on");
}

void slx_room_look(struct slx_engine *e)
{
	uint64_t free, total;
	if (!e->path || e->opt.read_only || e->vfs->free_space(e->vfs, e->path, &free, &total, NULL) != SILEX_OK)
		return;
	enum slx_room was = atomic_load(&e->room), now = judge(e, was, free, total);
	atomic_store(&e->disk_free, free);
	atomic_store(&e->disk_total, total);
	if (atomic_exchange(&e->room, now) != now)
		say(e, was, now);
}

bool slx_room_text(struct slx_engine *e, char ret[SLX_ROOM_TEXT_SIZE])
{
	enum slx_room room = atomic_load(&e->room);
	uint64_t free = atomic_load(&e->disk_free), total = atomic_load(&e->disk_total);
	if (room == SLX_ROOM_OK)
		return false;
	snprintf(ret, SLX_ROOM_TEXT_SIZE, "disk: %.1f %% (%llu MB) free; %s %llu MB", total ? 100.0 * (double)free / (double)total : 0,
		(unsigned long long)(free >> 20), room == SLX_ROOM_LOW ? "writes are refused below" : "writes will be refused below",
		(unsigned long long)(slx_room_mark(e, total) >> 20));
	return true;
}

silex_status slx_room_admit(struct slx_engine *e, const struct slx_tenant *t, silex_error *err)
{
	char text[SLX_ROOM_TEXT_SIZE];
	if (atomic_load_explicit(&e->room, memory_order_relaxed) != SLX_ROOM_LOW || t != t->payer)
		return SILEX_OK;
	if (!e->bg_running)
		slx_room_look(e);
	if (atomic_load(&e->room) != SLX_ROOM_LOW)
		return SILEX_OK;
	slx_room_text(e, text);
	return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "%s; try again when there is room: delete data, shorten retention, or enlarge the disk", text);
}
