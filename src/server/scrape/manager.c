/* The thread that scrapes.
 *
 *     forever: reload if asked -> discover what is due -> begin fetches that are due -> curl_multi_poll -> store what has arrived
 *
 * The first scrape of a target comes at a moment within its interval that its identity decides, so that many targets spread out;
 * later ones follow in steps of the interval. A target that is discovered again with the same job, url and labels stays what it is.
 * Each source of targets has its own list; a source that cannot be read keeps what it told before.
 *
 * s->lock guards what targets tell to /api/v1/targets, and the lists' shape; only the thread changes them. */
#include "base/clock.h"
#include "server/scrape/scrape_int.h"

#include <stdio.h>
#include <strings.h>
#include <time.h>

#define ACCEPT "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

enum { FETCHES_MAX = 256, POLL_MS_MAX = 500, GROUPS_MAX = 32 << 20 };

static int64_t now_mono(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * SLX_SECOND + t.tv_nsec;
}

static int64_t now_wall_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- curl ---- */

static void auth_apply(CURL *easy, const struct slx_auth *a, struct curl_slist **headers)
{
	char secret[4096], header[4200];
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, (long)a->follow_redirects);
	curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 10L);
	if (a->user) {
		const char *password = a->password ? a->password : "";
		if (a->password_file && slx_auth_first_line(a->password_file, secret, sizeof secret))
			password = secret;
		curl_easy_setopt(easy, CURLOPT_USERNAME, a->user);
		curl_easy_setopt(easy, CURLOPT_PASSWORD, password);
	}
	if (a->type) {
		const char *credentials = a->credentials ? a->credentials : "";
		if (a->credentials_file && slx_auth_first_line(a->credentials_file, secret, sizeof secret))
			credentials = secret;
		snprintf(header, sizeof header, "Authorization: %s %s", a->type, credentials);
		*headers = curl_slist_append(*headers, header);
	}
	if (a->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, a->ca_file);
	if (a->cert_file)
		curl_easy_setopt(easy, CURLOPT_SSLCERT, a->cert_file);
	if (a->key_file)
		curl_easy_setopt(easy, CURLOPT_SSLKEY, a->key_file);
	if (a->insecure) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static CURL *new_easy(const char *url, const struct slx_auth *auth, int64_t timeout, struct curl_slist **headers)
{
	CURL *easy = curl_easy_init();
	if (!easy)
		return NULL;
	auth_apply(easy, auth, headers);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, *headers);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(timeout / SLX_MS));
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "silex/" SILEX_VERSION_STRING);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	return easy;
}

/* ---- fetching a target ---- */

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct scrape_target *t = arg;
	n *= size;
	if (t->job->body_size_limit && t->body.n + n > t->job->body_size_limit) {
		t->too_large = true;
		return 0;
	}
	slx_buf_put(&t->body, p, n);
	return t->body.failed ? 0 : n;
}

static void begin_fetch(struct slx_scrape *s, struct scrape_target *t, int64_t now)
{
	char header[64];
	slx_buf_reset(&t->body);
	t->too_large = false;
	t->headers = curl_slist_append(NULL, "Accept: " ACCEPT);
	snprintf(header, sizeof header, "X-Prometheus-Scrape-Timeout-Seconds: %g", (double)t->timeout / (double)SLX_SECOND);
	t->headers = curl_slist_append(t->headers, header);
	t->easy = new_easy(t->url, &t->job->auth, t->timeout, &t->headers);
	t->begun = now;
	t->scraped_ms = now_wall_ms();
	t->due += t->interval;
	if (t->due <= now) /* too late for some: they are left out */
		t->due = now + t->interval;
	if (!t->easy)
		return;
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	curl_multi_add_handle(s->multi, t->easy);
	s->fetching++;
}

static void drop_easy(struct slx_scrape *s, CURL **easy, struct curl_slist **headers)
{
	if (*easy) {
		curl_multi_remove_handle(s->multi, *easy);
		curl_easy_cleanup(*easy);
		s->fetching--;
	}
	curl_slist_free_all(*headers);
	*easy = NULL;
	*headers = NULL;
}

/* Why a fetch is no good; NULL when it is. */
static const char *fetch_error(struct scrape_target *t, CURLcode code, char *text, size_t cap)
{
	long status = 0;
	const char *type = NULL;
	if (t->too_large)
		return "body_size_limit exceeded";
	if (code == CURLE_OPERATION_TIMEDOUT)
		snprintf(text, cap, "scrape_timeout of %g s exceeded", (double)t->timeout / (double)SLX_SECOND);
	else if (code != CURLE_OK)
		snprintf(text, cap, "%s", curl_easy_strerror(code));
	if (code != CURLE_OK)
		return text;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &type);
	t->openmetrics = type && strncasecmp(type, "application/openmetrics-text", 28) == 0;
	if (status == 200)
		return NULL;
	snprintf(text, cap, "server returned HTTP status %ld", status);
	return text;
}

static void end_fetch(struct slx_scrape *s, struct scrape_target *t, CURLcode code)
{
	char text[256];
	struct scrape_result r;
	double seconds = (double)(now_mono() - t->begun) / (double)SLX_SECOND;
	const char *error = fetch_error(t, code, text, sizeof text);
	scrape_target_store(s->core, s->intake, t, (struct slx_str){ t->body.p ? (const char *)t->body.p : "", t->body.n }, error, seconds, &s->lock, &r);
	pthread_mutex_lock(&s->lock);
	t->last_ms = t->scraped_ms;
	t->last_seconds = seconds;
	t->up = r.up;
	memcpy(t->error, r.error, sizeof t->error);
	pthread_mutex_unlock(&s->lock);
	slx_buf_free(&t->body); /* large ones should not wait in memory */
	slx_buf_init(&t->body, s->mem, SLX_MEM_OTHER, (size_t)1 << 31);
	drop_easy(s, &t->easy, &t->headers);
}

/* ---- lists of targets ---- */

static void targets_free(struct slx_scrape *s, struct scrape_targets *list)
{
	for (size_t i = 0; i < list->n; i++)
		scrape_target_free(list->v[i]);
	slx_free(s->mem, SLX_MEM_OTHER, list->v, list->cap * sizeof(struct scrape_target *));
	*list = (struct scrape_targets){ 0 };
}

/* Targets of `old` that are in `fresh` too take their place there; the others end. */
static void adopt(struct slx_scrape *s, struct scrape_targets *old, struct scrape_targets *fresh, int64_t now)
{
	for (size_t i = 0; i < fresh->n; i++) {
		struct scrape_target *t = fresh->v[i];
		t->due = now + (int64_t)(t->identity.hi % (uint64_t)t->interval);
		for (size_t k = 0; k < old->n; k++) {
			struct scrape_target *o = old->v[k];
			if (!slx_hash128_eq(o->identity, t->identity) || o->dropped || t->dropped)
				continue;
			/* the old one goes on, with the new job's settings */
			o->job = t->job;
			o->interval = t->interval;
			o->timeout = t->timeout;
			o->due = o->due - now > t->interval ? t->due : o->due;
			fresh->v[i] = o;
			old->v[k] = old->v[--old->n];
			scrape_target_free(t);
			break;
		}
	}
	for (size_t k = 0; k < old->n; k++) {
		drop_easy(s, &old->v[k]->easy, &old->v[k]->headers);
		if (!old->v[k]->dropped)
			scrape_target_end(s->core, s->intake, old->v[k], now_wall_ms());
	}
}

/* What a feed has now is `fresh`. */
static void replace_targets(struct slx_scrape *s, struct scrape_feed *f, struct scrape_targets *fresh, int64_t now)
{
	struct scrape_targets old = f->targets;
	pthread_mutex_lock(&s->lock);
	f->targets = (struct scrape_targets){ 0 };
	pthread_mutex_unlock(&s->lock);
	adopt(s, &old, fresh, now);
	pthread_mutex_lock(&s->lock);
	f->targets = *fresh;
	pthread_mutex_unlock(&s->lock);
	targets_free(s, &old);
}

static void discovery_failed(struct slx_scrape *s, const struct scrape_feed *f, const char *error)
{
	slx_log(s->core->log, SLX_LOG_WARN, "discovery failed", SLX_TEXT("job", f->job->name), SLX_TEXT("source", f->source->where ? f->source->where : "static_configs"),
		SLX_TEXT("error", error));
}

/* ---- discovery by HTTP ---- */

static size_t on_groups(char *p, size_t size, size_t n, void *arg)
{
	struct scrape_feed *f = arg;
	slx_buf_put(&f->body, p, size * n);
	return f->body.failed ? 0 : size * n;
}

static void begin_discovery(struct slx_scrape *s, struct scrape_feed *f)
{
	slx_buf_init(&f->body, s->mem, SLX_MEM_OTHER, GROUPS_MAX);
	f->headers = curl_slist_append(NULL, "Accept: application/json");
	f->easy = new_easy(f->source->where, &f->source->auth, 30 * SLX_SECOND, &f->headers);
	if (!f->easy)
		return;
	curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, on_groups);
	curl_easy_setopt(f->easy, CURLOPT_WRITEDATA, f);
	curl_multi_add_handle(s->multi, f->easy);
	s->fetching++;
}

static void end_discovery(struct slx_scrape *s, struct scrape_feed *f, CURLcode code)
{
	struct slx_arena arena;
	struct slx_yaml *groups = NULL;
	struct scrape_targets fresh = { 0 };
	struct slx_label meta = { SLX_STR("__meta_url"), slx_str(f->source->where) };
	silex_error err;
	long status = 0;
	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	slx_arena_init(&arena, s->mem, SLX_MEM_OTHER, 1 << 16);
	silex_status st = code != CURLE_OK ? slx_err(&err, SILEX_UNAVAILABLE, "%s", curl_easy_strerror(code))
		: status != 200                ? slx_err(&err, SILEX_UNAVAILABLE, "HTTP status %ld", status)
									   : slx_yaml_parse(&arena, f->source->where, f->body.p ? (const void *)f->body.p : "", f->body.n, &groups, &err);
	if (st == SILEX_OK)
		st = scrape_groups(s->mem, f->job, groups, &meta, 1, &fresh, &err);
	if (st == SILEX_OK) {
		replace_targets(s, f, &fresh, now_mono());
	} else {
		discovery_failed(s, f, err.message);
		targets_free(s, &fresh);
	}
	slx_arena_clear(&arena);
	slx_buf_free(&f->body);
	drop_easy(s, &f->easy, &f->headers);
}

static void discover(struct slx_scrape *s, struct scrape_feed *f, int64_t now)
{
	struct scrape_targets fresh = { 0 };
	silex_error err;
	f->due = f->source->type == SOURCE_STATIC ? INT64_MAX : now + f->source->refresh;
	if (f->source->type == SOURCE_HTTP)
		return begin_discovery(s, f);
	silex_status st = f->source->type == SOURCE_STATIC ? scrape_groups(s->mem, f->job, f->source->groups, NULL, 0, &fresh, &err)
													   : scrape_files(s->mem, f->job, f->source->where, &fresh, &err);
	if (st == SILEX_OK)
		return replace_targets(s, f, &fresh, now);
	discovery_failed(s, f, err.message);
	targets_free(s, &fresh);
}

/* ---- configuration ---- */

static struct scrape_feed *make_feeds(struct slx_scrape *s, const struct scrape_jobs *jobs, size_t *ret_n)
{
	size_t n = 0;
	for (size_t i = 0; i < jobs->n; i++)
		n += jobs->v[i].n_sources;
	struct scrape_feed *f = slx_calloc(s->mem, SLX_MEM_OTHER, (n + 1) * sizeof *f);
	*ret_n = 0;
	for (size_t i = 0; f && i < jobs->n; i++)
		for (size_t k = 0; k < jobs->v[i].n_sources; k++)
			f[(*ret_n)++] = (struct scrape_feed){ .job = &jobs->v[i], .source = &jobs->v[i].sources[k] };
	return f;
}

/* The old feed of the same job and kind of source, whose targets a new one takes over. */
static struct scrape_feed *same_feed(struct scrape_feed *old, size_t n, const struct scrape_feed *f)
{
	for (size_t i = 0; i < n; i++)
		if (old[i].targets.n && strcmp(old[i].job->name, f->job->name) == 0 && old[i].source->type == f->source->type &&
			(!f->source->where || strcmp(old[i].source->where, f->source->where) == 0))
			return &old[i];
	return NULL;
}

static void clear_feeds(struct slx_scrape *s, struct scrape_feed *f, size_t n)
{
	struct scrape_targets none = { 0 };
	for (size_t i = 0; i < n; i++) {
		bool under_way = f[i].easy != NULL;
		drop_easy(s, &f[i].easy, &f[i].headers);
		if (under_way)
			slx_buf_free(&f[i].body);
		adopt(s, &f[i].targets, &none, now_mono());
		targets_free(s, &f[i].targets);
	}
	slx_free(s->mem, SLX_MEM_OTHER, f, (n + 1) * sizeof *f);
}

static silex_status configure(struct slx_scrape *s, silex_error *err)
{
	struct scrape_jobs jobs, old_jobs = s->jobs;
	size_t n, n_old = s->n_feeds;
	SLX_TRY(scrape_jobs_read(s->mem, atomic_load(&s->core->config), &jobs, err));
	struct scrape_feed *feeds = make_feeds(s, &jobs, &n), *old = s->feeds;
	if (!feeds) {
		scrape_jobs_clear(&jobs);
		return slx_err_oom(err);
	}
	int64_t now = now_mono();
	for (size_t i = 0; i < n; i++) {
		struct scrape_feed *before = same_feed(old, n_old, &feeds[i]);
		struct scrape_targets fresh = { 0 };
		if (!before)
			continue;
		if (feeds[i].source->type == SOURCE_STATIC &&
			scrape_groups(s->mem, feeds[i].job, feeds[i].source->groups, NULL, 0, &fresh, NULL) == SILEX_OK)
			feeds[i].due = INT64_MAX;
		else if (feeds[i].source->type == SOURCE_FILE)
			scrape_files(s->mem, feeds[i].job, feeds[i].source->where, &fresh, NULL);
		replace_targets(s, before, &fresh, now);
		pthread_mutex_lock(&s->lock);
		feeds[i].targets = before->targets;
		before->targets = (struct scrape_targets){ 0 };
		pthread_mutex_unlock(&s->lock);
	}
	pthread_mutex_lock(&s->lock);
	s->feeds = feeds;
	s->n_feeds = n;
	s->jobs = jobs;
	pthread_mutex_unlock(&s->lock);
	if (old)
		clear_feeds(s, old, n_old);
	scrape_jobs_clear(&old_jobs);
	return SILEX_OK;
}

/* ---- the loop ---- */

/* Begins what is due; returns the monotonic time of what comes next. */
static int64_t begin_due(struct slx_scrape *s, int64_t now)
{
	int64_t next = now + POLL_MS_MAX * SLX_MS;
	for (size_t i = 0; i < s->n_feeds; i++) {
		struct scrape_feed *f = &s->feeds[i];
		if (f->due <= now && !f->easy)
			discover(s, f, now);
		for (size_t k = 0; k < f->targets.n; k++) {
			struct scrape_target *t = f->targets.v[k];
			if (t->dropped || t->easy)
				continue;
			if (t->due <= now && s->fetching < FETCHES_MAX)
				begin_fetch(s, t, now);
			next = t->due < next ? t->due : next;
		}
	}
	return next;
}

static struct scrape_feed *feed_of(struct slx_scrape *s, CURL *easy)
{
	for (size_t i = 0; i < s->n_feeds; i++)
		if (s->feeds[i].easy == easy)
			return &s->feeds[i];
	return NULL;
}

static void store_arrived(struct slx_scrape *s)
{
	CURLMsg *m;
	int left;
	while ((m = curl_multi_info_read(s->multi, &left))) {
		struct scrape_target *t = NULL;
		CURLcode code = m->data.result;
		if (m->msg != CURLMSG_DONE)
			continue;
		struct scrape_feed *f = feed_of(s, m->easy_handle);
		if (f) {
			end_discovery(s, f, code);
			continue;
		}
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		if (t)
			end_fetch(s, t, code);
	}
}

static void *scrape_main(void *arg)
{
	struct slx_scrape *s = arg;
	int running;
	silex_error err;
	while (!atomic_load(&s->stop)) {
		if (atomic_exchange(&s->reload, false) && configure(s, &err) != SILEX_OK)
			slx_log(s->core->log, SLX_LOG_ERROR, "scrape_configs: the old ones stay in force", SLX_TEXT("error", err.message));
		int64_t now = now_mono(), next = begin_due(s, now);
		curl_multi_perform(s->multi, &running);
		store_arrived(s);
		int64_t wait = (next - now_mono()) / SLX_MS;
		curl_multi_poll(s->multi, NULL, 0, wait < 0 ? 0 : wait > POLL_MS_MAX ? POLL_MS_MAX : (int)wait + 1, NULL);
	}
	pthread_mutex_lock(&s->lock);
	struct scrape_feed *feeds = s->feeds;
	size_t n = s->n_feeds;
	s->feeds = NULL;
	s->n_feeds = 0;
	pthread_mutex_unlock(&s->lock);
	if (feeds)
		clear_feeds(s, feeds, n);
	return NULL;
}

static void scrape_free(struct slx_scrape *s)
{
	scrape_jobs_clear(&s->jobs);
	curl_multi_cleanup(s->multi);
	pthread_mutex_destroy(&s->lock);
	slx_free(s->mem, SLX_MEM_OTHER, s, sizeof *s);
}

silex_status slx_scrape_start(struct slx_core *core, struct slx_intake *intake, struct slx_scrape **ret, silex_error *err)
{
	struct slx_scrape *s = slx_calloc(core->mem, SLX_MEM_OTHER, sizeof *s);
	if (!s)
		return slx_err_oom(err);
	*s = (struct slx_scrape){ .core = core, .intake = intake, .mem = core->mem };
	pthread_mutex_init(&s->lock, NULL);
	slx_arena_init(&s->jobs.arena, s->mem, SLX_MEM_OTHER, 1 << 16);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	s->multi = curl_multi_init();
	silex_status st = s->multi ? configure(s, err) : slx_err_oom(err);
	if (st == SILEX_OK && pthread_create(&s->thread, NULL, scrape_main, s) != 0) {
		st = slx_err(err, SILEX_RESOURCE_EXHAUSTED, "cannot start the thread that scrapes");
		clear_feeds(s, s->feeds, s->n_feeds);
	}
	if (st == SILEX_OK)
		*ret = s;
	else
		scrape_free(s);
	return st;
}

void slx_scrape_reload(struct slx_scrape *s)
{
	atomic_store(&s->reload, true);
	curl_multi_wakeup(s->multi);
}

void slx_scrape_stop(struct slx_scrape *s)
{
	if (!s)
		return;
	atomic_store(&s->stop, true);
	curl_multi_wakeup(s->multi);
	pthread_join(s->thread, NULL);
}

void slx_scrape_free(struct slx_scrape *s)
{
	if (s)
		scrape_free(s);
}
