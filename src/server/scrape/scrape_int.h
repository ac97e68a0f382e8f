/* Inside of the scrape room. */
#ifndef SLX_SERVER_SCRAPE_INT_H
#define SLX_SERVER_SCRAPE_INT_H

#include "formats/formats.h"
#include "server/core/auth.h"
#include "server/core/relabel.h"
#include "server/scrape/scrape.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

/* ---- jobs: what the configuration says (job.c) ---- */

struct scrape_param {
	const char *name, *value;
};

/* Where targets come from: a list in the configuration, files, or a URL. */
struct scrape_source {
	enum { SOURCE_STATIC, SOURCE_FILE, SOURCE_HTTP } type;
	const struct slx_yaml *groups; /* STATIC */
	const char *where;             /* FILE: glob; HTTP: url */
	int64_t refresh;               /* ns */
	struct slx_auth auth;          /* HTTP */
};

struct scrape_job {
	const char *name, *metrics_path, *scheme, *tenant;
	int64_t interval, timeout; /* ns */
	bool honor_labels, honor_timestamps;
	struct slx_auth auth;
	struct scrape_param *params;
	size_t n_params;
	struct scrape_source *sources;
	size_t n_sources;
	struct slx_relabel relabel, metric_relabel;
	uint64_t sample_limit, label_limit, body_size_limit;
};

struct scrape_jobs {
	struct slx_arena arena;
	struct scrape_job *v;
	size_t n;
};

/* Strings are the configuration's; it must live as long. */
silex_status scrape_jobs_read(struct slx_mem *m, const struct slx_config *c, struct scrape_jobs *ret, silex_error *err);
void scrape_jobs_clear(struct scrape_jobs *j);

/* ---- the series of one target (cache.c) ---- */

struct scrape_entry {
	struct slx_hash128 raw; /* as the target writes it */
	struct slx_hash128 id;  /* of the labels it became */
	uint8_t *labels;        /* canonical; NULL: dropped by relabelling */
	uint32_t labels_n;
	uint32_t seen;          /* the scrape that saw it last */
	bool timed;             /* came with a time of its own: gets no stale marker */
};

struct scrape_cache {
	struct slx_mem *mem;
	struct scrape_entry *v;
	size_t n, cap;
	uint32_t *slots; /* entry + 1; a power of two of them */
	size_t n_slots;
	uint32_t round;
};

void scrape_cache_init(struct scrape_cache *c, struct slx_mem *m);
void scrape_cache_free(struct scrape_cache *c);
size_t scrape_cache_find(const struct scrape_cache *c, struct slx_hash128 raw); /* SIZE_MAX: not there */
/* labels are copied; NULL without memory. */
struct scrape_entry *scrape_cache_add(struct scrape_cache *c, struct slx_hash128 raw, const struct slx_labels *labels);
/* Forgets entries that were not seen for a while. */
void scrape_cache_trim(struct scrape_cache *c);

/* ---- bounds of buckets and quantiles (bound.c) ---- */

enum { SCRAPE_BOUND_SIZE = 48 };

/* The number in s as Prometheus 3 spells it; returns its size, 0: it is no number. */
size_t scrape_bound(struct slx_str s, char to[SCRAPE_BOUND_SIZE]);

/* ---- targets (target.c) ---- */

struct scrape_metadata {
	struct slx_str metric, type, unit, help; /* in the target's arena */
};

struct scrape_target {
	struct slx_mem *mem;
	struct slx_arena arena;          /* what lives as long as the target */
	const struct scrape_job *job;
	struct slx_label *discovered;    /* before relabelling */
	size_t n_discovered;
	struct slx_label *labels;        /* of its series: what does not begin with __ */
	size_t n_labels;
	const char *url;
	int64_t interval, timeout;       /* ns, perhaps relabelled */
	struct slx_hash128 identity;     /* job, labels, url */
	bool dropped;                    /* by relabelling */

	struct scrape_cache cache;
	int64_t due;                     /* monotonic ns */
	CURL *easy;                      /* while being fetched */
	struct curl_slist *headers;
	struct slx_buf body;
	bool too_large, openmetrics;
	int64_t begun, scraped_ms;       /* monotonic; wall clock */

	/* What /api/v1/targets says; guarded by slx_scrape.lock */
	int64_t last_ms;                 /* 0: never */
	double last_seconds;
	bool up;
	char error[256];
	struct scrape_metadata *metadata;
	size_t n_metadata, metadata_cap;
};

/* From one address and the labels of its group. */
silex_status scrape_target_new(struct slx_mem *m, const struct scrape_job *job, struct slx_str address, const struct slx_label *group, size_t n_group,
	struct scrape_target **ret, silex_error *err);
void scrape_target_free(struct scrape_target *t);

/* Writes what was fetched, or (text NULL) that it failed with `error`. *ret_error gets why a scrape that arrived is bad. */
struct scrape_result {
	bool up;
	char error[256];
};
void scrape_target_store(struct slx_core *core, struct slx_intake *intake, struct scrape_target *t, struct slx_str text, const char *error,
	double seconds, pthread_mutex_t *lock, struct scrape_result *ret);
/* Stale markers for all that it had. */
void scrape_target_end(struct slx_core *core, struct slx_intake *intake, struct scrape_target *t, int64_t t_ms);

/* ---- discovery (discover.c) ---- */

struct scrape_targets {
	struct scrape_target **v;
	size_t n, cap;
};

bool scrape_targets_add(struct slx_mem *m, struct scrape_targets *list, struct scrape_target *t);
/* Target groups ({targets: [...], labels: {...}}) of a list as YAML (JSON is YAML, too). source: for __meta labels. */
silex_status scrape_groups(struct slx_mem *m, const struct scrape_job *job, const struct slx_yaml *groups, const struct slx_label *meta, size_t n_meta,
	struct scrape_targets *to, silex_error *err);
/* All targets of files that match the glob. */
silex_status scrape_files(struct slx_mem *m, const struct scrape_job *job, const char *pattern, struct scrape_targets *to, silex_error *err);

/* ---- fetching (manager.c) ---- */

/* A source of targets of a job, and what it gave. */
struct scrape_feed {
	const struct scrape_job *job;
	const struct scrape_source *source;
	struct scrape_targets targets;
	int64_t due;    /* monotonic ns */
	CURL *easy;     /* HTTP, under way */
	struct curl_slist *headers;
	struct slx_buf body;
};

struct slx_scrape {
	struct slx_core *core;
	struct slx_intake *intake;
	struct slx_mem *mem;
	pthread_t thread;
	CURLM *multi;
	_Atomic bool stop, reload;
	size_t fetching;
	pthread_mutex_t lock;
	struct scrape_jobs jobs; /* lock for the shape */
	struct scrape_feed *feeds;      /* lock for the shape */
	size_t n_feeds;
};

#endif
