/* The life of a server:
 *
 *   configuration, listener (503 but for /-/healthy)  ->  the database opens in a thread of its own  ->  "ready"
 *   SIGHUP: a new configuration, or the old one when it is bad
 *   SIGTERM, SIGINT: not ready, other listeners stop, HTTP drains, the database closes, exit 0
 *
 * The main thread waits for signals; all other threads have them blocked. A signal while the log is replayed ends the process at
 * once: nothing was acknowledged, and the log is as it was. */
#include "server/server_int.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

extern char **environ;

struct old_config {
	struct slx_config *c;
	struct old_config *next;
};

struct server {
	struct slx_core core; /* first: reload gets it back */
	const struct slx_server_args *args;
	struct slx_mem mem;
	struct slx_log log;
	struct slx_http *http;
	struct slx_server_rooms *rooms;
	struct slx_server_status status;
	pthread_mutex_t reload_lock; /* old, and reloads themselves */
	struct old_config *old;
	struct slx_metric *reload_ok, *reload_time;
	pthread_t opener;
	bool opening;
	_Atomic bool opened; /* the opener came to its end */
	_Atomic bool failed;
};

static int64_t wall_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* --- configuration ---------------------------------------------------------------------------------------------- */

static void apply(struct server *s, const struct slx_config *c)
{
	static const char *const levels[] = { "debug", "info", "warn", "error" };
	for (int i = 0; i < 4; i++)
		if (strcmp(c->log.level, levels[i]) == 0)
			atomic_store(&s->log.level, i);
	atomic_store(&s->log.format, strcmp(c->log.format, "json") == 0 ? SLX_LOG_JSON : SLX_LOG_LOGFMT);
	atomic_store(&s->core.queries.slow_ns, c->log.slow_query);
	if (s->http)
		slx_http_set_limits(s->http, c->http.body_max, (unsigned)c->http.reads_max, (unsigned)c->http.writes_max);
}

static silex_status load(struct server *s, struct slx_config **ret, silex_error *err)
{
	struct slx_config *c;
	SLX_TRY(slx_config_load(&s->mem, s->args->config_file, environ, s->args->set, s->args->n_set, &c, err));
	silex_status st = slx_server_rooms_check(&s->mem, c, err);
	if (st != SILEX_OK) {
		slx_config_free(c);
		return st;
	}
	*ret = c;
	return SILEX_OK;
}

/* Under the lock. Handlers may still read the old one: it is kept. */
static silex_status replace_config(struct server *s, silex_error *err)
{
	struct slx_config *c = NULL, *now = atomic_load(&s->core.config);
	struct old_config *keep = slx_alloc(&s->mem, SLX_MEM_OTHER, sizeof *keep);
	silex_status st = keep ? load(s, &c, err) : slx_err_oom(err);
	if (st != SILEX_OK) {
		slx_free(&s->mem, SLX_MEM_OTHER, keep, sizeof *keep);
		return st;
	}
	const char *key = slx_config_needs_restart(now, c);
	if (key)
		slx_log(&s->log, SLX_LOG_WARN, "a key that changed takes effect at the next start", SLX_TEXT("key", key));
	*keep = (struct old_config){ now, s->old };
	s->old = keep;
	atomic_store(&s->core.config, c);
	apply(s, c);
	for (size_t i = 0; i < s->core.on_reload_n; i++)
		s->core.on_reload[i].fn(s->core.on_reload[i].ctx, c);
	return SILEX_OK;
}

static silex_status reload(struct slx_core *core, silex_error *err)
{
	struct server *s = (struct server *)core;
	silex_error e;
	pthread_mutex_lock(&s->reload_lock);
	silex_status st = replace_config(s, &e);
	slx_metric_set(s->reload_ok, st == SILEX_OK);
	if (st == SILEX_OK) {
		slx_metric_set(s->reload_time, (double)wall_ns() / 1e9);
		slx_log(&s->log, SLX_LOG_INFO, "configuration loaded", SLX_TEXT("file", s->args->config_file ? s->args->config_file : ""));
	} else {
		slx_log(&s->log, SLX_LOG_ERROR, "configuration not loaded, the old one holds", SLX_TEXT("error", e.message));
		if (err)
			*err = e;
	}
	pthread_mutex_unlock(&s->reload_lock);
	return st;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static silex_status set_tenant_limits(silex_db *db, const struct slx_yaml *limits, silex_error *err)
{
	for (const struct slx_yaml *y = limits ? limits->child : NULL; y; y = y->next) {
		silex_tenant_limits l;
		silex_tenant_limits_init(&l);
		SLX_TRY(slx_yaml_count(slx_yaml_get(y, "series_max"), 0, UINT32_MAX, &l.series_max, err));
		SLX_TRY(slx_yaml_count(slx_yaml_get(y, "head_bytes_max"), 0, INT64_MAX, &l.head_bytes_max, err));
		SLX_TRY(silex_tenant_set_limits(db, y->key, &l, err));
	}
	return SILEX_OK;
}

static silex_status open_database(struct server *s, silex_error *err)
{
	const struct slx_config *c = slx_core_config(&s->core);
	silex_options o = c->engine;
	silex_db *db = NULL;
	o.log = slx_log_engine;
	o.log_arg = &s->log;
	o.time_unit = SILEX_NS;
	o.store_types = slx_server_store_types;
	o.n_store_types = SLX_SERVER_STORE_TYPES;
	o.memory_limit -= c->http.upload_memory; /* what requests hold belongs to the same limit */
	SLX_TRY(slx_api_open(c->data, &o, &db, err));
	silex_status st = set_tenant_limits(db, c->tenants.limits, err);
	if (st == SILEX_OK)
		st = slx_server_retention_apply(&s->mem, db, c, err);
	if (st == SILEX_OK)
		st = slx_server_rollups_apply(&s->mem, db, c, err);
	if (st != SILEX_OK) {
		silex_close(db, NULL);
		return st;
	}
	atomic_store(&s->core.db, db);
	SLX_TRY(slx_server_rooms_open(s->rooms, err));
	return slx_api_watch(db) ? slx_watch_go(slx_api_watch(db), err) : SILEX_OK; /* who listens is there */
}

static void say_ready(struct server *s)
{
	const struct slx_config *c = slx_core_config(&s->core);
	silex_metrics m = { .size = sizeof m };
	silex_get_metrics(slx_core_db(&s->core), &m, NULL);
	slx_log(&s->log, SLX_LOG_INFO, "ready", SLX_TEXT("version", SILEX_VERSION_STRING), SLX_TEXT("http", slx_http_address(s->http)),
		SLX_TEXT("data", c->data), SLX_TEXT("promise", m.promise ? m.promise : ""), SLX_INT("series", m.series),
		SLX_INT("points", m.points_head + m.points_blocks), SLX_REAL("seconds", (double)(wall_ns() - s->core.started_ns) / 1e9));
}

static void *open_thread(void *arg)
{
	struct server *s = arg;
	silex_error e;
	if (open_database(s, &e) == SILEX_OK) {
		slx_http_set_ready(s->http, true);
		say_ready(s);
		slx_notify("READY=1");
	} else {
		slx_log(&s->log, SLX_LOG_ERROR, "not opened", SLX_TEXT("error", e.message));
		atomic_store(&s->failed, true);
		kill(getpid(), SIGTERM);
	}
	atomic_store(&s->opened, true);
	return NULL;
}

static silex_status start_http(struct server *s, silex_error *err)
{
	const struct slx_config *c = slx_core_config(&s->core);
	struct slx_http_options o = {
		.listen = c->listen,
		.route_prefix = c->http.route_prefix,
		.tenant = c->tenants.fallback,
		.io_threads = (unsigned)c->http.io_threads,
		.read_workers = (unsigned)c->http.read_workers,
		.write_workers = (unsigned)c->http.write_workers,
		.connections_max = (unsigned)c->http.connections_max,
		.header_max = c->http.header_max,
		.body_max = c->http.body_max,
		.upload_memory = c->http.upload_memory,
		.header_timeout_s = (unsigned)(c->http.header_timeout / 1000000000),
		.idle_timeout_s = (unsigned)(c->http.idle_timeout / 1000000000),
		.stall_timeout_s = (unsigned)(c->http.stall_timeout / 1000000000),
		.reads_max = (unsigned)c->http.reads_max,
		.writes_max = (unsigned)c->http.writes_max,
		.tls_cert = c->http.tls_cert,
		.tls_key = c->http.tls_key,
		.cors_origin = c->http.cors_origin,
	};
	SLX_TRY(slx_http_new(&s->core, &o, &s->http, err));
	s->status = (struct slx_server_status){ &s->core, s->http };
	slx_server_status_routes(&s->status);
	SLX_TRY(slx_server_rooms_new(&s->core, s->http, &s->rooms, err));
	return slx_http_start(s->http, err);
}

/* --- the life --------------------------------------------------------------------------------------------------- */

static void wait_for_end(struct server *s, const sigset_t *set)
{
	for (;;) {
		int sig = 0;
		if (sigwait(set, &sig) != 0)
			continue;
		if (sig == SIGHUP) {
			slx_notify("RELOADING=1");
			reload(&s->core, NULL);
			slx_notify("READY=1");
			continue;
		}
		if (!atomic_load(&s->failed))
			slx_log(&s->log, SLX_LOG_INFO, "ending", SLX_TEXT("signal", sig == SIGINT ? "SIGINT" : "SIGTERM"));
		return;
	}
}

/* Waits for the opener; a second signal or one during a replay does not wait. */
static void end_opening(struct server *s)
{
	if (!s->opening)
		return;
	if (!atomic_load(&s->opened) && !atomic_load(&s->failed)) {
		slx_log(&s->log, SLX_LOG_INFO, "ended while the log was replayed; it is as it was");
		_exit(SLX_SERVER_OK);
	}
	pthread_join(s->opener, NULL);
}

static silex_status close_database(struct server *s)
{
	silex_error e;
	silex_db *db = slx_core_db(&s->core);
	atomic_store(&s->core.db, NULL);
	silex_status st = db ? silex_close(db, &e) : SILEX_OK;
	if (st != SILEX_OK)
		slx_log(&s->log, SLX_LOG_ERROR, "the database was not closed well", SLX_TEXT("error", e.message));
	return st;
}

static silex_status end(struct server *s)
{
	slx_notify("STOPPING=1");
	atomic_store(&s->core.draining, true);
	end_opening(s);
	if (s->rooms)
		slx_server_rooms_stop(s->rooms);
	if (s->http)
		slx_http_drain(s->http, slx_core_config(&s->core)->http.drain_timeout / 1000000);
	slx_http_free(s->http);
	slx_server_rooms_free(s->rooms);
	silex_status st = close_database(s);
	slx_queries_clear(&s->core.queries);
	slx_metrics_free(s->core.metrics);
	for (struct old_config *o = s->old, *next; o; o = next) {
		next = o->next;
		slx_config_free(o->c);
		slx_free(&s->mem, SLX_MEM_OTHER, o, sizeof *o);
	}
	slx_config_free(atomic_load(&s->core.config));
	return st;
}

static silex_status begin(struct server *s, silex_error *err)
{
	SLX_TRY(slx_metrics_new(&s->mem, &s->core.metrics, err));
	slx_server_status_metrics(&s->core);
	s->reload_ok = slx_metrics_gauge(s->core.metrics, "silex_config_last_reload_successful", "1 when the last try to load the configuration was good.", "");
	s->reload_time = slx_metrics_gauge(s->core.metrics, "silex_config_last_reload_success_timestamp_seconds", "When the configuration in force was loaded.", "");
	slx_metric_set(s->reload_ok, 1);
	slx_metric_set(s->reload_time, (double)s->core.started_ns / 1e9);
	SLX_TRY(start_http(s, err));
	slx_log(&s->log, SLX_LOG_INFO, "listening", SLX_TEXT("http", slx_http_address(s->http)));
	int e = pthread_create(&s->opener, NULL, open_thread, s);
	if (e)
		return slx_err_errno(err, e, "thread of the server");
	s->opening = true;
	return SILEX_OK;
}

static int serve(struct server *s)
{
	silex_error e;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread begins */
	signal(SIGPIPE, SIG_IGN);
	silex_status st = begin(s, &e);
	if (st == SILEX_OK)
		wait_for_end(s, &set);
	else
		slx_log(&s->log, SLX_LOG_ERROR, "not started", SLX_TEXT("error", e.message));
	bool failed = st != SILEX_OK || atomic_load(&s->failed);
	if (end(s) != SILEX_OK || failed)
		return SLX_SERVER_FAILED;
	slx_log(&s->log, SLX_LOG_INFO, "ended");
	return SLX_SERVER_OK;
}

static int print(struct server *s, const struct slx_config *c, bool keys)
{
	struct slx_buf b;
	slx_buf_init(&b, &s->mem, SLX_MEM_OTHER, 64 << 20);
	if (keys)
		slx_config_doc(&b);
	else
		slx_config_write(c, &b);
	bool ok = !b.failed && fwrite(b.p, 1, b.n, stdout) == b.n && fflush(stdout) == 0;
	slx_buf_free(&b);
	return ok ? SLX_SERVER_OK : SLX_SERVER_FAILED;
}

/* --check-config and the like. */
static int only_say(struct server *s, struct slx_config *c)
{
	const struct slx_server_args *a = s->args;
	int rc = a->print_only || a->print_keys ? print(s, c, a->print_keys) : SLX_SERVER_OK;
	if (a->check_only)
		printf("the configuration is good%s%s\n", a->config_file ? ": " : "", a->config_file ? a->config_file : "");
	slx_config_free(c);
	return rc;
}

int slx_server_main(const struct slx_server_args *a)
{
	struct server s = { .args = a };
	struct slx_config *c = NULL;
	silex_error e;
	slx_mem_init(&s.mem, NULL);
	slx_log_init(&s.log, STDERR_FILENO);
	pthread_mutex_init(&s.reload_lock, NULL);
	if (load(&s, &c, &e) != SILEX_OK) {
		fprintf(stderr, "silex: %s\n", e.message);
		return SLX_SERVER_BAD_CONFIG;
	}
	if (a->check_only || a->print_only || a->print_keys)
		return only_say(&s, c);
	s.core.mem = &s.mem;
	s.core.log = &s.log;
	s.core.started_ns = wall_ns();
	s.core.reload = reload;
	atomic_store(&s.core.config, c);
	slx_queries_init(&s.core.queries, &s.log);
	apply(&s, c);
	int rc = serve(&s);
	pthread_mutex_destroy(&s.reload_lock);
	return rc;
}
