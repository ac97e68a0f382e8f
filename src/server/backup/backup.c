/* Two threads: one makes backups when they are due, one ships the log; a backup of hours must not hold up the log.
 *
 * Due is the newest backup at the target and the interval, so that a restart neither forgets nor hastens one. After a failure it is
 * tried again in five minutes, or the interval if that is shorter; the log the next time it would be shipped anyway. */
#include "server/backup/backup.h"

#include "base/clock.h"
#include "engine/image.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RETRY_MS = 300000 };

struct slx_backups {
	struct slx_core *core;
	const struct slx_config *config; /* as at start: backup.* needs a restart */
	silex_archive *archive;          /* of the archive's thread */
	pthread_t maker, shipper;
	bool has_maker, has_shipper;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* lock */
	bool running; /* a backup */
	int64_t last_ms, last_took_ms; /* of the newest one; 0: none */
	uint64_t last_bytes, last_new_bytes;
	uint64_t made, failed, ship_failed;
	silex_archive_info shipped;
	_Atomic bool stopping;
};

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- one backup ------------------------------------------------------------------------------------------------------------------ */

/* With the kinds of stores and the stores that the database was opened with. */
static const silex_options *options(struct slx_backups *b) { return slx_engine_options(slx_api_engine(slx_core_db(b->core))); }

silex_status slx_backups_target(struct slx_backups *b, const char **ret, const silex_options **ret_options, silex_error *err)
{
	if (!b->config->backup.target[0])
		return slx_err(err, SILEX_INVALID, "this server makes no backups: set backup.target in its configuration");
	*ret = b->config->backup.target;
	*ret_options = options(b);
	return SILEX_OK;
}

static bool go_on(void *arg, const char *stage, uint64_t done, uint64_t total) { return !atomic_load(&((struct slx_backups *)arg)->stopping); }

static void note(struct slx_backups *b, const silex_backup_info *i)
{
	b->last_ms = i->time_ms;
	b->last_took_ms = i->took_ms;
	b->last_bytes = i->bytes;
	b->last_new_bytes = i->new_bytes;
}

static bool claim(struct slx_backups *b)
{
	pthread_mutex_lock(&b->lock);
	bool mine = !b->running && !atomic_load(&b->stopping);
	b->running |= mine;
	pthread_mutex_unlock(&b->lock);
	return mine;
}

static void report(struct slx_backups *b, silex_status st, const silex_backup_info *i, const silex_error *err)
{
	pthread_mutex_lock(&b->lock);
	b->running = false;
	b->made += st == SILEX_OK;
	b->failed += st != SILEX_OK;
	if (st == SILEX_OK)
		note(b, i);
	pthread_cond_broadcast(&b->wake);
	pthread_mutex_unlock(&b->lock);
	if (st == SILEX_OK)
		slx_log(b->core->log, SLX_LOG_INFO, "backup made", SLX_TEXT("id", i->id), SLX_INT("blocks", i->blocks), SLX_INT("bytes", i->bytes),
			SLX_INT("sent", i->new_bytes), SLX_INT("took_ms", i->took_ms));
	else
		slx_log(b->core->log, SLX_LOG_ERROR, "backup failed", SLX_TEXT("error", err->message));
}

silex_status slx_backups_create(struct slx_backups *b, bool full, silex_backup_info *ret, silex_error *err)
{
	silex_backup_options o;
	silex_backup_info info = { .id = "" };
	silex_error own = { 0 };
	const silex_options *unused;
	const char *target = NULL;
	SLX_TRY(slx_backups_target(b, &target, &unused, err));
	if (!claim(b))
		return slx_err(err, SILEX_CONFLICT, "a backup is being made: try again when it is done");
	silex_backup_options_init(&o);
	o.full = full;
	o.progress = go_on;
	o.progress_arg = b;
	silex_status st = silex_backup_create(slx_core_db(b->core), target, &o, &info, &own);
	report(b, st, &info, &own);
	if (st != SILEX_OK)
		return slx_err(err, st, "%s", own.message);
	if (ret)
		*ret = info;
	return SILEX_OK;
}

static void prune(struct slx_backups *b)
{
	silex_prune_report r;
	silex_error err;
	if (silex_backup_prune(b->config->backup.target, options(b), (unsigned)b->config->backup.keep, false, &r, &err) != SILEX_OK)
		slx_log(b->core->log, SLX_LOG_WARN, "old backups were not removed", SLX_TEXT("error", err.message));
	else if (r.backups || r.blocks || r.log_segments)
		slx_log(b->core->log, SLX_LOG_INFO, "old backups removed", SLX_INT("backups", r.backups), SLX_INT("blocks", r.blocks), SLX_INT("bytes", r.bytes));
}

/* --- the schedule ------------------------------------------------------------------------------------------------------------------- */

/* Waits until then (wall clock) or the end; true: go on. */
static bool wait_until(struct slx_backups *b, int64_t ms)
{
	pthread_mutex_lock(&b->lock);
	while (!atomic_load(&b->stopping) && now_ms() < ms) {
		struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
		pthread_cond_timedwait(&b->wake, &b->lock, &t);
	}
	pthread_mutex_unlock(&b->lock);
	return !atomic_load(&b->stopping);
}

static bool newest(void *arg, const silex_backup_info *i)
{
	struct slx_backups *b = arg;
	pthread_mutex_lock(&b->lock);
	note(b, i);
	pthread_mutex_unlock(&b->lock);
	return true;
}

static int64_t due(struct slx_backups *b, int64_t interval_ms)
{
	pthread_mutex_lock(&b->lock);
	int64_t at = b->last_ms + interval_ms;
	pthread_mutex_unlock(&b->lock);
	return at;
}

static void *make_backups(void *arg)
{
	struct slx_backups *b = arg;
	int64_t interval_ms = b->config->backup.interval / 1000000, retry_ms = interval_ms < RETRY_MS ? interval_ms : RETRY_MS, not_before = 0;
	silex_backup_list(b->config->backup.target, options(b), newest, b, NULL); /* a target that is away is told of by the backup */
	for (;;) {
		int64_t at = due(b, interval_ms);
		if (!wait_until(b, at > not_before ? at : not_before))
			return NULL;
		if (now_ms() < due(b, interval_ms))
			continue; /* somebody asked for one meanwhile */
		if (slx_backups_create(b, false, NULL, NULL) == SILEX_OK)
			prune(b);
		else
			not_before = now_ms() + retry_ms;
	}
}

/* --- the log -------------------------------------------------------------------------------------------------------------------------- */

static void ship(struct slx_backups *b, bool *failing)
{
	silex_archive_info info = { 0 };
	silex_error err = { 0 };
	silex_status st = b->archive ? SILEX_OK
		: silex_archive_open(slx_core_db(b->core), b->config->backup.target, b->config->backup.log_keep, &b->archive, &err);
	if (st == SILEX_OK)
		st = silex_archive_ship(b->archive, &info, &err);
	pthread_mutex_lock(&b->lock);
	if (b->archive)
		b->shipped = info;
	b->ship_failed += st != SILEX_OK;
	pthread_mutex_unlock(&b->lock);
	if (st != SILEX_OK && !*failing)
		slx_log(b->core->log, SLX_LOG_ERROR, "the log cannot be shipped; it is kept here until it can", SLX_TEXT("error", err.message));
	if (st == SILEX_OK && *failing)
		slx_log(b->core->log, SLX_LOG_INFO, "the log is shipped again");
	*failing = st != SILEX_OK;
}

static void *ship_log(void *arg)
{
	struct slx_backups *b = arg;
	bool failing = false, more;
	do {
		more = wait_until(b, now_ms() + b->config->backup.log_interval / 1000000);
		ship(b, &failing);
	} while (more);
	return NULL;
}

/* --- metrics ---------------------------------------------------------------------------------------------------------------------------- */

static void collect(void *ctx, struct slx_metrics_writer *w)
{
	struct slx_backups *b = ctx;
	pthread_mutex_lock(&b->lock);
	const struct {
		enum slx_metric_type type;
		const char *name, *help;
		double v;
	} rows[] = {
		{ SLX_GAUGE, "silex_backup_last_success_timestamp_seconds", "When the newest backup was begun, as Unix time; 0: never.", (double)b->last_ms / 1e3 },
		{ SLX_GAUGE, "silex_backup_last_size_bytes", "Blocks that the newest backup names.", (double)b->last_bytes },
		{ SLX_GAUGE, "silex_backup_last_sent_bytes", "Of these, what it sent.", (double)b->last_new_bytes },
		{ SLX_GAUGE, "silex_backup_last_duration_seconds", "How long it took.", (double)b->last_took_ms / 1e3 },
		{ SLX_COUNTER, "silex_backups_total", "Backups made.", (double)b->made },
		{ SLX_COUNTER, "silex_backup_failures_total", "Backups that failed.", (double)b->failed },
		{ SLX_GAUGE, "silex_backup_running", "1 while a backup is made.", b->running },
		{ SLX_GAUGE, "silex_log_archive_newest_timestamp_seconds", "The newest write that is at the target, as Unix time; 0: none since start.",
			(double)b->shipped.shipped_ms / 1e3 },
		{ SLX_COUNTER, "silex_log_archive_bytes_total", "Log shipped to the target.", (double)b->shipped.bytes },
		{ SLX_GAUGE, "silex_log_archive_waiting_bytes", "Closed log segments that the target does not have yet.", (double)b->shipped.waiting_bytes },
		{ SLX_COUNTER, "silex_log_archive_lost_segments_total", "Log segments given up since too many waited: a gap until the next backup.",
			(double)b->shipped.lost_segments },
		{ SLX_COUNTER, "silex_log_archive_failures_total", "Times that the log could not be shipped.", (double)b->ship_failed },
	};
	pthread_mutex_unlock(&b->lock);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		slx_metrics_emit(w, rows[i].type, rows[i].name, rows[i].help, "", rows[i].v);
}

/* --- life -------------------------------------------------------------------------------------------------------------------------------- */

static silex_status start_thread(pthread_t *t, bool *ret_has, void *(*run)(void *), struct slx_backups *b, const char *name, silex_error *err)
{
	int e = pthread_create(t, NULL, run, b);
	if (e)
		return slx_err_errno(err, e, "thread of backups");
	pthread_setname_np(*t, name);
	*ret_has = true;
	return SILEX_OK;
}

silex_status slx_backups_start(struct slx_core *core, struct slx_backups **ret, silex_error *err)
{
	struct slx_backups *b = slx_calloc(core->mem, SLX_MEM_OTHER, sizeof *b);
	if (!b)
		return slx_err_oom(err);
	b->core = core;
	b->config = slx_core_config(core);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->wake, NULL);
	*ret = b;
	bool target = b->config->backup.target[0], log = target && b->config->backup.log_interval && b->config->engine.wal != SILEX_WAL_NONE;
	if (!log)
		SLX_TRY(silex_archive_end(slx_core_db(core), err));
	if (!target)
		return SILEX_OK;
	slx_metrics_collector(core->metrics, collect, b);
	if (log)
		SLX_TRY(start_thread(&b->shipper, &b->has_shipper, ship_log, b, "silex-archive", err));
	if (b->config->backup.interval)
		SLX_TRY(start_thread(&b->maker, &b->has_maker, make_backups, b, "silex-backup", err));
	return SILEX_OK;
}

void slx_backups_stop(struct slx_backups *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&b->lock);
	atomic_store(&b->stopping, true);
	pthread_cond_broadcast(&b->wake);
	pthread_mutex_unlock(&b->lock);
	if (b->has_maker)
		pthread_join(b->maker, NULL);
	if (b->has_shipper)
		pthread_join(b->shipper, NULL);
	b->has_maker = b->has_shipper = false;
}

void slx_backups_free(struct slx_backups *b)
{
	if (!b)
		return;
	slx_backups_stop(b);
	silex_archive_close(b->archive);
	pthread_cond_destroy(&b->wake);
	pthread_mutex_destroy(&b->lock);
	slx_free(b->core->mem, SLX_MEM_OTHER, b, sizeof *b);
}
